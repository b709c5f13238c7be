//! What settings mean here: a config with templates, a job for each command that follows a change, and the child of `-exec` as the main
//! application.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use pilotfish_config::{
    CatalogSettings, CatalogTls, Config, Control, Format, Level, Loaded, LogOutput, Logging, Scheme, Secret,
};
use pilotfish_supervisor::{
    Backoff, Condition, HangupMeaning, Job, Notify, Occurrence, OnFailure, Output, Process, Quantifier, Reaction,
    Restarts, SignalMeanings, Spec, Start, Template, Times, Wait,
};

use super::settings::{Environment, Exec, Settings, TemplateSettings, Waiting};
use super::{TemplateLine, files};
use crate::errors::UsageError;

/// Largest source of a template, in bytes.
const SOURCE_LIMIT: u64 = 4 << 20;

/// How long a command may take when nobody says; consul-template's.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// How a command that failed is tried again.
const COMMAND_BACKOFF: Backoff =
    Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60), reset_after: Duration::from_secs(60) };

/// How long the child has to stop when nobody says; consul-template's.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a reload waits for what changed.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The config that a command line and its files mean.
///
/// # Errors
/// A [`UsageError`] that says where what is wrong.
pub(crate) fn load(line: &TemplateLine, env: &BTreeMap<String, String>) -> anyhow::Result<Loaded> {
    let settings = settings(line).map_err(UsageError)?;
    let config = translate(&settings, line, env).map_err(UsageError)?;
    let warning =
        |(path, reason): &(String, &str)| pilotfish_config::Problem::nowhere(format!("{path} has no effect: {reason}"));
    Ok(Loaded { config, warnings: settings.idle.iter().map(warning).collect() })
}

/// The same while everything runs. A pipe could keep the supervisor waiting, and has been read already: what is left in it is nothing.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_again(line: &TemplateLine, env: &BTreeMap<String, String>) -> anyhow::Result<Loaded> {
    let settings = settings(line).map_err(UsageError)?;
    for source in settings.templates.iter().filter_map(|template| template.source.as_ref()) {
        if fs::metadata(source).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            return Err(UsageError(format!("cannot read template {source} again: it is no file")).into());
        }
    }
    load(line, env)
}

/// Where the process id is written, if it is wanted.
///
/// # Errors
/// As [`load`].
pub(crate) fn pid_file(line: &TemplateLine) -> anyhow::Result<Option<PathBuf>> {
    Ok(settings(line).map_err(UsageError)?.pid_file)
}

/// What signals mean; SIGTERM and SIGINT always stop, and all others go to the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signals {
    /// Stops everything.
    pub(crate) stop: i32,
    /// Has the settings read again.
    pub(crate) reload: Option<i32>,
}

/// What signals mean by the settings; a reload does not change it.
///
/// # Errors
/// As [`load`].
pub(crate) fn signals(line: &TemplateLine) -> anyhow::Result<Signals> {
    let settings = settings(line).map_err(UsageError)?;
    let stop = settings.kill_signal.flatten().unwrap_or(libc::SIGINT);
    Ok(Signals { stop, reload: settings.reload_signal.unwrap_or(Some(libc::SIGHUP)) })
}

/// Reads everything, and parses the templates.
///
/// # Errors
/// As [`load`]; or the first template that cannot be parsed.
pub(crate) fn parse(line: &TemplateLine, env: &BTreeMap<String, String>) -> anyhow::Result<()> {
    for template in load(line, env)?.config.spec.templates {
        let name = template.source.as_deref().unwrap_or(&template.name);
        let parsed =
            pilotfish_template::Template::parse(name, &template.text, &pilotfish_template::catalog_functions());
        parsed.map_err(|error| UsageError(error.to_string()))?;
    }
    Ok(())
}

