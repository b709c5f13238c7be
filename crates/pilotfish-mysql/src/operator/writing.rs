//! Writing to the catalog: the lease by check-and-set, records, votes, answers to orders.

use pilotfish_autopilot::{
    Act, Holding, Lease, LeaseChange, LeaseState, MemberRecord, OrderOutcome, PendingWrite, Role, Time, Vote,
};
use pilotfish_consul::Error as CatalogError;

use super::fact::Fact;
use super::{Level, Operator, clock};
use crate::catalog::OrderKey;
use crate::error::Error;
use crate::task::beside;

/// A write of the lease under way, or one of which nobody knows what became of it.
pub(super) struct Writing {
    /// The index that it names.
    pub(super) cas: u64,
    change: LeaseChange,
    pub(super) value: Lease,
    /// When this value was first sent: a repetition after an error is the same write to whoever reads it.
    pub(super) first_sent: Time,
}

impl Writing {
    /// The next attempt after another, if that failed.
    fn new(cas: u64, change: LeaseChange, value: Lease, now: Time, failed: Option<Writing>) -> Writing {
        let same = failed.filter(|failed| failed.cas == cas && failed.value == value);
        Writing { cas, change, value, first_sent: same.map_or(now, |failed| failed.first_sent) }
    }
}

impl Operator {
    pub(super) fn write_lease(&mut self, now: Time, cas: u64, change: LeaseChange, value: Box<Lease>) {
        self.view.busy.lease = true;
        self.view.lease_tried = Some(now);
        if change != LeaseChange::Renew {
            self.view.pending = Some(PendingWrite { cas, change, value: (*value).clone() });
        }
        match change {
            LeaseChange::Create => self.view.nonce = clock::random(),
            LeaseChange::Take | LeaseChange::Retake | LeaseChange::Force => self.count("take-overs"),
            LeaseChange::HandOver(_) => self.count("switchovers"),
            LeaseChange::Renew
            | LeaseChange::Adopt
            | LeaseChange::Reassert
            | LeaseChange::Establish
            | LeaseChange::Join(_)
            | LeaseChange::Leave(_)
            | LeaseChange::Acks(_)
            | LeaseChange::Release => {}
        }
        self.writing = Some(Writing::new(cas, change, (*value).clone(), now, self.doubtful.take()));
        let (board, facts) = (self.board.clone(), self.facts.clone());
        beside(async move {
            let outcome = board.write_lease(cas, &value).await;
            let _ = facts.send(Fact::LeaseWritten { sent: now, outcome });
        });
    }

    pub(super) fn lease_was_written(&mut self, sent: Time, outcome: Result<Option<u64>, Error>) {
        self.view.busy.lease = false;
        let Some(writing) = self.writing.take() else { return };
        let now = clock::now();
        let index = match outcome {
            Ok(index) => index,
            Err(error) => {
                // Whether it was written is not known, and it may still be.
                self.doubtful = Some(writing);
                self.catalog_failed(&error);
                if let Error::Catalog(CatalogError::Timeout { .. } | CatalogError::Unreachable { .. }) = error {
                    self.read_anew();
                }
                return;
            }
        };
        self.catalog_answered();
        self.told.tried = None;
        self.reading.lease_answered = now;
        let Some(index) = index else {
            // Perhaps it was we, by a write that is in doubt: it stays so until the lease is read.
            (self.log)(Level::Info, "the lease was changed before");
            // By an earlier attempt of ours, perhaps: the next reading tells.
            self.doubtful = Some(writing).filter(|writing| writing.first_sent < sent);
            return;
        };
        let Writing { change, value, .. } = writing;
        // What names the index before can no longer happen.
        self.view.pending = None;
        self.view.lease_tried = None;
        self.hold(now, &value, sent);
        self.view.lease_clock.answered(now, index, self.policy.longest_gap());
        self.note_change(change, &value);
        self.view.lease_was_written(value, index, now);
        self.ask_source();
    }

