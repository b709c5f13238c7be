//! A real Consul agent as a child process.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ports::free_port;
use crate::wait::{PATIENCE, wait_until, wait_within};
use crate::{Certificates, children, http};

/// How often a start is tried again with other ports, because another process may have taken one of them.
const START_ATTEMPTS: usize = 5;
/// Longest time for the answer to one request of a test: two of them fit into the patience of whoever repeats it.
const ANSWER_LIMIT: Duration = Duration::from_secs(25);

/// What serves the catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// What `PILOTFISH_TEST_CATALOG` names: `consul` (also when it is not set) or `embedded`.
    #[default]
    AsAsked,
    /// A real Consul, whatever was asked for.
    Consul(OnlyConsul),
    /// `pilotfish catalog`.
    Embedded,
}

/// Why a test is about a real Consul and not about any catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlyConsul {
    /// The embedded catalog is one server, never several that elect a leader.
    Cluster,
    /// The embedded catalog serves loopback in plain text.
    Tls,
    /// The embedded catalog has one token and no rules.
    Acl,
    /// The embedded catalog listens on TCP only.
    UnixSocket,
    /// The embedded catalog wants a token from whoever reaches it from another host.
    OtherHost,
    /// The test sets one of Consul's own options.
    OwnOption,
    /// The test compares others with it.
    Judge,
}

/// What a Consul is started with. The default is one `-dev` server on 127.0.0.1.
#[derive(Default)]
pub struct ConsulOptions {
    /// What serves the catalog.
    pub kind: Kind,
    /// Name of the node; `test` and the HTTP port by default.
    pub node: Option<String>,
    /// Address to listen on.
    pub ip: Option<Ipv4Addr>,
    /// Also listen on a unix socket, see [`Consul::socket`].
    pub unix_socket: bool,
    /// Also listen for HTTPS with these certificates, and demand one of the client.
    pub tls: Option<Certificates>,
    /// Deny everything without this master token.
    pub master_token: Option<String>,
    /// A server that is no `-dev` one: alone as well, but it keeps its data, and answers in compact JSON.
    pub production: bool,
    /// Also answer DNS, see [`Consul::dns`].
    pub dns: bool,
    /// The binary that serves the embedded catalog, if not the one beside the tests.
    pub pilotfish: Option<PathBuf>,
    /// The binary of a real Consul, if not the one that the environment names or that is on the path.
    pub consul: Option<PathBuf>,
    /// More configuration, as Consul's JSON without the outer braces.
    pub extra: Option<String>,
}

/// How a server finds the others.
#[derive(Clone)]
pub(crate) struct Peers {
    pub(crate) expect: usize,
    pub(crate) join: Vec<SocketAddr>,
    pub(crate) serf: u16,
    pub(crate) rpc: u16,
}

/// A running (or stopped) Consul. It is killed, and its data removed, on drop.
pub struct Consul {
    options: ConsulOptions,
    peers: Option<Peers>,
    ip: Ipv4Addr,
    http_port: u16,
    https_port: u16,
    serf_port: u16,
    rpc_port: u16,
    dns_port: u16,
    directory: TempDir,
    child: Option<Child>,
}

/// The binary: `PILOTFISH_TEST_CONSUL`, or `consul` on the path.
///
/// # Panics
/// When there is neither.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PILOTFISH_TEST_CONSUL") {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("consul")).find(|file| file.is_file());
    found.expect(
        "no consul found: run the tests with `cargo xtask test`, or set PILOTFISH_TEST_CONSUL to a consul binary",
    )
}

/// The binary with the embedded catalog: `PILOTFISH_TEST_PILOTFISH`, or the one that cargo built beside the test.
///
/// # Panics
/// When there is neither.
pub(crate) fn embedded_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("PILOTFISH_TEST_PILOTFISH") {
        return path.into();
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    let beside = test.ancestors().skip(1).take(2).map(|directory| directory.join("pilotfish"));
    beside
        .into_iter()
        .find(|file| file.is_file())
        .expect("no pilotfish found: run the tests with `cargo xtask test`, or `cargo build --package pilotfish` first")
}

