//! Text and surroundings to a checked config. Pure: no I/O, no clock.
//!
//! ```text
//! text ─ size, UTF-8 ─ template over the environment ─ JSON5 ─┬─ v3 vocabulary ──────────────┬─ cross checks ─ Config
//!                                                             └─ v2 vocabulary, translated ──┘
//! ```
//!
//! Nothing behind this crate validates again or knows which vocabulary a document used. All errors of a document are reported at once.

mod catalog;
mod check;
mod command;
mod config;
mod document;
mod duration;
mod error;
mod interfaces;
mod json5;
mod keys;
mod load;
mod mysql;
mod print;
mod reader;
mod render;
mod schema;
mod secret;
mod service;
mod settings;
mod show;
mod stop_window;
mod suggest;
mod telemetry;
mod templates;
mod timing;
mod v2;
mod v3;
mod vocabulary;
mod when;

pub use catalog::{CatalogAddress, CatalogSettings, CatalogTls, Scheme, address as parse_address};
pub use config::{
    Config, Control, DEFAULT_CONTROL_SOCKET, Format, Level, Loaded, LogOutput, Logging, Metric, MetricKind, ReadFile,
    Surroundings, TELEMETRY_JOB, Telemetry,
};
pub use duration::parse as parse_duration;
pub use error::{Errors, MAX_ERRORS_SHOWN, Problem};
pub use interfaces::Interface;
pub use load::{MAX_CONFIG_BYTES, decode, load, rendered};
pub use mysql::{Credentials, Durability, MYSQL_JOB, MYSQL_VARIABLE, Mysql, is_server};
pub use schema::schema;
pub use secret::{MASK, MIN_MASKED_LENGTH, Secret, is_secret_name, mask};
pub use show::show;
pub use telemetry::is_metric_name;