    /// The lease is what we wrote. Also told by a reading that was quicker than the answer: then it is not somebody else's.
    pub(super) fn hold(&mut self, now: Time, value: &Lease, sent: Time) {
        if value.holder == self.view.me {
            let former = self.view.holding.take().filter(|held| held.lease.epoch.term == value.epoch.term);
            let since = former.map_or(now, |held| held.since);
            self.view.holding = Some(Holding { lease: value.clone(), sent, since });
        }
    }

    fn note_change(&mut self, change: LeaseChange, value: &Lease) {
        let now = clock::now();
        match change {
            LeaseChange::Renew => return,
            LeaseChange::Take | LeaseChange::Retake | LeaseChange::Force => self.phase("taken"),
            LeaseChange::Establish => self.phase("established"),
            LeaseChange::Adopt => self.remove_order(OrderKey::Adopt),
            LeaseChange::Create
            | LeaseChange::Reassert
            | LeaseChange::Join(_)
            | LeaseChange::Leave(_)
            | LeaseChange::Acks(_)
            | LeaseChange::HandOver(_)
            | LeaseChange::Release => {}
        }
        if change == LeaseChange::Force {
            self.remove_order(OrderKey::Force);
        }
        if change == LeaseChange::Establish {
            self.count("promotions");
            let (board, term) = (self.board.clone(), value.epoch.term);
            // Votes of terms that are over are of no use to anybody; if it fails, the next primary tidies up.
            beside(async move {
                let _ = board.forget_votes_below(term).await;
            });
        }
        if value.state != LeaseState::Initialising {
            self.watching.heat(now);
        }
    }

    pub(super) fn publish_vote(&mut self, vote: Box<Vote>) {
        // The promise is on disk before anybody hears of it.
        if let Err(error) = self.disk.promise(vote.term) {
            (self.log)(Level::Error, &format!("cannot keep a promise, so no vote: {error}"));
            return self.pause_catalog();
        }
        self.read_disk();
        self.phase("voted");
        self.view.busy.catalog = true;
        let (board, facts) = (self.board.clone(), self.facts.clone());
        beside(async move {
            let outcome = board.publish_vote(&vote).await;
            let _ = facts.send(Fact::VoteWritten { vote, outcome });
        });
    }

    pub(super) fn vote_was_written(&mut self, vote: Vote, outcome: Result<bool, Error>) {
        self.view.busy.catalog = false;
        match outcome {
            Ok(true) => {
                self.catalog_answered();
                let same = |known: &&Vote| known.seat == vote.seat && known.term == vote.term;
                if !self.view.votes.iter().any(|known| same(&known)) {
                    self.view.votes.push(vote);
                }
            }
            // One of ours is there already; the next snapshot shows it.
            Ok(false) => self.pause_catalog(),
            Err(error) => self.catalog_failed(&error),
        }
    }

    pub(super) fn publish_record(&mut self, now: Time, record: Box<MemberRecord>) {
        self.view.reported = Some(now);
        self.view.busy.catalog = true;
        let (board, facts, contact) = (self.board.clone(), self.facts.clone(), self.contact.clone());
        let (me, cas) = (self.view.me, self.reading.record_index);
        beside(async move {
            let outcome = board.publish_record(me, cas, &record, &contact).await;
            let _ = facts.send(Fact::RecordWritten { record, outcome });
        });
    }

    pub(super) fn record_was_written(&mut self, record: MemberRecord, outcome: Result<Option<u64>, Error>) {
        self.view.busy.catalog = false;
        match outcome {
            Ok(Some(index)) => {
                self.catalog_answered();
                self.reading.record_index = index;
                self.view.records.insert(self.view.me, record);
                self.reading.contacts.insert(self.view.me, self.contact.clone());
            }
            // Our own from an earlier run; the next snapshot has its index.
            Ok(None) => self.pause_catalog(),
            Err(error) => self.catalog_failed(&error),
        }
    }

