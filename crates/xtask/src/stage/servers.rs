//! Servers as child processes: each in its own process group, its output in a file, stopped by pid when dropped, and by the
//! kernel if we are killed first.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};

use crate::workspace::path_with_root_programs;

/// How long a server may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How often a stopping server is looked at.
const STOP_POLL: Duration = Duration::from_millis(10);

/// How much of a server's output an error shows, in lines from the end.
const TAIL_LINES: usize = 15;

/// A running server.
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    contained: bool,
    /// SIGTERM was sent: it is not sent twice, because the second one may mean more.
    asked_to_stop: bool,
}

/// Run by the shell that becomes a container's first process: its own host name ($0) and its own /run.
const ENTER_CONTAINER: &str = r#"mount -t tmpfs tmpfs /run && hostname "$0" && exec "$@""#;

impl Server {
    /// Starts `program` and sends its output to `NAME.log` in `logs`. `configure` adds arguments, environment and directory.
    pub(crate) fn start(name: &str, program: &Path, logs: &Path, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        // Whatever happens to us, the server does not outlive us: setpriv(1) asks the kernel for it and becomes the program.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        Self::spawn(name, command, logs, configure)
    }

    /// The same as PID 1 of PID, mount and host name namespaces of its own: `NAME` is its host name, and `/run` is empty. What
    /// of a container matters to a supervisor, without an image. The network is ours.
    pub(crate) fn start_contained(
        name: &str,
        program: &Path,
        logs: &Path,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        // unshare(1) ignores SIGTERM while it waits for the container, so it is killed when we die, and that ends the container
        // in order.
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "--",
            "unshare",
            "--fork",
            "--kill-child=SIGTERM",
            "--pid",
            "--uts",
            "--mount-proc",
        ]);
        if !geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-c", ENTER_CONTAINER, name]).arg(program);
        let mut server = Self::spawn(name, command, logs, configure)?;
        server.contained = true;
        Ok(server)
    }

    fn spawn(name: &str, mut command: Command, logs: &Path, configure: impl FnOnce(&mut Command)) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        command.env("PATH", path_with_root_programs()).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot duplicate a descriptor")?)
            .stderr(output);
        configure(&mut command);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log, contained: false, asked_to_stop: false })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The server's process id; that of a container's PID 1 as seen from here.
    pub(crate) fn pid(&self) -> u32 {
        self.first_in_container().unwrap_or(self.child.id())
    }

    /// The only child of unshare(1), if the server is contained and still runs.
    fn first_in_container(&self) -> Option<u32> {
        let parent = self.child.id();
        let children = self.contained.then(|| fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")))?;
        children.ok()?.split_whitespace().next()?.parse().ok()
    }

    /// Fails, with the end of its output, if the server is gone.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("cannot wait for a child")? {
            bail!("{} ended ({status}); it said:\n{}", self.name, self.tail());
        }
        Ok(())
    }

    /// The last lines of the server's output.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// SIGKILL to the server and all of its group at once, as when a host is lost. With a container's PID 1 all of it ends.
    pub(crate) fn kill(mut self) -> Result<()> {
        // An error means that it is gone already.
        let _ = kill_process(self.process(), Signal::KILL);
        self.signal_group(Signal::KILL);
        self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// SIGTERM to the server, without waiting for its end.
    pub(crate) fn ask_to_stop(&mut self) {
        // Once it has been waited for, its number may be another's.
        if !self.asked_to_stop && matches!(self.child.try_wait(), Ok(None)) {
            self.asked_to_stop = true;
            // An error means that it ended in this moment.
            let _ = kill_process(self.process(), Signal::TERM);
        }
    }

    /// SIGTERM to the server, which stops its own children; then, after [`STOP_LIMIT`], SIGKILL to the group.
    pub(crate) fn stop(mut self) -> Result<ExitStatus> {
        self.stop_within(STOP_LIMIT).with_context(|| format!("cannot stop {}", self.name))
    }

    fn stop_within(&mut self, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.ask_to_stop();
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(STOP_POLL);
        }
        self.signal_group(Signal::KILL);
        Ok(self.child.wait()?)
    }

    fn process(&self) -> Pid {
        let contained = self.first_in_container().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        contained.unwrap_or_else(|| Pid::from_child(&self.child))
    }

    fn signal_group(&self, signal: Signal) {
        // The group has our child's number as long as we have not waited for it; an error means that it is empty.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.stop_within(STOP_LIMIT).is_err() {
            eprintln!("warning: {} (pid {}) may still be running", self.name, self.pid());
        }
    }
}

