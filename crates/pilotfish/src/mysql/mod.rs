//! A database on autopilot, as far as this program shows it: the operator's process, its HTTP API, and the commands that speak to it.
//!
//! ```text
//!  supervisor ──starts──► pilotfish mysql run ──► Operator (crate pilotfish-mysql)
//!      │                        │  Handle: report, orders, copies
//!      │ unix socket            ▼
//!      ├── /metrics, status ► api.rs ◄── TCP: health of balancers, copies for other members
//!      └────────────────────────▲
//!  pilotfish mysql status ... ──┘ unix socket
//! ```
//!
//! Only the operator's own process runs the operator; everybody else reads a [`Report`](pilotfish_mysql::Report) as JSON.

mod advice;
mod api;
mod client;
mod metrics;
mod operator;
mod ordering;
mod plan;
mod print;
mod progress;
mod style;
mod watchdog;

use std::process::ExitCode;

pub(crate) use client::ask_quickly;

use crate::command_line::{MysqlCommand, MysqlRequest};

/// Carries out one command.
///
/// # Errors
/// Whatever keeps it from being carried out, with what to do about it.
pub(crate) fn run(command: &MysqlCommand) -> anyhow::Result<ExitCode> {
    match command {
        MysqlCommand::Run { config } => operator::run(config.as_ref()),
        MysqlCommand::Plan { config, json } => plan::run(config.as_ref(), *json),
        MysqlCommand::Ask { socket, request, json } => {
            let client = client::Client::of(socket)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                match request {
                    MysqlRequest::Status => client.show(*json, print::status).await,
                    MysqlRequest::Why => client.show(*json, print::why).await,
                    MysqlRequest::Order { order, follow } => ordering::carry_out(&client, order, *follow, *json).await,
                }
            })
        }
    }
}