    /// Answers an order: what became of it is told, and it is removed.
    pub(super) fn answer_order(&mut self, outcome: OrderOutcome) {
        let text = match outcome {
            OrderOutcome::Done => "the switchover is over: the term has changed",
            OrderOutcome::RolledBack => "the switchover took too long; all is as it was before",
        };
        (self.log)(Level::Info, text);
        self.view.busy.catalog = true;
        self.remove_order(OrderKey::Switchover);
    }

    pub(super) fn remove_order(&mut self, key: OrderKey) {
        let (board, facts) = (self.board.clone(), self.facts.clone());
        beside(async move {
            let outcome = board.remove_order(key).await;
            let _ = facts.send(Fact::OrderRemoved { key, outcome });
        });
    }

    pub(super) fn order_was_removed(&mut self, key: OrderKey, outcome: Result<(), Error>) {
        if key == OrderKey::Switchover {
            self.view.busy.catalog = false;
        }
        match outcome {
            Ok(()) if key == OrderKey::Switchover => self.view.orders.switchover = None,
            Ok(()) => {}
            Err(error) => self.catalog_failed(&error),
        }
    }

    pub(super) fn register(&mut self, role: Role) {
        self.view.registered = Some(role);
        if role == Role::Primary {
            self.phase("registered");
        }
        self.tell_health();
    }

    /// Something was refused that the next answer of the catalog explains: until then the lane stays as it is.
    fn pause_catalog(&mut self) {
        self.reading.again = Some(clock::now());
        self.view.reported = Some(clock::now());
    }

    pub(super) fn carry_out_in_catalog(&mut self, now: Time, act: Act) {
        match act {
            Act::PublishVote { vote } => self.publish_vote(vote),
            Act::PublishRecord { record } => self.publish_record(now, record),
            Act::Register { role } => self.register(role),
            Act::Answer { outcome, .. } => self.answer_order(outcome),
            Act::Wait
            | Act::StartServer { .. }
            | Act::FenceServer
            | Act::StopServer
            | Act::InitialiseCluster { .. }
            | Act::Condemn { .. }
            | Act::Rebuild { .. }
            | Act::Remember { .. }
            | Act::WriteLease { .. }
            | Act::StopReceiver { .. }
            | Act::Drain { .. }
            | Act::Attach { .. }
            | Act::SetGate { .. }
            | Act::SetAcks { .. }
            | Act::Open { .. }
            | Act::Close { .. }
            | Act::Beat { .. }
            | Act::Release { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use pilotfish_autopilot::{ClusterId, Config, DataId, Epoch, MemberId, Seat};

    use super::*;

    /// Consul may have done it the first time, and a lease that is read tells nothing of when: its length must not count from a repetition.
    #[test]
    fn a_repetition_is_as_old_as_the_first_attempt() {
        let seat = Seat { member: MemberId(1), data: DataId(7) };
        let lease = Lease {
            cluster: ClusterId(1),
            epoch: Epoch::default(),
            holder: seat.member,
            state: LeaseState::Held,
            config: Config { primary: seat, in_sync: Default::default(), acks: 0 },
            alone: false,
            forced: false,
            beat: 4,
        };
        let at = |millis| Time::default().after(std::time::Duration::from_millis(millis));
        let attempt = |now, cas, beat, failed| {
            Writing::new(cas, LeaseChange::Renew, Lease { beat, ..lease.clone() }, at(now), failed)
        };
        let first = attempt(1000, 10, 4, None);
        let second = attempt(1500, 10, 4, Some(first));
        assert_eq!(second.first_sent, at(1000));
        let third = attempt(1750, 10, 4, Some(second));
        assert_eq!(third.first_sent, at(1000));
        // Another value, or after another: it cannot have been written before.
        assert_eq!(attempt(2000, 10, 5, Some(attempt(1750, 10, 4, None))).first_sent, at(2000));
        assert_eq!(attempt(2000, 11, 4, Some(third)).first_sent, at(2000));
    }
}
