//! What only the whole document shows: names that are given twice, references to nothing, jobs that can never start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pilotfish_supervisor::{Job, JobOccurrence, Occurrence, Output, Quantifier, Start, Watch};

use crate::config::Telemetry;
use crate::reader::{Place, Reader};
use crate::service::Draft;
use crate::suggest::nearest;
use crate::templates::TemplateDraft;

/// Complains about everything that contradicts itself.
pub(crate) fn all(
    reader: &mut Reader,
    jobs: &[Draft],
    watches: &[(Watch, Place)],
    templates: &[TemplateDraft],
    telemetry: Option<&Telemetry>,
) {
    unique(reader, "job", jobs.iter().map(|draft| (draft.job.name.as_str(), &draft.place)));
    unique(reader, "watch", watches.iter().map(|(watch, place)| (watch.name.as_str(), place)));
    unique(reader, "template", templates.iter().map(|draft| (draft.template.name.as_str(), &draft.place)));
    one_writer(reader, templates);
    one_main(reader, jobs);
    let problems = reader.problems.len();
    for draft in jobs {
        references(reader, draft, jobs, watches, templates);
        measured(reader, draft, telemetry);
    }
    for draft in templates {
        notified(reader, draft, jobs);
    }
    // A reference to nothing also keeps jobs from starting; one error about it is enough.
    if reader.problems.len() == problems {
        unreachable(reader, jobs);
    }
}

fn unique<'n>(reader: &mut Reader, kind: &str, names: impl Iterator<Item = (&'n str, &'n Place)>) {
    let mut seen = BTreeMap::new();
    for (name, place) in names.filter(|(name, _)| !name.is_empty()) {
        match seen.get(name) {
            Some(first) => reader
                .problem(place, format!("there is already a {kind} `{name}` (line {first}); names must be unique")),
            None => drop(seen.insert(name, place.at.line)),
        }
    }
}

fn one_writer(reader: &mut Reader, templates: &[TemplateDraft]) {
    let mut seen = BTreeMap::new();
    for draft in templates {
        let destination = draft.template.destination.as_str();
        // Compared as paths, for which `a//b` and `a/./b` are the same.
        match seen.get(Path::new(destination)) {
            Some(first) if !destination.is_empty() => {
                reader.problem(&draft.place, format!("the template of line {first} writes to {destination} already"))
            }
            _ => drop(seen.insert(Path::new(destination), draft.place.at.line)),
        }
    }
}

/// The job that a template tells must have a process.
fn notified(reader: &mut Reader, draft: &TemplateDraft, jobs: &[Draft]) {
    for notify in &draft.template.notify {
        let message = match jobs.iter().find(|other| other.job.name == notify.job) {
            Some(other) if other.job.process.is_some() => continue,
            Some(_) => format!("job `{}` has no process that could be told; give it `exec`", notify.job),
            None => unknown("job", &notify.job, jobs.iter().map(|other| other.job.name.as_str())),
        };
        reader.problem(&draft.notify_place, message);
    }
}

fn one_main(reader: &mut Reader, jobs: &[Draft]) {
    let mut mains = jobs.iter().filter(|draft| draft.job.main);
    let Some(first) = mains.next() else { return };
    for other in mains {
        let message = format!(
            "there can be only one main application (`main`, or the command line's), and `{}` is one already (line {})",
            first.job.name, first.place.at.line
        );
        reader.problem(&other.place, message);
    }
}

fn occurrences(job: &Job) -> impl Iterator<Item = &Occurrence> {
    let (triggers, held): (&[_], &[_]) = match &job.start {
        Start::On(condition) => (&condition.triggers, condition.hold_back.as_ref().map_or(&[], |hold| &hold.until)),
        Start::Every(_) | Start::At(_) => (&[], &[]),
    };
    triggers.iter().chain(&job.after).chain(held)
}

fn references(
    reader: &mut Reader,
    draft: &Draft,
    jobs: &[Draft],
    watches: &[(Watch, Place)],
    templates: &[TemplateDraft],
) {
    for occurrence in occurrences(&draft.job) {
        let message = match occurrence {
            Occurrence::Job(name, event) => match jobs.iter().find(|other| other.job.name == *name) {
                Some(other) => never_happens(&other.job, *event),
                None => Some(unknown("job", name, jobs.iter().map(|other| other.job.name.as_str()))),
            },
            Occurrence::Watch(name, _) if !watches.iter().any(|(watch, _)| watch.name == *name) => {
                Some(unknown("watch", name, watches.iter().map(|(watch, _)| watch.name.as_str())))
            }
            Occurrence::TemplateChanged(name) if templates.iter().all(|other| other.template.name != *name) => {
                Some(unknown("template", name, templates.iter().map(|other| other.template.name.as_str())))
            }
            Occurrence::Watch(..)
            | Occurrence::TemplateChanged(_)
            | Occurrence::Startup
            | Occurrence::Shutdown
            | Occurrence::EnterMaintenance
            | Occurrence::ExitMaintenance
            | Occurrence::Hangup
            | Occurrence::User2 => None,
        };
        if let Some(message) = message {
            reader.problem(&draft.when, message);
        }
    }
}

