//! The embedded catalog: the Consul HTTP API of one host, in one process. It is not a cluster.
//!
//! ```text
//! request --> http (routes, wire formats) --read--> State        pure: no I/O, no clock
//!                   |                                ^   |
//!                   '--Command--> Writer ----apply---'   '--Changes--> watchers, woken by key
//!                                   ^
//!        deadlines, probes ---------'
//! ```
//!
//! Every change is a [`state::Command`] and passes the one writer, which stands between accepting it and acknowledging it: there it is written
//! down, when the catalog has a data directory. Reads see the state as it is between two commands.

pub mod state;

/// The version of Consul whose API this is.
pub const CONSUL_VERSION: &str = "1.8.7";

mod catalog;
mod dns;
mod filter;
mod http;
mod identity;
mod patterns;
mod probing;
mod server;
mod settings;
mod store;
mod watching;
mod wire;
mod writer;

pub use catalog::Catalog;
pub use server::{Error, Server};
pub use settings::{Secret, Settings};
pub use store::{Error as DataError, Recovered};
pub use wire::base64;
