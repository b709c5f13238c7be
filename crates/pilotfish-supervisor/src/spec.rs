//! What is to be supervised: the checked, fully defaulted specification that the loader makes of a config.
//!
//! The loader holds the preconditions (names unique, times positive, references resolved), so that nothing behind it validates again.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{calendar::Calendar, template::Template};

/// Everything one supervisor looks after.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// The jobs, in the order of the document; names are unique.
    pub jobs: Vec<Job>,
    /// The watches, in the order of the document; names are unique.
    pub watches: Vec<Watch>,
    /// The templates, in the order of the document; names and destinations are unique.
    pub templates: Vec<Template>,
    /// Everything stops when each template was rendered once and what followed from that has ended.
    pub once: bool,
    /// Time between SIGTERM and SIGKILL of a job that is stopped; zero kills at once.
    pub stop_timeout: Duration,
    /// How long a reload waits for changed jobs to become healthy before it rolls back.
    pub reload_timeout: Duration,
    /// What the signals mean that the supervisor itself receives.
    pub signals: SignalMeanings,
}

/// What SIGHUP and SIGUSR1 mean; SIGTERM and SIGINT always stop, SIGUSR2 is always an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalMeanings {
    /// SIGHUP.
    pub hangup: HangupMeaning,
    /// SIGUSR1.
    pub user1: User1Meaning,
}

/// What SIGHUP means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HangupMeaning {
    /// An event that jobs may wait for (ContainerPilot 3).
    #[default]
    Event,
    /// The config is loaded again (ContainerPilot 2).
    Reload,
}

/// What SIGUSR1 means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum User1Meaning {
    /// The log file is opened again, after rotation (ContainerPilot 3).
    #[default]
    ReopenLog,
    /// Maintenance is switched on or off (ContainerPilot 2).
    ToggleMaintenance,
}

/// One job: a process to run, or a service to advertise, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Unique; also the name of the service in the catalog.
    pub name: String,
    /// What is executed; a job without it only checks and advertises.
    pub process: Option<Process>,
    /// When the job starts.
    pub start: Start,
    /// The job waits for this to have occurred once before its `start` takes effect; a trigger that came earlier is kept and handled then.
    pub after: Option<Occurrence>,
    /// How often the process is started again after it exited (for `Start::Every`: how often it runs after the first time).
    pub restarts: Restarts,
    /// How long a restart waits.
    pub backoff: Backoff,
    /// What a failed exit that no restart follows means for the whole container.
    pub on_failure: OnFailure,
    /// The process is killed (SIGKILL) this long after its start; the exit counts as failed.
    pub timeout: Option<Duration>,
    /// How long the job, when asked to stop, waits for jobs that are triggered by its `stopping`; `None`: to their end.
    pub stopping_timeout: Option<Duration>,
    /// The main application: the container stops when it is complete, and its exit code is the container's.
    pub main: bool,
    /// How its health is found out.
    pub health: Option<Health>,
    /// How it is advertised in the catalog.
    pub service: Option<Service>,
}

/// A command and its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// Variables set on top of the supervisor's own environment.
    pub env: Vec<(String, String)>,
    /// Variables of the supervisor's own environment that it does not get.
    pub unset: Vec<String>,
    /// What asks it to end, if not SIGTERM.
    pub stop_signal: Option<i32>,
    /// Working directory; the supervisor's own if `None`.
    pub cwd: Option<String>,
    /// User name or number; the supervisor's own if `None`.
    pub user: Option<String>,
    /// Group name or number; the user's primary group if `None`.
    pub group: Option<String>,
    /// Where the output goes.
    pub output: Output,
}

/// Where standard output and error of a process go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Read by the supervisor and logged a line at a time, with the job's name and pid.
    #[default]
    Wrapped,
    /// The supervisor's own output, unmodified; standard input is empty.
    Raw,
    /// The supervisor's own standard input, output and error: the main application of a container.
    Attached,
    /// Standard output is one number, recorded as the value of this metric (a ContainerPilot 2 sensor); standard error is logged.
    Measured(String),
}

/// When a job starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// On events; a job without any `when` starts on [`Occurrence::Startup`].
    On(Condition),
    /// Once at startup and then every so often.
    Every(Duration),
    /// At the times of a calendar (UTC).
    At(Calendar),
}

/// Which events start a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The events; never empty.
    pub triggers: Vec<Occurrence>,
    /// Whether one of them is enough.
    pub quantifier: Quantifier,
    /// Whether the job starts the first time only.
    pub times: Times,
    /// The job gives up if it has not started this long after startup.
    pub timeout: Option<Duration>,
    /// Starts are held back until the job's target is ready for them.
    pub hold_back: Option<HoldBack>,
}

