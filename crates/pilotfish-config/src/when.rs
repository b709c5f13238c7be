//! What starts a job: events, periods, calendars.

use std::time::Duration;

use pilotfish_supervisor::{
    Calendar, Condition, HoldBack, JobOccurrence, Occurrence, Quantifier, Start, Times, WatchOccurrence,
};

use crate::json5::Data;
use crate::reader::{Object, Reader};
use crate::suggest::nearest;
use crate::timing::required;

/// The shortest period, as in ContainerPilot.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Sources that stand for the supervisor itself.
const GLOBAL: [&str; 2] = ["global", "containerpilot"];

/// Events of the supervisor.
pub(crate) const GLOBAL_EVENTS: [(&str, Occurrence); 4] = [
    ("startup", Occurrence::Startup),
    ("shutdown", Occurrence::Shutdown),
    ("enterMaintenance", Occurrence::EnterMaintenance),
    ("exitMaintenance", Occurrence::ExitMaintenance),
];

/// Signals that are events.
pub(crate) const SIGNALS: [(&str, Occurrence); 2] = [("SIGHUP", Occurrence::Hangup), ("SIGUSR2", Occurrence::User2)];

/// Events of a job.
pub(crate) const JOB_EVENTS: [(&str, JobOccurrence); 8] = [
    ("started", JobOccurrence::Started),
    ("healthy", JobOccurrence::Healthy),
    ("unhealthy", JobOccurrence::Unhealthy),
    ("exitSuccess", JobOccurrence::ExitSuccess),
    ("exitFailed", JobOccurrence::ExitFailed),
    ("stopping", JobOccurrence::Stopping),
    ("stopped", JobOccurrence::Stopped),
    ("timedOut", JobOccurrence::TimedOut),
];

/// Events of a watch.
pub(crate) const WATCH_EVENTS: [(&str, WatchOccurrence); 3] = [
    ("changed", WatchOccurrence::Changed),
    ("healthy", WatchOccurrence::Healthy),
    ("unhealthy", WatchOccurrence::Unhealthy),
];

/// The condition of a job without `when`.
pub(crate) fn at_startup() -> Condition {
    on(Occurrence::Startup, Times::Once)
}

/// The condition of one event.
pub(crate) fn on(occurrence: Occurrence, times: Times) -> Condition {
    Condition { triggers: vec![occurrence], quantifier: Quantifier::Any, times, timeout: None, hold_back: None }
}

/// Reads `when`: what starts the job, and what must have occurred before.
pub(crate) fn read(reader: &mut Reader, job: &Object<'_>) -> (Start, Option<Occurrence>) {
    let Some(when) = reader.object(job, "when") else { return (Start::On(at_startup()), None) };
    let after = reader
        .object(&when, "after")
        .and_then(|after| trigger(reader, &after, &["once"]).map(|(occurrence, _)| occurrence));
    let given: Vec<&str> =
        ["interval", "cron", "once", "each", "all", "any"].into_iter().filter(|key| is_given(&when, key)).collect();
    if given.len() > 1 {
        let message = format!("{} exclude each other; a `when` can have only one of them", given.join(" and "));
        reader.problem(&when.place, message);
        return (Start::On(at_startup()), after);
    }
    let timeout = reader.duration(&when, "timeout", Duration::from_millis(1));
    let start = match given.first() {
        Some(&"interval") => reader.duration(&when, "interval", MIN_INTERVAL).map(Start::Every),
        Some(&"cron") => cron(reader, &when).map(Start::At),
        Some(&"all") => several(reader, &when, "all", Quantifier::All).map(Start::On),
        Some(&"any") => several(reader, &when, "any", Quantifier::Any).map(Start::On),
        None if !is_given(&when, "source") => Some(Start::On(at_startup())),
        _ => trigger(reader, &when, &["once", "each"]).map(|(occurrence, times)| Start::On(on(occurrence, times))),
    };
    let hold_back = hold_back(reader, &when);
    let start = match start {
        Some(Start::On(condition)) => Start::On(Condition { timeout, hold_back, ..condition }),
        Some(start) => {
            for key in ["source", "timeout", "holdBack"].into_iter().filter(|key| is_given(&when, key)) {
                reader
                    .problem(&when.place_of(key), format!("`{key}` is for events; it does not go with `{}`", given[0]));
            }
            start
        }
        None => Start::On(at_startup()),
    };
    (start, after)
}

fn is_given(object: &Object<'_>, key: &'static str) -> bool {
    object.field(key).is_some_and(|field| field.value.data != Data::Text(String::new()))
}

fn cron(reader: &mut Reader, when: &Object<'_>) -> Option<Calendar> {
    let text = reader.text(when, "cron")?;
    Calendar::parse(&text).map_err(|message| reader.problem(&when.place_of("cron"), message)).ok()
}

