//! Which faults, in which order and for how long: a pure function of a seed.
//!
//! Faults name roles, not members: who the primary is when its time comes nobody can know before. So a seed gives the same schedule always, and much the same
//! story. No schedule takes away more than a cluster promises to survive: everything dies or stands still, but no data directory is lost.

use std::fmt;
use std::time::Duration;

/// Faults of one round that stand by themselves.
const MOST_FAULTS: u64 = 3;
/// Something stands still, is gone or is paused for this many milliseconds.
const LASTS_MS: (u64, u64) = (500, 8_000);
/// The pause between two faults that are not meant for the same moment.
const GAP_MS: u64 = 4_000;

/// To whom it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Who holds the lease.
    Primary,
    /// The first or second of the others.
    Replica(u8),
    /// Whoever takes the lease after the fault before this one, as soon as it has.
    Taker,
    /// Whoever is first to vote after the fault before this one, as soon as it has.
    Voter,
}

/// To which of its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// The database server.
    Server,
    /// The operator.
    Operator,
    /// The supervisor.
    Supervisor,
    /// All three at once.
    All,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// SIGKILL. A member whose supervisor is killed is started again at the end of the fault.
    Kill(Who, Parts),
    /// SIGSTOP, and SIGCONT at the end of the fault.
    Freeze(Who, Parts),
    /// SIGTERM to the supervisor; the member is started again when it has ended and the fault is over.
    Terminate(Who),
    /// All members are killed at once, and started in this order at the end of the fault.
    Outage([u8; 3]),
    /// `pilotfish mysql switchover`, also to a replica that is named.
    Switchover(Option<Who>),
    /// `pilotfish mysql pause`, and `resume` at the end of the fault.
    Pause,
    /// The catalog stands still.
    CatalogHangs,
    /// The catalog is killed, and started with its data at the end of the fault.
    CatalogDies,
    /// The catalog is killed, and started with its data at once.
    CatalogRestarts,
    /// The applier of a replica is stopped, or applier and receiver.
    StopApplier(Who, bool),
    /// The operator's account writes on a replica.
    StrayWrite(Who),
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// So long after the fault before it.
    pub gap: Duration,
    /// What happens.
    pub deed: Deed,
    /// How long that lasts, if it is nothing of one moment.
    pub lasts: Duration,
}

/// The faults of one round of a seed.
pub fn round(seed: u64, number: u32) -> Vec<Fault> {
    let mut rng = Rng(seed ^ u64::from(number).wrapping_mul(0xd1b5_4a32_d192_ed03));
    let mut faults = match rng.below(10) {
        0..=3 => (0..=rng.below(MOST_FAULTS)).map(|_| anything(&mut rng)).collect(),
        4 => pair(&mut rng),
        5..=8 => during_a_failover(&mut rng),
        _ => vec![outage(&mut rng)],
    };
    faults[0].gap = Duration::ZERO;
    faults
}

fn anything(rng: &mut Rng) -> Fault {
    let who = [Who::Primary, Who::Replica(0), Who::Replica(1)][rng.choice(3)];
    let replica = [Who::Replica(0), Who::Replica(1)][rng.choice(2)];
    let deed = match rng.below(16) {
        0..=3 => Deed::Kill(who, parts(rng)),
        4..=6 => Deed::Freeze(who, parts(rng)),
        7 => Deed::Terminate(who),
        8 => Deed::Switchover(None),
        9 => Deed::Switchover(Some(replica)),
        10 => Deed::Pause,
        11 => Deed::CatalogHangs,
        12 => Deed::CatalogDies,
        13 => Deed::CatalogRestarts,
        14 => Deed::StopApplier(replica, rng.below(2) == 0),
        _ => Deed::StrayWrite(replica),
    };
    let gap = match rng.below(3) {
        0 => Duration::ZERO,
        _ => Duration::from_millis(rng.below(GAP_MS)),
    };
    Fault { gap, deed, lasts: lasts(rng) }
}

/// Two members at the same moment.
fn pair(rng: &mut Rng) -> Vec<Fault> {
    let all = [Who::Primary, Who::Replica(0), Who::Replica(1)];
    let spared = rng.choice(3);
    let two = (0..3).filter(|index| *index != spared).map(|index| all[index]);
    two.map(|who| Fault { gap: Duration::ZERO, deed: strike(rng, who), lasts: lasts(rng) }).collect()
}

