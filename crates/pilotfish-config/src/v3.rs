//! The v3 vocabulary: jobs and watches, with our additions.

use std::time::Duration;

use pilotfish_supervisor::{
    Backoff, Check, Health, Job, Occurrence, OnFailure, Output, Process, Restarts, ServiceStatus, Start, Times, Watch,
    WatchTarget,
};

use crate::reader::{Limit, Object, Place, Reader};
use crate::service::{Context, DEFAULT_BACKOFF, Draft, check_name, is_job_name, job};
use crate::timing::{self, MIN_TIMEOUT, Timing};
use crate::when;

/// Reads `jobs`; `window` is how long a job waits for its hooks when it does not say.
pub(crate) fn jobs(reader: &mut Reader, context: &Context<'_>, document: &Object<'_>, window: Duration) -> Vec<Draft> {
    let objects = reader.list(document, "jobs");
    objects.iter().map(|object| read_job(reader, context, object, window)).collect()
}

fn read_job(reader: &mut Reader, context: &Context<'_>, object: &Object<'_>, window: Duration) -> Draft {
    let name = reader.text(object, "name").unwrap_or_default();
    if name.is_empty() {
        reader.problem(&object.place_of("name"), "'name' must not be blank");
    } else if !is_job_name(&name) {
        reader.problem(&object.place_of("name"), format!("`{}` cannot be the name of a job", name.escape_debug()));
    }
    let mut job = job(name);
    (job.start, job.after) = when::read(reader, object);
    let surroundings = process_surroundings(reader, object);
    let argv = reader.command(object, "exec", &format!("unable to create job[{}].exec", job.name));
    let output = output(reader, object);
    job.process = argv.map(|argv| Process { argv, output, ..surroundings.clone() });
    let timeout = reader.limit(object, "timeout", MIN_TIMEOUT);
    job.timeout = match (timeout, &job.start) {
        (None, Start::Every(interval)) => Some(*interval),
        (timeout, _) => timeout.and_then(Limit::duration),
    };
    // Zero means the default, as in the document's `stopTimeout`.
    let stopping =
        reader.limit(object, "stopTimeout", Duration::ZERO).filter(|limit| *limit != Limit::AtMost(Duration::ZERO));
    job.stopping_timeout = stopping.unwrap_or(Limit::AtMost(window)).duration();
    job.main = reader.boolean(object, "main").unwrap_or(false);
    job.restarts = restarts(reader, object, &job.name, &job.start);
    job.backoff = backoff(reader, object);
    job.on_failure = on_failure(reader, object);
    contradictions(reader, object, &job);
    let timing = health(reader, object, &mut job, surroundings);
    advertise(reader, context, object, &mut job, timing);
    if object.field("exec").is_none() {
        if object.field("health").is_none() && object.field("port").is_none() {
            reader.problem(&object.place, "it does nothing; give it `exec`, or `port` and `health`");
        }
        if job.main {
            reader.problem(&object.place_of("main"), "the main application needs `exec`");
        }
        if object.field("logging").is_some() {
            reader.warn(&object.place_of("logging"), "`logging` has no effect without `exec`; a check has its own");
        }
    }
    Draft { job, place: object.place_of("name"), when: object.place_of("when"), timeout_given: timeout.is_some() }
}

/// A process without command and output.
fn process_surroundings(reader: &mut Reader, object: &Object<'_>) -> Process {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let env = reader.text_map(object, "env");
    for (name, _) in env.iter().filter(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
        reader.problem(&object.place_of("env"), format!("`{}` cannot be the name of a variable", name.escape_debug()));
    }
    Process {
        argv: Vec::new(),
        env,
        cwd: filled(reader.text(object, "cwd")),
        user: filled(reader.text(object, "user")),
        group: filled(reader.text(object, "group")),
        ..Process::default()
    }
}

fn output(reader: &mut Reader, object: &Object<'_>) -> Output {
    let Some(logging) = reader.object(object, "logging") else { return Output::Wrapped };
    let raw = reader.boolean(&logging, "raw").unwrap_or(false);
    let attached = reader.boolean(&logging, "attached").unwrap_or(false);
    let metric = reader.text(&logging, "metric");
    match (raw, attached, metric) {
        (false, false, None) => Output::Wrapped,
        (true, false, None) => Output::Raw,
        (false, true, None) => Output::Attached,
        (false, false, Some(metric)) => Output::Measured(metric),
        _ => {
            reader.problem(&logging.place, "raw, attached and metric exclude each other");
            Output::Wrapped
        }
    }
}

