//! What the catalog holds, in the words of Consul's API.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time since the server started; it is an argument everywhere, because the state reads no clock.
pub type Time = Duration;

/// Text by name, as `Meta`.
pub type Texts = BTreeMap<String, String>;

/// A node: a host on which services run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// UUID, or empty.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Addresses by name (`lan`, `wan`).
    pub tagged_addresses: Option<Texts>,
    /// Metadata.
    pub meta: Option<Texts>,
    /// When it came and when it last changed.
    pub stamp: Stamp,
}

/// When something came and when it last changed, as indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `CreateIndex`.
    pub created: u64,
    /// `ModifyIndex`.
    pub modified: u64,
}

/// An address and a port under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceAddress {
    /// Host or IP.
    pub address: String,
    /// Port.
    pub port: i64,
}

/// How much of the load a service takes, by its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weights {
    /// While it passes.
    pub passing: i64,
    /// While it warns.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Weights {
        Weights { passing: 1, warning: 1 }
    }
}

/// One instance of a service on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// `Kind`; empty for an ordinary service.
    pub kind: String,
    /// Identity on its node.
    pub id: String,
    /// The name by which it is found.
    pub name: String,
    /// Tags; `None` where a client sent none (`null` and `[]` are told apart by Consul).
    pub tags: Option<Vec<String>>,
    /// Its address; empty for the node's.
    pub address: String,
    /// Further addresses by name.
    pub tagged_addresses: Option<BTreeMap<String, ServiceAddress>>,
    /// Metadata.
    pub meta: Option<Texts>,
    /// Port.
    pub port: i64,
    /// Weights.
    pub weights: Weights,
    /// Whether others may change the tags in the catalog.
    pub enable_tag_override: bool,
    /// When it came and when it last changed.
    pub stamp: Stamp,
}

/// State of a check.
pub const PASSING: &str = "passing";
/// State of a check.
pub const WARNING: &str = "warning";
/// State of a check.
pub const CRITICAL: &str = "critical";

/// One check of a node or of a service on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Identity on its node.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `passing`, `warning`, `critical`; the catalog takes any other word as well, as Consul does.
    pub status: String,
    /// What it is about, for people.
    pub notes: String,
    /// What it said last.
    pub output: String,
    /// The service that it is about; empty for the node.
    pub service_id: String,
    /// That service's name.
    pub service_name: String,
    /// That service's tags when the check was registered.
    pub service_tags: Option<Vec<String>>,
    /// `ttl`, `http`, `tcp`, `maintenance` or empty.
    pub kind: String,
    /// How an outside monitor is to run it; only for checks that were registered with the catalog itself.
    pub definition: Definition,
    /// When it came and when it last changed.
    pub stamp: Stamp,
}

/// How an outside monitor is to run a check; times as Go writes them, empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Definition {
    /// Time between two runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub interval: String,
    /// Longest run.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timeout: String,
    /// Time after which a critical service is removed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub deregister_critical_service_after: String,
    /// URL.
    #[serde(rename = "HTTP", skip_serializing_if = "String::is_empty")]
    pub http: String,
    /// Headers of the request.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// Method of the request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Body of the request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether the certificate is not looked at.
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "std::ops::Not::not")]
    pub tls_skip_verify: bool,
    /// Host and port.
    #[serde(rename = "TCP", skip_serializing_if = "String::is_empty")]
    pub tcp: String,
}

/// A value of the key-value store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    #[serde(with = "crate::wire::base64_text")]
    pub value: Vec<u8>,
    /// A number that the client chose.
    pub flags: u64,
    /// How often it was locked.
    pub lock_index: u64,
    /// The session that holds it; empty for none.
    pub session: String,
    /// When it came and when it last changed.
    pub stamp: Stamp,
}

/// What becomes of the keys that a session holds when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Behavior {
    /// They are released.
    #[default]
    Release,
    /// They are deleted.
    Delete,
}

/// A session: the holder of locks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// UUID.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its node.
    pub node: String,
    /// For how long keys cannot be locked again after the session was invalidated.
    pub lock_delay: Duration,
    /// What becomes of its keys.
    pub behavior: Behavior,
    /// The text of its TTL as the client sent it; empty for none.
    pub ttl: String,
    /// Its TTL, if it has one.
    pub ttl_time: Option<Duration>,
    /// Checks of the node that keep it valid.
    pub node_checks: Option<Vec<String>>,
    /// Checks of services that keep it valid.
    pub service_checks: Option<Vec<String>>,
    /// Further checks that keep it valid, under the name that they had before Consul 1.7.
    pub checks: Option<Vec<String>>,
    /// When it came.
    pub stamp: Stamp,
}

/// A user event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserEvent {
    /// UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Regular expression of the nodes that it is for.
    pub node_filter: String,
    /// Regular expression of the services that it is for.
    pub service_filter: String,
    /// Regular expression of the tags that it is for.
    pub tag_filter: String,
    /// Lamport time.
    pub lamport: u64,
}
