//! A health check that hangs.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bench::{Connection, Kit, Look, Process};

/// How often Consul is asked who is healthy.
const LOOK: Duration = Duration::from_millis(200);

/// Three healthy services, one with each kind of check, and one whose check never ends. Their TTL is short, so that a single
/// heartbeat that comes late is seen.
pub(super) fn hung_check(kit: &Kit, until: Instant) -> Result<()> {
    // The start is not part of the time that was asked for.
    let length = until.saturating_duration_since(Instant::now());
    let (_consul, address) = kit.consul()?;
    let job = |name: &str, mut check: serde_json::Value| {
        check["interval"] = 1.into();
        check["timeout"] = "900ms".into();
        check["ttl"] = 3.into();
        json!({
            "name": name, "exec": kit.app("wait", &["x"]), "port": 80, "interfaces": ["static:127.0.0.1"], "health": check,
        })
    };
    let jobs = json!([
        job("by-command", json!({ "exec": kit.app("end", &["well"]) })),
        job("by-tcp", json!({ "tcp": address.to_string() })),
        job("by-http", json!({ "http": format!("http://{address}/v1/status/leader") })),
        job("hung", json!({ "exec": kit.app("wait", &["x"]) })),
    ]);
    let logging = json!({ "level": "ERROR", "output": kit.path("hung.log") });
    let config = kit.config("hung", json!({ "consul": address.to_string(), "logging": logging, "jobs": jobs }))?;
    let process = Process::start(&kit.supervisor(&config))?;
    let mut consul = Connection::open(address)?;
    let mut is_passing = |name: &str| {
        let answer = consul.get(&format!("/v1/health/service/{name}?passing"))?;
        anyhow::Ok(answer.body.contains("\"ServiceID\""))
    };
    let healthy = ["by-command", "by-tcp", "by-http"];
    for name in healthy {
        kit.until("healthy services to be healthy", || {
            ensure!(is_passing(name)?, "{name} is not");
            Ok(())
        })?;
    }
    let warm = Look::at(process.pid()?)?;
    let begun = Instant::now();
    while begun.elapsed() < length {
        for name in healthy {
            ensure!(is_passing(name)?, "{name} was unhealthy after {:.1} s", begun.elapsed().as_secs_f64());
        }
        ensure!(!is_passing("hung")?, "the service whose check hangs is healthy");
        kit.interrupt.pause(LOOK)?;
    }
    let look = Look::at(process.pid()?)?;
    println!(
        "    {} s: descriptors {} -> {}, memory {:.2} -> {:.2} MB",
        begun.elapsed().as_secs(),
        warm.descriptors,
        look.descriptors,
        warm.rss,
        look.rss
    );
    ensure!(look.descriptors <= warm.descriptors + 4.0, "descriptors leak");
    process.stop()?;
    Ok(())
}
