//! Base64 as JSON has it: the standard alphabet, padded.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            if position <= chunk.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * position)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Reads; as in Go, line breaks do not count.
///
/// # Errors
/// The position of the byte that does not belong there.
pub fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0u32, 0, 0);
    for (position, byte) in text.bytes().enumerate() {
        if matches!(byte, b'\n' | b'\r') {
            continue;
        }
        if byte == b'=' && count >= 2 && count + padding < 4 {
            padding += 1;
            continue;
        }
        let value = ALPHABET.iter().position(|letter| *letter == byte).filter(|_| padding == 0).ok_or(position)?;
        bits = bits << 6 | value as u32;
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    if count == 0 && padding == 0 {
        return Ok(bytes);
    }
    if count + padding != 4 {
        return Err(text.len());
    }
    let tail = (bits << (6 * padding)).to_be_bytes();
    bytes.extend_from_slice(&tail[1..4 - padding]);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        for text in ["", "f", "fo", "foo", "foob", "fooba", "foobar", "\u{ff}\u{0}"] {
            assert_eq!(decode(&encode(text.as_bytes())), Ok(text.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(encode(b"hello"), "aGVsbG8=");
        assert_eq!(decode("!!"), Err(0));
        assert_eq!(decode("Zg="), Err(3));
        assert_eq!(decode("Zg==Zg=="), Err(4));
    }
}
