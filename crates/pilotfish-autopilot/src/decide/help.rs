//! Commits that wait for an acknowledgement: one that was lost is not waited for.
//!
//! A replica acknowledges what it receives on a connection, and nothing of what it had before that began. So a commit may wait although all replicas
//! have it. The next commit's acknowledgement is one for all before it; but where nobody writes there is no next one, and while two groups of
//! commits wait, MariaDB lets no third into its binary log. Then those that wait are let go, if as many in-sync members have executed
//! everything as must: what a member has executed it keeps, so nothing more is needed for an OK to be true.

use core::time::Duration;

use super::{Mind, Step, has_executed};
use crate::act::Act;
use crate::gtid::Flavour;
use crate::lease::Lease;
use crate::policy::Policy;
use crate::time::Time;
use crate::view::{Access, ServerFacts, View};
use crate::why::Why;

/// Whether writes wait on the primary that this member is, for longer than happens in passing: the reason, for whoever asks for its health.
pub fn writes_wait(view: &View, policy: &Policy, now: Time) -> Option<Why> {
    let mind = Mind { view, policy, now };
    let (lease, facts) = mind.leading()?;
    let waiting = mind.waited(facts)?;
    let (connected, in_sync) = (mind.connected(lease, facts), lease.config.in_sync.len());
    (waiting >= policy.wait_limit).then_some(Why::WritesWait { waiting, acks: facts.acks, connected, in_sync })
}

impl Mind<'_> {
    pub(super) fn help(&self) -> Step {
        let Some((lease, facts)) = self.leading() else { return Step::Pass(None) };
        let Some(waiting) = self.waited(facts) else { return Step::Pass(None) };
        if let Some(release) = self.release(lease, facts, waiting) {
            return release;
        }
        let again = self.pause(self.view.beat_tried, self.policy.beat_after);
        let due = waiting >= self.policy.beat_after && again <= self.now;
        if due && !self.view.busy.beat && self.connected(lease, facts) > 0 && self.may_beat(facts) {
            return Step::Do(Act::Beat { term: lease.epoch.term }, Why::AckLate { waiting });
        }
        let patience = [self.policy.beat_after, self.policy.release_after, self.policy.wait_limit];
        let ends = patience.into_iter().filter(|patience| *patience > waiting).min();
        let until = [ends.map(|end| self.now.after(end - waiting)), Some(again).filter(|again| *again > self.now)];
        let until = until.into_iter().flatten().min();
        writes_wait(self.view, self.policy, self.now).map_or(Step::Pass(until), |why| Step::Wait(why, until))
    }

    /// The established lease that we hold, and the server that takes writes under it, or did a moment ago.
    fn leading(&self) -> Option<(&Lease, &ServerFacts)> {
        let ours = |lease: &Lease| lease.is_established() && self.is_last_primary(&lease.config);
        let (lease, _) = self.held().filter(|(lease, _)| ours(lease))?;
        let facts = self.view.facts().filter(|facts| facts.access != Access::ReadOnly)?;
        let ends = matches!(self.view.busy.server, Some(Act::FenceServer | Act::StopServer));
        (!ends).then_some((lease, facts))
    }

    fn waited(&self, facts: &ServerFacts) -> Option<Duration> {
        facts.waiting_since.map(|since| self.now.since(since))
    }

    fn pause(&self, tried: Option<Time>, pause: Duration) -> Time {
        tried.map_or(self.now, |tried| tried.after(pause))
    }

    /// Not into a server that is being closed: what others must have is fixed then.
    fn may_beat(&self, facts: &ServerFacts) -> bool {
        facts.access == Access::Writable && !matches!(self.view.busy.server, Some(Act::Close { .. }))
    }

    fn release(&self, lease: &Lease, facts: &ServerFacts, waiting: Duration) -> Option<Step> {
        let connected = self.connected(lease, facts) > 0;
        // What cannot be ended can only be helped on, by somebody who is there.
        if self.view.flavour == Flavour::MySql && !connected {
            return None;
        }
        // Another commit has had its time to help, if one could.
        let helped = match self.view.beat_tried.filter(|_| self.view.busy.beat) {
            Some(tried) => self.now.since(tried),
            None if connected && self.may_beat(facts) => return None,
            None => waiting,
        };
        let again = self.pause(self.view.release_tried, self.policy.release_after);
        let due = helped >= self.policy.release_after && again <= self.now && !self.view.busy.release;
        if !due || !self.is_certain(lease) {
            return None;
        }
        let acks = lease.config.acks.max(facts.acks);
        // Who is being cut off may be dropped from the set before this is done.
        let counts = |member| facts.gate.contains(&member);
        let holders =
            self.count(&lease.config, &|member, record| counts(member) && has_executed(record, &facts.executed));
        let enough = lease.config.acks > 0 && holders >= usize::from(acks);
        let act = Act::Release { term: lease.epoch.term, executed: facts.executed.clone() };
        enough.then_some(Step::Do(act, Why::AckLost { waiting, holders, acks }))
    }

    /// Whether the lease is surely ours, and its set surely what was read: no write of it is in doubt, and its time is not over.
    fn is_certain(&self, lease: &Lease) -> bool {
        let ours = self.view.holding.as_ref().is_some_and(|holding| holding.lease.epoch == lease.epoch);
        let in_time = self.view.deadline(self.policy.ttl).is_some_and(|deadline| deadline > self.now);
        ours && in_time && self.view.pending.is_none()
    }
}
