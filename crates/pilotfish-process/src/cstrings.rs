//! Words and environments in the form that `execve(2)` wants, made before the child exists: two allocations however many words.

use std::os::raw::c_char;

/// A NULL-terminated array of C strings that owns its bytes.
pub(crate) struct CStrings {
    /// Pointers into `_bytes`, and a last null one.
    pointers: Vec<*const c_char>,
    _bytes: Vec<u8>,
}

/// A word holds a NUL byte, which no C string can.
#[derive(Debug)]
pub(crate) struct NulByte;

impl CStrings {
    /// Packs words; each is given in parts, which are joined.
    pub(crate) fn pack<'a, const N: usize>(words: impl Iterator<Item = [&'a [u8]; N]>) -> Result<Self, NulByte> {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for word in words {
            starts.push(bytes.len());
            for part in word {
                if part.contains(&0) {
                    return Err(NulByte);
                }
                bytes.extend_from_slice(part);
            }
            bytes.push(0);
        }
        // The pointers are taken only now: the bytes do not move any more, not even when `Self` does.
        let mut pointers: Vec<*const c_char> = starts.iter().map(|&start| bytes[start..].as_ptr().cast()).collect();
        pointers.push(std::ptr::null());
        Ok(CStrings { pointers, _bytes: bytes })
    }

    /// The array, for as long as `self` lives.
    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn words_are_joined_and_terminated() {
        let pairs: [(&[u8], &[u8]); 2] = [(b"A", b"1"), (b"LONG", b"")];
        let packed = CStrings::pack(pairs.iter().map(|(name, value)| [*name, b"=", *value])).unwrap();
        let mut seen = Vec::new();
        let mut at = packed.as_ptr();
        // SAFETY: the array is terminated by a null pointer and each string by a NUL byte; `packed` is alive.
        unsafe {
            while !(*at).is_null() {
                seen.push(CStr::from_ptr(*at).to_str().unwrap().to_owned());
                at = at.add(1);
            }
        }
        assert_eq!(seen, ["A=1", "LONG="]);
    }

    #[test]
    fn a_nul_byte_is_refused() {
        assert!(CStrings::pack([[b"a\0b".as_slice()]].into_iter()).is_err());
    }
}
