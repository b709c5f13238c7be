//! `/v1/health`: instances of a service with their checks, and checks by node, service and state.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::call::Call;
use crate::cursor::Cursor;
use crate::read::Read;
use crate::wire::null_is_empty;
use crate::{Answer, Client, Error};

/// State of a check. A state that Consul does not document makes an answer [`Error::Garbled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// Healthy.
    Passing,
    /// Usable, with a warning.
    Warning,
    /// Unhealthy.
    Critical,
}

impl CheckStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            CheckStatus::Passing => "passing",
            CheckStatus::Warning => "warning",
            CheckStatus::Critical => "critical",
        }
    }
}

impl fmt::Display for CheckStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which checks [`Client::health_state`] lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// All of them.
    Any,
    /// Those in one state.
    Only(CheckStatus),
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "WireCheck")]
pub struct HealthCheck {
    /// Node that the check belongs to.
    pub node: String,
    /// Identity on its node.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// State.
    pub status: CheckStatus,
    /// What the check is about, for people.
    pub notes: String,
    /// What the check printed last.
    pub output: String,
    /// Service instance that it checks; empty for a check of the node.
    pub service_id: String,
    /// Name of that service.
    pub service_name: String,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInstance {
    /// Name of its node.
    pub node: String,
    /// Address of its node.
    pub node_address: String,
    /// Metadata of its node.
    pub node_meta: BTreeMap<String, String>,
    /// Its datacenter.
    pub datacenter: String,
    /// Identity on its node.
    pub id: String,
    /// Name of the service.
    pub name: String,
    /// Its own address; the node's where the registration named none.
    pub address: String,
    /// Its port; 0 when the registration named none.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Metadata.
    pub meta: BTreeMap<String, String>,
    /// Its own checks and those of its node.
    pub checks: Vec<HealthCheck>,
}

impl ServiceInstance {
    /// The worst state of its checks; passing when it has none.
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Passing)
    }
}

/// Which instances of a service are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthQuery {
    /// Name of the service.
    pub service: String,
    /// Only instances with all of these tags.
    pub tags: Vec<String>,
    /// Only instances whose checks all pass.
    pub passing: bool,
    /// Datacenter, freshness, order and filter.
    pub read: Read,
}

impl HealthQuery {
    /// The passing instances of a service.
    pub fn passing(service: impl Into<String>) -> HealthQuery {
        HealthQuery { service: service.into(), passing: true, ..HealthQuery::default() }
    }

    pub(crate) fn call(&self, read: &Read, datacenter: Option<&str>) -> Call {
        let mut call = Call::get("/v1/health/service/").push(&self.service);
        for tag in &self.tags {
            call = call.query("tag", tag);
        }
        if self.passing {
            call = call.query("passing", "");
        }
        read.apply(call, datacenter)
    }
}

impl Client {
    /// Instances of a service, now.
    ///
    /// # Errors
    /// See [`Error`]; none of them means that there are no instances.
    pub async fn health_service(&self, query: &HealthQuery) -> Result<Answer<Vec<ServiceInstance>>, Error> {
        self.instances(query, &query.read).await
    }

    /// Instances of a service, when they have changed since `cursor` or after `wait`. The caller advances the cursor with the
    /// answer's index and lets [`crate::Pace`] say when to ask again.
    ///
    /// # Errors
    /// As [`Client::health_service`].
    pub async fn health_service_blocking(
        &self,
        query: &HealthQuery,
        cursor: &Cursor,
        wait: Duration,
    ) -> Result<Answer<Vec<ServiceInstance>>, Error> {
        self.instances(query, &query.read.after(cursor, wait)).await
    }

    async fn instances(&self, query: &HealthQuery, read: &Read) -> Result<Answer<Vec<ServiceInstance>>, Error> {
        let reply = self.call(query.call(read, self.datacenter())).await?;
        reply.read(|entries: Vec<WireEntry>| entries.into_iter().map(ServiceInstance::from).collect())
    }

    /// Checks of a node and of the services on it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn health_node(&self, node: &str, read: &Read) -> Result<Answer<Vec<HealthCheck>>, Error> {
        self.checks(Call::get("/v1/health/node/").push(node), read).await
    }

    /// Checks of a service on all nodes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn health_checks(&self, service: &str, read: &Read) -> Result<Answer<Vec<HealthCheck>>, Error> {
        self.checks(Call::get("/v1/health/checks/").push(service), read).await
    }

    /// Checks in a state.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn health_state(&self, state: HealthState, read: &Read) -> Result<Answer<Vec<HealthCheck>>, Error> {
        let state = match state {
            HealthState::Any => "any",
            HealthState::Only(status) => status.name(),
        };
        self.checks(Call::get("/v1/health/state/").push(state), read).await
    }

    async fn checks(&self, call: Call, read: &Read) -> Result<Answer<Vec<HealthCheck>>, Error> {
        self.call(read.apply(call, self.datacenter())).await?.read(|checks: Vec<HealthCheck>| checks)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireEntry {
    node: WireNode,
    service: WireService,
    #[serde(default, deserialize_with = "null_is_empty")]
    checks: Vec<HealthCheck>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireNode {
    node: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    datacenter: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    meta: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireService {
    #[serde(rename = "ID")]
    id: String,
    service: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: u16,
    #[serde(default, deserialize_with = "null_is_empty")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    meta: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireCheck {
    node: String,
    #[serde(rename = "CheckID")]
    check_id: String,
    #[serde(default)]
    name: String,
    status: CheckStatus,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    output: String,
    #[serde(rename = "ServiceID", default)]
    service_id: String,
    #[serde(default)]
    service_name: String,
}

impl From<WireEntry> for ServiceInstance {
    fn from(wire: WireEntry) -> ServiceInstance {
        let address = if wire.service.address.is_empty() { wire.node.address.clone() } else { wire.service.address };
        ServiceInstance {
            node: wire.node.node,
            node_address: wire.node.address,
            node_meta: wire.node.meta,
            datacenter: wire.node.datacenter,
            id: wire.service.id,
            name: wire.service.service,
            address,
            port: wire.service.port,
            tags: wire.service.tags,
            meta: wire.service.meta,
            checks: wire.checks,
        }
    }
}

impl From<WireCheck> for HealthCheck {
    fn from(wire: WireCheck) -> HealthCheck {
        HealthCheck {
            node: wire.node,
            id: wire.check_id,
            name: wire.name,
            status: wire.status,
            notes: wire.notes,
            output: wire.output,
            service_id: wire.service_id,
            service_name: wire.service_name,
        }
    }
}
