//! The supervisor's decisions: jobs, health, watches, registration, reload and shutdown as one pure state machine.
//!
//! ```text
//!            Event + time            +-----------------------------+        Vec<Effect>
//!   shell ------------------------>  | step: take it, let what is   | ------------------> shell performs,
//!     ^                              | due happen, settle           |                     answers are events
//!     |                              +-----------------------------+
//!     '---- wakes it at deadline() ------'
//! ```
//!
//! The crate does no I/O, reads no clock, spawns nothing and depends on nothing: what one step decides follows from the events so far,
//! their times and a seed. It must not learn of processes, sockets or file formats; those are the shell's and the loader's.

#![no_std]

extern crate alloc;

mod calendar;
mod claim;
mod condition;
mod event;
mod execution;
mod facts;
mod health;
mod job;
mod notice;
mod output;
mod pulse;
mod registration;
mod reload;
mod retry;
mod spec;
mod startup;
mod status;
mod stopping;
mod supervisor;
mod template;
mod templates;
mod templating;
mod time;
mod twins;
mod watching;

pub use calendar::Calendar;
pub use event::*;
pub use health::{FIRST_CHECKS, HealthStatus};
pub use pulse::{FACT_SILENCE, SHORTEST_HOLD, SHORTEST_SILENCE};
pub use spec::*;
pub use status::{FactStatus, JobState, JobStatus, ServiceState, Status, TemplateState, TemplateStatus, WatchStatus};
pub use stopping::{DEREGISTER_LIMIT, longest_stop};
pub use supervisor::Supervisor;
pub use template::*;
pub use time::Time;
pub use watching::HOLD_AFTER_RESTART;
