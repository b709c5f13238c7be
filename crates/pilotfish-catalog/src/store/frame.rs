//! Frames: how a file is divided, so that what was not wholly written is told from what was damaged later.
//!
//! ```text
//! file:   mark (24 bytes) salt (8) frame frame frame ...
//! frame:  length (4) checksum (4) content (length)
//! ```
//!
//! A checksum covers the salt of the file, the place of the frame, its length and its content. So nothing that a client stored, and nothing of
//! an older file on the same blocks, can be taken for a frame.

/// What a file begins with.
const MARK: &[u8; 24] = b"pilotfish catalog log 1\n";

/// Bytes in front of the first frame.
pub(super) const HEAD: usize = MARK.len() + 8;

/// Bytes of a frame in front of its content.
pub(super) const FRAME_HEAD: usize = 8;

/// What a file begins with.
pub(super) fn head(salt: u64) -> Vec<u8> {
    [&MARK[..], &salt.to_le_bytes()].concat()
}

/// A frame that is to stand at `offset`; nothing if the content is too long for one.
pub(super) fn frame(salt: u64, offset: u64, content: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(content.len()).ok()?;
    let mut bytes = Vec::with_capacity(FRAME_HEAD + content.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&checksum(salt, offset, content).to_le_bytes());
    bytes.extend_from_slice(content);
    Some(bytes)
}

fn checksum(salt: u64, offset: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher.update(&(content.len() as u64).to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frames<'a> {
    /// The contents, with where each frame stands.
    pub(super) contents: Vec<(usize, &'a [u8])>,
    /// Bytes at the end that are no whole frame: one that was being written when the process or the host ended.
    pub(super) torn: usize,
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    pub(super) offset: usize,
    pub(super) reason: &'static str,
}

/// Divides a file.
///
/// # Errors
/// When its head or its first frame is not whole, or a frame is not whole and others follow.
pub(super) fn divide(bytes: &[u8]) -> Result<Frames<'_>, Damage> {
    let salt = match bytes.split_at_checked(HEAD) {
        Some((head, _)) if head.starts_with(MARK) => {
            u64::from_le_bytes(head[MARK.len()..].try_into().unwrap_or([0; 8]))
        }
        Some(_) | None => return Err(Damage { offset: 0, reason: "it does not begin as a file of the catalog" }),
    };
    let (mut contents, mut at) = (Vec::new(), HEAD);
    while let Some(content) = frame_at(salt, bytes, at) {
        contents.push((at, content));
        at += FRAME_HEAD + content.len();
    }
    if contents.is_empty() {
        return Err(Damage { offset: HEAD, reason: "what it begins with is not whole" });
    }
    if (at + 1..bytes.len()).any(|later| frame_at(salt, bytes, later).is_some()) {
        return Err(Damage { offset: at, reason: "what stands there is not what was written, and more follows" });
    }
    Ok(Frames { contents, torn: bytes.len() - at })
}

/// The content of the frame at a place, if one stands there.
fn frame_at(salt: u64, bytes: &[u8], at: usize) -> Option<&[u8]> {
    let (head, rest) = bytes.get(at..)?.split_at_checked(FRAME_HEAD)?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let expected = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    // No content is empty, and zeros are what a file system shows of blocks that it had not written yet.
    let content = rest.get(..length as usize).filter(|content| !content.is_empty())?;
    (checksum(salt, at as u64, content) == expected).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(contents: &[&[u8]]) -> Vec<u8> {
        let mut bytes = head(7);
        for content in contents {
            let next = frame(7, bytes.len() as u64, content).expect("it is short");
            bytes.extend_from_slice(&next);
        }
        bytes
    }

    fn found(bytes: &[u8]) -> Vec<&[u8]> {
        divide(bytes).expect("it is whole").contents.into_iter().map(|(_, content)| content).collect()
    }

    #[test]
    fn a_tail_that_is_torn_at_any_byte_is_cut() {
        let whole = file(&[b"first", b"second", b"the last one"]);
        let before = file(&[b"first", b"second"]);
        assert_eq!(found(&whole), [&b"first"[..], b"second", b"the last one"]);
        for end in before.len()..whole.len() {
            let frames = divide(&whole[..end]).expect("the rest is whole");
            assert_eq!((frames.contents.len(), frames.torn), (2, end - before.len()), "cut at {end}");
            // A host that stops may leave the length of the file, and zeros in it.
            let mut zeros = whole[..end].to_vec();
            zeros.resize(whole.len() + 4096, 0);
            let frames = divide(&zeros).expect("the rest is whole");
            assert_eq!((frames.contents.len(), frames.torn), (2, zeros.len() - before.len()), "zeros from {end}");
        }
    }

    #[test]
    fn a_byte_that_changed_in_the_middle_is_refused_with_its_frame() {
        let whole = file(&[b"first", b"second", b"the last one"]);
        let second = file(&[b"first"]).len();
        let third = file(&[b"first", b"second"]).len();
        for at in 0..third {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let damage = divide(&bytes).expect_err("it is damaged");
            let place = if at < MARK.len() {
                0
            } else if at < second {
                HEAD
            } else {
                second
            };
            assert_eq!(damage.offset, place, "byte {at}");
        }
    }

    #[test]
    fn what_a_client_stores_is_taken_for_no_frame() {
        let inner = file(&[b"inner"]);
        let whole = file(&[b"first", &inner]);
        let mut torn = whole.clone();
        torn.pop();
        assert_eq!(found(&torn), [b"first"]);
    }

    #[test]
    fn an_empty_or_strange_file_is_refused() {
        for bytes in [&b""[..], b"pilotfish", &[0; 100], &head(7)] {
            assert!(divide(bytes).is_err(), "{bytes:?}");
        }
    }
}
