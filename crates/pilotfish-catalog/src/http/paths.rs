//! Paths as Go's `net/http` treats them: decoded first, then cleaned, and who sent an unclean one is sent to the clean one.

/// Decodes `%2F` and the like; what is not well-formed stays as it is.
pub(crate) fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        if bytes[at] == b'%'
            && let (Some(high), Some(low)) = (digit(1), digit(2))
        {
            out.push((high << 4 | low) as u8);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// Whether every `%` begins an escape.
pub(crate) fn is_well_formed(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut letters = after.chars();
        let hexadecimal = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_hexdigit());
        hexadecimal(letters.next()) && hexadecimal(letters.next())
    })
}

/// Encodes a path for a header.
pub(crate) fn encoded(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(*byte)),
            b'-' | b'_' | b'.' | b'~' | b'/' | b'$' | b'&' | b'+' | b',' | b':' | b';' | b'=' | b'@' => {
                out.push(char::from(*byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// The path without empty, `.` and `..` parts; a slash at the end stays.
pub(crate) fn cleaned(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for part in &parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if parts.is_empty() || path.ends_with(b"/") {
        out.push(b'/');
    }
    out
}

/// Whether a path has characters that Consul does not take (its check of printable characters).
pub(crate) fn is_printable(path: &[u8]) -> bool {
    match std::str::from_utf8(path) {
        Ok(text) => !text.chars().any(char::is_control),
        // Go goes on after bytes that are no text.
        Err(_) => !path.iter().any(u8::is_ascii_control),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        let check = |path: &str, expect: &str| {
            assert_eq!(String::from_utf8_lossy(&cleaned(&decoded(path))), expect, "{path}");
        };
        check("/v1/kv/d%2Fe", "/v1/kv/d/e");
        check("/v1/kv/%2Flead", "/v1/kv/lead");
        check("/v1/kv/x/../y", "/v1/kv/y");
        check("/v1/kv/../../../etc", "/etc");
        check("/v1/kv/d//e/", "/v1/kv/d/e/");
        check("/%", "/%");
        check("", "/");
        check("/..", "/");
    }
}
