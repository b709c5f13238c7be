//! Whether a service's place in the catalog is free for us: two supervisors must not keep one registration in turns.
//!
//! Nobody but the catalog can say who else is there, and its word is only as good as the last heartbeat: an owner that is gone keeps its place
//! until its TTL has passed, one that lives keeps it for good.

use alloc::string::{String, ToString};
use core::time::Duration;

use crate::{
    event::{Notice, Other},
    output::Output,
    registration::Registration,
    time::Time,
};

/// How often a place that somebody else holds is looked at again: a successor waits that much longer than its predecessor's TTL at most.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long after a registration it is looked for somebody who registered at the same moment with another agent: catalogs take that long at
/// most to tell one another.
pub(crate) const CONFIRM_AFTER: Duration = Duration::from_secs(10);

/// What a TTL may take longer than its time to be seen as passed.
const TTL_SLACK: Duration = Duration::from_secs(3);

/// What is known of the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody has looked yet.
    #[default]
    Unasked,
    /// It is free, or ours already.
    Ours,
    /// Somebody else holds it.
    Contested {
        /// Who.
        by: String,
        since: Time,
        /// It was told that this will not pass by itself.
        lasting: bool,
    },
}

impl Claim {
    /// Somebody else holds the place. That is told at once, and once more when a predecessor's TTL would have passed by now.
    pub(crate) fn contest(&mut self, out: &mut Output, service: &str, ttl: Duration, by: &str) {
        let (since, told) = match self {
            Claim::Contested { by: known, since, lasting } if known == by => (*since, Some(*lasting)),
            Claim::Contested { .. } | Claim::Unasked | Claim::Ours => (out.now, None),
        };
        let lasting = out.now.since(since) >= ttl.saturating_add(TTL_SLACK);
        if told.is_none_or(|told| lasting && !told) {
            out.notice(Notice::Contested { service: service.to_string(), by: by.to_string(), lasting });
        }
        *self = Claim::Contested { by: by.to_string(), since, lasting };
    }

    /// Who else holds the place.
    pub(crate) fn contested_by(&self) -> Option<&str> {
        match self {
            Claim::Contested { by, .. } => Some(by),
            Claim::Unasked | Claim::Ours => None,
        }
    }
}

impl Registration {
    /// Another supervisor keeps the service out for good, and that is reason enough to stop.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.service.exit_on_conflict && matches!(self.claim, Claim::Contested { lasting: true, .. })
    }
}

/// Who keeps us out of a place that is not ours yet: whoever is alive.
pub(crate) fn holder(others: &[Other]) -> Option<&Other> {
    others.iter().find(|other| other.alive)
}

/// Who makes us leave a place that is ours: somebody alive who comes before us. One of two must, and both must agree which.
pub(crate) fn senior(others: &[Other]) -> Option<&Other> {
    others.iter().find(|other| other.alive && other.senior)
}
