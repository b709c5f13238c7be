//! Files that are rendered from what the catalog says, in both vocabularies, and the jobs that tell others of their changes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use pilotfish_supervisor::{
    Backoff, Notify, Occurrence, OnFailure, Process, Reaction, Start, Template, TemplateCheck, Times, Wait,
};

use crate::duration;
use crate::json5::Data;
use crate::reader::{Object, Place, Reader};
use crate::service::{Context, Draft, job};
use crate::timing::MIN_TIMEOUT;
use crate::when;

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a command may take, as in consul-template.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How a command that failed is tried again: as long as it fails, what reads the file does not know of its change.
const COMMAND_BACKOFF: Backoff =
    Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60), reset_after: Duration::from_secs(60) };

/// What `wait` leaves out of its second part, as in consul-template.
const LONGEST_WAIT: u32 = 4;

/// Signals that a process may be told with; the numbers are Linux's (signal(7)).
const SIGNALS: [(&str, i32); 7] =
    [("SIGHUP", 1), ("SIGINT", 2), ("SIGQUIT", 3), ("SIGUSR1", 10), ("SIGUSR2", 12), ("SIGTERM", 15), ("SIGWINCH", 28)];

/// A template, where it stands, and the job that its `command` is.
pub(crate) struct TemplateDraft {
    pub(crate) template: Template,
    pub(crate) place: Place,
    pub(crate) notify_place: Place,
    pub(crate) command: Option<Draft>,
}

/// Reads `templates`. The names of commands' jobs are made unique by the caller.
pub(crate) fn read(reader: &mut Reader, context: &Context<'_>, document: &Object<'_>) -> Vec<TemplateDraft> {
    let objects = reader.list(document, "templates");
    let mut names = BTreeSet::new();
    for object in &objects {
        // A name that is given is not taken by a template that has to be given one.
        if let Some(Data::Text(name)) = object.field("name").map(|field| &field.value.data) {
            names.insert(name.clone());
        }
    }
    objects.iter().map(|object| read_template(reader, context, object, &mut names)).collect()
}

fn read_template(
    reader: &mut Reader,
    context: &Context<'_>,
    object: &Object<'_>,
    names: &mut BTreeSet<String>,
) -> TemplateDraft {
    let destination = reader.text(object, "destination").unwrap_or_default();
    if destination.is_empty() || destination.ends_with('/') || destination.contains('\0') {
        reader.problem(&object.place_of("destination"), "the path of the file is needed");
    }
    let name = name(reader, object, &destination, names);
    let (source, text) = text(reader, context, object, &name);
    if source.as_ref().is_some_and(|source| Path::new(source) == Path::new(&destination)) {
        reader.problem(&object.place_of("destination"), "it is the template's own source, which would be overwritten");
    }
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let check = reader
        .command(object, "check", "could not parse `check`")
        .map(|argv| TemplateCheck { process: Process { argv, ..Process::default() }, timeout: CHECK_TIMEOUT });
    let check_timeout = reader.duration(object, "checkTimeout", MIN_TIMEOUT);
    let template = Template {
        source,
        text,
        perms: perms(reader, object),
        user: filled(reader.text(object, "user")),
        group: filled(reader.text(object, "group")),
        create_directories: true,
        backup: reader.boolean(object, "backup").unwrap_or(false),
        strict: reader.boolean(object, "strict").unwrap_or(false),
        delimiters: None,
        wait: wait(reader, object),
        splay: reader.duration(object, "splay", Duration::ZERO).unwrap_or_default(),
        required: reader.boolean(object, "required").unwrap_or(true),
        announced: false,
        check: check.map(|check| TemplateCheck { timeout: check_timeout.unwrap_or(CHECK_TIMEOUT), ..check }),
        notify: notify(reader, object),
        destination,
        name,
    };
    let command = command(reader, object, &template.name);
    TemplateDraft { template, place: object.place.clone(), notify_place: object.place_of("notify"), command }
}

/// Its own name, or that of its file.
fn name(reader: &mut Reader, object: &Object<'_>, destination: &str, names: &mut BTreeSet<String>) -> String {
    let given = reader.text(object, "name").filter(|name| !name.is_empty());
    if let Some(name) = given {
        if name.chars().any(char::is_control) {
            let message = format!("`{}` cannot be the name of a template", name.escape_debug());
            reader.problem(&object.place_of("name"), message);
        }
        return name;
    }
    let file = destination.rsplit('/').next().filter(|file| !file.is_empty()).unwrap_or("template");
    let candidates = std::iter::once(file.to_owned()).chain((2..).map(|number| format!("{file}-{number}")));
    let free = candidates.into_iter().find(|name| !names.contains(name)).expect("the candidates never end");
    names.insert(free.clone());
    free
}

