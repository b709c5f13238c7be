//! The embedded catalog beside a real Consul, for as long as there is time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::bench::Kit;
use crate::{setup, workspace};

/// Histories of one run of the tests: about half a minute.
const HISTORIES: u64 = 200;

/// Once everything that takes minutes, then histories of seeds that nobody has chosen.
pub(super) fn histories(kit: &Kit, until: Instant) -> Result<()> {
    test(kit, "timing", &[("PILOTFISH_TEST_LONG", "1".to_owned())])?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let mut seed = clock.as_secs();
    while Instant::now() < until {
        println!("    seeds from {seed}");
        let numbers = [("PILOTFISH_TEST_SEED", seed), ("PILOTFISH_TEST_HISTORIES", HISTORIES)];
        test(kit, "random_histories", &numbers.map(|(name, number)| (name, number.to_string())))?;
        seed += HISTORIES;
    }
    Ok(())
}

fn test(kit: &Kit, name: &str, variables: &[(&str, String)]) -> Result<()> {
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--quiet", "--package", "pilotfish-catalog", "--test", "conformance", name]);
    cargo.env("PILOTFISH_TEST_CONSUL", setup::setup()?.consul).env("PILOTFISH_TEST_PILOTFISH", &kit.pilotfish);
    workspace::run(cargo.envs(variables.iter().map(|(name, value)| (name, value))))
}
