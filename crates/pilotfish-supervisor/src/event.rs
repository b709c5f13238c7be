//! What the supervisor is told (facts) and what it asks for (requests); the two never share a type.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    calendar::Calendar,
    spec::{Check, Process, Service, ServiceStatus, Spec, Watch},
    template::{RenderId, RenderOutcome},
};

pub use crate::notice::{Notice, StopReason};

/// Names one execution of a process or probe; never used twice.
pub type RunId = u64;

/// Names one request to the catalog; never used twice.
pub type CallId = u64;

/// Names somebody who waits for the outcome of a reload.
pub type Ticket = u64;

/// A fact that reaches the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Everything is in place; jobs may start. Comes first and once.
    Booted,
    /// Time has passed. Harmless when nothing is due.
    TimePassed,
    /// A process was started.
    Spawned {
        /// The run that asked for it.
        run: RunId,
        /// Its process id.
        pid: u32,
    },
    /// A process could not be started.
    SpawnFailed {
        /// The run that asked for it.
        run: RunId,
        /// Exit code a shell would give: 127 not found, 126 not executable.
        code: u8,
        /// Why, with the path.
        reason: String,
    },
    /// The process of a run has exited.
    Exited {
        /// The run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether processes that it started are still there; [`Event::Vacated`] follows when they are gone.
        survivors: bool,
    },
    /// No process of a run is left.
    Vacated {
        /// The run.
        run: RunId,
    },
    /// A built-in probe has its answer.
    Probed {
        /// The run that asked for it.
        run: RunId,
        /// Healthy, or why not.
        result: Result<(), String>,
    },
    /// A calendar's minute has come.
    CalendarDue {
        /// The job.
        job: String,
    },
    /// The supervisor received a signal.
    Signalled(Signal),
    /// Somebody asked for a reload.
    ReloadRequested {
        /// Who waits for the outcome; `None` for a signal.
        ticket: Option<Ticket>,
    },
    /// The config was loaded.
    Loaded(Result<alloc::boxed::Box<Spec>, String>),
    /// Somebody asked for maintenance to begin or end.
    MaintenanceRequested(bool),
    /// A request to the catalog has its outcome.
    CatalogAnswered {
        /// The request.
        call: CallId,
        /// What became of it.
        outcome: CallOutcome,
        /// Addresses of the agents that may have taken a registration, whatever the outcome: one that fails, or is too slow for us, may hold it
        /// all the same.
        may_hold: Vec<String>,
    },
    /// The catalog does not know a service any more that was registered.
    ServiceMissing {
        /// The service's id.
        service: String,
    },
    /// Another supervisor has registered a service in our place.
    ServiceTaken {
        /// The service's id.
        service: String,
        /// Who.
        by: String,
    },
    /// A watch has an answer from a catalog with a leader.
    Viewed {
        /// The watch.
        watch: String,
        /// What it saw.
        view: View,
        /// Address of the agent that answered.
        agent: String,
    },
    /// A watch got no answer that can be believed.
    ViewFailed {
        /// The watch.
        watch: String,
        /// Why.
        reason: String,
    },
    /// A question of templates has an answer from a catalog with a leader.
    FactAnswered {
        /// The question.
        fact: String,
        /// Address of the agent that answered; `None` if no agent was asked, but a file.
        agent: Option<String>,
        /// What is new about it.
        news: FactNews,
    },
    /// A question of templates got no answer that can be believed.
    FactFailed {
        /// The question.
        fact: String,
        /// Why.
        reason: String,
    },
    /// A template was rendered, as far as that was possible.
    Rendered {
        /// Which rendering.
        render: RenderId,
        /// All questions to the outside that it asked, answered or not.
        asked: Vec<String>,
        /// What it came to.
        outcome: RenderOutcome,
    },
    /// A new file is in place, or could not be put there.
    Committed {
        /// Which rendering.
        render: RenderId,
        /// Why not.
        result: Result<(), String>,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
    /// The kernel killed it for want of memory (SIGKILL).
    OutOfMemory,
}

impl Exit {
    /// Whether it ended as it should.
    pub const fn is_success(self) -> bool {
        matches!(self, Exit::Code(0))
    }

    /// The exit code that a container shows: 128+N for signal N, as shells do.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128u8.saturating_add(signal),
            Exit::OutOfMemory => 137,
        }
    }
}

/// A signal that the supervisor received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
    /// Any other; it is passed on to the main application.
    Other(i32),
}

/// What a watch saw: its members, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The members, sorted, names unique.
    pub members: Vec<Member>,
    /// The catalog's index went backwards since the last answer: it may have lost its state (Consul docs, "Blocking Queries").
    pub restarted: bool,
}

/// What is new about an answer to a question of templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FactNews {
    /// It differs from the answer in force, or there was none.
    pub changed: bool,
    /// Something is gone that the answer in force still has.
    pub loses: bool,
    /// The catalog's index went backwards since the last answer, as in [`View`].
    pub restarted: bool,
}

/// One healthy instance (`address:port`) or one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// `address:port`, or the key.
    pub name: String,
    /// Anything else whose change may matter: tags and metadata, or the key's modification index.
    pub definition: String,
}

