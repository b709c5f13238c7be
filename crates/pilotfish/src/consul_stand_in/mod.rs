//! What the program does when it is called `consul`: enough of that command line for scripts that start a `-dev` agent and speak to it.
//!
//! What it does not know it refuses, naming what it knows; it never does something else silently.

mod agent;
mod client;
mod flags;
mod kv;
mod reading;
mod services;

use std::{io::Write as _, process::ExitCode};

use client::Client;

/// What ends a command: text for standard error, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    fn new(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: 1 }
    }
}

/// Text for standard output, or why there is none.
type Output = Result<String, Failure>;

const KNOWN: &str = "\
Usage: consul <command> [<args>]

This is pilotfish's embedded catalog under the name of consul. It knows:
    agent -dev             Runs the catalog (or with -data-dir DIR, to keep it)
    catalog services       Lists all registered services in a datacenter
    catalog nodes          Lists all nodes in the given datacenter
    catalog datacenters    Lists all known datacenters for this agent
    kv get, put, delete    Interact with the key-value store
    members                Lists the members, of which there is one
    services register, deregister
    version                Prints the version of Consul that it stands in for
For everything else, install Consul.";

/// Carries out a command line, without the program's name.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["agent", ref rest @ ..] => agent::run(rest),
        ["members", ref rest @ ..] => with_client(rest, &["detailed", "wan"], &["status"], reading::members),
        ["catalog", "services", ref rest @ ..] => {
            with_client(rest, &["tags"], &["node", "node-meta"], reading::services)
        }
        ["catalog", "nodes", ref rest @ ..] => with_client(rest, &["detailed"], &["service", "near"], reading::nodes),
        ["catalog", "datacenters", ref rest @ ..] => with_client(rest, &[], &[], reading::datacenters),
        ["kv", "get", ref rest @ ..] => {
            with_client(rest, &["base64", "detailed", "keys", "recurse"], &["separator"], kv::get)
        }
        ["kv", "put", ref rest @ ..] => {
            with_client(rest, &["acquire", "base64", "cas", "release"], &["flags", "modify-index", "session"], kv::put)
        }
        ["kv", "delete", ref rest @ ..] => with_client(rest, &["cas", "recurse"], &["modify-index"], kv::delete),
        ["services", "register", ref rest @ ..] => {
            with_client(rest, &[], &["id", "name", "address", "port", "tag", "meta"], services::register)
        }
        ["services", "deregister", ref rest @ ..] => with_client(rest, &[], &["id"], services::deregister),
        ["version" | "-version" | "--version" | "-v", ..] => Ok(format!(
            "Consul v{}\nProtocol 2 spoken by default, understands 2 to 3 (agent will automatically use protocol >2 when \
             speaking to compatible agents)\n\n",
            pilotfish_catalog::CONSUL_VERSION
        )),
        _ => Err(Failure { text: KNOWN.to_owned(), code: 127 }),
    };
    match outcome {
        Ok(text) => {
            // Whoever reads no more has seen enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}

/// Flags that every command takes that speaks to an agent.
const COMMON: ([&str; 1], [&str; 4]) = (["stale"], ["http-addr", "token", "token-file", "datacenter"]);

fn with_client(rest: &[&str], switches: &[&str], values: &[&str], run: fn(&Client, &flags::Flags) -> Output) -> Output {
    let switches: Vec<&str> = switches.iter().chain(&COMMON.0).copied().collect();
    let values: Vec<&str> = values.iter().chain(&COMMON.1).copied().collect();
    let flags = flags::parse(rest, &switches, &values).map_err(Failure::new)?;
    run(&Client::new(&flags)?, &flags)
}

/// Columns so many spaces apart, as Consul lays them out.
fn table(rows: &[Vec<String>], apart: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                let gap = widths[column] - cell.chars().count() + apart;
                text.extend(std::iter::repeat_n(' ', gap));
            }
        }
        text.push('\n');
    }
    text
}