fn restarts(reader: &mut Reader, object: &Object<'_>, name: &str, start: &Start) -> Restarts {
    let complaint = |given: &str| {
        format!("job[{name}].restarts field '{given}' invalid: accepts positive integers, \"unlimited\", or \"never\"")
    };
    let restarts = reader.restarts(object, "restarts", complaint);
    let each = matches!(start, Start::On(condition) if condition.times == Times::Each);
    if each && restarts == Some(Restarts::Unlimited) {
        let message = format!(
            "job[{name}].restarts field 'unlimited' invalid: may not be used when 'job.when.each' is set because it may result in infinite processes"
        );
        reader.problem(&object.place_of("restarts"), message);
    }
    restarts.unwrap_or(match start {
        Start::Every(_) | Start::At(_) => Restarts::Unlimited,
        Start::On(_) => Restarts::Limited(0),
    })
}

fn backoff(reader: &mut Reader, object: &Object<'_>) -> Backoff {
    let Some(backoff) = reader.object(object, "restartBackoff") else { return DEFAULT_BACKOFF };
    let mut time = |key, default| reader.duration(&backoff, key, Duration::ZERO).unwrap_or(default);
    let initial = time("initial", DEFAULT_BACKOFF.initial);
    let max = time("max", DEFAULT_BACKOFF.max.max(initial));
    let reset_after = time("resetAfter", DEFAULT_BACKOFF.reset_after);
    if max < initial {
        reader.problem(&backoff.place_of("max"), "`max` is less than `initial`");
    }
    Backoff { initial, max, reset_after }
}

fn on_failure(reader: &mut Reader, object: &Object<'_>) -> OnFailure {
    match reader.word(object, "onFailure") {
        Some("restart") => OnFailure::Restart,
        Some("exit") => OnFailure::Exit,
        _ => OnFailure::Ignore,
    }
}

/// Complains about what makes no sense in a job that starts again and again.
fn contradictions(reader: &mut Reader, object: &Object<'_>, job: &Job) {
    let (repeats, again) = match &job.start {
        Start::On(condition) if condition.times == Times::Once => return,
        Start::On(_) => ("starts on each of its events", "the next event"),
        Start::Every(_) => ("runs periodically", "the next interval"),
        Start::At(_) => ("runs by a calendar", "the next time in the calendar"),
    };
    if job.main {
        let message = format!(
            "the main application cannot be a job that {repeats}: the container would end with its first run; use `when.once`"
        );
        reader.problem(&object.place_of("main"), message);
    }
    let goes_on = matches!((&job.start, job.restarts), (Start::At(_), _) | (Start::Every(_), Restarts::Unlimited));
    match job.on_failure {
        // A handler that is tried again runs for the last state as well: changes meanwhile are coalesced into that.
        OnFailure::Restart if follows_a_state(&job.start) => {}
        OnFailure::Restart => {
            let message = format!(
                "`restart` is not for a job that {repeats}: {again} starts it again, and restarts beside that could pile up without end"
            );
            reader.problem(&object.place_of("onFailure"), message);
        }
        OnFailure::Exit if goes_on => {
            let message = format!("`exit` would never happen: the job {repeats}, so {again} follows a failed run");
            reader.problem(&object.place_of("onFailure"), message);
        }
        OnFailure::Exit | OnFailure::Ignore => {}
    }
}

/// Whether only changes of watches and templates start it.
fn follows_a_state(start: &Start) -> bool {
    let is_state = |trigger: &Occurrence| matches!(trigger, Occurrence::Watch(..) | Occurrence::TemplateChanged(_));
    matches!(start, Start::On(condition) if condition.triggers.iter().all(is_state))
}

/// Reads `health`; a check runs as the job does.
fn health(reader: &mut Reader, object: &Object<'_>, job: &mut Job, surroundings: Process) -> Option<Timing> {
    let health = reader.object(object, "health")?;
    let name = &job.name;
    let interval = timing::required(reader, &health, "interval", &format!("job[{name}].health.interval must be > 0"));
    let ttl = timing::required(reader, &health, "ttl", &format!("job[{name}].health.ttl must be > 0"));
    let timeout = reader.duration(&health, "timeout", MIN_TIMEOUT);
    let timing = timing::check(reader, &health, "interval", (interval, ttl), timeout);
    let raw = reader.object(&health, "logging").and_then(|logging| reader.boolean(&logging, "raw")).unwrap_or(false);
    let mut checks = Vec::new();
    if let Some(argv) = reader.command(&health, "exec", &format!("unable to create job[{name}].health.exec")) {
        let output = if raw { Output::Raw } else { Output::Wrapped };
        checks.push(Check::Exec(Process { argv, output, ..surroundings }));
    }
    checks.extend(http_check(reader, &health));
    checks.extend(tcp_check(reader, &health));
    checks.extend(reader.text(&health, "file").filter(|path| !path.is_empty()).map(Check::File));
    let given: Vec<&str> =
        ["exec", "http", "tcp", "file"].into_iter().filter(|key| health.field(key).is_some()).collect();
    if given.len() > 1 {
        reader.problem(&health.place, format!("{} exclude each other; give one way to check", given.join(" and ")));
    }
    let grace = reader.duration(&health, "grace", Duration::ZERO).unwrap_or_default();
    let check = checks.into_iter().next().unwrap_or(Check::Running);
    job.health = Some(Health { check, interval: timing.interval, timeout: timing.timeout, grace });
    Some(timing)
}

