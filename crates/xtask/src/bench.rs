//! `cargo xtask bench`: figures, each beside the physical floor measured in the same run. Ratios travel between machines, absolute
//! times do not; so nothing here fails for being slow, it only says so.

mod change;
mod checks;
mod cut_off;
mod failover;
mod http;
mod idle;
mod kit;
mod nginx;
mod orphans;
mod proc;
mod render;
mod start_stop;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

pub(crate) use http::Connection;
pub(crate) use kit::{Kit, Process};
pub(crate) use proc::Look;

use crate::dist;
use table::{Figure, Row};

/// What `cargo xtask bench` was asked for.
pub(crate) struct Options {
    pub(crate) list: bool,
    /// Samples of what is measured in samples.
    pub(crate) runs: u32,
    pub(crate) json: bool,
    /// Measure this instead of building the release binary.
    pub(crate) pilotfish: Option<PathBuf>,
    /// Of a failover, only faults whose names contain one of these; all, if there are none.
    pub(crate) faults: Vec<String>,
    pub(crate) filters: Vec<String>,
}

/// Something to measure, and its rows of the table. Ours and the floor take turns, so that both see the same machine.
struct Scenario {
    name: &'static str,
    about: &'static str,
    run: fn(&Kit, &Options) -> Result<Vec<Row>>,
}

/// All scenarios, in the order of the table.
const SCENARIOS: &[Scenario] = &[
    Scenario { name: "change", about: "catalog change to onChange, beside a bare blocking query", run: change::change },
    Scenario { name: "start", about: "exec to the application's main, beside no supervisor", run: start_stop::start },
    Scenario { name: "stop", about: "SIGTERM to the end, beside the application alone", run: start_stop::stop },
    Scenario {
        name: "deregister",
        about: "SIGTERM to the end with a service in the catalog, beside one request and the application alone",
        run: start_stop::stop_registered,
    },
    Scenario { name: "checks", about: "processor time of health checks, beside spawn and wait", run: checks::checks },
    Scenario { name: "orphans", about: "5,000 processes to reap at once", run: orphans::orphans },
    Scenario {
        name: "idle",
        about: "processor time, memory and wake-ups of a minute with little to do",
        run: idle::idle,
    },
    Scenario { name: "growth", about: "what a watch costs, among 1 to 1,000", run: idle::growth },
    Scenario {
        name: "render",
        about: "a file of 2 x 1,000 and 2 x 10,000 instances, beside the two bare queries",
        run: render::render,
    },
    Scenario { name: "nginx", about: "catalog change to reloaded nginx, beside nginx's own reload", run: nginx::nginx },
    Scenario {
        name: "failover-mariadb",
        about: "from the last OK before a fault to the first after it, as a client of MariaDB sees it",
        run: failover::mariadb,
    },
    Scenario { name: "failover-mysql", about: "the same of MySQL", run: failover::mysql },
    Scenario {
        name: "failover-consul-mariadb",
        about: "the same of MariaDB on three Consul servers, and what these do to it",
        run: failover::mariadb_on_consul,
    },
    Scenario { name: "failover-consul-mysql", about: "the same of MySQL", run: failover::mysql_on_consul },
    Scenario {
        name: "failover-cut-off",
        about: "the same of a primary whose packets vanish, each member with a network of its own",
        run: cut_off::cut_off,
    },
    Scenario { name: "size", about: "the static binary, everything in", run: size },
];

/// What takes minutes for each run is measured when it is asked for by name.
const ON_DEMAND: &str = "failover";

/// Runs the scenarios and prints one table.
pub(crate) fn bench(options: &Options) -> Result<()> {
    let chosen = chosen(SCENARIOS, &options.filters);
    if chosen.is_empty() {
        bail!("no scenario to measure; `cargo xtask bench --list` names them");
    }
    if options.list {
        // Also those that are measured only when they are named.
        for scenario in SCENARIOS.iter().filter(|scenario| is_named(scenario, &options.filters)) {
            println!("{}: {}", scenario.name, scenario.about);
        }
        return Ok(());
    }
    let pilotfish = match &options.pilotfish {
        Some(path) => path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?,
        None => dist::dist()?,
    };
    let kit = Kit::new("bench", pilotfish)?;
    let mut rows = Vec::new();
    for scenario in chosen {
        eprintln!("==> {}", scenario.name);
        rows.extend((scenario.run)(&kit, options).with_context(|| format!("scenario {}", scenario.name))?);
        kit.fifo.forget();
    }
    if options.json {
        println!("{:#}", rows.iter().map(Row::json).collect::<serde_json::Value>());
    } else {
        print!("{}", table::table(&rows));
    }
    Ok(())
}

fn chosen<'a>(scenarios: &'a [Scenario], filters: &[String]) -> Vec<&'a Scenario> {
    let wanted = |scenario: &&Scenario| match filters {
        [] => !scenario.name.starts_with(ON_DEMAND),
        filters => is_named(scenario, filters),
    };
    scenarios.iter().filter(wanted).collect()
}

fn is_named(scenario: &Scenario, filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| scenario.name.contains(filter))
}

fn size(kit: &Kit, _: &Options) -> Result<Vec<Row>> {
    let bytes = fs::metadata(&kit.pilotfish).context("cannot look at the binary")?.len();
    // Exact up to 2^53 bytes.
    Ok(vec![Row::new("size of the static binary", "MB", Figure::one(bytes as f64 / 1e6)).goal(8.0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_by_part_of_the_name() {
        let names = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|&filter| filter.into()).collect();
            chosen(SCENARIOS, &filters).iter().map(|scenario| scenario.name).collect::<Vec<_>>()
        };
        assert!(!names(&[]).is_empty() && names(&[]).iter().all(|name| !name.starts_with(ON_DEMAND)));
        assert_eq!(names(&["failover-m"]), ["failover-mariadb", "failover-mysql"]);
        assert_eq!(names(&["regis"]), ["deregister"]);
        assert!(names(&["other"]).is_empty());
    }
}
