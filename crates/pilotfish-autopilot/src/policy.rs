//! What an operator wants: durability and times. Checked by [`plan`](crate::plan()) before anything starts.

use core::time::Duration;

/// Whether a write may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The client gets its OK when the write is on enough members; a failover never loses it.
    Quorum,
    /// The client gets its OK at once; a failover says what may be lost.
    Async,
}

/// Settings of the autopilot, the same on all members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a write may be lost.
    pub durability: Durability,
    /// How many replicas must have a write, if there are so many. MariaDB knows only 1.
    pub acks: u8,
    /// With fewer in-sync replicas than this, writes wait. `None`: 1 in a cluster of three or more, otherwise 0.
    pub min_in_sync: Option<u8>,
    /// This member may become primary.
    pub may_lead: bool,
    /// How long a lease lasts.
    pub ttl: Duration,
    /// Time between renewals.
    pub renew_every: Duration,
    /// How long one request to the catalog may take.
    pub request_limit: Duration,
    /// Time between two probes of the own server.
    pub probe_every: Duration,
    /// A primary that has not answered a probe for this long is killed.
    pub hang_limit: Duration,
    /// How long SIGKILL and `waitid` take at the longest.
    pub kill_limit: Duration,
    /// How long a switchover may take before all goes back.
    pub switchover_limit: Duration,
    /// An in-sync replica that is gone for this long leaves the set.
    pub leave_after: Duration,
    /// How long each next-best candidate waits for the one before it.
    pub rank_delay: Duration,
    /// How many transactions a replica may be behind when it joins the in-sync set.
    pub join_lag: u64,
    /// How often a member tells the others where it is, if that changes.
    pub report_every: Duration,
    /// For how long a commit may wait for its acknowledgement before it is helped on by another.
    pub beat_after: Duration,
    /// For how long that may go unacknowledged before commits are released that enough members have executed.
    pub release_after: Duration,
    /// When commits have waited for so long, that is no passing thing.
    pub wait_limit: Duration,
}

/// How long a replica of MariaDB's takes to stop receiving from a source that hangs (M6), with time to notice.
const LEAVE_HANGING: Duration = Duration::from_millis(1_300);

/// Beyond how much of a TTL more a follower calls a lease expired: clocks may differ in pace by so much.
const CLOCK_MARGIN_DIVISOR: u32 = 10;

impl Policy {
    /// The defaults for a lease of `ttl`.
    pub fn with_ttl(ttl: Duration) -> Policy {
        Policy {
            durability: Durability::Quorum,
            acks: 1,
            min_in_sync: None,
            may_lead: true,
            ttl,
            renew_every: ttl / 3,
            request_limit: ttl / 6,
            probe_every: ttl / 12,
            hang_limit: ttl / 3,
            kill_limit: Duration::from_millis(100),
            switchover_limit: Duration::from_secs(10),
            leave_after: ttl / 3,
            rank_delay: ttl / 6,
            join_lag: 100,
            report_every: Duration::from_secs(1),
            beat_after: Duration::from_millis(100),
            release_after: Duration::from_secs(1),
            // Longer than a failover would take; and servers tell in whole seconds for how long a commit has waited.
            wait_limit: ttl + Duration::from_secs(1),
        }
    }

    /// After how long without a change a follower calls the lease expired.
    pub fn expiry(&self) -> Duration {
        self.ttl + self.ttl / CLOCK_MARGIN_DIVISOR
    }

    /// After how long without a change a lease is late: one renewal has failed, the next is due, and there is no more time left than it takes to
    /// leave a source that hangs.
    pub fn late(&self) -> Duration {
        (self.renew_every * 2).max(self.expiry().saturating_sub(LEAVE_HANGING))
    }

    /// The least size of the in-sync set in a cluster of `members`.
    pub fn floor(&self, members: usize) -> usize {
        match (self.durability, self.min_in_sync) {
            (Durability::Async, _) => 0,
            (Durability::Quorum, Some(least)) => usize::from(least),
            (Durability::Quorum, None) => usize::from(members >= 3),
        }
    }

    /// How many acks a write needs with `in_sync` replicas.
    pub fn acks_with(&self, in_sync: usize) -> u8 {
        match self.durability {
            Durability::Async => 0,
            Durability::Quorum => self.acks.min(u8::try_from(in_sync).unwrap_or(u8::MAX)),
        }
    }

    /// The longest time between two answers of the catalog that counts as answered throughout.
    pub fn longest_gap(&self) -> Duration {
        self.renew_every + self.request_limit
    }
}
