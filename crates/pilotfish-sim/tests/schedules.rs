//! Random schedules: nothing that must never happen happens, and every cluster heals.

use std::time::{Duration, Instant};

use pilotfish_sim::{Flaw, search};

/// How many schedules are run if nobody says otherwise: `cargo xtask test` asks for a hundred thousand through the environment.
const SCHEDULES: u64 = 3_000;
/// However many were asked for: what is not done by then is left out, and the number is printed.
const LIMIT: Duration = Duration::from_secs(170);

#[test]
fn clusters_stay_safe_and_heal() {
    let asked = std::env::var("PILOTFISH_SIM_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES);
    let found = search(0..asked, Flaw::None, Instant::now() + LIMIT);
    if let Some(failure) = found.failure {
        panic!("{failure}");
    }
    println!("{} schedules, {} acknowledged writes", found.schedules, found.acknowledged);
    assert!(found.schedules > 0 && found.acknowledged > 0, "the clusters did nothing");
}
