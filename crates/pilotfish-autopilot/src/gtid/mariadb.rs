//! MariaDB's text: `DOMAIN-SERVER-NUMBER`, joined by commas, and our exact form `DOMAIN-SERVER:FIRST-LAST[:FIRST-LAST]...`.
//! Source: MariaDB knowledge base, "Global Transaction ID".

use alloc::vec::Vec;
use core::fmt;

use super::intervals::Sources;
use super::{ParseError, parse_interval, parse_number, print_intervals};

/// Who wrote a transaction, in which domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MariaDbSource {
    pub(super) domain: u32,
    pub(super) server: u32,
}

pub(super) fn parse(text: &str) -> Result<Sources<MariaDbSource>, ParseError> {
    let mut set = Sources::default();
    let mut ends: Vec<(u32, u64, u32)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let expected = "DOMAIN-SERVER-NUMBER such as 0-1-15";
        let wrong = || ParseError::new(part, expected);
        match part.split_once(':') {
            Some((source, intervals)) => {
                let (domain, server) = source.split_once('-').ok_or_else(wrong)?;
                let source = MariaDbSource {
                    domain: parse_id(domain).ok_or_else(wrong)?,
                    server: parse_id(server).ok_or_else(wrong)?,
                };
                for interval in intervals.split(':') {
                    let (first, last) = parse_interval(interval).ok_or_else(wrong)?;
                    if last < first {
                        return Err(wrong());
                    }
                    set.insert(&source, first, last);
                }
            }
            None => {
                let mut pieces = part.split('-');
                let domain = pieces.next().and_then(parse_id).ok_or_else(wrong)?;
                let server = pieces.next().and_then(parse_id).ok_or_else(wrong)?;
                let number = pieces.next().and_then(parse_number).ok_or_else(wrong)?;
                if pieces.next().is_some() {
                    return Err(wrong());
                }
                ends.push((domain, number, server));
            }
        }
    }
    history(&mut set, ends)?;
    Ok(set)
}

/// Reads the last numbers of servers as a history of their domain: each wrote what follows the one before it.
fn history(set: &mut Sources<MariaDbSource>, mut ends: Vec<(u32, u64, u32)>) -> Result<(), ParseError> {
    ends.sort_unstable();
    let mut before: Option<(u32, u64)> = None;
    for (domain, number, server) in ends {
        let first = match before {
            Some((same, last)) if same == domain => last + 1,
            Some(_) | None => 1,
        };
        if first > number {
            let piece = alloc::format!("{domain}-{server}-{number}");
            return Err(ParseError::new(&piece, "each number of a domain only once"));
        }
        set.insert(&MariaDbSource { domain, server }, first, number);
        before = Some((domain, number));
    }
    Ok(())
}

pub(super) fn print(set: &Sources<MariaDbSource>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, (source, intervals)) in set.iter().enumerate() {
        f.write_str(if index > 0 { "," } else { "" })?;
        write!(f, "{}-{}", source.domain, source.server)?;
        print_intervals(intervals, f)?;
    }
    Ok(())
}

fn parse_id(piece: &str) -> Option<u32> {
    let digits = !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit());
    piece.parse().ok().filter(|_| digits)
}
