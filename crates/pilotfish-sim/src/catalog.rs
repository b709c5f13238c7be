//! The model of the catalog: one lease, votes, records and orders, changed by check-and-set, read consistently, away at times.

use std::collections::BTreeMap;
use std::rc::Rc;

use pilotfish_autopilot::{Lease, MemberId, MemberRecord, Seat, Switchover, Term, Vote};

/// What a consistent read returns. Cheap to copy: nothing in it changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Rises with every change of anything.
    pub index: u64,
    /// The lease and its `ModifyIndex`.
    pub lease: Option<(Rc<Lease>, u64)>,
    /// Votes by term and seat, the first for each.
    pub votes: Rc<BTreeMap<(Term, Seat), Rc<Vote>>>,
    /// Records and their indices.
    pub records: Rc<BTreeMap<MemberId, (Rc<MemberRecord>, u64)>>,
    /// What operators want.
    pub orders: Rc<CatalogOrders>,
}

/// Orders as they stand in the catalog.
#[derive(Clone, Debug, Default)]
pub(crate) struct CatalogOrders {
    /// The autopilot is paused.
    pub paused: bool,
    /// A switchover, without the time at which a member saw it.
    pub switchover: Option<Switchover>,
    /// Whose data is the truth.
    pub adopt: Option<MemberId>,
    /// Who shall lead without votes.
    pub force: Option<(MemberId, Term)>,
}

/// A write.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// Check-and-set of the lease.
    Lease {
        /// The index that it must have.
        cas: u64,
        /// The new value.
        value: Rc<Lease>,
    },
    /// Create only.
    Vote(Rc<Vote>),
    /// Check-and-set of a record.
    Record {
        /// Whose.
        member: MemberId,
        /// The index that it must have.
        cas: u64,
        /// The new value.
        record: Rc<MemberRecord>,
    },
    /// Remove an order.
    Answer(u64),
}

/// The catalog itself.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// The present state.
    pub now: Snapshot,
    /// Former states, for somebody to restore.
    pub backups: Vec<Snapshot>,
    /// How often it was wiped: no connection to a former life leads to this one.
    pub life: u32,
    /// Answers at all.
    pub reachable: bool,
    /// Has a leader.
    pub has_leader: bool,
    /// When it began to answer without a break, or stopped to, in µs.
    pub answers_since: u64,
    /// Counts its breaks: only the end of the last one ends it.
    pub outage: u64,
    /// How long the last break was, in µs.
    pub break_length: u64,
    /// For how long it has answered since the lease was last written, before the last break, in µs.
    pub answered_before: u64,
    /// When the lease was last written, in µs.
    pub lease_written: u64,
}

impl Catalog {
    /// Whether it can serve a request.
    pub(crate) fn answers(&self) -> bool {
        self.reachable && self.has_leader
    }

    /// It stops to answer.
    pub(crate) fn stops(&mut self, now: u64) {
        if self.answers() {
            self.answered_before += now - self.answers_since.max(self.lease_written);
            self.answers_since = now;
        }
        self.has_leader = false;
    }

    /// It answers again.
    pub(crate) fn returns(&mut self, now: u64) {
        if !self.answers() {
            self.break_length = now - self.answers_since;
            self.answers_since = now;
        }
        self.reachable = true;
        self.has_leader = true;
    }

    /// For how long it has answered since the lease was last written, in µs.
    pub(crate) fn answered(&self, now: u64) -> u64 {
        let since = now - self.answers_since.max(self.lease_written);
        if self.answers() { self.answered_before + since } else { self.answered_before }
    }

    /// Carries out a write. True if the check held; the index is what was written.
    pub(crate) fn write(&mut self, write: &Write, now: u64) -> (bool, u64) {
        let next = self.now.index + 1;
        let done = match write {
            Write::Lease { cas, value } => {
                let fits = self.now.lease.as_ref().map_or(0, |(_, index)| *index) == *cas;
                if fits {
                    self.now.lease = Some((value.clone(), next));
                    self.lease_written = now;
                    self.answered_before = 0;
                }
                fits
            }
            Write::Vote(vote) => {
                let key = (vote.term, vote.seat);
                let new = !self.now.votes.contains_key(&key);
                if new {
                    Rc::make_mut(&mut self.now.votes).insert(key, vote.clone());
                }
                new
            }
            Write::Record { member, cas, record } => {
                let fits = self.now.records.get(member).map_or(0, |(_, index)| *index) == *cas;
                if fits {
                    Rc::make_mut(&mut self.now.records).insert(*member, (record.clone(), next));
                }
                fits
            }
            Write::Answer(order) => {
                let known = self.now.orders.switchover.is_some_and(|switchover| switchover.id == *order);
                if known {
                    Rc::make_mut(&mut self.now.orders).switchover = None;
                }
                known
            }
        };
        if done {
            self.now.index = next;
        }
        (done, next)
    }

    /// An operator changes the orders.
    pub(crate) fn order(&mut self, change: impl FnOnce(&mut CatalogOrders)) {
        change(Rc::make_mut(&mut self.now.orders));
        self.now.index += 1;
    }

    /// Somebody restores `old`. What is written then has an index above all that ever were, as in a log that goes on: a write that was on its
    /// way finds nothing that it could take for what it was meant to replace.
    pub(crate) fn restore(&mut self, old: Snapshot) {
        let index = self.now.index + 1;
        self.now = Snapshot { index, ..old };
    }

    /// It loses everything, and counts from the beginning.
    pub(crate) fn wipe(&mut self) {
        self.now = Snapshot::default();
        self.life += 1;
    }
}