fn settings(line: &TemplateLine) -> Result<Settings, String> {
    let mut settings = Settings::default();
    for path in &line.config {
        files::read(path, &mut settings)?;
    }
    for (path, given) in &line.given {
        settings.set(path, given).map_err(|problem| format!("-{}: {problem}", path.replace(['.', '_'], "-")))?;
    }
    Ok(settings)
}

fn translate(settings: &Settings, line: &TemplateLine, env: &BTreeMap<String, String>) -> Result<Config, String> {
    if settings.templates.is_empty() && settings.exec.command.is_none() {
        return Err("nothing to render: give a -template SOURCE:DESTINATION, or a -config with templates".to_owned());
    }
    let child = if settings.exec.disabled || line.dry { None } else { child(&settings.exec, env) };
    let mut spec = Spec {
        once: line.once,
        stop_timeout: settings.exec.kill_timeout.unwrap_or(KILL_TIMEOUT),
        reload_timeout: RELOAD_TIMEOUT,
        signals: SignalMeanings { hangup: HangupMeaning::Reload, ..SignalMeanings::default() },
        ..Spec::default()
    };
    for template in &settings.templates {
        let translated = self::template(template, settings, line, child.as_ref())?;
        // Compared as paths, for which `a//b` and `a/./b` are the same.
        let path = Path::new(&translated.destination);
        if spec.templates.iter().any(|other| Path::new(&other.destination) == path) && !line.dry {
            return Err(format!("two templates have the destination {}; give each its own", translated.destination));
        }
        if translated.source.as_ref().is_some_and(|source| Path::new(source) == path) && !line.dry {
            return Err(format!("template {} would be overwritten: it is its own destination", path.display()));
        }
        if !line.dry && !template.exec.disabled && template.exec.command.is_some() {
            add_command(&mut spec.jobs, &translated.name, &template.exec, line.once, env);
        }
        spec.templates.push(translated);
    }
    spec.jobs.extend(child);
    Ok(Config {
        spec,
        catalog: Some(catalog(settings, env)?),
        logging: logging(settings, env)?,
        control: Control { socket: String::new() },
        telemetry: None,
        mysql: None,
        environment: Vec::new(),
    })
}

fn template(
    given: &TemplateSettings,
    settings: &Settings,
    line: &TemplateLine,
    child: Option<&Job>,
) -> Result<Template, String> {
    let (source, text) = match (&given.source, &given.contents) {
        (Some(source), None) => (Some(source.clone()), read(source)?),
        (None, Some(contents)) => (None, contents.clone()),
        (Some(source), Some(_)) => {
            return Err(format!("template {source} has a source and contents; give one of them"));
        }
        (None, None) => return Err("a template has neither source nor contents; give it one of them".to_owned()),
    };
    let shown = source.clone().unwrap_or_else(|| "with contents".to_owned());
    let destination = match (&given.destination, line.dry) {
        (Some(destination), _) => destination.clone(),
        (None, true) => shown.clone(),
        (None, false) => {
            return Err(format!(
                "template {shown} has no destination; write SOURCE:DESTINATION, or use -dry to print it"
            ));
        }
    };
    Ok(Template {
        name: destination.clone(),
        source,
        text,
        destination,
        perms: given.perms,
        user: given.user.clone(),
        group: given.group.clone(),
        create_directories: !given.no_directories,
        backup: given.backup,
        strict: given.error_on_missing_key || settings.error_on_missing_key,
        delimiters: None,
        wait: if line.once { None } else { waiting(&given.wait, &settings.wait)? },
        splay: child.map_or(Duration::ZERO, |_| settings.exec.splay),
        required: true,
        announced: true,
        check: None,
        notify: child.map(|child| notify(child, &settings.exec)).into_iter().collect(),
    })
}

fn read(source: &str) -> Result<String, String> {
    let failed = |problem: String| format!("cannot read template {source}: {problem}");
    let mut bytes = Vec::new();
    let file = fs::File::open(source).and_then(|file| file.take(SOURCE_LIMIT + 1).read_to_end(&mut bytes));
    file.map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > SOURCE_LIMIT {
        return Err(failed(format!("it is larger than {SOURCE_LIMIT} bytes; is this the right file?")));
    }
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text; is this the right file?".to_owned()))
}

