//! Questions to other members' servers: to the lease's holder, whether we are part of its history; and from a holder that hands over, who has
//! everything.

use std::time::Duration;

use pilotfish_autopilot::{
    GtidSet, LeaseState, MemberId, Receiver, Seat, SourceFacts, Term, Time, Unanswered, awaited,
};
use tokio::time::sleep;

use super::fact::Fact;
use super::{Level, Operator, clock};
use crate::error::Error;
use crate::settings::Credentials;
use crate::sql::Peer;
use crate::task::beside;

/// How often the source is asked while something changes, and while nothing does.
const SOURCE_HOT_EVERY: Duration = Duration::from_millis(20);
const SOURCE_EVERY: Duration = Duration::from_secs(1);
/// How soon it is asked again when it did not answer.
const SOURCE_AGAIN: Duration = Duration::from_millis(100);
/// How often a member makes sure that it is connected to the others.
const MEET_EVERY: Duration = Duration::from_secs(5);
/// How soon a member is asked again that does not have everything yet.
const MEMBER_AGAIN: Duration = Duration::from_millis(2);
/// How soon a member is asked again that did not answer.
const MEMBER_RETRY: Duration = Duration::from_millis(50);

/// Where asking stands.
#[derive(Default)]
pub(super) struct Asking {
    /// Connections to other members' servers.
    peers: Vec<Peer>,
    /// When the source is to be asked.
    pub(super) source_at: Time,
    source_asked: bool,
    /// For which holder and term the source was asked last.
    asked: Option<(MemberId, Term)>,
    /// Questions that the source has not answered.
    pub(super) unheard: Option<Unanswered>,
    /// Why the source refused to answer, if that was told.
    refusal: Option<String>,
    /// When these connections are looked after again.
    meet_at: Time,
    /// Who was asked for its position, and when it may be asked again: not while its answer is under way.
    members_at: Vec<(MemberId, Option<Time>)>,
}

impl Asking {
    /// This process was itself stopped for a while: it is not the source that was silent.
    pub(super) fn was_stopped(&mut self, now: Time) {
        self.unheard = self.unheard.map(|unanswered| Unanswered { since: now, ..unanswered });
    }

    /// When a member may be asked again.
    fn ask_member_again(&mut self, member: MemberId, at: Option<Time>) {
        self.members_at.retain(|(other, _)| *other != member);
        self.members_at.push((member, at));
    }

    /// Says good-bye to some.
    fn leave(&mut self, whom: impl Fn(&Peer) -> bool) {
        self.peers.iter().filter(|peer| whom(peer)).for_each(Peer::leave);
        self.peers.retain(|peer| !whom(peer));
    }

    /// A new run of our own server: what was asked for the last does not count.
    pub(super) fn forget(&mut self) {
        self.asked = None;
        self.unheard = None;
        self.refusal = None;
    }
}

impl Operator {
    /// Another member's server, by where the member is now.
    pub(super) fn peer(&mut self, member: MemberId) -> Option<Peer> {
        let source = self.source(member)?;
        if let Some(known) = self.asking.peers.iter().find(|known| known.is(&source)) {
            return Some(known.clone());
        }
        self.asking.leave(|peer| peer.member() == member);
        let Credentials { replication_user, replication_password, .. } = &self.credentials;
        let peer = Peer::new(self.view.flavour, source, replication_user, replication_password);
        self.asking.peers.push(peer.clone());
        Some(peer)
    }

    /// Asks the lease's holder what it has executed: at once when it is another, and from time to time, because we may have what it has not.
    pub(super) fn ask_source(&mut self) {
        if self.asking.source_asked {
            return;
        }
        let Some((holder, term)) = self.whom_to_ask() else {
            self.asking.unheard = None;
            return;
        };
        let (Some(facts), Some(identity)) = (self.view.facts(), self.view.identity()) else { return };
        let now = clock::now();
        let attached = matches!(facts.receiver, Receiver::Running { to, connected: true, .. } if to == holder);
        if self.asking.asked == Some((holder, term)) && self.asking.source_at > now {
            return;
        }
        let ours = facts.executed.clone();
        let Some(peer) = self.peer(holder) else { return };
        self.asking.source_asked = true;
        self.asking.asked = Some((holder, term));
        if self.asking.unheard.is_none_or(|before| (before.member, before.term) != (holder, term)) {
            self.asking.unheard = Some(Unanswered { member: holder, term, since: now });
        }
        let hot = self.watching.is_hot(now) && !attached;
        self.asking.source_at = now.after(if hot { SOURCE_HOT_EVERY } else { SOURCE_EVERY });
        let (facts, limit) = (self.facts.clone(), self.policy.request_limit * 2);
        beside(async move {
            let answer = peer
                .executed(limit)
                .await
                .map(|executed| Box::new(SourceFacts { member: holder, term, executed, ours, data: identity.data }));
            let _ = facts.send(Fact::Source(answer));
        });
    }

