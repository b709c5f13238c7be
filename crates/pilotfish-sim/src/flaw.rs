//! Planted bugs: what a careless autopilot, or a careless shell around it, would do. Each must be caught; see `tests/flaws.rs`.
//!
//! Most are told as a lie: the flawed member decides by the true rules about a view in which one thing is wrong.

use pilotfish_autopilot::{
    Act, Data, Decision, GtidSet, LastRead, LeaseChange, LeaseFact, MemberRecord, Policy, Seat, Server, Start, Time,
    View, decide,
};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// None.
    None,
    /// One vote fewer is enough.
    DropsAVote,
    /// A new primary does not wait until all that it received is applied.
    SkipsDrain,
    /// The holder takes every moment for the one of its last renewal: it renews late, and is never fenced for it.
    RenewsLate,
    /// An error of the catalog's counts as the answer that nothing has changed.
    TrustsErrors,
    /// Every replica acknowledges, in sync or not: also while it is being seeded, also after it was dropped.
    AcksAlways,
    /// Votes are counted without looking at what the voters have.
    IgnoresUnion,
    /// A member is dropped from the in-sync set before the others have caught up.
    ShrinksEarly,
    /// The server asks for fewer acks before the lease says so.
    LowersAcksEarly,
    /// A server starts with `read_only` off.
    WritableOnStart,
    /// The vote is not kept: after it, a primary of a lower term is followed.
    ForgetsPromise,
    /// The lease is taken for expired too early.
    TakesEarly,
    /// The lease is released before the server has exited.
    ReleasesEarly,
    /// The relay log is thrown away when a server is started again.
    ForgetsSalvage,
    /// A member with transactions that the primary does not have is attached.
    JoinsErrant,
    /// A member votes although its data is another than the one that was in sync.
    IgnoresDataId,
    /// A server always starts with its tail dropped.
    AlwaysDropsTail,
    /// A new primary opens before enough others have what it has.
    OpensUnestablished,
    /// A primary that sees a higher term goes on.
    IgnoresHigherTerm,
    /// Commits that wait are released without asking who has executed them.
    ReleasesUnheld,
    /// A cluster is used for the first time without telling anybody before, and without asking whether another is.
    UsesUntold,
}

impl Flaw {
    /// All planted bugs.
    pub const ALL: [Flaw; 20] = [
        Flaw::DropsAVote,
        Flaw::SkipsDrain,
        Flaw::RenewsLate,
        Flaw::TrustsErrors,
        Flaw::AcksAlways,
        Flaw::IgnoresUnion,
        Flaw::ShrinksEarly,
        Flaw::LowersAcksEarly,
        Flaw::WritableOnStart,
        Flaw::ForgetsPromise,
        Flaw::TakesEarly,
        Flaw::ReleasesEarly,
        Flaw::ForgetsSalvage,
        Flaw::JoinsErrant,
        Flaw::IgnoresDataId,
        Flaw::AlwaysDropsTail,
        Flaw::OpensUnestablished,
        Flaw::IgnoresHigherTerm,
        Flaw::ReleasesUnheld,
        Flaw::UsesUntold,
    ];

    /// Decides as a member with this bug.
    pub fn decide(self, view: &View, policy: &Policy, now: Time) -> Decision {
        let mut lied = view.clone();
        let mut policy = policy.clone();
        self.lie(&mut lied, &mut policy, now);
        let mut decision = decide(&lied, &policy, now);
        self.spoil(view, &policy, now, &mut decision);
        decision
    }

