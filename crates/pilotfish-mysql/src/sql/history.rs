//! MariaDB's exact history, which the server itself does not tell: its state names only the last number of each server.
//!
//! The first transaction of each term replaces the one row of `pilotfish.term`, which says who writes from which number on, and what had been
//! executed before. With it the state tells the rest: numbers rise over the whole domain, so what lies beyond the start of the term belongs to
//! the servers in the order of their last numbers.

use pilotfish_autopilot::{Flavour, GtidSet, Term};

use crate::error::Error;

const DOING: &str = "reading the history of transactions";

/// How far the number of a term's first transaction is shifted: four thousand million transactions in a term.
const TERM_SHIFT: u32 = 32;

/// The row of `pilotfish.term`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TermRow {
    /// The term.
    pub(crate) term: u64,
    /// The number of its first transaction.
    pub(crate) start: u64,
    /// What had been executed before.
    pub(crate) before: String,
}

/// One entry of MariaDB's state: the last number of a server in a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    domain: u32,
    server: u32,
    number: u64,
}

fn entries(text: &str) -> Result<Vec<Entry>, Error> {
    let entry = |piece: &str| {
        let mut numbers = piece.trim().split('-');
        let entry = Entry {
            domain: numbers.next()?.parse().ok()?,
            server: numbers.next()?.parse().ok()?,
            number: numbers.next()?.parse().ok()?,
        };
        numbers.next().is_none().then_some(entry)
    };
    let pieces = text.split(',').filter(|piece| !piece.trim().is_empty());
    let strange = |piece: &str| Error::Answer { doing: DOING, text: format!("`{piece}` is no GTID") };
    pieces.map(|piece| entry(piece).ok_or_else(|| strange(piece))).collect()
}

fn parse(text: &str) -> Result<GtidSet, Error> {
    GtidSet::parse(Flavour::MariaDb, text).map_err(|error| Error::Answer { doing: DOING, text: error.to_string() })
}

/// What was executed, by the row and `gtid_binlog_state`.
pub(crate) fn executed(row: Option<&TermRow>, state: &str) -> Result<GtidSet, Error> {
    let Some(row) = row else { return parse(state) };
    let (mut set, mut next) = (parse(&row.before)?, row.start);
    let mut entries = entries(state)?;
    entries.sort_unstable_by_key(|entry| entry.number);
    for Entry { domain, server, number } in entries {
        if number < row.start {
            // A stray of an earlier term, if who began this one has not executed it.
            set = union(set, &parse(&format!("{domain}-{server}:{number}"))?);
            continue;
        }
        set = union(set, &parse(&format!("{domain}-{server}:{next}-{number}"))?);
        next = number + 1;
    }
    Ok(set)
}

/// What was received, by what was executed and `Gtid_IO_Pos`: also a later term may have begun in the relay log, of which no row tells yet. Then
/// what lies between is left out: whoever has the last number has everything before it.
pub(crate) fn received(row: Option<&TermRow>, executed: &GtidSet, position: &str) -> Result<GtidSet, Error> {
    let mut set = executed.clone();
    let start = row.map_or(1, |row| row.start);
    for Entry { domain, server, number } in entries(position)? {
        let tip = parse(&format!("{domain}-{server}:{number}"))?;
        if set.contains(&tip) || number < start {
            continue;
        }
        let term = number >> TERM_SHIFT;
        let first = if term > start >> TERM_SHIFT { term << TERM_SHIFT } else { last(&set).max(start - 1) + 1 };
        set = union(set, &parse(&format!("{domain}-{server}:{}-{number}", first.min(number)))?);
    }
    Ok(set)
}

/// The highest number of a set.
pub(crate) fn last(set: &GtidSet) -> u64 {
    let text = set.to_string();
    let ranges = text.split(',').flat_map(|piece| piece.split(':').skip(1));
    ranges.filter_map(|range| range.rsplit('-').next().and_then(|number| number.trim().parse().ok())).max().unwrap_or(0)
}

