//! The command line: from arguments to one plain [`Invocation`], without any I/O.
//!
//! ```text
//! argv ──┬─ argv[0] is consul ────────────────────────────────────► its arguments as they are
//!        ├─ argv[0] is containerpilot, or a ContainerPilot flag ─► containerpilot ─┐
//!        ├─ argv[0] is consul-template, or the word template ────► consul_template ┤
//!        ├─ the forms that a container starts with ──────────────► direct ─────────┼─► Invocation
//!        └─ everything else ─────────────────────────────────────► native (clap) ──┘
//! ```
//!
//! `direct` exists for speed: an image's entry point waits for it, and must not wait for a tree of subcommands to be built.

mod consul_template;
mod containerpilot;
mod direct;
mod documents;
mod duration;
mod invocation;
mod mysql;
mod native;

use std::{ffi::OsString, path::Path};

pub(crate) use documents::{completion, man_page};
pub(crate) use invocation::{
    Answer, CatalogCommand, ConfigCommand, ConfigLocation, Control, ControlRequest, ControlSocket, Invocation, Probe,
    Run, Shell,
};
pub(crate) use mysql::{Follow, MysqlCommand, MysqlOrder, MysqlRequest, OperatorSocket};

/// Variables that say where the config is when no flag does, the first one that is set and not empty wins.
const CONFIG_VARIABLES: [&str; 2] = ["CONTAINERPILOT", "PILOTFISH_CONFIG"];

/// Exit code of a command line that cannot be understood, as of every other program built on getopt or Go's `flag`.
const USAGE_EXIT_CODE: u8 = 2;

/// Understands a command line.
///
/// `argv` is the whole of it, program name first; `env` looks up an environment variable.
///
/// # Errors
/// An [`Answer`] is what the caller prints before it exits at once: a help text (exit code 0) or a usage error (exit code 2).
pub(crate) fn parse(
    argv: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Invocation, Answer> {
    let (program, arguments) = text_arguments(argv)?;
    let called = Path::new(&program).file_name();
    if called.is_some_and(|name| name == "consul") {
        return Ok(Invocation::Consul(arguments));
    }
    let configured = CONFIG_VARIABLES.iter().filter_map(|name| env(name)).find(|value| !value.is_empty());
    let configured = configured.as_deref().map(ConfigLocation::parse);
    if called.is_some_and(|name| name == "consul-template") {
        return consul_template::parse(&arguments);
    }
    if let Some((first, rest)) = arguments.split_first()
        && first == "template"
    {
        return consul_template::parse(rest);
    }
    let by_name = called.is_some_and(|name| name == "containerpilot");
    if by_name || arguments.first().is_some_and(|first| containerpilot::is_flag(first)) {
        return containerpilot::parse(&arguments, configured);
    }
    let invocation = match direct::parse(&arguments) {
        Some(invocation) => invocation,
        None => native::parse(program, arguments, configured.clone())?,
    };
    let Invocation::Run(run) = invocation else { return Ok(invocation) };
    completed(run, configured)
}

/// Gives a run the config of the environment where no flag named one; a run of nothing is an error.
fn completed(run: Run, configured: Option<ConfigLocation>) -> Result<Invocation, Answer> {
    let config = run.config.or(configured);
    if config.is_none() && run.command.is_empty() {
        return Err(Answer::usage(
            "nothing to run: name a command (pilotfish CMD ARG...) or a config (-c FILE, or the variable CONTAINERPILOT)\n\
             For more information, try 'pilotfish --help'.",
        ));
    }
    Ok(Invocation::Run(Run { config, ..run }))
}

/// The program's name and its arguments as text.
///
/// Arguments are rendered as templates later on, which are text; other bytes are refused here rather than mangled.
fn text_arguments(argv: impl IntoIterator<Item = OsString>) -> Result<(String, Vec<String>), Answer> {
    let mut argv = argv.into_iter();
    let program = argv.next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut arguments = Vec::new();
    for (index, argument) in argv.enumerate() {
        let text = argument.into_string().map_err(|argument| {
            Answer::usage(format!("argument {} is not valid UTF-8: {}", index + 1, argument.to_string_lossy()))
        })?;
        arguments.push(text);
    }
    Ok((program, arguments))
}

#[cfg(test)]
mod tests;