impl ConsulOptions {
    /// Why these options need a real Consul, if they do.
    fn needs_consul(&self, peers: Option<&Peers>) -> Option<OnlyConsul> {
        match self.kind {
            Kind::Consul(reason) => Some(reason),
            Kind::Embedded | Kind::AsAsked if peers.is_some() => Some(OnlyConsul::Cluster),
            Kind::Embedded | Kind::AsAsked if self.tls.is_some() => Some(OnlyConsul::Tls),
            Kind::Embedded | Kind::AsAsked if self.master_token.is_some() => Some(OnlyConsul::Acl),
            Kind::Embedded | Kind::AsAsked if self.unix_socket => Some(OnlyConsul::UnixSocket),
            Kind::Embedded | Kind::AsAsked if self.extra.is_some() => Some(OnlyConsul::OwnOption),
            Kind::Embedded | Kind::AsAsked if self.ip.is_some_and(|ip| !ip.is_loopback()) => {
                Some(OnlyConsul::OtherHost)
            }
            Kind::Embedded | Kind::AsAsked => None,
        }
    }

    fn is_embedded(&self, peers: Option<&Peers>) -> bool {
        let needs_consul = self.needs_consul(peers);
        match self.kind {
            Kind::Consul(_) => false,
            Kind::Embedded => {
                assert!(needs_consul.is_none(), "the embedded catalog cannot be started so: {needs_consul:?}");
                true
            }
            Kind::AsAsked => {
                let asked = embedded_is_asked_for();
                if let Some(reason) = needs_consul.filter(|_| asked) {
                    eprintln!("a real Consul serves this test, because of {reason:?}");
                }
                asked && needs_consul.is_none()
            }
        }
    }
}

/// Whether `PILOTFISH_TEST_CATALOG` asks for the embedded catalog where a real Consul is not needed.
///
/// # Panics
/// When the variable names something else.
pub fn embedded_is_asked_for() -> bool {
    match std::env::var("PILOTFISH_TEST_CATALOG").as_deref() {
        Err(_) | Ok("consul") => false,
        Ok("embedded") => true,
        Ok(other) => panic!("PILOTFISH_TEST_CATALOG is `{other}`, and neither `consul` nor `embedded`"),
    }
}

