//! A simulator that cannot fail proves nothing: each planted bug must be caught within a bounded number of schedules, by what happens, not by
//! the judge who sees the decision.

use std::time::{Duration, Instant};

use pilotfish_sim::{Flaw, search};

/// Within so many schedules a planted bug must be caught; most are within a hundred.
const SCHEDULES: u64 = 2_000;
/// Generous: a search that takes so long is stuck.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn every_planted_bug_is_caught() {
    let missed: Vec<Flaw> = Flaw::ALL.into_iter().filter(|flaw| !is_caught(*flaw)).collect();
    assert!(missed.is_empty(), "not caught within {SCHEDULES} schedules: {missed:?}");
}

fn is_caught(flaw: Flaw) -> bool {
    let failure = search(0..SCHEDULES, flaw, Instant::now() + LIMIT).failure;
    if let Some(failure) = &failure {
        println!("{flaw:?}: seed {}: {}: {}", failure.seed, failure.violation.invariant, failure.violation.text);
    }
    failure.is_some()
}
