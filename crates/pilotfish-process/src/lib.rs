//! The operating-system half of the supervisor: it starts, signals and reaps processes, moves their output, and decides nothing.
//!
//! ```text
//!   signalfd ──► Processes::next() ──► Happening { Signal, Exited, Vacated }
//!                    ▲   │ waitpid(-1): the one reaper, the one pid map
//!   Command ──► Processes::spawn() ──► pid, Output (lines of stdout and stderr)
//!               Processes::signal(), kill_tree(), kill_all(): by control group, and by a walk over what is in none
//!   log text ─► Sink (never blocks)          a deadline ─► Alarm (one wake-up)
//! ```
//!
//! What this crate must not do: choose when something starts or stops, keep a time-out of its own, read a config.
//! It is the only crate of the workspace with `unsafe` code, and each block says why it is sound.

mod alarm;
mod cgroups;
mod child;
mod clone;
mod command;
mod cstrings;
mod descriptors;
mod error;
mod figures;
mod hierarchies;
mod host;
mod lines;
mod oom;
mod output;
mod processes;
mod procfs;
mod signals;
mod sink;
mod terminal;
mod tree;
mod user;
mod watched;

pub use alarm::Alarm;
pub use command::{Command, Stdio};
pub use descriptors::raise_descriptor_limit;
pub use error::Error;
pub use figures::{Figures, figures};
pub use host::{InterfaceAddress, default_interfaces, exists, hostname, interface_addresses, interfaces};
pub use lines::{LINE_LIMIT, Line, Stream};
pub use output::Output;
pub use processes::{Exit, Happening, Processes, Spawned};
pub use sink::{Sink, Written};
pub use user::owner;
