//! The supervisor's own metrics, and those of the application.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use pilotfish_config::{Config, MetricKind};
use pilotfish_supervisor::{
    CallOutcome, HealthStatus, JobOccurrence, JobState, Label, Notice, Occurrence, RunKind, Status, Time,
};

use super::narration::{occurrence_names, process_name};
use crate::metrics::{Exposition, Kind, MetricName, Registry};

/// Own metrics: name, type, labels, help.
const OWN: [(&str, Kind, &[&str], &str); 28] = [
    ("pilotfish_info", Kind::Gauge, &["version"], "Always 1; the version is in the label."),
    ("pilotfish_uptime_seconds", Kind::Gauge, &[], "Time since the supervisor started."),
    ("pilotfish_maintenance", Kind::Gauge, &[], "1 while in maintenance."),
    ("pilotfish_job_running", Kind::Gauge, &["job"], "1 while the job runs."),
    ("pilotfish_job_healthy", Kind::Gauge, &["job"], "1 if the last health check passed."),
    ("pilotfish_job_starts_total", Kind::Counter, &["job"], "Starts of the job's process."),
    ("pilotfish_job_restarts_total", Kind::Counter, &["job"], "Starts that followed an exit."),
    ("pilotfish_health_checks_total", Kind::Counter, &["job", "result"], "Health checks by result."),
    ("pilotfish_exec_duration_seconds", Kind::Summary, &["process"], "How long processes ran that have ended."),
    ("pilotfish_watch_instances", Kind::Gauge, &["watch"], "Members that the watch sees."),
    (
        "pilotfish_watch_age_seconds",
        Kind::Gauge,
        &["watch"],
        "Time since the catalog last confirmed what the watch sees.",
    ),
    ("pilotfish_watch_failing", Kind::Gauge, &["watch"], "1 while the watch has no answers."),
    ("pilotfish_template_renders_total", Kind::Counter, &["template"], "Renderings of the template."),
    ("pilotfish_template_changes_total", Kind::Counter, &["template"], "Changes of the template's file."),
    (
        "pilotfish_template_failures_total",
        Kind::Counter,
        &["template"],
        "Reasons for which the file could not be replaced.",
    ),
    (
        "pilotfish_template_render_seconds",
        Kind::Summary,
        &["template"],
        "Time that a rendering takes, without writing.",
    ),
    ("pilotfish_template_failing", Kind::Gauge, &["template"], "1 while the file is not what it is to be."),
    ("pilotfish_template_age_seconds", Kind::Gauge, &["template"], "Age of the oldest answer that the file stands on."),
    ("pilotfish_service_registered", Kind::Gauge, &["service"], "1 while the catalog is known to hold the service."),
    (
        "pilotfish_service_contested",
        Kind::Gauge,
        &["service"],
        "1 while another supervisor holds the service's place in the catalog.",
    ),
    ("pilotfish_catalog_request_seconds", Kind::Summary, &[], "Time from request to answer of the catalog."),
    ("pilotfish_catalog_requests_total", Kind::Counter, &["outcome"], "Requests to the catalog by outcome."),
    ("pilotfish_events_total", Kind::Counter, &["source", "event"], "Events by source and name."),
    ("pilotfish_reloads_total", Kind::Counter, &["result"], "Reloads by result."),
    ("pilotfish_orphans_reaped_total", Kind::Counter, &[], "Ended processes that no job waited for."),
    ("process_resident_memory_bytes", Kind::Gauge, &[], "Resident memory of the supervisor."),
    ("process_cpu_seconds_total", Kind::Counter, &[], "Processor time of the supervisor."),
    ("process_open_fds", Kind::Gauge, &[], "Open file descriptors of the supervisor."),
];

/// All metrics of one supervisor.
pub(super) struct Gauges {
    registry: Registry,
    /// Nobody can ask for metrics, so none are kept.
    idle: bool,
    /// The names of the config's metrics.
    user: BTreeSet<MetricName>,
    now: Time,
}

impl Gauges {
    /// The metrics of a config.
    pub(super) fn new(config: &Config) -> Gauges {
        let registry = Registry::new(SystemTime::now(), Time::START);
        let mut gauges = Gauges { registry, idle: true, user: BTreeSet::new(), now: Time::START };
        gauges.configure(config);
        gauges
    }

