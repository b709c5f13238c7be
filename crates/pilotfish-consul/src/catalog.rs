//! `/v1/catalog`: the cluster's own list of nodes and services.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::read::Read;
use crate::wire::null_is_empty;
use crate::{AgentService, Answer, Client, Error};

/// A node of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogNode {
    /// Identity; empty for a node that was registered by hand.
    #[serde(rename = "ID", default)]
    pub id: String,
    /// Name.
    pub node: String,
    /// Address.
    pub address: String,
    /// Datacenter.
    #[serde(default)]
    pub datacenter: String,
    /// Metadata.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub meta: BTreeMap<String, String>,
    /// Further addresses by name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub tagged_addresses: BTreeMap<String, String>,
}

/// A node, and the services on it by their identities.
pub type NodeWithServices = (CatalogNode, Vec<AgentService>);

/// An instance of a service in the catalog, whatever its health.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogService {
    /// Name of its node.
    pub node: String,
    /// Address of its node.
    #[serde(rename = "Address")]
    pub node_address: String,
    /// Datacenter.
    #[serde(default)]
    pub datacenter: String,
    /// Identity on its node.
    #[serde(rename = "ServiceID")]
    pub id: String,
    /// Name of the service.
    #[serde(rename = "ServiceName")]
    pub name: String,
    /// Its own address; empty for the node's.
    #[serde(rename = "ServiceAddress", default)]
    pub address: String,
    /// Port.
    #[serde(rename = "ServicePort", default)]
    pub port: u16,
    /// Tags.
    #[serde(rename = "ServiceTags", default, deserialize_with = "null_is_empty")]
    pub tags: Vec<String>,
    /// Metadata.
    #[serde(rename = "ServiceMeta", default, deserialize_with = "null_is_empty")]
    pub meta: BTreeMap<String, String>,
}

/// A node, and with an identity a service on it, to put into the catalog past any agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogRegistration {
    /// Name of the node.
    pub node: String,
    /// Address of the node.
    pub address: String,
    /// Datacenter, instead of the client's.
    pub datacenter: Option<String>,
    /// Metadata of the node.
    pub node_meta: BTreeMap<String, String>,
    /// The service, if one is registered.
    pub service: Option<CatalogInstance>,
}

/// A service of a [`CatalogRegistration`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogInstance {
    /// Identity on its node.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name of the service.
    #[serde(rename = "Service")]
    pub name: String,
    /// Its own address; empty for the node's.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Metadata.
    pub meta: BTreeMap<String, String>,
}

impl Client {
    /// Puts a node, and maybe a service on it, into the catalog.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_register(&self, registration: &CatalogRegistration) -> Result<(), Error> {
        let wire = WireRegister {
            node: &registration.node,
            address: &registration.address,
            datacenter: registration.datacenter.as_deref().or(self.datacenter()),
            node_meta: &registration.node_meta,
            service: registration.service.as_ref(),
        };
        self.call(Call::put("/v1/catalog/register").json(&wire)).await.map(|_| ())
    }

    /// Removes a service from a node, or with no service the node with all that is on it. What is not there counts as removed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_deregister(&self, node: &str, service_id: Option<&str>) -> Result<(), Error> {
        let wire = WireDeregister { node, service_id, datacenter: self.datacenter() };
        self.call(Call::put("/v1/catalog/deregister").json(&wire)).await.map(|_| ())
    }

    /// Known datacenters, the nearest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_datacenters(&self) -> Result<Answer<Vec<String>>, Error> {
        self.call(Call::get("/v1/catalog/datacenters")).await?.read(|names| names)
    }

    /// All nodes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_nodes(&self, read: &Read) -> Result<Answer<Vec<CatalogNode>>, Error> {
        self.call(read.apply(Call::get("/v1/catalog/nodes"), self.datacenter())).await?.read(|nodes| nodes)
    }

    /// A node and the services on it; nothing when there is no such node.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_node(&self, name: &str, read: &Read) -> Result<Answer<Option<NodeWithServices>>, Error> {
        let call = Call::get("/v1/catalog/node/").push(name);
        self.call(read.apply(call, self.datacenter())).await?.read(|found: Option<WireNode>| {
            let services = |wire: WireNode| (wire.node, wire.services.into_values().collect());
            found.map(services)
        })
    }

    /// Names of all services, with all tags that their instances carry.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_services(&self, read: &Read) -> Result<Answer<BTreeMap<String, Vec<String>>>, Error> {
        let reply = self.call(read.apply(Call::get("/v1/catalog/services"), self.datacenter())).await?;
        let some_tags = |(name, tags): (String, Option<Vec<String>>)| (name, tags.unwrap_or_default());
        reply.read(|services: BTreeMap<String, Option<Vec<String>>>| {
            let mut tags = BTreeMap::new();
            tags.extend(services.into_iter().map(some_tags));
            tags
        })
    }

    /// All instances of a service, whatever their health.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn catalog_service(&self, name: &str, read: &Read) -> Result<Answer<Vec<CatalogService>>, Error> {
        let call = Call::get("/v1/catalog/service/").push(name);
        self.call(read.apply(call, self.datacenter())).await?.read(|instances| instances)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireNode {
    node: CatalogNode,
    #[serde(default, deserialize_with = "null_is_empty")]
    services: BTreeMap<String, AgentService>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireRegister<'a> {
    node: &'a str,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacenter: Option<&'a str>,
    node_meta: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a CatalogInstance>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireDeregister<'a> {
    node: &'a str,
    #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
    service_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datacenter: Option<&'a str>,
}
