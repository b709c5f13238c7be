//! JSON as Go's `encoding/json` writes it: no spaces, or four of them for each level; what could be markup is escaped.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Writes a value.
pub(crate) fn json(value: &impl Serialize, pretty: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let written = if pretty {
        value.serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    ")))
    } else {
        value.serialize(&mut Serializer::new(&mut bytes))
    };
    debug_assert!(written.is_ok(), "what is told has only text for names, and memory does not fail");
    if bytes.iter().any(|byte| matches!(byte, b'<' | b'>' | b'&' | 0xe2 | 0xef)) {
        bytes = escaped(&bytes);
    }
    if pretty {
        bytes.push(b'\n');
    }
    bytes
}

/// Outside texts none of these letters occurs, so the whole can be searched.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'<' => out.extend_from_slice(br"\u003c"),
            b'>' => out.extend_from_slice(br"\u003e"),
            b'&' => out.extend_from_slice(br"\u0026"),
            0xe2 if after.starts_with(&[0x80, 0xa8]) => {
                out.extend_from_slice(br"\u2028");
                rest = &after[2..];
            }
            0xe2 if after.starts_with(&[0x80, 0xa9]) => {
                out.extend_from_slice(br"\u2029");
                rest = &after[2..];
            }
            // What was no text is told so in ASCII.
            0xef if after.starts_with(&[0xbf, 0xbd]) => {
                out.extend_from_slice(br"\ufffd");
                rest = &after[2..];
            }
            other => out.push(*other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let check = |value: serde_json::Value, pretty: bool, expect: &str| {
            assert_eq!(String::from_utf8_lossy(&json(&value, pretty)), expect);
        };
        check(serde_json::json!(["<a&b>", "\u{2028}€"]), false, r#"["\u003ca\u0026b\u003e","\u2028€"]"#);
        check(
            serde_json::json!({"a": [], "b": {"c": 1}}),
            true,
            "{\n    \"a\": [],\n    \"b\": {\n        \"c\": 1\n    }\n}\n",
        );
    }
}
