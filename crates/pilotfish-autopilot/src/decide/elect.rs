//! The lease is free: stop receiving, vote, and take it if enough votes say that we have everything.

use alloc::boxed::Box;
use core::cmp::Ordering;

use super::{Mind, Step, can_apply};
use crate::act::{Act, LeaseChange};
use crate::budget::FailureClass;
use crate::lease::{Config, Lease, LeaseState, Seat, Term};
use crate::record::Vote;
use crate::view::{Catalog, Identity, Receiver, ServerFacts};
use crate::why::Why;

impl Mind<'_> {
    pub(super) fn elect(&self, lease: &Lease, index: u64, facts: &ServerFacts, identity: Identity) -> Step {
        if let Catalog::Unknown(since) = self.view.catalog {
            return Step::Wait(Why::CatalogSilent { silent: self.now.since(since) }, None);
        }
        let seat = Seat { member: self.view.me, data: identity.data };
        // Not for the last primary to wait for the votes: it has everything. Nor for the end of its own former lease.
        if lease.config.primary == seat && identity.promise <= lease.epoch.term.next() && self.policy.may_lead {
            return self.write(lease, index, LeaseChange::Retake, Why::ReturnedAsLast, |value| {
                value.epoch.term = value.epoch.term.next();
                value.holder = self.view.me;
                value.state = LeaseState::Held;
            });
        }
        if lease.holder == self.view.me && lease.state == LeaseState::Held {
            let why = Why::ClaimOfFormerRun { term: lease.epoch.term };
            return self.write(lease, index, LeaseChange::Release, why, |value| value.state = LeaseState::Released);
        }
        if !lease.config.can_elect() && !self.is_async() {
            return Step::Wait(Why::OnlyLastPrimaryHasAll { primary: lease.config.primary.member }, None);
        }
        if !self.may_vote(&lease.config, seat) {
            return Step::Wait(Why::NotInSync { primary: lease.config.primary.member }, None);
        }
        let term = lease.epoch.term.next();
        match facts.receiver {
            Receiver::Running { .. } | Receiver::Unknown => {
                return Step::Do(Act::StopReceiver { term }, Why::LeaseFree { term: lease.epoch.term });
            }
            Receiver::Stopped | Receiver::Purged => {}
        }
        // What is about to happen to the server may start the receiver again.
        if self.view.busy.server.is_some() {
            return Step::Wait(Why::LeaseFree { term: lease.epoch.term }, None);
        }
        if !self.view.votes.iter().any(|vote| vote.seat == seat && vote.term == term) {
            // What we know to be errant was acknowledged by nobody, and must not keep others from having everything.
            let received = match self.errant(lease) {
                Some(errant) => facts.received.subtract(&errant),
                None => facts.received.clone(),
            };
            let vote = Vote { seat, term, received };
            return Step::Do(Act::PublishVote { vote: Box::new(vote) }, Why::LeaseFree { term: lease.epoch.term });
        }
        self.stand(lease, index, facts, term)
    }

    /// In asynchronous clusters nobody is in sync by ack, so everybody votes whose data belongs to the cluster.
    fn may_vote(&self, config: &Config, seat: Seat) -> bool {
        config.has(seat) || (self.is_async() && config.in_sync.is_empty())
    }

    /// Stands for election if the votes allow it and nobody better does.
    fn stand(&self, lease: &Lease, index: u64, facts: &ServerFacts, term: Term) -> Step {
        let votes = self.votes(lease, term);
        let needed = self.needed(&lease.config);
        let covered = votes.clone().filter(|vote| facts.received.contains(&vote.received)).count();
        let have = votes.clone().count();
        if have < needed {
            return Step::Wait(Why::VotesMissing { term, have, needed, of: lease.config.in_sync.len() }, None);
        }
        if covered < needed {
            return Step::Wait(Why::NotGreatest { term, covered, needed }, None);
        }
        if !self.policy.may_lead {
            return Step::Wait(Why::MayNotLead, None);
        }
        if !can_apply(facts) {
            return Step::Wait(Why::ApplierStopped, None);
        }
        if let Some(gtids) = self.errant(lease) {
            return Step::Wait(Why::Errant { gtids }, None);
        }
        let me = self.view.me;
        let better = |vote: &&Vote| match vote.received.partial_cmp(&facts.received) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => vote.seat.member < me,
            Some(Ordering::Less) | None => false,
        };
        let ahead = votes.filter(better).count();
        let turn = self.policy.rank_delay * u32::try_from(ahead).unwrap_or(u32::MAX);
        let turn = if self.is_async() { turn.max(self.policy.rank_delay) } else { turn };
        if self.free_for(lease) < turn {
            return Step::Wait(Why::OthersFirst { ahead }, None);
        }
        if let Err(at) = self.view.budget.check(FailureClass::TakeOver, self.now) {
            return self.out_of_patience(FailureClass::TakeOver, at);
        }
        self.write(lease, index, LeaseChange::Take, Why::Elected { term, covered, needed }, |value| {
            value.epoch.term = term;
            value.holder = me;
            value.state = LeaseState::Held;
        })
    }

    /// The votes for a term that count: of those who are in sync, with the data with which they are.
    pub(super) fn votes<'b>(&'b self, lease: &'b Lease, term: Term) -> impl Iterator<Item = &'b Vote> + Clone {
        self.view.votes.iter().filter(move |vote| vote.term == term && self.may_vote(&lease.config, vote.seat))
    }

    /// How many votes are needed; without durability one's own is enough.
    pub(super) fn needed(&self, config: &Config) -> usize {
        if self.is_async() { 1 } else { config.needed_votes() }
    }

    /// An operator accepts the loss. Everything else is as usual: the term rises, others follow or are rebuilt.
    pub(super) fn forced(&self, lease: &Lease, index: u64, identity: Identity) -> Option<Step> {
        let term = lease.epoch.term.next();
        let facts = self.view.facts()?;
        if self.view.orders.force != Some((self.view.me, term)) || lease.is_established() && self.held().is_some() {
            return None;
        }
        if !can_apply(facts) {
            return Some(Step::Wait(Why::ApplierStopped, None));
        }
        Some(match facts.receiver {
            Receiver::Running { .. } | Receiver::Unknown => Step::Do(Act::StopReceiver { term }, Why::Forced { term }),
            Receiver::Stopped | Receiver::Purged if !super::is_drained(facts) => {
                Step::Do(Act::Drain { term }, Why::Forced { term })
            }
            Receiver::Stopped | Receiver::Purged => {
                self.write(lease, index, LeaseChange::Force, Why::Forced { term }, |value| {
                    value.epoch.term = term;
                    value.holder = self.view.me;
                    value.state = LeaseState::Held;
                    value.alone = true;
                    value.forced = true;
                    let primary = Seat { member: self.view.me, data: identity.data };
                    value.config = Config { primary, in_sync: Default::default(), acks: 0 };
                })
            }
        })
    }
}