/// A request that the supervisor makes; carrying it out never fails, its outcome is an [`Event`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a process in its own group. Answer: `Spawned` or `SpawnFailed`, then `Exited`.
    Spawn {
        /// Names it in every later event.
        run: RunId,
        /// What it is for.
        label: Label,
        /// What to execute.
        process: Process,
    },
    /// Send a signal to the group of a run, if it still exists.
    Signal {
        /// The run.
        run: RunId,
        /// Signal number.
        signal: i32,
    },
    /// SIGKILL everything that a run started, wherever it hides. Answer: `Exited` and `Vacated`, unless they came already.
    KillTree {
        /// The run.
        run: RunId,
    },
    /// Ask a built-in probe. Answer: `Probed`.
    Probe {
        /// Names it in the answer.
        run: RunId,
        /// The job.
        job: String,
        /// What to ask; never [`Check::Exec`].
        check: Check,
        /// When to give up.
        timeout: Duration,
    },
    /// Say `CalendarDue` at each time of the calendar, until told otherwise.
    ArmCalendar {
        /// The job.
        job: String,
        /// When.
        calendar: Calendar,
    },
    /// Stop saying `CalendarDue`.
    DisarmCalendar {
        /// The job.
        job: String,
    },
    /// Ask the catalog. Answer: `CatalogAnswered`.
    Call {
        /// Names it in the answer.
        call: CallId,
        /// What to ask.
        request: Request,
    },
    /// Look out for the disappearance of a service from the agent at `address`, and say `ServiceMissing`; replaces an earlier guard.
    Guard {
        /// The service's id.
        service: String,
    },
    /// Stop looking out.
    Unguard {
        /// The service's id.
        service: String,
    },
    /// Begin to watch; replaces a watch of the same name. Answers: `Viewed` and `ViewFailed`.
    Watch(Watch),
    /// Give up the query that is open, and ask anew without waiting for news: nobody may be there to answer it.
    AskAgain(Followed),
    /// Stop watching.
    Unwatch {
        /// The watch.
        watch: String,
    },
    /// Begin to ask a question of templates. Answers: `FactAnswered` and `FactFailed`.
    Follow {
        /// The question.
        fact: String,
    },
    /// Stop asking, and forget the answer.
    Unfollow {
        /// The question.
        fact: String,
    },
    /// The last answer to a question is in force from now on.
    TakeFact {
        /// The question.
        fact: String,
    },
    /// Render a template, and write what differs from the file in place beside that. Answer: `Rendered`.
    Render {
        /// Names it in every later event.
        render: RenderId,
        /// The template.
        template: String,
    },
    /// Put a staged file in place. Answer: `Committed`.
    Commit {
        /// The rendering.
        render: RenderId,
    },
    /// Remove a staged file.
    Discard {
        /// The rendering.
        render: RenderId,
    },
    /// Read, render and check the config again. Answer: `Loaded`.
    Load,
    /// Tell those who wait what became of their reload.
    ReloadSettled {
        /// Who waits.
        tickets: Vec<Ticket>,
        /// What became of it.
        result: Result<(), String>,
    },
    /// Open the log file again.
    ReopenLog,
    /// Something worth telling: a log line, an event, a metric.
    Notice(Notice),
    /// Everything has ended: exit with this code.
    Finish {
        /// The container's exit code.
        code: u8,
    },
}

/// Something that the catalog is asked for again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The watch of this name.
    Watch(String),
    /// This question of templates.
    Fact(String),
}

/// What a run is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The job.
    pub job: String,
    /// Which of its processes.
    pub kind: RunKind,
}

/// Which of a job's processes a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunKind {
    /// The job itself.
    Job,
    /// Its health check.
    Check,
    /// The check of a template's new file; in place of the job stands the template.
    TemplateCheck,
}

/// A request to the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Look who has registered a service. Outcome: [`CallOutcome::Seen`].
    Look {
        /// The service's id.
        service: String,
        /// The service's name.
        name: String,
    },
    /// Ask an agent whether it lives.
    Ping {
        /// Address of the agent.
        home: String,
    },
    /// Register a service with a TTL check of this status.
    Register {
        /// The service.
        service: Service,
        /// Status of the check.
        status: ServiceStatus,
    },
    /// Renew a service's TTL check with this status.
    Heartbeat {
        /// The service's id.
        service: String,
        /// The status.
        status: ServiceStatus,
    },
    /// Remove a service.
    Deregister {
        /// The service's id.
        service: String,
    },
    /// Remove the registration that an agent left behind that is not ours any more.
    RemoveTwin {
        /// The service's id.
        service: String,
        /// The service's name.
        name: String,
        /// Address of the agent that holds the stale registration.
        home: String,
    },
}

/// What became of a request to the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// Done, by the agent at this address.
    Done {
        /// The agent's address.
        address: String,
    },
    /// Who has registered the service.
    Seen {
        /// We have.
        ours: bool,
        /// Other supervisors that have.
        others: Vec<Other>,
    },
    /// The catalog does not know the service.
    Unknown,
    /// Nobody could be asked; nothing is known.
    Unreachable {
        /// The connection was refused: nobody listens there, and a quick retry costs nothing.
        refused: bool,
        /// Why.
        reason: String,
    },
    /// The catalog said no (a wrong token, an invalid definition).
    Refused {
        /// Why.
        reason: String,
    },
}

/// Another supervisor that has registered the same service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Who it is, for people.
    pub owner: String,
    /// Its heartbeats are believed still, and nothing proves that it is gone.
    pub alive: bool,
    /// Of the two, we have to leave. The other one is told the opposite.
    pub senior: bool,
}
