//! Other catalogs and other supervisors in the place of the first: what is registered follows, and nothing is left twice.

use std::net::Ipv4Addr;

use pilotfish_testing::{Consul, ConsulOptions, Mode, Proxy};
use serde_json::json;

use super::view::{assert_passing, wait_for_absence, wait_for_passing, wait_for_statuses};
use super::{app, rename_host, service, stage, stage_of};
use crate::stage::{Signal, consul};

#[test]
fn a_reload_moves_to_another_catalog() {
    let (old, new) = (Consul::start(), Consul::start());
    let config = |consul: &Consul| {
        json!({
            "consul": consul.http().to_string(),
            "jobs": [app(), service("moving"), { "name": "react", "exec": "react", "when": { "source": "watch.moving", "each": "changed" } }],
            "watches": [{ "name": "moving", "interval": "1s" }],
        })
    };
    let pilot = stage_of(config(&old)).file("healthy", "").script("react", "echo >> @DIR@/reactions").start();
    wait_for_passing(&old, "moving");
    let process = pilot.pid_of("app");
    pilot.config(&config(&new).to_string());
    pilot.output_of(&["pilotfish", "reload"]);
    wait_for_passing(&new, "moving");
    pilot.wait_for_job("moving", |job| job["service"]["agent"] == format!("http://{}", new.http()));
    assert_eq!(pilot.pid_of("app"), process);
    pilot.stop();
    wait_for_absence(&new, "moving");
}

/// The successor has the same name, and so takes the registration over.
#[test]
fn a_supervisor_that_is_killed_and_its_successor() {
    let consul = consul();
    let start = || {
        let mut job = service("inherited");
        job["health"]["ttl"] = "2s".into();
        let mut stage = stage(consul.http(), &[job]);
        rename_host(&mut stage, "same-host");
        stage.file("healthy", "").start()
    };
    let first = start();
    let instance = wait_for_passing(&consul, "inherited");
    first.signal(Signal::KILL);
    wait_for_statuses(&consul, "inherited", &["critical"]);
    let second = start();
    assert_eq!(wait_for_passing(&consul, "inherited").id, instance.id);
    second.stop();
    wait_for_absence(&consul, "inherited");
}

#[test]
fn a_name_with_several_records() {
    let ip = Ipv4Addr::new(127, 0, 0, 2);
    let consul = Consul::start_with(ConsulOptions { ip: Some(ip), ..ConsulOptions::default() });
    let port = consul.http().port();
    // Nobody listens at the first record's address.
    let pilot = stage(format!("catalog.test:{port}"), &[service("resolved")])
        .file("healthy", "")
        .file_at("/etc/hosts", "127.0.0.1 localhost\n127.0.0.3 catalog.test\n127.0.0.2 catalog.test\n")
        .start();
    wait_for_passing(&consul, "resolved");
    // The catalog has it a moment before the supervisor has the answer.
    let agent = format!("http://catalog.test:{port} ({ip}:{port})");
    pilot.wait_for_job("resolved", |job| job["service"]["agent"] == agent);
}

#[test]
fn the_second_of_two_addresses_until_the_first_is_there_again() {
    let consul = Consul::start();
    let (first, second) = (Proxy::start(consul.http()), Proxy::start(consul.http()));
    let config = json!({ "consul": [first.address().to_string(), second.address().to_string()],
                         "jobs": [app(), service("doubled")] });
    let pilot = stage_of(config).file("healthy", "").start();
    wait_for_passing(&consul, "doubled");
    for (dead, alive) in [(&first, &second), (&second, &first)] {
        dead.set(Mode::Refuse);
        dead.cut();
        pilot.wait_for_job("doubled", |job| job["service"]["agent"] == format!("http://{}", alive.address()));
        dead.set(Mode::Pass);
        wait_for_passing(&consul, "doubled");
    }
}

/// failure-modes.md, F-C2: pauses of the whole supervisor that are shorter than what the TTL allows.
#[test]
fn short_pauses_make_nobody_critical() {
    let consul = consul();
    let mut jittery = service("jittery");
    jittery["health"] = json!({ "interval": "1s", "ttl": "30s" });
    let pilot = stage(consul.http(), &[jittery]).start();
    wait_for_passing(&consul, "jittery");
    for _ in 0..12 {
        pilot.signal(Signal::STOP);
        let paused = std::time::Instant::now();
        while paused.elapsed().as_millis() < 200 {
            assert_passing(&consul, "jittery");
        }
        pilot.signal(Signal::CONT);
        let status = pilot.status();
        assert_eq!(status["jobs"][1]["health"], "healthy", "{status}");
    }
}
