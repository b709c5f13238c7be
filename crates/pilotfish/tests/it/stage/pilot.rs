//! The program under test, running or ended.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use pilotfish_testing::{PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::control::{self, Answer};
use super::process::{self, Process};
use super::{Lines, Role, Stage, Stdout, local, write};

/// The code or signal that the program ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It exited.
    Code(i32),
    /// A signal killed it.
    Signal(i32),
}

/// The program, running or ended. Everything in its namespaces is killed on drop.
pub(crate) struct Pilot {
    outer: u32,
    child: Mutex<Child>,
    /// What it and its attached application print.
    pub(crate) stdout: Lines,
    /// What they complain about.
    pub(crate) stderr: Lines,
    directory: TempDir,
    role: Role,
    _full: Option<std::process::ChildStdout>,
}

impl Pilot {
    pub(super) fn new(mut child: Child, directory: TempDir, role: Role, stdout: Stdout) -> Pilot {
        let stderr = Lines::collect(child.stderr.take().expect("it is piped"));
        let (stdout, full) = match stdout {
            Stdout::Collected => (Lines::collect(child.stdout.take().expect("it is piped")), None),
            Stdout::Closed => (Lines::default(), child.stdout.take().map(drop).and(None)),
            Stdout::Full => (Lines::default(), child.stdout.take()),
        };
        Pilot { outer: child.id(), child: Mutex::new(child), stdout, stderr, directory, role, _full: full }
    }

    /// Starts the program with a config in a network of its own.
    pub(crate) fn start(config: &str) -> Pilot {
        Stage::with_config(config).start()
    }

