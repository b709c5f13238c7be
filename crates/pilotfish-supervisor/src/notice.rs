//! What is worth telling of what happens and is done: a line of the log, an event, a metric.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    event::{Exit, Label},
    spec::Occurrence,
};

/// Something worth telling.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// An occurrence, as jobs saw it.
    Occurred(Occurrence),
    /// A process was started.
    Started {
        /// What it is for.
        label: Label,
        /// Its process id.
        pid: u32,
    },
    /// A process could not be started.
    NotStarted {
        /// What it was for.
        label: Label,
        /// Why.
        reason: String,
    },
    /// A process ended.
    Ended {
        /// What it was for.
        label: Label,
        /// Its process id, if it was started.
        pid: Option<u32>,
        /// How.
        exit: Exit,
        /// For how long it ran.
        lasted: Duration,
    },
    /// A process was killed because it took too long.
    TimedOut {
        /// What it was for.
        label: Label,
        /// The limit it exceeded.
        limit: Duration,
    },
    /// A process did not stop on SIGTERM and was killed.
    KilledAfterGrace {
        /// What it was for.
        label: Label,
    },
    /// A process could not even be killed and is left behind.
    Abandoned {
        /// What it was for.
        label: Label,
    },
    /// Processes that a run left behind were killed.
    SurvivorsKilled {
        /// What it was for.
        label: Label,
    },
    /// A process will be started again.
    Restarting {
        /// The job.
        job: String,
        /// After this wait.
        wait: Duration,
    },
    /// A periodic run was left out because the one before still runs.
    Overrun {
        /// The job.
        job: String,
    },
    /// A health check failed.
    CheckFailed {
        /// The job.
        job: String,
        /// Why.
        reason: String,
        /// Within the start-up grace, so that it does not count.
        in_grace: bool,
    },
    /// A service was registered, or the catalog confirms it after a failure.
    Registered {
        /// Its id.
        service: String,
        /// The agent's address.
        address: String,
    },
    /// A service was removed from the catalog.
    Deregistered {
        /// Its id.
        service: String,
    },
    /// The catalog lost a service; it is registered again.
    RegistrationLost {
        /// Its id.
        service: String,
    },
    /// Another supervisor holds the place of a service, which is therefore not registered.
    Contested {
        /// Its id.
        service: String,
        /// The other one.
        by: String,
        /// It is no predecessor whose TTL will pass: it lives.
        lasting: bool,
    },
    /// A registration that was left behind on another agent is removed.
    TwinRemoved {
        /// Its id.
        service: String,
        /// The other agent's address.
        home: String,
    },
    /// A request to the catalog failed and will be repeated; told once for each reason in a row.
    CatalogFailed {
        /// The service's id.
        service: String,
        /// Why.
        reason: String,
    },
    /// A watch has no believable answer and keeps its last view.
    WatchFailed {
        /// The watch.
        watch: String,
        /// Why.
        reason: String,
    },
    /// A watch has answers again.
    WatchRecovered {
        /// The watch.
        watch: String,
    },
    /// A restarted catalog shows less than before; the last view is kept for a while.
    ViewHeld {
        /// The watch.
        watch: String,
    },
    /// A template's file has changed.
    TemplateWritten {
        /// The template.
        template: String,
        /// The file.
        destination: String,
    },
    /// A template was rendered, and its file is the same.
    TemplateUnchanged {
        /// The template.
        template: String,
    },
    /// A template could not be rendered or its file not be replaced; the file in place stays. Told once for each reason in a row.
    TemplateFailed {
        /// The template.
        template: String,
        /// Why.
        reason: String,
    },
    /// Nothing has been started yet, because required files are not there.
    StartupHeld {
        /// Which templates, and what they wait for.
        templates: Vec<(String, String)>,
    },
    /// A question of templates has no believable answer and keeps its last one.
    FactFailed {
        /// The question.
        fact: String,
        /// Why.
        reason: String,
    },
    /// A question of templates has answers again.
    FactRecovered {
        /// The question.
        fact: String,
    },
    /// A restarted catalog answers less than before; the last answer is kept for a while.
    FactHeld {
        /// The question.
        fact: String,
    },
    /// A new config is in force.
    Reloaded {
        /// Jobs, watches and templates that were touched.
        touched: Vec<String>,
    },
    /// A new config was refused; the old one stays in force.
    ReloadRefused {
        /// Why.
        reason: String,
    },
    /// A new config was taken back.
    RolledBack {
        /// Why.
        reason: String,
    },
    /// A changed command of the main application takes effect at the next start only.
    MainUnchanged {
        /// The job.
        job: String,
    },
    /// The supervisor stops everything.
    StopBegun {
        /// Why.
        reason: StopReason,
    },
    /// Maintenance began or ended.
    Maintenance(bool),
}

/// Why the supervisor stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM or SIGINT.
    Signal,
    /// The main application is complete.
    MainComplete(String),
    /// A job with `onFailure: exit` failed.
    JobFailed(String),
    /// A template that was to be rendered once could not be.
    TemplateFailed(String),
    /// Another supervisor lives that has registered this service.
    Contested(String),
    /// Nothing is left to run.
    AllComplete,
}
