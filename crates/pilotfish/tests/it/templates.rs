//! Files that the supervisor renders itself, with a real Consul and one with scripted faults: failure-modes.md F-C3, F-C4 and group G.

mod faults;
mod files;
mod life;
mod reload;

use serde_json::{Value, json};

use crate::catalog::{app, stage_of};
use crate::stage::{Pilot, Stage};

/// Lists the instances of a service, one a line.
fn listing(service: &str) -> String {
    format!("{{{{ range service \"{service}\" }}}}{{{{ .Address }}}}:{{{{ .Port }}}}\n{{{{ end }}}}end\n")
}

/// A stage with the main application, and a template that renders the stage's file `source` to `out/file`.
fn rendered(consul: impl ToString, template: Value, text: &str) -> Stage {
    let mut whole = json!({ "name": "list", "source": "@DIR@/source", "destination": "@DIR@/out/file" });
    let (Value::Object(whole_keys), Value::Object(keys)) = (&mut whole, template) else {
        panic!("a template is an object")
    };
    whole_keys.extend(keys);
    let config = json!({
        "consul": consul.to_string(),
        "jobs": [app()],
        "templates": [whole],
        "logging": { "level": "debug" },
        "signals": { "hangup": "reload" },
        "reloadTimeout": "20s",
    });
    let mut stage = stage_of(config);
    stage.file("source", text).script("react", "cat @DIR@/out/file >> @DIR@/reactions; echo >> @DIR@/ran");
    stage
}

/// The only template in the status.
#[track_caller]
fn state(pilot: &Pilot) -> Value {
    pilot.status()["templates"][0].clone()
}

/// How often the script `react` has run.
fn runs(pilot: &Pilot) -> usize {
    pilot.read("ran").lines().count()
}

/// Waits until the file has this text.
#[track_caller]
fn wait_for_text(pilot: &Pilot, text: &str) {
    pilot.wait_for_file("out/file", |found| found == text);
}
