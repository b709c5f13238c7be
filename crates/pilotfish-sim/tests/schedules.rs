//! Random schedules: nothing that must never happen happens, and every cluster heals.

use std::time::{Duration, Instant};

use pilotfish_sim::{Flaw, Schedule, search};

/// How many schedules are run if nobody says otherwise: `cargo xtask test` asks for a hundred thousand through the environment.
const SCHEDULES: u64 = 3_000;
/// However many were asked for: what is not done by then is left out, and the number is printed.
const LIMIT: Duration = Duration::from_secs(170);
/// Seeds that failed once. In this order: an adoption that was not followed, an index used again after a restore, a local write that nobody
/// attached received, a wipe that nobody could know of, a second cluster, begun because an index of before the wipe was trusted, an answer so late
/// that the lease's time counted across a break, a relay log that counted although its owner was out of sync and threw it away, a vote while the news
/// of a renewal was still on a slow network (harmless: the invariant knows it now), a cluster of which nobody had data, and votes that went with a
/// catalog that was restored while they were being counted.
const FAILED_ONCE: [u64; 10] = [33_119, 71_822, 93_197, 97_688, 1_003_992, 43_224, 79_521, 161_345, 178_819, 11_963];

#[test]
fn e14_clusters_stay_safe_and_heal() {
    let asked = std::env::var("PILOTFISH_SIM_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES);
    let found = search(0..asked, Flaw::None, Instant::now() + LIMIT);
    if let Some(failure) = found.failure {
        panic!("{failure}");
    }
    println!("{} schedules, {} acknowledged writes", found.schedules, found.acknowledged);
    assert!(found.schedules > 0 && found.acknowledged > 0, "the clusters did nothing");
}

#[test]
fn what_failed_once_does_not_fail_again() {
    for seed in FAILED_ONCE {
        let outcome = Schedule::draw(seed).run(Flaw::None, false);
        assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
    }
}
