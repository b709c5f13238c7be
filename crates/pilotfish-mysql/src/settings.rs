//! What an operator is told once: where everything is, who may do what, and how patient to be.

use std::fmt;
use std::path::PathBuf;

use pilotfish_autopilot::Policy;

/// A text that must not be printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret's text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the server and for nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Where a member lives and how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The service's name in the catalog, for replicas; the primary is `<service>-primary`.
    pub service: String,
    /// This member's name, for people.
    pub name: String,
    /// Its number, which is also its server's `server_id`; drawn at random once and kept beside the data if absent.
    pub id: Option<u32>,
    /// The host or address under which clients and other members reach it.
    pub address: String,
    /// The address that the server listens on.
    pub bind: String,
    /// The server's port.
    pub port: u16,
    /// The port of the operator's own HTTP API, on the same addresses: copies for other members, health, metrics.
    pub api_port: u16,
    /// Everything that is kept: `data/` (the server's data directory), `member.json`, `aside/` (old copies).
    pub directory: PathBuf,
    /// Where the server's socket and the rendered my.cnf are; made if it is absent.
    pub run_directory: PathBuf,
    /// The server's program and what comes before its own options, such as a loader; `mariadbd` or `mysqld` from PATH if empty.
    pub program: Vec<String>,
    /// More options for the server, after ours.
    pub options: Vec<String>,
    /// The user that the server runs as; the operator's own if absent.
    pub user: Option<String>,
    /// A Go template for my.cnf, instead of the built-in one.
    pub template: Option<PathBuf>,
    /// Scripts that are run once, when the cluster is initialised: `*.sql`, `*.sql.gz`, `*.sh`, in order of their names.
    pub scripts: PathBuf,
    /// How many copies that were set aside are kept.
    pub keep_aside: usize,
    /// How patient to be.
    pub policy: Policy,
}

impl Settings {
    /// The server's socket.
    pub fn socket(&self) -> PathBuf {
        self.run_directory.join("mysqld.sock")
    }

    /// Those of a test that starts no server.
    #[cfg(test)]
    pub(crate) fn of_a_test() -> Settings {
        let policy = Policy::with_ttl(std::time::Duration::from_secs(3));
        Settings {
            service: "db".into(),
            name: "one".into(),
            id: None,
            address: "127.0.0.1".into(),
            bind: "127.0.0.1".into(),
            port: 3306,
            api_port: 3307,
            directory: "/nonexistent".into(),
            run_directory: "/nonexistent".into(),
            program: Vec::new(),
            options: Vec::new(),
            user: None,
            template: None,
            scripts: "/nonexistent".into(),
            keep_aside: 1,
            policy,
        }
    }
}

/// Names and passwords, all from the environment or from the files that it names (`MYSQL_USER`, `MYSQL_PASSWORD_FILE`, ...).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Credentials {
    /// The password of `root@localhost`; drawn at random and told once if absent.
    pub root_password: Option<Secret>,
    /// The application's database, if one is to be made.
    pub database: Option<String>,
    /// The application's user and password, if one is to be made.
    pub application: Option<(String, Secret)>,
    /// The user for replication. Acknowledging replicas use accounts of their own, `<user>_ack_<member>`, with the same password.
    pub replication_user: String,
    /// Its password, the same on all members; the operator's own account and the keys of copies are derived from it.
    pub replication_password: Secret,
}
