//! The embedded catalog under load: 10,000 watchers of 1,000 services with a heartbeat each 3 s, on one core.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use pilotfish_testing::{CatalogLoad, wait_until};

use crate::bench::{Kit, Look, Process};
use crate::stage::free_ports;

/// Most memory in MB, and longest wake-ups in milliseconds: half of them, and 99 of 100.
const GOALS: (f64, f64, f64) = (150.0, 2.0, 20.0);

/// Puts the load on until then.
pub(super) fn load(kit: &Kit, until: Instant) -> Result<()> {
    let [port] = free_ports()?;
    let address = format!("127.0.0.1:{port}");
    let mut command: Vec<PathBuf> = ["taskset", "-c", "0"].map(PathBuf::from).into();
    command.push(kit.pilotfish.clone());
    command.extend(["catalog", "--listen", &address, "--node", "load"].map(PathBuf::from));
    let process = Process::start(&command)?;
    let pid = process.pid()?;
    wait_until("the catalog to listen", || std::net::TcpStream::connect(&address).ok());
    let change = Duration::from_millis(50);
    let time = until.saturating_duration_since(Instant::now());
    let load = CatalogLoad {
        watchers: 10_000,
        services: 1_000,
        beat: Duration::from_secs(3),
        change,
        changes: (time.as_millis() / change.as_millis()) as usize,
    };
    let mut full = None;
    let report = load.run(address.parse().context("an address of ours")?, || full = Look::at(pid).ok())?;
    let look = Look::at(pid)?;
    println!(
        "    {} of {} wake-ups, {} of strangers, p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms; {} heartbeats; {:.1} MB ({:.1} at first), CPU {:.0} ms",
        report.woken,
        report.expected,
        report.strangers,
        report.p50_ms,
        report.p99_ms,
        report.max_ms,
        report.beats,
        look.rss,
        full.map_or(0.0, |look| look.rss),
        look.cpu,
    );
    ensure!(report.woken == report.expected, "{} wake-ups were lost", report.expected - report.woken);
    ensure!(report.strangers == 0, "{} watchers were woken for nothing", report.strangers);
    let (memory, p50, p99) = GOALS;
    ensure!(look.rss <= memory, "{:.1} MB are more than {memory}", look.rss);
    ensure!(report.p50_ms <= p50 && report.p99_ms <= p99, "the wake-ups are slower than {p50} and {p99} ms");
    Ok(())
}
