//! The v2 vocabulary, translated into the v3 model: nothing behind this file knows that it exists.
//!
//! | v2 | becomes |
//! | --- | --- |
//! | `preStart` | job `preStart`; its failure is the container's |
//! | the command line | the main job, once `preStart` succeeded |
//! | `services` | jobs without a process, started like the main job |
//! | `coprocesses` | jobs, started like and before the main job |
//! | `backends` | a watch and a job `onChange.<name>` on each of its changes, kept until the main job started and is healthy |
//! | `tasks`, `sensors` | periodic jobs, not before `preStart` succeeded |
//! | `preStop` | a job on `stopping` of the main job, which waits for its end |
//! | `mysql` | a job, started like the main job, and the main one if the command line names no other |
//! | `postStop` | a job on `stopped` of the main job; its failure is the container's |

use std::collections::BTreeSet;
use std::time::Duration;

use pilotfish_supervisor::{
    Check, Condition, Health, HoldBack, JobOccurrence, Occurrence, OnFailure, Output, Process, Restarts, Start, Times,
    Watch, WatchOccurrence, WatchTarget,
};

use crate::mysql::MYSQL_JOB;
use crate::reader::{Object, Place, Reader};
use crate::service::{Context, Draft, check_name, is_job_name, job};
use crate::templates::TemplateDraft;
use crate::timing::{self, MIN_TIMEOUT};
use crate::{duration, telemetry, when};

/// The jobs and watches that a v2 document means.
#[derive(Default)]
pub(crate) struct Translation {
    pub(crate) jobs: Vec<Draft>,
    pub(crate) watches: Vec<(Watch, Place)>,
    names: BTreeSet<String>,
    /// What must have occurred before anything starts.
    gate: Option<Occurrence>,
    /// Where the main job belongs in the order of jobs.
    main_index: usize,
    /// Which jobs are `onChange` handlers.
    changes: Vec<usize>,
}

/// Translates all but the main application, `preStop` and `postStop`, which [`Translation::finish`] adds.
pub(crate) fn translate(reader: &mut Reader, context: &Context<'_>, document: &Object<'_>) -> Translation {
    let mut translation = Translation::default();
    let services = reader.list(document, "services");
    let services: Vec<_> = services.iter().map(|object| service(reader, context, object)).collect();
    translation.names.extend(services.iter().map(|draft| draft.job.name.clone()));
    translation.names.extend(document.field("mysql").map(|_| MYSQL_JOB.to_owned()));
    translation.pre_start(reader, document);
    for object in reader.list(document, "coprocesses") {
        translation.coprocess(reader, &object);
    }
    translation.main_index = translation.jobs.len();
    let start = Start::On(translation.condition());
    translation.jobs.extend(services.into_iter().map(|mut draft| {
        draft.job.start = start.clone();
        draft
    }));
    for object in reader.list(document, "backends") {
        translation.backend(reader, &object);
    }
    for object in reader.list(document, "tasks") {
        translation.task(reader, &object);
    }
    if let Some(object) = reader.object(document, "telemetry") {
        for sensor in reader.list(&object, "sensors") {
            translation.sensor(reader, &sensor);
        }
    }
    translation
}

impl Translation {
    /// What needs no translation, because the document speaks v3.
    pub(crate) fn untranslated(jobs: Vec<Draft>, watches: Vec<(Watch, Place)>) -> Translation {
        Translation { jobs, watches, ..Translation::default() }
    }

