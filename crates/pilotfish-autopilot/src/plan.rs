//! What the times of a policy mean: how long a failure takes at the worst, and which combinations cannot work. `plan` is printed before
//! anything starts, and what it finds wrong is refused.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::gtid::Flavour;
use crate::policy::{Durability, Policy};

/// The shortest and the longest lease.
pub const SHORTEST_TTL: Duration = Duration::from_secs(1);
/// The longest lease: beyond it nobody would call it automatic.
pub const LONGEST_TTL: Duration = Duration::from_secs(60);
/// Clocks may differ in pace by no more than this, in millionths; `CLOCK_BOOTTIME` under NTP stays below 500.
pub const CLOCK_DRIFT_PPM: u32 = 10_000;

/// What to expect at the worst, without what the server itself needs to promote (tenths of a second on an idle machine).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The primary's server exits: until the others may vote.
    pub crash: Duration,
    /// The primary's server does not answer: until the others may vote.
    pub hang: Duration,
    /// The primary's machine is lost: until the others may vote.
    pub host_lost: Duration,
    /// From the moment at which the others may first call the lease expired, how long the old primary may still serve *reads*; it acknowledges
    /// no write by then. Zero if it is gone before.
    pub stale_reads: Duration,
    /// How much later than the end of a lease, by its holder's clock, anybody may take it.
    pub margin: Duration,
    /// How many failures without loss of an acknowledged write, at the least.
    pub tolerated: usize,
    /// What cannot work.
    pub refusals: Vec<Refusal>,
}

/// A combination that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The lease is too short or too long.
    TtlOutOfRange(Duration),
    /// Not even two renewals fit into a lease: one that fails would end it.
    RenewalsTooRare(Duration, Duration),
    /// A request may take so long that the next renewal comes too late.
    RequestsTooSlow(Duration, Duration),
    /// A hang would outlive the lease.
    HangOutlivesLease(Duration, Duration),
    /// Between two probes there is no time for an answer.
    ProbesTooRare(Duration, Duration),
    /// Killing takes longer than a follower waits beyond the lease.
    KillTooSlow(Duration, Duration),
    /// An in-sync replica that reconnects would always be dropped first.
    LeavesTooEarly(Duration),
    /// MariaDB waits for one ack, never for more.
    AcksOfMariaDb(u8),
    /// Quorum without acks is none.
    NoAcks,
    /// With so few members the least size of the in-sync set can never be met after one is lost.
    FloorTooHigh(u8, usize),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TtlOutOfRange(ttl) => {
                write!(f, "a lease of {ttl:?}: it must last from {SHORTEST_TTL:?} to {LONGEST_TTL:?}")
            }
            Refusal::RenewalsTooRare(every, ttl) => {
                write!(f, "renewals every {every:?} of a lease of {ttl:?}: at least two must fit, so that one may fail")
            }
            Refusal::RequestsTooSlow(limit, left) => {
                write!(f, "a request may take {limit:?}, and only {left:?} are left after a renewal that failed")
            }
            Refusal::HangOutlivesLease(hang, ttl) => {
                write!(f, "a server may hang for {hang:?} with a lease of {ttl:?}: a hang must not outlive the lease")
            }
            Refusal::ProbesTooRare(every, limit) => {
                write!(f, "probes every {every:?} and a limit of {limit:?}: at least two probes must fit")
            }
            Refusal::KillTooSlow(kill, margin) => {
                write!(f, "killing may take {kill:?}, but others wait only {margin:?} beyond the lease")
            }
            Refusal::LeavesTooEarly(after) => {
                write!(
                    f,
                    "a replica leaves after {after:?}: it needs at least a second to reconnect, or a lease's third"
                )
            }
            Refusal::AcksOfMariaDb(acks) => write!(f, "{acks} acks: MariaDB waits for exactly one"),
            Refusal::NoAcks => f.write_str("durability `quorum` with 0 acks: say `async` if writes may be lost"),
            Refusal::FloorTooHigh(floor, members) => {
                write!(f, "at least {floor} in sync in a cluster of {members}: after one loss nothing could be written")
            }
        }
    }
}

/// Computes what a policy means for a cluster of so many members.
pub fn plan(policy: &Policy, flavour: Flavour, members: usize) -> Plan {
    let drift = policy.ttl * CLOCK_DRIFT_PPM / 1_000_000;
    let margin = policy.expiry().saturating_sub(policy.ttl).saturating_sub(drift);
    // The holder's lease counts from when it sent the last renewal, the follower's from when it saw it, up to a request later.
    let host_lost = policy.expiry() + drift + policy.request_limit;
    let fenced = policy.ttl + policy.kill_limit + drift;
    Plan {
        crash: policy.kill_limit + policy.request_limit * 2,
        hang: policy.hang_limit + policy.probe_every + policy.kill_limit + policy.request_limit * 2,
        host_lost,
        stale_reads: fenced.saturating_sub(policy.expiry().saturating_sub(drift)),
        margin,
        tolerated: match policy.durability {
            Durability::Async => 0,
            Durability::Quorum => usize::from(policy.acks_with(members.saturating_sub(1))),
        },
        refusals: refusals(policy, flavour, members, margin),
    }
}

