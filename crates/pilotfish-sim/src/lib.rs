//! Whole database clusters in one thread from one seed: the autopilot's decisions against model servers, a model catalog and a network that fail.

// A model asks for the few cases that it knows of; it is no place to decide what a new one means.
#![allow(clippy::wildcard_enum_match_arm)]

mod catalog;
mod database;
mod fault;
mod flaw;
mod happening;
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
