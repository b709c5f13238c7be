//! What one health check costs in processor time, all in: the supervisor's and the command's, user and system. The floor does
//! the same work at the same pace, because a processor that slept between is colder than one that goes on.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Options;
use super::kit::{Kit, Process};
use super::proc::Look;
use super::table::{Figure, Row};

/// Between checks: short, so that there are many of them.
const INTERVAL_MS: u64 = 20;

/// How long checks are counted at once: short, so that ours and the floor see the same of what else the machine does.
const LENGTH: Duration = Duration::from_millis(1500);

/// Checks of the floor that take about as long.
const FLOOR_CHECKS: u32 = 75;

/// How often ours and the floor take turns.
const REPEATS: usize = 8;

/// Commands beside bare starts of the same command; built-in probes beside bare connections.
pub(super) fn checks(kit: &Kit, _: &Options) -> Result<Vec<Row>> {
    let (_consul, address) = kit.consul()?;
    let (healthy, answers) = healthy_server()?;
    let counted = kit.path("counted");
    let command = kit.app("count", &[&counted.display().to_string()]);
    let executed = || json!({ "exec": command });
    let port = healthy.port().to_string();
    let http = || json!({ "http": format!("http://{healthy}/") });
    let request = format!("GET / HTTP/1.1\r\nHost: {healthy}\r\nConnection: close\r\n\r\n");
    let (spawn, tcp_probe, http_probe) =
        (command.clone(), vec![port.clone().into(), "".into()], vec![port.into(), request.into()]);
    let cases: [(&str, bool, Value, Vec<PathBuf>, f64); 5] = [
        ("CPU of one exec'ed check, heartbeat included", true, executed(), spawn.clone(), 0.6),
        ("    without heartbeat", false, executed(), spawn, 0.6),
        ("CPU of one built-in http probe", false, http(), http_probe.clone(), 0.1),
        ("    with heartbeat", true, http(), http_probe, 0.1),
        ("CPU of one built-in tcp probe", false, json!({ "tcp": healthy.to_string() }), tcp_probe, 0.1),
    ];
    let mut rows = Vec::new();
    for (name, advertised, check, bare, goal) in cases {
        let (mut ours, mut floor) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            // What a start and a stop cost is part of both runs.
            let idle = run(kit, &config(kit, address, false, None))?;
            fs::write(&counted, "").context("cannot write the count")?;
            let before = answers.load(SeqCst);
            let cost = run(kit, &config(kit, address, advertised, Some(&check)))?;
            let probed = answers.load(SeqCst) - before;
            let count = fs::metadata(&counted)?.len().max(probed);
            ensure!(count > 20, "only {count} checks have run");
            ours.push((cost - idle) / count as f64);
            floor.push(periodically(kit, &bare, FLOOR_CHECKS)? / f64::from(FLOOR_CHECKS));
        }
        rows.push(Row::new(name, "ms", Figure::of(ours)).beside(Figure::of(floor)).goal(goal));
    }
    Ok(rows)
}

/// The config of an application with this check; without one it is the same but for the checks.
fn config(kit: &Kit, consul: SocketAddr, advertised: bool, check: Option<&Value>) -> Value {
    let mut job = json!({ "name": "checked", "exec": kit.serve(), "main": true });
    if let Some(check) = check {
        job["health"] = check.clone();
        let interval = format!("{INTERVAL_MS}ms");
        job["health"]["interval"] = interval.into();
        job["health"]["timeout"] = "19ms".into();
        job["health"]["ttl"] = 30.into();
        if advertised {
            job["port"] = 80.into();
            job["interfaces"] = json!(["static:127.0.0.1"]);
        }
    }
    let logging = json!({ "level": "ERROR" });
    json!({ "consul": consul.to_string(), "logging": logging, "jobs": [job] })
}

/// Processor time of a supervisor and all that it started, in ms.
fn run(kit: &Kit, config: &Value) -> Result<f64> {
    let config = kit.config("checks", config.clone())?;
    let process = Process::start(&kit.below("measure", kit.supervisor(&config)))?;
    kit.fifo.moment()?;
    kit.interrupt.pause(LENGTH)?;
    // Whether it is there still is what this asks.
    Look::at(process.pid()?)?;
    process.stop()?;
    told_cpu(kit)
}

/// Processor time of starting or probing the same at the same pace, by a program that does nothing else.
fn periodically(kit: &Kit, what: &[PathBuf], count: u32) -> Result<f64> {
    let mut words = kit.app("periodically", &[&count.to_string(), &INTERVAL_MS.to_string()]);
    words.extend_from_slice(what);
    let process = Process::start(&kit.below("measure", words))?;
    let cpu = told_cpu(kit)?;
    process.wait()?;
    Ok(cpu)
}

fn told_cpu(kit: &Kit) -> Result<f64> {
    let numbers = kit.fifo.next()?;
    ensure!(numbers.len() == 2, "expected user and system time, got {numbers:?}");
    Ok(numbers.iter().sum::<i64>() as f64 / 1e3)
}

/// Answers every connection with 200 if it asks for something, and counts them.
fn healthy_server() -> Result<(SocketAddr, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    let address = listener.local_addr().context("a bound socket has an address")?;
    let answers = Arc::new(AtomicU64::new(0));
    let count = answers.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, SeqCst);
            // Whoever only connects has hung up by now.
            if stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
            }
        }
    });
    Ok((address, answers))
}
