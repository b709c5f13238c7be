//! The settings themselves. A flag and a key of a config file that mean the same have the same path, and are read by the same function.

use std::path::PathBuf;
use std::time::Duration;

use pilotfish_config::{Level, Secret};

use super::refused::refused;
use super::words::{Command, duration, mode, signal, truth, wait};

/// A value, as a flag or a config file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// One text; numbers and truth values are texts, too.
    Text(String),
    /// Several.
    List(Vec<String>),
}

impl Given {
    fn text(&self) -> Result<&str, String> {
        match self {
            Given::Text(text) => Ok(text),
            Given::List(_) => Err("expected one value, found a list".to_owned()),
        }
    }

    /// A list; one text is a list of one.
    fn list(&self) -> Vec<String> {
        match self {
            Given::Text(text) => vec![text.clone()],
            Given::List(list) => list.clone(),
        }
    }

    fn command(&self) -> Result<Option<Command>, String> {
        let command = match self {
            Given::Text(line) => Command::Line(line.clone()),
            // A list of one is a line, as in consul-template.
            Given::List(words) if words.len() == 1 => Command::Line(words[0].clone()),
            Given::List(words) => Command::Words(words.clone()),
        };
        match command.argv().first() {
            None => Ok(None),
            Some(program) if program.is_empty() => Err("the command has no program".to_owned()),
            Some(_) => Ok(Some(command)),
        }
    }
}

/// All settings; what nobody set is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(super) consul: Consul,
    pub(super) exec: Exec,
    pub(super) templates: Vec<TemplateSettings>,
    pub(super) wait: Waiting,
    pub(super) kill_signal: Option<Option<i32>>,
    pub(super) reload_signal: Option<Option<i32>>,
    pub(super) log_level: Option<Level>,
    pub(super) log_file: Option<String>,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) error_on_missing_key: bool,
    /// Settings that change nothing here, and why.
    pub(super) idle: Vec<(String, &'static str)>,
}

/// Where Consul is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Consul {
    pub(super) address: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) token_file: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) auth_disabled: bool,
    pub(super) ssl: Option<bool>,
    pub(super) verify: Option<bool>,
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) ca_cert: Option<String>,
    pub(super) ca_path: Option<String>,
    pub(super) server_name: Option<String>,
}

/// The child of `-exec`, or the command of a template.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Exec {
    pub(super) command: Option<Command>,
    pub(super) disabled: bool,
    pub(super) splay: Duration,
    pub(super) timeout: Option<Duration>,
    pub(super) reload_signal: Option<i32>,
    pub(super) kill_signal: Option<i32>,
    pub(super) kill_timeout: Option<Duration>,
    pub(super) environment: Environment,
}

/// What a command sees of our environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) pristine: bool,
    pub(super) custom: Vec<(String, String)>,
    pub(super) allowlist: Vec<String>,
    pub(super) denylist: Vec<String>,
}

/// How long changes are collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) min: Option<Duration>,
    pub(super) max: Option<Duration>,
    pub(super) disabled: bool,
}

/// One template.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TemplateSettings {
    pub(super) source: Option<String>,
    pub(super) contents: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) no_directories: bool,
    pub(super) exec: Exec,
    pub(super) error_on_missing_key: bool,
    pub(super) perms: Option<u32>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) backup: bool,
    pub(super) wait: Waiting,
}

/// Settings that have no effect here, each with the reason; all else that is not known is an error.
const IDLE: [(&str, &str); 9] = [
    ("consul.retry.enabled", "questions are repeated until they are answered"),
    ("consul.retry.attempts", "questions are repeated until they are answered"),
    ("consul.retry.backoff", "pauses between questions are those of pilotfish: at most 5 s"),
    ("consul.retry.max_backoff", "pauses between questions are those of pilotfish: at most 5 s"),
    ("retry", "questions are repeated until they are answered"),
    ("max_stale", "Consul's leader is asked, so that no answer is stale"),
    ("block_query_wait", "questions are held for a minute"),
    (
        "template_error_fatal",
        "a template that fails leaves its file alone and the others running; with -once it is an error",
    ),
    ("error_fatal", "a template that fails leaves its file alone and the others running; with -once it is an error"),
];

