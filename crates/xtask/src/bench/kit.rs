//! What the scenarios measure with: moments, processes, the FIFO on which the application tells its moments, a Consul.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::setup;
use crate::stage::{Interrupt, Scratch, Server, free_ports, get_json, until};
use crate::workspace;

/// For anything that takes a moment; generous, because a loaded machine is no failure.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The application's source.
const APP: &str = include_str!("app.c");

/// CLOCK_MONOTONIC, in nanoseconds.
pub(crate) fn moment() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Milliseconds between two moments.
pub(crate) fn milliseconds(from: i64, to: i64) -> f64 {
    // Exact up to 2^53 ns, a hundred days.
    (to - from) as f64 / 1e6
}

/// Everything that scenarios share.
pub(crate) struct Kit {
    pub(crate) pilotfish: PathBuf,
    pub(crate) app: PathBuf,
    pub(crate) interrupt: Interrupt,
    /// Catches the moments that the application tells.
    pub(crate) fifo: Fifo,
    scratch: Scratch,
}

impl Kit {
    /// Compiles the application and takes the signals of this process.
    pub(crate) fn new(name: &str, pilotfish: PathBuf) -> Result<Self> {
        let scratch = Scratch::new(name)?;
        let (source, app) = (scratch.path().join("app.c"), scratch.path().join("app"));
        fs::write(&source, APP).context("cannot write the application's source")?;
        // The C compiler that a dependency of the binary needs, too.
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        workspace::run(compiler.args(["-O2", "-static", "-o"]).arg(&app).arg(&source))?;
        let fifo = Fifo::new(scratch.path().join("fifo"))?;
        Ok(Self { pilotfish, app, interrupt: Interrupt::install()?, fifo, scratch })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// `config` as a file, with a control socket of its own.
    pub(crate) fn config(&self, name: &str, mut config: Value) -> Result<PathBuf> {
        config["control"] = serde_json::json!({ "socket": self.path(&format!("{name}.sock")) });
        let path = self.path(&format!("{name}.json5"));
        fs::write(&path, config.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// `pilotfish run -c CONFIG`, to be started or to be given to the application's `measure` or `contain`.
    pub(crate) fn supervisor(&self, config: &Path) -> Vec<PathBuf> {
        vec![self.pilotfish.clone(), "run".into(), "-c".into(), config.into()]
    }

    /// The application in one of its roles.
    pub(crate) fn app(&self, role: &str, arguments: &[&str]) -> Vec<PathBuf> {
        let mut words = vec![self.app.clone(), role.into()];
        words.extend(arguments.iter().map(PathBuf::from));
        words
    }

    /// The application, serving; it tells the moment of its first instruction.
    pub(crate) fn serve(&self) -> Vec<PathBuf> {
        vec![self.app.clone(), "serve".into(), self.fifo.path.clone()]
    }

    /// `command` below the application as `contain` (PID 1 of a namespace; the moment of its exec is told) or `measure` (its
    /// processor time is told).
    pub(crate) fn below(&self, role: &str, command: Vec<PathBuf>) -> Vec<PathBuf> {
        let mut words = vec![self.app.clone(), role.into(), self.fifo.path.clone()];
        words.extend(command);
        words
    }

    /// Starts a Consul of its own for as long as it is kept.
    pub(crate) fn consul(&self) -> Result<(Server, SocketAddr)> {
        let ports = free_ports()?;
        Ok((self.consul_at(ports)?, (Ipv4Addr::LOCALHOST, ports[0]).into()))
    }

    /// Starts a Consul on these ports: HTTP, server, and serf in LAN and WAN. It remembers nothing of an earlier one.
    pub(crate) fn consul_at(&self, [http, server, lan, wan]: [u16; 4]) -> Result<Server> {
        let program = setup::setup()?.consul;
        let consul = Server::start("consul", &program, self.scratch.path(), |command| {
            command.args(["agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-dns-port=-1", "-grpc-port=-1"]);
            command.args(["-log-level=err", "-hcl", "limits { http_max_conns_per_client = 8192 }"]);
            command.arg(format!("-http-port={http}")).arg(format!("-server-port={server}"));
            command.arg(format!("-serf-lan-port={lan}")).arg(format!("-serf-wan-port={wan}"));
        })?;
        let mut servers = [consul];
        until("Consul to know itself", LIMIT, &self.interrupt, &mut servers, || {
            let nodes = get_json((Ipv4Addr::LOCALHOST, http).into(), "/v1/catalog/nodes")?;
            ensure!(nodes.as_array().is_some_and(|nodes| !nodes.is_empty()), "it knows no node yet");
            Ok(())
        })?;
        let [consul] = servers;
        Ok(consul)
    }

    /// Looks until `condition` holds.
    pub(crate) fn until<T>(&self, what: &str, condition: impl FnMut() -> Result<T>) -> Result<T> {
        until(what, LIMIT, &self.interrupt, &mut [], condition)
    }
}

/// Lines of numbers, each from one process.
pub(crate) struct Fifo {
    pub(crate) path: PathBuf,
    lines: Receiver<Vec<i64>>,
}

impl Fifo {
    fn new(path: PathBuf) -> Result<Self> {
        workspace::run(Command::new("mkfifo").arg(&path))?;
        // Open for writing, too: so the reader never sees an end.
        let file = File::options().read(true).write(true).open(&path).context("cannot open the FIFO")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                let numbers = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                if sender.send(numbers).is_err() {
                    return;
                }
            }
        });
        Ok(Self { path, lines })
    }

    /// The next line.
    pub(crate) fn next(&self) -> Result<Vec<i64>> {
        self.lines.recv_timeout(LIMIT).context("the application told nothing")
    }

    /// The next line's only number.
    pub(crate) fn moment(&self) -> Result<i64> {
        match self.next()?[..] {
            [moment] => Ok(moment),
            ref other => bail!("expected a moment, got {other:?}"),
        }
    }

    /// What was told already, without waiting.
    pub(crate) fn moments(&self) -> Vec<i64> {
        self.lines.try_iter().flatten().collect()
    }

    /// Forgets what was told and nobody waited for.
    pub(crate) fn forget(&self) {
        self.moments();
    }
}

/// A started program, killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) started: i64,
    /// The program is below our child, in its `contain` or `measure`.
    wrapped: bool,
}

impl Process {
    pub(crate) fn start(words: &[PathBuf]) -> Result<Self> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command.env_remove("CONTAINERPILOT").env_remove("CONSUL_HTTP_ADDR");
        let wrapped = words.get(1).is_some_and(|role| role == Path::new("contain") || role == Path::new("measure"));
        let started = moment();
        let child = command.spawn().with_context(|| format!("cannot start {}", words[0].display()))?;
        Ok(Self { child, started, wrapped })
    }

    /// The program's process id, as seen from here.
    pub(crate) fn pid(&self) -> Result<Pid> {
        if !self.wrapped {
            return Ok(Pid::from_child(&self.child));
        }
        let parent = self.child.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let child = children.split_whitespace().next().and_then(|word| Pid::from_raw(word.parse().ok()?));
        child.context("the program is gone")
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).context("cannot signal the program")
    }

    /// SIGTERM; the milliseconds from then to its end.
    pub(crate) fn stop(mut self) -> Result<(f64, ExitStatus)> {
        let pid = self.pid()?;
        let asked = moment();
        kill_process(pid, Signal::TERM).context("cannot stop the program")?;
        let status = self.child.wait()?;
        Ok((milliseconds(asked, moment()), status))
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        self.child.wait().context("cannot wait for the program")
    }

    /// Whether it runs still.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // An error means that it ended in this moment.
        let _ = self.signal(Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