    /// The lease's holder, if that is another and can be asked, and its term.
    fn whom_to_ask(&self) -> Option<(MemberId, Term)> {
        let (lease, _) = self.view.lease()?;
        let other = lease.holder != self.view.me && lease.state == LeaseState::Held;
        self.view.facts().and(self.view.identity())?;
        (other && self.reading.contacts.contains_key(&lease.holder)).then_some((lease.holder, lease.epoch.term))
    }

    pub(super) fn source_answered(&mut self, answer: Result<Box<SourceFacts>, Error>) {
        self.asking.source_asked = false;
        match answer {
            Ok(facts) => {
                self.asking.unheard = None;
                self.view.source = Some(*facts);
                self.asking.refusal = None;
            }
            Err(error) => {
                let refused = matches!(error, Error::Refused { .. });
                if refused {
                    self.asking.unheard = None;
                } else {
                    self.asking.source_at = self.asking.source_at.min(clock::now().after(SOURCE_AGAIN));
                }
                let text = format!("asking the source: {error}");
                // Who is away comes back, and everybody sees that it is away. Who refuses us will go on doing so, and nobody else knows why we wait.
                let tell = refused && self.asking.refusal.as_ref() != Some(&text);
                (self.log)(if tell { Level::Warn } else { Level::Debug }, &text);
                if tell {
                    self.asking.refusal = Some(text);
                }
            }
        }
    }

    /// Stays connected to all that hold the lease or may: to connect takes longer than to ask.
    pub(super) fn meet_members(&mut self, now: Time) {
        let Some((lease, _)) = self.view.lease().filter(|_| self.view.facts().is_some()) else { return };
        let known = |member: &MemberId| *member != self.view.me && self.reading.contacts.contains_key(member);
        let members = lease.config.in_sync.keys().copied().chain([lease.holder]);
        let mut members: Vec<MemberId> = members.filter(known).collect();
        if self.asking.meet_at > now {
            members.retain(|member| self.asking.peers.iter().all(|peer| peer.member() != *member));
        } else {
            self.asking.meet_at = now.after(MEET_EVERY);
            self.asking.leave(|peer| !members.contains(&peer.member()));
        }
        let limit = self.policy.request_limit;
        for peer in members.into_iter().filter_map(|member| self.peer(member)).collect::<Vec<_>>() {
            beside(async move { peer.meet(limit).await });
        }
    }

    /// Says good-bye to all.
    pub(super) fn leave_members(&self) {
        self.asking.peers.iter().for_each(Peer::leave);
    }

    /// Asks those whose position a hand-over waits for.
    pub(super) fn ask_members(&mut self) {
        for seat in awaited(&self.view) {
            let asked = self.asking.members_at.iter().find(|(member, _)| *member == seat.member);
            let pause = match asked {
                Some((_, None)) => continue,
                Some((_, Some(at))) => at.since(clock::now()),
                None => Duration::ZERO,
            };
            let Some(peer) = self.peer(seat.member) else { continue };
            self.asking.ask_member_again(seat.member, None);
            let (facts, limit) = (self.facts.clone(), self.policy.request_limit);
            beside(async move {
                sleep(pause).await;
                let executed = peer.executed(limit).await;
                let _ = facts.send(Fact::Position { seat, executed });
            });
        }
    }

    pub(super) fn position_answered(&mut self, seat: Seat, executed: Result<GtidSet, Error>) {
        let now = clock::now();
        match executed {
            Ok(executed) => {
                self.asking.ask_member_again(seat.member, Some(now.after(MEMBER_AGAIN)));
                // Until the catalog is read again. Nobody remembers it for longer: a server that crashes may come back with less.
                if awaited(&self.view).contains(&seat) {
                    self.view.hear(seat, &executed);
                }
            }
            // The member tells the catalog as well.
            Err(error) => {
                self.asking.ask_member_again(seat.member, Some(now.after(MEMBER_RETRY)));
                (self.log)(Level::Debug, &format!("asking {}: {error}", seat.member));
            }
        }
        self.ask_members();
    }
}
