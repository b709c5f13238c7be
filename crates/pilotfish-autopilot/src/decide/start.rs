//! The beginning of a member: initialise the cluster, or get a copy of its data, and start the server.

use alloc::collections::BTreeMap;

use super::{Mind, Step};
use crate::act::{Act, LeaseChange, Start};
use crate::budget::FailureClass;
use crate::gtid::Flavour;
use crate::lease::{ClusterId, Config, DataId, Epoch, Lease, LeaseState, MemberId, Seat, Term};
use crate::record::MemberRecord;
use crate::view::{Data, Identity, LeaseFact, Server};
use crate::why::Why;

/// Distinguishes a copy's identity from the cluster's, which is made of the same random number.
const DATA_SALT: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mind<'_> {
    pub(super) fn without_data(&self) -> Step {
        match &self.view.lease {
            LeaseFact::Unknown => Step::Wait(Why::CatalogNeverAnswered, None),
            LeaseFact::Absent => self.bootstrap(),
            LeaseFact::Present { lease, index } if lease.state == LeaseState::Initialising => {
                self.initialise(lease, *index)
            }
            LeaseFact::Present { .. } => self.rebuild(),
        }
    }

    /// No lease, and nobody who speaks of data: begin a cluster. But only after the catalog has said so for as long as a lease lasts, so that
    /// members with data can report that they have some.
    fn bootstrap(&self) -> Step {
        if let Some(member) = self.user_of(&|_| true) {
            return Step::Wait(Why::OthersHaveData { member }, None);
        }
        if let Some(cluster) = self.view.known_cluster {
            return Step::Wait(Why::CatalogWiped { cluster, seen: Epoch::default() }, None);
        }
        let absent = self.view.lease_clock.unchanged();
        if absent < self.policy.ttl {
            return Step::Wait(Why::CatalogMayBeWiped { absent, patience: self.policy.ttl }, None);
        }
        let value = self.first_lease(Epoch { term: Term(1), change: 1 });
        self.write_value(0, LeaseChange::Create, Why::NoCluster, value)
    }

    /// A member whose data was once part of such a cluster.
    pub(super) fn user_of(&self, cluster: &dyn Fn(ClusterId) -> bool) -> Option<MemberId> {
        self.view.records.iter().find(|(_, record)| record.used().is_some_and(cluster)).map(|(member, _)| *member)
    }

    fn first_lease(&self, epoch: Epoch) -> Lease {
        let primary = Seat { member: self.view.me, data: DataId(0) };
        Lease {
            cluster: ClusterId(self.view.nonce),
            epoch,
            holder: self.view.me,
            state: LeaseState::Initialising,
            config: Config { primary, in_sync: BTreeMap::new(), acks: 0 },
            alone: false,
            forced: false,
            beat: 1,
        }
    }

    fn initialise(&self, lease: &Lease, index: u64) -> Step {
        if self.held().is_some() {
            let data = DataId(self.view.nonce ^ DATA_SALT);
            let act = Act::InitialiseCluster { cluster: lease.cluster, data, term: lease.epoch.term };
            return Step::Do(act, Why::Initialising { cluster: lease.cluster });
        }
        if let Some(cluster) = self.view.known_cluster {
            return Step::Wait(Why::CatalogWiped { cluster, seen: Epoch::default() }, None);
        }
        if let Some(member) = self.user_of(&|_| true) {
            return Step::Wait(Why::OthersHaveData { member }, None);
        }
        // Our own from before a crash, or another's that is gone: begin anew, with a new identity, so that what is left of it is known as such.
        if lease.holder == self.view.me || self.has_lapsed(lease) {
            let epoch = Epoch { term: lease.epoch.term.next(), change: lease.epoch.change + 1 };
            let why = Why::InitialiserGone { member: lease.holder };
            return self.write_value(index, LeaseChange::Create, why, self.first_lease(epoch));
        }
        Step::Wait(Why::AnotherInitialises { member: lease.holder }, None)
    }

    /// Our data is complete, and nobody has used it yet.
    pub(super) fn initialised(&self, lease: &Lease, index: u64, identity: Identity) -> Step {
        let primary = Seat { member: self.view.me, data: identity.data };
        if self.held().is_some() {
            match self.view.server {
                Server::Running(_) => {}
                Server::Stopped => return self.start_server(lease),
                Server::Starting { since } => {
                    return Step::Wait(Why::ServerStarting { ago: self.now.since(since) }, None);
                }
                Server::Unknown => return Step::Wait(Why::ServerUnknown, None),
            }
            return self.write(lease, index, LeaseChange::Establish, Why::Initialised, |value| {
                value.state = LeaseState::Held;
                value.config.primary = primary;
            });
        }
        if lease.holder == self.view.me {
            return self.write(lease, index, LeaseChange::Retake, Why::ReturnedAsLast, |value| {
                value.epoch.term = value.epoch.term.next();
            });
        }
        Step::Wait(Why::AnotherInitialises { member: lease.holder }, None)
    }

    /// No usable data and a cluster: copy it from who is best placed to give it.
    pub(super) fn rebuild(&self) -> Step {
        match self.view.server {
            Server::Stopped => {}
            Server::Unknown => return Step::Wait(Why::ServerUnknown, None),
            Server::Starting { .. } => return Step::Do(Act::FenceServer, Why::RebuildNeeded),
            Server::Running(_) => return Step::Do(Act::StopServer, Why::RebuildNeeded),
        }
        let Some((lease, _)) = self.view.lease() else { return Step::Wait(Why::NoDonor, None) };
        // It was taken into the set at the moment at which it was condemned: it goes when it has been dropped.
        if let Data::Condemned(identity) = self.view.data
            && lease.config.has(Seat { member: self.view.me, data: identity.data })
        {
            return Step::Wait(Why::RebuildNeeded, None);
        }
        let Some(from) = self.donor(lease) else { return Step::Wait(Why::NoDonor, None) };
        if let Err(at) = self.view.budget.check(FailureClass::Rebuild, self.now) {
            return self.out_of_patience(FailureClass::Rebuild, at);
        }
        let data = DataId(self.view.nonce ^ DATA_SALT);
        let act = Act::Rebuild { from, cluster: lease.cluster, data, seen: lease.epoch };
        Step::Do(act, Why::Rebuilding { from })
    }

    /// A healthy replica in sync rather than the primary, which has enough to do. Without an established primary, which says that it uses its data,
    /// nobody's data is the truth.
    fn donor(&self, lease: &Lease) -> Option<MemberId> {
        let used = self.view.records.get(&lease.holder).and_then(MemberRecord::used) == Some(lease.cluster);
        if !used || !lease.is_established() || lease.holder == self.view.me || self.has_lapsed(lease) {
            return None;
        }
        let in_sync = |member: &MemberId| lease.config.in_sync.contains_key(member);
        let replica = self.followers(lease).map(|(member, _)| member).find(in_sync);
        replica.or(Some(lease.holder))
    }

    pub(super) fn start_server(&self, lease: &Lease) -> Step {
        if let Err(at) = self.view.budget.check(FailureClass::ServerExit, self.now) {
            return self.out_of_patience(FailureClass::ServerExit, at);
        }
        let voted = lease.is_established() && !lease.forced && !self.is_async();
        let replaced = voted && lease.holder != self.view.me && !self.is_in_sync(&lease.config);
        let start = match self.view.flavour {
            // What only this server's binary log holds was acknowledged by nobody, if a successor is established by votes; and only then. Otherwise
            // clients count on it: it is kept, and exported.
            Flavour::MariaDb if replaced => Start::DropTail,
            Flavour::MariaDb | Flavour::MySql => Start::Plain,
        };
        Step::Do(Act::StartServer { start }, Why::ServerStopped)
    }
}
