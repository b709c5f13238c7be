//! The established holder: open, and keep the in-sync set and the number of acks what the replicas allow.
//!
//! Four moves, one at a time, each keeping "every acknowledged transaction is on `acks` of `in_sync`" true before and after:
//!
//! | move | before the write of the lease | after it |
//! | --- | --- | --- |
//! | join | nothing: more members do not make fewer holders | its account is unlocked, it acknowledges |
//! | leave | its account is locked and its connection gone; then `acks` of the others have all that we had at that moment | – |
//! | more acks | the server asks for more; then so many have all that we had at that moment | – |
//! | fewer acks | nothing | the server asks for fewer |
//!
//! A write whose outcome is not known counts as both done and not done, until the lease's index is another.

use alloc::collections::BTreeSet;

use super::{LAST_RESORT, Mind, Step, is_drained};
use crate::act::{Act, LeaseChange};
use crate::lease::{Lease, MemberId, Seat, Term, set_of};
use crate::record::{Following, MemberRecord, Mode};
use crate::view::{Access, Acking, Receiver, ServerFacts};
use crate::why::Why;

impl Mind<'_> {
    pub(super) fn lead(&self, lease: &Lease, index: u64) -> Step {
        let Some(facts) = self.view.facts() else { return Step::Wait(Why::ServerUnknown, None) };
        if let Some(promise) = self.highest_promise(lease) {
            return self.write(
                lease,
                index,
                LeaseChange::Retake,
                Why::PromisedMore { promise, term: lease.epoch.term },
                |value| {
                    value.epoch.term = promise;
                },
            );
        }
        if let Some(step) = self.switchover(lease, index, facts) {
            return step;
        }
        if let Some(step) = self.prepare(lease, facts) {
            return step;
        }
        match facts.access {
            Access::Writable => self.resize(lease, index, facts),
            Access::Unknown => Step::Wait(Why::ServerUnknown, None),
            Access::ReadOnly => self.open(lease, index, facts),
        }
    }

    /// Members that voted while the lease looked free will not follow a lower term: then our term must rise, which nobody else can object to,
    /// since we have everything.
    fn highest_promise(&self, lease: &Lease) -> Option<Term> {
        let records = self
            .view
            .records
            .iter()
            .filter(|(_, record)| record.data.is_some_and(|(cluster, _)| cluster == lease.cluster));
        let votes = self.view.votes.iter().filter(|vote| lease.config.has(vote.seat)).map(|vote| vote.term);
        // Who has seen more than this lease, before the catalog went back, waits for a higher term as well.
        let bound = |record: &MemberRecord| match record.seen > lease.epoch {
            true => record.promise.max(record.seen.term.next()),
            false => record.promise,
        };
        let highest = records.map(|(_, record)| bound(record)).chain(votes).max()?;
        (highest > lease.epoch.term).then_some(highest)
    }

    /// What must be so before and while the server takes writes: nothing received, the gate, the acks.
    fn prepare(&self, lease: &Lease, facts: &ServerFacts) -> Option<Step> {
        let term = lease.epoch.term;
        match facts.receiver {
            Receiver::Running { .. } | Receiver::Unknown => {
                return Some(Step::Do(Act::StopReceiver { term }, Why::Draining { term }));
            }
            Receiver::Stopped | Receiver::Purged => {}
        }
        if !is_drained(facts) {
            return Some(Step::Do(Act::Drain { term }, Why::Draining { term }));
        }
        let admit = self.wanted_gate(lease, facts);
        if facts.gate != admit {
            return Some(Step::Do(Act::SetGate { term, admit }, Why::GateDiffers));
        }
        let acks = self.wanted_acks(lease, facts);
        if facts.acks != acks {
            return Some(Step::Do(Act::SetAcks { term, acks }, Why::AcksDiffer { now: facts.acks, wanted: acks }));
        }
        None
    }

    fn open(&self, lease: &Lease, index: u64, facts: &ServerFacts) -> Step {
        if self.view.pending.is_some() || self.view.orders.stop.is_some() {
            return Step::Wait(Why::WriteInDoubt, None);
        }
        let (in_sync, floor) = (lease.config.in_sync.len(), self.floor(lease));
        if in_sync < floor {
            let grown = self.resize(lease, index, facts);
            return match grown {
                Step::Do(..) => grown,
                Step::Wait(..) | Step::Pass(_) => {
                    let why = Why::ReplicasMissing { attached: in_sync, holders: 0, floor, acks: lease.config.acks };
                    Step::Wait(why, None)
                }
            };
        }
        let margin = self.policy.kill_limit;
        if self.view.deadline(self.policy.ttl).is_none_or(|deadline| deadline.since(self.now) <= margin) {
            return Step::Wait(Why::RenewalDue { term: lease.epoch.term }, None);
        }
        let why = Why::Opening { term: lease.epoch.term, acks: facts.acks };
        // A cluster that is used for the first time says so before, and looks once more whether the lease is still its own.
        if self.view.last_read.used != Some(lease.cluster) {
            return Step::Wait(why, None);
        }
        Step::Do(Act::Open { term: lease.epoch.term }, why)
    }

    /// One change of the set or the acks, if the last is settled.
    fn resize(&self, lease: &Lease, index: u64, facts: &ServerFacts) -> Step {
        if self.view.pending.is_some() {
            return Step::Wait(Why::WriteInDoubt, None);
        }
        let config = &lease.config;
        let target = self.target_acks(lease, facts);
        if target < config.acks {
            let why = Why::FewerAcks { from: config.acks, to: target };
            return self.write(lease, index, LeaseChange::Acks(target), why, |value| value.config.acks = target);
        }
        if let Some(member) = self.leaver(lease, facts) {
            return self.leave(lease, index, facts, member);
        }
        if let Some(seat) = self.joiner(lease, facts) {
            let floor = self.floor(lease);
            return self.write(
                lease,
                index,
                LeaseChange::Join(seat.member),
                Why::Joining { member: seat.member },
                |value| {
                    value.config.in_sync.insert(seat.member, seat.data);
                    value.alone &= value.config.in_sync.len() < floor.max(1);
                    value.forced &= value.config.in_sync.len() + 1 < self.view.records.len();
                },
            );
        }
        if target > config.acks && facts.acks >= target {
            let holders = self.holders(lease, config, &facts.settled);
            if holders >= usize::from(target) {
                let why = Why::MoreAcks { from: config.acks, to: target };
                return self.write(lease, index, LeaseChange::Acks(target), why, |value| value.config.acks = target);
            }
        }
        Step::Pass(self.next_missing(facts))
    }

    fn leave(&self, lease: &Lease, index: u64, facts: &ServerFacts, member: MemberId) -> Step {
        let mut rest = lease.config.clone();
        rest.in_sync.remove(&member);
        let cut = !facts.gate.contains(&member) && facts.acking.get(&member) != Some(&Acking::Connected);
        let holders = self.holders(lease, &rest, &facts.settled);
        if !cut || holders < usize::from(rest.acks) {
            return Step::Wait(Why::OthersBehind { member, holders, acks: rest.acks }, None);
        }
        self.write(lease, index, LeaseChange::Leave(member), Why::Leaving { member }, |value| value.config = rest)
    }

    /// Who may acknowledge: the set, without a leaver and without those that are unwell, and without whom a write in doubt removes.
    fn wanted_gate(&self, lease: &Lease, facts: &ServerFacts) -> BTreeSet<MemberId> {
        let leaver = self.leaver(lease, facts);
        let in_doubt = self.view.pending.as_ref().map(|pending| &pending.value.config);
        let config = &lease.config;
        let admitted =
            config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data }).filter(|seat| {
                Some(seat.member) != leaver && self.is_well(*seat) && in_doubt.is_none_or(|config| config.has(*seat))
            });
        set_of(admitted.map(|seat| seat.member))
    }

    /// How many acks the server asks for: never fewer than the lease says, or may say already.
    fn wanted_acks(&self, lease: &Lease, facts: &ServerFacts) -> u8 {
        let in_doubt = self.view.pending.as_ref().map_or(0, |pending| pending.value.config.acks);
        let least = lease.config.acks.max(in_doubt).max(u8::from(self.floor(lease) > 0));
        let target = self.target_acks(lease, facts);
        // More only when they are there: otherwise every write would wait for somebody who has not come yet.
        if usize::from(target) <= self.connected(lease, facts) { least.max(target) } else { least }
    }

    /// How many acks the lease should ask for, with the replicas that are there or may come back any moment.
    ///
    /// Where writes must not go on alone it is at least one, with one exception: if no member of the set will ever acknowledge again as it is.
    /// Then the lease says 0, so that nobody but us can be elected, the set can be emptied, and its members rebuilt; the server goes on asking
    /// for an ack, so writes wait.
    fn target_acks(&self, lease: &Lease, facts: &ServerFacts) -> u8 {
        let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
        let present =
            seats.clone().filter(|seat| self.is_well(*seat) && !self.is_long_missing(facts, seat.member)).count();
        let wanted = self.policy.acks_with(present);
        let hopeless = !lease.config.in_sync.is_empty()
            && seats.clone().all(|seat| !self.is_well(seat) && self.is_missing_for(facts, seat.member, LAST_RESORT));
        let least = u8::from(self.floor(lease) > 0 && !self.is_async() && lease.config.acks > 0 && !hopeless);
        wanted.max(least)
    }

    pub(super) fn connected(&self, lease: &Lease, facts: &ServerFacts) -> usize {
        let is_there = |member: &&MemberId| facts.acking.get(member) == Some(&Acking::Connected);
        lease.config.in_sync.keys().filter(is_there).count()
    }

    fn is_long_missing(&self, facts: &ServerFacts, member: MemberId) -> bool {
        self.is_missing_for(facts, member, 1)
    }

    /// Whether a member's acking connection is missing for so many times `leave_after`.
    fn is_missing_for(&self, facts: &ServerFacts, member: MemberId, times: u32) -> bool {
        match facts.acking.get(&member) {
            Some(Acking::Missing { since }) => self.now.since(*since) >= self.policy.leave_after * times,
            Some(Acking::Connected) | None => false,
        }
    }

    fn next_missing(&self, facts: &ServerFacts) -> Option<crate::time::Time> {
        let ends = facts.acking.values().filter_map(|acking| match acking {
            Acking::Missing { since } => Some(since.after(self.policy.leave_after)),
            Acking::Connected => None,
        });
        ends.filter(|end| *end > self.now).min()
    }

    fn is_well(&self, seat: Seat) -> bool {
        self.view
            .records
            .get(&seat.member)
            .is_none_or(|record| record.ailment.is_none() && record.data.is_some_and(|(_, data)| data == seat.data))
    }

    /// Who should leave, one at a time: unwell or gone for long, and the rest can go on without it.
    fn leaver(&self, lease: &Lease, facts: &ServerFacts) -> Option<MemberId> {
        let config = &lease.config;
        let size = config.in_sync.len();
        // A set that nobody is elected from (0 acks) may be emptied of those that are unwell, whatever the floor: writes wait all the same.
        let spare = size > self.floor(lease) && size > usize::from(config.acks);
        let is_there = |member: &MemberId| facts.acking.get(member) == Some(&Acking::Connected);
        config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data }).find_map(|seat| {
            let rest = config.in_sync.keys().filter(|member| **member != seat.member && is_there(member)).count();
            let well = self.is_well(seat);
            let should = !well || self.is_long_missing(facts, seat.member);
            let may = spare || (config.acks == 0 && !well);
            (should && may && rest >= usize::from(config.acks)).then_some(seat.member)
        })
    }

    /// A replica that follows, is well and nearly there.
    fn joiner(&self, lease: &Lease, facts: &ServerFacts) -> Option<Seat> {
        let following = Some(Following { source: self.view.me, mode: Mode::Plain });
        self.followers(lease).find_map(|(member, record)| {
            let (_, data) = record.data?;
            let new = !lease.config.in_sync.contains_key(&member) && record.following == following;
            let executed = record.executed.as_ref().filter(|_| new)?;
            let behind = facts.executed.subtract(executed).count();
            (behind <= self.policy.join_lag).then_some(Seat { member, data })
        })
    }
}
