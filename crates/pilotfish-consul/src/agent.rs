//! `/v1/agent`: the agent itself, and the services and checks registered with it. What is registered with one agent is unknown
//! to the others: see [`crate::Answer::endpoint`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::health::CheckStatus;
use crate::read::{go_duration, hold};
use crate::wire::null_is_empty;
use crate::{Answer, Client, Endpoint, Error};

/// Longest check output that is sent, in bytes: Consul cuts it there as well (`check_output_max_size`).
pub const CHECK_OUTPUT_LIMIT: usize = 4096;

/// The agent's own account of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSelf {
    /// Its datacenter.
    pub datacenter: String,
    /// Name of its node.
    pub node: String,
    /// Identity of its node; changes when a node was wiped.
    pub node_id: String,
    /// Version, as `1.8.7`.
    pub version: String,
    /// Whether it is a server.
    pub server: bool,
}

/// One member of the gossip pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name of the node.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Its gossip port.
    pub port: u16,
    /// Facts about it, as `role` and `dc`.
    pub tags: BTreeMap<String, String>,
    /// What the agent thinks of it.
    pub status: MemberStatus,
}

/// State of a member, as Serf numbers it (`serf.MemberStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStatus {
    /// Taking part.
    Alive,
    /// Has said that it leaves.
    Leaving,
    /// Has left.
    Left,
    /// Does not answer.
    Failed,
    /// A number that this client does not know.
    Unknown,
}

/// A check that fails by itself when no heartbeat arrives in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TtlCheck {
    /// Identity; `service:<service id>` when none is given.
    pub id: Option<String>,
    /// Name for people.
    pub name: Option<String>,
    /// What it is about, for people.
    pub notes: Option<String>,
    /// Longest time between two heartbeats.
    pub ttl: Duration,
    /// Time after which a critical service is removed; Consul makes it a minute at least, and looks every 30 s.
    pub deregister_after: Option<Duration>,
    /// State until the first heartbeat.
    pub initial: CheckStatus,
}

/// A service to register with the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRegistration {
    /// Identity on the agent.
    pub id: String,
    /// Name by which it is found.
    pub name: String,
    /// Its address; the node's when there is none.
    pub address: Option<String>,
    /// Its port; 0 for none.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Metadata.
    pub meta: BTreeMap<String, String>,
    /// Further addresses by name (`lan`, `wan`), with ports.
    pub tagged_addresses: BTreeMap<String, (String, u16)>,
    /// Whether others may change the tags in the catalog.
    pub enable_tag_override: bool,
    /// Its check.
    pub check: Option<TtlCheck>,
}

/// A service as the agent knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentService {
    /// Identity on the agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name by which it is found.
    #[serde(rename = "Service")]
    pub name: String,
    /// Its address; empty for the node's.
    #[serde(default)]
    pub address: String,
    /// Its port.
    #[serde(default)]
    pub port: u16,
    /// Tags.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// Metadata.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub meta: BTreeMap<String, String>,
    /// Whether others may change the tags in the catalog.
    #[serde(default)]
    pub enable_tag_override: bool,
    /// Hash to block on with [`Client::agent_service_blocking`]; only there and in [`Client::agent_service`].
    #[serde(default)]
    pub content_hash: String,
}

