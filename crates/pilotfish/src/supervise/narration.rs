//! What is worth telling, as a sentence for the log and as an object for the live events.

use std::time::Duration;

use pilotfish_config::Level;
use pilotfish_supervisor::{Exit, JobOccurrence, Label, Notice, Occurrence, RunKind, StopReason, WatchOccurrence};
use serde_json::{Value, json};

/// One notice, told.
pub(super) struct Told {
    /// How much it matters.
    pub(super) level: Level,
    /// The sentence; about a job it goes without the job's name, which the log shows anyway.
    pub(super) text: String,
    /// The job it is about, if it is about one.
    pub(super) job: Option<String>,
    /// The name of the event.
    pub(super) event: &'static str,
    /// The values of the event, by name.
    pub(super) values: Value,
}

/// The name that a process has in the log: a job's own, or `check.` and the job's.
pub(super) fn process_name(label: &Label) -> String {
    match label.kind {
        RunKind::Job => label.job.clone(),
        RunKind::Check => format!("check.{}", label.job),
        RunKind::TemplateCheck => format!("check.template.{}", label.job),
    }
}

/// Tells a notice.
pub(super) fn tell(notice: &Notice) -> Told {
    match notice {
        Notice::Started { label, pid } => started(label, *pid),
        Notice::NotStarted { label, reason } => not_started(label, reason),
        Notice::Ended { label, pid, exit, lasted } => ended(label, *pid, *exit, *lasted),
        Notice::TimedOut { label, limit } => timed_out(label, *limit),
        Notice::KilledAfterGrace { label } => killed_after_grace(label),
        Notice::Abandoned { label } => abandoned(label),
        Notice::SurvivorsKilled { label } => survivors_killed(label),
        Notice::Restarting { job, wait } => restarting(job, *wait),
        Notice::Overrun { job } => overrun(job),
        Notice::CheckFailed { job, reason, in_grace } => check_failed(job, reason, *in_grace),
        Notice::Registered { service, address } => registered(service, address),
        Notice::Deregistered { service } => deregistered(service),
        Notice::RegistrationLost { service } => registration_lost(service),
        Notice::Contested { service, by, lasting } => contested(service, by, *lasting),
        Notice::TwinRemoved { service, home } => twin_removed(service, home),
        Notice::CatalogFailed { service, reason } => catalog_failed(service, reason),
        Notice::WatchFailed { watch, reason } => watch_failed(watch, reason),
        Notice::WatchRecovered { watch } => watch_recovered(watch),
        Notice::ViewHeld { watch } => view_held(watch),
        Notice::TemplateWritten { template, destination } => template_written(template, destination),
        Notice::TemplateUnchanged { template } => template_unchanged(template),
        Notice::TemplateFailed { template, reason } => template_failed(template, reason),
        Notice::StartupHeld { templates } => startup_held(templates),
        Notice::FactFailed { fact, reason } => fact_failed(fact, reason),
        Notice::FactRecovered { fact } => fact_recovered(fact),
        Notice::FactHeld { fact } => fact_held(fact),
        Notice::Occurred(occurrence) => occurred(occurrence),
        Notice::Reloaded { touched } => reloaded(touched),
        Notice::ReloadRefused { reason } => reload_refused(reason),
        Notice::RolledBack { reason } => rolled_back(reason),
        Notice::MainUnchanged { job } => main_unchanged(job),
        Notice::StopBegun { reason } => stop_begun(reason),
        Notice::Maintenance(on) => maintenance(*on),
    }
}

fn told(level: Level, event: &'static str, text: String, values: Value) -> Told {
    Told { level, text, job: None, event, values }
}

/// About a process of a job.
fn about(label: &Label, level: Level, event: &'static str, text: impl Into<String>, mut values: Value) -> Told {
    let name = process_name(label);
    values["process"] = name.clone().into();
    Told { level, text: text.into(), job: Some(name), event, values }
}

/// About a job.
fn of_job(job: &str, level: Level, event: &'static str, text: impl Into<String>, values: Value) -> Told {
    about(&Label { job: job.to_owned(), kind: RunKind::Job }, level, event, text, values)
}

fn started(label: &Label, pid: u32) -> Told {
    about(label, Level::Info, "started", format!("started with pid {pid}"), json!({ "pid": pid }))
}

fn not_started(label: &Label, reason: &str) -> Told {
    about(label, Level::Error, "notStarted", format!("not started: {reason}"), json!({ "reason": reason }))
}

fn ended(label: &Label, pid: Option<u32>, exit: Exit, lasted: Duration) -> Told {
    let level = match (label.kind, exit.is_success()) {
        (RunKind::Check | RunKind::TemplateCheck, _) => Level::Debug,
        (RunKind::Job, true) => Level::Info,
        (RunKind::Job, false) => Level::Warn,
    };
    let text = format!("{} after {}", exit_text(exit), duration_text(lasted));
    let values = json!({
        "pid": pid, "code": exit.code(), "oom": exit == Exit::OutOfMemory, "seconds": lasted.as_secs_f64(),
    });
    about(label, level, "ended", text, values)
}

