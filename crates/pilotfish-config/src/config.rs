//! What a document means: the checked config, and what it was checked against.

use std::collections::BTreeMap;

use pilotfish_supervisor::Spec;

use crate::catalog::CatalogSettings;
use crate::error::Problem;
use crate::interfaces::Interface;
use crate::mysql::Mysql;

/// What the config depends on besides its text; plain data that the binary collects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The environment, for the template.
    pub env: BTreeMap<String, String>,
    /// The addresses of the network interfaces.
    pub interfaces: Vec<Interface>,
    /// Part of every service's id.
    pub hostname: String,
    /// The main application, when the command line names it; its arguments are templates, too.
    pub command: Option<Vec<String>>,
    /// The path of this program, with which it starts its own helpers.
    pub program: String,
}

/// How a file that the config names is read: its text, or why it cannot be read, in words for an error message.
pub type ReadFile<'r> = dyn Fn(&str) -> Result<String, String> + 'r;

/// A config and what is doubtful about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// What works but is probably not meant.
    pub warnings: Vec<Problem>,
}

/// A checked config with all defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What is supervised.
    pub spec: Spec,
    /// Where the catalog is; `None`: none is named, which means the embedded one of this host.
    pub catalog: Option<CatalogSettings>,
    /// How the supervisor logs.
    pub logging: Logging,
    /// The control socket.
    pub control: Control,
    /// The metrics endpoint, if it is wanted.
    pub telemetry: Option<Telemetry>,
    /// The member of a database cluster, if there is one; the job [`MYSQL_JOB`](crate::MYSQL_JOB) runs it.
    pub mysql: Option<Mysql>,
    /// Variables for every process: `CONTAINERPILOT_<NAME>_IP` of each advertised job.
    pub environment: Vec<(String, String)>,
}

/// How the supervisor logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// The least severe level that is logged.
    pub level: Level,
    /// How lines look.
    pub format: Format,
    /// Where they go.
    pub output: LogOutput,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is doubtful.
    Warn,
    /// Something happened.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Time, job, pid, message.
    #[default]
    Default,
    /// `key=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, which is opened again on request.
    File(String),
}

/// The control socket's default path (ContainerPilot's).
pub const DEFAULT_CONTROL_SOCKET: &str = "/var/run/containerpilot.socket";

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Its path; empty for none.
    pub socket: String,
}

impl Default for Control {
    fn default() -> Control {
        Control { socket: DEFAULT_CONTROL_SOCKET.into() }
    }
}

/// The metrics endpoint. It is advertised by the job `containerpilot`, which is part of the `Spec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// The address it listens on.
    pub address: String,
    /// The port it listens on.
    pub port: u16,
    /// What jobs, sensors and `putmetric` may record.
    pub metrics: Vec<Metric>,
}

/// The name of the job that advertises the metrics endpoint.
pub const TELEMETRY_JOB: &str = "containerpilot";

/// A metric that is recorded from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Namespace, subsystem and name, joined by `_`.
    pub name: String,
    /// What it is.
    pub help: String,
    /// Its type.
    pub kind: MetricKind,
}

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; values are added.
    Counter,
    /// The last value.
    Gauge,
    /// Counts of values per bucket.
    Histogram,
    /// Quantiles of values.
    Summary,
}
