//! Text made safe for HTML, JavaScript and URLs.

use alloc::format;

use crate::quote::is_printable;
use crate::text::Text;

/// Escapes what HTML would take for markup.
pub(crate) fn html(out: &mut Text, text: &str) {
    for character in text.chars() {
        match character {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(character),
        }
    }
}

/// Escapes what would end a JavaScript string, or the script around it.
pub(crate) fn javascript(out: &mut Text, text: &str) {
    for character in text.chars() {
        let code = u32::from(character);
        match character {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{code:04X}")),
            '\u{7f}' => out.push(character),
            _ if character >= ' ' && is_printable(character) => out.push(character),
            _ => out.push_str(&format!("\\u{code:04X}")),
        }
    }
}

/// Escapes text for the query of a URL.
pub(crate) fn url_query(out: &mut Text, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
