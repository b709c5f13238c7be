//! Two minutes of faults that a seed chooses.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pilotfish_testing::mysql::Flavour;
use pilotfish_testing::mysql::chaos::{Chaos, new_seed};

use crate::Setting;

/// No round begins later; the last takes its time.
const LENGTH: Duration = Duration::from_secs(120);

/// Everything that the harness can do to a cluster, in an order that no run before has had; `PILOTFISH_CHAOS_SEED` gives the one of a run that failed.
#[test]
fn two_minutes_of_chaos() {
    let asked = std::env::var("PILOTFISH_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = asked.unwrap_or_else(new_seed);
    println!("seed {seed}; PILOTFISH_CHAOS_SEED={seed} plays it again");
    let mut setting = Setting::new(Flavour::MariaDb);
    let outcome = Chaos {
        cluster: &mut setting.cluster,
        catalog: &mut setting.catalog,
        flavour: Flavour::MariaDb,
        seed,
        until: Instant::now() + LENGTH,
        ended: &|| false,
        logs: std::env::var_os("PILOTFISH_CHAOS_LOGS").map(PathBuf::from),
        tell: &mut |line| println!("{line}"),
    }
    .play();
    let survived = outcome.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{survived:?}");
    assert!(survived.rounds > 0 && survived.acknowledged > 0);
}
