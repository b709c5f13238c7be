//! What a forced failover may lose, said before it is done.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt;

use crate::gtid::GtidSet;
use crate::lease::{MemberId, Seat, Term, set_of};
use crate::view::View;

/// What is not known, and what is known to be missing, if `candidate` is made primary without the votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Who would lead.
    pub candidate: MemberId,
    /// In which term; the order must name it.
    pub term: Term,
    /// Members of the in-sync set, and the last primary, that have not said what they have: each may have acknowledged writes that nobody else has.
    pub unheard: BTreeSet<MemberId>,
    /// What others are known to have and the candidate has not.
    pub missing: Option<GtidSet>,
    /// Whether the votes suffice without force: then there is no loss, and no need of it.
    pub needless: bool,
}

/// Computes what would be lost; `None` if there is no lease, or nothing is known of the candidate.
pub fn loss(view: &View, candidate: MemberId) -> Option<Loss> {
    let (lease, _) = view.lease()?;
    let received = |seat: Seat| {
        let record =
            view.records.get(&seat.member).filter(|record| record.data.map(|(_, data)| data) == Some(seat.data));
        let voted = view.votes.iter().filter(|vote| vote.seat == seat && vote.term == lease.epoch.term.next());
        voted.map(|vote| &vote.received).next_back().or_else(|| record.and_then(|record| record.received.as_ref()))
    };
    let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
    let ours = view.records.get(&candidate)?.received.as_ref()?;
    let all: alloc::vec::Vec<Seat> = seats.clone().chain([lease.config.primary]).collect();
    let unheard = set_of(all.iter().filter(|seat| received(**seat).is_none()).map(|seat| seat.member));
    let missing = all.iter().filter_map(|seat| received(*seat)).map(|theirs| theirs.subtract(ours));
    let missing = missing.reduce(|all, more| all.union(&more).unwrap_or(all)).filter(|set| !set.is_empty());
    let covered = seats.filter(|seat| received(*seat).is_some_and(|theirs| ours.contains(theirs))).count();
    let needless = candidate == lease.config.primary.member
        || (lease.config.can_elect() && covered >= lease.config.needed_votes());
    Some(Loss { candidate, term: lease.epoch.term.next(), unheard, missing, needless })
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needless {
            return write!(f, "{} has every acknowledged write: force is not needed", self.candidate);
        }
        let unheard: alloc::vec::Vec<String> = self.unheard.iter().map(|member| alloc::format!("{member}")).collect();
        match (&self.missing, unheard.is_empty()) {
            (Some(missing), true) => write!(f, "{} lacks {missing}", self.candidate),
            (Some(missing), false) => {
                write!(f, "{} lacks {missing}, and whatever only {} may have", self.candidate, unheard.join(", "))
            }
            (None, false) => {
                write!(
                    f,
                    "{} lacks nothing that is known, but whatever only {} may have",
                    self.candidate,
                    unheard.join(", ")
                )
            }
            (None, true) => write!(f, "{} lacks nothing that is known", self.candidate),
        }
    }
}
