//! What the others should know of us: our record, and our registration.

use alloc::boxed::Box;
use core::time::Duration;

use super::{Mind, QUIET, Step};
use crate::act::Act;
use crate::record::{Ailment, Following, MemberRecord};
use crate::view::{Access, Applier, Catalog, Data, Receiver, Role, Server, ServerFacts};
use crate::why::Why;

/// Time between two reports of a position while others wait for it.
const URGENT_EVERY: Duration = Duration::from_millis(15);

impl Mind<'_> {
    pub(super) fn tell(&self) -> Step {
        if self.view.catalog != Catalog::Answers
            || self.view.data == Data::Unknown
            || matches!(self.view.server, Server::Unknown)
        {
            return Step::Pass(None);
        }
        let status = self.status();
        let at = match self.view.records.get(&self.view.me) {
            Some(told) if !same_status(told, &status) => {
                if self.is_awaited() {
                    self.now
                } else {
                    self.view.lease_changed.after(QUIET).max(self.now)
                }
            }
            Some(told) if self.has_position(told) => return self.register(),
            Some(_) => {
                let every = if self.is_awaited() { URGENT_EVERY } else { self.policy.report_every };
                self.view.reported.map_or(self.now, |last| last.after(every))
            }
            None => self.now,
        };
        if at > self.now {
            return match self.register() {
                Step::Pass(_) => Step::Pass(Some(at)),
                step @ (Step::Do(..) | Step::Wait(..)) => step,
            };
        }
        let facts = self.told_facts();
        let record = MemberRecord {
            executed: facts.map(|facts| facts.executed.clone()),
            received: facts.map(|facts| facts.received.clone()),
            ..status
        };
        Step::Do(Act::PublishRecord { record: Box::new(record) }, Why::NewsForOthers)
    }

    /// Whether others know our position.
    fn has_position(&self, told: &MemberRecord) -> bool {
        let facts = self.told_facts();
        told.executed.as_ref() == facts.map(|facts| &facts.executed)
            && told.received.as_ref() == facts.map(|facts| &facts.received)
    }

    fn told_facts(&self) -> Option<&ServerFacts> {
        self.view.facts().filter(|_| self.view.identity().is_some())
    }

    fn register(&self) -> Step {
        let Some(facts) = self.view.facts() else { return Step::Pass(None) };
        let leads = facts.access == Access::Writable && self.held().is_some_and(|(lease, _)| lease.is_established());
        let role = if leads { Role::Primary } else { Role::Replica };
        if self.view.registered == Some(role) || self.view.busy.catalog {
            return Step::Pass(None);
        }
        Step::Do(Act::Register { role }, Why::RoleChanged { role })
    }

    /// Our record without the positions: they change with every write, and not everyone must know each of them.
    fn status(&self) -> MemberRecord {
        let identity = self.view.identity();
        let facts = self.told_facts();
        MemberRecord {
            data: identity.map(|identity| (identity.cluster, identity.data)),
            seen: identity.map(|identity| identity.seen).unwrap_or_default(),
            promise: identity.map(|identity| identity.promise).unwrap_or_default(),
            executed: None,
            received: None,
            following: facts.and_then(|facts| match facts.receiver {
                Receiver::Running { to, mode, connected: true } => Some(Following { source: to, mode }),
                Receiver::Running { .. } | Receiver::Unknown | Receiver::Stopped | Receiver::Purged => None,
            }),
            ailment: facts.and_then(|facts| match (self.view.lease(), facts.applier, facts.receiver) {
                (Some((lease, _)), ..) if lease.holder != self.view.me && self.errant(lease).is_some() => {
                    Some(Ailment::Errant)
                }
                (_, Applier::Failed, _) => Some(Ailment::ApplierStopped),
                (_, _, Receiver::Purged) => Some(Ailment::Purged),
                (..) => None,
            }),
            may_lead: self.policy.may_lead,
            // A holder tells nobody but the one to whom it hands over.
            leaving: self.view.orders.stop.is_some() && self.held().is_none(),
        }
    }

    /// Whether somebody waits for news of us: a holder that is not established, that lacks replicas, or that opens for the first time. One that
    /// hands over asks.
    fn is_awaited(&self) -> bool {
        let Some((lease, _)) = self.view.lease() else { return false };
        let short = lease.config.acks < self.policy.acks_with(lease.config.in_sync.len());
        let first = lease.holder == self.view.me && self.view.last_read.used != Some(lease.cluster);
        !lease.is_established() || short || first
    }
}

/// Whether two records differ in positions only.
fn same_status(told: &MemberRecord, status: &MemberRecord) -> bool {
    let MemberRecord { data, seen, promise, executed: _, received: _, following, ailment, may_lead, leaving } = told;
    *data == status.data
        && *seen == status.seen
        && *promise == status.promise
        && *following == status.following
        && *ailment == status.ailment
        && *may_lead == status.may_lead
        && *leaving == status.leaving
}
