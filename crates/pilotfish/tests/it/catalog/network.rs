//! A network between the supervisor's host and Consul that is cut and healed. Needs root, as all tests with namespaces.

use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use pilotfish_testing::{Consul, ConsulOptions, wait_until};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;

use super::view::{wait_for_passing, wait_for_statuses};
use super::{app, service};
use crate::stage::Stage;

/// Where Consul is, and where the supervisor.
const CONSUL: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const HOST: &str = "10.99.0.2/24";

/// A network namespace that lives as long as a process that does nothing else.
pub(super) struct Network(Child);

impl Network {
    /// Makes one, and moves this thread and all processes that it starts from now on into it.
    pub(super) fn enter() -> Network {
        let mut holder = Command::new("setpriv");
        holder.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--net",
            "sh",
            "-c",
            "ip link set lo up && echo && exec sleep infinity",
        ]);
        let mut holder = holder.stdout(Stdio::piped()).spawn().expect("setpriv can be executed");
        let mut ready = [0];
        let read = std::io::Read::read(holder.stdout.as_mut().expect("it is piped"), &mut ready);
        let network = Network(holder);
        assert_eq!(read.ok(), Some(1), "no network namespace of its own: this test needs root");
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", network.0.id())).unwrap();
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `ip` in the network of this thread.
#[track_caller]
fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin").status();
    assert!(status.is_ok_and(|status| status.success()), "ip {words}");
}

#[test]
fn a_host_is_cut_off_and_the_network_heals() {
    let _network = Network::enter();
    // The link exists before the other end's namespace does: Consul needs its address at its start.
    ip("link add name cut type veth peer name far");
    // On `lo` it can be reached from this side while the link is down.
    ip(&format!("addr add {CONSUL}/32 dev lo"));
    ip("addr add 10.99.0.3/24 dev cut");
    let consul = Consul::start_with(ConsulOptions { ip: Some(CONSUL), ..ConsulOptions::default() });
    let mut severed = service("severed");
    severed["health"]["ttl"] = "9s".into();
    let config = json!({
        "consul": consul.http().to_string(), "logging": { "level": "debug" },
        "jobs": [app(), severed, { "name": "react", "exec": "react", "when": { "source": "watch.severed", "each": "changed" } }],
        "watches": [{ "name": "severed", "interval": "1s" }],
    });
    let pilot =
        Stage::with_config(&config.to_string()).file("healthy", "").script("react", "echo >> @DIR@/reactions").start();
    let process = pilot.pid_of("app");
    ip(&format!("link set far netns {}", pilot.pid().as_raw_nonzero()));
    pilot.output_of(&["ip", "addr", "add", HOST, "dev", "far"]);
    pilot.output_of(&["ip", "link", "set", "far", "up"]);
    ip("link set cut up");
    wait_for_passing(&consul, "severed");
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 1);

    // Packets vanish: nobody is told that the other end has gone.
    ip("link set cut down");
    wait_for_statuses(&consul, "severed", &["critical"]);
    pilot.wait_for("the watch to fail visibly", || pilot.status()["watches"][0]["failing"].is_string().then_some(()));
    let cut = pilot.status();
    assert_eq!(cut["watches"][0]["members"], json!(["192.0.2.10:4000"]), "the last view is kept: {cut}");
    assert_eq!((pilot.pid_of("app"), pilot.job("severed")["health"].as_str()), (process, Some("healthy")));

    ip("link set cut up");
    wait_for_passing(&consul, "severed");
    pilot.wait_for("the watch to see again", || pilot.status()["watches"][0]["failing"].is_null().then_some(()));
    wait_until("the view to be the same", || {
        (pilot.status()["watches"][0]["members"] == json!(["192.0.2.10:4000"])).then_some(())
    });
    assert_eq!(pilot.job("app")["runs"], 1);
}
