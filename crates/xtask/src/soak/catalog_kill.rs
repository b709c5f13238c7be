//! The embedded catalog, killed at random moments with `SIGKILL` while four clients write.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pilotfish_testing::CatalogKill;

use crate::bench::Kit;

/// Kills of one run, however long that takes.
const KILLS: u32 = 200;

/// Kills it 200 times, and again as long as there is time.
pub(super) fn kills(kit: &Kit, until: Instant) -> Result<()> {
    let mut rounds = 0;
    loop {
        let begun = Instant::now();
        let data = kit.path(&format!("catalog-kill-{rounds}"));
        let kill = CatalogKill { pilotfish: kit.pilotfish.clone(), data, kills: KILLS };
        let report = kill.run().map_err(anyhow::Error::msg)?;
        let (acknowledged, torn, time) = (report.acknowledged, report.torn, begun.elapsed().as_secs_f64());
        println!(
            "    {KILLS} kills, {acknowledged} rounds of acknowledged writes, none lost; {torn} torn ends; {time:.0} s"
        );
        ensure!(acknowledged > 0, "nothing was acknowledged");
        rounds += 1;
        if until.saturating_duration_since(Instant::now()) < Duration::from_secs_f64(time) {
            return Ok(());
        }
    }
}
