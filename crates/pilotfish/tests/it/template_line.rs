//! The command line of consul-template, with the real binary under that name and a real Consul.

mod daemon;
mod exec;
mod functions;
mod never;
mod once;

use std::sync::Arc;

use pilotfish_testing::Consul;

use crate::stage::{Pilot, Stage, consul};

/// A stage whose program is called `consul-template`, in the network of the tests.
fn stage(arguments: &[&str]) -> Stage {
    let mut stage = Stage::new();
    stage.prologue("ln -s pilotfish @DIR@/bin/consul-template").program("consul-template").shared_network();
    stage.script("react", "cat @DIR@/out/file >> @DIR@/reactions; echo >> @DIR@/ran").arguments(arguments);
    stage
}

/// A stage that asks this Consul and renders the file `source`, which has this text, to `out/file`.
fn rendering(address: impl ToString, text: &str, command: &str, arguments: &[&str]) -> Stage {
    let mut stage = stage(&["-consul-addr", &address.to_string(), "-log-level", "debug"]);
    let template = format!("@DIR@/source:@DIR@/out/file:{command}");
    stage.file("source", text).arguments(&["-template", &template]).arguments(arguments);
    stage
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

/// Sets a key.
#[track_caller]
fn set(consul: &Consul, key: &str, value: &str) {
    crate::catalog::view::put(consul, &format!("/v1/kv/{key}"), value);
}

/// The Consul of all tests.
fn shared() -> (Arc<Consul>, String) {
    let consul = consul();
    let address = consul.http().to_string();
    (consul, address)
}
