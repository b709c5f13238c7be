//! From a command to a run: everything that is looked up, opened and made for a child, and what is said when there is none.

use super::Processes;
use super::runs::Run;
use crate::child::{self, Plan, StartError, Step};
use crate::command::{Command, Stdio};
use crate::cstrings::{CStrings, NulByte};
use crate::error::Error;
use crate::output::Output;
use crate::user;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::raw::c_int;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A process that was started.
#[derive(Debug)]
pub struct Spawned {
    /// Its number, which is also that of its process group.
    pub pid: i32,
    /// What it writes, when that is [`Stdio::Wrapped`] or [`Stdio::Merged`].
    pub output: Option<Output>,
}

impl Processes {
    /// Starts a process as the run of this number, which must not be one that is still there.
    ///
    /// The exit cannot be missed: only [`Processes::next`] reaps, and it needs the same `&mut self`.
    ///
    /// # Errors
    /// Every variant of [`Error`] but `Setup`; nothing is left of the attempt.
    ///
    /// # Panics
    /// When the number is in use: two runs under one could not be told apart afterwards.
    pub fn spawn(&mut self, run: u64, command: &Command) -> Result<Spawned, Error> {
        assert!(!self.runs.by_id.contains_key(&run), "run {run} is still there");
        let paths = child::candidates(command.argv.first().ok_or(NO_PROGRAM)?, &command.env);
        let candidates = CStrings::pack(paths.iter().map(|path| [path.as_os_str().as_bytes()]))?;
        let argv = CStrings::pack(command.argv.iter().map(|word| [word.as_bytes()]))?;
        let env = command.env.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()]);
        let env = CStrings::pack(env)?;
        let cwd = command.cwd.as_ref().map(|cwd| CString::new(cwd.as_os_str().as_bytes()));
        let cwd = cwd.transpose().map_err(|_| Error::from(NulByte))?;
        let identity = user::resolve(command.user.as_deref(), command.group.as_deref())?;
        let pipes = Pipes::open(command.stdio)?;
        let confinement = if command.confined { self.orphans.cgroups.make(run) } else { None };
        let plan = Plan {
            candidates: &candidates,
            argv: &argv,
            env: &env,
            cwd: cwd.as_ref(),
            identity: identity.as_ref(),
            cgroup: confinement.as_ref().map(|(_, directory)| directory.as_fd()),
            stdio: self.stdio(command, &pipes),
            session: self.terminal.session_for(command.foreground),
            mark: self.orphans.marks.of(run),
            oom_score: self.oom_score.as_ref(),
            die_with: (self.pid != 1).then_some(self.pid),
            ignored: &self.ignored,
        };
        let mut started = child::start(&mut self.stack, &plan);
        if plan.cgroup.is_some() && started.as_ref().is_err_and(StartError::is_refusal) {
            self.orphans.cgroups.give_up();
            started = child::start(&mut self.stack, &Plan { cgroup: None, ..plan });
        }
        let cgroup = confinement.map(|(cgroup, _)| cgroup);
        match started {
            Ok(pid) => {
                let foreground = command.foreground;
                self.runs.by_id.insert(run, Run { pid, led: true, doomed: false, foreground, cgroup });
                self.runs.by_leader.insert(pid, run);
                Ok(Spawned { pid, output: pipes.map(|pipes| pipes.output) })
            }
            Err(error) => {
                cgroup.into_iter().for_each(|cgroup| self.orphans.cgroups.remove(cgroup));
                Err(explain(error, command, &paths))
            }
        }
    }

    fn stdio(&self, command: &Command, pipes: &Option<Pipes>) -> [c_int; 3] {
        let null = self.null.as_raw_fd();
        let [input, output, error] = match (command.stdio, pipes) {
            (Stdio::Attached, _) => [0, 1, 2],
            (Stdio::Raw, _) => [null, 1, 2],
            (Stdio::Wrapped | Stdio::Merged, Some(pipes)) => {
                let stdout = pipes.stdout.as_raw_fd();
                [null, stdout, pipes.stderr.as_ref().map_or(stdout, AsRawFd::as_raw_fd)]
            }
            (Stdio::Wrapped | Stdio::Merged | Stdio::Null, _) => [null; 3],
        };
        let given = |descriptor: &Option<std::sync::Arc<OwnedFd>>| descriptor.as_ref().map(|it| it.as_raw_fd());
        [given(&command.input).unwrap_or(input), given(&command.output).unwrap_or(output), error]
    }
}

const NO_PROGRAM: Error = Error::Malformed { reason: "the command is empty; name a program" };

impl From<NulByte> for Error {
    fn from(_: NulByte) -> Self {
        Error::Malformed { reason: "a word, a variable or the directory holds a NUL byte" }
    }
}

/// The writing ends of a child's output, and who reads it.
struct Pipes {
    stdout: OwnedFd,
    /// Absent where both streams share a pipe.
    stderr: Option<OwnedFd>,
    output: Output,
}

impl Pipes {
    fn open(stdio: Stdio) -> Result<Option<Self>, Error> {
        let separate = match stdio {
            Stdio::Wrapped => true,
            Stdio::Merged => false,
            Stdio::Attached | Stdio::Raw | Stdio::Null => return Ok(None),
        };
        let open = || {
            let (read_stdout, stdout) = pipe()?;
            let (read_stderr, stderr) = if separate { Some(pipe()?) } else { None }.unzip();
            Ok(Some(Pipes { stdout, stderr, output: Output::new(read_stdout, read_stderr)? }))
        };
        open().map_err(|source| Error::Resources { doing: "open pipes for a process's output", source })
    }
}

/// A pipe whose reading end does not block; each end is an open file description of its own, so the other one does.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two numbers; both descriptors are new and nobody else's.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

fn explain(error: StartError, command: &Command, paths: &[PathBuf]) -> Error {
    let failure = match error {
        StartError::Clone(source) => return Error::Resources { doing: "start a process", source },
        StartError::Child(failure) => failure,
    };
    let source = io::Error::from_raw_os_error(failure.errno);
    match failure.step {
        Step::Stdio => Error::Resources { doing: "connect a process's input and output", source },
        Step::Identity => {
            let name = command.user.iter().chain(&command.group).map(String::as_str).collect::<Vec<_>>().join(":");
            Error::Identity { name, source }
        }
        Step::Directory => Error::Directory { path: command.cwd.clone().unwrap_or_default(), source },
        Step::Exec => exec_error(failure, command, paths, source),
    }
}

fn exec_error(failure: child::Failure, command: &Command, paths: &[PathBuf], source: io::Error) -> Error {
    let base = command.cwd.clone().unwrap_or_default();
    let missing = failure.errno == libc::ENOENT;
    let existing = if missing { paths.iter().find(|path| base.join(path).exists()) } else { None };
    let refused = if missing { None } else { paths.get(failure.candidate) };
    let named = command.argv.first().cloned().unwrap_or_default().into();
    Error::Exec { path: existing.or(refused).cloned().unwrap_or(named), exists: existing.is_some(), source }
}
