//! `cargo xtask fuzz`: the simulator of database clusters, for as long as you like.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::workspace;

/// Seeds of one run lie closer together than this.
const SEEDS_PER_SECOND: u64 = 100_000;

/// Runs random schedules for so many minutes.
pub(crate) fn fuzz(minutes: u64, from: Option<u64>) -> Result<()> {
    if minutes == 0 {
        bail!("for how long? say `--minutes N` or `--hours N`");
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let from = from.unwrap_or(seconds.wrapping_mul(SEEDS_PER_SECOND));
    let mut cargo = workspace::cargo();
    cargo.args(["run", "--quiet", "--package", "pilotfish-sim", "--", "run"]);
    cargo.args(["--minutes", &minutes.to_string(), "--from", &from.to_string()]);
    workspace::run(&mut cargo)
}
