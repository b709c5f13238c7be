//! The judge of writes of the lease.

use super::{Judge, Objection};
use crate::act::LeaseChange;
use crate::gtid::GtidSet;
use crate::lease::{Config, Lease, LeaseState, MemberId, Seat};
use crate::policy::Durability;
use crate::record::Mode;
use crate::view::{Access, Acking, Data, LeaseFact, Server};

impl Judge<'_> {
    pub(super) fn lease_write(&mut self, cas: u64, change: LeaseChange, value: &Lease) {
        let index = match &self.view.lease {
            LeaseFact::Unknown => None,
            LeaseFact::Absent => Some(0),
            LeaseFact::Present { index, .. } => Some(*index),
        };
        self.demand(index == Some(cas), Objection::StaleIndex);
        match self.lease_value() {
            None => self.without_former(change, value),
            Some(former) => self.with_former(change, former, value),
        }
    }

    fn without_former(&mut self, change: LeaseChange, value: &Lease) {
        match change {
            LeaseChange::Create => {
                self.demand(value.state == LeaseState::Initialising, Objection::ChangesTooMuch);
                self.begin();
            }
            LeaseChange::Adopt => self.adopt(value),
            LeaseChange::Renew
            | LeaseChange::Take
            | LeaseChange::Retake
            | LeaseChange::Force
            | LeaseChange::Reassert
            | LeaseChange::Establish
            | LeaseChange::Join(_)
            | LeaseChange::Leave(_)
            | LeaseChange::Acks(_)
            | LeaseChange::HandOver(_)
            | LeaseChange::Release => self.objections.push(Objection::NotHeld),
        }
    }

    /// Nothing is there that could be of another cluster, and nothing is on its way.
    fn begin(&mut self) {
        let nothing = matches!(self.view.data, Data::Empty | Data::Partial) && self.view.busy.server.is_none();
        self.demand(nothing, Objection::NotOursToInitialise);
    }

    fn adopt(&mut self, value: &Lease) {
        self.demand(self.view.orders.adopt == Some(self.view.me), Objection::NotOrdered);
        let seen = self.view.identity().map(|identity| identity.seen.term.max(identity.promise));
        self.demand(seen.is_some_and(|seen| value.epoch.term > seen), Objection::WrongEpoch);
    }

    fn with_former(&mut self, change: LeaseChange, former: &Lease, value: &Lease) {
        if !matches!(change, LeaseChange::Create | LeaseChange::Adopt | LeaseChange::Reassert) {
            self.demand(value.cluster == former.cluster, Objection::ChangesTooMuch);
            let step = u64::from(change != LeaseChange::Renew);
            self.demand(value.epoch.change == former.epoch.change + step, Objection::WrongEpoch);
            self.demand(value.epoch.term >= former.epoch.term, Objection::WrongEpoch);
        }
        match change {
            LeaseChange::Create => {
                self.demand(former.state == LeaseState::Initialising, Objection::NotOursToInitialise);
                self.begin();
                self.demand(value.epoch.term > former.epoch.term, Objection::WrongEpoch);
            }
            LeaseChange::Adopt => self.adopt(value),
            LeaseChange::Reassert => {
                let newest = self.view.holding.as_ref().map(|holding| holding.lease.epoch);
                let seen = self.view.identity().map(|identity| identity.seen);
                let behind = seen.is_some_and(|seen| former.epoch < seen && newest == Some(seen));
                self.demand(behind, Objection::NotHeld);
            }
            LeaseChange::Renew => self.renew(former, value),
            LeaseChange::Take => self.take(former, value),
            LeaseChange::Retake => self.retake(former, value),
            LeaseChange::Force => {
                let ordered = self.view.orders.force == Some((self.view.me, value.epoch.term));
                self.demand(ordered, Objection::NotOrdered);
            }
            LeaseChange::Establish => self.establish(former, value),
            LeaseChange::Release => self.release(former, value),
            LeaseChange::Join(_) | LeaseChange::Leave(_) | LeaseChange::Acks(_) | LeaseChange::HandOver(_) => {
                self.reconfigure(change, former, value);
            }
        }
    }

    fn renew(&mut self, former: &Lease, value: &Lease) {
        let same = Lease { beat: former.beat, ..value.clone() } == *former;
        self.demand(same, Objection::ChangesTooMuch);
        self.demand(self.holds(former.epoch.term), Objection::NotHeld);
        let end = self.view.holding.as_ref().map(|holding| holding.sent.after(self.policy.ttl));
        self.demand(end.is_some_and(|end| self.now < end), Objection::TooLate);
        let gone = former.state == LeaseState::Held && matches!(self.view.server, Server::Stopped);
        self.demand(!gone || self.view.orders.paused, Objection::ServerNotStopped);
    }

    fn take(&mut self, former: &Lease, value: &Lease) {
        self.demand(self.is_free(), Objection::NotFree);
        self.demand(value.epoch.term == former.epoch.term.next(), Objection::WrongEpoch);
        self.demand(value.config == former.config, Objection::ChangesTooMuch);
        let received = self.running().map(|facts| &facts.received);
        let enough = received.is_some_and(|received| self.elected(&former.config, value.epoch.term, received));
        self.demand(enough, Objection::VotesMissing);
    }

    /// Counts votes that add nothing to `ours`, of seats in the set; without durability one's own will do.
    fn elected(&self, config: &Config, term: crate::lease::Term, ours: &GtidSet) -> bool {
        if self.policy.durability == Durability::Async {
            return true;
        }
        let counted = config.in_sync.iter().filter(|(member, data)| {
            self.view.votes.iter().any(|vote| {
                vote.term == term
                    && vote.seat == Seat { member: **member, data: **data }
                    && vote.received.subtract(ours).is_empty()
            })
        });
        let in_it = self.own_seat().is_some_and(|seat| config.in_sync.get(&seat.member) == Some(&seat.data));
        let possible = config.acks > 0 && usize::from(config.acks) <= config.in_sync.len();
        in_it && possible && counted.count() + usize::from(config.acks) > config.in_sync.len()
    }

    fn retake(&mut self, former: &Lease, value: &Lease) {
        let initialising = former.state == LeaseState::Initialising && former.holder == self.view.me;
        self.demand(Some(former.config.primary) == self.own_seat() || initialising, Objection::NotLast);
        self.demand(former.holder == self.view.me || self.is_free(), Objection::NotFree);
        self.demand(value.epoch.term > former.epoch.term, Objection::WrongEpoch);
        self.demand(value.config == former.config, Objection::ChangesTooMuch);
    }

    fn establish(&mut self, former: &Lease, value: &Lease) {
        self.demand(self.holds(former.epoch.term), Objection::NotHeld);
        self.demand(Some(value.config.primary) == self.own_seat(), Objection::NotLast);
        if former.state == LeaseState::Initialising {
            return self.demand(value.config.in_sync.is_empty() && value.config.acks == 0, Objection::ChangesTooMuch);
        }
        let Some(facts) = self.running() else { return self.objections.push(Objection::NotDrained) };
        self.demand(facts.received.subtract(&facts.executed).is_empty(), Objection::NotDrained);
        self.demand(self.elected(&former.config, former.epoch.term, &facts.executed), Objection::VotesMissing);
        self.demand(
            self.held_by(former, &value.config, &facts.executed) >= value.config.acks,
            Objection::HoldersMissing,
        );
        let closed = facts.access == Access::ReadOnly;
        self.demand(closed || value.config.in_sync.len() >= self.least(former), Objection::BelowFloor);
    }

    pub(super) fn least(&self, lease: &Lease) -> usize {
        if lease.alone { 0 } else { self.policy.floor(self.view.records.len()) }
    }

    /// How many of a config's seats are known to have all of `position` for good. What is only received counts if the seat is in sync by `lease`,
    /// and so will not be thrown away.
    fn held_by(&self, lease: &Lease, config: &Config, position: &GtidSet) -> u8 {
        let has = |set: &Option<GtidSet>| set.as_ref().is_some_and(|set| position.subtract(set).is_empty());
        let counted = config.in_sync.iter().filter(|(member, data)| {
            self.view.records.get(member).is_some_and(|record| {
                let kept = record.seen.term == lease.epoch.term
                    && lease.config.in_sync.get(member) == Some(*data)
                    && record
                        .following
                        .is_some_and(|following| following.mode == Mode::Acking && following.source == lease.holder);
                record.data.map(|(_, data)| data) == Some(**data)
                    && (has(&record.executed) || kept && has(&record.received))
            })
        });
        u8::try_from(counted.count()).unwrap_or(u8::MAX)
    }

    fn release(&mut self, former: &Lease, value: &Lease) {
        self.demand(former.holder == self.view.me, Objection::NotHeld);
        self.demand(value.config == former.config && value.epoch.term == former.epoch.term, Objection::ChangesTooMuch);
        let closed = self.running().is_some_and(|facts| facts.access == Access::ReadOnly);
        let claimed_only = Some(former.config.primary) != self.own_seat() && closed;
        self.demand(claimed_only || matches!(self.view.server, Server::Stopped), Objection::ServerNotStopped);
    }

    fn reconfigure(&mut self, change: LeaseChange, former: &Lease, value: &Lease) {
        self.demand(self.holds(former.epoch.term), Objection::NotHeld);
        self.demand(Some(former.config.primary) == self.own_seat(), Objection::NotEstablished);
        self.demand(self.view.pending.is_none(), Objection::InDoubt);
        let Some(facts) = self.running() else { return self.objections.push(Objection::ServerNotStopped) };
        let mut expected = former.config.clone();
        match change {
            LeaseChange::Join(member) => {
                if let Some(data) = value.config.in_sync.get(&member) {
                    expected.in_sync.insert(member, *data);
                }
                self.demand(
                    !former.config.in_sync.contains_key(&member) && member != self.view.me,
                    Objection::ChangesTooMuch,
                );
            }
            LeaseChange::Leave(member) => {
                expected.in_sync.remove(&member);
                self.leave(member, former, &expected);
            }
            LeaseChange::Acks(acks) => {
                expected.acks = acks;
                let more = acks > former.config.acks;
                self.demand(!more || facts.acks >= acks, Objection::TooFewAcks);
                let held = self.held_by(former, &former.config, &facts.settled);
                self.demand(!more || held >= acks, Objection::HoldersMissing);
                let durable = self.policy.durability == Durability::Quorum && self.least(former) > 0;
                self.demand(!durable || acks > 0 || facts.acks > 0, Objection::BelowFloor);
            }
            LeaseChange::HandOver(to) => return self.hand_over(to, former, value),
            LeaseChange::Create
            | LeaseChange::Renew
            | LeaseChange::Take
            | LeaseChange::Retake
            | LeaseChange::Force
            | LeaseChange::Adopt
            | LeaseChange::Reassert
            | LeaseChange::Establish
            | LeaseChange::Release => {}
        }
        self.demand(value.config == expected && value.epoch.term == former.epoch.term, Objection::ChangesTooMuch);
    }

    fn leave(&mut self, member: MemberId, former: &Lease, rest: &Config) {
        let Some(facts) = self.running() else { return };
        let cut = !facts.gate.contains(&member) && facts.acking.get(&member) != Some(&Acking::Connected);
        self.demand(cut, Objection::NotCut);
        self.demand(self.held_by(former, rest, &facts.settled) >= rest.acks, Objection::HoldersMissing);
        let waits = rest.acks == 0 && facts.acks > 0;
        self.demand(waits || rest.in_sync.len() >= self.least(former), Objection::BelowFloor);
    }

    fn hand_over(&mut self, to: MemberId, former: &Lease, value: &Lease) {
        let Some(facts) = self.running() else { return };
        let ours = self.view.busy.beat || self.view.busy.release;
        let quiet = facts.waiting_since.is_none() && !ours;
        self.demand(facts.access == Access::ReadOnly && quiet, Objection::TakesWrites);
        self.demand(value.epoch.term == former.epoch.term.next(), Objection::WrongEpoch);
        self.demand(value.holder == to && value.config.primary.member == to, Objection::ChangesTooMuch);
        let all = |seat: &Seat| {
            self.view.records.get(&seat.member).is_some_and(|record| {
                record.data.map(|(_, data)| data) == Some(seat.data)
                    && record.executed.as_ref().is_some_and(|set| facts.executed.subtract(set).is_empty())
            })
        };
        let target = all(&value.config.primary);
        self.demand(target, Objection::HoldersMissing);
        let ours = self.own_seat().is_some_and(|seat| value.config.in_sync.get(&seat.member) == Some(&seat.data));
        let others = self.held_by(former, &value.config, &facts.executed);
        self.demand(others.saturating_add(u8::from(ours)) >= value.config.acks, Objection::HoldersMissing);
    }
}
