//! Starting programs: one owner of the one reaper, and handles that ask it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use pilotfish_process::{Command, Exit, Happening, Output, Processes, Stream};
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;

/// A program that was started.
#[derive(Debug)]
pub struct Started {
    /// Its number, for [`Launcher::signal`] and [`Launcher::kill`].
    pub run: u64,
    /// Its process.
    pub pid: i32,
    /// What it writes, if that is to be read.
    pub output: Option<Output>,
    /// How it ended: told when nothing of it is left, its descendants included.
    pub gone: oneshot::Receiver<Exit>,
}

/// Asks the [`Host`] for programs. It can be cloned and given to anybody.
#[derive(Clone, Debug)]
pub struct Launcher {
    requests: mpsc::UnboundedSender<Request>,
}

#[derive(Debug)]
enum Request {
    Start(Box<Command>, oneshot::Sender<Result<Started, Error>>),
    Signal(u64, i32),
    Kill(u64),
}

/// The owner of all processes of this program: the one reaper.
#[derive(Debug)]
pub struct Host {
    processes: Processes,
    requests: mpsc::UnboundedReceiver<Request>,
    running: HashMap<u64, Running>,
    next: u64,
}

#[derive(Debug)]
struct Running {
    exit: Option<Exit>,
    gone: oneshot::Sender<Exit>,
}

impl Launcher {
    /// One that starts nothing.
    #[cfg(test)]
    pub(crate) fn deaf() -> Launcher {
        Launcher { requests: mpsc::unbounded_channel().0 }
    }

    /// Starts a program.
    ///
    /// # Errors
    /// [`Error::Start`] if the system refuses, [`Error::Ending`] if the host has ended.
    pub async fn start(&self, command: Command) -> Result<Started, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Start(Box::new(command), reply)).map_err(|_| Error::Ending)?;
        answer.await.map_err(|_| Error::Ending)?
    }

    /// Sends a signal to the process group of a run that is still there.
    pub fn signal(&self, run: u64, signal: i32) {
        let _ = self.requests.send(Request::Signal(run, signal));
    }

    /// SIGKILL for a run and all that it started; [`Started::gone`] tells when nothing is left.
    pub fn kill(&self, run: u64) {
        let _ = self.requests.send(Request::Kill(run));
    }
}

impl Host {
    /// Takes over signals and children of this process; see [`Processes::new`].
    ///
    /// # Errors
    /// [`Error::Start`] when the system does not give what is needed.
    pub fn new() -> Result<(Host, Launcher), Error> {
        let processes =
            Processes::new().map_err(|source| Error::Start { program: "the process supervisor".into(), source })?;
        let (sender, requests) = mpsc::unbounded_channel();
        Ok((Host { processes, requests, running: HashMap::new(), next: 1 }, Launcher { requests: sender }))
    }

    /// Serves requests and reaps until this process receives a signal, which is returned. To be called again. Cancel-safe.
    pub async fn drive(&mut self) -> i32 {
        loop {
            tokio::select! {
                happening = self.processes.next() => match happening {
                    Happening::Signal(signal) => return signal,
                    Happening::Exited { run, status, survivors, .. } => {
                        if let Some(running) = self.running.get_mut(&run) {
                            running.exit = Some(status);
                        }
                        if !survivors {
                            self.over(run);
                        }
                    }
                    Happening::Vacated { run } => self.over(run),
                },
                Some(request) = self.requests.recv() => self.answer(request),
            }
        }
    }

    /// The end: kills everything that is left.
    pub fn finish(&mut self) {
        self.processes.kill_all();
    }

    fn over(&mut self, run: u64) {
        if let Some(Running { exit, gone }) = self.running.remove(&run) {
            let _ = gone.send(exit.unwrap_or(Exit::Signal(9)));
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Start(command, reply) => {
                let _ = reply.send(self.start(&command));
            }
            Request::Signal(run, signal) if self.running.contains_key(&run) => self.processes.signal(run, signal),
            Request::Kill(run) if self.running.contains_key(&run) => self.processes.kill_tree(run),
            Request::Signal(..) | Request::Kill(_) => {}
        }
    }

