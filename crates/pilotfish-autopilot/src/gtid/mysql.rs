//! MySQL's text: `UUID[:TAG]:INTERVAL[:INTERVAL]...`, joined by commas; after a tag the intervals are the tag's.
//! Source: MySQL 9 reference manual, "GTID Format and Storage".

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use super::intervals::Sources;
use super::{ParseError, parse_interval, print_intervals};

/// The longest tag, in characters.
const LONGEST_TAG: usize = 32;

/// A server's UUID, and a tag. Almost all transactions have none; decisions compare sources all the time, so that costs no call to find out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MySqlSource {
    pub(super) uuid: u128,
    pub(super) tag: Option<Box<str>>,
}

pub(super) fn parse(text: &str) -> Result<Sources<MySqlSource>, ParseError> {
    let mut set = Sources::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let mut pieces = part.split(':').map(str::trim);
        let uuid = pieces.next().unwrap_or_default();
        let expected = "a server UUID such as 3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let uuid = parse_uuid(uuid).ok_or_else(|| ParseError::new(uuid, expected))?;
        let mut source = MySqlSource { uuid, tag: None };
        let mut intervals = 0;
        for piece in pieces {
            if let Some((first, last)) = parse_interval(piece) {
                intervals += 1;
                if first <= last {
                    set.insert(&source, first, last);
                }
            } else if is_tag(piece) {
                source.tag = Some(piece.to_ascii_lowercase().into());
                intervals = 0;
            } else {
                return Err(ParseError::new(piece, "an interval such as 1-5, or a tag"));
            }
        }
        if intervals == 0 {
            return Err(ParseError::new(part, "at least one interval such as :1-5 behind a UUID or tag"));
        }
    }
    Ok(set)
}

pub(super) fn print(set: &Sources<MySqlSource>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut last: Option<u128> = None;
    for (source, intervals) in set.iter() {
        if last != Some(source.uuid) {
            f.write_str(if last.is_some() { "," } else { "" })?;
            print_uuid(source.uuid, f)?;
            last = Some(source.uuid);
        }
        if let Some(tag) = &source.tag {
            write!(f, ":{tag}")?;
        }
        print_intervals(intervals, f)?;
    }
    Ok(())
}

fn print_uuid(uuid: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let part = |from: u32, digits: u32| (uuid >> from) & ((1 << (4 * digits)) - 1);
    let (a, b, c, d, e) = (part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12));
    write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// With dashes, as the server prints it, without, or in braces, as it also reads it.
fn parse_uuid(piece: &str) -> Option<u128> {
    let inner = piece.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(piece);
    let dashed = inner.len() == 36 && [8, 13, 18, 23].iter().all(|at| inner.as_bytes()[*at] == b'-');
    let digits: String = inner.chars().filter(|c| *c != '-').collect();
    let plain = inner.len() == 32;
    let hexadecimal = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if (dashed || plain) && hexadecimal { u128::from_str_radix(&digits, 16).ok() } else { None }
}

fn is_tag(piece: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    piece.len() <= LONGEST_TAG
        && piece.bytes().next().is_some_and(first)
        && piece.bytes().all(|byte| first(byte) || byte.is_ascii_digit())
}
