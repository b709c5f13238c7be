//! What an operator says of itself: to people, to `/metrics`, to scripts. Times are seconds; positions are GTID sets as text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// This member's number.
    pub id: u32,
    /// This run of its operator, drawn at random.
    #[serde(default)]
    pub incarnation: String,
    /// Its name.
    pub name: String,
    /// The service.
    pub service: String,
    /// `mariadb` or `mysql`.
    pub flavour: String,
    /// The server's version.
    pub version: String,
    /// `quorum` or `async`.
    pub durability: String,
    /// `primary` or `replica` as registered; `none` if it is neither.
    pub role: String,
    /// Whether it can be used for what its role promises: a primary takes writes, a replica follows.
    pub healthy: bool,
    /// What is being done with the server at this moment, in words.
    pub doing: Option<String>,
    /// The rule that fired last.
    pub why: Reason,
    /// Whether the catalog answers; if not, since how many seconds.
    pub catalog_silent: Option<f64>,
    /// The lease as last read.
    pub lease: Option<LeaseReport>,
    /// On how many members an acknowledged write is now, the primary included; `None` if there is no primary.
    pub copies: Option<u32>,
    /// What every member says of itself.
    pub members: Vec<MemberReport>,
    /// The own server.
    pub server: Option<ServerReport>,
    /// An operator paused the autopilot.
    pub paused: bool,
    /// What operators asked for and is not done yet, in words.
    pub orders: Vec<String>,
    /// Since the start of the operator, by name: `failovers`, `switchovers`, `fences`, `rebuilds`, `objections`, `starts`, ...
    pub counters: BTreeMap<String, u64>,
    /// The phases of the last time that this member became primary, in order.
    pub promotion: Vec<Phase>,
    /// The last decisions other than renewals and reports, oldest first.
    pub decisions: Vec<Decided>,
}

/// A reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// Its name, from a closed list.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// When it will be looked at again if nothing happens: in so many seconds.
    pub until: Option<f64>,
}

/// The lease.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseReport {
    /// The cluster's identity, in hexadecimal.
    pub cluster: String,
    /// The term.
    pub term: u64,
    /// The number of its last change.
    pub change: u64,
    /// Who holds it.
    pub holder: u32,
    /// `initialising`, `held` or `released`.
    pub state: String,
    /// Who wrote last; equal to the holder once that is established.
    pub primary: u32,
    /// Replicas whose acknowledgement counts.
    pub in_sync: Vec<u32>,
    /// How many of them must have a write.
    pub acks: u8,
    /// For how many seconds of an answering catalog it has not changed.
    pub unchanged: f64,
    /// Its holder: how many seconds are left until its own deadline; negative: past it.
    pub left: Option<f64>,
    /// A forced failover has happened and not all members have been in sync since.
    pub forced: bool,
}

/// A member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Where its server is.
    pub address: String,
    /// The server's port.
    pub port: u16,
    /// `primary`, `replica`, `candidate` (holds the lease, not yet primary) or `none`.
    pub role: String,
    /// In the in-sync set.
    pub in_sync: bool,
    /// It has usable data.
    pub data: bool,
    /// What it has applied.
    pub executed: Option<String>,
    /// What it has applied or holds in its relay log.
    pub received: Option<String>,
    /// How many transactions it has applied fewer than the primary said last.
    pub behind: Option<u64>,
    /// How many transactions it has that the primary has not.
    pub errant: Option<u64>,
    /// Whom it follows.
    pub following: Option<u32>,
    /// It acknowledges.
    pub acking: bool,
    /// What is wrong with it: `applier-stopped`, `errant`, `purged`.
    pub ailment: Option<String>,
    /// It may become primary.
    pub may_lead: bool,
    /// It is stopping.
    pub leaving: bool,
}

/// The own server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerReport {
    /// `stopped`, `starting` or `running`.
    pub state: String,
    /// It takes writes.
    pub writable: bool,
    /// Its position.
    pub executed: Option<String>,
    /// For how many seconds a probe is unanswered.
    pub silent: Option<f64>,
    /// How long the oldest commit has been waiting for acknowledgement.
    pub waiting: Option<f64>,
    /// How many seconds its applier is behind.
    pub lag: Option<f64>,
    /// The last error of replication.
    pub replication_error: Option<String>,
    /// Acks that it asks for.
    pub acks: u8,
    /// In-sync members whose acknowledging connection is there.
    pub acking: Vec<u32>,
    /// Free space where its data is, in bytes.
    pub free_bytes: Option<u64>,
}

/// One phase of a promotion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// `free` (the lease was seen to be free), `voted`, `taken`, `drained`, `established`, `open`, `registered`.
    pub name: String,
    /// Seconds since the first.
    pub at: f64,
}

/// A decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// Seconds since the Unix epoch.
    pub at: f64,
    /// The act's name.
    pub act: String,
    /// The reason's name.
    pub code: String,
    /// The reason's sentence.
    pub why: String,
}

/// What a forced failover would lose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LossReport {
    /// Who would lead.
    pub candidate: u32,
    /// Its name.
    pub name: String,
    /// In which term.
    pub term: u64,
    /// Members that may have acknowledged writes that nobody else has, and that nobody has heard of.
    pub unheard: Vec<u32>,
    /// What others are known to have and the candidate has not.
    pub missing: Option<String>,
    /// How many transactions that are.
    pub missing_count: u64,
    /// The votes suffice without force.
    pub needless: bool,
    /// All of it in a sentence.
    pub text: String,
}
