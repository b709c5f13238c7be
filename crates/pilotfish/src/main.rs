//! `pilotfish`: applications on autopilot. See `ARCHITECTURE.md` for the map.

mod catalog_command;
mod command_line;
mod config_command;
mod consul_stand_in;
mod consul_template;
mod control_client;
mod errors;
mod http_server;
mod logging;
mod metrics;
mod mysql;
mod probe;
mod supervise;
mod templates;

use std::{io::Write as _, process::ExitCode};

use command_line::Invocation;
use errors::UsageError;

fn main() -> ExitCode {
    let invocation = match command_line::parse(std::env::args_os(), |name| std::env::var(name).ok()) {
        Ok(invocation) => invocation,
        Err(answer) if answer.exit_code == 0 => {
            print(&answer.text);
            return ExitCode::SUCCESS;
        }
        Err(answer) => {
            complain(&answer.text);
            return ExitCode::from(answer.exit_code);
        }
    };
    carry_out(invocation).unwrap_or_else(|error| {
        complain(&format!("pilotfish: {error:#}"));
        ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
    })
}

fn carry_out(invocation: Invocation) -> anyhow::Result<ExitCode> {
    match invocation {
        Invocation::Run(run) => return supervise::run(run),
        Invocation::Template(line) => return supervise::render(line),
        Invocation::Control(control) => control_client::run(&control)?,
        Invocation::Config(command) => config_command::run(&command)?,
        Invocation::Probe(probe) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(probe::probe(&probe.target, probe.timeout))?;
        }
        Invocation::Consul(arguments) => return Ok(consul_stand_in::run(&arguments)),
        Invocation::Catalog(command) => catalog_command::run(&command)?,
        Invocation::Mysql(command) => return mysql::run(&command),
        Invocation::Completion(shell) => print(&String::from_utf8_lossy(&command_line::completion(shell))),
        Invocation::Man => print(&String::from_utf8_lossy(&command_line::man_page())),
        Invocation::Version { json: true } => {
            print(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION") }).to_string());
        }
        Invocation::Version { json: false } => print(concat!("pilotfish ", env!("CARGO_PKG_VERSION"))),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints to a standard error that may be closed: the exit code tells the same.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints to a standard output that may be closed: whoever reads no more has seen enough.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
}