fn unknown<'n>(kind: &str, name: &str, known: impl Iterator<Item = &'n str>) -> String {
    match nearest(name, known) {
        Some(known) => format!("there is no {kind} `{name}`; did you mean `{known}`?"),
        None => format!("there is no {kind} `{name}`"),
    }
}

/// Why an event cannot happen to a job, if so.
fn never_happens(job: &Job, event: JobOccurrence) -> Option<String> {
    let name = &job.name;
    match event {
        JobOccurrence::Healthy | JobOccurrence::Unhealthy if job.health.is_none() => {
            Some(format!("this never happens: job `{name}` has no health check; give it `health`"))
        }
        JobOccurrence::ExitSuccess | JobOccurrence::ExitFailed if job.process.is_none() => {
            Some(format!("this never happens: job `{name}` has no process; give it `exec`"))
        }
        JobOccurrence::TimedOut if !has_timeout(job) => {
            Some(format!("this never happens: job `{name}` has no `when.timeout`"))
        }
        JobOccurrence::Started
        | JobOccurrence::Healthy
        | JobOccurrence::Unhealthy
        | JobOccurrence::ExitSuccess
        | JobOccurrence::ExitFailed
        | JobOccurrence::Stopping
        | JobOccurrence::Stopped
        | JobOccurrence::TimedOut => None,
    }
}

fn has_timeout(job: &Job) -> bool {
    matches!(&job.start, Start::On(condition) if condition.timeout.is_some())
}

fn measured(reader: &mut Reader, draft: &Draft, telemetry: Option<&Telemetry>) {
    let Some(Output::Measured(metric)) = draft.job.process.as_ref().map(|process| &process.output) else { return };
    let mut known = telemetry.iter().flat_map(|telemetry| &telemetry.metrics).map(|metric| metric.name.as_str());
    if !known.clone().any(|known| known == metric) && !metric.is_empty() {
        let hint = nearest(metric, &mut known).map(|known| format!("; did you mean `{known}`?"));
        reader.problem(&draft.place, format!("there is no metric `{metric}` in telemetry{}", hint.unwrap_or_default()));
    }
}

/// Jobs that wait for each other (or for themselves) in a circle.
fn unreachable(reader: &mut Reader, jobs: &[Draft]) {
    let mut starts: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = starts.len();
        let more: Vec<&str> =
            jobs.iter().filter(|draft| can_start(&draft.job, &starts)).map(|draft| draft.job.name.as_str()).collect();
        starts.extend(more);
        if starts.len() == before {
            break;
        }
    }
    for draft in jobs.iter().filter(|draft| !starts.contains(draft.job.name.as_str())) {
        let message = format!("job `{}` can never start: {}", draft.job.name, chain(&draft.job, jobs, &starts));
        reader.problem(&draft.when, message);
    }
}

fn can_start(job: &Job, starts: &BTreeSet<&str>) -> bool {
    let happens = |occurrence: &Occurrence| match occurrence {
        // Only a job that does not start gives up.
        Occurrence::Job(_, JobOccurrence::TimedOut) => true,
        Occurrence::Job(name, _) => starts.contains(name.as_str()),
        Occurrence::Watch(..)
        | Occurrence::TemplateChanged(_)
        | Occurrence::Startup
        | Occurrence::Shutdown
        | Occurrence::EnterMaintenance
        | Occurrence::ExitMaintenance
        | Occurrence::Hangup
        | Occurrence::User2 => true,
    };
    let triggered = match &job.start {
        Start::On(condition) => match condition.quantifier {
            Quantifier::Any => condition.triggers.iter().any(happens),
            Quantifier::All => condition.triggers.iter().all(happens),
        },
        Start::Every(_) | Start::At(_) => true,
    };
    triggered && job.after.iter().all(happens)
}

/// `a waits for b, which waits for a`.
fn chain(job: &Job, jobs: &[Draft], starts: &BTreeSet<&str>) -> String {
    let blocker = |job: &Job| {
        let blocked = |occurrence: &&Occurrence| {
            matches!(occurrence, Occurrence::Job(name, event)
                if !starts.contains(name.as_str()) && *event != JobOccurrence::TimedOut)
        };
        let Some(Occurrence::Job(name, _)) = occurrences(job).find(blocked) else { return None };
        jobs.iter().find(|draft| draft.job.name == *name).map(|draft| &draft.job)
    };
    let mut text = String::from("it waits for ");
    let mut seen = BTreeSet::from([job.name.as_str()]);
    let mut current = job;
    while let Some(next) = blocker(current) {
        let itself = if next.name == current.name { " itself".into() } else { format!("`{}`", next.name) };
        text.push_str(itself.trim_start());
        if !seen.insert(next.name.as_str()) {
            break;
        }
        text.push_str(", which waits for ");
        current = next;
    }
    text
}
