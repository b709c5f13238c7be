//! Small specifications to build tests from.

use std::time::Duration;

use pilotfish_supervisor::*;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A job that starts at startup and runs one command.
pub(crate) fn job(name: &str) -> Job {
    Job {
        name: name.into(),
        process: Some(Process { argv: vec![name.into()], ..Process::default() }),
        start: on(&[Occurrence::Startup], Times::Once),
        after: None,
        restarts: Restarts::Limited(0),
        backoff: Backoff { initial: secs(1), max: secs(30), reset_after: secs(10) },
        on_failure: OnFailure::Ignore,
        timeout: None,
        stopping_timeout: None,
        main: false,
        health: None,
        service: None,
    }
}

pub(crate) fn on(triggers: &[Occurrence], times: Times) -> Start {
    Start::On(Condition {
        triggers: triggers.to_vec(),
        quantifier: Quantifier::Any,
        times,
        timeout: None,
        hold_back: None,
    })
}

pub(crate) fn all(triggers: &[Occurrence], times: Times) -> Start {
    let Start::On(condition) = on(triggers, times) else { unreachable!() };
    Start::On(Condition { quantifier: Quantifier::All, ..condition })
}

/// `name.what` of a job.
pub(crate) fn of(name: &str, what: JobOccurrence) -> Occurrence {
    Occurrence::Job(name.into(), what)
}

pub(crate) fn changed(watch: &str) -> Occurrence {
    Occurrence::Watch(watch.into(), WatchOccurrence::Changed)
}

pub(crate) fn once(name: &str, trigger: Occurrence) -> Job {
    Job { start: on(&[trigger], Times::Once), ..job(name) }
}

pub(crate) fn each(name: &str, trigger: Occurrence) -> Job {
    Job { start: on(&[trigger], Times::Each), ..job(name) }
}

pub(crate) fn main_job() -> Job {
    Job { main: true, ..job("main") }
}

pub(crate) fn health() -> Health {
    let check = Check::Exec(Process { argv: vec!["check".into()], ..Process::default() });
    Health { check, interval: secs(5), timeout: secs(2), grace: Duration::ZERO }
}

pub(crate) fn service(name: &str) -> Service {
    Service {
        id: name.into(),
        name: name.into(),
        address: "10.1.1.1".into(),
        port: 80,
        tags: vec![],
        meta: vec![],
        ttl: secs(20),
        initial_status: None,
        enable_tag_override: false,
        deregister_critical_after: None,
        exit_on_conflict: false,
    }
}

/// Another supervisor of the same service, which lives.
pub(crate) fn rival(senior: bool) -> Other {
    Other { owner: "rival".into(), alive: true, senior }
}

/// A job that is checked and advertised.
pub(crate) fn advertised(name: &str) -> Job {
    Job { health: Some(health()), service: Some(service(name)), ..job(name) }
}

pub(crate) fn watch(name: &str) -> Watch {
    let target = WatchTarget::Service { service: name.into(), tag: None, definitions: false };
    Watch { name: name.into(), target, datacenter: None, interval: secs(10) }
}

pub(crate) fn spec(jobs: Vec<Job>) -> Spec {
    Spec { jobs, stop_timeout: secs(5), reload_timeout: secs(30), ..Spec::default() }
}

/// What the loader makes of a ContainerPilot 2 config with all three hooks.
pub(crate) fn v2() -> Vec<Job> {
    let pre_start = Job { on_failure: OnFailure::Exit, ..job("pre") };
    let ready = Some(of("pre", JobOccurrence::ExitSuccess));
    let coprocess = Job { after: ready.clone(), restarts: Restarts::Unlimited, ..job("co") };
    let main = Job { after: ready, main: true, ..advertised("main") };
    let pre_stop = once("prestop", of("main", JobOccurrence::Stopping));
    let post_stop = Job { on_failure: OnFailure::Exit, ..once("poststop", of("main", JobOccurrence::Stopped)) };
    vec![pre_start, coprocess, main, pre_stop, post_stop]
}

/// A file that is rendered before anything starts.
pub(crate) fn template(name: &str) -> Template {
    let (name, destination) = (name.to_string(), format!("/etc/{name}"));
    Template { text: format!("text of {name}"), name, destination, required: true, ..Template::default() }
}

pub(crate) fn rendered(template: &str) -> Occurrence {
    Occurrence::TemplateChanged(template.into())
}

pub(crate) fn judged(template: Template) -> Template {
    let argv = vec!["judge".into(), NEW_FILE.into()];
    let process = Process { argv, ..Process::default() };
    Template { check: Some(TemplateCheck { process, timeout: secs(2) }), ..template }
}