    fn start(&mut self, command: &Command) -> Result<Started, Error> {
        let run = self.next;
        self.next += 1;
        let spawned = self.processes.spawn(run, command).map_err(|source| Error::Start {
            program: command.argv.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default(),
            source,
        })?;
        let (gone, receiver) = oneshot::channel();
        self.running.insert(run, Running { exit: None, gone });
        Ok(Started { run, pid: spawned.pid, output: spawned.output, gone: receiver })
    }
}

/// The end of what a program wrote, in bytes, that is kept for its error.
const COMPLAINT_BYTES: usize = 2000;

/// The environment that helper programs get: ours, without the passwords in it.
pub(crate) fn inherited_environment() -> Vec<(OsString, OsString)> {
    let secret = |name: &OsString| {
        let name = name.to_string_lossy();
        name.contains("PASSWORD") || name == "MYSQL_PWD"
    };
    std::env::vars_os().filter(|(name, _)| !secret(name)).collect()
}

/// Reads a program to its end; its exit, and the end of what it wrote to standard error.
pub(crate) async fn read_all(started: Started, mut take: impl FnMut(&str)) -> Result<(Exit, String), Error> {
    let mut complaint = String::new();
    if let Some(mut output) = started.output {
        while let Some(line) = output.next().await {
            let text = line.text();
            match line.stream {
                Stream::Stdout => take(&text),
                Stream::Stderr => {
                    complaint.push_str(&text);
                    complaint.push('\n');
                    if complaint.len() > 2 * COMPLAINT_BYTES {
                        let cut = complaint.len() - COMPLAINT_BYTES;
                        let cut = (cut..complaint.len()).find(|at| complaint.is_char_boundary(*at)).unwrap_or(cut);
                        complaint.drain(..cut);
                    }
                }
            }
        }
    }
    let exit = started.gone.await.map_err(|_| Error::Ending)?;
    Ok((exit, complaint.trim_end().to_owned()))
}

/// Runs a program to its end.
///
/// # Errors
/// [`Error::Failed`] if it does not succeed.
pub(crate) async fn run(launcher: &Launcher, command: Command) -> Result<(), Error> {
    let program = program_of(&command);
    let (exit, output) = read_all(launcher.start(command).await?, |_| {}).await?;
    if exit == Exit::Code(0) { Ok(()) } else { Err(Error::Failed { program, exit, output }) }
}

/// The program's name in a command.
pub(crate) fn program_of(command: &Command) -> String {
    let last = command.argv.iter().find(|word| !word.to_string_lossy().starts_with('-'));
    last.map(|word| word.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Both ends of a pipe between two programs.
pub(crate) fn pipe() -> Result<(Arc<OwnedFd>, Arc<OwnedFd>), Error> {
    let pair = std::os::unix::net::UnixStream::pair();
    let (a, b) = pair.map_err(|source| Error::File { doing: "make", path: "a pair of sockets".into(), source })?;
    Ok((Arc::new(a.into()), Arc::new(b.into())))
}

/// Runs two programs, the second reading what the first writes. How they ended, and what they complained of.
pub(crate) async fn pipeline(
    launcher: &Launcher,
    first: Command,
    second: Command,
) -> Result<([Exit; 2], String), Error> {
    let (write, read) = pipe()?;
    let first = launcher.start(Command { output: Some(write), ..first }).await?;
    let run = first.run;
    let second = match launcher.start(Command { input: Some(read), ..second }).await {
        Ok(second) => second,
        Err(error) => {
            launcher.kill(run);
            return Err(error);
        }
    };
    let (first, second) = tokio::join!(read_all(first, |_| {}), read_all(second, |_| {}));
    let ((first, one), (second, two)) = (first?, second?);
    Ok(([first, second], [one, two].join("\n").trim().to_owned()))
}
