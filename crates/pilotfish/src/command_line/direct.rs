//! The forms that a container starts with, understood without building the tree of subcommands.
//!
//! The tree costs more than everything else between exec and the application's start. What is understood here,
//! `native` understands just so (a test holds both against each other); what is not is left to it.

use super::{ConfigLocation, Invocation, MysqlCommand, Run};

/// First words that are subcommands; any other is the command of an application.
pub(super) const SUBCOMMANDS: [&str; 17] = [
    "run",
    "status",
    "events",
    "reload",
    "maintenance",
    "putenv",
    "putmetric",
    "ping",
    "config",
    "probe",
    "template",
    "catalog",
    "mysql",
    "completion",
    "man",
    "version",
    "help",
];

/// Understands `pilotfish [run] [-c FILE] [--] [CMD ARG...]`, `mysql run` and `--version`; `None` leaves all else to the full parser.
pub(super) fn parse(arguments: &[String]) -> Option<Invocation> {
    let mut rest = arguments;
    match rest.first().map(String::as_str) {
        Some("--version" | "-V") if rest.len() == 1 => return Some(Invocation::Version { json: false }),
        Some("run") => rest = &rest[1..],
        // What the supervisor starts itself.
        Some("mysql") if matches!(rest, [_, word] if word == "run") => {
            return Some(Invocation::Mysql(MysqlCommand::Run { config: None }));
        }
        Some(word) if SUBCOMMANDS.contains(&word) => return None,
        Some(_) | None => {}
    }
    let mut config = None;
    while let Some((first, others)) = rest.split_first() {
        if first == "--" {
            rest = others;
            break;
        }
        if !first.starts_with('-') {
            break;
        }
        let (location, taken) = config_flag(first, others)?;
        if location.is_empty() || config.is_some() {
            return None;
        }
        config = Some(ConfigLocation::parse(location));
        rest = &rest[taken..];
        // A subcommand may follow the flag; then the full parser has the word.
        let next = rest.first().map(String::as_str);
        if arguments[0] != "run" && next.is_some_and(|word| SUBCOMMANDS.contains(&word)) {
            return None;
        }
    }
    Some(Invocation::Run(Run { config, command: rest.to_vec() }))
}

/// The value of a `-c` flag in any of its spellings, and how many arguments it takes.
fn config_flag<'a>(first: &'a str, others: &'a [String]) -> Option<(&'a str, usize)> {
    match first {
        // A value that looks like a flag was forgotten, most likely; the full parser says so.
        "-c" | "--config" => others.first().filter(|value| !value.starts_with('-')).map(|value| (value.as_str(), 2)),
        _ => first.strip_prefix("--config=").map(|value| (value, 1)),
    }
}
