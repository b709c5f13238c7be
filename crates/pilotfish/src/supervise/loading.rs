//! From where the config is to what it means here.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    io::Read as _,
    path::Path,
    sync::OnceLock,
};

use pilotfish_config::{Interface, Loaded, MAX_CONFIG_BYTES, Surroundings, decode, is_server, load, mask};

use crate::{
    command_line::ConfigLocation,
    consul_template::{self, TemplateLine},
    errors::UsageError,
};

/// The link to the program of a process (proc_pid_exe(5)).
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Where a database's operator gets the password of replication from; a config with a database does not load without.
const PASSWORD_VARIABLE: &str = "MYSQL_REPL_PASSWORD";
const PASSWORD_FILE_VARIABLE: &str = "MYSQL_REPL_PASSWORD_FILE";

/// Where the config and the main application come from; the same for every reload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The config; without one only the command runs.
    pub(crate) config: Option<ConfigLocation>,
    /// The main application of the command line; may be empty.
    pub(crate) command: Vec<String>,
    /// In place of both: a command line of consul-template.
    pub(crate) templates: Option<TemplateLine>,
}

/// The environment of the supervisor and of what it starts; values may be any bytes.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// The environment that the supervisor was started with, and its own process id as ContainerPilot gives it.
pub(crate) fn environment() -> Environment {
    let pid = ("CONTAINERPILOT_PID".into(), std::process::id().to_string().into());
    let mut environment = Environment::new();
    environment.extend(std::env::vars_os().chain([pid]));
    environment
}

impl Origin {
    /// Reads, renders and checks the config.
    ///
    /// # Errors
    /// A [`UsageError`] with everything that is wrong with it.
    pub(crate) fn load(&self, environment: &Environment) -> anyhow::Result<Loaded> {
        if let Some(line) = &self.templates {
            return consul_template::load(line, &variables(environment));
        }
        let (name, text) = match &self.config {
            // A database needs no config to be one on autopilot: everything is in the environment.
            None if is_server(&self.command) => ("command line".to_owned(), "{ mysql: {} }".to_owned()),
            None => ("command line".to_owned(), "{}".to_owned()),
            Some(location) => read(location)?,
        };
        let command = (!self.command.is_empty()).then(|| self.command.clone());
        understood(&name, &text, &surroundings(environment, command))
    }

    /// The same while everything runs. A pipe could keep the supervisor waiting, and has been read already.
    ///
    /// # Errors
    /// A [`UsageError`] with everything that is wrong with it.
    pub(crate) fn load_again(&self, environment: &Environment) -> anyhow::Result<Loaded> {
        if let Some(line) = &self.templates {
            return consul_template::load_again(line, &variables(environment));
        }
        if let Some(ConfigLocation::File(path)) = &self.config
            && fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
        {
            return Err(UsageError(format!("cannot read config {} again: it is no file", path.display())).into());
        }
        self.load(environment)
    }
}

/// Loads a text; the values of secret variables do not turn up in what is wrong with it.
fn understood(name: &str, text: &str, surroundings: &Surroundings) -> anyhow::Result<Loaded> {
    load(text, name, surroundings, &read_source)
        .map_err(|errors| UsageError(mask(&errors.to_string(), &surroundings.env)).into())
}

/// A config's name in messages, and its text.
pub(crate) fn read(location: &ConfigLocation) -> anyhow::Result<(String, String)> {
    match location {
        ConfigLocation::Inline(text) => Ok(("inline config".to_owned(), text.clone())),
        ConfigLocation::File(path) => Ok((path.display().to_string(), read_file(path)?)),
    }
}

/// The largest template, in bytes; a larger one is some other file.
const MAX_TEMPLATE_BYTES: u64 = 4 << 20;

