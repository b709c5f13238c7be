//! Clusters of MariaDB and MySQL under faults that a seed chooses, by turns, on the embedded catalog and on a real Consul.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pilotfish_testing::mysql::chaos::Chaos;
use pilotfish_testing::mysql::{ClusterOptions, Flavour, MySqlCluster};
use pilotfish_testing::{Consul, ConsulOptions, Kind, OnlyConsul};

use crate::bench::Kit;
use crate::setup::{self, Tools};
use crate::workspace;

/// A cluster is replaced by one of the other flavour after this time at the latest.
const GAME: Duration = Duration::from_secs(600);
/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(3);

/// One cluster after the other. Each has a seed of its own, one more than the last, so that a failure is played again by its seed alone.
pub(super) fn chaos(kit: &Kit, until: Instant, mut seed: u64) -> Result<()> {
    // Starts are not part of the time that was asked for.
    let mut left = until.saturating_duration_since(Instant::now());
    let tools = setup::setup()?;
    let length = (left / 2).min(GAME);
    while !left.is_zero() && !kit.interrupt.is_seen() {
        game(kit, &tools, seed, length)?;
        left = left.saturating_sub(length);
        seed += 1;
    }
    Ok(())
}

/// What a seed means: MariaDB or MySQL, and whether the catalog is a real Consul.
fn meaning(seed: u64) -> (Flavour, bool) {
    (if seed.is_multiple_of(2) { Flavour::MariaDb } else { Flavour::MySql }, (seed / 2).is_multiple_of(2))
}

fn game(kit: &Kit, tools: &Tools, seed: u64, length: Duration) -> Result<()> {
    let (flavour, real) = meaning(seed);
    let on = if real { "Consul" } else { "the embedded catalog" };
    println!("    seed {seed}: {flavour:?} on {on}; `cargo xtask soak mysql-chaos --seed {seed}` plays it again");
    let kind = if real { Kind::Consul(OnlyConsul::Judge) } else { Kind::Embedded };
    let mut catalog = Consul::start_with(ConsulOptions {
        kind,
        // It keeps its data.
        production: real,
        pilotfish: Some(kit.pilotfish.clone()),
        consul: Some(tools.consul.clone()),
        ..ConsulOptions::default()
    });
    let program = if flavour == Flavour::MySql { tools.mysqld.clone() } else { Vec::new() };
    let mut cluster = MySqlCluster::start(&ClusterOptions {
        flavour,
        members: 3,
        catalog: vec![catalog.http().to_string()],
        lease: LEASE,
        more: String::new(),
        machines: Vec::new(),
        pilotfish: Some(kit.pilotfish.clone()),
        program,
    });
    let outcome = Chaos {
        cluster: &mut cluster,
        catalog: &mut catalog,
        flavour,
        seed,
        until: Instant::now() + length,
        ended: &|| kit.interrupt.is_seen(),
        logs: Some(logs()),
        tell: &mut |line| println!("    {line}"),
    }
    .play();
    let survived = outcome.map_err(anyhow::Error::msg)?;
    println!(
        "    {flavour:?} on {on}: {} rounds with {} faults, {} acknowledged writes, none lost; healed within {:.1} s",
        survived.rounds,
        survived.faults,
        survived.acknowledged,
        survived.slowest.as_secs_f64()
    );
    ensure!(survived.rounds > 0 || kit.interrupt.is_seen(), "there was no time for a single round");
    Ok(())
}

/// Where the members' logs are after a failure.
fn logs() -> PathBuf {
    workspace::target_dir().join("chaos")
}
