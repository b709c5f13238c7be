//! An independent judge of decisions: it knows the guarantees and not the rules by which decisions are made, and shares no code with
//! [`decide`](crate::decide()) but the types. It is asked before every act; an objection means that the act is not carried out.

mod lease;

use alloc::vec::Vec;
use core::fmt;

use crate::act::{Act, Condemnation, Start};
use crate::decide::Decision;
use crate::gtid::{Flavour, GtidSet};
use crate::lease::{Epoch, Lease, LeaseState, Seat};
use crate::policy::Policy;
use crate::record::Mode;
use crate::time::Time;
use crate::view::{Access, Data, LeaseFact, Receiver, Server, ServerFacts, View};

/// What is wrong with a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// A server would be started while one runs.
    ServerRuns,
    /// The server is not known to have exited.
    ServerNotStopped,
    /// A server that takes writes would be stopped politely.
    TakesWrites,
    /// Committed transactions would be dropped without an established successor.
    NoSuccessor,
    /// Data would be lost that others count on.
    OthersCountOnIt,
    /// A cluster would be initialised over data, or without its lease.
    NotOursToInitialise,
    /// The check-and-set names another index than the one that was read.
    StaleIndex,
    /// Term or change would fall, or rise by more than this change may.
    WrongEpoch,
    /// More than one thing would change.
    ChangesTooMuch,
    /// The lease is not held by this run of the supervisor.
    NotHeld,
    /// The own deadline has passed.
    TooLate,
    /// The lease is not free.
    NotFree,
    /// Too few votes, or votes with more than this member has.
    VotesMissing,
    /// Only who wrote last may do this without votes.
    NotLast,
    /// Received transactions are not applied.
    NotDrained,
    /// Fewer members have everything than must.
    HoldersMissing,
    /// A member that should not acknowledge still may.
    NotCut,
    /// Fewer would be in sync than the policy allows.
    BelowFloor,
    /// A write of the lease is in doubt.
    InDoubt,
    /// Nobody ordered this.
    NotOrdered,
    /// The receiver runs.
    StillReceives,
    /// The vote says something else than the server.
    VoteUntrue,
    /// A vote forbids this.
    Promised,
    /// The source is not who holds the lease in this term.
    WrongSource,
    /// The mode is not what the in-sync set says.
    WrongMode,
    /// The own history is not known to be part of the source's.
    PerhapsErrant,
    /// Fewer acks than the lease says.
    TooFewAcks,
    /// The holder has not established itself.
    NotEstablished,
    /// The server takes no writes, or soon will not.
    NotOpen,
    /// The lease is kept, and its holder may wait for our acknowledgements.
    HolderWaits,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Objection::ServerRuns => "a server runs already",
            Objection::ServerNotStopped => "the server is not known to have exited",
            Objection::TakesWrites => "a server that takes writes would be stopped politely",
            Objection::NoSuccessor => "transactions would be dropped without an established successor",
            Objection::OthersCountOnIt => "data would be lost that others count on",
            Objection::NotOursToInitialise => "a cluster would be initialised over data or without its lease",
            Objection::StaleIndex => "the check-and-set names another index than was read",
            Objection::WrongEpoch => "term or change would fall, or rise too far",
            Objection::ChangesTooMuch => "more than one thing would change",
            Objection::NotHeld => "this run of the supervisor does not hold the lease",
            Objection::TooLate => "the holder's own deadline has passed",
            Objection::NotFree => "the lease is not free",
            Objection::VotesMissing => "too few votes, or votes with more than this member has",
            Objection::NotLast => "only who wrote last may do this without votes",
            Objection::NotDrained => "received transactions are not applied",
            Objection::HoldersMissing => "fewer members have everything than must",
            Objection::NotCut => "a member that should not acknowledge still may",
            Objection::BelowFloor => "fewer would be in sync than the policy allows",
            Objection::InDoubt => "a write of the lease is in doubt",
            Objection::NotOrdered => "nobody ordered this",
            Objection::StillReceives => "the receiver runs",
            Objection::VoteUntrue => "the vote says something else than the server",
            Objection::Promised => "a vote forbids this",
            Objection::WrongSource => "the source does not hold the lease in this term",
            Objection::WrongMode => "the mode is not what the in-sync set says",
            Objection::PerhapsErrant => "the own history is not known to be part of the source's",
            Objection::TooFewAcks => "fewer acks than the lease says",
            Objection::NotEstablished => "the holder has not established itself",
            Objection::NotOpen => "the server takes no writes, or soon will not",
            Objection::HolderWaits => "the holder may wait for our acknowledgements",
        })
    }
}