    /// Follows a new config: metrics that stay keep their values.
    pub(super) fn configure(&mut self, config: &Config) {
        self.idle = config.telemetry.is_none();
        if self.idle {
            return;
        }
        for (name, kind, labels, help) in OWN {
            self.describe(name, kind, help, labels);
        }
        self.set("pilotfish_info", &[env!("CARGO_PKG_VERSION")], 1.0);
        let metrics = config.telemetry.iter().flat_map(|telemetry| &telemetry.metrics);
        let mut user = BTreeSet::new();
        for metric in metrics {
            let kind = match metric.kind {
                MetricKind::Counter => Kind::Counter,
                MetricKind::Gauge => Kind::Gauge,
                MetricKind::Histogram => Kind::Histogram,
                MetricKind::Summary => Kind::Summary,
            };
            user.extend(self.describe(&metric.name, kind, &metric.help, &[]));
        }
        for gone in self.user.difference(&user) {
            self.registry.forget(gone);
        }
        self.user = user;
    }

    fn describe(&mut self, name: &str, kind: Kind, help: &str, labels: &[&str]) -> Option<MetricName> {
        let name = MetricName::new(name).ok()?;
        // A user's metric that is called like one of ours is ours: the loader has let it pass, and a clash must not stop a container.
        self.registry.describe(&name, kind, help, labels, self.now).ok().map(|()| name)
    }

