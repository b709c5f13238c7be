//! Processes that are started again and again.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::reloads::ask;
use crate::bench::{Kit, Look, Process};

/// So many starts of each kind are enough.
const STARTS: u64 = 100_000;

/// After so many everything that is kept once is there; from then on nothing may grow.
const WARM: u64 = 5_000;

/// What memory may grow by, in MB.
const SLACK_MB: f64 = 1.0;

/// A job that exits at once and is started again, and a health check every 20 ms.
pub(super) fn starts(kit: &Kit, until: Instant) -> Result<()> {
    let end = kit.app("end", &["well"]);
    let config = kit.config(
        "starts",
        json!({ "logging": { "level": "ERROR" }, "jobs": [
            { "name": "app", "exec": kit.serve(), "main": true },
            { "name": "again", "exec": end, "restarts": "unlimited", "restartBackoff": { "initial": "1ms", "max": "1ms" } },
            { "name": "checked", "exec": kit.app("wait", &["x"]),
              "health": { "exec": end, "interval": "20ms", "timeout": "19ms", "ttl": "60s" } },
        ] }),
    )?;
    let process = Process::start(&kit.supervisor(&config))?;
    kit.fifo.moment()?;
    let pid = process.pid()?;
    let mut warm: Option<Look> = None;
    let mut next = WARM;
    loop {
        let status: Value = serde_json::from_str(&ask(&kit.path("starts.sock"), "GET", "/v1/status")?)?;
        let runs = status["jobs"][1]["runs"].as_u64().unwrap_or_default();
        let last = runs >= STARTS || Instant::now() >= until || kit.interrupt.is_seen();
        if runs >= next || last {
            next = runs + STARTS / 10;
            let look = Look::at(pid)?;
            println!(
                "    {runs} starts: {} descriptors, {} threads, {:.2} MB",
                look.descriptors, look.threads, look.rss
            );
            let warm = warm.get_or_insert(look);
            // A check and a job that run at the moment have pipes.
            ensure!(look.descriptors <= warm.descriptors + 6.0, "descriptors leak: there were {}", warm.descriptors);
            ensure!(look.anonymous <= warm.anonymous + SLACK_MB, "memory leaks: there were {:.2} MB", warm.anonymous);
            ensure!(status["jobs"][1]["lastExit"]["code"] == 0, "an exit was mistaken: {}", status["jobs"][1]);
        }
        if last {
            break;
        }
        kit.interrupt.pause(std::time::Duration::from_millis(100))?;
    }
    process.stop()?;
    ensure!(kit.fifo.moments().is_empty(), "the application was restarted");
    Ok(())
}
