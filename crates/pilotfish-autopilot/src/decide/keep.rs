//! Keeping the lease: renew it in time, retake it when the time was missed and nobody else took it, give it up when the server has exited.

use super::{Mind, Step};
use crate::act::LeaseChange;
use crate::lease::LeaseState;
use crate::view::{Access, Catalog, Server};
use crate::why::Why;

impl Mind<'_> {
    pub(super) fn keep(&self) -> Step {
        let (Some((lease, index)), Some(holding)) = (self.held(), &self.view.holding) else { return Step::Pass(None) };
        if lease.state == LeaseState::Held && !self.view.orders.paused && matches!(self.view.server, Server::Stopped) {
            let why = Why::ServerExited { term: lease.epoch.term };
            return self.write(lease, index, LeaseChange::Release, why, |value| value.state = LeaseState::Released);
        }
        // A process that waits for its disk cannot even be killed. The lease must end all the same, so that somebody else may lead.
        if lease.state == LeaseState::Held && !self.view.orders.paused && self.is_fencing() {
            return Step::Pass(None);
        }
        // Whoever cannot write down that it leads will not lead, and must not keep others from it.
        let noted = self.view.identity().is_some_and(|identity| identity.seen >= lease.epoch);
        if !noted && self.view.facts().is_some_and(|facts| facts.access == Access::ReadOnly) {
            return Step::Pass(None);
        }
        let due = holding.sent.after(self.policy.renew_every);
        if due > self.now {
            return Step::Pass(Some(due));
        }
        if self.view.busy.lease {
            return Step::Pass(None);
        }
        let deadline = holding.sent.after(self.policy.ttl);
        if deadline > self.now {
            return self.write(lease, index, LeaseChange::Renew, Why::RenewalDue { term: lease.epoch.term }, |_| {});
        }
        // Too late to renew. Whoever wrote last has everything, and may begin a new term if nobody else has.
        let past = self.now.since(deadline);
        if self.view.catalog != Catalog::Answers || self.view.facts().is_none() || !self.is_last_primary(&lease.config)
        {
            return Step::Pass(None);
        }
        self.write(lease, index, LeaseChange::Retake, Why::Retaking { past }, |value| {
            value.epoch.term = value.epoch.term.next();
        })
    }
}
