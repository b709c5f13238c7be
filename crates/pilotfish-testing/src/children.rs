//! Processes that do not outlive the tests, also when those are killed.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A command to start, and where its process goes.
type Order = (Command, Sender<io::Result<Child>>);

/// Starts a program that is killed when this process ends, however it ends.
///
/// The kernel sends the signal when the *thread* ends that started the program (prctl(2), `PR_SET_PDEATHSIG`). Tests have threads of their own
/// and share servers, so one thread that never ends starts them all.
///
/// # Errors
/// When it cannot be started.
pub fn spawn(mut program: Command) -> io::Result<Child> {
    // What a thread with a network of its own starts belongs there, and ends with that thread.
    let network = |whose: &str| std::fs::read_link(format!("/proc/{whose}/ns/net"));
    if network("thread-self")? != network("self")? {
        return program.spawn();
    }
    static STARTER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, list) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in list {
                // Whoever has ordered it waits for it.
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (reply, started) = channel();
    let orders = starter.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let gone = || io::Error::other("the thread that starts programs has ended");
    orders.send((program, reply)).map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}

/// A command that becomes `program`, and is to be started with [`spawn`].
pub fn mortal(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}