fn timed_out(label: &Label, limit: Duration) -> Told {
    let text = format!("killed: it took longer than {}", duration_text(limit));
    about(label, Level::Warn, "timedOut", text, json!({ "seconds": limit.as_secs_f64() }))
}

fn killed_after_grace(label: &Label) -> Told {
    let text = "killed: it did not stop on SIGTERM within stopTimeout";
    about(label, Level::Warn, "killedAfterGrace", text, json!({}))
}

fn abandoned(label: &Label) -> Told {
    let text = "outlives SIGKILL (uninterruptible I/O) and is left behind";
    about(label, Level::Error, "abandoned", text, json!({}))
}

fn survivors_killed(label: &Label) -> Told {
    about(label, Level::Info, "survivorsKilled", "left processes behind; they are killed", json!({}))
}

fn restarting(job: &str, wait: Duration) -> Told {
    let text = match wait.is_zero() {
        true => "is started again".to_owned(),
        false => format!("is started again in {}", duration_text(wait)),
    };
    of_job(job, Level::Info, "restarting", text, json!({ "seconds": wait.as_secs_f64() }))
}

fn overrun(job: &str) -> Told {
    of_job(job, Level::Warn, "overrun", "is left out this time: the run before has not ended", json!({}))
}

fn check_failed(job: &str, reason: &str, in_grace: bool) -> Told {
    let level = if in_grace { Level::Debug } else { Level::Warn };
    let values = json!({ "reason": reason, "inGrace": in_grace });
    of_job(job, level, "checkFailed", format!("health check failed: {reason}"), values)
}

/// The agent without an address is the one that is not there: no catalog is configured.
fn registered(service: &str, agent: &str) -> Told {
    let (level, text) = match agent {
        "" => (Level::Debug, format!("{service} is not advertised: there is no catalog")),
        _ => (Level::Info, format!("{service} registered with {agent}")),
    };
    told(level, "registered", text, json!({ "service": service, "agent": agent }))
}

fn deregistered(service: &str) -> Told {
    told(Level::Info, "deregistered", format!("{service} deregistered"), json!({ "service": service }))
}

fn registration_lost(service: &str) -> Told {
    let text = format!("the catalog has lost {service}; it is registered again");
    told(Level::Warn, "registrationLost", text, json!({ "service": service }))
}

fn contested(service: &str, by: &str, lasting: bool) -> Told {
    let values = json!({ "service": service, "by": by, "lasting": lasting });
    if lasting {
        let text = format!(
            "{service} is not advertised: another supervisor that lives ({by}) has registered it; give one of the two \
             another host name or service name, or stop one"
        );
        return told(Level::Error, "contested", text, values);
    }
    let text = format!(
        "{service} is registered by another supervisor ({by}): waiting until that is gone or its TTL has passed"
    );
    told(Level::Warn, "contested", text, values)
}

fn twin_removed(service: &str, agent: &str) -> Told {
    let (level, text) = match agent {
        "" => (Level::Debug, format!("{service} is advertised again: there is a catalog")),
        _ => (Level::Info, format!("the registration of {service} that was left with {agent} is removed")),
    };
    told(level, "twinRemoved", text, json!({ "service": service, "agent": agent }))
}

fn catalog_failed(service: &str, reason: &str) -> Told {
    let text = format!("{service}: {reason}; trying again");
    told(Level::Warn, "catalogFailed", text, json!({ "service": service, "reason": reason }))
}

fn watch_failed(watch: &str, reason: &str) -> Told {
    let text = format!("watch {watch}: {reason}; its last view is kept");
    told(Level::Warn, "watchFailed", text, json!({ "watch": watch, "reason": reason }))
}

fn watch_recovered(watch: &str) -> Told {
    told(Level::Info, "watchRecovered", format!("watch {watch} has answers again"), json!({ "watch": watch }))
}

fn view_held(watch: &str) -> Told {
    let text = format!("watch {watch}: the catalog was restarted and shows less; the last view is kept for now");
    told(Level::Warn, "viewHeld", text, json!({ "watch": watch }))
}

fn template_written(template: &str, destination: &str) -> Told {
    let text = format!("template {template}: {destination} has changed");
    told(Level::Info, "templateWritten", text, json!({ "template": template, "destination": destination }))
}

fn template_unchanged(template: &str) -> Told {
    let text = format!("template {template}: rendered, and nothing has changed");
    told(Level::Debug, "templateUnchanged", text, json!({ "template": template }))
}

fn template_failed(template: &str, reason: &str) -> Told {
    let text = format!("template {template}: {reason}; the file in place stays as it is");
    told(Level::Error, "templateFailed", text, json!({ "template": template, "reason": reason }))
}