fn why_idle(path: &str) -> Option<&'static str> {
    if path.starts_with("consul.transport.") {
        return Some("connections are kept as pilotfish keeps them");
    }
    IDLE.iter().find(|(idle, _)| *idle == path).map(|(_, reason)| *reason)
}

impl Settings {
    /// Takes one setting, by its path.
    ///
    /// # Errors
    /// What is wrong with its value; or that there is no such setting.
    pub(crate) fn set(&mut self, path: &str, given: &Given) -> Result<(), String> {
        if let Some(reason) = refused(path) {
            return Err(reason.to_owned());
        }
        if let Some(rest) = path.strip_prefix("exec.").filter(|rest| *rest != "enabled") {
            return self.exec.set(rest, given);
        }
        if let Some(rest) = path.strip_prefix("wait") {
            return self.wait.set(rest.trim_start_matches('.'), given);
        }
        if let Some(rest) = path.strip_prefix("consul.")
            && self.consul.set(rest, given)?
        {
            return Ok(());
        }
        match path {
            "consul" => self.consul.address = Some(given.text()?.to_owned()),
            "exec" => self.exec.command = given.command()?,
            "exec.enabled" => self.exec.disabled = !truth(given.text()?)?,
            "template" => self.templates.push(TemplateSettings::parse(given.text()?)?),
            "kill_signal" => self.kill_signal = Some(signal(given.text()?)?),
            "reload_signal" => self.reload_signal = Some(signal(given.text()?)?),
            "log_level" => self.log_level = Some(level(given.text()?)?),
            "log_file" | "log_file.path" => self.log_file = Some(given.text()?.to_owned()),
            "pid_file" => self.pid_file = Some(given.text()?.into()),
            "error_on_missing_key" => self.error_on_missing_key = truth(given.text()?)?,
            _ => match why_idle(path) {
                Some(reason) => self.idle.push((path.to_owned(), reason)),
                None => return Err("there is no such setting".to_owned()),
            },
        }
        Ok(())
    }
}