/// Something that makes the lease free, and then more before anybody has got used to that.
fn during_a_failover(rng: &mut Rng) -> Vec<Fault> {
    let first = match rng.below(8) {
        0..=2 => Deed::Kill(Who::Primary, Parts::Server),
        3 => Deed::Kill(Who::Primary, parts(rng)),
        4 => Deed::Kill(Who::Primary, Parts::All),
        5 => Deed::Freeze(Who::Primary, Parts::All),
        6 => Deed::Switchover(None),
        _ => Deed::Terminate(Who::Primary),
    };
    let next = [Who::Taker, Who::Taker, Who::Voter, Who::Replica(0), Who::Replica(1)][rng.choice(5)];
    let second = match rng.below(8) {
        0 => Deed::CatalogRestarts,
        1 => Deed::CatalogHangs,
        2 => Deed::StopApplier(Who::Replica(rng.below(2) as u8), rng.below(2) == 0),
        _ => strike(rng, next),
    };
    let mut faults = vec![
        Fault { gap: Duration::ZERO, deed: first, lasts: lasts(rng) },
        Fault { gap: Duration::ZERO, deed: second, lasts: lasts(rng) },
    ];
    if rng.below(3) == 0 {
        faults.push(anything(rng));
    }
    faults
}

fn outage(rng: &mut Rng) -> Fault {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    Fault { gap: Duration::ZERO, deed: Deed::Outage(orders[rng.choice(6)]), lasts: lasts(rng) }
}

fn strike(rng: &mut Rng, who: Who) -> Deed {
    match rng.below(8) {
        0..=4 => Deed::Kill(who, parts(rng)),
        5 | 6 => Deed::Freeze(who, parts(rng)),
        _ => Deed::Terminate(who),
    }
}

fn parts(rng: &mut Rng) -> Parts {
    [Parts::Server, Parts::Server, Parts::Operator, Parts::Supervisor, Parts::All][rng.choice(5)]
}

fn lasts(rng: &mut Rng) -> Duration {
    Duration::from_millis(LASTS_MS.0 + rng.below(LASTS_MS.1 - LASTS_MS.0 + 1))
}

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// The position of one of `items` things.
    fn choice(&mut self, items: usize) -> usize {
        self.below(items as u64) as usize
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Primary => f.write_str("the primary"),
            Who::Replica(index) => write!(f, "replica {index}"),
            Who::Taker => f.write_str("who takes the lease"),
            Who::Voter => f.write_str("who votes"),
        }
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Parts::Server => "the server",
            Parts::Operator => "the operator",
            Parts::Supervisor => "the supervisor",
            Parts::All => "all",
        })
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Kill(who, parts) => write!(f, "kill {parts} of {who}"),
            Deed::Freeze(who, parts) => write!(f, "freeze {parts} of {who}"),
            Deed::Terminate(who) => write!(f, "terminate {who}"),
            Deed::Outage(order) => write!(f, "kill all members, to be started in the order {order:?}"),
            Deed::Switchover(None) => f.write_str("switch over"),
            Deed::Switchover(Some(who)) => write!(f, "switch over to {who}"),
            Deed::Pause => f.write_str("pause the autopilot"),
            Deed::CatalogHangs => f.write_str("freeze the catalog"),
            Deed::CatalogDies => f.write_str("kill the catalog"),
            Deed::CatalogRestarts => f.write_str("restart the catalog"),
            Deed::StopApplier(who, false) => write!(f, "stop the applier of {who}"),
            Deed::StopApplier(who, true) => write!(f, "stop applier and receiver of {who}"),
            Deed::StrayWrite(who) => write!(f, "write on {who}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn rounds(seed: u64) -> Vec<Vec<Fault>> {
        (0..50).map(|number| round(seed, number)).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_another() {
        for seed in 0..100 {
            assert_eq!(rounds(seed), rounds(seed));
            assert_ne!(rounds(seed), rounds(seed + 1));
        }
    }

    #[test]
    fn every_round_is_short() {
        for fault in (0..100).flat_map(rounds).flatten() {
            assert!(fault.gap < Duration::from_millis(GAP_MS), "{fault:?}");
            assert!((500..=8_000).contains(&fault.lasts.as_millis()), "{fault:?}");
        }
        for round in (0..100).flat_map(rounds) {
            assert!((1..=3).contains(&round.len()), "{round:?}");
        }
    }

    #[test]
    fn everything_is_drawn() {
        let drawn: BTreeSet<String> = (0..20).flat_map(rounds).flatten().map(|fault| fault.deed.to_string()).collect();
        for deed in [
            "kill the server of the primary",
            "kill the operator of replica 1",
            "kill the supervisor of who takes the lease",
            "kill all of who votes",
            "freeze all of the primary",
            "freeze the supervisor of replica 0",
            "terminate the primary",
            "terminate who takes the lease",
            "kill all members, to be started in the order [2, 1, 0]",
            "switch over",
            "switch over to replica 1",
            "pause the autopilot",
            "freeze the catalog",
            "kill the catalog",
            "restart the catalog",
            "stop the applier of replica 0",
            "stop applier and receiver of replica 1",
            "write on replica 0",
        ] {
            assert!(drawn.contains(deed), "never: {deed}");
        }
    }
}
