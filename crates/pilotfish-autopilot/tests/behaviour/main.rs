//! The autopilot's core, asked about single views, and the algebra of GTID sets.

mod beginning;
mod decisions;
mod gtids;
mod handover;
mod help;
mod traps;