impl Client {
    /// The agent's own account of itself.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent_self(&self) -> Result<Answer<AgentSelf>, Error> {
        self.call(Call::get("/v1/agent/self")).await?.read(|WireSelf { config }| AgentSelf {
            datacenter: config.datacenter,
            node: config.node_name,
            node_id: config.node_id,
            version: config.version,
            server: config.server,
        })
    }

    /// Members of the gossip pool, as this agent sees them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent_members(&self) -> Result<Answer<Vec<Member>>, Error> {
        let reply = self.call(Call::get("/v1/agent/members")).await?;
        reply.read(|members: Vec<WireMember>| members.into_iter().map(Member::from).collect())
    }

    /// Services registered with this agent, by identity.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent_services(&self) -> Result<Answer<BTreeMap<String, AgentService>>, Error> {
        self.call(Call::get("/v1/agent/services")).await?.read(|services| services)
    }

    /// One service of this agent, now.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not registered there; see [`Error`].
    pub async fn agent_service(&self, id: &str) -> Result<Answer<AgentService>, Error> {
        self.call(Call::get("/v1/agent/service/").push(id)).await?.read(|service| service)
    }

    /// One service of this agent, when its content hash is no longer `hash`, or after `wait`.
    ///
    /// # Errors
    /// As [`Client::agent_service`].
    pub async fn agent_service_blocking(
        &self,
        id: &str,
        hash: &str,
        wait: Duration,
    ) -> Result<Answer<AgentService>, Error> {
        let call = Call::get("/v1/agent/service/").push(id).query("hash", hash);
        self.call(hold(call, wait)).await?.read(|service| service)
    }

    /// Registers a service with the agent, or replaces it. A check that exists keeps its state.
    ///
    /// An agent takes it before it tells the catalog, and may fail at that, or be too slow; then another one is asked. To `asked` are added all
    /// agents that may hold the service now, whatever the outcome.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent_register(
        &self,
        service: &ServiceRegistration,
        asked: &mut Vec<Endpoint>,
    ) -> Result<Answer<()>, Error> {
        let call = Call::put("/v1/agent/service/register").json(&WireRegistration::from(service));
        Ok(self.call_telling(call, None, asked).await?.answer(()))
    }

    /// Removes a service from the agent. A service that is not there counts as removed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn agent_deregister(&self, service_id: &str) -> Result<(), Error> {
        match self.call(Call::put("/v1/agent/service/deregister/").push(service_id)).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Heartbeat: the check passes. Output beyond [`CHECK_OUTPUT_LIMIT`] is cut.
    ///
    /// # Errors
    /// [`Error::NotFound`] when this agent does not know the check: register the service again.
    pub async fn check_pass(&self, check_id: &str, output: &str) -> Result<Answer<()>, Error> {
        self.check_update(check_id, CheckStatus::Passing, output).await
    }

    /// The check warns.
    ///
    /// # Errors
    /// As [`Client::check_pass`].
    pub async fn check_warn(&self, check_id: &str, output: &str) -> Result<Answer<()>, Error> {
        self.check_update(check_id, CheckStatus::Warning, output).await
    }

    /// The check fails.
    ///
    /// # Errors
    /// As [`Client::check_pass`].
    pub async fn check_fail(&self, check_id: &str, output: &str) -> Result<Answer<()>, Error> {
        self.check_update(check_id, CheckStatus::Critical, output).await
    }

    /// Sets a TTL check's state and output.
    ///
    /// # Errors
    /// As [`Client::check_pass`].
    pub async fn check_update(&self, check_id: &str, status: CheckStatus, output: &str) -> Result<Answer<()>, Error> {
        let update = WireCheckUpdate { status: status.name(), output: cut(output, CHECK_OUTPUT_LIMIT) };
        Ok(self.call(Call::put("/v1/agent/check/update/").push(check_id).json(&update)).await?.answer(()))
    }

    /// Puts a service into maintenance, with a reason for people, or takes it out.
    ///
    /// # Errors
    /// [`Error::NotFound`] when this agent does not know the service.
    pub async fn service_maintenance(&self, service_id: &str, enable: bool, reason: &str) -> Result<(), Error> {
        self.maintenance(Call::put("/v1/agent/service/maintenance/").push(service_id), enable, reason).await
    }

    /// Puts the agent's whole node into maintenance, with a reason for people, or takes it out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn node_maintenance(&self, enable: bool, reason: &str) -> Result<(), Error> {
        self.maintenance(Call::put("/v1/agent/maintenance"), enable, reason).await
    }

    async fn maintenance(&self, call: Call, enable: bool, reason: &str) -> Result<(), Error> {
        let call = call.query("enable", if enable { "true" } else { "false" });
        let call = call.query_some("reason", (!reason.is_empty()).then_some(cut(reason, CHECK_OUTPUT_LIMIT)));
        self.call(call).await.map(|_| ())
    }
}

/// The start of a text, of at most `limit` bytes, without a torn character.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireCheckUpdate<'a> {
    status: &'a str,
    output: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireRegistration<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    address: &'a str,
    port: u16,
    tags: &'a [String],
    meta: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<&'a str, WireServiceAddress<'a>>,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<WireTtlCheck<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireServiceAddress<'a> {
    address: &'a str,
    port: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireTtlCheck<'a> {
    #[serde(rename = "CheckID", skip_serializing_if = "Option::is_none")]
    check_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'a str>,
    #[serde(rename = "TTL")]
    ttl: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deregister_critical_service_after: Option<String>,
    status: &'a str,
}

impl<'a> From<&'a ServiceRegistration> for WireRegistration<'a> {
    fn from(service: &'a ServiceRegistration) -> WireRegistration<'a> {
        let tagged = |(name, (address, port)): (&'a String, &'a (String, u16))| {
            (name.as_str(), WireServiceAddress { address, port: *port })
        };
        let mut tagged_addresses = BTreeMap::new();
        tagged_addresses.extend(service.tagged_addresses.iter().map(tagged));
        WireRegistration {
            id: &service.id,
            name: &service.name,
            address: service.address.as_deref().unwrap_or_default(),
            port: service.port,
            tags: &service.tags,
            meta: &service.meta,
            tagged_addresses,
            enable_tag_override: service.enable_tag_override,
            check: service.check.as_ref().map(|check| WireTtlCheck {
                check_id: check.id.as_deref(),
                name: check.name.as_deref(),
                notes: check.notes.as_deref(),
                ttl: go_duration(check.ttl),
                deregister_critical_service_after: check.deregister_after.map(go_duration),
                status: check.initial.name(),
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireSelf {
    config: WireSelfConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireSelfConfig {
    datacenter: String,
    node_name: String,
    #[serde(rename = "NodeID", default)]
    node_id: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    server: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireMember {
    name: String,
    addr: String,
    port: u16,
    #[serde(default, deserialize_with = "null_is_empty")]
    tags: BTreeMap<String, String>,
    status: u8,
}

impl From<WireMember> for Member {
    fn from(wire: WireMember) -> Member {
        let status = match wire.status {
            1 => MemberStatus::Alive,
            2 => MemberStatus::Leaving,
            3 => MemberStatus::Left,
            4 => MemberStatus::Failed,
            _ => MemberStatus::Unknown,
        };
        Member { name: wire.name, address: wire.addr, port: wire.port, tags: wire.tags, status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("short", 4096), "short");
    }
}