    /// Adds the main application and the hooks that follow its end; without one, `member` is the name of the job that takes its place.
    pub(crate) fn finish(
        &mut self,
        reader: &mut Reader,
        document: &Object<'_>,
        command: Option<Vec<String>>,
        member: Option<&str>,
    ) {
        let main_name = command.as_deref().map(|argv| self.unique(program_name(argv)));
        self.hold_changes_back(main_name.as_deref().or(member));
        let main = command.zip(main_name).map(|(argv, name)| {
            let draft = main_job(name, argv, self.condition(), &document.place);
            let name = draft.job.name.clone();
            self.jobs.insert(self.main_index, draft);
            name
        });
        let main = main.or_else(|| member.map(str::to_owned));
        let pre_stop = reader.command(document, "preStop", "Could not parse `preStop`");
        let post_stop = reader.command(document, "postStop", "Could not parse `postStop`");
        let of_main = |event| main.clone().map(|main| Occurrence::Job(main, event));
        if let Some(argv) = pre_stop {
            let trigger = of_main(JobOccurrence::Stopping).unwrap_or(Occurrence::Shutdown);
            self.hook("preStop", argv, when::on(trigger, Times::Once), document);
        }
        match (post_stop, of_main(JobOccurrence::Stopped)) {
            (Some(argv), Some(trigger)) => {
                self.hook("postStop", argv, when::on(trigger, Times::Once), document).job.on_failure = OnFailure::Exit;
            }
            (Some(_), None) => {
                let message =
                    "it never runs: there is no main application on the command line whose end it could follow";
                reader.warn(&document.place_of("postStop"), message);
            }
            (None, _) => {}
        }
    }

    /// Adds the jobs that commands of templates are; returns the templates.
    pub(crate) fn add_commands(&mut self, mut templates: Vec<TemplateDraft>) -> Vec<TemplateDraft> {
        self.names.extend(self.jobs.iter().map(|draft| draft.job.name.clone()));
        for command in templates.iter_mut().filter_map(|draft| draft.command.take()) {
            let mut draft = command;
            draft.job.name = self.unique(&draft.job.name);
            draft.job.after = self.gate.clone();
            self.changes.push(self.jobs.len());
            self.jobs.push(draft);
        }
        templates
    }

    /// What starts the application.
    pub(crate) fn condition(&self) -> Condition {
        self.gate.clone().map_or_else(when::at_startup, |gate| when::on(gate, Times::Once))
    }

    /// `name`, or with a number when it is taken.
    fn unique(&mut self, name: &str) -> String {
        let candidates = std::iter::once(name.to_string()).chain((2..).map(|number| format!("{name}-{number}")));
        let free = candidates.into_iter().find(|name| !self.names.contains(name)).expect("the candidates never end");
        self.names.insert(free.clone());
        free
    }

    fn hook(
        &mut self,
        key: &'static str,
        argv: Vec<String>,
        condition: Condition,
        document: &Object<'_>,
    ) -> &mut Draft {
        let mut job = job(self.unique(key));
        job.process = Some(Process { argv, ..Process::default() });
        job.start = Start::On(condition);
        let place = document.place_of(key);
        self.jobs.push(Draft::new(job, place));
        self.jobs.last_mut().expect("one was just pushed")
    }

    fn pre_start(&mut self, reader: &mut Reader, document: &Object<'_>) {
        let new = reader.command(document, "preStart", "Could not parse `preStart`");
        let old = reader.command(document, "onStart", "Could not parse `onStart`");
        if old.is_some() {
            let message =
                "`onStart` is the old name of `preStart`; rename it (if both are given, only `preStart` runs)";
            reader.warn(&document.place_of("onStart"), message);
        }
        let (key, argv) = match (new, old) {
            (Some(argv), _) => ("preStart", argv),
            (None, Some(argv)) => ("onStart", argv),
            (None, None) => return,
        };
        let draft = self.hook(key, argv, when::at_startup(), document);
        draft.job.on_failure = OnFailure::Exit;
        let name = draft.job.name.clone();
        self.gate = Some(Occurrence::Job(name, JobOccurrence::ExitSuccess));
    }

    fn coprocess(&mut self, reader: &mut Reader, object: &Object<'_>) {
        let argv = required_command(reader, object, "command", "Coprocess did not provide a command");
        let complaint = |given: &str| {
            format!("Invalid 'restarts' field \"{given}\": accepts positive integers, \"unlimited\" or \"never\"")
        };
        let restarts = reader.restarts(object, "restarts", complaint);
        let start = Start::On(self.condition());
        let job = &mut self.named(reader, object, "coprocess", argv).job;
        job.start = start;
        job.restarts = restarts.unwrap_or(Restarts::Limited(0));
    }

