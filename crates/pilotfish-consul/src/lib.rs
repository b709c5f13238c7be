//! A thin client of the [Consul HTTP API](https://developer.hashicorp.com/consul/api-docs), for one thread and few connections.
//!
//! ```text
//! caller -> Call (method, target, body, deadline) -> endpoints in order of preference -> pool -> one HTTP/1.1 exchange
//!        <- Answer {value, index, ...} or Error  <- status, text and leader are judged <-
//! ```
//!
//! What it promises:
//! - Every call has a deadline, which covers name resolution, connect, handshake, writing, headers and body.
//! - A server that cannot answer is an [`Error`], never an empty answer; so is an answer without a known leader, unless the
//!   caller asked for a stale one.
//! - The first address that answers stays preferred. A call moves on to the next address when that cannot do harm.
//! - Nothing runs in the background: a connection makes progress only while a call waits on it, and dropping a call's future
//!   ends its request. One call is one connection in use; Consul allows 200 of them for each client address by default
//!   (`limits.http_max_conns_per_client`).
//!
//! What it must not do: loop or retry by itself in time. [`Cursor`], [`Pace`] and [`Backoff`] tell a caller what to ask for
//! next and when; they read no clock.

mod address;
mod agent;
mod answer;
mod backoff;
mod base64;
mod call;
mod catalog;
mod client;
mod config;
mod connection;
mod cursor;
mod elements;
mod endpoints;
mod entry;
mod error;
mod event;
mod health;
mod kv;
mod pool;
mod read;
mod secret;
mod session;
mod snapshot;
mod status;
mod stream;
mod tls;
mod token;
mod txn;
mod wire;

pub use address::{Address, Scheme};
pub use agent::{AgentSelf, AgentService, CHECK_OUTPUT_LIMIT, Member, MemberStatus, ServiceRegistration, TtlCheck};
pub use answer::{Answer, Leader};
pub use backoff::{Backoff, Fault, Pace};
pub use call::RESPONSE_LIMIT;
pub use catalog::{CatalogInstance, CatalogNode, CatalogRegistration, CatalogService, NodeWithServices};
pub use client::Client;
pub use config::{Config, DEFAULT_DEADLINE, TlsConfig};
pub use cursor::{Cursor, Step};
pub use endpoints::Endpoint;
pub use entry::{EntryAddress, EntryCheck, EntryNode, EntryService, EntryWeights, ServiceEntry};
pub use error::Error;
pub use event::UserEvent;
pub use health::{CheckStatus, HealthCheck, HealthQuery, HealthState, ServiceInstance};
pub use kv::{KvPair, KvWrite};
pub use read::{Consistency, Read};
pub use secret::Secret;
pub use session::{Behavior, NewSession, Session};
pub use snapshot::SNAPSHOT_LIMIT;
pub use txn::{TRANSACTION_OPERATIONS, TxnFailure, TxnOperation, TxnOutcome};
pub use wire::Text;
