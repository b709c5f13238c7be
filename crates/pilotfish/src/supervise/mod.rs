//! Supervising: the loop that brings facts to the state machine and carries out what it asks for.
//!
//! ```text
//! Processes (signals, exits) --.
//! Inbox (catalog, HTTP, output) --> Event --> Supervisor::step --> Vec<Effect> --> Shell::perform
//! deadline() ------------------'        ^                                             |
//!                                       '---- answers known at once (a pid) ----------'
//! ```
//!
//! Nothing here decides: what happens next is the state machine's business, what it looks like outside is this module's.

mod asked;
mod calendars;
mod catalog;
mod control;
mod database;
mod events;
mod files;
mod gauges;
mod holders;
mod inbox;
mod loading;
mod narration;
mod own_catalog;
mod owner;
mod panics;
mod reloading;
mod rendering;
mod servers;
mod shell;
mod status;
mod telemetry;
mod watching;
mod wrapped;

use std::{
    collections::VecDeque,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use pilotfish_config::{Level, Loaded};
use pilotfish_process::{Alarm, Happening};
use pilotfish_supervisor::{Event, Exit, Signal, Supervisor, Time};

use crate::{
    command_line::Run,
    consul_template::{self, Signals, TemplateLine},
};
use inbox::Receiver;
use loading::{Environment, Origin};
use panics::caught;
use shell::Shell;

pub(crate) use inbox::{Message, Sender};
pub(crate) use loading::{environment, load_location, load_location_to_look, read, surroundings};
pub(crate) use watching::{Found, Inquiry, follow};

/// How long the end of the supervisor waits for the last output of jobs to be read, and again for the log to be written.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long it waits for answers that are under way.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// How long jobs have to stop after a mistake of ours, before they are killed.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// The exit code after a mistake of ours: `EX_SOFTWARE` of sysexits.h.
const EXIT_SOFTWARE: u8 = 70;

/// Runs until everything has ended; the exit code is the container's.
///
/// # Errors
/// Whatever keeps it from starting: nothing was started then.
pub(crate) fn run(run: Run) -> anyhow::Result<ExitCode> {
    let origin = Origin { config: run.config, command: run.command, templates: None };
    let inherited = environment();
    let loaded = origin.load(&inherited)?;
    start(origin, loaded, inherited)
}

/// A client of the catalog that a config means, for a process that speaks to it on its own.
///
/// # Errors
/// When the settings cannot be used.
pub(crate) fn catalog_client(
    config: &pilotfish_config::Config,
) -> Result<pilotfish_consul::Client, pilotfish_consul::Error> {
    let no_catalog = || pilotfish_consul::Error::Config { text: "the config names no catalog".into() };
    catalog::client(&own_catalog::meant(config).ok_or_else(no_catalog)?)
}

/// Renders templates by a command line of consul-template; runs until it is stopped, or everything is rendered if it says so.
///
/// # Errors
/// As [`run`].
pub(crate) fn render(line: TemplateLine) -> anyhow::Result<ExitCode> {
    let inherited = environment();
    if line.parse_only {
        return consul_template::parse(&line, &loading::variables(&inherited)).map(|()| ExitCode::SUCCESS);
    }
    let pid_file = consul_template::pid_file(&line)?;
    let origin = Origin { templates: Some(line), ..Origin::default() };
    let loaded = origin.load(&inherited)?;
    if let Some(path) = &pid_file {
        let written = std::fs::write(path, format!("{}\n", std::process::id()));
        written.with_context(|| format!("cannot write the pid file {}", path.display()))?;
    }
    let ended = start(origin, loaded, inherited);
    // Whoever reads it later sees that nobody runs.
    pid_file.map(std::fs::remove_file);
    ended
}

fn start(origin: Origin, loaded: Loaded, inherited: Environment) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot set up the event loop")?;
    // Boxed for the reason given in `catalog.rs`.
    let code = runtime.block_on(Box::pin(supervise(origin, loaded, inherited)))?;
    // A resolver's thread that still waits for a name server must not keep the container alive.
    runtime.shutdown_background();
    Ok(ExitCode::from(code))
}

