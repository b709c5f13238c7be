//! `cargo xtask soak`: long runs that watch whether anything grows, leaks or stops.

mod catalog;
mod catalog_kill;
mod catalog_load;
mod checks;
mod conformance;
mod mysql_chaos;
mod reloads;
mod starts;
mod workshop;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pilotfish_testing::mysql::chaos::new_seed;

use crate::bench::Kit;
use crate::dist;
use crate::phases::Phases;

/// What `cargo xtask soak` was asked for.
pub(crate) struct Options {
    pub(crate) list: bool,
    pub(crate) minutes: u32,
    /// Chooses the faults of scenarios that draw them, to play one again.
    pub(crate) seed: Option<u64>,
    /// Run this instead of building the release binary.
    pub(crate) pilotfish: Option<PathBuf>,
    pub(crate) filters: Vec<String>,
}

/// A long run. It is given the moment at which to end, and fails by itself if what it watches goes wrong.
struct Scenario {
    name: &'static str,
    about: &'static str,
    run: Run,
}

/// What a scenario is given beside the kit and the moment of its end.
enum Run {
    Plain(fn(&Kit, until: Instant) -> Result<()>),
    /// Its faults follow from a seed.
    Seeded(fn(&Kit, until: Instant, seed: u64) -> Result<()>),
}

/// All scenarios, in the order they run.
const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "reloads",
        about: "10,000 reloads, or as many as the time allows: descriptors, threads and memory stay flat",
        run: Run::Plain(reloads::reloads),
    },
    Scenario {
        name: "hangups",
        about: "SIGHUP as fast as it can be sent, then SIGTERM in the middle of it",
        run: Run::Plain(reloads::hangups),
    },
    Scenario {
        name: "starts",
        about: "100,000 starts of a job that exits at once, beside quick checks, or as many as the time allows",
        run: Run::Plain(starts::starts),
    },
    Scenario {
        name: "hung-check",
        about: "a health check that hangs for ever, beside healthy ones that must not miss a heartbeat",
        run: Run::Plain(checks::hung_check),
    },
    Scenario {
        name: "catalog",
        about: "Consul is killed, restarted empty and paused at random: the application stays, the registration returns",
        run: Run::Plain(catalog::faults),
    },
    Scenario {
        name: "catalog-load",
        about: "the embedded catalog with 10,000 watchers and 1,000 heartbeats each 3 s, on one core: no wake-up is lost or late",
        run: Run::Plain(catalog_load::load),
    },
    Scenario {
        name: "catalog-kill",
        about: "the embedded catalog with --data, killed 200 times while clients write: what was acknowledged is there again",
        run: Run::Plain(catalog_kill::kills),
    },
    Scenario {
        name: "catalog-conformance",
        about: "random histories on the embedded catalog and a real Consul, whose answers must be the same; removal of critical services",
        run: Run::Plain(conformance::histories),
    },
    Scenario {
        name: "mysql-chaos",
        about: "three members of MariaDB or MySQL under faults that a seed chooses: no acknowledged write is lost, and the cluster heals",
        run: Run::Seeded(mysql_chaos::chaos),
    },
    Scenario {
        name: "workshop",
        about: "nginx and two services are scaled up and down under load: not one request fails",
        run: Run::Plain(workshop::scaling),
    },
];

/// Runs the scenarios one after the other, each for the time that was asked for.
pub(crate) fn soak(options: &Options) -> Result<()> {
    let wanted = |scenario: &&Scenario| {
        options.filters.is_empty() || options.filters.iter().any(|filter| scenario.name.contains(filter))
    };
    let chosen: Vec<_> = SCENARIOS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        bail!("no scenario to run; `cargo xtask soak --list` names them");
    }
    if options.list {
        for scenario in chosen {
            println!("{}: {}", scenario.name, scenario.about);
        }
        return Ok(());
    }
    let pilotfish = match &options.pilotfish {
        Some(path) => path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?,
        None => dist::dist()?,
    };
    let kit = Kit::new("soak", pilotfish)?;
    let length = Duration::from_secs(u64::from(options.minutes) * 60);
    let mut phases = Phases::new("soak");
    for scenario in chosen {
        let until = Instant::now() + length;
        phases.run(scenario.name, || match scenario.run {
            Run::Plain(run) => run(&kit, until),
            Run::Seeded(run) => run(&kit, until, options.seed.unwrap_or_else(new_seed)),
        })?;
        kit.fifo.forget();
    }
    phases.finish();
    Ok(())
}
