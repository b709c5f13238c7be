//! F-E2: whoever fails over dies at every moment of it. Random schedules hit few of them; here is one after the other.

use pilotfish_sim::{Flaw, Schedule};

/// Time between two moments, in ms: a step of a failover takes longer.
const STEP: usize = 4;

/// Runs a schedule for each moment and each member that dies at it, and says what goes wrong.
fn sweep(flavour: &str, first: &str, moments: std::ops::Range<usize>) {
    let mut acknowledged = 0;
    for moment in moments.step_by(STEP) {
        for member in 1..=3 {
            let script = format!(
                "seed {moment}\ncluster 3 {flavour} acks 1 Quorum\nat 1000 {first}\nat {moment} kill-member {member} 1500\nuntil 4000\n"
            );
            let schedule = Schedule::parse(&script).expect("the script is understood");
            let outcome = schedule.run(Flaw::None, false);
            assert!(outcome.violation.is_none(), "{:?} of\n{script}", outcome.violation);
            assert!(outcome.healed_after.is_some(), "it is not whole again after\n{script}");
            acknowledged += outcome.acknowledged;
        }
    }
    assert!(acknowledged > 0, "the clusters did nothing");
}

#[test]
fn e2_a_death_at_every_moment_after_a_crash() {
    sweep("MariaDb", "kill-server primary", 1000..1400);
    sweep("MySql", "kill-server primary", 1000..1400);
}

#[test]
fn e2_a_death_at_every_moment_after_a_machine_was_lost() {
    // The lease lapses about a second later.
    sweep("MariaDb", "kill-member primary 2500", 1000..1100);
    sweep("MariaDb", "kill-member primary 2500", 1900..2400);
}

#[test]
fn e2_e12_a_death_at_every_moment_of_a_switchover() {
    sweep("MariaDb", "switchover 0", 1000..1200);
    sweep("MySql", "switchover 0", 1000..1200);
}