/// The template's source and text. What is no template is an error here, not when the container runs.
fn text(reader: &mut Reader, context: &Context<'_>, object: &Object<'_>, name: &str) -> (Option<String>, String) {
    let source = reader.text(object, "source").filter(|source| !source.is_empty());
    let contents = reader.text(object, "contents");
    let (key, source, text) = match (source, contents) {
        (Some(_), Some(_)) => {
            reader.problem(&object.place_of("contents"), "`source` and `contents` exclude each other");
            return (None, String::new());
        }
        (None, None) => {
            reader.problem(&object.place, "`source` (a file) or `contents` (the template itself) is needed");
            return (None, String::new());
        }
        (None, Some(contents)) => ("contents", None, contents),
        (Some(source), None) => match (context.read_file)(&source) {
            Ok(text) => ("source", Some(source), text),
            Err(reason) => {
                reader.problem(&object.place_of("source"), reason);
                return (Some(source), String::new());
            }
        },
    };
    let functions = pilotfish_template::catalog_functions();
    let shown = source.as_deref().unwrap_or(name);
    if let Err(error) = pilotfish_template::Template::parse(shown, &text, &functions) {
        reader.problem(&object.place_of(key), error.to_string());
    }
    (source, text)
}

/// Octal digits, as chmod(1) takes them. A number would be a decimal one, which nobody means.
fn perms(reader: &mut Reader, object: &Object<'_>) -> Option<u32> {
    let text = reader.text(object, "perms").filter(|text| !text.is_empty())?;
    let is_text = object.field("perms").is_some_and(|field| matches!(field.value.data, Data::Text(_)));
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o7777 && is_text => Some(mode),
        Ok(_) | Err(_) => {
            let message = format!("`{text}` is no mode; write its octal digits as text, such as \"0640\"");
            reader.problem(&object.place_of("perms"), message);
            None
        }
    }
}

/// `MIN:MAX`, or `MIN` alone.
fn wait(reader: &mut Reader, object: &Object<'_>) -> Option<Wait> {
    let text = reader.text(object, "wait").filter(|text| !text.is_empty())?;
    let mut parts =
        text.split(':').map(|part| duration::parse(part.trim()).ok().and_then(|nanos| u64::try_from(nanos).ok()));
    let mut next = || parts.next().map(|nanos| nanos.map(Duration::from_nanos));
    let wait = match (next(), next(), next()) {
        (Some(Some(min)), None, _) => Some(Wait { min, max: min.saturating_mul(LONGEST_WAIT) }),
        (Some(Some(min)), Some(Some(max)), None) if min <= max => Some(Wait { min, max }),
        _ => None,
    };
    if wait.is_none() {
        let message = format!("`{text}` is no wait; write \"MIN:MAX\", such as \"2s:10s\", with MIN not above MAX");
        reader.problem(&object.place_of("wait"), message);
    }
    wait.filter(|wait| !wait.max.is_zero())
}

fn notify(reader: &mut Reader, object: &Object<'_>) -> Vec<Notify> {
    let Some(object) = reader.object(object, "notify") else { return Vec::new() };
    let job = reader.text(&object, "job").unwrap_or_default();
    let signal = reader.word(&object, "signal");
    let restart = reader.boolean(&object, "restart").unwrap_or(false);
    let number = |name: &str| SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let reaction = match (signal.and_then(number), restart) {
        (signal, true) => Some(Reaction::Restart { signal }),
        (Some(signal), false) => Some(Reaction::Signal(signal)),
        (None, false) => None,
    };
    match reaction {
        Some(reaction) => vec![Notify { job, reaction }],
        None => {
            reader.problem(&object.place, "nothing is done; give it `signal`, such as \"SIGHUP\", or `restart: true`");
            Vec::new()
        }
    }
}

/// The job that runs after each change. It is tried again while it fails: what it tells must be known in the end.
fn command(reader: &mut Reader, object: &Object<'_>, name: &str) -> Option<Draft> {
    let argv = reader.command(object, "command", "could not parse `command`");
    let timeout = reader.duration(object, "timeout", MIN_TIMEOUT);
    let mut job = job(format!("onChange.{name}"));
    job.process = Some(Process { argv: argv?, ..Process::default() });
    job.start = Start::On(when::on(Occurrence::TemplateChanged(name.to_owned()), Times::Each));
    job.timeout = Some(timeout.unwrap_or(COMMAND_TIMEOUT));
    job.on_failure = OnFailure::Restart;
    job.backoff = COMMAND_BACKOFF;
    let mut draft = Draft::new(job, object.place_of("command"));
    draft.timeout_given = true;
    Some(draft)
}

/// The name of a signal.
pub(crate) fn signal_name(signal: i32) -> &'static str {
    SIGNALS.iter().find(|(_, number)| *number == signal).map_or("", |(name, _)| name)
}

/// The names of all signals, for the table of keys.
pub(crate) const SIGNAL_NAMES: [&str; 7] = {
    let mut names = [""; 7];
    let mut index = 0;
    while index < 7 {
        names[index] = SIGNALS[index].0;
        index += 1;
    }
    names
};