/// The number of the first transaction of a term on a server that has executed this.
pub(crate) fn first_number(term: Term, executed: &GtidSet) -> u64 {
    (term.0 << TERM_SHIFT).max(last(executed) + 1)
}

/// Whether a position of MariaDB's has reached this number.
pub(crate) fn reaches(position: &str, number: u64) -> Result<bool, Error> {
    Ok(entries(position)?.iter().any(|entry| entry.number >= number))
}

fn union(a: GtidSet, b: &GtidSet) -> GtidSet {
    a.union(b).unwrap_or(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T2: u64 = 2 << 32;
    const T3: u64 = 3 << 32;

    fn row(term: u64, start: u64, before: &str) -> TermRow {
        TermRow { term, start, before: before.into() }
    }

    fn check(row: Option<TermRow>, state: &str, expect: &str) {
        assert_eq!(executed(row.as_ref(), state).unwrap(), parse(expect).unwrap(), "{state}");
    }

    #[test]
    fn without_a_row_the_state_is_the_history() {
        check(None, "", "");
        check(None, "0-1-15", "0-1:1-15");
        check(None, "0-2-20,0-1-15", "0-1:1-15,0-2:16-20");
    }

    #[test]
    fn a_server_that_led_twice_keeps_its_first_run() {
        let third = row(3, T3, &format!("0-1:1-15,0-2:{T2}-{}", T2 + 9));
        let state = format!("0-1-{},0-2-{}", T3 + 4, T2 + 9);
        check(Some(third), &state, &format!("0-1:1-15:{T3}-{},0-2:{T2}-{}", T3 + 4, T2 + 9));
    }

    #[test]
    fn a_stray_write_is_another_servers() {
        let second = row(2, T2, "0-1:1-15");
        check(
            Some(second),
            &format!("0-2-{},0-3-{}", T2 + 5, T2 + 6),
            &format!("0-1:1-15,0-2:{T2}-{},0-3:{}", T2 + 5, T2 + 6),
        );
    }

    /// It was written on a replica in the moment in which the term changed, and the row of the next term has come since.
    #[test]
    fn a_stray_write_of_the_term_before_is_not_forgotten() {
        let third = || row(3, T3, &format!("0-1:1-15,0-2:{T2}-{}", T2 + 5));
        let state = format!("0-1-15,0-2-{},0-3-{},0-4-{}", T2 + 5, T3 + 2, T2 + 6);
        let told = format!("0-1:1-15,0-2:{T2}-{},0-3:{T3}-{},0-4:{}", T2 + 5, T3 + 2, T2 + 6);
        check(Some(third()), &state, &told);
        // Who executed it before it began the term made it part of the history.
        let row = TermRow { before: format!("{},0-4:{}", third().before, T2 + 6), ..third() };
        check(Some(row), &state, &told);
    }

    #[test]
    fn the_relay_log_may_be_in_the_next_term() {
        let second = row(2, T2, "0-1:1-15");
        let done = executed(Some(&second), &format!("0-2-{}", T2 + 5)).unwrap();
        let same = received(Some(&second), &done, &format!("0-2-{}", T2 + 8)).unwrap();
        assert_eq!(same, parse(&format!("0-1:1-15,0-2:{T2}-{}", T2 + 8)).unwrap());
        let next = received(Some(&second), &done, &format!("0-3-{}", T3 + 2)).unwrap();
        assert_eq!(next, parse(&format!("0-1:1-15,0-2:{T2}-{},0-3:{T3}-{}", T2 + 5, T3 + 2)).unwrap());
        assert_eq!(received(Some(&second), &done, "0-1-15").unwrap(), done);
    }

    #[test]
    fn terms_begin_far_apart() {
        assert_eq!(first_number(Term(1), &parse("").unwrap()), 1 << 32);
        assert_eq!(first_number(Term(1), &parse(&format!("0-1:{}", 9u64 << 32)).unwrap()), (9u64 << 32) + 1);
    }
}