impl Consul {
    /// Takes a setting, if it is one.
    fn set(&mut self, path: &str, given: &Given) -> Result<bool, String> {
        let text = given.text()?;
        let filled = || Some(text.to_owned()).filter(|text| !text.is_empty());
        match path {
            "address" => self.address = filled(),
            "token" => self.token = filled().map(Secret::new),
            "token_file" => self.token_file = filled(),
            "auth" => {
                let (user, password) = text.split_once(':').unwrap_or((text, ""));
                (self.username, self.password) = (Some(user.to_owned()), Some(Secret::new(password)));
            }
            "auth.username" => self.username = filled(),
            "auth.password" => self.password = filled().map(Secret::new),
            "auth.enabled" => self.auth_disabled = !truth(text)?,
            "ssl.enabled" => self.ssl = Some(truth(text)?),
            "ssl.verify" => self.verify = Some(truth(text)?),
            "ssl.cert" => self.cert = filled(),
            "ssl.key" => self.key = filled(),
            "ssl.ca_cert" => self.ca_cert = filled(),
            "ssl.ca_path" => self.ca_path = filled(),
            "ssl.server_name" => self.server_name = filled(),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Exec {
    fn set(&mut self, path: &str, given: &Given) -> Result<(), String> {
        let environment = &mut self.environment;
        match path {
            "command" => self.command = given.command()?,
            "enabled" => self.disabled = !truth(given.text()?)?,
            "splay" => self.splay = duration(given.text()?)?,
            "timeout" => self.timeout = Some(duration(given.text()?)?),
            "reload_signal" => self.reload_signal = signal(given.text()?)?,
            "kill_signal" => self.kill_signal = signal(given.text()?)?,
            "kill_timeout" => self.kill_timeout = Some(duration(given.text()?)?),
            "env.pristine" => environment.pristine = truth(given.text()?)?,
            "env.custom" => {
                for variable in given.list() {
                    let pair = variable.split_once('=').filter(|(name, _)| !name.is_empty());
                    let (name, value) = pair.ok_or_else(|| format!("'{variable}' is not of the form NAME=VALUE"))?;
                    environment.custom.push((name.to_owned(), value.to_owned()));
                }
            }
            "env.allowlist" | "env.whitelist" => environment.allowlist.extend(given.list()),
            "env.denylist" | "env.blacklist" => environment.denylist.extend(given.list()),
            _ => return Err("there is no such setting".to_owned()),
        }
        Ok(())
    }
}

impl Waiting {
    fn set(&mut self, path: &str, given: &Given) -> Result<(), String> {
        match path {
            "" => {
                let (min, max) = wait(given.text()?)?;
                (self.min, self.max) = (Some(min), Some(max));
            }
            "min" => self.min = Some(duration(given.text()?)?),
            "max" => self.max = Some(duration(given.text()?)?),
            "enabled" => self.disabled = !truth(given.text()?)?,
            _ => return Err("there is no such setting".to_owned()),
        }
        Ok(())
    }
}

impl TemplateSettings {
    /// `SOURCE[:DESTINATION[:COMMAND[:TIMEOUT]]]`; colons in the command are its own, unless what follows the last is a duration.
    fn parse(text: &str) -> Result<TemplateSettings, String> {
        let mut parts = text.splitn(3, ':');
        let filled = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(str::to_owned);
        let source = filled(parts.next())
            .ok_or_else(|| format!("'{text}' has no source; write SOURCE:DESTINATION[:COMMAND[:TIMEOUT]]"))?;
        let mut template =
            TemplateSettings { source: Some(source), destination: filled(parts.next()), ..TemplateSettings::default() };
        if let Some(command) = filled(parts.next()) {
            let (command, timeout) = match command.rsplit_once(':') {
                Some((command, last)) if last != "0" && duration(last).is_ok() => (command, Some(duration(last)?)),
                Some(_) | None => (command.as_str(), None),
            };
            template.exec.command = Given::Text(command.to_owned()).command()?;
            template.exec.timeout = timeout;
        }
        Ok(template)
    }

    /// Takes one setting of a template in a config file.
    ///
    /// # Errors
    /// What is wrong with its value; or that there is no such setting.
    pub(super) fn set(&mut self, path: &str, given: &Given) -> Result<(), String> {
        if let Some(reason) = refused(path) {
            return Err(reason.to_owned());
        }
        if let Some(rest) = path.strip_prefix("exec.") {
            return self.exec.set(rest, given);
        }
        if let Some(rest) = path.strip_prefix("wait") {
            return self.wait.set(rest.trim_start_matches('.'), given);
        }
        match path {
            "source" => self.source = Some(given.text()?.to_owned()),
            "contents" => self.contents = Some(given.text()?.to_owned()),
            "destination" => self.destination = Some(given.text()?.to_owned()).filter(|path| !path.is_empty()),
            "create_dest_dirs" => self.no_directories = !truth(given.text()?)?,
            "command" => self.exec.command = given.command()?,
            "command_timeout" => self.exec.timeout = Some(duration(given.text()?)?),
            "error_on_missing_key" => self.error_on_missing_key = truth(given.text()?)?,
            "perms" => self.perms = Some(mode(given.text()?)?),
            "user" | "uid" => self.user = Some(given.text()?.to_owned()),
            "group" | "gid" => self.group = Some(given.text()?.to_owned()),
            "backup" => self.backup = truth(given.text()?)?,
            "function_denylist" | "function_blacklist" => {
                // What would run programs or write files is not there at all.
                let missing = ["plugin", "writeToFile"];
                if let Some(other) = given.list().iter().find(|name| !missing.contains(&name.as_str())) {
                    return Err(format!(
                        "functions cannot be denied, and '{other}' is one; leave it out of the template"
                    ));
                }
            }
            _ if why_idle(path).is_some() => {}
            _ => return Err("there is no such setting".to_owned()),
        }
        Ok(())
    }
}

/// consul-template's levels.
pub(super) fn level(text: &str) -> Result<Level, String> {
    match text.to_ascii_lowercase().as_str() {
        "trace" | "debug" => Ok(Level::Debug),
        "info" | "notice" => Ok(Level::Info),
        "warn" | "warning" => Ok(Level::Warn),
        "err" | "error" => Ok(Level::Error),
        _ => Err(format!("'{text}' is not a level; write trace, debug, info, warn or err")),
    }
}

#[cfg(test)]
mod tests;
