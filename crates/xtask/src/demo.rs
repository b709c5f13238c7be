//! `cargo xtask demo`: examples/workshop under pilotfish, shown and checked step by step. Every step waits for what it claims, so
//! a demo that reaches its end is also a proof.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::setup::Tools;
use crate::stage::{Answer, Interrupt, Narrator, Scratch, Server, free_ports, get, get_json, until};
use crate::{setup, workspace};

/// For anything that takes a moment; generous, because a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(60);

/// Requests that must be answered in a row by the instances that should answer.
const REQUESTS: usize = 20;

/// The lines of `/metrics` that are shown: nginx's two sensors (the talk's slide 58), and some of what pilotfish knows by itself.
const SHOWN_METRICS: [&str; 7] = [
    "tb_nginx_",
    "pilotfish_job_healthy{",
    "pilotfish_job_restarts_total{",
    "pilotfish_service_registered{",
    "pilotfish_watch_instances{",
    "pilotfish_catalog_requests_total{",
    "process_resident_memory_bytes ",
];

/// What `cargo xtask demo` was asked for.
pub(crate) struct Options {
    afterwards: Afterwards,
    pilotfish: Option<PathBuf>,
}

/// What happens after the show.
enum Afterwards {
    Stop,
    Keep,
    KeepFor(Duration),
}

impl Options {
    pub(crate) fn new(keep: bool, seconds: Option<u64>, pilotfish: Option<PathBuf>) -> Self {
        let afterwards = match (keep, seconds) {
            (true, _) => Afterwards::Keep,
            (false, Some(seconds)) => Afterwards::KeepFor(Duration::from_secs(seconds)),
            (false, None) => Afterwards::Stop,
        };
        Self { afterwards, pilotfish }
    }
}

/// Shows everything, then takes everything down, also when a step fails or somebody presses Ctrl-C.
pub(crate) fn demo(options: Options) -> Result<()> {
    let tools = setup::setup()?;
    let pilotfish = match options.pilotfish {
        Some(path) => path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?,
        None => build()?,
    };
    let mut show = Show::open(Narrator::new(), tools, pilotfish)?;
    if let Err(error) = show.play() {
        if !show.interrupt.is_seen() {
            show.tell_logs();
        }
        return Err(error);
    }
    match options.afterwards {
        Afterwards::Stop => {}
        Afterwards::Keep => {
            show.narrator.scene("Everything keeps running; Ctrl-C ends it");
            show.interrupt.wait();
        }
        Afterwards::KeepFor(time) => {
            show.narrator.scene(format!("Everything keeps running for {} s; Ctrl-C ends it earlier", time.as_secs()));
            // Being interrupted is a good end here.
            let _ = show.interrupt.pause(time);
        }
    }
    show.close()
}

fn build() -> Result<PathBuf> {
    workspace::run(workspace::cargo().args(["build", "--package", "pilotfish"]))?;
    Ok(workspace::target_dir().join("debug/pilotfish"))
}

/// The stage while the demo runs. Servers stop in the order of the fields: instances, then Consul; the files go last.
struct Show {
    narrator: Narrator,
    interrupt: Interrupt,
    pilotfish: PathBuf,
    promtool: PathBuf,
    instances: Vec<Server>,
    _consul_server: Server,
    consul: SocketAddr,
    nginx: SocketAddr,
    telemetry: SocketAddr,
    scratch: Scratch,
}

impl Show {
    /// Starts Consul, alone.
    fn open(narrator: Narrator, tools: Tools, pilotfish: PathBuf) -> Result<Self> {
        let interrupt = Interrupt::install()?;
        let scratch = Scratch::new("demo")?;
        let [http, server, lan, wan, nginx, telemetry] = free_ports()?.map(loopback);
        narrator.scene(format!("Consul, the catalog, on http://{http}"));
        let consul_server = Server::start("consul", &tools.consul, scratch.path(), |command| {
            command.args(["agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-dns-port=-1", "-grpc-port=-1"]);
            command.arg(format!("-http-port={}", http.port())).arg(format!("-server-port={}", server.port()));
            command.arg(format!("-serf-lan-port={}", lan.port())).arg(format!("-serf-wan-port={}", wan.port()));
        })?;
        let mut servers = [consul_server];
        until("Consul to elect itself leader", LIMIT, &interrupt, &mut servers, || {
            let leader = get_json(http, "/v1/status/leader")?;
            ensure!(leader.as_str().is_some_and(|leader| !leader.is_empty()), "there is no leader yet");
            Ok(())
        })?;
        narrator.seen("it has a leader and knows nobody");
        let [consul_server] = servers;
        Ok(Self {
            narrator,
            interrupt,
            pilotfish,
            promtool: tools.promtool,
            instances: Vec::new(),
            _consul_server: consul_server,
            consul: http,
            nginx,
            telemetry,
            scratch,
        })
    }

