//! From the exec of the supervisor to the application's first instruction, and from SIGTERM to nobody being left.

use std::path::PathBuf;

use anyhow::Result;
use rustix::process::Signal;
use serde_json::json;

use super::Options;
use super::http::Connection;
use super::kit::{Kit, Process, milliseconds};
use super::table::{Figure, Row};
use crate::setup;

/// A supervisor that is measured: its name in the table, and how it is called.
struct Peer {
    name: &'static str,
    command: Vec<PathBuf>,
}

/// Ours, then those that the machine has or apt can bring, each with the same application.
fn supervisors(kit: &Kit) -> Result<Vec<Peer>> {
    let config = kit.config("start", json!({ "jobs": [{ "name": "app", "exec": kit.serve(), "main": true }] }))?;
    let mut peers = vec![Peer { name: "pilotfish", command: kit.supervisor(&config) }];
    for (name, path) in setup::inits()? {
        let mut command = vec![path];
        if name == "tini" {
            // As we do: it reaps also when it is not PID 1.
            command.push("-s".into());
        }
        command.push("--".into());
        command.extend(kit.serve());
        peers.push(Peer { name, command });
    }
    Ok(peers)
}

/// One row for us and for each peer, beside the application alone.
pub(super) fn start(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for contained in [false, true] {
        let wrap = |command: Vec<PathBuf>| if contained { kit.below("contain", command) } else { command };
        let what = if contained { "exec -> application's main, as PID 1" } else { "exec -> application's main" };
        let (peers, floor) = (supervisors(kit)?, wrap(kit.serve()));
        let mut samples = vec![Vec::new(); peers.len() + 1];
        for _ in 0..options.runs {
            let commands = peers.iter().map(|peer| wrap(peer.command.clone())).chain([floor.clone()]);
            for (command, samples) in commands.zip(&mut samples) {
                samples.push(start_once(kit, &command, contained)?);
            }
        }
        rows.extend(beside_the_last(what, &peers, samples, 1.5));
    }
    Ok(rows)
}

fn start_once(kit: &Kit, command: &[PathBuf], contained: bool) -> Result<f64> {
    let process = Process::start(command)?;
    let began = if contained { kit.fifo.moment()? } else { process.started };
    let reached = kit.fifo.moment()?;
    process.stop()?;
    Ok(milliseconds(began, reached))
}

/// SIGTERM, with an application that ends at once.
pub(super) fn stop(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let (peers, floor) = (supervisors(kit)?, kit.serve());
    let mut samples = vec![Vec::new(); peers.len() + 1];
    for _ in 0..options.runs {
        for (command, samples) in peers.iter().map(|peer| &peer.command).chain([&floor]).zip(&mut samples) {
            let process = Process::start(command)?;
            kit.fifo.moment()?;
            // The supervisor sleeps again, as it does when somebody stops a container.
            kit.interrupt.pause(std::time::Duration::from_millis(5))?;
            samples.push(process.stop()?.0);
        }
    }
    Ok(beside_the_last("SIGTERM -> gone", &peers, samples, 1.0))
}

/// SIGTERM with a service to take out of the catalog; the floor is one request and the end of the application alone.
pub(super) fn stop_registered(kit: &Kit, options: &Options) -> Result<Vec<Row>> {
    let (_consul, address) = kit.consul()?;
    let health = json!({ "tcp": address.to_string(), "interval": 60, "timeout": 1, "ttl": 130 });
    let job = json!({
        "name": "stopped", "exec": kit.serve(), "main": true, "port": 80, "interfaces": ["static:127.0.0.1"], "health": health,
    });
    let config = kit.config("deregister", json!({ "consul": address.to_string(), "jobs": [job] }))?;
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    let mut consul = Connection::open(address)?;
    for _ in 0..options.runs {
        let process = Process::start(&kit.supervisor(&config))?;
        kit.fifo.moment()?;
        kit.until("the service to be passing", || {
            let answer = consul.get("/v1/health/service/stopped?passing")?;
            anyhow::ensure!(answer.body.contains("\"ServiceID\""), "it is not");
            Ok(())
        })?;
        ours.push(process.stop()?.0);

        consul.put("/v1/agent/service/register", r#"{"Name":"bare"}"#)?;
        let process = Process::start(&kit.serve())?;
        kit.fifo.moment()?;
        let asked = super::kit::moment();
        consul.put("/v1/agent/service/deregister/bare", "")?;
        process.signal(Signal::TERM)?;
        process.wait()?;
        floor.push(milliseconds(asked, super::kit::moment()));
    }
    Ok(vec![Row::new("SIGTERM -> deregistered and gone", "ms", Figure::of(ours)).beside(Figure::of(floor)).goal(3.0)])
}

/// Rows of samples, the last of which are the floor's; the goal is for the first.
fn beside_the_last(what: &str, peers: &[Peer], mut samples: Vec<Vec<f64>>, goal: f64) -> Vec<Row> {
    let floor = samples.pop().unwrap_or_default();
    let rows = peers.iter().zip(samples).enumerate().map(|(index, (peer, samples))| {
        let name = if index == 0 { what.to_owned() } else { format!("    {}", peer.name) };
        let row = Row::new(name, "ms", Figure::of(samples)).beside(Figure::of(floor.clone()));
        if index == 0 { row.goal(goal) } else { row }
    });
    rows.collect()
}
