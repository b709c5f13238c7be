//! Whole database clusters in one thread from one seed: the autopilot's decisions against model servers, a model catalog and a network that fail.
//!
//! ```text
//!   Schedule (seed, faults) ──► World: queue of events ──► supervisors decide, servers replicate, clients write
//!                                   │ Happening
//!                                   ▼
//!                               invariants/*.rs, after every step;  then all faults end: it must heal
//! ```
//!
//! What is modelled: semi-synchronous replication AFTER_SYNC with acks of receivers only; relay logs that are thrown away by a new start; appliers
//! that lag and stop; recovery that commits the unacknowledged tail or drops more than it should; commits that wait, `read_only` that waits behind
//! them, polite stops that acknowledge; receivers that reconnect by themselves; purged binary logs; clocks that drift, processes that are stopped
//! and killed at any moment; messages that are late, lost or carried out long after they were given up; a catalog with check-and-set, blocking
//! queries, elections, outages, wipes and restores; operators.
//!
//! What is not: partial transactions in a relay log, power loss, memory that lies.

// A model asks for the few cases that it knows of; it is no place to decide what a new one means.
#![allow(clippy::wildcard_enum_match_arm)]

mod catalog;
mod database;
mod fault;
mod flaw;
mod happening;
mod helping;
mod invariants;
mod narrative;
mod network;
mod replication;
mod rng;
mod run;
mod script;
mod search;
mod server;
mod supervisor;
mod traffic;
mod world;

pub use fault::{Fault, Target};
pub use flaw::Flaw;
pub use run::{Outcome, Schedule, Violation};
pub use search::{Failure, Found, search};
