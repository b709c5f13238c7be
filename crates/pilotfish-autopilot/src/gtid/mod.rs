//! Sets of global transaction identifiers, of both flavours, as what they are: sets, and so only partly ordered.
//!
//! | flavour | a transaction | text |
//! | --- | --- | --- |
//! | MySQL | server UUID, optional tag (8.3 and later), number | `UUID:1-5:7:tag:1-3,...`, as `gtid_executed` prints it |
//! | MariaDB | domain, server id, number that rises over the whole domain | `0-1-15,0-2-20`, as `gtid_binlog_state` prints it, or ours |
//!
//! MariaDB's own text names only the last number of each server, and is read as a history: up to 15 by server 1, from 16 to 20 by server
//! 2. If a server wrote in two runs, the text tells only of its last, and the history read from it claims too much for the next server; the
//! error is to the safe side, because a set read so *contains less* of the truth: a member may be called diverged that is not, never the reverse.
//! What is exact is written in the form `0-1:1-15:21-25,0-2:16-20`, which is also what we store.

mod intervals;
mod mariadb;
mod mysql;

use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;

use intervals::Sources;
use mariadb::MariaDbSource;
use mysql::MySqlSource;

/// Which server it is. Their GTIDs cannot be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// MariaDB 10.11 and later.
    MariaDb,
    /// MySQL 8.4 and later.
    MySql,
}

/// A set of transactions of one flavour.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct GtidSet(Flavoured);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Flavoured {
    MariaDb(Sources<MariaDbSource>),
    MySql(Sources<MySqlSource>),
}

/// Text that is not a GTID set: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The piece of the text that is wrong.
    pub piece: String,
    /// What should stand there.
    pub expected: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read GTID set: found `{}`, expected {}", self.piece, self.expected)
    }
}

impl core::error::Error for ParseError {}

impl ParseError {
    fn new(piece: &str, expected: &'static str) -> ParseError {
        ParseError { piece: piece.into(), expected }
    }
}

impl GtidSet {
    /// The set without transactions.
    pub fn empty(flavour: Flavour) -> GtidSet {
        GtidSet(match flavour {
            Flavour::MariaDb => Flavoured::MariaDb(Sources::default()),
            Flavour::MySql => Flavoured::MySql(Sources::default()),
        })
    }

    /// Reads what [`Display`](fmt::Display) prints, or what the server prints.
    ///
    /// # Errors
    /// [`ParseError`] for anything else; white space around pieces is allowed, as MySQL breaks lines.
    pub fn parse(flavour: Flavour, text: &str) -> Result<GtidSet, ParseError> {
        Ok(GtidSet(match flavour {
            Flavour::MariaDb => Flavoured::MariaDb(mariadb::parse(text)?),
            Flavour::MySql => Flavoured::MySql(mysql::parse(text)?),
        }))
    }

    /// Whose GTIDs they are.
    pub fn flavour(&self) -> Flavour {
        match self.0 {
            Flavoured::MariaDb(_) => Flavour::MariaDb,
            Flavoured::MySql(_) => Flavour::MySql,
        }
    }

    /// Whether no transaction is in it.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Flavoured::MariaDb(set) => set.is_empty(),
            Flavoured::MySql(set) => set.is_empty(),
        }
    }

    /// How many transactions are in it.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Flavoured::MariaDb(set) => set.count(),
            Flavoured::MySql(set) => set.count(),
        }
    }

    /// Whether every transaction of `other` is also in this set. Sets of different flavours have nothing in common.
    pub fn contains(&self, other: &GtidSet) -> bool {
        match (&self.0, &other.0) {
            (Flavoured::MariaDb(ours), Flavoured::MariaDb(theirs)) => ours.contains(theirs),
            (Flavoured::MySql(ours), Flavoured::MySql(theirs)) => ours.contains(theirs),
            (Flavoured::MariaDb(_), Flavoured::MySql(_)) | (Flavoured::MySql(_), Flavoured::MariaDb(_)) => {
                other.is_empty()
            }
        }
    }

    /// What is in either; `None` if the flavours differ.
    pub fn union(&self, other: &GtidSet) -> Option<GtidSet> {
        Some(GtidSet(match (&self.0, &other.0) {
            (Flavoured::MariaDb(ours), Flavoured::MariaDb(theirs)) => {
                let mut both = ours.clone();
                both.union(theirs);
                Flavoured::MariaDb(both)
            }
            (Flavoured::MySql(ours), Flavoured::MySql(theirs)) => {
                let mut both = ours.clone();
                both.union(theirs);
                Flavoured::MySql(both)
            }
            (Flavoured::MariaDb(_), Flavoured::MySql(_)) | (Flavoured::MySql(_), Flavoured::MariaDb(_)) => return None,
        }))
    }

    /// What is in this set and not in `other`. From a set of another flavour nothing is taken away.
    #[must_use]
    pub fn subtract(&self, other: &GtidSet) -> GtidSet {
        match (&self.0, &other.0) {
            (Flavoured::MariaDb(ours), Flavoured::MariaDb(theirs)) => {
                GtidSet(Flavoured::MariaDb(ours.subtract(theirs)))
            }
            (Flavoured::MySql(ours), Flavoured::MySql(theirs)) => GtidSet(Flavoured::MySql(ours.subtract(theirs))),
            (Flavoured::MariaDb(_), Flavoured::MySql(_)) | (Flavoured::MySql(_), Flavoured::MariaDb(_)) => self.clone(),
        }
    }

    /// Adds transaction `number` of a MySQL server, or `None`-tagged of it; a MariaDB set stays as it is.
    pub fn insert_mysql(&mut self, uuid: u128, number: u64) {
        if let Flavoured::MySql(set) = &mut self.0 {
            set.insert(&MySqlSource { uuid, tag: None }, number, number);
        }
    }

    /// Adds transaction `domain-server-number` to a MariaDB set; a MySQL set stays as it is.
    pub fn insert_mariadb(&mut self, domain: u32, server: u32, number: u64) {
        if let Flavoured::MariaDb(set) = &mut self.0 {
            set.insert(&MariaDbSource { domain, server }, number, number);
        }
    }
}

/// Inclusion. `None` is a reason of its own: neither contains the other, the histories have diverged.
impl PartialOrd for GtidSet {
    fn partial_cmp(&self, other: &GtidSet) -> Option<Ordering> {
        match (self.contains(other), other.contains(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Flavoured::MariaDb(set) => mariadb::print(set, f),
            Flavoured::MySql(set) => mysql::print(set, f),
        }
    }
}

impl fmt::Debug for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Prints `:first-last` of each interval, and `:number` of an interval of one.
fn print_intervals(intervals: &intervals::Intervals, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (first, last) in intervals.iter() {
        if first == last {
            write!(f, ":{first}")?;
        } else {
            write!(f, ":{first}-{last}")?;
        }
    }
    Ok(())
}

/// A transaction's number: from 1 to what fits a signed 64-bit number, as both servers count.
fn parse_number(piece: &str) -> Option<u64> {
    let digits = !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_digit());
    piece.parse().ok().filter(|number| digits && (1..=i64::MAX as u64).contains(number))
}

/// `5` or `1-5`. MySQL allows an interval whose end lies before its start, and takes it as empty; we do too.
fn parse_interval(piece: &str) -> Option<(u64, u64)> {
    match piece.split_once('-') {
        Some((first, last)) => Some((parse_number(first.trim())?, parse_number(last.trim())?)),
        None => parse_number(piece).map(|number| (number, number)),
    }
}
