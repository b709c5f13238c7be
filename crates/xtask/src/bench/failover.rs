//! Failover of three members, as a client sees it: from the last acknowledged write before a fault to the first after it.
//!
//! Peers of the same faults, with MySQL or PostgreSQL on Debian 12, two cores, small data: orchestrator 3.2.6 (MariaDB, 1 s polls) 2.5 s for a server
//! that was killed; Patroni 4.1.5 2.2 to 6.3 s for the same, 19.8 to 23.2 s for a lost node, 22.0 to 28.6 s for one that hangs, 2.3 s for a
//! switchover. They were measured apart, so no ratio is made of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pilotfish_testing::mysql::{ClusterOptions, Flavour, Machine, MySqlCluster, Network, Tally, Writer};
use pilotfish_testing::wait_until;

use super::Options;
use super::kit::{Kit, Process};
use super::table::{Figure, Row};
use crate::setup;
use crate::stage::free_ports;

/// Each run makes, breaks and mends a cluster for a quarter of a minute.
const MOST_RUNS: u32 = 20;
/// How long a frozen member stands still.
const FREEZE: Duration = Duration::from_secs(10);

/// How long a member is cut off from everybody.
const CUT: Duration = Duration::from_secs(15);
/// As for a container that is gone. MariaDB's replicas wait a second more for the lost source before they stop to receive from it.
const CUT_GOAL_MS: f64 = 3_500.0;

/// A fault, what it is called, and the goals in milliseconds for MariaDB and MySQL.
struct Fault {
    name: &'static str,
    goals: [f64; 2],
    strike: fn(&mut MySqlCluster, usize) -> Result<()>,
    /// Undoes it, once another member leads.
    mend: fn(&mut MySqlCluster, usize) -> Result<()>,
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "kill -9 of the primary's server",
        goals: [250.0, 400.0],
        strike: |cluster, leader| {
            cluster.members[leader].kill_server();
            Ok(())
        },
        mend: |_, _| Ok(()),
    },
    Fault {
        name: "the primary's container is gone, lease 3 s",
        goals: [3_500.0, 3_500.0],
        strike: |cluster, leader| {
            cluster.members[leader].kill();
            Ok(())
        },
        mend: |cluster, leader| {
            cluster.members[leader].start();
            Ok(())
        },
    },
    Fault {
        name: "SIGSTOP of all of the primary for 10 s",
        goals: [4_200.0, 4_200.0],
        strike: |cluster, leader| {
            cluster.members[leader].freeze();
            Ok(())
        },
        mend: |cluster, leader| {
            cluster.members[leader].thaw();
            Ok(())
        },
    },
    Fault {
        name: "switchover",
        goals: [100.0, 100.0],
        strike: |cluster, leader| {
            let (code, text) = cluster.members[leader].command(&["switchover"]);
            ensure!(code == 0, "{text}");
            Ok(())
        },
        mend: |_, _| Ok(()),
    },
    Fault {
        name: "SIGTERM to the primary",
        goals: [100.0, 100.0],
        strike: |cluster, leader| {
            cluster.members[leader].terminate();
            cluster.members[leader].wait();
            Ok(())
        },
        mend: |cluster, leader| {
            cluster.members[leader].start();
            Ok(())
        },
    },
];

/// Both flavours on the embedded catalog, and MariaDB on a real Consul.
pub(super) fn failover(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let tools = setup::setup()?;
    let runs = options.runs.min(MOST_RUNS);
    let mut rows = Vec::new();
    for (flavour, name, program) in
        [(Flavour::MariaDb, "MariaDB", Vec::new()), (Flavour::MySql, "MySQL", tools.mysqld.clone())]
    {
        let [port] = free_ports()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = vec![kit.pilotfish.clone()];
        command.extend(["catalog", "--listen", &address.to_string()].map(PathBuf::from));
        let _catalog = Process::start(&command)?;
        wait_until("the catalog to listen", || std::net::TcpStream::connect(address).ok());
        rows.extend(measure(kit, flavour, &format!("{name}, embedded catalog"), address, program, runs)?);
    }
    let (_consul, address) = kit.consul()?;
    rows.extend(measure(kit, Flavour::MariaDb, "MariaDB, Consul", address, Vec::new(), runs)?);
    for (flavour, name, program) in [(Flavour::MariaDb, "MariaDB", Vec::new()), (Flavour::MySql, "MySQL", tools.mysqld)]
    {
        kit.interrupt.check()?;
        let options = options_of(flavour, (Network::OUTSIDE, 8500).into(), kit.pilotfish.clone(), program);
        let consul = tools.consul.clone();
        let gaps = Network::run(3, move |network| cut_off(network, consul, options, runs))?;
        let name = format!("{name}, Consul: the primary is cut off from all for 15 s");
        rows.push(Row::new(name, "ms", Figure::of(gaps)).goal(CUT_GOAL_MS));
    }
    Ok(rows)
}

