//! Which part this member plays, from the lease and from its own data.

use super::{Mind, QUIET, Step};
use crate::act::{Act, Condemnation, LeaseChange};
use crate::lease::{Epoch, Lease, LeaseState, MemberId};
use crate::record::MemberRecord;
use crate::view::{Access, Data, Identity, LeaseFact, Server};
use crate::why::Why;

impl Mind<'_> {
    pub(super) fn role(&self) -> Step {
        if self.is_fencing() {
            return Step::Wait(Why::Fencing, None);
        }
        // Who has never used its data leads nobody, whatever it holds.
        let unused = self.view.identity().is_some_and(|identity| identity.seen == Epoch::default());
        if let Some(since) = self.view.orders.stop
            && (self.held().is_none() || unused)
        {
            return self.stop(since);
        }
        if self.view.orders.paused && self.held().is_none() {
            return self.news().unwrap_or(Step::Wait(Why::Paused, None));
        }
        match self.view.data {
            Data::Unknown => Step::Wait(Why::DataUnknown, None),
            Data::Empty | Data::Partial => self.without_data(),
            Data::Condemned(_) => self.rebuild(),
            Data::Present(identity) => self.with_data(identity),
        }
    }

    /// A lease that was not seen before is written down, also by who does nothing else: else it could not take it if it were handed over.
    fn news(&self) -> Option<Step> {
        let (identity, (lease, index)) = (self.view.identity()?, self.view.lease()?);
        let ours = lease.cluster == identity.cluster && lease.state != LeaseState::Initialising;
        if !ours || lease.epoch <= identity.seen {
            return None;
        }
        let why = Why::NewEpoch { epoch: lease.epoch };
        if let Some(member) = self.rival(lease, identity) {
            return Some(Step::Wait(Why::OthersHaveData { member }, None));
        }
        if identity.seen == Epoch::default() && self.view.last_read.index != index {
            return Some(Step::Wait(why, None));
        }
        Some(Step::Do(Act::Remember { seen: lease.epoch }, why))
    }

    /// Our cluster comes to be, but others use another: ours was begun before the catalog was wiped, and its write came late, and fit. Who used
    /// the other has said so before it opened.
    fn rival(&self, lease: &Lease, identity: Identity) -> Option<MemberId> {
        let first = identity.seen == Epoch::default() && !lease.forced;
        self.user_of(&|cluster| cluster != lease.cluster).filter(|_| first)
    }

    /// Nothing is held: the server may stop, politely if it takes no writes.
    pub(super) fn stop(&self, since: crate::time::Time) -> Step {
        let calm = self.view.lease_changed.after(QUIET);
        match self.view.server {
            Server::Stopped => Step::Wait(Why::StoppedAsAsked, None),
            Server::Unknown | Server::Starting { .. } => {
                Step::Do(Act::FenceServer, Why::StopAsked { ago: self.now.since(since) })
            }
            // The new primary first: on a machine that members share, a server that stops takes time from it.
            Server::Running(ref facts) if facts.access == Access::ReadOnly && calm > self.now => {
                Step::Wait(Why::StopAsked { ago: self.now.since(since) }, Some(calm))
            }
            Server::Running(ref facts) if facts.access == Access::ReadOnly => {
                Step::Do(Act::StopServer, Why::StopAsked { ago: self.now.since(since) })
            }
            // Without a lease that says so nobody knows what a polite stop would acknowledge.
            Server::Running(_) => Step::Do(Act::FenceServer, Why::StopAsked { ago: self.now.since(since) }),
        }
    }

    fn with_data(&self, identity: Identity) -> Step {
        let (lease, index) = match &self.view.lease {
            LeaseFact::Unknown => return Step::Wait(Why::CatalogNeverAnswered, None),
            LeaseFact::Absent => return self.without_lease(identity),
            LeaseFact::Present { lease, index } => (lease, *index),
        };
        if lease.cluster != identity.cluster {
            return self.foreign(identity, lease, index);
        }
        if lease.epoch < identity.seen {
            return self.went_back(identity, lease, index);
        }
        let disputed = self.others_saw_newer(lease) || self.rival(lease, identity).is_some();
        if self.view.orders.adopt == Some(self.view.me) && disputed {
            return self.adopt(identity, index);
        }
        if lease.state == LeaseState::Initialising {
            return self.initialised(lease, index, identity);
        }
        if let Some(step) = self.news() {
            return step;
        }
        if let Some(step) = self.forced(lease, index, identity) {
            return step;
        }
        if self.held().is_some() {
            return if lease.is_established() { self.lead(lease, index) } else { self.establish(lease, index) };
        }
        match self.view.server {
            Server::Unknown => Step::Wait(Why::ServerUnknown, None),
            Server::Stopped => self.start_server(lease),
            Server::Starting { since } => Step::Wait(Why::ServerStarting { ago: self.now.since(since) }, None),
            Server::Running(ref facts) => {
                if self.has_lapsed(lease) || lease.holder == self.view.me {
                    self.elect(lease, index, facts, identity)
                } else {
                    self.follow(lease, facts, identity)
                }
            }
        }
    }

    /// The catalog is of another cluster than our data. What was never part of a cluster may go, but not before somebody has used the other: the
    /// catalog was wiped while ours was being begun, and our write that says that it came to be may still arrive, and fit.
    fn foreign(&self, identity: Identity, lease: &Lease, index: u64) -> Step {
        let never_used = identity.seen == Epoch::default();
        if never_used && self.user_of(&|cluster| cluster == lease.cluster).is_some() {
            let reason = Condemnation::NeverUsed;
            return Step::Do(Act::Condemn { reason }, Why::NeverUsed { ours: identity.cluster });
        }
        // Only an operator may put another cluster's lease aside.
        if self.view.orders.adopt == Some(self.view.me) {
            return self.adopt(identity, index);
        }
        let begun = never_used && lease.holder != self.view.me && !self.has_lapsed(lease);
        let why = match begun {
            true => Why::AnotherInitialises { member: lease.holder },
            false => Why::ForeignCluster { ours: identity.cluster, catalog: lease.cluster },
        };
        Step::Wait(why, None)
    }

    /// Data and no lease: the catalog was wiped. Nobody bootstraps over data; an operator says whose is the truth.
    fn without_lease(&self, identity: Identity) -> Step {
        if self.view.orders.adopt != Some(self.view.me) {
            return Step::Wait(Why::CatalogWiped { cluster: identity.cluster, seen: identity.seen }, None);
        }
        self.adopt(identity, 0)
    }

    /// The catalog shows less than we have seen: it was restored from something old. Who holds what it wrote writes it again; everybody else
    /// waits for that, or for an operator.
    fn went_back(&self, identity: Identity, lease: &Lease, index: u64) -> Step {
        let why = Why::CatalogWentBack { seen: identity.seen, catalog: lease.epoch };
        if self.view.orders.adopt == Some(self.view.me) {
            return self.adopt(identity, index);
        }
        let newest = self.view.holding.as_ref().filter(|holding| holding.lease.epoch == identity.seen);
        match newest {
            Some(holding) if self.view.facts().is_some() && holding.lease.is_established() => {
                let mut value = holding.lease.clone();
                value.epoch.change += 1;
                value.beat += 1;
                self.write_value(index, LeaseChange::Reassert, why, value)
            }
            Some(_) | None => Step::Wait(why, None),
        }
    }

    /// The catalog went back, and this member does not know it by its own data: those who refuse say what they saw. The term of an adoption is
    /// above all that was said, so the order is over with it. An established holder needs no order to begin a higher term.
    fn others_saw_newer(&self, lease: &Lease) -> bool {
        let leads = self.held().is_some() && lease.is_established();
        let newer = |record: &MemberRecord| {
            record.data.is_some_and(|(cluster, _)| cluster == lease.cluster) && record.seen > lease.epoch
        };
        !leads && self.view.records.values().any(newer)
    }

    fn adopt(&self, identity: Identity, index: u64) -> Step {
        let why = Why::Adopting { seen: identity.seen };
        let (Some(seat), Some(facts)) = (self.view.seat(), self.view.facts()) else {
            return match self.view.server {
                Server::Stopped => Step::Do(Act::StartServer { start: crate::act::Start::Plain }, why),
                Server::Unknown | Server::Starting { .. } | Server::Running(_) => Step::Wait(why, None),
            };
        };
        // Above all that was ever told.
        let mut highest = identity.promise.max(identity.seen.term);
        if let Some((lease, _)) = self.view.lease() {
            highest = highest.max(lease.epoch.term);
        }
        for vote in &self.view.votes {
            highest = highest.max(vote.term);
        }
        for record in self.view.records.values() {
            highest = highest.max(record.promise).max(record.seen.term);
        }
        let term = highest.next();
        let mut value = Lease {
            cluster: identity.cluster,
            epoch: Epoch { term, change: identity.seen.change + 1 },
            holder: self.view.me,
            state: LeaseState::Held,
            config: crate::lease::Config { primary: seat, in_sync: Default::default(), acks: 0 },
            alone: false,
            forced: true,
            beat: 1,
        };
        if let Some(holding) = &self.view.holding
            && holding.lease.config.primary == seat
            && facts.access == Access::Writable
        {
            value.config = holding.lease.config.clone();
        }
        self.write_value(index, LeaseChange::Adopt, why, value)
    }
}