    fn play(&mut self) -> Result<()> {
        self.narrator.scene("Two instances of sales, one of customers, one of nginx: each as PID 1 under pilotfish, told only where Consul is");
        self.start_node("sales-1", "sales")?;
        self.start_node("sales-2", "sales")?;
        self.start_node("customers-1", "customers")?;
        self.start_nginx("nginx-1")?;
        self.expect_healthy("nginx", &["nginx-1"])?;
        self.expect_healthy("customers", &["customers-1"])?;
        self.expect_healthy("sales", &["sales-1", "sales-2"])?;

        self.narrator
            .scene("They found each other: customers through nginx shows rows of sales, and the other way round");
        self.expect_merged("customers", "sales")?;
        self.expect_merged("sales", "customers")?;
        self.expect_answers("sales", &["sales-1", "sales-2"])?;

        self.narrator.scene("sales-1 is killed, supervisor and all, as when its host is lost");
        self.kill("sales-1")?;
        self.expect_healthy("sales", &["sales-2"])?;
        self.expect_answers("sales", &["sales-2"])?;

        self.narrator.scene("sales-3 takes its place");
        self.start_node("sales-3", "sales")?;
        self.expect_healthy("sales", &["sales-2", "sales-3"])?;
        self.expect_answers("sales", &["sales-2", "sales-3"])?;

        self.show_metrics()?;
        self.narrator.note(format!("try:  curl http://{}/sales/   curl http://{}/metrics", self.nginx, self.telemetry));
        self.narrator.note(format!("      http://{}/ui   logs in {}", self.consul, self.scratch.path().display()));
        Ok(())
    }

    /// Stops what runs, as `docker stop` would, and checks that nobody is left in the catalog.
    fn close(mut self) -> Result<()> {
        self.narrator.scene("SIGTERM to all: each deregisters, stops its application, and exits");
        for instance in std::mem::take(&mut self.instances) {
            let name = instance.name().to_owned();
            let status = instance.stop()?;
            self.narrator.seen(format!("{name} is gone ({status})"));
        }
        // What was killed could not deregister; whoever stopped in order must be gone from the catalog at once.
        let names = instances(&get_json(self.consul, "/v1/agent/services")?);
        let left: Vec<_> = names.iter().filter(|name| !name.contains("sales-1")).collect();
        ensure!(left.is_empty(), "still registered after they stopped: {left:?}");
        self.narrator.seen("nobody who stopped in order is left in the catalog");
        Ok(())
    }

    fn tell_logs(&self) {
        for server in &self.instances {
            eprintln!("--- the end of {}'s output (pid {})\n{}", server.name(), server.pid(), server.tail());
        }
    }
}

/// Starting and killing.
impl Show {
    fn start_node(&mut self, instance: &str, service: &str) -> Result<()> {
        let [port] = free_ports()?;
        let workshop = workshop();
        self.start(instance, &workshop.join(service), |command| {
            command.arg("node").arg(workshop.join(format!("{service}/{service}.js")));
            command.env(format!("{}_PORT", service.to_uppercase()), port.to_string());
        })
    }

    fn start_nginx(&mut self, instance: &str) -> Result<()> {
        let directory = self.scratch.directory(instance)?;
        let (port, telemetry) = (self.nginx.port().to_string(), self.telemetry.port().to_string());
        self.start(instance, &workshop().join("nginx"), |command| {
            command.args(["nginx", "-e", "stderr", "-c"]).arg(directory.join("nginx.conf")).args(["-g", "daemon off;"]);
            command.env("NGINX_DIR", &directory).env("NGINX_USER", "root root").env("NGINX_PORT", port);
            command.env("TELEMETRY_PORT", telemetry);
        })
    }

    /// Starts `pilotfish run -c DIRECTORY/containerpilot.json -- ...`; `configure` adds the application and its settings.
    fn start(&mut self, instance: &str, directory: &Path, configure: impl FnOnce(&mut Command)) -> Result<()> {
        let config = directory.join("containerpilot.json");
        let server = Server::start_contained(instance, &self.pilotfish, self.scratch.path(), |command| {
            command.args(["run", "-c"]).arg(config).arg("--");
            command.env("CONSUL", self.consul.to_string()).env("INTERFACE", "lo").env("LISTEN", "127.0.0.1");
            command.env("WORKSHOP", workshop());
            configure(command);
        })?;
        self.narrator.seen(format!("{instance} started"));
        self.instances.push(server);
        Ok(())
    }

    fn kill(&mut self, instance: &str) -> Result<()> {
        let index = self.instances.iter().position(|server| server.name() == instance);
        let index = index.with_context(|| format!("{instance} does not run"))?;
        self.instances.remove(index).kill()
    }
}

