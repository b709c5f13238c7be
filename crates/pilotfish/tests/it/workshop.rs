//! examples/workshop as its README tells to run it: the talk's application (slides 22 to 58) with nginx, Node services and a real Consul,
//! each instance as PID 1 with a host name of its own.

mod load;
mod page;
mod talk;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use pilotfish_testing::{Consul, Tally, free_port, healthy_addresses, upstream_addresses};
use serde_json::Value;

use crate::catalog::{rename_host, view};
use crate::stage::{End, Pilot, Stage};

/// The Node services. Each asks the other.
const SERVICES: [&str; 2] = ["sales", "customers"];

/// What the load asks for: both services, with and without what they ask of each other, and the page.
const PATHS: &[&str] = &["/sales/", "/customers/", "/sales/data", "/customers/data", "/"];
/// Answers in a row that show that nginx has settled.
const ANSWERS: usize = 20;
/// Requests at the same time.
const THREADS: usize = 4;

/// Whose configs run it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vocabulary {
    /// The talk's, with scripts and `consul-template`.
    V2,
    /// Ours, with templates.
    V3,
}

/// The running workshop.
struct Workshop {
    vocabulary: Vocabulary,
    /// Names and instances of the Node services, the newest last.
    nodes: Vec<(String, Pilot)>,
    nginx: Pilot,
    address: SocketAddr,
    consul: Consul,
}

impl Workshop {
    /// nginx and two instances of each service, known to each other.
    #[track_caller]
    fn start(vocabulary: Vocabulary) -> Workshop {
        let consul = Consul::start();
        let (ip, telemetry) = (Ipv4Addr::LOCALHOST.into(), free_port(Ipv4Addr::LOCALHOST.into()));
        let address = SocketAddr::new(ip, free_port(ip));
        let mut stage = stage(&consul, vocabulary, "nginx", "nginx");
        let conf = "@DIR@/nginx/nginx.conf";
        if vocabulary == Vocabulary::V2 {
            stage.arguments(&["--", "nginx", "-e", "stderr", "-c", conf, "-g", "daemon off;"]);
        }
        stage.prologue("mkdir @DIR@/nginx").variable("NGINX_DIR", "@DIR@/nginx").variable("NGINX_USER", "root root");
        stage.variable("NGINX_PORT", &address.port().to_string()).variable("TELEMETRY_PORT", &telemetry.to_string());
        let nginx = stage.start();
        let mut workshop = Workshop { vocabulary, nodes: Vec::new(), nginx, address, consul };
        workshop.scale(2);
        workshop
    }

    /// Scales both services, and waits after each that nginx has followed.
    #[track_caller]
    fn scale(&mut self, count: usize) {
        for service in SERVICES {
            self.scale_one(service, count);
            self.wait_for_upstreams();
        }
    }

    #[track_caller]
    fn scale_one(&mut self, service: &str, count: usize) {
        for number in 1.. {
            if self.names(service).len() >= count {
                break;
            }
            let name = format!("{service}-{number}");
            if !self.names(service).contains(&name) {
                let node = self.start_node(service, &name);
                self.nodes.push((name, node));
            }
        }
        while self.names(service).len() > count {
            let newest = self.nodes.iter().rposition(|(name, _)| name.starts_with(service)).expect("it has instances");
            let (name, node) = self.nodes.remove(newest);
            assert_eq!(node.stop(), End::Code(0), "{name}");
        }
    }

    fn start_node(&self, service: &str, name: &str) -> Pilot {
        let mut stage = stage(&self.consul, self.vocabulary, service, name);
        if self.vocabulary == Vocabulary::V2 {
            stage.arguments(&[
                "--",
                "node",
                &directory().join(format!("{service}/{service}.js")).display().to_string(),
            ]);
        }
        let port = free_port(Ipv4Addr::LOCALHOST.into()).to_string();
        stage.variable(&format!("{}_PORT", service.to_uppercase()), &port).start()
    }

    /// SIGKILL, supervisor and all, as when a host is lost.
    fn kill(&mut self, name: &str) {
        self.nodes.retain(|(node, _)| node != name);
    }

    /// The instances of a service that run.
    fn names(&self, service: &str) -> Vec<String> {
        let prefix = format!("{service}-");
        self.nodes.iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix)).cloned().collect()
    }

    /// Waits until exactly the instances that run are healthy, and nginx's upstream blocks are exactly these.
    #[track_caller]
    fn wait_for_upstreams(&self) {
        for service in SERVICES {
            let mut expected: Vec<_> = self.names(service).iter().map(|name| format!("{service}-{name}")).collect();
            expected.sort();
            self.nginx.wait_for(&format!("nginx.conf to name {expected:?}"), || {
                let entries = view::get(&self.consul, &format!("/v1/health/service/{service}?passing"))?;
                let ids = entries.as_array()?.iter().filter_map(|entry| entry["Service"]["ID"].as_str());
                let mut ids: Vec<String> = ids.map(str::to_owned).collect();
                ids.sort();
                let upstream = upstream_addresses(&self.nginx.read("nginx/nginx.conf"), service);
                (ids == expected && upstream == healthy_addresses(&entries)).then_some(())
            });
        }
    }

    /// What nginx answers at a path, as JSON.
    fn ask(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}{path}", self.address);
        let output = self.nginx.inside(&["curl", "-s", "--fail", "--max-time", "20", &url]);
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Waits until nginx passes everything on. Workers of the configuration before take some more connections after its reload, so one answer
    /// says nothing: it takes a row of them.
    fn wait_for_answers(&self) {
        self.nginx.wait_for("nginx to pass requests on", || {
            (0..ANSWERS)
                .all(|_| SERVICES.iter().all(|service| self.ask(&format!("/{service}/")).is_some()))
                .then_some(())
        });
    }

    /// Nothing has failed, and not because nginx tried again elsewhere: it has met no instance that did not answer.
    #[track_caller]
    fn assert_nothing_failed(&self, tally: &Tally) {
        assert!(tally.failed == 0 && tally.answered > 0, "{tally:#?}\n{}", self.nginx.story());
        let output = format!("{}\n{}", self.nginx.stdout.text(), self.nginx.stderr.text());
        let errors: Vec<&str> = output.lines().filter(|line| line.contains("[error]")).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

/// A stage that runs the config of a service, under this host name.
fn stage(consul: &Consul, vocabulary: Vocabulary, service: &str, host: &str) -> Stage {
    let file = match vocabulary {
        Vocabulary::V2 => "containerpilot.json",
        Vocabulary::V3 => "pilotfish.json5",
    };
    let (workshop, mut stage) = (directory(), Stage::new());
    // The talk's scripts call it by this name.
    symlink("pilotfish", stage.path().join("bin/consul-template")).expect("the stage's directory is ours");
    rename_host(stage.shared_network(), host);
    stage.arguments(&["run", "-c", &workshop.join(service).join(file).display().to_string()]);
    stage.variable("CONSUL", &consul.http().to_string()).variable("WORKSHOP", &workshop.display().to_string());
    stage.variable("INTERFACE", "lo").variable("LISTEN", "127.0.0.1");
    stage
}

fn directory() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/workshop");
    path.canonicalize().expect("the example is part of the repository")
}