fn startup_held(templates: &[(String, String)]) -> Told {
    let each: Vec<String> = templates.iter().map(|(template, reason)| format!("{template} ({reason})")).collect();
    let text = format!("nothing is started before these templates are rendered: {}", each.join(", "));
    let names: Vec<&str> = templates.iter().map(|(template, _)| template.as_str()).collect();
    told(Level::Warn, "startupHeld", text, json!({ "templates": names }))
}

fn fact_failed(fact: &str, reason: &str) -> Told {
    let text = format!("templates ask for {fact}: {reason}; the last answer is kept");
    told(Level::Warn, "factFailed", text, json!({ "fact": fact, "reason": reason }))
}

fn fact_recovered(fact: &str) -> Told {
    told(Level::Info, "factRecovered", format!("{fact} has answers again"), json!({ "fact": fact }))
}

fn fact_held(fact: &str) -> Told {
    let text = format!("{fact}: the catalog was restarted and shows less; the last answer is kept for now");
    told(Level::Warn, "factHeld", text, json!({ "fact": fact }))
}

fn occurred(occurrence: &Occurrence) -> Told {
    let (source, what) = occurrence_names(occurrence);
    let text = format!("event: {what} of {source}");
    told(Level::Debug, "occurred", text, json!({ "source": source, "what": what }))
}

fn reloaded(touched: &[String]) -> Told {
    let text = match touched {
        [] => "config reloaded: nothing changed".to_owned(),
        _ => format!("config reloaded: {} changed", touched.join(", ")),
    };
    told(Level::Info, "reloaded", text, json!({ "touched": touched }))
}

fn reload_refused(reason: &str) -> Told {
    let text = format!("config not reloaded, the old one stays in force: {reason}");
    told(Level::Error, "reloadRefused", text, json!({ "reason": reason }))
}

fn rolled_back(reason: &str) -> Told {
    told(Level::Error, "rolledBack", format!("config rolled back: {reason}"), json!({ "reason": reason }))
}

fn main_unchanged(job: &str) -> Told {
    let text = format!("{job}: the changed command takes effect at the next start of the container");
    told(Level::Warn, "mainUnchanged", text, json!({ "job": job }))
}

fn stop_begun(reason: &StopReason) -> Told {
    let text = match reason {
        StopReason::Signal => "stopping: asked to by a signal".to_owned(),
        StopReason::MainComplete(job) => format!("stopping: {job} has ended"),
        StopReason::JobFailed(job) => format!("stopping: {job} failed"),
        StopReason::Contested(service) => format!("stopping: another supervisor has registered {service}"),
        StopReason::TemplateFailed(template) => format!("stopping: template {template} failed"),
        StopReason::AllComplete => "stopping: all jobs are complete".to_owned(),
    };
    told(Level::Info, "stopBegun", text.clone(), json!({ "reason": text }))
}

fn maintenance(on: bool) -> Told {
    let text = if on { "maintenance begins: nothing is advertised" } else { "maintenance ends" };
    told(Level::Info, "maintenance", text.to_owned(), json!({ "on": on }))
}

/// Source and name of an occurrence, as a config's `when` has them.
pub(super) fn occurrence_names(occurrence: &Occurrence) -> (String, &'static str) {
    let global = |what| ("global".to_owned(), what);
    match occurrence {
        Occurrence::Startup => global("startup"),
        Occurrence::Shutdown => global("shutdown"),
        Occurrence::EnterMaintenance => global("enterMaintenance"),
        Occurrence::ExitMaintenance => global("exitMaintenance"),
        Occurrence::Hangup => ("SIGHUP".to_owned(), "signal"),
        Occurrence::User2 => ("SIGUSR2".to_owned(), "signal"),
        Occurrence::Job(job, what) => (job.clone(), job_occurrence(*what)),
        Occurrence::Watch(watch, what) => (format!("watch.{watch}"), watch_occurrence(*what)),
        Occurrence::TemplateChanged(template) => (format!("template.{template}"), "changed"),
    }
}

fn job_occurrence(what: JobOccurrence) -> &'static str {
    match what {
        JobOccurrence::Started => "started",
        JobOccurrence::Healthy => "healthy",
        JobOccurrence::Unhealthy => "unhealthy",
        JobOccurrence::ExitSuccess => "exitSuccess",
        JobOccurrence::ExitFailed => "exitFailed",
        JobOccurrence::Stopping => "stopping",
        JobOccurrence::Stopped => "stopped",
        JobOccurrence::TimedOut => "timedOut",
    }
}

fn watch_occurrence(what: WatchOccurrence) -> &'static str {
    match what {
        WatchOccurrence::Changed => "changed",
        WatchOccurrence::Healthy => "healthy",
        WatchOccurrence::Unhealthy => "unhealthy",
    }
}

/// How a process ended, for people.
pub(super) fn exit_text(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with code {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
        Exit::OutOfMemory => "was killed because memory ran out".to_owned(),
    }
}

/// A duration to three digits, for people.
pub(super) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        format!("{} ms", duration.as_millis())
    } else if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}
