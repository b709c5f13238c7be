//! Traffic ends before processes do, and a catalog that hangs keeps nobody from ending.

use std::time::{Duration, Instant};

use pilotfish_testing::Consul;
use rustix::process::Signal;
use serde_json::json;

use super::view::{wait_for_absence, wait_for_passing};
use super::{service, stage, stage_of};
use crate::stage::{End, consul};

/// Far more than the second after `stopTimeout` that it should take, for machines under load.
const MARGIN: Duration = Duration::from_secs(10);

/// How long a stop waits for the catalog (`DEREGISTER_LIMIT` of the supervisor).
const CATALOG_LIMIT: Duration = Duration::from_millis(500);

/// Stops whose catalog was too slow before the test gives up.
const ATTEMPTS: u32 = 20;

/// failure-modes.md, F-A9.
#[test]
fn a_service_is_gone_from_the_catalog_before_its_application_hears_sigterm() {
    let in_time = (0..ATTEMPTS).any(|attempt| is_gone_before_sigterm(&format!("ordered-{attempt}")));
    assert!(in_time, "in {ATTEMPTS} stops the catalog was never told within {CATALOG_LIMIT:?}");
}

/// Stops a supervisor; false if the catalog took longer than a stop waits for it, and the application heard `SIGTERM` for that reason.
fn is_gone_before_sigterm(name: &str) -> bool {
    let consul = consul();
    let config = json!({
        "consul": consul.http().to_string(),
        "stopTimeout": 60,
        "preStop": "look before",
        "postStop": "look after",
        "services": [{ "name": name, "port": 4000, "interfaces": ["lo"], "health": "true", "poll": 1, "ttl": 30 }],
    });
    let url = format!("http://{}/v1/health/service/{name}?passing", consul.http());
    let look = format!("date +%s%N > @DIR@/$1.begun; curl -s '{url}' > @DIR@/$1; date +%s%N > @DIR@/$1.ended");
    let pilot = stage_of(config)
        .script("look", &look)
        .script("application", "trap 'look during; exit 3' TERM; while :; do sleep 0.05; done")
        .arguments(&["--", "application"])
        .start();
    wait_for_passing(&consul, name);
    assert_eq!(pilot.stop(), End::Code(3));
    let before = pilot.read("before");
    assert!(before.contains(name), "preStop runs while clients still come, who see {before:?}");
    let seen = (pilot.read("during").trim().to_owned(), pilot.read("after").trim().to_owned());
    if seen == ("[]".to_owned(), "[]".to_owned()) {
        return true;
    }
    let at = |file: &str| Duration::from_nanos(pilot.read(file).trim().parse().unwrap());
    let waited = at("during.begun").saturating_sub(at("before.ended"));
    assert!(waited >= CATALOG_LIMIT, "SIGTERM came {waited:?} after preStop, and in the catalog was {seen:?}");
    false
}

#[test]
fn an_application_that_ends_by_itself_leaves_the_catalog() {
    let consul = consul();
    let pilot = stage(consul.http(), &[service("ending")]).file("healthy", "").start();
    wait_for_passing(&consul, "ending");
    pilot.kill_inside(pilot.pid_of("app"), "KILL");
    assert_eq!(pilot.wait_for_end(), End::Code(137));
    wait_for_absence(&consul, "ending");
}

#[test]
fn a_hanging_catalog_does_not_keep_the_supervisor_from_stopping() {
    let mut consul = Consul::start();
    for ignores_sigterm in [false, true] {
        let trap = if ignores_sigterm { "trap '' TERM" } else { "trap 'exit 0' TERM" };
        let config = json!({
            "consul": consul.http().to_string(), "stopTimeout": if ignores_sigterm { "1s" } else { "20s" },
            "jobs": [
                { "name": "app", "exec": "application", "main": true },
                service("stuck"),
            ],
            "watches": [{ "name": "anything", "interval": "1s" }],
        });
        let pilot = stage_of(config)
            .file("healthy", "")
            .script("application", &format!("{trap}; : > @DIR@/up; while :; do sleep 0.05; done"))
            .start();
        pilot.wait_for("the application", || pilot.file("up").exists().then_some(()));
        wait_for_passing(&consul, "stuck");
        consul.pause();
        let asked = Instant::now();
        let expected = if ignores_sigterm { End::Code(137) } else { End::Code(0) };
        assert_eq!(pilot.stop(), expected, "{}", pilot.story());
        let took = asked.elapsed();
        println!("stopped in {took:?} while consul hung (application ignores SIGTERM: {ignores_sigterm})");
        assert!(took < Duration::from_secs(1) + MARGIN, "it took {took:?}");
        consul.resume();
        consul.restart_empty();
    }
}

#[test]
fn sigterm_before_the_catalog_has_ever_answered() {
    let mut consul = Consul::start();
    consul.kill();
    let pilot = stage(consul.http(), &[service("never")]).file("healthy", "").start();
    pilot.wait_for_line("Connection refused");
    pilot.signal(Signal::TERM);
    assert_eq!(pilot.wait_for_end(), End::Code(143));
}
