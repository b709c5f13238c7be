//! ContainerPilot's command line (2.7 and 3.8), so that images built for it run unchanged.
//!
//! It follows Go's `flag` package: one or two dashes, `-flag value` or `-flag=value`, and the first argument that is no
//! flag ends them. Of several actions the first in ContainerPilot's own order is taken: version, template, reload,
//! maintenance, putenv, putmetric, ping.

use std::path::PathBuf;

use super::{
    Answer, ConfigCommand, ConfigLocation, Control, ControlRequest, ControlSocket, Invocation, Run, invocation,
};

const HELP: &str = "\
Usage: containerpilot [-config CONFIG] [CMD ARG...]
       containerpilot -version | -template [-out FILE] | -reload | -maintenance enable|disable
                      | -putenv NAME=VALUE | -putmetric NAME=VALUE | -ping

This is pilotfish, called by ContainerPilot's name. Flags take one or two dashes.

  -config CONFIG       config: a path, a file:// URL or JSON (default: the variable CONTAINERPILOT)
  -version             print the version
  -template            print the config as the template renders it
  -out FILE            with -template: write it to FILE instead ('-' is standard output)
  -reload              have the running supervisor load its config again
  -maintenance WHAT    'enable' or 'disable' maintenance
  -putenv NAME=VALUE   set an environment variable of the running supervisor (repeatable)
  -putmetric NAME=VALUE  record a metric (repeatable)
  -ping                say whether the supervisor is up

Called as 'pilotfish' it does more: see 'pilotfish --help'.";

/// What the flags said.
#[derive(Default)]
struct Flags {
    config: Option<String>,
    out: Option<String>,
    maintenance: Option<bool>,
    env: Vec<(String, String)>,
    metrics: Vec<(String, String)>,
    version: bool,
    template: bool,
    reload: bool,
    ping: bool,
    help: bool,
}

/// Whether an argument is a flag of ContainerPilot spelt with one dash, which no flag of our own is.
///
/// Without this, `pilotfish -config x` would be read as `-c onfig`.
pub(super) fn is_flag(argument: &str) -> bool {
    let Some(name) = argument.strip_prefix('-') else { return false };
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    ["config", "version", "template", "out", "reload", "maintenance", "putenv", "putmetric", "ping", "help"]
        .contains(&name)
}

/// Understands the arguments after the program's name.
pub(super) fn parse(arguments: &[String], configured: Option<ConfigLocation>) -> Result<Invocation, Answer> {
    let mut flags = Flags::default();
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        if first == "--" {
            rest = others;
            break;
        }
        // As in Go, a lone dash is an argument.
        let Some(flag) = first.strip_prefix('-').filter(|flag| !flag.is_empty()) else { break };
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        rest = flags.take(flag, others)?;
    }
    if flags.help {
        return Err(Answer::help(HELP));
    }
    let config = flags.config.as_deref().filter(|config| !config.is_empty()).map(ConfigLocation::parse).or(configured);
    flags.invocation(config, rest)
}

impl Flags {
    /// Takes one flag (without its dashes) and, if it has one, its value; what is left is returned.
    fn take<'a>(&mut self, flag: &'a str, others: &'a [String]) -> Result<&'a [String], Answer> {
        let (name, attached) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        match name {
            "version" => self.version = switch(name, attached)?,
            "template" => self.template = switch(name, attached)?,
            "reload" => self.reload = switch(name, attached)?,
            "ping" => self.ping = switch(name, attached)?,
            "help" | "h" => self.help = switch(name, attached)?,
            "config" | "out" | "maintenance" | "putenv" | "putmetric" => {
                let (value, others) = match (attached, others.split_first()) {
                    (Some(value), _) => (value, others),
                    (None, Some((value, others))) => (value.as_str(), others),
                    (None, None) => return Err(usage(format!("flag needs an argument: -{name}"))),
                };
                self.set(name, value)?;
                return Ok(others);
            }
            _ => return Err(usage(format!("unknown flag: -{name}"))),
        }
        Ok(others)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Answer> {
        let assignment = || invocation::assignment(value).map_err(|problem| usage(format!("-{name}: {problem}")));
        match name {
            "config" => self.config = Some(value.to_owned()),
            "out" => self.out = Some(value.to_owned()),
            "putenv" => self.env.push(assignment()?),
            "putmetric" => self.metrics.push(assignment()?),
            _ => {
                self.maintenance = Some(match value {
                    "enable" => true,
                    "disable" => false,
                    _ => return Err(usage(format!("-maintenance: expected enable or disable, found '{value}'"))),
                });
            }
        }
        Ok(())
    }

    fn invocation(self, config: Option<ConfigLocation>, command: &[String]) -> Result<Invocation, Answer> {
        if self.version {
            return Ok(Invocation::Version { json: false });
        }
        let no_config = || usage("no config: use -config or the variable CONTAINERPILOT");
        if self.template {
            let out = self.out.filter(|out| !out.is_empty() && out != "-");
            let out: Option<PathBuf> = out.as_deref().map(invocation::file_path);
            return Ok(Invocation::Config(ConfigCommand::Render { config: config.ok_or_else(no_config)?, out }));
        }
        let request = if self.reload {
            Some(ControlRequest::Reload)
        } else if let Some(enable) = self.maintenance {
            Some(ControlRequest::Maintenance(enable))
        } else if !self.env.is_empty() {
            Some(ControlRequest::PutEnv(self.env))
        } else if !self.metrics.is_empty() {
            Some(ControlRequest::PutMetric(self.metrics))
        } else {
            self.ping.then_some(ControlRequest::Ping)
        };
        if let Some(request) = request {
            let socket = config.map_or(ControlSocket::Default, ControlSocket::OfConfig);
            return Ok(Invocation::Control(Control { socket, request, json: false }));
        }
        if config.is_none() && command.is_empty() {
            return Err(no_config());
        }
        Ok(Invocation::Run(Run { config, command: command.to_vec() }))
    }
}

/// The value of a flag that takes none; Go accepts `-flag=false`, too.
fn switch(name: &str, attached: Option<&str>) -> Result<bool, Answer> {
    match attached {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(value) => Err(usage(format!("-{name} takes no value, found '{value}'"))),
    }
}

fn usage(problem: impl std::fmt::Display) -> Answer {
    Answer::usage(format!("{problem}\nFor more information, try 'containerpilot -help'."))
}
