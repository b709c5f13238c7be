//! The lease is ours and not yet established: apply everything, let the others attach, and make the config our own once enough of them have
//! what we have. Until then nothing is written, and the votes of the old config still decide if we fail.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::time::Duration;

use super::{LAST_RESORT, Mind, Step, can_apply, is_drained};
use crate::act::{Act, LeaseChange};
use crate::lease::{Config, Lease, LeaseState, Seat};
use crate::record::{Mode, Vote};
use crate::time::Time;
use crate::view::{Receiver, ServerFacts};
use crate::why::Why;

impl Mind<'_> {
    pub(super) fn establish(&self, lease: &Lease, index: u64) -> Step {
        let term = lease.epoch.term;
        let (Some(facts), Some(seat)) = (self.view.facts(), self.view.seat()) else {
            return Step::Wait(Why::ServerUnknown, None);
        };
        match facts.receiver {
            Receiver::Running { .. } | Receiver::Unknown => {
                return Step::Do(Act::StopReceiver { term }, Why::Draining { term });
            }
            Receiver::Stopped | Receiver::Purged => {}
        }
        if !can_apply(facts) {
            // We cannot become what we claimed to be: somebody else may.
            return self.write(lease, index, LeaseChange::Release, Why::ApplierStopped, |value| {
                value.state = LeaseState::Released;
            });
        }
        if !is_drained(facts) {
            return Step::Do(Act::Drain { term }, Why::Draining { term });
        }
        let has_all = |vote: &&Vote| facts.executed.contains(&vote.received);
        let covered = self.votes(lease, term).filter(has_all).count();
        let needed = self.needed(&lease.config);
        if covered < needed {
            let why = Why::NotGreatest { term, covered, needed };
            if self.held_for() < self.policy.leave_after * LAST_RESORT {
                return Step::Wait(why, self.after_claim(LAST_RESORT));
            }
            // The votes went with a catalog that was restored from a backup: those who gave them follow us, and vote again only for a free lease.
            return self.write(lease, index, LeaseChange::Release, why, |value| value.state = LeaseState::Released);
        }
        let mut admit = lease.config.members();
        admit.remove(&self.view.me);
        if facts.gate != admit {
            return Step::Do(Act::SetGate { term, admit }, Why::GateDiffers);
        }
        self.establish_with(lease, index, facts, seat)
    }

    fn establish_with(&self, lease: &Lease, index: u64, facts: &ServerFacts, seat: Seat) -> Step {
        let position = &facts.executed;
        let able = self.followers(lease).filter_map(|(member, record)| {
            let (_, data) = record.data?;
            let acks = record.following.is_some_and(|following| following.mode == Mode::Acking)
                && lease.config.has(Seat { member, data });
            (acks || self.holds(lease, member, record, position)).then_some((member, data))
        });
        let mut in_sync = BTreeMap::new();
        in_sync.extend(able);
        let acks = self.policy.acks_with(in_sync.len());
        let config = Config { primary: seat, in_sync, acks };
        let floor = self.floor(lease);
        let holders = self.holders(lease, &config, position);
        let missing = Why::ReplicasMissing { attached: config.in_sync.len(), holders, floor, acks };
        if config.in_sync.len() < floor || holders < usize::from(acks) {
            return self.unable(lease, index, facts, config, missing);
        }
        // Those who voted are alive, and worth a moment: without them the set would be smaller than it need be.
        let voted = self.votes(lease, lease.epoch.term).filter(|vote| vote.seat != seat);
        let absent = voted.filter(|vote| !config.in_sync.contains_key(&vote.seat.member)).count();
        if absent > 0 && self.held_for() < self.policy.leave_after {
            return Step::Wait(missing, self.after_claim(1));
        }
        let why = Why::Established { in_sync: config.in_sync.len(), acks };
        self.write(lease, index, LeaseChange::Establish, why, |value| value.config = config)
    }

    /// Too few others can attach. Perhaps they cannot because they have more than we have: never acknowledged, but not ours to ignore.
    fn unable(&self, lease: &Lease, index: u64, facts: &ServerFacts, config: Config, missing: Why) -> Step {
        if self.held_for() < self.policy.leave_after {
            return Step::Wait(missing, self.after_claim(1));
        }
        let greater = |vote: &&Vote| vote.received.partial_cmp(&facts.executed) == Some(Ordering::Greater);
        if let Some(vote) = self.votes(lease, lease.epoch.term).find(greater) {
            let why = Why::BetterCandidate { member: vote.seat.member };
            return self.write(lease, index, LeaseChange::Release, why, |value| value.state = LeaseState::Released);
        }
        if self.held_for() < self.policy.leave_after * LAST_RESORT {
            return Step::Wait(missing, self.after_claim(LAST_RESORT));
        }
        // We have every acknowledged write, so making the config our own is true even with nobody in it. It does not open us; but those who
        // have what we do not, or lack what we have purged, can then be rebuilt, and join.
        let useless = self.view.records.iter().filter(|(member, record)| {
            let more = record.executed.as_ref().is_some_and(|executed| !facts.executed.contains(executed));
            **member != self.view.me && record.seen.term == lease.epoch.term && (more || record.ailment.is_some())
        });
        if useless.count() == 0 {
            return Step::Wait(missing, None);
        }
        let why = Why::Established { in_sync: config.in_sync.len(), acks: 0 };
        self.write(lease, index, LeaseChange::Establish, why, |value| value.config = Config { acks: 0, ..config })
    }

    fn held_for(&self) -> Duration {
        self.view.holding.as_ref().map_or(Duration::ZERO, |holding| self.now.since(holding.since))
    }

    fn after_claim(&self, times: u32) -> Option<Time> {
        self.view.holding.as_ref().map(|holding| holding.since.after(self.policy.leave_after * times))
    }
}
