//! Thousands of orphans that end at the same moment.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::Options;
use super::idle::Contained;
use super::kit::Kit;
use super::proc::{self, Look};
use super::table::{Figure, Row};

/// As many as a container that leaks a process a second has after an hour and a half.
const ORPHANS: &str = "5000";

/// Counts what is left after three seconds.
pub(super) fn orphans(kit: &Kit, _: &Options) -> Result<Vec<Row>> {
    let app = kit.app("orphans", &[&kit.fifo.path.display().to_string(), ORPHANS]);
    let jobs = json!([{ "name": "app", "exec": app, "main": true }]);
    let supervisor = Contained::start(kit, "orphans", json!({ "jobs": jobs }))?;
    kit.fifo.moment()?;
    let before = Look::at(supervisor.pid)?;
    kit.interrupt.pause(Duration::from_secs(3))?;
    let (zombies, _) = proc::children(supervisor.pid)?;
    let after = Look::at(supervisor.pid)?;
    let one = |name: String, unit, value| Row::new(name, unit, Figure::one(value));
    Ok(vec![
        one(format!("{ORPHANS} orphans at once: zombies after 3 s"), "", u32::try_from(zombies)?.into()).goal(0.0),
        one("    CPU of the supervisor".into(), "ms", after.cpu - before.cpu),
    ])
}
