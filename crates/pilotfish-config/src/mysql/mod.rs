//! A member of a MySQL or MariaDB cluster: the section `mysql`, the environment that belongs to it, and the job that it becomes.

mod credentials;
mod job;
mod print;
mod reading;

use std::time::Duration;

pub use pilotfish_autopilot::Durability;
use pilotfish_autopilot::Policy;

pub use credentials::Credentials;
pub(crate) use job::{Timing, add, command_for};
pub(crate) use print::{is_job, node};
pub(crate) use reading::read;

/// The name of the job that runs the member.
pub const MYSQL_JOB: &str = "mysql";

/// The variable in which that job gets its settings: a v3 document with the sections `consul` and `mysql`, without secrets.
pub const MYSQL_VARIABLE: &str = "PILOTFISH_MYSQL";

/// What a member is told. Checked: its times fit together, its names are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mysql {
    /// The service's name in the catalog, for replicas; the primary is `<service>-primary`.
    pub service: String,
    /// This member's name, for people.
    pub name: String,
    /// Its number, also its server's `server_id`.
    pub id: Option<u32>,
    /// The host or address under which clients and other members reach it.
    pub address: String,
    /// The address that the server and the operator listen on.
    pub bind: String,
    /// The server's port.
    pub port: u16,
    /// The port of the operator's HTTP API.
    pub api_port: u16,
    /// Everything that is kept.
    pub directory: String,
    /// Sockets and the rendered my.cnf.
    pub run_directory: String,
    /// The server's program and what comes before its own options; looked for on PATH if empty.
    pub program: Vec<String>,
    /// More options for the server.
    pub options: Vec<String>,
    /// The user that the server runs as.
    pub user: Option<String>,
    /// A template for my.cnf.
    pub template: Option<String>,
    /// Scripts that are run once, when the cluster is initialised.
    pub scripts: String,
    /// How many copies of the data that were set aside are kept.
    pub keep_aside: u32,
    /// Whether a write may be lost.
    pub durability: Durability,
    /// How many replicas must have a write.
    pub acks: u8,
    /// With fewer in-sync replicas than this, writes wait.
    pub min_in_sync: Option<u8>,
    /// This member may become primary.
    pub may_lead: bool,
    /// How long a primary's lease lasts.
    pub lease: Duration,
    /// A primary that has not answered for this long is killed.
    pub hang_limit: Option<Duration>,
    /// How long a switchover may take.
    pub switchover_limit: Duration,
    /// Names and passwords, from the environment.
    pub credentials: Credentials,
}

impl Mysql {
    /// The socket over which the operator takes orders.
    pub fn control_socket(&self) -> String {
        format!("{}/pilotfish.sock", self.run_directory.trim_end_matches('/'))
    }

    /// A URL of the operator's HTTP API for this host alone.
    pub fn local_url(&self, path: &str) -> String {
        let host = match self.bind.as_str() {
            "0.0.0.0" => "127.0.0.1".to_owned(),
            "::" => "[::1]".to_owned(),
            v6 if v6.contains(':') => format!("[{v6}]"),
            other => other.to_owned(),
        };
        format!("http://{host}:{}{path}", self.api_port)
    }

    /// What the autopilot makes of the times, for `pilotfish mysql plan` and for checks.
    pub fn policy(&self) -> Policy {
        let policy = Policy::with_ttl(self.lease);
        Policy {
            durability: self.durability,
            acks: self.acks,
            min_in_sync: self.min_in_sync,
            may_lead: self.may_lead,
            hang_limit: self.hang_limit.unwrap_or(policy.hang_limit),
            switchover_limit: self.switchover_limit,
            ..policy
        }
    }
}

/// Whether a command line starts a database server, and does not only ask it for something: such a command runs as it is.
pub fn is_server(command: &[String]) -> bool {
    let Some((program, options)) = command.split_first() else { return false };
    let asks = |option: &String| {
        let name = option.split('=').next().unwrap_or_default();
        matches!(name, "--help" | "-?" | "--version" | "-V" | "--print-defaults" | "--bootstrap" | "--validate-config")
            || name.starts_with("--initialize")
    };
    matches!(program.rsplit('/').next(), Some("mysqld" | "mariadbd")) && !options.iter().any(asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_told_from_a_question_to_it() {
        let check = |line: &str, expect: bool| {
            let command: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_server(&command), expect, "{line}");
        };
        check("mysqld", true);
        check("/usr/sbin/mariadbd --max-connections=50", true);
        check("mysqld --version", false);
        check("mysqld --verbose --help", false);
        check("mysqld --initialize-insecure", false);
        check("mysqld_safe", false);
        check("nginx", false);
        assert!(!is_server(&[]));
    }
}
