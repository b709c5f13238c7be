//! A primary whose packets vanish, both ways, for a quarter of a minute: each member has a network namespace of its own, and so this is not one of
//! the faults of `failover`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use pilotfish_testing::mysql::{ClusterOptions, Flavour, Machine, MySqlCluster, Network, Writer};
use pilotfish_testing::wait_until;

use super::Options;
use super::failover::{MOST_RUNS, WRITES, options_of};
use super::kit::{Kit, Process};
use super::table::{Figure, Row};
use crate::setup;

/// How long a member is cut off from everybody.
const CUT: Duration = Duration::from_secs(15);
/// As for a container that is gone.
const GOAL_MS: f64 = 3_500.0;

/// Both flavours on a Consul outside.
pub(super) fn cut_off(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let tools = setup::setup()?;
    let runs = options.runs.min(MOST_RUNS);
    let mut rows = Vec::new();
    for (flavour, name) in [(Flavour::MariaDb, "MariaDB"), (Flavour::MySql, "MySQL")] {
        kit.interrupt.check()?;
        let options = options_of(kit, &tools, flavour, &[catalog()]);
        let consul = tools.consul.clone();
        let gaps = Network::run(3, move |network| isolate(network, consul, options, name, runs))?;
        let name = format!("{name}, Consul: the primary is cut off from all for 15 s");
        rows.push(Row::new(name, "ms", Figure::of(gaps)).goal(GOAL_MS));
    }
    Ok(rows)
}

fn catalog() -> SocketAddr {
    (Network::OUTSIDE, 8500).into()
}

fn isolate(network: &Network, consul: PathBuf, options: ClusterOptions, name: &str, runs: u32) -> Result<Vec<f64>> {
    let mut command = vec![consul];
    command.extend(["agent", "-dev", "-dns-port=-1", "-grpc-port=-1", "-log-level=err"].map(PathBuf::from));
    command.extend(["bind", "client"].map(|which| PathBuf::from(format!("-{which}={}", Network::OUTSIDE))));
    let _consul = Process::start(&command)?;
    wait_until("Consul to listen", || std::net::TcpStream::connect(catalog()).ok());
    let machines = (0..options.members).map(|index| Machine::in_network(network, index)).collect();
    let cluster = MySqlCluster::start(&ClusterOptions { machines, ..options });
    let (mut gaps, mut tallies) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        let leader = cluster.settle();
        let writer = Writer::to_primary(catalog());
        writer.wait_for(WRITES);
        let began = Instant::now();
        network.isolate(leader);
        cluster.wait_for("another leader", |cluster| cluster.leader().filter(|other| *other != leader));
        writer.wait_for(WRITES);
        let tally = writer.stop();
        std::thread::sleep(CUT.saturating_sub(began.elapsed()));
        network.heal();
        let gap = tally.longest_gap(began).as_secs_f64() * 1e3;
        eprintln!("    {name}, Consul: the primary is cut off, {run} of {runs}: {gap:.1} ms");
        gaps.push(gap);
        tallies.push(tally);
    }
    cluster.verify(&tallies);
    Ok(gaps)
}
