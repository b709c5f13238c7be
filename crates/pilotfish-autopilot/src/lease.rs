//! The lease: the one value in the catalog that says who may write, and who must agree before another may.
//!
//! It is replaced as a whole by check-and-set, so everything that must hold together (holder, term, in-sync set, acks) changes together.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::time::Duration;

use crate::time::Time;

/// A member of the cluster; also its server's `server_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// A cluster's identity, drawn at random when it is initialised; every data directory carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// The identity of one copy of the data, drawn at random whenever a data directory is built. A member that lost its disk has another one, and
/// what the old one promised or held it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataId(pub u64);

/// Counts the changes of who may write. It never falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {}", self.0)
    }
}

/// How far a cluster has come: the term, and the number of the lease's last change other than a renewal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// The term.
    pub term: Term,
    /// Rises with every change of the lease, over all terms.
    pub change: u64,
}

/// A set of members, one put in after the other: these sets are small, and collecting them brings a copy of a whole sort into the binary.
pub fn set_of(members: impl Iterator<Item = MemberId>) -> BTreeSet<MemberId> {
    let mut set = BTreeSet::new();
    set.extend(members);
    set
}

/// A member with the copy of the data that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat {
    /// The member.
    pub member: MemberId,
    /// Its copy of the data.
    pub data: DataId,
}

/// Where acknowledged transactions are: **each is on the primary and on at least `acks` of `in_sync`**, at any time.
///
/// So whoever has what [`needed_votes`](Config::needed_votes) of `in_sync` have, has every acknowledged transaction; and so has `primary` itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who wrote last under it. Equal to the lease's holder once that has been established.
    pub primary: Seat,
    /// Replicas whose acknowledgement counts, with the copy of the data for which that was said.
    pub in_sync: BTreeMap<MemberId, DataId>,
    /// How many of them must have a transaction before the client gets its OK.
    pub acks: u8,
}

impl Config {
    /// How many of `in_sync` must have stopped to receive before somebody else may write: any so many share a member with any `acks` of them.
    pub fn needed_votes(&self) -> usize {
        (self.in_sync.len() + 1).saturating_sub(usize::from(self.acks))
    }

    /// Whether the set could ever provide the needed votes: with `acks` 0 only the primary itself has everything.
    pub fn can_elect(&self) -> bool {
        self.acks > 0 && usize::from(self.acks) <= self.in_sync.len()
    }

    /// Whether this copy of this member's data is in sync.
    pub fn has(&self, seat: Seat) -> bool {
        self.in_sync.get(&seat.member) == Some(&seat.data)
    }

    /// The members of the in-sync set.
    pub fn members(&self) -> BTreeSet<MemberId> {
        set_of(self.in_sync.keys().copied())
    }
}

/// Whether somebody has the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    /// The holder builds the cluster's first data directory; there is nothing yet to lose.
    Initialising,
    /// The holder has it until it has not been renewed for the lease's length.
    Held,
    /// The holder gave it up: its server has exited (`waitid` proved it).
    Released,
}

/// The value of `<service>-primary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which cluster it belongs to.
    pub cluster: ClusterId,
    /// Term and change.
    pub epoch: Epoch,
    /// Who has it, or had it.
    pub holder: MemberId,
    /// Whether it is held.
    pub state: LeaseState,
    /// Who has what was acknowledged.
    pub config: Config,
    /// An operator forced the holder to be primary: it may be open with fewer in-sync replicas than the floor, until it has had enough.
    pub alone: bool,
    /// An operator made a term without the votes, and not all members have been in sync since: what others have beyond it may have been
    /// acknowledged, and is exported, never dropped.
    pub forced: bool,
    /// Counts renewals, so that a renewal is a change of the value: catalogs may not count one that changes nothing.
    pub beat: u64,
}

impl Lease {
    /// Whether the holder has made the config its own: only then may it be writable.
    pub fn is_established(&self) -> bool {
        self.state == LeaseState::Held && self.config.primary.member == self.holder
    }
}

/// For how long the lease has not changed, on this member's clock, *counting only time in which the catalog answered with a leader*: while it
/// could not answer, the holder could not renew. After a longer silence counting begins anew, so the holder has one whole lease to renew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseClock {
    index: Option<u64>,
    counted: Duration,
    answered: Time,
    failed: bool,
}

impl LeaseClock {
    /// The catalog answered, with a leader, that the lease's index is `index` (0: there is none).
    ///
    /// Between two answers at most `longest_gap` apart, with no failure between them, the catalog is taken to have answered throughout.
    pub fn answered(&mut self, now: Time, index: u64, longest_gap: Duration) {
        let gap = now.since(self.answered);
        if self.index != Some(index) || gap > longest_gap {
            self.counted = Duration::ZERO;
        } else if !self.failed {
            self.counted = self.counted.saturating_add(gap);
        }
        self.index = Some(index);
        self.answered = now;
        self.failed = false;
    }

    /// The catalog did not answer, or without a leader: the time since its last answer does not count.
    pub fn failed(&mut self) {
        self.failed = true;
    }

    /// The time counted until the catalog's last answer. What passed since then is not known to count.
    pub fn unchanged(&self) -> Duration {
        self.counted
    }
}
