//! Go's quoting of strings and characters (package strconv): into source form and back.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// Whether Go prints a character as it is: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    // The standard library keeps the same table for `escape_debug`. It treats a combining mark specially only at the
    // start of a string, hence the letter before it.
    let mut pair = String::from("a");
    pair.push(character);
    pair.escape_debug().nth(1) != Some('\\')
}

/// `text` in double quotes, as `%q` prints it.
pub(crate) fn quoted(text: &str) -> String {
    quote_with(text, '"', false)
}

/// `text` between two `mark`s; with `ascii_only` every other character is written as an escape.
pub(crate) fn quote_with(text: &str, mark: char, ascii_only: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for character in text.chars() {
        push_escaped(&mut out, character, mark, ascii_only);
    }
    out.push(mark);
    out
}

fn push_escaped(out: &mut String, character: char, mark: char, ascii_only: bool) {
    let short = match character {
        '\u{7}' => Some('a'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{b}' => Some('v'),
        '\\' => Some('\\'),
        other if other == mark => Some(mark),
        _ => None,
    };
    let code = u32::from(character);
    let written = if let Some(short) = short {
        write!(out, "\\{short}")
    } else if is_printable(character) && (character.is_ascii() || !ascii_only) {
        write!(out, "{character}")
    } else if code < 0x80 {
        write!(out, "\\x{code:02x}")
    } else if code < 0x1_0000 {
        write!(out, "\\u{code:04x}")
    } else {
        write!(out, "\\U{code:08x}")
    };
    written.expect("a String can always be written to");
}

/// The text that a string literal stands for, in double quotes or backquotes; `None` where Go says "invalid syntax".
///
/// Bytes that are no UTF-8, which Go would keep, become U+FFFD.
pub(crate) fn unquote(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('`') {
        return Some(raw.strip_suffix('`')?.replace('\r', ""));
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, tail) = unquote_unit(rest, '"')?;
        match unit {
            Unit::Byte(byte) => bytes.push(byte),
            Unit::Character(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = tail;
    }
    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// The code of a character literal such as `'a'` or `'\n'`; `None` if it holds anything but one character.
pub(crate) fn unquote_character(literal: &str) -> Option<u32> {
    let (unit, tail) = unquote_unit(literal.strip_prefix('\'')?, '\'')?;
    (tail == "'").then_some(match unit {
        Unit::Byte(byte) => u32::from(byte),
        Unit::Character(character) => u32::from(character),
    })
}

enum Unit {
    Byte(u8),
    Character(char),
}

fn unquote_unit(text: &str, mark: char) -> Option<(Unit, &str)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    if first == mark {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Character(first), characters.as_str()));
    }
    let escape = characters.next()?;
    let tail = characters.as_str();
    let simple = |character| Some((Unit::Character(character), tail));
    match escape {
        'a' => simple('\u{7}'),
        'b' => simple('\u{8}'),
        'f' => simple('\u{c}'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\u{b}'),
        '\\' => simple('\\'),
        '\'' | '"' if escape == mark => simple(escape),
        'x' => {
            let (code, tail) = digits(tail, 2, 16)?;
            Some((Unit::Byte(u8::try_from(code).ok()?), tail))
        }
        'u' | 'U' => {
            let (code, tail) = digits(tail, if escape == 'u' { 4 } else { 8 }, 16)?;
            Some((Unit::Character(char::from_u32(code)?), tail))
        }
        '0'..='7' => {
            let (code, tail) = digits(&text[1..], 3, 8)?;
            Some((Unit::Byte(u8::try_from(code).ok()?), tail))
        }
        _ => None,
    }
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let head = text.get(..count)?;
    if !head.bytes().all(|byte| char::from(byte).is_digit(radix)) {
        return None;
    }
    Some((u32::from_str_radix(head, radix).ok()?, &text[count..]))
}
