//! Services in a real Consul: supervisor.md section 6, and failure-modes.md group C.

mod cluster;
mod faults;
mod maintenance;
mod moving;
mod names;
mod network;
mod own;
mod registration;
mod security;
mod stopping;
mod twins;
pub(crate) mod view;

use serde_json::{Value, json};

use crate::stage::{Pilot, Stage};

/// The main application of most tests: it only runs.
pub(crate) fn app() -> Value {
    json!({ "name": "app", "exec": ["sleep", "infinity"], "main": true })
}

/// An advertised job that is healthy while the file `healthy` of the stage exists.
pub(crate) fn service(name: &str) -> Value {
    json!({
        "name": name, "port": 4000, "interfaces": ["static:192.0.2.10"],
        "health": { "file": "@DIR@/healthy", "interval": "250ms", "ttl": "5s" },
    })
}

/// A stage with the main application and these jobs, which speaks to the catalog at this address.
pub(crate) fn stage(consul: impl ToString, jobs: &[Value]) -> Stage {
    let jobs: Vec<Value> = std::iter::once(app()).chain(jobs.iter().cloned()).collect();
    stage_of(json!({ "consul": consul.to_string(), "jobs": jobs, "logging": { "level": "debug" } }))
}

/// A stage with this config in the network of the tests.
pub(crate) fn stage_of(config: Value) -> Stage {
    let mut stage = Stage::with_config(&config.to_string());
    stage.shared_network();
    stage
}

/// The stage gets a host name of its own, as another container has one.
pub(crate) fn rename_host(stage: &mut Stage, name: &str) {
    stage.program(&format!("unshare --uts sh -c 'hostname {name} && exec pilotfish \"$@\"' sh"));
}

/// Waits until the catalog has taken this many more heartbeats of a service, and looks at something else meanwhile.
#[track_caller]
pub(crate) fn wait_for_heartbeats(pilot: &Pilot, service: &str, count: usize, mut look: impl FnMut()) {
    let mut last = f64::MAX;
    let mut seen = 0;
    pilot.wait_for(&format!("{count} heartbeats of {service}"), || {
        look();
        // The status says how old the last one is: a younger one is another one. The first look has nothing to compare with.
        let age = pilot.job(service)["service"]["lastHeartbeat"].as_f64().unwrap_or(f64::MAX);
        seen += usize::from(age < std::mem::replace(&mut last, age));
        (seen > count).then_some(())
    });
}