/// Claims, each waited for.
impl Show {
    /// Exactly these instances of `service` pass their checks, as Consul sees it.
    fn expect_healthy(&mut self, service: &str, expected: &[&str]) -> Result<()> {
        let (consul, path) = (self.consul, format!("/v1/health/service/{service}?passing"));
        let names: Vec<_> = expected.iter().map(|instance| format!("{service}-{instance}")).collect();
        self.until(&format!("{} to be healthy", expected.join(" and ")), || {
            let found = healthy(&get_json(consul, &path)?);
            ensure!(found == names, "healthy in the catalog: {found:?}, expected: {names:?}");
            Ok(())
        })?;
        self.narrator.seen(format!("healthy in the catalog: {}", names.join(", ")));
        Ok(())
    }

    /// `service`, asked through nginx, shows rows of an instance of `peer`.
    fn expect_merged(&mut self, service: &str, peer: &str) -> Result<()> {
        let (nginx, path) = (self.nginx, format!("/{service}/"));
        let body = self.until(&format!("{service} to show rows of {peer}"), || {
            let body = get_json(nginx, &path)?;
            ensure!(body[peer]["rows"].is_array(), "{service} answered {body}");
            Ok(body)
        })?;
        self.narrator.seen(format!(
            "GET {path}: {} shows {} of {}",
            body["instance"], body[peer]["rows"], body[peer]["instance"]
        ));
        Ok(())
    }

    /// In a row of requests through nginx each is answered, by these instances of `service` and all of them.
    fn expect_answers(&mut self, service: &str, expected: &[&str]) -> Result<()> {
        let (nginx, path) = (self.nginx, format!("/{service}/data"));
        self.until(&format!("nginx to use {}", expected.join(" and ")), || {
            let mut seen: Vec<String> = Vec::new();
            for _ in 0..REQUESTS {
                let body = get_json(nginx, &path)?;
                seen.push(body["instance"].as_str().context("the answer names no instance")?.to_owned());
            }
            seen.sort();
            seen.dedup();
            ensure!(seen == expected, "answered by {seen:?}");
            Ok(())
        })?;
        self.narrator
            .seen(format!("{REQUESTS} of {REQUESTS} requests through nginx answered, by {}", expected.join(" and ")));
        Ok(())
    }

    fn show_metrics(&mut self) -> Result<()> {
        self.narrator.scene(format!("What pilotfish measures of nginx, at http://{}/metrics", self.telemetry));
        let telemetry = self.telemetry;
        let text = self.until("nginx's sensors to have values", || {
            let Answer { status, body } = get(telemetry, "/metrics")?;
            ensure!(status == 200, "/metrics answered {status}");
            let sampled = |name: &str| body.lines().any(|line| line.starts_with(name));
            ensure!(
                sampled("tb_nginx_connections_load") && sampled("tb_nginx_connections_unhandled_total"),
                "no value yet"
            );
            Ok(body)
        })?;
        let shown = |line: &&str| SHOWN_METRICS.iter().any(|name| line.starts_with(name));
        self.narrator.note(text.lines().filter(shown).collect::<Vec<_>>().join("\n"));
        let file = self.scratch.path().join("metrics.txt");
        std::fs::write(&file, &text).context("cannot write the metrics")?;
        let input = std::fs::File::open(&file).context("cannot read the metrics")?;
        let checked = Command::new(&self.promtool)
            .args(["check", "metrics"])
            .stdin(input)
            .output()
            .context("cannot run promtool")?;
        // Code 3 is a matter of style: the talk's names are not quite what promtool likes.
        if !matches!(checked.status.code(), Some(0 | 3)) {
            bail!("promtool refuses the metrics: {}", String::from_utf8_lossy(&checked.stderr));
        }
        self.narrator.seen(format!("promtool can read all {} lines", text.lines().count()));
        Ok(())
    }

    fn until<T>(&mut self, what: &str, condition: impl FnMut() -> Result<T>) -> Result<T> {
        until(what, LIMIT, &self.interrupt, &mut self.instances, condition)
    }
}

fn workshop() -> PathBuf {
    workspace::root().join("examples/workshop")
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The ids in an answer of `/v1/health/service`, sorted.
fn healthy(entries: &serde_json::Value) -> Vec<String> {
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut ids: Vec<_> =
        entries.iter().filter_map(|entry| entry["Service"]["ID"].as_str()).map(String::from).collect();
    ids.sort();
    ids
}

/// The ids in an answer of `/v1/agent/services`.
fn instances(services: &serde_json::Value) -> Vec<String> {
    services.as_object().map(|services| services.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_consuls_answers() {
        let entries = serde_json::json!([{ "Service": { "ID": "b" } }, { "Service": { "ID": "a" } }]);
        assert_eq!(healthy(&entries), ["a", "b"]);
        assert_eq!(healthy(&serde_json::json!({})), Vec::<String>::new());
        assert_eq!(instances(&serde_json::json!({ "x": {} })), ["x"]);
    }

    #[test]
    fn the_workshop_is_where_the_demo_looks() {
        for file in ["sales/containerpilot.json", "customers/customers.js", "nginx/reload-nginx.sh"] {
            assert!(workshop().join(file).is_file(), "{file}");
        }
    }
}