    /// A job of an element that need not have a name.
    fn named(&mut self, reader: &mut Reader, object: &Object<'_>, kind: &str, argv: Option<Vec<String>>) -> &mut Draft {
        let name = reader.text(object, "name").filter(|name| !name.is_empty());
        if let Some(name) = name.as_deref().filter(|name| !is_job_name(name)) {
            reader
                .problem(&object.place_of("name"), format!("`{}` cannot be the name of a {kind}", name.escape_debug()));
        }
        let name = name.or_else(|| argv.as_deref().map(|argv| program_name(argv).to_string()));
        let mut job = job(self.unique(name.as_deref().unwrap_or(kind)));
        job.process = argv.map(|argv| Process { argv, ..Process::default() });
        self.jobs.push(Draft::new(job, object.place.clone()));
        self.jobs.last_mut().expect("one was just pushed")
    }

    fn backend(&mut self, reader: &mut Reader, object: &Object<'_>) {
        let service = reader.text(object, "name").unwrap_or_default();
        check_name(reader, &object.place_of("name"), &service);
        let complaint = format!("`onChange` is required in backend {service}");
        let argv = required_command(reader, object, "onChange", &complaint);
        let poll = timing::required(reader, object, "poll", &format!("`poll` must be > 0 in backend {service}"));
        let tag = reader.text(object, "tag").filter(|tag| !tag.is_empty());
        let taken = |name: &str| self.watches.iter().any(|(watch, _)| watch.name == name);
        let mut candidates = std::iter::once(service.clone()).chain((2..).map(|number| format!("{service}-{number}")));
        let name = candidates.find(|name| !taken(name)).expect("the candidates never end");
        let target = WatchTarget::Service { service, tag, definitions: false };
        let interval = poll.unwrap_or(Duration::from_secs(1));
        let watch = Watch { name: name.clone(), target, datacenter: None, interval };
        self.watches.push((watch, object.place_of("name")));
        let mut job = job(self.unique(&format!("onChange.{name}")));
        job.process = argv.map(|argv| Process { argv, ..Process::default() });
        job.timeout = reader.duration(object, "timeout", MIN_TIMEOUT);
        job.start = Start::On(when::on(Occurrence::Watch(name, WatchOccurrence::Changed), Times::Each));
        job.after = self.gate.clone();
        self.changes.push(self.jobs.len());
        self.jobs.push(Draft::new(job, object.place.clone()));
    }

    /// Makes `onChange` wait for the main application, and then for the services to be healthy: most handlers signal it, and a signal that
    /// arrives before its handler is installed kills. An application that is not healthy without its backends gets them after one lifetime.
    pub(crate) fn hold_changes_back(&mut self, main: Option<&str>) {
        let checked = || self.jobs.iter().filter(|draft| draft.job.health.is_some());
        let services = || checked().filter_map(|draft| draft.job.service.as_ref());
        let until: Vec<_> =
            services().map(|service| Occurrence::Job(service.name.clone(), JobOccurrence::Healthy)).collect();
        let hold_back = services().map(|service| service.ttl).max().map(|at_most| HoldBack { until, at_most });
        for index in std::mem::take(&mut self.changes) {
            let job = &mut self.jobs[index].job;
            if let Some(main) = main {
                job.after = Some(Occurrence::Job(main.into(), JobOccurrence::Started));
            }
            if let Start::On(condition) = &mut job.start {
                condition.hold_back = hold_back.clone();
            }
        }
    }

    fn task(&mut self, reader: &mut Reader, object: &Object<'_>) {
        let argv = required_command(reader, object, "command", "Task did not provide a command");
        let frequency = periodic(reader, object, "frequency", "Frequency");
        let timeout = periodic_timeout(reader, object);
        let gate = self.gate.clone();
        let job = &mut self.named(reader, object, "task", argv).job;
        job.start = Start::Every(frequency);
        job.after = gate;
        job.timeout = Some(timeout.unwrap_or(frequency));
        job.restarts = Restarts::Unlimited;
    }

    fn sensor(&mut self, reader: &mut Reader, object: &Object<'_>) {
        let metric = telemetry::metric(reader, object).map(|metric| metric.name).unwrap_or_default();
        let complaint = format!("could not parse check in sensor {metric}: it has no `check`");
        let argv = required_command(reader, object, "check", &complaint);
        let poll = timing::required(reader, object, "poll", &format!("`poll` must be > 0 in sensor {metric}"));
        let poll = poll.and_then(|_| reader.duration(object, "poll", when::MIN_INTERVAL));
        let poll = poll.unwrap_or(Duration::from_secs(1));
        let mut job = job(self.unique(&format!("sensor.{metric}")));
        job.process = argv.map(|argv| Process { argv, output: Output::Measured(metric), ..Process::default() });
        job.start = Start::Every(poll);
        job.after = self.gate.clone();
        job.timeout = Some(reader.duration(object, "timeout", MIN_TIMEOUT).unwrap_or(poll));
        job.restarts = Restarts::Unlimited;
        self.jobs.push(Draft::new(job, object.place.clone()));
    }
}

