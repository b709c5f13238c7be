//! The supervisor's own log, and the output of jobs that is wrapped into it.
//!
//! ```text
//! own records ───────► level ─┐
//!                             ├─► mask secrets ─► format ─► bounded queue ─► stdout, stderr or a file
//! lines of jobs ──────────────┘                             (nobody ever waits for the reader)
//! ```
//!
//! Own records that find the queue full are dropped, counted and confessed; lines of jobs wait for room, so that the
//! pressure reaches the job and not the supervisor.

mod format;
mod log;
mod mask;
mod output;
mod queue;
mod record;
mod timestamp;

pub(crate) use log::Log;
pub(crate) use mask::Masker;
pub(crate) use record::{Record, Value};