/// The gaps when packets from and to the primary vanish. Each member has a network of its own, and so it is not one of the faults above.
fn cut_off(network: &Network, consul: PathBuf, options: ClusterOptions, runs: u32) -> Result<Vec<f64>> {
    let outside = Network::OUTSIDE;
    let catalog = SocketAddr::from((outside, 8500));
    let mut command = vec![consul];
    command.extend(["agent", "-dev", "-dns-port=-1", "-grpc-port=-1", "-log-level=err"].map(PathBuf::from));
    command.extend(["bind", "client"].map(|which| PathBuf::from(format!("-{which}={outside}"))));
    let _consul = Process::start(&command)?;
    wait_until("Consul to listen", || std::net::TcpStream::connect(catalog).ok());
    let machines = (0..options.members).map(|index| Machine::in_network(network, index)).collect();
    let cluster = MySqlCluster::start(&ClusterOptions { machines, ..options });
    let (mut gaps, mut tallies) = (Vec::new(), Vec::new());
    for run in 0..runs {
        eprintln!("    the primary is cut off ({} of {runs})", run + 1);
        let leader = cluster.settle();
        let writer = Writer::to_primary(catalog);
        writer.wait_for(200);
        let began = Instant::now();
        network.isolate(leader);
        cluster.wait_for("another leader", |cluster| cluster.leader().filter(|other| *other != leader));
        writer.wait_for(200);
        let tally = writer.stop();
        std::thread::sleep(CUT.saturating_sub(began.elapsed()));
        network.heal();
        gaps.push(tally.longest_gap(began).as_secs_f64() * 1e3);
        tallies.push(tally);
    }
    cluster.verify(&tallies);
    Ok(gaps)
}

fn options_of(flavour: Flavour, catalog: SocketAddr, pilotfish: PathBuf, program: Vec<String>) -> ClusterOptions {
    ClusterOptions {
        flavour,
        members: 3,
        catalog: vec![catalog.to_string()],
        lease: Duration::from_secs(3),
        more: String::new(),
        pilotfish: Some(pilotfish),
        program,
        machines: Vec::new(),
    }
}

fn measure(
    kit: &Kit,
    flavour: Flavour,
    name: &str,
    catalog: SocketAddr,
    program: Vec<String>,
    runs: u32,
) -> Result<Vec<Row>> {
    let mut cluster = MySqlCluster::start(&options_of(flavour, catalog, kit.pilotfish.clone(), program));
    let mut rows = Vec::new();
    let mut tallies = Vec::new();
    for fault in FAULTS {
        let mut gaps = Vec::new();
        for run in 0..runs {
            kit.interrupt.check()?;
            eprintln!("    {name}: {} ({} of {runs})", fault.name, run + 1);
            let (gap, tally) = once(&mut cluster, fault, catalog)?;
            gaps.push(gap.as_secs_f64() * 1e3);
            tallies.push(tally);
        }
        let goal = fault.goals[usize::from(flavour == Flavour::MySql)];
        rows.push(Row::new(format!("{name}: {}", fault.name), "ms", Figure::of(gaps)).goal(goal));
    }
    // Every acknowledged write of all runs must be there, on all members.
    cluster.verify(&tallies);
    Ok(rows)
}

fn once(cluster: &mut MySqlCluster, fault: &Fault, catalog: SocketAddr) -> Result<(Duration, Tally)> {
    let leader = cluster.settle();
    let writer = Writer::to_primary(catalog);
    writer.wait_for(200);
    let began = Instant::now();
    (fault.strike)(cluster, leader).context(fault.name)?;
    cluster.wait_for("another leader", |cluster| cluster.leader().filter(|other| *other != leader));
    writer.wait_for(200);
    let tally = writer.stop();
    if let Some(left) = FREEZE.checked_sub(began.elapsed()).filter(|_| fault.name.contains("SIGSTOP")) {
        std::thread::sleep(left);
    }
    (fault.mend)(cluster, leader)?;
    // The longest pause after the fault: what comes before is no part of it, and what comes after it is shorter.
    Ok((tally.longest_gap(began), tally))
}
