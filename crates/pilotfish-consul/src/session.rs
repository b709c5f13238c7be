//! `/v1/session`: sessions, which hold locks on keys.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::read::{Read, go_duration};
use crate::wire::null_is_empty;
use crate::{Answer, Client, Error};

/// What happens to the keys of a session that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Behavior {
    /// Their locks are released.
    #[default]
    Release,
    /// They are deleted.
    Delete,
}

/// A session to create.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewSession {
    /// Name for people.
    pub name: String,
    /// Ends the session unless it is renewed in time (10 s to 24 h); Consul may wait up to twice as long.
    pub ttl: Option<Duration>,
    /// Time for which a released lock cannot be taken; Consul's default is 15 s.
    pub lock_delay: Option<Duration>,
    /// What happens to its keys.
    pub behavior: Behavior,
    /// Checks of the node that must not be critical; `serfHealth` when there is no list.
    pub node_checks: Option<Vec<String>>,
    /// Checks of services on the node that must not be critical.
    pub service_checks: Vec<String>,
}

/// A session that exists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Session {
    /// Identity, a UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name for people.
    #[serde(default)]
    pub name: String,
    /// Node that it belongs to.
    pub node: String,
    /// Its TTL as Go writes durations; empty for none.
    #[serde(rename = "TTL", default)]
    pub ttl: String,
    /// Time for which a released lock cannot be taken, in nanoseconds.
    #[serde(rename = "LockDelay", default)]
    pub lock_delay_ns: u64,
    /// What happens to its keys.
    #[serde(default)]
    pub behavior: Behavior,
    /// Checks of the node that it depends on.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub node_checks: Vec<String>,
    /// Index at which it was created.
    #[serde(default)]
    pub create_index: u64,
}

impl Client {
    /// Creates a session on the agent's node and returns its identity.
    ///
    /// # Errors
    /// See [`Error`]. After one with [`Error::may_have_been_done`] a session may exist that nobody knows; its TTL ends it.
    pub async fn session_create(&self, session: &NewSession) -> Result<Answer<String>, Error> {
        let wire = WireNewSession {
            name: &session.name,
            ttl: session.ttl.map(go_duration),
            lock_delay: session.lock_delay.map(go_duration),
            behavior: session.behavior,
            node_checks: session.node_checks.as_deref(),
            service_checks: session.service_checks.iter().map(|id| WireServiceCheck { id }).collect(),
        };
        let call = Call::put("/v1/session/create").query_some("dc", self.datacenter()).json(&wire).once();
        self.call(call).await?.read(|WireId { id }| id)
    }

    /// Renews a session's TTL.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the session has ended.
    pub async fn session_renew(&self, id: &str) -> Result<Answer<Session>, Error> {
        let call = Call::put("/v1/session/renew/").push(id).query_some("dc", self.datacenter());
        let reply = self.call(call).await?;
        match reply.parse::<Vec<Session>>()?.pop() {
            Some(session) => Ok(reply.answer(session)),
            None => Err(Error::NotFound { address: reply.endpoint.to_string(), text: format!("no session {id}") }),
        }
    }

    /// Ends a session. One that has ended before counts as ended.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn session_destroy(&self, id: &str) -> Result<(), Error> {
        let call = Call::put("/v1/session/destroy/").push(id).query_some("dc", self.datacenter());
        self.call(call).await.map(|_| ())
    }

    /// One session; nothing when it has ended.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn session_info(&self, id: &str, read: &Read) -> Result<Answer<Option<Session>>, Error> {
        let call = Call::get("/v1/session/info/").push(id);
        self.call(read.apply(call, self.datacenter())).await?.read(|mut found: Vec<Session>| found.pop())
    }

    /// All sessions.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn session_list(&self, read: &Read) -> Result<Answer<Vec<Session>>, Error> {
        self.call(read.apply(Call::get("/v1/session/list"), self.datacenter())).await?.read(|sessions| sessions)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireNewSession<'a> {
    name: &'a str,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_delay: Option<String>,
    behavior: Behavior,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_checks: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service_checks: Vec<WireServiceCheck<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireServiceCheck<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

#[derive(Deserialize)]
struct WireId {
    #[serde(rename = "ID")]
    id: String,
}
