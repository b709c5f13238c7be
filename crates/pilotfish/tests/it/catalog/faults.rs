//! A catalog that fails: the application is never stopped for it, and the service is there again when the catalog is.

use std::time::{Duration, Instant};

use pilotfish_testing::{Consul, FaultyServer, Mode, Proxy, Reply, wait_until};
use serde_json::json;

use super::view::{assert_absent, assert_passing, get, put, wait_for_passing, wait_for_statuses};
use super::{service, stage, wait_for_heartbeats};
use crate::stage::Pilot;

/// A supervisor with a healthy service that this Consul has.
fn registered(consul: &Consul, name: &str) -> Pilot {
    let pilot = stage(consul.http(), &[service(name)]).file("healthy", "").start();
    wait_for_passing(consul, name);
    // The registration itself is passing; the first heartbeat follows it.
    pilot.wait_for_job(name, |job| job["service"]["lastHeartbeat"].is_number());
    pilot
}

/// Waits until the service is there, and prints how long that took.
fn wait_and_tell(consul: &Consul, name: &str, after: &str) {
    let begun = Instant::now();
    wait_for_passing(consul, name);
    println!("{name}: passing {:?} after {after}", begun.elapsed());
}

#[test]
fn absent_at_start() {
    let mut consul = Consul::start();
    consul.kill();
    let pilot = stage(consul.http(), &[service("early")]).file("healthy", "").start();
    let process = pilot.pid_of("app");
    pilot.wait_for_job("early", |job| job["health"] == "healthy" && job["service"]["registered"] == false);
    pilot.wait_for_line("Connection refused");
    consul.restart_empty();
    wait_and_tell(&consul, "early", "Consul came up");
    assert_eq!(pilot.pid_of("app"), process);
}

#[test]
fn killed_and_restarted_with_and_without_its_state() {
    let mut consul = Consul::start();
    let pilot = registered(&consul, "lost");
    let process = pilot.pid_of("app");
    for empty in [false, true, true] {
        consul.kill();
        pilot.wait_for_job("lost", |job| job["service"]["lastHeartbeat"].as_f64().is_some_and(|age| age > 1.0));
        if empty {
            consul.restart_empty();
        } else {
            consul.restart();
        }
        wait_and_tell(&consul, "lost", if empty { "an empty restart" } else { "a restart" });
        assert_eq!((pilot.pid_of("app"), pilot.job("app")["runs"].as_u64()), (process, Some(1)));
    }
    assert_eq!(pilot.job("lost")["health"], "healthy");
}

#[test]
fn frozen() {
    let consul = Consul::start();
    let pilot = registered(&consul, "frozen");
    let told = || pilot.stdout.all("did not answer").len();
    let before = told();
    consul.pause();
    pilot.wait_for("it to be told", || (told() > before).then_some(()));
    // Until several more have not been answered either.
    pilot.wait_for_job("frozen", |job| job["service"]["lastHeartbeat"].as_f64().is_some_and(|age| age > 12.0));
    assert_eq!(told(), before + 1, "told, but not again and again: {}", pilot.story());
    assert_eq!(pilot.job("app")["runs"], 1);
    assert_eq!(pilot.job("frozen")["health"], "healthy", "the catalog says nothing about the service's health");
    consul.resume();
    wait_and_tell(&consul, "frozen", "Consul went on");
}

#[test]
fn slow() {
    let consul = Consul::start();
    let proxy = Proxy::start(consul.http());
    proxy.set(Mode::Delay(Duration::from_millis(300)));
    let mut slow = service("slow");
    slow["health"]["ttl"] = "12s".into();
    let pilot = stage(proxy.address(), &[slow]).file("healthy", "").start();
    wait_for_passing(&consul, "slow");
    let beats = |count: usize| {
        wait_for_heartbeats(&pilot, "slow", count, || assert_passing(&consul, "slow"));
    };
    beats(5);
    // Cut off half-way, and a network that drops everything for a while.
    proxy.cut();
    beats(1);
    proxy.set(Mode::Drop);
    wait_for_statuses(&consul, "slow", &["critical"]);
    proxy.set(Mode::Pass);
    wait_for_passing(&consul, "slow");
    assert_eq!(pilot.job("app")["runs"], 1);
}

#[test]
fn errors_instead_of_answers() {
    let server = FaultyServer::start(vec![Reply::status(500, "internal error")]);
    let pilot = stage(server.address(), &[service("refused")]).file("healthy", "").start();
    let requests = server.wait_for_requests(7);
    let pauses: Vec<Duration> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    // Each round is two requests, the second at once; the pause after the third round is between a half and the whole of 400 ms.
    assert!(pauses[5] >= Duration::from_millis(200), "retries back off: {pauses:?}");
    let job = pilot.job("refused");
    assert_eq!((&job["health"], &job["service"]["registered"]), (&json!("healthy"), &json!(false)));
    assert_eq!(pilot.job("app")["runs"], 1);
    // Sound answers for everything, but a guard that is answered at once must not make a busy loop.
    let headers = vec![("X-Consul-Index", "1".into()), ("X-Consul-ContentHash", "abc".into())];
    server.script(vec![Reply::Http(200, headers, "[]".into())]);
    pilot.wait_for_job("refused", |job| job["service"]["registered"] == true);
}

/// failure-modes.md, F-A12.
#[test]
fn a_health_check_and_a_catalog_that_hang_together() {
    let consul = Consul::start();
    let hanging = json!({
        "name": "doomed", "port": 4000, "interfaces": ["lo"],
        "health": { "exec": "sleep infinity", "interval": "2s", "timeout": "1500ms", "ttl": "10s" },
    });
    let pilot = stage(consul.http(), &[hanging, service("between")]).file("healthy", "").start();
    wait_for_passing(&consul, "between");
    consul.pause();
    let killed = || pilot.stdout.all("killed: it took longer than 1.5 s").len();
    let before = killed();
    pilot.wait_for("checks to go on while the catalog hangs", || (killed() >= before + 3).then_some(()));
    consul.resume();
    wait_for_passing(&consul, "between");
    assert_absent(&consul, "doomed");
}

#[test]
fn maintenance_of_the_agent() {
    let consul = Consul::start();
    let pilot = registered(&consul, "guest");
    let healthy = || get(&consul, "/v1/health/service/guest?passing")?.as_array().map(Vec::len);
    put(&consul, "/v1/agent/maintenance?enable=true&reason=test", "");
    wait_until("nobody to be sent to the node", || (healthy()? == 0).then_some(()));
    let process = pilot.pid_of("app");
    put(&consul, "/v1/agent/maintenance?enable=false", "");
    wait_until("clients to be sent to the node again", || (healthy()? == 1).then_some(()));
    wait_for_passing(&consul, "guest");
    assert_eq!(pilot.pid_of("app"), process);
}
