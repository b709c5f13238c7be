//! The real binary, as PID 1 of namespaces of its own, with real processes and a real Consul.
//!
//! Tests are grouped by what a user would look for; those that show a behaviour of the talk name its slide.

// Clippy allows this in `#[test]` functions by itself, but not in the functions that they share.
#![allow(clippy::unwrap_used)]

mod stage;

mod catalog;
mod command_line;
mod config_errors;
mod confined;
mod control;
mod dns;
mod hooks;
mod init;
mod jobs;
mod kept;
mod killed;
mod life;
mod live;
mod output;
mod probes;
mod reload;
mod slides;
mod stand_in;
mod stopping;
mod talk;
mod telemetry;
mod template_line;
mod templates;
mod watching;
mod workshop;
