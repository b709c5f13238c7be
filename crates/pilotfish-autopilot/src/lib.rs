//! What one member of a database cluster should do next, as one pure function of what it knows.

#![no_std]

extern crate alloc;

mod act;
mod budget;
mod decide;
mod gtid;
mod lease;
mod lint;
mod loss;
mod plan;
mod policy;
mod time;
mod view;
mod why;

pub use act::*;
pub use budget::{BURST, Budget, FailureClass, REFILL};
pub use decide::{Decision, decide};
pub use gtid::{Flavour, GtidSet, ParseError};
pub use lease::*;
pub use lint::{Objection, lint};
pub use loss::{Loss, loss};
pub use plan::{CLOCK_DRIFT_PPM, LONGEST_TTL, Plan, Refusal, SHORTEST_TTL, plan};
pub use policy::{Durability, Policy};
pub use time::Time;
pub use view::*;
pub use why::Why;