/// The text of a template.
fn read_source(path: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read {path}: {error}");
    let metadata = fs::metadata(path).map_err(failed)?;
    // A pipe would keep everything waiting, and could be read only once.
    if !metadata.is_file() {
        return Err(format!("cannot read {path}: it is no file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_TEMPLATE_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_TEMPLATE_BYTES {
        return Err(format!("cannot use {path}: it has more than {MAX_TEMPLATE_BYTES} bytes; is this the right file?"));
    }
    String::from_utf8(bytes)
        .map_err(|error| format!("cannot use {path}: byte {} is not UTF-8 text", error.utf8_error().valid_up_to()))
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let metadata = fs::metadata(path).map_err(|error| {
        UsageError(format!("cannot read config {shown}: {error}; name it with -c FILE or the variable CONTAINERPILOT"))
    })?;
    if metadata.is_dir() {
        return Err(UsageError(format!("cannot read config {shown}: it is a directory, expected a file")).into());
    }
    // One byte more than is allowed is enough to be refused; a device without end is not read for ever.
    let mut bytes = Vec::with_capacity(metadata.len().min(MAX_CONFIG_BYTES as u64) as usize + 1);
    let file = fs::File::open(path).and_then(|file| file.take(MAX_CONFIG_BYTES as u64 + 1).read_to_end(&mut bytes));
    file.map_err(|error| UsageError(format!("cannot read config {shown}: {error}")))?;
    let text = decode(&bytes, &shown.to_string()).map_err(|errors| UsageError(errors.to_string()))?;
    Ok(text.to_owned())
}

/// The variables that can occur in a template; one that is not UTF-8 cannot, and is still passed on to processes.
pub(crate) fn variables(environment: &Environment) -> BTreeMap<String, String> {
    let texts = environment.iter().map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned())));
    let mut variables = BTreeMap::new();
    variables.extend(texts.flatten());
    variables
}

/// What a config depends on besides its text, as it is here and now.
pub(crate) fn surroundings(environment: &Environment, command: Option<Vec<String>>) -> Surroundings {
    let interfaces =
        pilotfish_process::interfaces().into_iter().map(|(name, address)| Interface { name, address }).collect();
    let hostname = pilotfish_process::hostname();
    Surroundings { env: variables(environment), interfaces, hostname, command, program: own_program() }
}

/// The path of this program, as it was when it was first asked for: a reload must not find another, or none, when the file is replaced.
fn own_program() -> String {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    let found = || fs::read_link(OWN_PROGRAM).ok().and_then(|path| path.into_os_string().into_string().ok());
    PROGRAM.get_or_init(|| found().unwrap_or_else(|| OWN_PROGRAM.to_owned())).clone()
}

/// Loads a config that is only looked at.
///
/// # Errors
/// A [`UsageError`] with everything that is wrong with it.
pub(crate) fn load_location(location: &ConfigLocation) -> anyhow::Result<Loaded> {
    load_location_in(location, &environment())
}

/// The same for somebody who looks for a running supervisor or operator: the password that only those need need not be there.
///
/// # Errors
/// As [`load_location`].
pub(crate) fn load_location_to_look(location: &ConfigLocation) -> anyhow::Result<Loaded> {
    let mut environment = environment();
    if !environment.contains_key(OsStr::new(PASSWORD_FILE_VARIABLE)) {
        environment.entry(PASSWORD_VARIABLE.into()).or_insert_with(|| "not needed to look".into());
    }
    load_location_in(location, &environment)
}

fn load_location_in(location: &ConfigLocation, environment: &Environment) -> anyhow::Result<Loaded> {
    let (name, text) = read(location)?;
    understood(&name, &text, &surroundings(environment, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inline(text: &str) -> Origin {
        Origin { config: Some(ConfigLocation::Inline(text.into())), ..Origin::default() }
    }

    #[test]
    fn mistakes_do_not_tell_secrets_and_the_environment_is_the_one_given() {
        let environment = Environment::from([("DB_PASSWORD".into(), "hunter2".into()), ("LIMIT".into(), "7".into())]);
        let refused = inline(r#"{ stopTimeout: "{{ .DB_PASSWORD }}" }"#).load(&environment).unwrap_err().to_string();
        assert!(refused.contains("stopTimeout") && !refused.contains("hunter2"), "{refused}");
        inline(r#"{ stopTimeout: {{ .LIMIT }}, jobs: [{ name: "a", exec: "true" }] }"#).load(&environment).unwrap();
    }

    #[test]
    fn a_device_is_not_read_again() {
        let origin = Origin { config: Some(ConfigLocation::File("/dev/null".into())), ..Origin::default() };
        let refused = origin.load_again(&Environment::new()).unwrap_err().to_string();
        assert!(refused.contains("it is no file"), "{refused}");
    }
}