    /// Whether `putmetric` may record this one.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.user.iter().any(|known| known.as_str() == name)
    }

    /// Records a value that came as text.
    pub(super) fn record(&mut self, name: &str, text: &str, now: Time) -> Result<(), String> {
        self.now = now;
        let last = text.lines().last().unwrap_or_default().trim();
        let value: f64 = last.parse().map_err(|_| format!("{last:?} is not a number"))?;
        self.registry.record(name, &[], value, self.now).map_err(|error| error.to_string())
    }

    /// A process has ended.
    pub(super) fn process_ended(&mut self, label: &Label, lasted: Duration, now: Time) {
        self.now = now;
        self.set("pilotfish_exec_duration_seconds", &[&process_name(label)], lasted.as_secs_f64());
    }

    /// A template was rendered, as far as that was possible.
    pub(super) fn rendered(&mut self, template: &str, took: Duration, now: Time) {
        self.now = now;
        self.set("pilotfish_template_renders_total", &[template], 1.0);
        self.set("pilotfish_template_render_seconds", &[template], took.as_secs_f64());
    }

    /// The catalog has answered, or nobody was there.
    pub(super) fn catalog_answered(&mut self, outcome: &CallOutcome, took: Duration, now: Time) {
        self.now = now;
        let outcome = match outcome {
            CallOutcome::Done { .. } | CallOutcome::Seen { .. } => "done",
            CallOutcome::Unknown => "unknown",
            CallOutcome::Unreachable { .. } => "unreachable",
            CallOutcome::Refused { .. } => "refused",
        };
        self.set("pilotfish_catalog_requests_total", &[outcome], 1.0);
        self.set("pilotfish_catalog_request_seconds", &[], took.as_secs_f64());
    }

    /// Counts what a notice tells.
    pub(super) fn noticed(&mut self, notice: &Notice, now: Time) {
        self.now = now;
        if self.idle {
            return;
        }
        match notice {
            Notice::Started { label, .. } if label.kind == RunKind::Job => {
                self.set("pilotfish_job_starts_total", &[&label.job], 1.0);
            }
            Notice::Restarting { job, .. } => self.set("pilotfish_job_restarts_total", &[job], 1.0),
            Notice::Occurred(occurrence) => {
                let (source, event) = occurrence_names(occurrence);
                self.set("pilotfish_events_total", &[&source, event], 1.0);
                if let Occurrence::Job(job, JobOccurrence::Healthy) = occurrence {
                    self.set("pilotfish_health_checks_total", &[job, "passed"], 1.0);
                }
            }
            Notice::CheckFailed { job, .. } => self.set("pilotfish_health_checks_total", &[job, "failed"], 1.0),
            Notice::TemplateWritten { template, .. } => {
                self.set("pilotfish_template_changes_total", &[template], 1.0);
            }
            Notice::TemplateFailed { template, .. } => {
                self.set("pilotfish_template_failures_total", &[template], 1.0);
            }
            Notice::Reloaded { .. } => self.set("pilotfish_reloads_total", &["applied"], 1.0),
            Notice::ReloadRefused { .. } => self.set("pilotfish_reloads_total", &["refused"], 1.0),
            Notice::RolledBack { .. } => self.set("pilotfish_reloads_total", &["rolledBack"], 1.0),
            Notice::Started { .. }
            | Notice::NotStarted { .. }
            | Notice::Ended { .. }
            | Notice::TimedOut { .. }
            | Notice::KilledAfterGrace { .. }
            | Notice::Abandoned { .. }
            | Notice::SurvivorsKilled { .. }
            | Notice::Overrun { .. }
            | Notice::Registered { .. }
            | Notice::Deregistered { .. }
            | Notice::RegistrationLost { .. }
            | Notice::Contested { .. }
            | Notice::TwinRemoved { .. }
            | Notice::CatalogFailed { .. }
            | Notice::WatchFailed { .. }
            | Notice::WatchRecovered { .. }
            | Notice::ViewHeld { .. }
            | Notice::TemplateUnchanged { .. }
            | Notice::StartupHeld { .. }
            | Notice::FactFailed { .. }
            | Notice::FactRecovered { .. }
            | Notice::FactHeld { .. }
            | Notice::MainUnchanged { .. }
            | Notice::StopBegun { .. }
            | Notice::Maintenance(_) => {}
        }
    }

    /// Everything as text, with its content type.
    pub(super) fn text(
        &mut self,
        accept: Option<&str>,
        status: &Status,
        orphans: u64,
        now: Time,
    ) -> (&'static str, String) {
        self.now = now;
        self.set("pilotfish_uptime_seconds", &[], now.since_start().as_secs_f64());
        self.set("pilotfish_maintenance", &[], f64::from(status.maintenance));
        self.set_total("pilotfish_orphans_reaped_total", orphans as f64);
        let figures = pilotfish_process::figures();
        self.set("process_resident_memory_bytes", &[], figures.resident_bytes as f64);
        self.set_total("process_cpu_seconds_total", figures.cpu.as_secs_f64());
        self.set("process_open_fds", &[], figures.descriptors as f64);
        self.set_states(status);
        self.set_templates(status);
        let exposition = Exposition::negotiate(accept);
        (exposition.content_type(), exposition.render(&self.registry, self.now))
    }

    /// Takes over the present states, and drops those of jobs and watches that are gone.
    fn set_states(&mut self, status: &Status) {
        let jobs = || status.jobs.iter().map(|job| job.name.as_str());
        let watches = || status.watches.iter().map(|watch| watch.name.as_str());
        for name in ["pilotfish_job_running", "pilotfish_job_healthy"] {
            self.keep(name, |label| jobs().any(|job| job == label));
        }
        for name in ["pilotfish_watch_instances", "pilotfish_watch_age_seconds", "pilotfish_watch_failing"] {
            self.keep(name, |label| watches().any(|watch| watch == label));
        }
        for job in &status.jobs {
            let running = matches!(job.state, JobState::Running | JobState::Advertising);
            self.set("pilotfish_job_running", &[&job.name], f64::from(running));
            if let Some(health) = job.health {
                self.set("pilotfish_job_healthy", &[&job.name], f64::from(health == HealthStatus::Healthy));
            }
            if let Some(service) = &job.service {
                self.set("pilotfish_service_registered", &[&service.id], f64::from(service.registered));
                let contested = service.contested_by.is_some();
                self.set("pilotfish_service_contested", &[&service.id], f64::from(contested));
            }
        }
        for watch in &status.watches {
            let members = watch.members.as_ref().map_or(0, Vec::len);
            self.set("pilotfish_watch_instances", &[&watch.name], members as f64);
            self.set("pilotfish_watch_failing", &[&watch.name], f64::from(watch.failing.is_some()));
            if let Some(age) = watch.age {
                self.set("pilotfish_watch_age_seconds", &[&watch.name], age.as_secs_f64());
            }
        }
    }

    fn set_templates(&mut self, status: &Status) {
        for name in ["pilotfish_template_failing", "pilotfish_template_age_seconds"] {
            self.keep(name, |label| status.templates.iter().any(|template| template.name == label));
        }
        for template in &status.templates {
            self.set("pilotfish_template_failing", &[&template.name], f64::from(template.obstacle.is_some()));
            if let Some(age) = template.age {
                self.set("pilotfish_template_age_seconds", &[&template.name], age.as_secs_f64());
            }
        }
    }

    fn keep(&mut self, name: &str, keep: impl Fn(&str) -> bool) {
        if let Ok(name) = MetricName::new(name) {
            self.registry.retain(&name, |labels| labels.first().is_some_and(|label| keep(label)));
        }
    }

    fn set(&mut self, name: &str, labels: &[&str], value: f64) {
        if !self.idle {
            // Own metrics are described with these labels; a full registry is no reason to fail.
            let _ = self.registry.record(name, labels, value, self.now);
        }
    }

    fn set_total(&mut self, name: &str, value: f64) {
        if !self.idle {
            let _ = self.registry.record_total(name, &[], value, self.now);
        }
    }
}