fn http_check(reader: &mut Reader, health: &Object<'_>) -> Option<Check> {
    let url = reader.text(health, "http")?;
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    if host.is_none_or(|host| host.is_empty() || host.starts_with(':')) || url.contains(char::is_whitespace) {
        let message = format!("`{url}` is not an http:// URL; https needs a command in `exec`");
        reader.problem(&health.place_of("http"), message);
    }
    Some(Check::Http(url))
}

fn tcp_check(reader: &mut Reader, health: &Object<'_>) -> Option<Check> {
    let target = reader.text(health, "tcp")?;
    let valid = target.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if !valid {
        reader.problem(&health.place_of("tcp"), format!("`{target}` is not host:port"));
    }
    Some(Check::Tcp(target))
}

fn advertise(reader: &mut Reader, context: &Context<'_>, object: &Object<'_>, job: &mut Job, timing: Option<Timing>) {
    let given =
        ["interfaces", "tags", "meta", "initial_status", "consul"].into_iter().find(|key| object.field(key).is_some());
    let Some(port) = object.field("port") else {
        if let Some(key) = given {
            reader.warn(&object.place_of(key), format!("`{key}` has no effect without `port`"));
        }
        return;
    };
    check_name(reader, &object.place_of("name"), &job.name);
    if object.field("health").is_none() {
        let message = format!(
            "job[{}].health must be set if 'port' is set; without a check nobody can know whether to send clients there",
            job.name
        );
        reader.problem(&port.place, message);
    }
    let port = reader.integer(object, "port").and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    let ttl = timing.map(|timing| timing.ttl).unwrap_or_default();
    let mut service = context.service(reader, object, &job.name, port, ttl);
    service.initial_status = match reader.word(object, "initial_status") {
        Some("passing") => Some(ServiceStatus::Passing),
        Some("warning") => Some(ServiceStatus::Warning),
        Some(_) => Some(ServiceStatus::Critical),
        None => None,
    };
    job.service = Some(service);
}

/// Reads `watches`.
pub(crate) fn watches(reader: &mut Reader, document: &Object<'_>) -> Vec<(Watch, Place)> {
    let objects = reader.list(document, "watches");
    objects.iter().map(|object| (watch(reader, object), object.place_of("name"))).collect()
}

fn watch(reader: &mut Reader, object: &Object<'_>) -> Watch {
    let name = reader.text(object, "name").unwrap_or_default();
    let service = reader.text(object, "service");
    check_name(reader, &object.place_of("name"), &name);
    let interval = timing::required(reader, object, "interval", &format!("watch[{name}].interval must be > 0"));
    let tag = reader.text(object, "tag").filter(|tag| !tag.is_empty());
    let definitions = reader.word(object, "on") == Some("definitions");
    let (key, prefix) = (reader.text(object, "key"), reader.text(object, "keyPrefix"));
    let of_service = ["service", "tag", "on"].into_iter().find(|key| object.field(key).is_some());
    if let (Some(other), true) = (of_service, key.is_some() || prefix.is_some()) {
        reader.problem(&object.place_of(other), format!("`{other}` is for services; a key has none"));
    }
    let target = match (key, prefix) {
        (None, None) => WatchTarget::Service { service: service.unwrap_or_else(|| name.clone()), tag, definitions },
        (Some(key), None) => WatchTarget::Key(key),
        (None, Some(prefix)) => WatchTarget::KeyPrefix(prefix),
        (Some(key), Some(_)) => {
            reader.problem(&object.place, "key and keyPrefix exclude each other");
            WatchTarget::Key(key)
        }
    };
    let datacenter = reader.text(object, "dc").filter(|dc| !dc.is_empty());
    Watch { name, target, datacenter, interval: interval.unwrap_or(Duration::from_secs(1)) }
}
