//! One member of a MySQL or MariaDB cluster: this crate observes it, has `pilotfish-autopilot` decide, and carries the decision out.
//!
//! ```text
//!              catalog/ (lease, records, votes, orders)      server/ (mysqld as a process, data directory, copies)
//!                      │  facts                                      │  facts            sql/ (statements of both flavours)
//!                      ▼                                             ▼                        │
//!   operator/: View ──► decide ──► lint ──► Act ──► back to catalog/, server/ and sql/, each in its lane; their ends are new facts
//! ```
//!
//! Nothing here decides who leads, what is safe, or when to give up: that is the autopilot's. What this crate owes it is written at the types
//! of `View` and `Act`: facts of one moment, acts that are refused when they are stale and harmless when carried out twice.
//!
//! The operator is a process of its own, started by the supervisor as a job: the renewal of a lease and the kill of a server that lost it must
//! not wait for a template, and a panic of a library must not end PID 1. mysqld dies with the operator, the operator with the supervisor.

mod catalog;
mod disk;
mod error;
mod http;
mod launch;
mod operator;
mod report;
mod server;
mod settings;
mod sql;
mod task;

pub use error::Error;
pub use launch::{Host, Launcher, Started};
pub use operator::{Handle, Level, Log, Operator, Order};
pub use report::*;
pub use server::CopyStream;
pub use settings::{Credentials, Secret, Settings};
