//! Starting programs: one owner of the one reaper, and handles that ask it.

use std::collections::HashMap;

use pilotfish_process::{Command, Exit, Happening, Output, Processes};
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
