//! May this server go on? A server that takes writes needs a lease; when that is in doubt it is killed, not asked.

use core::time::Duration;

use super::{Mind, Step, sooner};
use crate::act::Act;
use crate::budget::FailureClass;
use crate::lease::Lease;
use crate::time::Time;
use crate::view::{Access, Catalog, ServerFacts};
use crate::why::Why;

/// A replica is given so much more time to answer than a primary: nobody waits for it.
const REPLICA_PATIENCE: u32 = 10;

impl Mind<'_> {
    pub(super) fn fence(&self) -> Step {
        let Some(facts) = self.view.facts() else { return Step::Pass(None) };
        if self.is_fencing() {
            return Step::Wait(Why::Fencing, None);
        }
        let open = facts.access != Access::ReadOnly;
        // What was held with data that has been replaced by another cluster's says nothing about this one.
        let ours = |cluster| self.view.identity().is_none_or(|identity| identity.cluster == cluster);
        let Some(holding) = self.view.holding.as_ref().filter(|holding| ours(holding.lease.cluster)) else {
            if facts.access == Access::Writable {
                return Step::Do(Act::FenceServer, Why::WritableWithoutLease);
            }
            return self.hung_replica(facts);
        };
        if let Some((lease, _)) = self.view.lease()
            && open
            && self.is_superseded(&holding.lease, lease)
        {
            let (term, holder) = (lease.epoch.term, lease.holder);
            return Step::Do(Act::FenceServer, Why::Superseded { term, holder, ours: holding.lease.epoch.term });
        }
        if self.held().is_none() && !open {
            return self.hung_replica(facts);
        }
        let silent = facts.silent_since.map_or(Duration::ZERO, |since| self.now.since(since));
        if silent >= self.policy.hang_limit {
            return Step::Do(Act::FenceServer, Why::Hung { silent, limit: self.policy.hang_limit });
        }
        let look_again = facts.silent_since.map(|since| since.after(self.policy.hang_limit));
        if open { self.lease_of_open_server(facts, look_again) } else { Step::Pass(look_again) }
    }

    /// Whether the server is being killed: what is known of it may no longer be so, and its disk may stand still.
    pub(super) fn is_fencing(&self) -> bool {
        self.view.busy.server == Some(Act::FenceServer)
    }

    /// Whether the lease says that what we hold is over: another has it, or it was given up, or an operator has said that other data is the truth.
    fn is_superseded(&self, ours: &Lease, lease: &Lease) -> bool {
        let newer = lease.epoch > ours.epoch || lease.epoch.term > ours.epoch.term;
        let over = if lease.cluster == ours.cluster { newer } else { lease.forced };
        over && self.held().is_none()
    }

    fn hung_replica(&self, facts: &ServerFacts) -> Step {
        let limit = self.policy.hang_limit * REPLICA_PATIENCE;
        let silent = facts.silent_since.map_or(Duration::ZERO, |since| self.now.since(since));
        if silent < limit {
            return Step::Pass(facts.silent_since.map(|since| since.after(limit)));
        }
        match self.view.budget.check(FailureClass::ServerHang, self.now) {
            Ok(()) => Step::Do(Act::FenceServer, Why::Hung { silent, limit }),
            Err(at) => Step::Pass(Some(at)),
        }
    }

    fn lease_of_open_server(&self, facts: &ServerFacts, look_again: Option<Time>) -> Step {
        let Some(deadline) = self.view.deadline(self.policy.ttl) else { return Step::Pass(None) };
        let remaining = deadline.since(self.now);
        if remaining > self.policy.kill_limit {
            let until = self.now.after(remaining - self.policy.kill_limit);
            return Step::Pass(sooner(Some(until), look_again));
        }
        let past = self.now.since(deadline);
        // The catalog answers, but our writes fail: if that lasts, it is as if we had none. After an outage there is time to retake the lease.
        let refused = self.view.catalog == Catalog::Answers
            && self.held().is_some()
            && self.view.lease_clock.unchanged() >= self.policy.ttl;
        match self.nobody_else_can_lead(facts) {
            true if !refused => {
                Step::Wait(Why::RidingOut { past }, sooner(look_again, Some(self.now.after(self.policy.probe_every))))
            }
            true | false => Step::Do(Act::FenceServer, Why::LeaseLapsed { past }),
        }
    }

    /// The exception: as long as enough in-sync replicas acknowledge, too few have stopped to receive for anybody to be elected. And where the
    /// lease asks for no ack, nobody else can have everything.
    fn nobody_else_can_lead(&self, facts: &ServerFacts) -> bool {
        let Some(holding) = &self.view.holding else { return false };
        if self.is_async() {
            return false;
        }
        if !holding.lease.config.can_elect() {
            return true;
        }
        let connected = self.connected(&holding.lease, facts);
        let stuck = facts.waiting_since.is_some_and(|since| self.now.since(since) >= self.policy.hang_limit);
        connected >= usize::from(holding.lease.config.acks) && !stuck
    }
}