/// The job of the command line's application.
pub(crate) fn main_job(name: String, argv: Vec<String>, condition: Condition, place: &Place) -> Draft {
    let mut job = job(name);
    job.process = Some(Process { argv, output: Output::Attached, ..Process::default() });
    job.start = Start::On(condition);
    job.main = true;
    Draft::new(job, place.clone())
}

/// The last part of a program's path.
pub(crate) fn program_name(argv: &[String]) -> &str {
    let program = argv.first().map_or("", String::as_str);
    program.rsplit('/').next().filter(|name| is_job_name(name)).unwrap_or("app")
}

fn service(reader: &mut Reader, context: &Context<'_>, object: &Object<'_>) -> Draft {
    let name = reader.text(object, "name").unwrap_or_default();
    check_name(reader, &object.place_of("name"), &name);
    let interval = timing::required(reader, object, "poll", &format!("`poll` must be > 0 in service {name}"));
    let ttl = timing::required(reader, object, "ttl", &format!("`ttl` must be > 0 in service {name}"));
    let complaint = format!("Could not parse `health` in service {name}");
    let argv = reader.command(object, "health", &complaint);
    let problems = reader.problems.len();
    let timeout = reader.duration(object, "timeout", MIN_TIMEOUT);
    for problem in &mut reader.problems[problems..] {
        problem.message = format!("{complaint}: {}", problem.message);
    }
    let timing = timing::check(reader, object, "poll", (interval, ttl), timeout);
    let port = match object.field("port") {
        Some(_) => reader.integer(object, "port").and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        None => {
            reader.problem(&object.place_of("port"), format!("`port` must be > 0 in service {name}"));
            0
        }
    };
    let check = argv.map_or(Check::Running, |argv| Check::Exec(Process { argv, ..Process::default() }));
    let health = Health { check, interval: timing.interval, timeout: timing.timeout, grace: Duration::ZERO };
    let mut job = job(name);
    job.service = Some(context.service(reader, object, &job.name, port, timing.ttl));
    job.health = Some(health);
    Draft { when: object.place.clone(), ..Draft::new(job, object.place_of("name")) }
}

fn required_command(
    reader: &mut Reader,
    object: &Object<'_>,
    key: &'static str,
    complaint: &str,
) -> Option<Vec<String>> {
    if object.field(key).is_none() {
        reader.problem(&object.place_of(key), complaint);
        return None;
    }
    reader.command(object, key, &format!("could not parse `{key}`"))
}

/// `frequency`: at least a millisecond.
fn periodic(reader: &mut Reader, object: &Object<'_>, key: &'static str, name: &str) -> Duration {
    let problems = reader.problems.len();
    let nanos = reader.signed_duration(object, key);
    if nanos.is_none() && reader.problems.len() == problems {
        reader.problem(
            &object.place_of(key),
            format!("Unable to parse {key}: it is missing; write seconds, or text such as \"10s\""),
        );
    }
    least(reader, object, key, name, nanos).unwrap_or(Duration::from_secs(1))
}

fn periodic_timeout(reader: &mut Reader, object: &Object<'_>) -> Option<Duration> {
    let nanos = reader.signed_duration(object, "timeout");
    least(reader, object, "timeout", "Timeout", nanos)
}

fn least(
    reader: &mut Reader,
    object: &Object<'_>,
    key: &'static str,
    name: &str,
    nanos: Option<i64>,
) -> Option<Duration> {
    let nanos = nanos?;
    match u64::try_from(nanos).map(Duration::from_nanos) {
        Ok(duration) if duration >= MIN_TIMEOUT => Some(duration),
        _ => {
            let given = duration::show_signed(nanos);
            reader.problem(&object.place_of(key), format!("{name} {given} cannot be less that 1ms"));
            None
        }
    }
}
