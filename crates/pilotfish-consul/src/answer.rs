//! What Consul said, and how far it can be trusted.

use std::time::Duration;

use crate::Endpoint;

/// A value and the circumstances under which Consul gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Index for [`crate::Cursor::advance`]; 0 when the answer carried none.
    pub index: u64,
    /// Whether the server knew a leader. Always known or not told, unless the caller asked for [`crate::Consistency::Stale`]:
    /// other answers without a leader are [`crate::Error::NoLeader`].
    pub leader: Leader,
    /// Time since the server last heard from the leader; zero on the leader itself, nothing where Consul does not tell.
    pub last_contact: Option<Duration>,
    /// Who answered. Give it to [`crate::Client::pinned`] to speak to the same server again.
    pub endpoint: Endpoint,
}

impl<T> Answer<T> {
    /// The same answer with another value.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: convert(self.value),
            index: self.index,
            leader: self.leader,
            last_contact: self.last_contact,
            endpoint: self.endpoint,
        }
    }
}

/// What the server said about the cluster's leader (`X-Consul-KnownLeader`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leader {
    /// It knows the leader.
    Known,
    /// It knows none: the value may be arbitrarily old.
    Unknown,
    /// It did not say; agent calls and writes never do.
    NotTold,
}
