//! The state of everything as JSON, for the control socket and the telemetry port.

use std::time::Duration;

use pilotfish_supervisor::{
    Exit, FactStatus, HealthStatus, JobState, JobStatus, ServiceState, Spec, Status, StopReason, TemplateState,
    TemplateStatus, WatchStatus,
};
use serde_json::{Value, json};

/// What of the state is not the state machine's.
pub(super) struct Surrounding<'a> {
    /// How long the supervisor has been running.
    pub(super) uptime: Duration,
    /// Where the config comes from.
    pub(super) config: String,
    /// How often a config was put in force since the start.
    pub(super) reloads: u64,
    /// Why the last reload was refused or rolled back, if it was.
    pub(super) reload_error: Option<&'a str>,
    /// Addresses of the catalog; empty: none is configured.
    pub(super) catalog: Vec<String>,
}

/// Everything, for `GET /v1/status`; `masked` takes secrets out of what others have said.
pub(super) fn whole(status: &Status, surrounding: &Surrounding<'_>, masked: &dyn Fn(&str) -> String) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime": seconds(surrounding.uptime),
        "config": { "source": surrounding.config, "reloads": surrounding.reloads, "error": surrounding.reload_error.map(masked) },
        "catalog": { "addresses": surrounding.catalog },
        "maintenance": status.maintenance,
        "stopping": status.stopping.as_ref().map(stop_reason),
        "jobs": status.jobs.iter().map(|status| job(status, masked)).collect::<Vec<_>>(),
        "watches": status.watches.iter().map(|status| watch(status, masked)).collect::<Vec<_>>(),
        "startupHeld": status.startup_held,
        "templates": status.templates.iter().map(|status| template(status, masked)).collect::<Vec<_>>(),
        "facts": status.facts.iter().map(|status| fact(status, masked)).collect::<Vec<_>>(),
    })
}

/// What ContainerPilot serves at `/status` of the telemetry port: its names, and the services and watches.
pub(super) fn telemetry(status: &Status, spec: &Spec) -> Value {
    let services = spec.jobs.iter().filter_map(|job| job.service.as_ref().map(|service| (job, service)));
    let services = services.map(|(job, service)| {
        let state = status.jobs.iter().find(|status| status.name == job.name);
        json!({
            "Name": job.name,
            "Address": service.address,
            "Port": service.port,
            "Status": state.map_or("unknown", |state| service_status(state, status.maintenance)),
        })
    });
    json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "Services": services.collect::<Vec<_>>(),
        "Watches": status.watches.iter().map(|watch| watch.name.as_str()).collect::<Vec<_>>(),
    })
}

fn service_status(job: &JobStatus, maintenance: bool) -> &'static str {
    match (maintenance, job.health) {
        (true, _) => "maintenance",
        (false, None | Some(HealthStatus::Unknown)) => "unknown",
        (false, Some(HealthStatus::Healthy)) => "healthy",
        (false, Some(HealthStatus::Unhealthy)) => "unhealthy",
    }
}

fn job(job: &JobStatus, masked: &dyn Fn(&str) -> String) -> Value {
    json!({
        "name": job.name,
        "state": state_name(job.state),
        "pid": job.pid,
        "runningFor": job.running_for.map(seconds),
        "health": job.health.map(health_name),
        "lastFailure": job.last_failure.as_deref().map(masked),
        "lastExit": job.last_exit.map(exit),
        "runs": job.runs,
        "restarts": job.restarts,
        "service": job.service.as_ref().map(service),
    })
}

fn service(service: &ServiceState) -> Value {
    json!({
        "id": service.id,
        // Without a catalog there is nobody who would not agree.
        "registered": service.registered && service.agent.as_deref() != Some(""),
        "agent": service.agent.as_deref().filter(|agent| !agent.is_empty()),
        "contestedBy": service.contested_by,
        "lastHeartbeat": service.last_heartbeat.map(seconds),
    })
}

fn watch(watch: &WatchStatus, masked: &dyn Fn(&str) -> String) -> Value {
    let members = watch.members.as_ref();
    json!({
        "name": watch.name,
        "members": members.map(|members| members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>()),
        "age": watch.age.map(seconds),
        "failing": watch.failing.as_deref().map(masked),
    })
}

fn template(template: &TemplateStatus, masked: &dyn Fn(&str) -> String) -> Value {
    json!({
        "name": template.name,
        "destination": template.destination,
        "state": template_state_name(template.state),
        "obstacle": template.obstacle.as_deref().map(masked),
        "rendered": template.rendered.map(seconds),
        "age": template.age.map(seconds),
        "renders": template.renders,
        "changes": template.changes,
    })
}

/// The state of a template, as the status shows it.
fn template_state_name(state: TemplateState) -> &'static str {
    match state {
        TemplateState::InPlace => "inPlace",
        TemplateState::Due => "due",
        TemplateState::Rendering => "rendering",
        TemplateState::Waiting => "waiting",
        TemplateState::Failing => "failing",
    }
}

fn fact(fact: &FactStatus, masked: &dyn Fn(&str) -> String) -> Value {
    json!({
        "name": masked(&fact.name),
        "age": fact.age.map(seconds),
        "failing": fact.failing.as_deref().map(masked),
    })
}

fn exit(exit: Exit) -> Value {
    match exit {
        Exit::Code(code) => json!({ "code": code }),
        Exit::Signal(signal) => json!({ "signal": signal, "code": exit.code() }),
        Exit::OutOfMemory => json!({ "signal": 9, "code": exit.code(), "reason": "oom" }),
    }
}

fn stop_reason(reason: &StopReason) -> String {
    match reason {
        StopReason::Signal => "signal".to_owned(),
        StopReason::MainComplete(job) => format!("{job} is complete"),
        StopReason::JobFailed(job) => format!("{job} failed"),
        StopReason::Contested(service) => format!("another supervisor has registered {service}"),
        StopReason::TemplateFailed(template) => format!("template {template} failed"),
        StopReason::AllComplete => "all jobs are complete".to_owned(),
    }
}

/// A state's name, as the status shows it.
pub(super) fn state_name(state: JobState) -> &'static str {
    match state {
        JobState::Waiting => "waiting",
        JobState::Running => "running",
        JobState::Advertising => "advertising",
        JobState::Backoff => "backoff",
        JobState::Stopping => "stopping",
        JobState::Complete => "complete",
    }
}

fn health_name(health: HealthStatus) -> &'static str {
    match health {
        HealthStatus::Unknown => "unknown",
        HealthStatus::Healthy => "healthy",
        HealthStatus::Unhealthy => "unhealthy",
    }
}

/// Seconds with milliseconds.
fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}