fn refusals(policy: &Policy, flavour: Flavour, members: usize, margin: Duration) -> Vec<Refusal> {
    let left = policy.ttl.saturating_sub(policy.renew_every * 2);
    let rules = [
        (policy.ttl < SHORTEST_TTL || policy.ttl > LONGEST_TTL, Refusal::TtlOutOfRange(policy.ttl)),
        (policy.renew_every * 2 > policy.ttl, Refusal::RenewalsTooRare(policy.renew_every, policy.ttl)),
        (policy.request_limit > left, Refusal::RequestsTooSlow(policy.request_limit, left)),
        (policy.hang_limit + policy.kill_limit > policy.ttl, Refusal::HangOutlivesLease(policy.hang_limit, policy.ttl)),
        (policy.probe_every * 2 > policy.hang_limit, Refusal::ProbesTooRare(policy.probe_every, policy.hang_limit)),
        // What is killed at the end of the lease less the time to kill is gone at its end; the margin is for a scheduler that is late.
        (policy.kill_limit > margin + policy.ttl / 3, Refusal::KillTooSlow(policy.kill_limit, margin)),
        (policy.leave_after < policy.ttl.min(Duration::from_secs(3)) / 3, Refusal::LeavesTooEarly(policy.leave_after)),
        (
            policy.durability == Durability::Quorum && flavour == Flavour::MariaDb && policy.acks > 1,
            Refusal::AcksOfMariaDb(policy.acks),
        ),
        (policy.durability == Durability::Quorum && policy.acks == 0, Refusal::NoAcks),
        (
            policy.min_in_sync.is_some_and(|floor| usize::from(floor) + 2 > members && floor > 0),
            Refusal::FloorTooHigh(policy.min_in_sync.unwrap_or(0), members),
        ),
    ];
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, refusal)| refusal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(edit: impl FnOnce(&mut Policy)) -> Vec<Refusal> {
        let mut policy = Policy::with_ttl(Duration::from_secs(3));
        edit(&mut policy);
        plan(&policy, Flavour::MariaDb, 3).refusals
    }

    #[test]
    fn the_defaults_are_sound() {
        for seconds in [1, 3, 10, 60] {
            for members in 1..=9 {
                let plan = plan(&Policy::with_ttl(Duration::from_secs(seconds)), Flavour::MariaDb, members);
                assert_eq!(plan.refusals, [], "{seconds} s, {members} members");
            }
        }
    }

    #[test]
    fn a_lost_host_costs_the_lease_and_half_a_second() {
        let plan = plan(&Policy::with_ttl(Duration::from_secs(3)), Flavour::MySql, 3);
        assert!(plan.host_lost <= Duration::from_millis(3_900), "{plan:?}");
        assert!(plan.hang < plan.host_lost && plan.crash < plan.hang, "{plan:?}");
        assert_eq!((plan.stale_reads, plan.tolerated), (Duration::ZERO, 1), "{plan:?}");
    }

    #[test]
    fn unsafe_times_are_refused() {
        let ms = Duration::from_millis;
        type Case = (fn(&mut Policy), fn(&Refusal) -> bool);
        let cases: [Case; 8] = [
            (|policy| policy.ttl = Duration::from_millis(500), |refusal| matches!(refusal, Refusal::TtlOutOfRange(_))),
            (|policy| policy.renew_every = policy.ttl, |refusal| matches!(refusal, Refusal::RenewalsTooRare(..))),
            (|policy| policy.request_limit = policy.ttl, |refusal| matches!(refusal, Refusal::RequestsTooSlow(..))),
            (|policy| policy.hang_limit = policy.ttl, |refusal| matches!(refusal, Refusal::HangOutlivesLease(..))),
            (|policy| policy.probe_every = policy.hang_limit, |refusal| matches!(refusal, Refusal::ProbesTooRare(..))),
            (|policy| policy.kill_limit = policy.ttl, |refusal| matches!(refusal, Refusal::KillTooSlow(..))),
            (|policy| policy.acks = 2, |refusal| matches!(refusal, Refusal::AcksOfMariaDb(2))),
            (|policy| policy.min_in_sync = Some(2), |refusal| matches!(refusal, Refusal::FloorTooHigh(2, 3))),
        ];
        for (index, (edit, expected)) in cases.into_iter().enumerate() {
            let found = refused(edit);
            assert!(found.iter().any(expected), "case {index}: {found:?}");
        }
        assert!(refused(|policy| policy.leave_after = ms(10)).contains(&Refusal::LeavesTooEarly(ms(10))));
        assert!(refused(|policy| policy.acks = 0).contains(&Refusal::NoAcks));
    }
}