/// A template's own wait, or that of all.
fn waiting(own: &Waiting, all: &Waiting) -> Result<Option<Wait>, String> {
    let waiting = if own.min.is_some() || own.max.is_some() || own.disabled { own } else { all };
    if waiting.disabled || waiting.min.is_none() && waiting.max.is_none() {
        return Ok(None);
    }
    let min = waiting.min.unwrap_or_default();
    let max = waiting.max.unwrap_or(min.saturating_mul(4));
    if min > max {
        return Err("wait: min is longer than max".to_owned());
    }
    Ok(Some(Wait { min, max }).filter(|wait| !wait.min.is_zero()))
}

/// What a change means for the child: the reload signal, or a restart where there is none.
fn notify(child: &Job, exec: &Exec) -> Notify {
    let reaction = match exec.reload_signal {
        Some(signal) => Reaction::Signal(signal),
        None => Reaction::Restart { signal: Some(exec.kill_signal.unwrap_or(libc::SIGINT)) },
    };
    Notify { job: child.name.clone(), reaction }
}

/// The child, with our own input and output; its end is ours.
fn child(exec: &Exec, env: &BTreeMap<String, String>) -> Option<Job> {
    let argv = exec.command.as_ref()?.argv();
    let mut process = process(argv, &exec.environment, env);
    process.output = Output::Attached;
    process.stop_signal = Some(exec.kill_signal.unwrap_or(libc::SIGINT));
    let start = Start::On(condition(vec![Occurrence::Startup], Times::Once));
    Some(Job {
        main: true,
        timeout: exec.timeout.filter(|limit| !limit.is_zero()),
        ..job("exec".to_owned(), process, start)
    })
}

/// One job for each different command, however many templates have it.
fn add_command(jobs: &mut Vec<Job>, template: &str, exec: &Exec, once: bool, env: &BTreeMap<String, String>) {
    let Some(command) = &exec.command else { return };
    let mut process = process(command.argv(), &exec.environment, env);
    process.output = Output::Raw;
    let timeout = Some(exec.timeout.unwrap_or(COMMAND_TIMEOUT)).filter(|limit| !limit.is_zero());
    let trigger = Occurrence::TemplateChanged(template.to_owned());
    for job in jobs.iter_mut() {
        if let Start::On(condition) = &mut job.start
            && job.process.as_ref() == Some(&process)
            && job.timeout == timeout
        {
            return condition.triggers.push(trigger);
        }
    }
    let start = Start::On(condition(vec![trigger], Times::Each));
    // As long as it fails, what reads the file does not know of the change.
    let on_failure = if once { OnFailure::Exit } else { OnFailure::Restart };
    let name = format!("command of {template}");
    jobs.push(Job { timeout, on_failure, backoff: COMMAND_BACKOFF, ..job(name, process, start) });
}

fn process(argv: Vec<String>, wanted: &Environment, env: &BTreeMap<String, String>) -> Process {
    let is_kept = |name: &str| {
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| matches_glob(pattern, name));
        !wanted.pristine && (wanted.allowlist.is_empty() || matches(&wanted.allowlist)) && !matches(&wanted.denylist)
    };
    let unset = env.keys().filter(|name| !is_kept(name)).cloned().collect();
    Process { argv, env: wanted.custom.clone(), unset, ..Process::default() }
}

/// A pattern in which `*` is any text and `?` any character.
fn matches_glob(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches_glob(rest, &name[at..]))
        }
        Some(wanted) => {
            let mut characters = name.chars();
            characters.next().is_some_and(|found| wanted == '?' || wanted == found)
                && matches_glob(&pattern[wanted.len_utf8()..], characters.as_str())
        }
    }
}

