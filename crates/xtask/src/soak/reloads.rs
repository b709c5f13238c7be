//! Reloads without end.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::{Kit, Look, Process};

/// So many reloads are enough.
const RELOADS: u32 = 10_000;

/// After so many reloads everything that is kept once is there; from then on nothing may grow.
const WARM: u32 = 500;

/// What memory may differ by, in MB: the allocator's own affairs.
const SLACK_MB: f64 = 0.5;

/// For the end of a supervisor whose stopTimeout is 2 s.
const STOP_LIMIT_MS: f64 = 3_000.0;

/// Two configs by turns: a coprocess changes, one comes and goes, a metric comes and goes; the application stays as it is.
fn config(kit: &Kit, turn: bool) -> Value {
    let restarted =
        json!({ "name": "changed", "exec": kit.app("wait", &[if turn { "a" } else { "b" }]), "restarts": "unlimited" });
    let mut jobs = vec![json!({ "name": "app", "exec": kit.serve(), "main": true }), restarted];
    if turn {
        jobs.push(json!({ "name": "sometimes", "exec": kit.app("wait", &["c"]), "restarts": "unlimited" }));
    }
    json!({ "stopTimeout": 2, "signals": { "hangup": "reload" }, "logging": { "level": "ERROR" }, "jobs": jobs })
}

/// Reloads over the control socket, each waited for.
pub(super) fn reloads(kit: &Kit, until: Instant) -> Result<()> {
    let path = kit.config("reloads", config(kit, false))?;
    let process = Process::start(&kit.supervisor(&path))?;
    kit.fifo.moment()?;
    let pid = process.pid()?;
    let mut warm: Option<Look> = None;
    for count in 1..=RELOADS {
        kit.config("reloads", config(kit, count % 2 == 1))?;
        // The answer comes when the reload is settled.
        ask(&kit.path("reloads.sock"), "POST", "/v3/reload")?;
        let last = count == RELOADS || Instant::now() >= until || kit.interrupt.is_seen();
        if count == WARM || count % 1000 == 0 || last {
            let look = Look::at(pid)?;
            println!(
                "    {count} reloads: {} descriptors, {} threads, {:.2} MB, CPU of each {:.3} ms",
                look.descriptors,
                look.threads,
                look.rss,
                look.cpu / f64::from(count)
            );
            let warm = warm.get_or_insert(look);
            ensure!(look.descriptors <= warm.descriptors, "descriptors leak: there were {}", warm.descriptors);
            ensure!(look.threads <= warm.threads, "threads leak: there were {}", warm.threads);
            ensure!(look.anonymous <= warm.anonymous + SLACK_MB, "memory leaks: there were {:.2} MB", warm.anonymous);
        }
        if last {
            break;
        }
    }
    process.stop()?;
    ensure!(kit.fifo.moments().is_empty(), "the application was restarted, which did not change");
    Ok(())
}

/// Asks over the control socket; what is answered.
pub(super) fn ask(socket: &Path, method: &str, path: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket).context("cannot reach the control socket")?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).context("cannot set a time-out")?;
    let request = format!("{method} {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).with_context(|| format!("cannot ask {path}"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("{path} is not answered"))?;
    ensure!(answer.split(' ').nth(1) == Some("200"), "{path} failed: {answer}");
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    Ok(body.to_owned())
}

/// A storm of SIGHUPs that each mean a reload. In the middle of each storm comes SIGTERM.
pub(super) fn hangups(kit: &Kit, until: Instant) -> Result<()> {
    let mut storms = 0;
    let mut slowest: f64 = 0.0;
    while Instant::now() < until {
        let path = kit.config("hangups", config(kit, false))?;
        let process = Process::start(&kit.supervisor(&path))?;
        kit.fifo.moment()?;
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            process.signal(Signal::HUP)?;
        }
        let pid = process.pid()?;
        let look = Look::at(pid)?;
        ensure!(look.threads <= 1.0, "{} threads", look.threads);
        let (milliseconds, status) = process.stop()?;
        slowest = slowest.max(milliseconds);
        ensure!(milliseconds < STOP_LIMIT_MS, "it took {milliseconds:.0} ms to stop in a storm of SIGHUPs");
        ensure!(kit.fifo.moments().is_empty(), "the application was restarted by a reload that did not change it");
        ensure!(status.code().is_some(), "it did not end by itself: {status}");
        ensure!(fs::metadata(kit.path("hangups.sock")).is_err(), "the control socket is still there");
        storms += 1;
        kit.interrupt.pause(Duration::ZERO)?;
    }
    println!("    {storms} storms, stopped within {slowest:.1} ms");
    Ok(())
}