fn hold_back(reader: &mut Reader, when: &Object<'_>) -> Option<HoldBack> {
    let object = reader.object(when, "holdBack")?;
    let elements = reader.list(&object, "until");
    let until: Vec<_> = elements.iter().filter_map(|element| trigger(reader, element, &["once"])).collect();
    if elements.is_empty() {
        reader.problem(&object.place_of("until"), "it is empty; name at least one event");
    }
    let at_most = required(reader, &object, "atMost", "`atMost` must be > 0");
    Some(HoldBack {
        until: until.into_iter().map(|(occurrence, _)| occurrence).collect(),
        at_most: at_most.unwrap_or_default(),
    })
}

fn several(reader: &mut Reader, when: &Object<'_>, key: &'static str, quantifier: Quantifier) -> Option<Condition> {
    let place = when.place_of(key);
    let problems = reader.problems.len();
    if is_given(when, "source") {
        reader.problem(&when.place_of("source"), format!("`source` belongs into the elements of `{key}`"));
    }
    let elements = reader.list(when, key);
    let triggers: Vec<_> = elements.iter().filter_map(|element| trigger(reader, element, &["once", "each"])).collect();
    if reader.problems.len() > problems {
        return None;
    }
    let Some((_, times)) = triggers.first() else {
        reader.problem(&place, "it is empty, so the job could never start; name at least one event");
        return None;
    };
    let times = *times;
    if triggers.iter().any(|(_, other)| *other != times) {
        reader.problem(&place, "`once` and `each` are mixed; use the same in all elements");
        return None;
    }
    let triggers = triggers.into_iter().map(|(occurrence, _)| occurrence).collect();
    Some(Condition { triggers, quantifier, times, timeout: None, hold_back: None })
}

/// Reads one `source` with `once` or `each`.
fn trigger(reader: &mut Reader, object: &Object<'_>, keys: &[&'static str]) -> Option<(Occurrence, Times)> {
    let source = if is_given(object, "source") { Some(reader.text(object, "source")?) } else { None };
    let mut given = keys.iter().filter(|key| is_given(object, key));
    let key = given.next();
    if given.next().is_some() {
        reader.problem(&object.place, "once and each exclude each other");
        return None;
    }
    let event = match key {
        Some(key) => Some(reader.text(object, key)?),
        None => None,
    };
    let times = if key == Some(&"once") { Times::Once } else { Times::Each };
    let place = key.map_or_else(|| object.place.clone(), |key| object.place_of(key));
    let occurrence = occurrence(source.as_deref(), event.as_deref(), keys);
    occurrence.map(|occurrence| (occurrence, times)).map_err(|message| reader.problem(&place, message)).ok()
}

fn occurrence(source: Option<&str>, event: Option<&str>, keys: &[&str]) -> Result<Occurrence, String> {
    let signal =
        |name: &str| SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, occurrence)| occurrence.clone());
    if let Some(occurrence) = source.and_then(signal) {
        return match event {
            Some(event) if Some(event) != source => Err(format!("a signal has no event `{event}`; leave it out")),
            _ => Ok(occurrence),
        };
    }
    let Some(event) = event else {
        return Err(format!("`{}` is needed: the event that starts the job", keys.join("` or `")));
    };
    let global = GLOBAL_EVENTS.iter().find(|(known, _)| *known == event).map(|(_, occurrence)| occurrence.clone());
    match source {
        None => {
            global.or_else(|| signal(event)).ok_or_else(|| match JOB_EVENTS.iter().any(|(known, _)| *known == event) {
                true => format!("`{event}` needs a `source`: the name of the job"),
                false => unknown_event(event, GLOBAL_EVENTS.iter().map(|(known, _)| *known).collect()),
            })
        }
        Some(source) if GLOBAL.contains(&source) && global.is_some() => global.ok_or_else(String::new),
        Some(source) if source.starts_with("template.") => match event {
            "changed" => Ok(Occurrence::TemplateChanged(source["template.".len()..].into())),
            _ => Err(unknown_event(event, vec!["changed"])),
        },
        Some(source) => match source.strip_prefix("watch.") {
            Some(watch) => WATCH_EVENTS
                .iter()
                .find(|(known, _)| *known == event)
                .map(|(_, occurrence)| Occurrence::Watch(watch.into(), *occurrence))
                .ok_or_else(|| unknown_event(event, WATCH_EVENTS.iter().map(|(known, _)| *known).collect())),
            None => JOB_EVENTS
                .iter()
                .find(|(known, _)| *known == event)
                .map(|(_, occurrence)| Occurrence::Job(source.into(), *occurrence))
                .ok_or_else(|| unknown_event(event, JOB_EVENTS.iter().map(|(known, _)| *known).collect())),
        },
    }
}

fn unknown_event(event: &str, known: Vec<&str>) -> String {
    let suggestion = nearest(event, known.iter().copied()).map(|word| format!("; did you mean `{word}`?"));
    format!("`{event}` is not a valid event here; there are {}{}", known.join(", "), suggestion.unwrap_or_default())
}