fn condition(triggers: Vec<Occurrence>, times: Times) -> Condition {
    Condition { triggers, quantifier: Quantifier::Any, times, timeout: None, hold_back: None }
}

fn job(name: String, process: Process, start: Start) -> Job {
    Job {
        name,
        process: Some(process),
        start,
        after: None,
        restarts: Restarts::Limited(0),
        backoff: Backoff { initial: Duration::ZERO, max: Duration::ZERO, reset_after: Duration::ZERO },
        on_failure: OnFailure::Ignore,
        timeout: None,
        stopping_timeout: None,
        main: false,
        health: None,
        service: None,
    }
}

/// Where Consul is: what is set, else what Consul's own variables say, else this machine.
fn catalog(settings: &Settings, env: &BTreeMap<String, String>) -> Result<CatalogSettings, String> {
    let consul = &settings.consul;
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let truth = |name: &str| {
        variable(name).map(|value| super::words::truth(&value).map_err(|problem| format!("{name}: {problem}")))
    };
    let ssl = match consul.ssl {
        Some(ssl) => ssl,
        None => truth("CONSUL_HTTP_SSL").transpose()?.unwrap_or(false),
    };
    let verify = match consul.verify {
        Some(verify) => verify,
        None => truth("CONSUL_HTTP_SSL_VERIFY").transpose()?.unwrap_or(true),
    };
    let default = if ssl { Scheme::Https } else { Scheme::Http };
    let text = consul.address.clone().or(variable("CONSUL_HTTP_ADDR")).unwrap_or_else(|| "127.0.0.1:8500".to_owned());
    let mut addresses = Vec::new();
    for address in text.split(',') {
        let mut address = pilotfish_config::parse_address(address.trim(), default)?;
        // Who asks for TLS does not get less, whatever the address says.
        if ssl && address.scheme == Scheme::Http {
            address.scheme = Scheme::Https;
        }
        addresses.push(address);
    }
    let credentials = match (&consul.username, &consul.password, consul.auth_disabled) {
        (_, _, true) => None,
        (Some(user), password, _) => {
            Some(Secret::new(format!("{user}:{}", password.as_ref().map_or("", Secret::reveal))))
        }
        (None, _, _) => variable("CONSUL_HTTP_AUTH").map(Secret::new),
    };
    let own = |given: &Option<String>, name: &str| given.clone().or(variable(name));
    Ok(CatalogSettings {
        addresses,
        token: consul.token.clone().or(variable("CONSUL_TOKEN").or(variable("CONSUL_HTTP_TOKEN")).map(Secret::new)),
        token_file: own(&consul.token_file, "CONSUL_HTTP_TOKEN_FILE"),
        credentials,
        datacenter: None,
        tls: CatalogTls {
            ca_file: own(&consul.ca_cert, "CONSUL_CACERT"),
            ca_path: own(&consul.ca_path, "CONSUL_CAPATH"),
            client_cert: own(&consul.cert, "CONSUL_CLIENT_CERT"),
            client_key: own(&consul.key, "CONSUL_CLIENT_KEY"),
            server_name: own(&consul.server_name, "CONSUL_TLS_SERVER_NAME"),
            verify,
        },
    })
}

/// As in consul-template, warnings and what is worse go to standard error; what is rendered may go to standard output.
fn logging(settings: &Settings, env: &BTreeMap<String, String>) -> Result<Logging, String> {
    let level = match (settings.log_level, env.get("CT_LOG").or(env.get("CONSUL_TEMPLATE_LOG"))) {
        (Some(level), _) => level,
        (None, Some(word)) => super::settings::level(word).map_err(|problem| format!("CT_LOG: {problem}"))?,
        (None, None) => Level::Warn,
    };
    let output = settings.log_file.clone().map_or(LogOutput::Stderr, LogOutput::File);
    Ok(Logging { level, format: Format::Default, output })
}

#[cfg(test)]
mod tests;