/// Ports of loopback that were free a moment ago. They are held together until all are known, so that they differ.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
        *port = listener.local_addr().context("a bound socket has an address")?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::super::Scratch;
    use super::*;

    fn shell(scratch: &Scratch, script: &str) -> Server {
        let started = Server::start("example", Path::new("/bin/sh"), scratch.path(), |command| {
            command.args(["-c", script]);
        });
        started.expect("sh and setpriv are there")
    }

    /// Waits until the server has written `text`.
    fn wait_for(server: &Server, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.tail().contains(text) {
            assert!(Instant::now() < deadline, "`{text}` was never written: {}", server.tail());
            thread::yield_now();
        }
    }

    #[test]
    fn a_server_is_stopped_when_dropped() {
        let scratch = Scratch::new("xtask-servers-dropped").expect("target is writable");
        let server = shell(&scratch, "echo ready; exec sleep 600");
        wait_for(&server, "ready");
        let pid = server.process();
        drop(server);
        assert!(rustix::process::test_kill_process(pid).is_err(), "it is gone");
    }

    #[test]
    fn one_that_ignores_sigterm_is_killed_with_its_children() {
        let scratch = Scratch::new("xtask-servers-stubborn").expect("target is writable");
        let mut server = shell(&scratch, "trap '' TERM; sleep 600 & echo child $!; wait");
        wait_for(&server, "child ");
        let child: i32 = server.tail().trim().trim_start_matches("child ").parse().expect("a pid");
        let status = server.stop_within(Duration::from_millis(50)).expect("it can be waited for");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        let child = Pid::from_raw(child).expect("not zero");
        // Init or a subreaper collects it in its own time, so being a zombie is being gone.
        let state = || fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !(state().is_empty() || state().contains(") Z")) {
            assert!(Instant::now() < deadline, "the child lives: {}", state());
            thread::yield_now();
        }
    }

    #[test]
    fn a_contained_server_is_pid_1_and_stops_in_order() {
        let scratch = Scratch::new("xtask-servers-contained").expect("target is writable");
        let server = Server::start_contained("box", Path::new("/bin/sh"), scratch.path(), |command| {
            command.args(["-c", "trap 'echo bye; exit 7' TERM; echo pid $$ on $(hostname); sleep 600 & wait"]);
        });
        let server = server.expect("namespaces are allowed");
        wait_for(&server, "pid 1 on box");
        let log = server.log.clone();
        assert_eq!(server.stop().expect("it stops").code(), Some(7));
        assert!(fs::read_to_string(log).expect("it was written").contains("bye"));
    }

    #[test]
    fn the_end_of_a_server_is_told_with_its_words() {
        let scratch = Scratch::new("xtask-servers-ended").expect("target is writable");
        let mut server = shell(&scratch, "echo no such port >&2; exit 3");
        let deadline = Instant::now() + Duration::from_secs(30);
        let error = loop {
            if let Err(error) = server.check_alive() {
                break error.to_string();
            }
            assert!(Instant::now() < deadline, "it never ends");
            thread::yield_now();
        };
        assert!(error.contains("exit status: 3") && error.contains("no such port"), "{error}");
    }

    #[test]
    fn ports_differ() {
        let [a, b, c] = free_ports().expect("loopback has ports");
        assert!(a != b && b != c && a != c && a != 0);
    }
}
