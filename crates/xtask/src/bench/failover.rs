//! Failover of three members, as a client sees it: from the last acknowledged write before a fault to the first after it. Beside it, what a client
//! needs at least: a new connection to the same primary before the fault, and one answer.
//!
//! Peers of the same faults, with MySQL or PostgreSQL on Debian 12, two cores, small data: orchestrator 3.2.6 (MariaDB, 1 s polls) 2.5 s for a server
//! that was killed; Patroni 4.1.5 2.2 to 6.3 s for the same, 19.8 to 23.2 s for a lost node, 22.0 to 28.6 s for one that hangs, 2.3 s for a
//! switchover. They were measured apart, so no ratio is made of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pilotfish_testing::mysql::{ClusterOptions, Flavour, MySqlCluster, Tally, Writer};
use pilotfish_testing::{Consul, ConsulCluster, wait_until};

use super::Options;
use super::kit::{Kit, Process};
use super::table::{Figure, Row};
use crate::setup::{self, Tools};
use crate::stage::free_ports;

/// Each run makes, breaks and mends a cluster for up to a quarter of a minute.
pub(super) const MOST_RUNS: u32 = 20;
/// How long a frozen member stands still.
const FREEZE: Duration = Duration::from_secs(10);
/// How long all of Consul is away.
const OUTAGE: Duration = Duration::from_secs(60);
/// Acknowledged writes before and after a fault.
pub(super) const WRITES: usize = 200;

/// Three members and what they stand on.
struct Site {
    cluster: MySqlCluster,
    /// The embedded catalog, while it is not a Consul.
    _embedded: Option<Process>,
    consul: Option<ConsulCluster>,
    /// What writers follow.
    catalog: SocketAddr,
}

/// A fault, what it is called, and the goals in milliseconds for MariaDB and MySQL.
struct Fault {
    name: &'static str,
    goals: Option<[f64; 2]>,
    /// How many runs at the most.
    runs: u32,
    /// Whether another member leads afterwards.
    moves: bool,
    /// It happens to Consul's servers.
    of_consul: bool,
    strike: fn(&mut Site, usize) -> Result<()>,
    /// Undoes it, once another member leads.
    mend: fn(&mut Site, usize, Instant) -> Result<()>,
}

const FAULT: Fault = Fault {
    name: "",
    goals: None,
    runs: MOST_RUNS,
    moves: true,
    of_consul: false,
    strike: |_, _| Ok(()),
    mend: |_, _, _| Ok(()),
};

const FAULTS: &[Fault] = &[
    Fault {
        name: "kill -9 of the primary's server",
        goals: Some([250.0, 400.0]),
        strike: |site, leader| {
            site.cluster.members[leader].kill_server();
            Ok(())
        },
        ..FAULT
    },
    Fault {
        name: "the primary's container is gone, lease 3 s",
        goals: Some([3_500.0, 3_500.0]),
        strike: |site, leader| {
            site.cluster.members[leader].kill();
            Ok(())
        },
        mend: |site, leader, _| {
            site.cluster.members[leader].start();
            Ok(())
        },
        ..FAULT
    },
    Fault {
        name: "SIGSTOP of all of the primary for 10 s",
        goals: Some([4_200.0, 4_200.0]),
        strike: |site, leader| {
            site.cluster.members[leader].freeze();
            Ok(())
        },
        mend: |site, leader, began| {
            rest(began, FREEZE);
            site.cluster.members[leader].thaw();
            Ok(())
        },
        ..FAULT
    },
    Fault {
        name: "switchover",
        goals: Some([100.0, 100.0]),
        strike: |site, leader| {
            let (code, text) = site.cluster.members[leader].command(&["switchover"]);
            ensure!(code == 0, "{text}");
            Ok(())
        },
        ..FAULT
    },
    Fault {
        name: "SIGTERM to the primary",
        goals: Some([100.0, 100.0]),
        strike: |site, leader| {
            site.cluster.members[leader].terminate();
            site.cluster.members[leader].wait();
            Ok(())
        },
        mend: |site, leader, _| {
            site.cluster.members[leader].start();
            Ok(())
        },
        ..FAULT
    },
    Fault {
        name: "kill -9 of Consul's leader",
        runs: 5,
        moves: false,
        of_consul: true,
        strike: |site, _| {
            let consul = site.consul.as_mut().context("there is no Consul")?;
            let lost = consul.leader();
            // Writers follow one that stays.
            site.catalog = consul.servers[(lost + 1) % consul.servers.len()].http();
            consul.servers[lost].kill();
            consul.leader();
            consul.servers[lost].restart();
            Ok(())
        },
        ..FAULT
    },
    Fault {
        name: "all of Consul is gone for 60 s",
        runs: 1,
        moves: false,
        of_consul: true,
        strike: |site, _| {
            site.consul.as_mut().context("there is no Consul")?.kill();
            std::thread::sleep(OUTAGE);
            Ok(())
        },
        mend: |site, _, _| {
            site.consul.as_mut().context("there is no Consul")?.start_again();
            Ok(())
        },
        ..FAULT
    },
];

pub(super) fn mariadb(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    measure(kit, options, Flavour::MariaDb, false)
}