    fn lie(self, view: &mut View, policy: &mut Policy, now: Time) {
        let me = view.me;
        let held = view.holding.is_some();
        match self {
            Flaw::DropsAVote => drop_a_vote(view),
            Flaw::SkipsDrain | Flaw::OpensUnestablished => {
                if let Server::Running(facts) = &mut view.server
                    && held
                {
                    facts.executed = facts.received.clone();
                }
                if let (Flaw::OpensUnestablished, Some(seat)) = (self, view.seat())
                    && let LeaseFact::Present { lease, .. } = &mut view.lease
                    && lease.holder == me
                    && held
                {
                    lease.config.primary = seat;
                    lease.config.in_sync.remove(&me);
                }
            }
            Flaw::RenewsLate => {
                if let Some(holding) = &mut view.holding
                    && now.since(holding.sent) > policy.ttl / 2
                {
                    holding.sent = now.after(std::time::Duration::ZERO);
                    let back = now.since_start().saturating_sub(policy.ttl / 2);
                    holding.sent = Time::from_start(back);
                }
            }
            Flaw::IgnoresUnion => {
                let empty = GtidSet::empty(view.flavour);
                view.votes.iter_mut().for_each(|vote| vote.received = empty.clone());
            }
            Flaw::ShrinksEarly if held => pretend_executed(view),
            Flaw::ForgetsPromise => {
                if let Data::Present(identity) = &mut view.data {
                    identity.promise = Default::default();
                }
            }

            Flaw::TakesEarly if !held => policy.ttl /= 10,
            Flaw::UsesUntold => {
                if let Some((lease, index)) = view.lease() {
                    let (cluster, used) = (lease.cluster, Some(lease.cluster));
                    view.last_read = LastRead { index, used };
                    let ours = |record: &MemberRecord| record.used().is_none_or(|used| used == cluster);
                    // But a cluster is not begun beside another.
                    if view.identity().is_some_and(|identity| identity.cluster == cluster) {
                        view.records.retain(|_, record| ours(record));
                    }
                }
            }
            Flaw::JoinsErrant => {
                if let Some(source) = &mut view.source {
                    source.executed = source.executed.union(&source.ours).unwrap_or_else(|| source.executed.clone());
                }
            }
            Flaw::IgnoresDataId => {
                if let (Data::Present(identity), LeaseFact::Present { lease, .. }) = (&mut view.data, &view.lease)
                    && let Some(data) = lease.config.in_sync.get(&me)
                {
                    identity.data = *data;
                }
            }
            _told_otherwise => {}
        }
    }

    fn spoil(self, view: &View, policy: &Policy, now: Time, decision: &mut Decision) {
        let truth = view.lease().map(|(lease, _)| lease.config.clone());
        match (self, &mut decision.act) {
            (Flaw::DropsAVote, Act::WriteLease { change: LeaseChange::Take, value, .. }) => {
                if let Some(config) = truth {
                    value.config = config;
                }
            }
            (Flaw::LowersAcksEarly, Act::WriteLease { change: LeaseChange::Acks(acks), .. }) => {
                let (acks, asked) = (*acks, view.facts().map_or(0, |facts| facts.acks));
                if let Some((lease, _)) = view.lease()
                    && acks < asked
                {
                    decision.act = Act::SetAcks { term: lease.epoch.term, acks };
                }
            }
            (Flaw::ReleasesEarly, Act::FenceServer) => {
                let mut stopped = view.clone();
                stopped.server = Server::Stopped;
                let release = decide(&stopped, policy, now);
                if let Act::WriteLease { change: LeaseChange::Release, .. } = release.act {
                    *decision = release;
                }
            }
            (Flaw::ReleasesUnheld, _) => {
                let mut lied = view.clone();
                pretend_executed(&mut lied);
                let release = decide(&lied, policy, now);
                if let Act::Release { .. } = release.act {
                    *decision = release;
                }
            }
            (Flaw::AlwaysDropsTail, Act::StartServer { start }) => *start = Start::DropTail,
            (Flaw::IgnoresHigherTerm, act @ Act::FenceServer) => *act = Act::Wait,
            _sound => {}
        }
    }
}

/// Everybody says to have executed what we have.
fn pretend_executed(view: &mut View) {
    let executed = view.facts().map(|facts| facts.executed.clone());
    for record in view.records.values_mut() {
        record.executed = executed.clone().or(record.executed.take());
    }
}

/// Takes one member without a vote out of the set, so that the others seem to be enough.
fn drop_a_vote(view: &mut View) {
    let LeaseFact::Present { lease, .. } = &mut view.lease else { return };
    let term = lease.epoch.term.next();
    let absent =
        lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data }).find(|seat| {
            seat.member != view.me && !view.votes.iter().any(|vote| vote.term == term && vote.seat == *seat)
        });
    if let Some(seat) = absent
        && lease.holder != view.me
        && lease.config.in_sync.len() > 1
    {
        lease.config.in_sync.remove(&seat.member);
    }
}
