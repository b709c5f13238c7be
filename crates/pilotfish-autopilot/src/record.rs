//! What members tell each other: records and votes.

use crate::gtid::GtidSet;
use crate::lease::{ClusterId, DataId, Epoch, MemberId, Seat, Term};

/// What a member says of itself. Each member writes only its own, by check-and-set, so that a delayed older one cannot replace a newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// The member's copy of the data; `None` if there is none of use.
    pub data: Option<(ClusterId, DataId)>,
    /// The last epoch that it saw, when it said this.
    pub seen: Epoch,
    /// The highest term that it voted for.
    pub promise: Term,
    /// What its server has applied, or written itself.
    pub executed: Option<GtidSet>,
    /// What its server has applied or holds in its relay log.
    pub received: Option<GtidSet>,
    /// Whom it follows, if it is connected.
    pub following: Option<Following>,
    /// What keeps it from being in sync or candidate, if anything.
    pub ailment: Option<Ailment>,
    /// It may become primary.
    pub may_lead: bool,
    /// Its supervisor is to stop, and it does not hold the lease.
    pub leaving: bool,
}

impl MemberRecord {
    /// The cluster of its data, if that was ever part of one.
    pub fn used(&self) -> Option<ClusterId> {
        self.data.filter(|_| self.seen > Epoch::default()).map(|(cluster, _)| cluster)
    }
}

/// A replica's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// The source.
    pub source: MemberId,
    /// Whether it acknowledges.
    pub mode: Mode,
}

/// How a replica is attached.
///
/// Each mode has its account, and the primary locks those of members that are not in sync: a server that reconnects by itself, long after
/// its supervisor was stopped or the set has shrunk, cannot acknowledge what it is not asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Semi-synchronous replication is on: what it receives it acknowledges.
    Acking,
    /// It only receives.
    Plain,
}

/// Why a member cannot be in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ailment {
    /// Its applier has stopped with an error.
    ApplierStopped,
    /// It has transactions that the primary does not have.
    Errant,
    /// What it needs next is no longer in the primary's binary log.
    Purged,
}

/// A promise: never again to receive from a primary of a lower term; with what had been received until then. Written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who promises.
    pub seat: Seat,
    /// For which term.
    pub term: Term,
    /// What it has, applied or in the relay log, without what it knows to be errant.
    pub received: GtidSet,
}