pub(super) fn mysql(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    measure(kit, options, Flavour::MySql, false)
}

pub(super) fn mariadb_on_consul(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    measure(kit, options, Flavour::MariaDb, true)
}

pub(super) fn mysql_on_consul(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    measure(kit, options, Flavour::MySql, true)
}

fn build(kit: &Kit, flavour: Flavour, on_consul: bool) -> Result<Site> {
    let tools = setup::setup()?;
    let (embedded, consul, catalog) = if on_consul {
        let consul = ConsulCluster::start_with(Some(&tools.consul));
        let addresses = consul.servers.iter().map(Consul::http).collect();
        (None, Some(consul), addresses)
    } else {
        let [port] = free_ports()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = vec![kit.pilotfish.clone()];
        command.extend(["catalog", "--listen", &address.to_string()].map(PathBuf::from));
        let embedded = Process::start(&command)?;
        wait_until("the catalog to listen", || std::net::TcpStream::connect(address).ok());
        (Some(embedded), None, vec![address])
    };
    let cluster = MySqlCluster::start(&options_of(kit, &tools, flavour, &catalog));
    Ok(Site { cluster, _embedded: embedded, consul, catalog: catalog[0] })
}

/// Three members with a lease of 3 s.
pub(super) fn options_of(kit: &Kit, tools: &Tools, flavour: Flavour, catalog: &[SocketAddr]) -> ClusterOptions {
    ClusterOptions {
        flavour,
        members: 3,
        catalog: catalog.iter().map(SocketAddr::to_string).collect(),
        lease: Duration::from_secs(3),
        more: String::new(),
        pilotfish: Some(kit.pilotfish.clone()),
        program: if flavour == Flavour::MySql { tools.mysqld.clone() } else { Vec::new() },
        machines: Vec::new(),
    }
}

fn measure(kit: &Kit, options: &Options, flavour: Flavour, on_consul: bool) -> Result<Vec<Row>> {
    let catalog = if on_consul { "three Consuls" } else { "embedded catalog" };
    let name = format!("{}, {catalog}", if flavour == Flavour::MySql { "MySQL" } else { "MariaDB" });
    let mut site = build(kit, flavour, on_consul)?;
    let mut rows = Vec::new();
    let mut tallies = Vec::new();
    let wanted = |fault: &&Fault| {
        options.faults.is_empty() || options.faults.iter().any(|part| fault.name.contains(part.as_str()))
    };
    for fault in FAULTS.iter().filter(|fault| on_consul || !fault.of_consul).filter(wanted) {
        let (mut gaps, mut floors) = (Vec::new(), Vec::new());
        let runs = options.runs.min(fault.runs);
        for run in 1..=runs {
            kit.interrupt.check()?;
            floors.push(connected(&site)?.as_secs_f64() * 1e3);
            let (gap, tally) = once(&mut site, fault)?;
            let gap = gap.as_secs_f64() * 1e3;
            eprintln!("    {name}: {}, {run} of {runs}: {gap:.1} ms", fault.name);
            gaps.push(gap);
            tallies.push(tally);
        }
        let row = Row::new(format!("{name}: {}", fault.name), "ms", Figure::of(gaps)).beside(Figure::of(floors));
        rows.push(match fault.goals {
            Some(goals) => row.goal(goals[usize::from(flavour == Flavour::MySql)]),
            None => row,
        });
    }
    // Every acknowledged write of all runs must be there, on all members.
    site.cluster.verify(&tallies);
    let acknowledged: usize = tallies.iter().map(|tally| tally.acknowledged.len()).sum();
    eprintln!("    {name}: {acknowledged} acknowledged writes, none lost; all members equal");
    Ok(rows)
}

/// How long a client needs for a new connection to the primary and an answer.
fn connected(site: &Site) -> Result<Duration> {
    let client = site.cluster.members[site.cluster.settle()].client();
    let began = Instant::now();
    client.query("SELECT 1").context("the primary does not answer")?;
    Ok(began.elapsed())
}

fn once(site: &mut Site, fault: &Fault) -> Result<(Duration, Tally)> {
    let leader = site.cluster.settle();
    let writer = Writer::to_primary(site.catalog);
    writer.wait_for(WRITES);
    let began = Instant::now();
    (fault.strike)(site, leader).context(fault.name)?;
    if fault.moves {
        site.cluster.wait_for("another leader", |cluster| cluster.leader().filter(|other| *other != leader));
    }
    writer.wait_for(WRITES);
    if fault.moves {
        // The longest pause after the fault: what comes before is no part of it, and what comes after it is shorter.
        let tally = writer.stop();
        (fault.mend)(site, leader, began)?;
        return Ok((tally.longest_gap(began), tally));
    }
    (fault.mend)(site, leader, began)?;
    ensure!(site.cluster.settle() == leader, "{}: the primary has changed", fault.name);
    writer.wait_for(WRITES);
    let tally = writer.stop();
    Ok((tally.longest_gap(began), tally))
}

/// Waits until so much time has passed.
fn rest(began: Instant, time: Duration) {
    std::thread::sleep(time.saturating_sub(began.elapsed()));
}
