//! What an operator may ask: the state of everything, as plain values.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    event::{Exit, Member, StopReason},
    facts::Fact,
    health::HealthStatus,
    job::{Activity, Job},
    registration::Registration,
    stopping::Ending,
    supervisor::Supervisor,
    time::Time,
    watching::Watching,
};

/// The state of everything at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Nothing is advertised for now.
    pub maintenance: bool,
    /// Why everything is being stopped, if it is.
    pub stopping: Option<StopReason>,
    /// The jobs, in the order of the config.
    pub jobs: Vec<JobStatus>,
    /// The watches, in the order of the config.
    pub watches: Vec<WatchStatus>,
    /// The templates, in the order of the config.
    pub templates: Vec<TemplateStatus>,
    /// What templates ask, in alphabetical order.
    pub facts: Vec<FactStatus>,
    /// Nothing has been started yet: required files are not there.
    pub startup_held: bool,
}

/// The state of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: JobState,
    /// Process id while it runs.
    pub pid: Option<u32>,
    /// For how long it has been running.
    pub running_for: Option<Duration>,
    /// Its health, if it is checked.
    pub health: Option<HealthStatus>,
    /// Why the last check failed.
    pub last_failure: Option<String>,
    /// How its process ended last.
    pub last_exit: Option<Exit>,
    /// How often its process was started.
    pub runs: u64,
    /// How often of these because it had exited.
    pub restarts: u64,
    /// Its registration, if it is advertised.
    pub service: Option<ServiceState>,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its condition or time.
    Waiting,
    /// Its process runs.
    Running,
    /// It has no process and is checked and advertised.
    Advertising,
    /// Its process will be started again.
    Backoff,
    /// It was asked to stop.
    Stopping,
    /// It will not run any more.
    Complete,
}

/// The registration of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// Id in the catalog.
    pub id: String,
    /// The catalog is known to hold it.
    pub registered: bool,
    /// Address of the agent that holds it.
    pub agent: Option<String>,
    /// Another supervisor that holds its place, so that it is not registered.
    pub contested_by: Option<String>,
    /// Age of the last heartbeat that the catalog took.
    pub last_heartbeat: Option<Duration>,
}

/// The state of one watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// Its name.
    pub name: String,
    /// What it sees, if it has seen anything.
    pub members: Option<Vec<Member>>,
    /// How long ago the catalog confirmed that.
    pub age: Option<Duration>,
    /// Why there is no newer answer.
    pub failing: Option<String>,
}

/// The state of one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateStatus {
    /// Its name.
    pub name: String,
    /// The file.
    pub destination: String,
    /// What it does.
    pub state: TemplateState,
    /// Why the file is not there yet, or is not what it is to be.
    pub obstacle: Option<String>,
    /// How long ago the file was last rendered with success.
    pub rendered: Option<Duration>,
    /// How old the oldest answer is that it stands on, if it has answers to all it asks.
    pub age: Option<Duration>,
    /// How often it was rendered.
    pub renders: u64,
    /// How often the file changed.
    pub changes: u64,
}

/// What a template does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateState {
    /// The file is what it is to be.
    InPlace,
    /// Something changed, and it will be rendered.
    Due,
    /// It is rendered, checked or put in place.
    Rendering,
    /// Answers are missing.
    Waiting,
    /// It could not be rendered or put in place; the file stays as it is.
    Failing,
}

/// The state of one question of templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactStatus {
    /// The question.
    pub name: String,
    /// How long ago the catalog confirmed the answer in force, if there is one.
    pub age: Option<Duration>,
    /// Why there is no newer answer.
    pub failing: Option<String>,
}

impl Supervisor {
    /// The state of everything, `now`.
    pub fn status(&self, now: Time) -> Status {
        Status {
            maintenance: self.maintenance,
            stopping: self.shutdown.as_ref().map(|shutdown| shutdown.reason.clone()),
            jobs: self.jobs.iter().map(|job| job_status(job, now)).collect(),
            watches: self.watches.iter().map(|watching| watch_status(watching, now)).collect(),
            templates: self.templates.iter().map(|template| template.status(&self.facts, now)).collect(),
            facts: self.facts.iter().map(|(name, fact)| fact_status(name, fact, now)).collect(),
            startup_held: self.held.is_some(),
        }
    }
}

fn job_status(job: &Job, now: Time) -> JobStatus {
    let (pid, since) = match &job.activity {
        Activity::Running(execution) => (execution.pid, Some(execution.started)),
        Activity::Advertising { since } => (None, Some(*since)),
        Activity::Idle | Activity::Backoff { .. } => (None, None),
    };
    JobStatus {
        name: job.spec.name.clone(),
        state: job_state(job),
        pid,
        running_for: since.map(|since| now.since(since)),
        health: job.checking.as_ref().map(|checking| checking.status),
        last_failure: job.checking.as_ref().and_then(|checking| checking.last_failure.clone()),
        last_exit: job.last_exit,
        runs: job.runs,
        restarts: job.restarts,
        service: job.registration.as_ref().map(|registration| service_state(registration, now)),
    }
}

fn job_state(job: &Job) -> JobState {
    match (job.ending, &job.activity) {
        (Ending::Ended, _) => JobState::Complete,
        (Ending::No, Activity::Idle) => JobState::Waiting,
        (Ending::No, Activity::Running(_)) => JobState::Running,
        (Ending::No, Activity::Advertising { .. }) => JobState::Advertising,
        (Ending::No, Activity::Backoff { .. }) => JobState::Backoff,
        (
            Ending::Requested
            | Ending::Stopping { .. }
            | Ending::Complete
            | Ending::Deregistering { .. }
            | Ending::Terminating,
            _,
        ) => JobState::Stopping,
    }
}

fn service_state(registration: &Registration, now: Time) -> ServiceState {
    ServiceState {
        id: registration.service.id.clone(),
        registered: registration.is_registered(),
        agent: registration.home.clone(),
        contested_by: registration.contested_by().map(Into::into),
        last_heartbeat: registration.last_beat.map(|at| now.since(at)),
    }
}

fn watch_status(watching: &Watching, now: Time) -> WatchStatus {
    WatchStatus {
        name: watching.spec.name.clone(),
        members: watching.view.as_ref().map(|view| view.members.clone()),
        age: watching.confirmed.map(|at| now.since(at)),
        failing: watching.failing.clone(),
    }
}

fn fact_status(name: &str, fact: &Fact, now: Time) -> FactStatus {
    FactStatus { name: name.into(), age: fact.confirmed.map(|at| now.since(at)), failing: fact.failing.clone() }
}
