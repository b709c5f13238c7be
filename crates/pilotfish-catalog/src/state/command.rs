//! Everything that changes the state: values that can be written to a log and applied again with the same result.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::txn::Operation;
use super::types::{Check, Definition, Entry, Node, Service, Session, UserEvent};

/// How a check of the agent comes to its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Means {
    /// Heartbeats, at most this far apart.
    Ttl(Duration),
    /// The catalog itself asks.
    Probe(Box<Probe>),
    /// The checks of another service.
    Alias {
        /// The service whose checks count; empty for those of the node.
        service: String,
    },
    /// Nothing: it stays as it is until it is removed.
    Fixed,
}

/// How the catalog asks for a service's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Time between two probes.
    pub interval: Duration,
    /// Longest probe.
    pub timeout: Duration,
    /// Good answers in a row that make it pass (Consul's `success_before_passing` + 1).
    pub successes: u32,
    /// Bad answers in a row that make it critical (Consul's `failures_before_critical` + 1).
    pub failures: u32,
    /// What is asked: `http` or `tcp`, headers, method and body.
    pub target: Definition,
}

/// A check of the agent as it is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCheck {
    /// What is told of it; the status is the one that it begins with.
    pub check: Check,
    /// How it comes to its status.
    pub means: Means,
    /// After this long in critical state its service is removed.
    pub deregister_after: Option<Duration>,
    /// Longest output in bytes, where it is shorter than others'.
    pub output_limit: Option<usize>,
}

/// What is registered with the catalog itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The node.
    pub node: Node,
    /// A node that exists stays as it is.
    pub skip_node_update: bool,
    /// A service on it.
    pub service: Option<Service>,
    /// Checks, with the node that each names (empty for this one).
    pub checks: Vec<(String, Check)>,
}

/// One write of the key-value store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvWrite {
    /// Sets.
    Set,
    /// Sets if the index is still this one; 0 if there must be no such key.
    Cas(u64),
    /// Locks for a session.
    Lock(String),
    /// Releases for a session.
    Unlock(String),
    /// Deletes.
    Delete,
    /// Deletes if the index is still this one.
    DeleteCas(u64),
    /// Deletes everything that begins so.
    DeleteTree,
}

/// A change of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Registers a service and its checks with the agent.
    RegisterService {
        /// The service.
        service: Box<Service>,
        /// Its checks.
        checks: Vec<AgentCheck>,
        /// Checks of it that are not named are removed.
        replace_checks: bool,
    },
    /// Removes a service from the agent.
    DeregisterService {
        /// Its identity.
        id: String,
    },
    /// Registers a check with the agent.
    RegisterCheck(Box<AgentCheck>),
    /// Removes a check from the agent.
    DeregisterCheck {
        /// Its identity.
        id: String,
    },
    /// A heartbeat: sets the status of a TTL check.
    Beat {
        /// The check.
        id: String,
        /// The status.
        status: String,
        /// The output.
        output: String,
    },
    /// What a probe found.
    Probed {
        /// The check.
        id: String,
        /// The status.
        status: String,
        /// The output.
        output: String,
    },
    /// Begins or ends maintenance of a service.
    ServiceMaintenance {
        /// The service's identity.
        id: String,
        /// Whether it begins.
        enable: bool,
        /// Why; empty for no reason.
        reason: String,
    },
    /// Begins or ends maintenance of the node.
    NodeMaintenance {
        /// Whether it begins.
        enable: bool,
        /// Why; empty for no reason.
        reason: String,
    },
    /// Registers with the catalog.
    Register(Box<Registration>),
    /// Removes from the catalog: a check, else a service, else the node.
    Deregister {
        /// The node.
        node: String,
        /// The service, or empty.
        service: String,
        /// The check, or empty.
        check: String,
    },
    /// Writes the key-value store.
    Kv {
        /// The key.
        key: Vec<u8>,
        /// The value and the flags.
        entry: Entry,
        /// What is done.
        write: KvWrite,
    },
    /// Creates a session; its identity is given, because the state has no chance in it.
    CreateSession(Box<Session>),
    /// Destroys a session.
    DestroySession {
        /// Its identity.
        id: String,
    },
    /// Renews a session.
    RenewSession {
        /// Its identity.
        id: String,
    },
    /// All of these, or none.
    Transaction(Vec<Operation>),
    /// Fires an event.
    Fire(UserEvent),
    /// No heartbeat came in time.
    ExpireCheck {
        /// The check.
        id: String,
    },
    /// A session was not renewed in time.
    ExpireSession {
        /// Its identity.
        id: String,
    },
    /// A service was critical for too long.
    ReapService {
        /// The check that was critical.
        check: String,
    },
    /// An output that changed alone is told to the catalog.
    SyncCheck {
        /// The check.
        id: String,
    },
    /// What the agent holds is told to the catalog where it differs.
    SyncAgent,
    /// Replaces everything.
    Restore(Box<super::snapshot::Snapshot>),
}
