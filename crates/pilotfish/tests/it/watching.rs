//! Watches of a real Consul and of one with scripted faults: supervisor.md section 6, failure-modes.md F-C3 to F-C6.

mod changes;
mod faults;
mod targets;

use serde_json::{Value, json};

use crate::catalog::{app, stage_of};
use crate::stage::{Pilot, Stage};

/// A stage with one watch whose changes run the script `react`, which adds a line to `reactions`.
fn watch(consul: impl ToString, watch: Value) -> Stage {
    let source = format!("watch.{}", watch["name"].as_str().expect("a watch has a name"));
    let config = json!({
        "consul": consul.to_string().split(',').collect::<Vec<_>>(),
        "jobs": [app(), { "name": "react", "exec": "react", "when": { "source": source, "each": "changed" } }],
        "watches": [watch],
        "logging": { "level": "debug" },
    });
    let mut stage = stage_of(config);
    stage.script("react", "echo >> @DIR@/reactions");
    stage
}

/// How often the script has run: a line that has no end yet is of a run that goes on.
fn reactions(pilot: &Pilot) -> usize {
    pilot.read("reactions").matches('\n').count()
}

/// Waits until it has run this often.
#[track_caller]
fn wait_for_reactions(pilot: &Pilot, count: usize) {
    pilot.wait_for("so many reactions", || (reactions(pilot) == count).then_some(()));
}

/// The only watch in the status.
#[track_caller]
fn state(pilot: &Pilot) -> Value {
    pilot.status()["watches"][0].clone()
}

/// Waits until the only watch sees these members.
#[track_caller]
fn wait_for_members(pilot: &Pilot, members: &Value) {
    pilot.wait_for(&format!("the members {members}"), || (state(pilot)["members"] == *members).then_some(()));
}