impl Consul {
    /// Starts one `-dev` server and waits until it has a leader.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Consul {
        Consul::start_with(ConsulOptions::default())
    }

    /// Starts a server and waits until it has a leader.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(options: ConsulOptions) -> Consul {
        let mut consul = Consul::spawn(options, None);
        for attempt in 1.. {
            if consul.comes_up() {
                break;
            }
            assert!(attempt < START_ATTEMPTS, "consul does not start:\n{}", consul.log());
            consul = Consul::spawn(std::mem::take(&mut consul.options), None);
        }
        consul
    }

    /// Starts a server without waiting for it.
    pub(crate) fn spawn(options: ConsulOptions, peers: Option<Peers>) -> Consul {
        let ip = options.ip.unwrap_or(Ipv4Addr::LOCALHOST);
        let port = || free_port(IpAddr::V4(ip));
        let (serf_port, rpc_port) = peers.as_ref().map_or_else(|| (port(), port()), |peers| (peers.serf, peers.rpc));
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut consul = Consul {
            ip,
            http_port: port(),
            https_port: port(),
            serf_port,
            rpc_port,
            dns_port: port(),
            directory,
            child: None,
            options,
            peers,
        };
        consul.launch();
        consul
    }

    fn launch(&mut self) {
        let directory = self.directory.path();
        let data = directory.join("data");
        std::fs::create_dir_all(&data).expect("a directory can be made");
        let log = File::create(self.log_file()).expect("a file can be made");
        let mut command = if self.is_embedded() { self.embedded_command(&data) } else { self.command(&data) };
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor can be copied")).stderr(log);
        self.child = Some(children::spawn(command).expect("setpriv and consul can be executed"));
    }

    fn is_embedded(&self) -> bool {
        self.options.is_embedded(self.peers.as_ref())
    }

    fn embedded_command(&self, data: &Path) -> Command {
        let mut command = children::mortal(self.options.pilotfish.clone().unwrap_or_else(embedded_binary));
        command.arg("catalog").arg(format!("--listen={}", self.http())).arg(format!("--node={}", self.node()));
        // A `-dev` server keeps what was registered with its agent in its directory, and the embedded catalog everything or nothing.
        command.arg("--data").arg(data);
        if self.options.dns {
            command.arg(format!("--dns={}", self.dns()));
        }
        command
    }

    fn command(&self, data: &Path) -> Command {
        let file = self.directory.path().join("config.json");
        std::fs::write(&file, self.config()).expect("a file can be written");
        let mut command = children::mortal(self.options.consul.clone().unwrap_or_else(binary));
        command.arg("agent").arg("-config-file").arg(file).arg("-data-dir").arg(data);
        if self.peers.is_none() && !self.options.production {
            command.arg("-dev");
        }
        command
    }

    fn config(&self) -> String {
        let quote = |path: &Path| format!("{:?}", path.display().to_string());
        let ip = self.ip;
        let socket =
            if self.options.unix_socket { format!(" unix://{}", self.socket().display()) } else { String::new() };
        let dns = if self.options.dns { i32::from(self.dns_port) } else { -1 };
        let https = if self.options.tls.is_some() { i32::from(self.https_port) } else { -1 };
        let mut config = format!(
            r#"{{"node_name": {:?}, "bind_addr": "{ip}", "client_addr": "{ip}", "addresses": {{"http": "{ip}{socket}"}},
                "ports": {{"http": {}, "https": {https}, "serf_lan": {}, "server": {}, "serf_wan": -1, "dns": {dns}, "grpc": -1}},
                "performance": {{"raft_multiplier": 1}}, "disable_update_check": true, "leave_on_terminate": false,
                "skip_leave_on_interrupt": true"#,
            self.node(),
            self.http_port,
            self.serf_port,
            self.rpc_port,
        );
        if let Some(tls) = &self.options.tls {
            config += &format!(
                r#", "verify_incoming_https": true, "ca_file": {}, "cert_file": {}, "key_file": {}"#,
                quote(&tls.file("ca.pem")),
                quote(&tls.file("server.pem")),
                quote(&tls.file("server-key.pem")),
            );
        }
        if let Some(token) = &self.options.master_token {
            config += &format!(
                r#", "acl": {{"enabled": true, "default_policy": "deny", "tokens": {{"master": "{token}", "agent": "{token}"}}}}"#
            );
        }
        if let Some(peers) = &self.peers {
            let join: Vec<String> = peers.join.iter().map(|peer| format!("\"{peer}\"")).collect();
            config += &format!(
                r#", "server": true, "bootstrap_expect": {}, "retry_join": [{}], "retry_interval": "1s""#,
                peers.expect,
                join.join(", "),
            );
        }
        if self.options.production {
            config += r#", "server": true, "bootstrap_expect": 1"#;
        }
        if let Some(extra) = &self.options.extra {
            config += &format!(", {extra}");
        }
        config + "}"
    }

    /// Waits until there is a leader; false when the process has ended instead.
    fn comes_up(&mut self) -> bool {
        wait_within(PATIENCE * 3, "a leader of consul", || {
            let child = self.child.as_mut().expect("it was started");
            if child.try_wait().expect("a child can be waited for").is_some() {
                return Some(false);
            }
            self.has_leader().then_some(true)
        })
    }

    /// Whether this server knows a leader, and is in the catalog itself: the node comes first, its service `consul` a moment later.
    pub fn has_leader(&self) -> bool {
        let token = self.options.master_token.as_deref();
        let get = |path: &str| http::request(self.http(), "GET", path, token, "");
        let leader = get("/v1/status/leader").is_some_and(|(status, body)| status == 200 && body.trim().len() > 2);
        leader
            && get("/v1/health/service/consul")
                .is_some_and(|(status, body)| status == 200 && body.contains(&self.node()))
    }

    /// Waits until this server knows a leader.
    ///
    /// # Panics
    /// When it does not come.
    pub fn wait_for_leader(&self) {
        // Servers that elect a leader write to their disks before they answer, which others may keep busy.
        wait_within(PATIENCE * 3, "a leader of consul", || self.has_leader().then_some(()));
    }

    /// Sends a request past any client under test; status and body, or nothing when it does not answer.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        http::request_within(ANSWER_LIMIT, self.http(), method, path, self.options.master_token.as_deref(), body)
    }

    /// Name of the node.
    pub fn node(&self) -> String {
        self.options.node.clone().unwrap_or_else(|| format!("test{}", self.http_port))
    }

    /// Where it serves HTTP.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), self.http_port)
    }

    /// Where it answers DNS, if it was asked to.
    pub fn dns(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), self.dns_port)
    }

    /// Where it serves HTTPS, if it was given certificates.
    pub fn https(&self) -> SocketAddr {
        SocketAddr::new(self.ip.into(), self.https_port)
    }

    /// Its unix socket, if it was asked for one.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("consul.sock")
    }

    /// The certificates that it was given.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.options.tls.as_ref()
    }

    /// Process id; nothing while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("consul.log")
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Stops it as `SIGTERM` does, without leaving the cluster, and waits for its end.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Kills it with `SIGKILL` and waits for its end.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Freezes it with `SIGSTOP`: connections are still accepted by the kernel, and never answered.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        // A signal reaches the threads of a process one after the other; until then some of them still answer.
        let tasks = format!("/proc/{}/task", self.pid().unwrap_or_default());
        wait_until("consul to freeze", || {
            let frozen = std::fs::read_dir(&tasks).ok()?.flatten().all(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
            });
            frozen.then_some(())
        });
    }

    /// Lets it go on after [`Consul::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it if it runs, and starts it on the same ports with its data: what was registered with the agent is there again.
    /// (KV and sessions of a `-dev` Consul are gone, as it keeps them in memory; the embedded catalog has them still.)
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&mut self) {
        self.kill();
        self.launch();
        assert!(self.comes_up(), "consul does not start again:\n{}", self.log());
    }

    /// As [`Consul::restart`], with nothing left of its data.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart_empty(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.directory.path().join("data")).expect("the data directory can be removed");
        self.launch();
        assert!(self.comes_up(), "consul does not start again:\n{}", self.log());
    }

    /// Starts it again on the same ports with its data, without waiting for it: where it needs others for a leader.
    pub(crate) fn start_again(&mut self) {
        self.kill();
        self.launch();
    }

    /// A backup of everything that it knows, for [`Consul::restore`].
    ///
    /// # Panics
    /// When it gives none.
    pub fn backup(&self) -> Vec<u8> {
        let answer = http::bytes(self.http(), "GET", "/v1/snapshot", &[]);
        let (200, backup) = answer.expect("consul gives a backup") else { panic!("consul refuses to give a backup") };
        backup
    }

    /// Puts a backup in the place of everything that it knows.
    ///
    /// # Panics
    /// When it refuses it.
    pub fn restore(&self, backup: &[u8]) {
        let answer = http::bytes(self.http(), "PUT", "/v1/snapshot", backup);
        let (status, text) = answer.expect("consul takes a backup");
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&text));
    }

    fn end(&mut self, signal: Signal) {
        if self.child.is_some() {
            self.signal(signal);
            self.signal(Signal::CONT);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.as_ref().and_then(|child| Pid::from_raw(child.id() as i32)) {
            // The child has not been waited for, so its id cannot belong to another process.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.kill();
    }
}
