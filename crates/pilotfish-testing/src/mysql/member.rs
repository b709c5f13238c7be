//! One member: a supervisor, its operator, its server.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::client::{Client, OPERATOR_FILE, PASSWORD, USER};
use super::{CLUSTER_PATIENCE, ClusterOptions, Flavour, Machine, ask, mysqld};
use crate::children;
use crate::consul::embedded_binary;
use crate::wait::wait_until;

/// The ports of every member: each has an address of its own.
const PORT: u16 = 13306;
const API_PORT: u16 = 13307;
/// How much of a log is shown when a test fails.
const LAST_LINES: usize = 40;

/// A process of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The supervisor.
    Supervisor,
    /// The operator.
    Operator,
    /// The database server.
    Server,
}

/// A member.
pub struct Member {
    /// Its address.
    pub address: IpAddr,
    name: String,
    directory: TempDir,
    pilotfish: PathBuf,
    machine: Machine,
    child: Option<Child>,
}

impl Member {
    pub(super) fn new(index: usize, address: IpAddr, options: &ClusterOptions) -> Member {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        // The server's user must be able to pass.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("our own directory can be changed");
        let name = format!("m{}", index + 1);
        let pilotfish = options.pilotfish.clone().unwrap_or_else(embedded_binary);
        let machine = options.machines.get(index).cloned().unwrap_or_default();
        let address = machine.address().unwrap_or(address);
        let member = Member { address, name, directory, pilotfish, machine, child: None };
        fs::write(member.path("config.json5"), member.config(index, options)).expect("a file can be written");
        member
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self, index: usize, options: &ClusterOptions) -> String {
        let address = self.address;
        let directory = self.directory.path().display();
        let state = self.state().display().to_string();
        let program = match options.flavour {
            _ if !options.program.is_empty() => format!("program: {:?},", options.program),
            Flavour::MariaDb => String::new(),
            Flavour::MySql => format!("program: {:?},", mysqld()),
        };
        format!(
            r#"{{
    consul: {:?},
    control: {{ socket: "{directory}/control.sock" }},
    stopTimeout: "60s",
    mysql: {{
        name: "{}", id: {}, address: "{address}", bind: "{address}", port: {PORT}, apiPort: {API_PORT},
        directory: "{state}", runDirectory: "{directory}/run", lease: "{}ms", {program} {}
        options: ["--innodb-buffer-pool-size=64M"],
    }},
}}"#,
            options.catalog,
            self.name,
            index + 1,
            options.lease.as_millis(),
            options.more,
        )
    }

    /// Starts it. Its log goes on in the same file.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("a file can be opened");
        let mut command = self.machine.command(&self.pilotfish);
        // MariaDB removes all temporary tables at its start that it finds where it puts its own: here those of other members.
        command.env("TMPDIR", self.temporary_files());
        command.arg("--config").arg(self.path("config.json5"));
        command.env("MYSQL_REPL_USER", "repl").env("MYSQL_REPL_PASSWORD", "secret of the replicas");
        command.env("MYSQL_USER", USER).env("MYSQL_PASSWORD", PASSWORD).env("MYSQL_DATABASE", "app");
        command.env("MYSQL_ROOT_PASSWORD", "secret of root");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor can be copied")).stderr(log);
        self.child = Some(children::spawn(command).expect("pilotfish can be started"));
    }

    /// A directory for whoever the server runs as.
    fn temporary_files(&self) -> PathBuf {
        let directory = self.path("tmp");
        fs::create_dir_all(&directory).expect("a directory can be made");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).expect("our own directory can be changed");
        directory
    }

    /// Whether it was started and not killed.
    pub fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its operator says, to somebody on its own machine.
    pub fn report(&self) -> Option<Value> {
        self.machine.within(|| ask(SocketAddr::new(self.address, API_PORT), "/v1/status"))
    }

    /// Its machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A client of its server.
    pub fn client(&self) -> Client {
        Client::new(self.address, PORT, self.path(&format!("run/{OPERATOR_FILE}")))
    }

    /// Where it keeps everything.
    pub fn state(&self) -> PathBuf {
        self.machine.state().unwrap_or_else(|| self.path("state"))
    }

    /// The process of one of its parts, if that runs.
    pub fn pid(&self, part: Part) -> Option<Pid> {
        match part {
            Part::Supervisor => Pid::from_raw(i32::try_from(self.child.as_ref()?.id()).ok()?),
            Part::Operator => self.operator(),
            Part::Server => self.server(),
        }
    }

    /// The operator is the supervisor's only child that is the same program.
    fn operator(&self) -> Option<Pid> {
        let supervisor = self.child.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).ok()?;
        let is_operator = |pid: &&str| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains("mysql"))
        };
        Pid::from_raw(children.split_whitespace().find(is_operator)?.parse().ok()?)
    }

    /// Sends a signal to one of its parts, if that runs.
    pub fn signal(&self, part: Part, signal: Signal) {
        if let Some(pid) = self.pid(part) {
            let _ = kill_process(pid, signal);
        }
    }

    /// The server dies.
    pub fn kill_server(&self) {
        self.signal(Part::Server, Signal::KILL);
    }

    /// The machine is lost: all of it dies at once. Nobody in it sees another die first.
    pub fn kill(&mut self) {
        self.machine.thaw();
        self.signal(Part::Supervisor, Signal::STOP);
        self.signal(Part::Operator, Signal::STOP);
        for part in [Part::Server, Part::Operator, Part::Supervisor] {
            self.signal(part, Signal::KILL);
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        wait_until("the server to be gone", || self.server().is_none().then_some(()));
    }

    /// What the server wrote down, unless it has ended since and the number is another's.
    fn server(&self) -> Option<Pid> {
        let pid = fs::read_to_string(self.path("run/mysqld.pid")).ok()?.trim().parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let own = self.directory.path().display().to_string();
        String::from_utf8_lossy(&line).contains(&own).then(|| Pid::from_raw(pid))?
    }

    /// Whether its supervisor has ended, or was never started.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// Everything stops, and nothing dies.
    pub fn freeze(&self) {
        for part in [Part::Supervisor, Part::Operator, Part::Server] {
            self.signal(part, Signal::STOP);
        }
    }

    /// The end of [`Member::freeze`].
    pub fn thaw(&self) {
        for part in [Part::Server, Part::Operator, Part::Supervisor] {
            self.signal(part, Signal::CONT);
        }
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal(Part::Supervisor, Signal::TERM);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it was started");
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(began.elapsed() < CLUSTER_PATIENCE, "the member does not end\n{}", self.last_words());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs `pilotfish mysql ...` for it; its exit code and what it printed.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn command(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(&self.pilotfish);
        command.arg("mysql").arg("--config").arg(self.path("config.json5")).args(arguments);
        command.env("MYSQL_REPL_USER", "repl").env("MYSQL_REPL_PASSWORD", "secret of the replicas");
        let output = command.stdin(Stdio::null()).output().expect("pilotfish can be run");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read(self.path("log")).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// The end of its log, without what the server says of itself.
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("[Note]")).collect();
        let end = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        format!("--- {} ({})\n{end}", self.name, self.address)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.thaw();
        if self.child.is_some() {
            self.kill();
        }
    }
}
