//! Just enough of ELF to say whether a program is static: a static one asks for no interpreter (`PT_INTERP`) and needs no library
//! (`DT_NEEDED`). See elf(5).

use anyhow::{Result, bail};

const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;

/// What a program wants from the machine before its first instruction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Linkage {
    pub(crate) interpreter: bool,
    /// Number of shared libraries.
    pub(crate) libraries: usize,
}

impl Linkage {
    pub(crate) fn is_static(&self) -> bool {
        !self.interpreter && self.libraries == 0
    }
}

/// Reads the program headers of a 64-bit little-endian ELF file.
pub(crate) fn linkage(file: &[u8]) -> Result<Linkage> {
    if file.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("not a 64-bit little-endian ELF file");
    }
    let (table, size, count) = (number(file, 32, 8)?, number(file, 54, 2)?, number(file, 56, 2)?);
    let mut linkage = Linkage { interpreter: false, libraries: 0 };
    for index in 0..count {
        let header = offset(table.checked_add(index * size))?;
        match u32::try_from(number(file, header, 4)?)? {
            PT_INTERP => linkage.interpreter = true,
            PT_DYNAMIC => {
                linkage.libraries = libraries(file, number(file, header + 8, 8)?, number(file, header + 32, 8)?)?
            }
            _ => {}
        }
    }
    Ok(linkage)
}

/// Counts `DT_NEEDED` in the dynamic section: pairs of 8-byte tag and value, up to `DT_NULL`.
fn libraries(file: &[u8], start: u64, size: u64) -> Result<usize> {
    let mut needed = 0;
    for index in 0..size / 16 {
        match number(file, offset(start.checked_add(index * 16))?, 8)? {
            DT_NULL => break,
            DT_NEEDED => needed += 1,
            _ => {}
        }
    }
    Ok(needed)
}

fn offset(value: Option<u64>) -> Result<usize> {
    match value.map(usize::try_from) {
        Some(Ok(offset)) => Ok(offset),
        Some(Err(_)) | None => bail!("the ELF file points outside itself"),
    }
}

/// A little-endian number of `size` bytes at `at`.
fn number(file: &[u8], at: usize, size: usize) -> Result<u64> {
    let Some(bytes) = at.checked_add(size).and_then(|end| file.get(at..end)) else {
        bail!("the ELF file is cut short")
    };
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_recognised() {
        let this = std::fs::read(std::env::current_exe().expect("a test has a path")).expect("it is readable");
        let linkage = linkage(&this).expect("it is ELF");
        assert!(linkage.interpreter && linkage.libraries > 0 && !linkage.is_static(), "{linkage:?}");
    }

    #[test]
    fn other_files_are_refused() {
        assert!(linkage(b"#!/bin/sh\n").is_err());
        assert!(linkage(b"").is_err());
        assert!(linkage(b"\x7fELF\x02\x01 and no more").is_err());
    }

    #[test]
    fn garbage_never_panics() {
        let this = std::fs::read(std::env::current_exe().expect("a test has a path")).expect("it is readable");
        for at in 0..64 {
            let mut broken = this[..4096].to_vec();
            broken[at] = 0xff;
            let _ = linkage(&broken);
        }
    }
}