/// Judges a decision. An empty answer is no objection.
pub fn lint(view: &View, policy: &Policy, now: Time, decision: &Decision) -> Vec<Objection> {
    let mut judge = Judge { view, policy, now, objections: Vec::new() };
    if let Act::WriteLease { cas, change, value } = &decision.act {
        judge.lease_write(*cas, *change, value);
    } else {
        judge.other(&decision.act);
    }
    judge.objections
}

struct Judge<'a> {
    view: &'a View,
    policy: &'a Policy,
    now: Time,
    objections: Vec<Objection>,
}

impl<'a> Judge<'a> {
    fn demand(&mut self, condition: bool, otherwise: Objection) {
        if !condition {
            self.objections.push(otherwise);
        }
    }

    fn lease_value(&self) -> Option<&'a Lease> {
        match &self.view.lease {
            LeaseFact::Present { lease, .. } => Some(lease),
            LeaseFact::Unknown | LeaseFact::Absent => None,
        }
    }

    fn running(&self) -> Option<&'a ServerFacts> {
        if let Server::Running(facts) = &self.view.server { Some(facts) } else { None }
    }

    fn own_seat(&self) -> Option<Seat> {
        if let Data::Present(identity) | Data::Condemned(identity) = self.view.data {
            Some(Seat { member: self.view.me, data: identity.data })
        } else {
            None
        }
    }

    fn counts_on_us(&self) -> bool {
        let seat = self.own_seat();
        self.lease_value().is_some_and(|lease| {
            seat.is_some_and(|seat| lease.config.in_sync.get(&seat.member) == Some(&seat.data))
                && lease.state != LeaseState::Initialising
        })
    }

    /// Whether somebody else's commits may wait for our acknowledgement.
    fn is_acknowledging(&self) -> bool {
        let lease = self.lease_value().filter(|lease| lease.holder != self.view.me && lease.state == LeaseState::Held);
        let receiver = self.running().map(|facts| facts.receiver);
        self.counts_on_us()
            && lease.zip(receiver).is_some_and(|(lease, receiver)| {
                matches!(receiver, Receiver::Running { to, mode: Mode::Acking, .. } if to == lease.holder)
            })
    }

    /// Whether this run of the supervisor holds the lease of the term, by what was read last.
    fn holds(&self, term: crate::lease::Term) -> bool {
        let held = self.view.holding.as_ref().map(|holding| holding.lease.epoch.term);
        held == Some(term)
            && self.lease_value().is_some_and(|lease| {
                lease.holder == self.view.me && lease.epoch.term == term && lease.state != LeaseState::Released
            })
    }

    fn succeeded(&self) -> bool {
        self.lease_value().is_some_and(|lease| {
            lease.state == LeaseState::Held
                && lease.holder != self.view.me
                && lease.config.primary.member == lease.holder
        })
    }

    fn other(&mut self, act: &Act) {
        match act {
            Act::Wait
            | Act::FenceServer
            | Act::PublishRecord { .. }
            | Act::Register { .. }
            | Act::Answer { .. }
            | Act::Drain { .. }
            | Act::WriteLease { .. } => {}
            Act::StartServer { start } => {
                self.demand(matches!(self.view.server, Server::Stopped), Objection::ServerRuns);
                if *start == Start::DropTail {
                    let voted = self.lease_value().is_some_and(|lease| !lease.forced)
                        && self.policy.durability == crate::policy::Durability::Quorum;
                    let allowed =
                        voted && self.succeeded() && !self.counts_on_us() && self.view.flavour == Flavour::MariaDb;
                    self.demand(allowed, Objection::NoSuccessor);
                }
            }
            Act::StopServer => {
                let quiet = self.running().is_none_or(|facts| facts.access == Access::ReadOnly);
                self.demand(quiet, Objection::TakesWrites);
            }
            Act::InitialiseCluster { cluster, .. } => self.initialise(*cluster),
            Act::Condemn { reason } => self.condemn(reason),
            Act::Remember { seen } => self.remember(*seen),
            Act::Rebuild { from, .. } => {
                self.demand(matches!(self.view.server, Server::Stopped), Objection::ServerNotStopped);
                let useless = !matches!(self.view.data, Data::Present(_) | Data::Unknown);
                self.demand(useless && !self.counts_on_us(), Objection::OthersCountOnIt);
                self.demand(*from != self.view.me && self.succeeded(), Objection::WrongSource);
            }
            Act::PublishVote { vote } => self.vote(vote),
            Act::StopReceiver { .. } => {
                let next = self.lease_value().map(|lease| (self.view.me, lease.epoch.term.next()));
                let forced = self.view.orders.force.is_some() && self.view.orders.force == next;
                let needed = self.is_acknowledging() && !forced;
                let late = self.is_free() || self.view.lease_clock.unchanged() >= self.policy.late();
                self.demand(late || !needed, Objection::HolderWaits);
            }
            Act::Attach { to, term, mode } => self.attach(*to, *term, *mode),
            Act::SetGate { term, admit } => {
                self.demand(self.holds(*term), Objection::NotHeld);
                let pending = self.view.pending.as_ref().map(|pending| &pending.value.config.in_sync);
                let in_sync = self.lease_value().map(|lease| &lease.config.in_sync);
                let all_in = admit.iter().all(|member| {
                    in_sync.is_some_and(|set| set.contains_key(member))
                        && pending.is_none_or(|set| set.contains_key(member))
                });
                self.demand(all_in, Objection::NotCut);
            }
            Act::SetAcks { term, acks } => {
                self.demand(self.holds(*term), Objection::NotHeld);
                // A closed server waits for nobody, and needs its acknowledgements again before it opens.
                if !(*acks == 0 && self.running().is_some_and(|facts| facts.access == Access::ReadOnly)) {
                    self.enough_acks(*acks);
                }
            }
            Act::Open { term } => self.open(*term),
            Act::Close { term } => self.demand(self.holds(*term), Objection::NotHeld),
            Act::Beat { term } => self.beat(*term),
            Act::Release { term, executed } => self.release_commits(*term, executed),
        }
    }

    fn initialise(&mut self, cluster: crate::lease::ClusterId) {
        let ours = self.lease_value().is_some_and(|lease| {
            lease.state == LeaseState::Initialising && lease.cluster == cluster && self.holds(lease.epoch.term)
        });
        let nothing = matches!(self.view.data, Data::Empty | Data::Partial);
        self.demand(ours && nothing, Objection::NotOursToInitialise);
    }

    fn condemn(&mut self, reason: &Condemnation) {
        let never_used = self.view.identity().is_some_and(|identity| identity.seen == Epoch::default());
        let fits = match reason {
            // While nobody has used the other cluster, ours may still come to be.
            Condemnation::NeverUsed => {
                never_used
                    && self.view.records.values().any(|record| {
                        let theirs = record.data.map(|(cluster, _)| cluster);
                        record.seen.term.0 > 0
                            && theirs.is_some()
                            && theirs == self.lease_value().map(|lease| lease.cluster)
                    })
            }
            Condemnation::Errant(_) | Condemnation::Purged | Condemnation::ApplierStopped => self.succeeded(),
        };
        self.demand(fits && !self.counts_on_us(), Objection::OthersCountOnIt);
    }

    /// Data that was never used comes to be part of a cluster: nobody uses another, as the lease was read, or an operator says so.
    fn remember(&mut self, seen: Epoch) {
        let (Some(lease), Some(identity)) = (self.lease_value(), self.view.identity()) else {
            return self.objections.push(Objection::NotHeld);
        };
        self.demand(seen == lease.epoch && identity.cluster == lease.cluster, Objection::WrongEpoch);
        let first = identity.seen.term.0 == 0 && !lease.forced;
        let read = matches!(self.view.lease, LeaseFact::Present { index, .. } if index == self.view.last_read.index);
        let others = self.view.records.values().any(|record| {
            record.seen.term.0 > 0 && record.data.is_some_and(|(cluster, _)| cluster != identity.cluster)
        });
        self.demand(!first || read && !others, Objection::NotOursToInitialise);
    }

    fn vote(&mut self, vote: &crate::record::Vote) {
        let facts = self.running();
        let receives = facts.is_none_or(|facts| matches!(facts.receiver, Receiver::Running { .. } | Receiver::Unknown));
        self.demand(!receives && self.view.busy.server.is_none(), Objection::StillReceives);
        let errant = self.view.source.as_ref().map(|source| source.ours.subtract(&source.executed));
        // Nothing that the server does not have, and everything but what is known to be errant.
        let true_to_fact = facts.is_some_and(|facts| {
            let left_out = facts.received.subtract(&vote.received);
            let known = errant.as_ref().is_some_and(|errant| left_out.subtract(errant).is_empty());
            vote.received.subtract(&facts.received).is_empty() && (left_out.is_empty() || known)
        });
        self.demand(true_to_fact && self.own_seat() == Some(vote.seat), Objection::VoteUntrue);
        let next = self.lease_value().map(|lease| lease.epoch.term.next());
        self.demand(next == Some(vote.term), Objection::WrongEpoch);
        self.demand(self.is_free(), Objection::NotFree);
    }

    /// Free means given up, or unchanged for at least the lease's length; the margin on top is the decider's business.
    fn is_free(&self) -> bool {
        let released = self.lease_value().is_some_and(|lease| lease.state == LeaseState::Released);
        released || self.view.lease_clock.unchanged() >= self.policy.ttl
    }

    fn attach(&mut self, to: crate::lease::MemberId, term: crate::lease::Term, mode: Mode) {
        let promise = self.view.identity().map(|identity| identity.promise);
        self.demand(promise.is_some_and(|promise| term >= promise), Objection::Promised);
        let holder = self.lease_value().map(|lease| (lease.holder, lease.epoch.term, lease.state));
        let right = holder == Some((to, term, LeaseState::Held)) && to != self.view.me;
        self.demand(right, Objection::WrongSource);
        self.demand((mode == Mode::Acking) == self.counts_on_us(), Objection::WrongMode);
        let Some(facts) = self.running() else { return self.objections.push(Objection::ServerNotStopped) };
        let uncounted = matches!(facts.receiver, Receiver::Running { to: from, mode: Mode::Plain, .. } if from == to);
        if self.counts_on_us() && !uncounted {
            self.demand(facts.received.subtract(&facts.executed).is_empty(), Objection::NotDrained);
        }
        let lacks_nothing = |executed: &GtidSet| facts.executed.subtract(executed).is_empty();
        let answered = self
            .view
            .source
            .as_ref()
            .is_some_and(|source| source.member == to && source.term == term && lacks_nothing(&source.executed));
        let published = self.view.records.get(&to).is_some_and(|record| {
            let seat = record.data.map(|(_, data)| Seat { member: to, data });
            let config = self.lease_value().map(|lease| &lease.config);
            let chosen = seat.zip(config).is_some_and(|(seat, config)| config.primary == seat || config.has(seat));
            chosen && record.executed.as_ref().is_some_and(lacks_nothing)
        });
        self.demand(answered || published, Objection::PerhapsErrant);
    }

    fn enough_acks(&mut self, acks: u8) {
        let lease = self.lease_value().map_or(0, |lease| lease.config.acks);
        let doubt = self.view.pending.as_ref().map_or(0, |pending| pending.value.config.acks);
        self.demand(acks >= lease && acks >= doubt, Objection::TooFewAcks);
        let alone = self.lease_value().is_some_and(|lease| self.least(lease) == 0);
        self.demand(alone || acks > 0, Objection::BelowFloor);
    }

    fn open(&mut self, term: crate::lease::Term) {
        self.demand(self.holds(term), Objection::NotHeld);
        let deadline = self.view.holding.as_ref().map(|holding| holding.sent.after(self.policy.ttl));
        self.demand(deadline.is_some_and(|deadline| deadline > self.now), Objection::TooLate);
        self.demand(self.view.pending.is_none(), Objection::InDoubt);
        let (Some(facts), Some(lease)) = (self.running(), self.lease_value()) else {
            return self.objections.push(Objection::NotHeld);
        };
        self.demand(self.leads(), Objection::NotEstablished);
        // What the data does not say was never used, and may be thrown away.
        let noted = self.view.identity().is_some_and(|identity| identity.seen >= lease.epoch);
        self.demand(noted, Objection::WrongEpoch);
        // Nor may others take another cluster's data into use that do not know of this one.
        self.demand(self.view.last_read.used == Some(lease.cluster), Objection::NotEstablished);
        self.demand(
            facts.receiver == Receiver::Stopped || facts.receiver == Receiver::Purged,
            Objection::StillReceives,
        );
        self.demand(facts.received.subtract(&facts.executed).is_empty(), Objection::NotDrained);
        self.demand(facts.gate.iter().all(|member| lease.config.in_sync.contains_key(member)), Objection::NotCut);
        self.enough_acks(facts.acks);
    }

    /// A transaction of ours: only a primary writes.
    fn beat(&mut self, term: crate::lease::Term) {
        self.demand(self.holds(term), Objection::NotHeld);
        self.demand(self.leads(), Objection::NotEstablished);
        let closing = matches!(self.view.busy.server, Some(Act::Close { .. } | Act::StopServer | Act::FenceServer));
        let open = self.running().is_some_and(|facts| facts.access == Access::Writable);
        self.demand(open && !closing, Objection::NotOpen);
    }

    /// Commits get their OK although nobody has acknowledged them: as many as must have them already, and are none of those that may be dropped
    /// from the set meanwhile.
    fn release_commits(&mut self, term: crate::lease::Term, executed: &GtidSet) {
        self.demand(self.holds(term), Objection::NotHeld);
        self.demand(self.leads(), Objection::NotEstablished);
        let deadline = self.view.holding.as_ref().map(|holding| holding.sent.after(self.policy.ttl));
        self.demand(deadline.is_some_and(|deadline| deadline > self.now), Objection::TooLate);
        self.demand(self.view.pending.is_none(), Objection::InDoubt);
        let (Some(facts), Some(lease)) = (self.running(), self.lease_value()) else {
            return self.objections.push(Objection::NotHeld);
        };
        self.demand(lease.config.acks > 0, Objection::TooFewAcks);
        let mut have = 0;
        for (member, data) in &lease.config.in_sync {
            let record = self.view.records.get(member).filter(|record| record.data.is_some_and(|(_, of)| of == *data));
            let theirs = record.and_then(|record| record.executed.as_ref()).filter(|_| facts.gate.contains(member));
            have += u8::from(theirs.is_some_and(|theirs| executed.subtract(theirs).is_empty()));
        }
        self.demand(have >= lease.config.acks && have >= facts.acks, Objection::HoldersMissing);
    }

    /// Whether the lease calls this copy of the data the primary's.
    fn leads(&self) -> bool {
        self.lease_value()
            .is_some_and(|lease| lease.state == LeaseState::Held && Some(lease.config.primary) == self.own_seat())
    }
}
