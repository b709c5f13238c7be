//! The whole state as one value, for `snapshot`; what a log of commands needs beside it is in [`super::keeping`].

use serde::{Deserialize, Serialize};

use super::command::AgentCheck;
use super::tables::Indexes;
use super::types::{Check, Entry, Node, Service, Session};

/// The whole state, without what only counts while it runs (deadlines, events, tombstones).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub(crate) index: u64,
    pub(crate) indexes: Indexes,
    pub(crate) nodes: Vec<Node>,
    /// With the node of each.
    pub(crate) services: Vec<(String, Service)>,
    /// With the node of each.
    pub(crate) checks: Vec<(String, Check)>,
    pub(crate) service_indexes: Vec<(String, u64)>,
    pub(crate) kv: Vec<(Vec<u8>, Entry)>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) agent_services: Vec<Service>,
    pub(crate) agent_checks: Vec<AgentCheck>,
}
