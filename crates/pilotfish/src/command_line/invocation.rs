//! What a command line can ask for, as plain values.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::{consul_template::TemplateLine, probe::Target};

use super::{USAGE_EXIT_CODE, mysql::MysqlCommand};

/// Everything the program can be asked to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Invocation {
    /// Supervise.
    Run(Run),
    /// Render templates.
    Template(TemplateLine),
    /// Ask a running supervisor.
    Control(Control),
    /// Look at a config.
    Config(ConfigCommand),
    /// Ask for health once.
    Probe(Probe),
    /// Do what `consul` would do with these arguments.
    Consul(Vec<String>),
    /// Serve the embedded catalog.
    Catalog(CatalogCommand),
    /// Be a member of a database cluster, or speak to one.
    Mysql(MysqlCommand),
    /// Print the completion script of a shell.
    Completion(Shell),
    /// Print the manual page.
    Man,
    /// Print the version.
    Version {
        /// For machines.
        json: bool,
    },
}

/// What to supervise: at least one of both is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// The config.
    pub(crate) config: Option<ConfigLocation>,
    /// The main application and its arguments, which are templates; empty if only the config says what runs.
    pub(crate) command: Vec<String>,
}

/// The embedded catalog as a program of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CatalogCommand {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The file with the token that clients have to show.
    pub(crate) token_file: Option<PathBuf>,
    /// Name of its node; the host's if `None`.
    pub(crate) node: Option<String>,
    /// Where it keeps everything; in memory alone if `None`.
    pub(crate) data: Option<PathBuf>,
    /// Where it answers DNS.
    pub(crate) dns: Option<SocketAddr>,
    /// Name of its datacenter.
    pub(crate) datacenter: String,
    /// Answers are laid out for people.
    pub(crate) pretty: bool,
}

/// Where a config is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigLocation {
    /// A file.
    File(PathBuf),
    /// The document itself.
    Inline(String),
}

impl ConfigLocation {
    /// Tells a document (its first character is `{`) from a path or `file://` URL.
    pub(crate) fn parse(text: &str) -> ConfigLocation {
        if text.trim_start().starts_with('{') {
            return ConfigLocation::Inline(text.to_owned());
        }
        ConfigLocation::File(file_path(text))
    }
}

/// The path of a path or `file://` URL. As in ContainerPilot, what follows the scheme is taken as it is: nothing is decoded.
pub(super) fn file_path(text: &str) -> PathBuf {
    PathBuf::from(text.strip_prefix("file://").unwrap_or(text))
}

/// A request to a running supervisor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Control {
    /// How to reach it.
    pub(crate) socket: ControlSocket,
    /// What is asked.
    pub(crate) request: ControlRequest,
    /// The answer is printed for machines.
    pub(crate) json: bool,
}

/// Which control socket to speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ControlSocket {
    /// This one.
    Path(PathBuf),
    /// The one that this config names.
    OfConfig(ConfigLocation),
    /// The default one.
    Default,
}

/// What a supervisor can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ControlRequest {
    /// Its jobs, watches and catalog.
    Status,
    /// What happens, live.
    Events,
    /// To load its config again.
    Reload,
    /// To begin (`true`) or end maintenance.
    Maintenance(bool),
    /// To set environment variables; pairs of name and value, at least one.
    PutEnv(Vec<(String, String)>),
    /// To record metrics; pairs of name and value, at least one.
    PutMetric(Vec<(String, String)>),
    /// Whether it is there.
    Ping,
}

/// What to do with a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigCommand {
    /// Say whether it is valid.
    Check {
        /// The config.
        config: ConfigLocation,
        /// Findings are printed for machines.
        json: bool,
    },
    /// Print it rendered, translated and with all defaults; secrets are masked.
    Show(ConfigLocation),
    /// Print it as the template renders it, nothing more.
    Render {
        /// The config.
        config: ConfigLocation,
        /// A file to write instead of standard output.
        out: Option<PathBuf>,
    },
    /// Print the JSON Schema.
    Schema,
}

/// One question about health.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    /// What is asked.
    pub(crate) target: Target,
    /// How long the answer may take.
    pub(crate) timeout: Duration,
}

/// A shell that completes command lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash.
    Bash,
    /// Elvish.
    Elvish,
    /// fish.
    Fish,
    /// PowerShell.
    Powershell,
    /// Z shell.
    Zsh,
}

/// What to print before leaving at once: a help text or a usage error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The text, without a line break at its end.
    pub(crate) text: String,
    /// The process's exit code; text goes to standard output if it is 0, else to standard error.
    pub(crate) exit_code: u8,
}

impl Answer {
    /// A usage error.
    pub(super) fn usage(problem: impl std::fmt::Display) -> Answer {
        Answer { text: format!("error: {problem}"), exit_code: USAGE_EXIT_CODE }
    }

    /// A help text that was asked for.
    pub(super) fn help(text: impl Into<String>) -> Answer {
        Answer { text: text.into(), exit_code: 0 }
    }
}

/// Splits `NAME=VALUE`; the value may be empty and contain further equals signs.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err(format!("'{text}' is not of the form NAME=VALUE")),
    }
}