async fn supervise(origin: Origin, loaded: Loaded, inherited: Environment) -> anyhow::Result<u8> {
    let mut core = Supervisor::new(loaded.config.spec.clone(), u64::from(jitter()) << 32 | u64::from(jitter()));
    let mut alarm = Alarm::new().context("cannot set up the event loop")?;
    let (mut shell, mut inbox) = Shell::new(origin, loaded, inherited).await?;
    let code = match caught(turn(&mut core, &mut shell, &mut inbox, &mut alarm)).await {
        Ok(code) => code,
        Err(panicked) => {
            shell.write(Level::Error, &format!("{panicked}; stopping everything"), None);
            shell.stop_all().await;
            EXIT_SOFTWARE
        }
    };
    // Whoever still asks finds nobody, instead of waiting for an answer.
    drop(inbox);
    shell.finish().await;
    Ok(code)
}

/// Turns until the state machine says that all is over; its exit code.
async fn turn(core: &mut Supervisor, shell: &mut Shell, inbox: &mut Receiver, alarm: &mut Alarm) -> u8 {
    let mut events = VecDeque::from([Event::Booted]);
    loop {
        while let Some(event) = events.pop_front() {
            let effects = core.step(shell.now(), event);
            if let Some(code) = shell.perform_all(effects, &mut events, core) {
                return code;
            }
        }
        shell.change_servers().await;
        // Where there is always something to do, everything else has its turn after so many events.
        tokio::task::consume_budget().await;
        let deadline = core.deadline().map(|at| shell.instant(at));
        // The first that is ready is taken in random order: neither a storm of signals nor a chatty client can keep the other waiting.
        // Deadlines need no turn of their own, because every step looks at the clock.
        let event = tokio::select! {
            happening = shell.processes.next() => shell.happened(happening),
            // The shell itself holds a sender: there is always a next message.
            Some(message) = inbox.recv() => shell.received(message, core),
            () = alarm.wait(deadline) => Some(Event::TimePassed),
        };
        events.extend(event);
    }
}

/// A random number for jitter: pauses of many supervisors must differ, nothing more.
fn jitter() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    // Each RandomState has keys of its own, seeded by the system.
    RandomState::new().hash_one(0u8) as u32
}

/// A fact about processes in the state machine's words.
fn event_of(happening: Happening, signals: Option<Signals>) -> Event {
    match happening {
        Happening::Signal(signal) if signals.is_some_and(|signals| signals.stop == signal) => {
            Event::Signalled(Signal::Stop)
        }
        Happening::Signal(signal) if signals.is_some_and(|signals| signals.reload == Some(signal)) => {
            Event::Signalled(Signal::Hangup)
        }
        // consul-template passes on all others.
        Happening::Signal(signal @ (libc::SIGHUP | libc::SIGUSR1 | libc::SIGUSR2)) if signals.is_some() => {
            Event::Signalled(Signal::Other(signal))
        }
        Happening::Signal(signal) => Event::Signalled(match signal {
            libc::SIGTERM | libc::SIGINT => Signal::Stop,
            libc::SIGHUP => Signal::Hangup,
            libc::SIGUSR1 => Signal::User1,
            libc::SIGUSR2 => Signal::User2,
            other => Signal::Other(other),
        }),
        Happening::Exited { run, status, oom, survivors } => {
            let exit = match status {
                pilotfish_process::Exit::Code(code) => Exit::Code(code as u8),
                pilotfish_process::Exit::Signal(libc::SIGKILL) if oom => Exit::OutOfMemory,
                pilotfish_process::Exit::Signal(signal) => Exit::Signal(signal as u8),
            };
            Event::Exited { run, exit, survivors }
        }
        Happening::Vacated { run } => Event::Vacated { run },
    }
}

/// The clock that the state machine is told: CLOCK_MONOTONIC, which stands still while the host is suspended (clock_gettime(2)). What
/// was due meanwhile is due that much later; a TTL has passed by then, and the next heartbeat makes the service pass again.
#[derive(Clone, Copy, Debug)]
struct Clock(Instant);

impl Clock {
    fn now(self) -> Time {
        Time::from_start(self.0.elapsed())
    }

    fn instant(self, time: Time) -> Instant {
        self.0 + time.since_start()
    }
}