/// Keeps a job from starting before what it acts upon is ready: a signal that arrives before its handler is installed kills.
///
/// Occurrences during that time are coalesced into one start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldBack {
    /// All of these must have occurred once.
    pub until: Vec<Occurrence>,
    /// Counted from the first held-back occurrence; then the job starts all the same, so that nobody waits for ever.
    pub at_most: Duration,
}

/// How many triggers of a condition must have occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// Any one.
    Any,
    /// Each at least once, in any order (since the last start, for [`Times::Each`]).
    All,
}

/// How often a condition starts a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The first time only.
    Once,
    /// Every time. While the job still runs, occurrences are coalesced into exactly one more run.
    Each,
}

/// Something that happened, as jobs see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occurrence {
    /// The supervisor is ready to start jobs.
    Startup,
    /// The supervisor was asked to stop.
    Shutdown,
    /// Maintenance began.
    EnterMaintenance,
    /// Maintenance ended.
    ExitMaintenance,
    /// The supervisor received SIGHUP.
    Hangup,
    /// The supervisor received SIGUSR2.
    User2,
    /// Something happened to the named job.
    Job(String, JobOccurrence),
    /// Something happened to the named watch.
    Watch(String, WatchOccurrence),
    /// The file of the named template has changed.
    TemplateChanged(String),
}

/// What can happen to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobOccurrence {
    /// The process was started (for a job without one: the job began to check and advertise).
    Started,
    /// A health check passed.
    Healthy,
    /// A health check failed.
    Unhealthy,
    /// The process exited with code 0.
    ExitSuccess,
    /// The process exited with another code, by a signal, or could not be started.
    ExitFailed,
    /// The job was asked to stop and is about to.
    Stopping,
    /// The job is complete.
    Stopped,
    /// The job's `when.timeout` passed before it started.
    TimedOut,
}

/// What can happen to a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchOccurrence {
    /// The watched set changed.
    Changed,
    /// The set changed and is not empty (a key: it exists).
    Healthy,
    /// The set changed and is empty (a key: it is gone), or was empty from the beginning.
    Unhealthy,
}

/// How often a process is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restarts {
    /// At most this often.
    Limited(u32),
    /// For ever.
    Unlimited,
}

/// How long restarts wait: not at all after a run that lasted, doubling after each that did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the second restart in a row (the first is immediate); zero: all are immediate.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
    /// A run of at least this length ends the row.
    pub reset_after: Duration,
}

/// What a failed exit that no restart follows means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The job is complete, nothing more.
    #[default]
    Ignore,
    /// The process is started again whatever `restarts` says, with back-off.
    Restart,
    /// The container stops, with the job's exit code.
    Exit,
}

/// How health is found out and how long it is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// Time between the starts of two checks.
    pub interval: Duration,
    /// A check that takes longer is killed and failed; less than `interval`.
    pub timeout: Duration,
    /// After the start of the process, failures are not counted for this long.
    pub grace: Duration,
}

/// One way to ask for health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A command; exit code 0 is healthy.
    Exec(Process),
    /// `GET` of an `http://` URL; a 2xx answer is healthy.
    Http(String),
    /// A connection to `host:port`.
    Tcp(String),
    /// A path that exists.
    File(String),
    /// Nothing is asked: healthy while the job runs.
    Running,
}

/// How a job is advertised in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Unique in the catalog: `<name>-<hostname>`.
    pub id: String,
    /// The name others look it up by.
    pub name: String,
    /// IP address.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Metadata, sorted by key.
    pub meta: Vec<(String, String)>,
    /// A heartbeat is believed for this long.
    pub ttl: Duration,
    /// Registered with this status as soon as the job starts; otherwise with the first passing check.
    pub initial_status: Option<ServiceStatus>,
    /// Others may change the tags.
    pub enable_tag_override: bool,
    /// The catalog removes the service when it was critical for this long.
    pub deregister_critical_after: Option<Duration>,
    /// Everything stops when another supervisor lives that has registered the same id; otherwise the service only is not registered.
    pub exit_on_conflict: bool,
}

/// The health of a service as the catalog knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceStatus {
    /// Healthy.
    Passing,
    /// Still served, but not well.
    Warning,
    /// Not healthy.
    Critical,
}

/// Something in the catalog whose changes matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Unique; jobs refer to it as `watch.<name>`.
    pub name: String,
    /// What is watched.
    pub target: WatchTarget,
    /// Another datacenter than the agent's own.
    pub datacenter: Option<String>,
    /// How stale the view may get when the long poll hangs.
    pub interval: Duration,
}

/// What a watch looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchTarget {
    /// The healthy instances of a service.
    Service {
        /// The service's name.
        service: String,
        /// Only instances with this tag.
        tag: Option<String>,
        /// Whether a change of tags or metadata alone is a change, too.
        definitions: bool,
    },
    /// One key of the key-value store.
    Key(String),
    /// All keys below a prefix.
    KeyPrefix(String),
}
