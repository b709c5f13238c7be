//! What a supervisor costs that has little to do, or nothing; and how that grows with the number of watches.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Pid;
use serde_json::{Value, json};

use super::Options;
use super::kit::{Kit, Process};
use super::proc::{self, Look};
use super::table::{Figure, Row};

/// From the start to the first look: the first checks and queries are over by then.
const SETTLE: Duration = Duration::from_secs(8);

/// Between the two looks.
const MINUTE: Duration = Duration::from_secs(60);

/// Numbers of watches whose cost is compared.
const WATCHES: [u32; 4] = [1, 10, 100, 1000];

/// One service, a command that checks it every 5 s, one watch; and beside it one with an application only.
pub(super) fn idle(kit: &Kit, _: &Options) -> Result<Vec<Row>> {
    let (_consul, address) = kit.consul()?;
    let counted = kit.path("idle-checks");
    std::fs::write(&counted, "").context("cannot write the count")?;
    let check = kit.app("count", &[&counted.display().to_string()]);
    let service = json!({
        "name": "idle", "exec": kit.app("wait", &["signal"]), "main": true, "port": 80, "interfaces": ["static:127.0.0.1"],
        "health": { "exec": check.clone(), "interval": 5, "timeout": 4, "ttl": 15 },
    });
    let busy =
        json!({ "consul": address.to_string(), "jobs": [service], "watches": [{ "name": "other", "interval": 10 }] });
    let alone = json!({ "jobs": [{ "name": "alone", "exec": kit.app("wait", &["signal"]), "main": true }] });
    let supervisors = [Contained::start(kit, "idle", busy)?, Contained::start(kit, "alone", alone)?];
    // What no supervisor can do for less: the same command started at the same pace, and waited for.
    let mut bare = kit.app("periodically", &["1000", "5000"]);
    bare.extend(check);
    let floor = Process::start(&bare)?;
    kit.interrupt.pause(SETTLE)?;
    let (before, floor_before) = (looks(&supervisors)?, Look::at(floor.pid()?)?);
    kit.interrupt.pause(MINUTE)?;
    let (after, floor_after) = (looks(&supervisors)?, Look::at(floor.pid()?)?);
    let ((busy, busy_before), (alone, alone_before)) = ((after[0], before[0]), (after[1], before[1]));
    // The application is the only child that is not the supervisor's own affair.
    let processes = proc::children(supervisors[0].pid)?.1;
    let one = |name: &str, unit, value| Row::new(name, unit, Figure::one(value));
    Ok(vec![
        one("idle (service, check every 5 s, watch): CPU of the supervisor", "ms a minute", busy.cpu - busy_before.cpu)
            .beside(Figure::one(floor_after.cpu - floor_before.cpu))
            .goal(3.0),
        one("    RSS as PID 1", "MB", busy.rss).goal(4.0),
        one("    of these its own, the rest are pages of the program's file", "MB", busy.anonymous),
        one("    threads", "", busy.threads).goal(1.0),
        one("    processes, the application not counted", "", u32::try_from(processes)?.into()).goal(1.0),
        one("    wake-ups", "a minute", busy.wakeups - busy_before.wakeups),
        one("nothing to do: wake-ups", "a minute", alone.wakeups - alone_before.wakeups).goal(0.0),
        one("    CPU of the supervisor", "ms a minute", alone.cpu - alone_before.cpu).goal(0.0),
        one("    RSS as PID 1", "MB", alone.rss),
    ])
}

/// The cost of a watch on which nothing changes.
pub(super) fn growth(kit: &Kit, _: &Options) -> Result<Vec<Row>> {
    let (_consul, address) = kit.consul()?;
    let start = |count: u32| {
        let watches: Vec<Value> = (0..count).map(|n| json!({ "name": format!("s{n}"), "interval": 60 })).collect();
        let jobs = json!([{ "name": "app", "exec": kit.app("wait", &["signal"]), "main": true }]);
        let config = json!({ "consul": address.to_string(), "jobs": jobs, "watches": watches });
        Contained::start(kit, &format!("growth-{count}"), config)
    };
    let supervisors = std::iter::once(0).chain(WATCHES).map(start).collect::<Result<Vec<_>>>()?;
    kit.interrupt.pause(SETTLE)?;
    let before = looks(&supervisors)?;
    kit.interrupt.pause(MINUTE)?;
    let after = looks(&supervisors)?;
    let mut rows = Vec::new();
    for (index, count) in WATCHES.into_iter().enumerate() {
        let (look, none, each) = (after[index + 1], after[0], f64::from(count));
        let cpu = (look.cpu - before[index + 1].cpu) / each;
        rows.push(Row::new(format!("{count} watches: CPU of each"), "ms a minute", Figure::one(cpu)));
        let memory = (look.anonymous - none.anonymous) * 1e3 / each;
        rows.push(Row::new(format!("    memory of each (RSS of all {:.2} MB)", look.rss), "kB", Figure::one(memory)));
    }
    Ok(rows)
}

/// A supervisor as PID 1 of a namespace.
pub(super) struct Contained {
    _process: Process,
    /// As seen from here.
    pub(super) pid: Pid,
}

impl Contained {
    pub(super) fn start(kit: &Kit, name: &str, config: Value) -> Result<Self> {
        let config = kit.config(name, config)?;
        let process = Process::start(&kit.below("contain", kit.supervisor(&config)))?;
        kit.fifo.moment()?;
        let pid = process.pid()?;
        Ok(Self { _process: process, pid })
    }
}

fn looks(supervisors: &[Contained]) -> Result<Vec<Look>> {
    supervisors.iter().map(|supervisor| Look::at(supervisor.pid)).collect()
}
