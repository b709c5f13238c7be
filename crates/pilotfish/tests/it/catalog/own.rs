//! Configs that name no catalog: they share the one of their network, which one of them serves.

use serde_json::{Value, json};

use super::network::Network;
use super::{app, service, stage_of};
use crate::stage::{End, Pilot};

fn start(name: &str) -> Pilot {
    let jobs = [app(), service(name)];
    stage_of(json!({ "jobs": jobs, "logging": { "level": "debug" } })).file("healthy", "").start()
}

/// Waits until a service passes in the catalog of the network that a supervisor is in.
#[track_caller]
fn wait_for_passing(pilot: &Pilot, name: &str) {
    let url = format!("http://127.0.0.1:8500/v1/health/service/{name}?passing");
    pilot.wait_for(&format!("{name} to pass"), || {
        let output = pilot.inside(&["curl", "--silent", "--max-time", "10", &url]);
        let found: Value = serde_json::from_slice(&output.stdout).ok()?;
        (found.as_array()?.len() == 1).then_some(())
    });
}

#[test]
fn a_config_without_a_catalog_shares_the_one_of_its_network() {
    let _network = Network::enter();
    let first = start("first");
    first.wait_for_line("it is served here, at http://127.0.0.1:8500");
    let second = start("second");
    second.wait_for_line("the one at http://127.0.0.1:8500 is used");
    wait_for_passing(&first, "first");
    wait_for_passing(&first, "second");
    // Who serves ends; the other takes its place, and is there again by itself.
    assert_eq!(first.stop(), End::Code(143), "of its application");
    wait_for_passing(&second, "second");
    let third = start("third");
    wait_for_passing(&third, "third");
    wait_for_passing(&third, "second");
}

#[test]
fn a_config_with_nothing_to_tell_serves_no_catalog() {
    let _network = Network::enter();
    let pilot = stage_of(json!({ "jobs": [app()] })).start();
    pilot.wait_for_job("app", |job| job["state"] == "running");
    assert_eq!(pilot.inside(&["curl", "--silent", "http://127.0.0.1:8500/"]).status.code(), Some(7), "nobody listens");
}
