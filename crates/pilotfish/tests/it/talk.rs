//! The talk's own applications, with its configs as printed: "Stateful Applications on Autopilot", slides 22 to 58, 70 to 74, and 97.
//!
//! Each runs in a world like the talk's: a host `consul` that serves on port 8500, an interface `eth0` with an address, the files where the
//! slides put them. What the slides call but do not show (mysqld, manage.py, consul-template) are small scripts.

mod customers;
mod mysql;
mod nginx;

use serde_json::Value;

use crate::stage::{Pilot, Stage};

/// The address of the container.
const ADDRESS: &str = "192.168.100.2";

/// The config is where the slides have it, and so says the environment.
fn world(config: &str) -> Stage {
    let consul = if pilotfish_testing::embedded_is_asked_for() {
        "@DIR@/stand-in/consul".to_owned()
    } else {
        std::env::var("PILOTFISH_TEST_CONSUL").unwrap_or_else(|_| "consul".to_owned())
    };
    let mut stage = Stage::new();
    stage
        .file("etc/hosts", "127.0.0.1 localhost consul\n")
        .file("containerpilot.json", config)
        // A layer under a mount must not change; what a link in it leads to may.
        .prologue("mkdir -p @DIR@/etc/nginx && ln -s @DIR@/containerpilot.json @DIR@/etc && ln -s @DIR@/nginx.conf @DIR@/etc/nginx")
        .prologue("mount -t overlay overlay -o lowerdir=@DIR@/etc:/etc /etc")
        .prologue("mkdir -p @DIR@/opt && mount --bind @DIR@/opt /opt")
        .prologue("ip link set lo up")
        .prologue("ip link add eth0 type dummy 2> /dev/null || ip link add eth0 type veth peer name other")
        .prologue(&format!("ip address add {ADDRESS}/24 dev eth0 && ip link set eth0 up"))
        .prologue("mkdir @DIR@/stand-in && ln -s ../bin/pilotfish @DIR@/stand-in/consul")
        .prologue(&format!("{consul} agent -dev -bind 127.0.0.1 -node talk -log-level err > @DIR@/consul.log 2>&1 &"))
        .variable("CONTAINERPILOT", "file:///etc/containerpilot.json")
        .program("containerpilot");
    stage
}

/// What Consul says, once it says something.
#[track_caller]
fn ask(pilot: &Pilot, path: &str) -> Option<Value> {
    let output = pilot.inside(&["curl", "-s", "--fail", "--max-time", "5", &format!("http://consul:8500{path}")]);
    serde_json::from_slice(&output.stdout).ok()
}

/// Waits until a service is in the catalog and its checks are in this state; its entry.
#[track_caller]
fn wait_for_service(pilot: &Pilot, name: &str, state: &str) -> Value {
    pilot.wait_for(&format!("{name} to be {state}"), || {
        let entry = ask(pilot, &format!("/v1/health/service/{name}"))?.get(0)?.clone();
        let checks = entry["Checks"].as_array()?.iter().filter(|check| check["CheckID"] != "serfHealth");
        let states: Vec<&str> = checks.filter_map(|check| check["Status"].as_str()).collect();
        (states == [state]).then_some(entry)
    })
}

/// Puts another container's instance into the catalog, which is healthy.
#[track_caller]
fn register(pilot: &Pilot, name: &str, address: &str, port: u16) {
    let id = format!("{name}-{address}");
    let body = format!("{{\"Name\": \"{name}\", \"ID\": \"{id}\", \"Address\": \"{address}\", \"Port\": {port}}}");
    pilot.wait_for("Consul to take a service", || {
        let words = ["curl", "-s", "--fail", "-X", "PUT", "-d", &body, "http://consul:8500/v1/agent/service/register"];
        pilot.inside(&words).status.success().then_some(())
    });
}

/// Takes it out again.
#[track_caller]
fn deregister(pilot: &Pilot, id: &str) {
    pilot.output_of(&[
        "curl",
        "-s",
        "--fail",
        "-X",
        "PUT",
        &format!("http://consul:8500/v1/agent/service/deregister/{id}"),
    ]);
}

/// The name of the host, inside.
fn hostname(pilot: &Pilot) -> String {
    pilot.output_of(&["hostname"]).trim().to_owned()
}