    /// The stage's directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path in the stage's directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The text of a file in the stage's directory; empty if there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.file(name)).unwrap_or_default()).into_owned()
    }

    /// Waits until a file of the stage's directory has a text that satisfies the condition.
    #[track_caller]
    pub(crate) fn wait_for_file(&self, name: &str, condition: impl Fn(&str) -> bool) -> String {
        self.wait_for(name, || Some(self.read(name)).filter(|text| condition(text)))
    }

    /// Writes a file in the stage's directory in one step, so that nobody reads a half of it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        write(self.path(), name, local(self.path(), text).as_bytes());
    }

    /// Writes the config again.
    pub(crate) fn config(&self, text: &str) {
        self.write("config.json5", text);
    }

    /// Waits for a condition, and shows the output if it waits in vain.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        wait_until(what, || {
            let over = self.stdout.ended() && self.stderr.ended() && self.ended().is_some();
            let found = condition();
            if found.is_none() && (over || begun.elapsed() > PATIENCE * 9 / 10) {
                let state = if over { "until the program had ended" } else { "in vain" };
                panic!("waited {state} for {what}; its output:\n{}", self.story());
            }
            found
        })
    }

    /// Waits for a line of standard output that contains a text.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, part: &str) -> String {
        self.wait_for(&format!("a line with {part:?}"), || self.stdout.find(part))
    }

    /// All output, for a failed test to show.
    pub(crate) fn story(&self) -> String {
        format!("-- stdout:\n{}\n-- stderr:\n{}", self.stdout.excerpt(), self.stderr.excerpt())
    }

    /// The same for a line after a flood: as long as the flood goes on, it is waited for.
    #[track_caller]
    pub(crate) fn wait_for_line_after_flood(&self, part: &str) {
        let mut seen = 0;
        while self.stdout.find_last(part).is_none() {
            let found = || self.stdout.find_last(part).is_some() || self.stdout.bytes() > seen;
            self.wait_for(&format!("more output, or a line with {part:?}"), || found().then_some(()));
            seen = self.stdout.bytes();
        }
    }

    /// The code or signal it ended with, if it has ended.
    pub(crate) fn ended(&self) -> Option<End> {
        use std::os::unix::process::ExitStatusExt as _;
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let status = child.try_wait().expect("a child can be waited for")?;
        status.code().map(End::Code).or(status.signal().map(End::Signal))
    }

    /// Waits for its end, and for the rest of its output.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) -> End {
        let end = self.wait_for("the end of the program", || self.ended());
        self.wait_for("the end of its output", || (self.stdout.ended() && self.stderr.ended()).then_some(()));
        end
    }

    /// The state of everything, once the control socket answers.
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        self.wait_for("an answer of the control socket", || self.control("GET", "/v1/status", "")).json()
    }

    /// One job of the status.
    #[track_caller]
    pub(crate) fn job(&self, name: &str) -> Value {
        let status = self.status();
        let job = status["jobs"].as_array().into_iter().flatten().find(|job| job["name"] == name);
        job.unwrap_or_else(|| panic!("there is no job {name} in {status}")).clone()
    }

    /// Waits until a job satisfies a condition.
    #[track_caller]
    pub(crate) fn wait_for_job(&self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(&format!("a state of job {name}"), || {
            let answer = self.control("GET", "/v1/status", "")?.json();
            let job = answer["jobs"].as_array()?.iter().find(|job| job["name"] == name)?.clone();
            condition(&job).then_some(job)
        })
    }

    /// The pid of a job's process inside the namespace, once it runs.
    #[track_caller]
    pub(crate) fn pid_of(&self, job: &str) -> u32 {
        let job = self.wait_for_job(job, |job| job["pid"].is_u64());
        job["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid is a small number")
    }

    /// Sends a request to the control socket; nothing if nobody answers.
    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        control::request(&self.file("run/containerpilot.socket"), method, path, body)
    }

    /// Runs a command in the namespaces and waits for its end.
    #[track_caller]
    pub(crate) fn inside(&self, words: &[&str]) -> std::process::Output {
        let words: Vec<String> = words.iter().map(|word| local(self.path(), word)).collect();
        let path = std::env::var("PATH").unwrap_or_default();
        let target = self.init().as_raw_nonzero().to_string();
        Command::new("nsenter")
            .args(["--target", &target, "--mount", "--pid", "--net"])
            .args(&words)
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.file("bin").display()))
            .output()
            .expect("nsenter can be executed")
    }

    /// Runs a command in the namespaces; its standard output, if it succeeds.
    #[track_caller]
    pub(crate) fn output_of(&self, words: &[&str]) -> String {
        let output = self.inside(words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {}\n{stderr}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// PID 1 of the namespace, by its pid out here.
    #[track_caller]
    fn init(&self) -> Pid {
        self.wait_for("PID 1 of the namespace", || process::children(self.outer).first().copied())
    }

    /// The program, by its pid out here.
    #[track_caller]
    pub(crate) fn pid(&self) -> Pid {
        self.wait_for("the program", || self.pid_now())
    }

    /// The same, if it is there already and still.
    pub(crate) fn pid_now(&self) -> Option<Pid> {
        let is_pilot = |pid: &Pid| {
            process::command_name(number(*pid))
                .is_some_and(|name| ["pilotfish", "containerpilot", "consul-template"].contains(&&*name))
        };
        let init = process::children(self.outer).first().copied()?;
        match self.role {
            Role::Init => Some(init).filter(is_pilot),
            Role::Child => process::children(number(init)).into_iter().find(is_pilot),
        }
    }

    /// Sends a signal to the program.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the program is there to be signalled");
    }

    /// Sends a signal, as `kill` names it, to a process by its pid inside the namespace.
    #[track_caller]
    pub(crate) fn kill_inside(&self, pid: u32, signal: &str) {
        use std::os::unix::process::ExitStatusExt as _;
        let output = self.inside(&["kill", &format!("-{signal}"), &pid.to_string()]);
        // The end of the main job may end the namespace, and `kill` with it, before `kill` has ended.
        let killed = output.status.signal() == Some(Signal::KILL.as_raw());
        assert!(output.status.success() || killed, "kill -{signal} {pid}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends `SIGTERM` and waits for the end.
    #[track_caller]
    pub(crate) fn stop(&self) -> End {
        self.signal(Signal::TERM);
        self.wait_for_end()
    }

    /// All processes of the namespace except the program itself and this look.
    #[track_caller]
    pub(crate) fn processes(&self) -> Vec<Process> {
        let folder = format!("/proc/{}/root/proc", self.init().as_raw_nonzero());
        let mut processes = process::all(Path::new(&folder));
        processes.retain(|process| process.pid != 1);
        processes
    }

    /// The processes of the namespace whose command line contains a text.
    #[track_caller]
    pub(crate) fn processes_with(&self, part: &str) -> Vec<Process> {
        let mut processes = self.processes();
        processes.retain(|process| process.command_line.contains(part));
        processes
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at the time of the failure:\n{}", self.story());
        }
        // PID 1 first: the signal that `--kill-child` promises is lost if the program changes its user.
        for pid in process::children(self.outer) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}
