//! The least of gzip (RFC 1952): stored blocks, because a snapshot goes to a file of the same host.

/// The longest stored block in bytes (RFC 1951, 3.2.4).
const BLOCK: usize = 65_535;

/// A header without name, time or extra fields, made on a system that is not told.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// CRC and length behind the blocks.
const TRAILER: usize = 8;

/// Packs.
pub(crate) fn pack(data: &[u8]) -> Vec<u8> {
    let mut out = HEADER.to_vec();
    let mut blocks = data.chunks(BLOCK).peekable();
    if data.is_empty() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        // A chunk is no longer than BLOCK.
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc(data).to_le_bytes());
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out
}

/// Unpacks what [`pack`] packed.
///
/// # Errors
/// What is wrong, in the words of Go where it has some for it.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
    const SHORT: &str = "unexpected EOF";
    if bytes.is_empty() {
        return Err("EOF");
    }
    let Some((header, mut rest)) = bytes.split_at_checked(HEADER.len()) else { return Err(SHORT) };
    if header[..4] != HEADER[..4] {
        return Err("gzip: invalid header");
    }
    let mut data = Vec::with_capacity(bytes.len());
    loop {
        let Some((head, after)) = rest.split_at_checked(5) else { return Err(SHORT) };
        let length = u16::from_le_bytes([head[1], head[2]]);
        if head[0] > 1 || u16::from_le_bytes([head[3], head[4]]) != !length {
            return Err("it is compressed, as the snapshots of this catalog are not");
        }
        let Some((block, after)) = after.split_at_checked(usize::from(length)) else { return Err(SHORT) };
        data.extend_from_slice(block);
        rest = after;
        if head[0] == 1 {
            break;
        }
    }
    let Some(trailer) = rest.get(..TRAILER) else { return Err(SHORT) };
    let expected = [crc(&data).to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    if trailer == expected { Ok(data) } else { Err("gzip: invalid checksum") }
}

/// CRC-32 (RFC 1952, 8).
fn crc(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let data: Vec<u8> = (0..length).map(|number| number as u8).collect();
            assert_eq!(unpack(&pack(&data)), Ok(data), "{length}");
        }
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn damage_is_noticed() {
        let packed = pack(b"what is kept");
        for end in 0..packed.len() {
            assert!(unpack(&packed[..end]).is_err(), "cut after {end}");
        }
        for at in 15..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 1;
            assert!(unpack(&damaged).is_err(), "damaged at {at}");
        }
        assert_eq!(unpack(b"nonsense"), Err("unexpected EOF"));
        assert_eq!(unpack(b"this is nothing of the kind"), Err("gzip: invalid header"));
    }
}
