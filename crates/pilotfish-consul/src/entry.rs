//! `/v1/health/service` in full, one instance at a time and without copies: for whoever keeps little of it, or keeps it in a form of its own.

use serde::Deserialize;

use crate::call::Call;
use crate::elements::{Shape, first};
use crate::wire::{Text, null_is_empty, pairs};
use crate::{Answer, Client, Error, HealthQuery, Read};

/// One instance of a service, with its node and its checks; borrowed from the answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceEntry<'a> {
    /// Its node.
    #[serde(borrow)]
    pub node: EntryNode<'a>,
    /// The instance.
    #[serde(borrow)]
    pub service: EntryService<'a>,
    /// Its own checks and those of its node.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub checks: Vec<EntryCheck<'a>>,
}

/// The node of a [`ServiceEntry`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntryNode<'a> {
    /// Identity; empty for a node that was registered by hand.
    #[serde(rename = "ID", borrow, default)]
    pub id: Text<'a>,
    /// Name.
    #[serde(borrow)]
    pub node: Text<'a>,
    /// Address.
    #[serde(borrow, default)]
    pub address: Text<'a>,
    /// Datacenter.
    #[serde(borrow, default)]
    pub datacenter: Text<'a>,
    /// Further addresses by name.
    #[serde(borrow, default, deserialize_with = "pairs")]
    pub tagged_addresses: Vec<(Text<'a>, Text<'a>)>,
    /// Metadata.
    #[serde(borrow, default, deserialize_with = "pairs")]
    pub meta: Vec<(Text<'a>, Text<'a>)>,
}

/// The instance of a [`ServiceEntry`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntryService<'a> {
    /// Identity on its node.
    #[serde(rename = "ID", borrow)]
    pub id: Text<'a>,
    /// Name of the service.
    #[serde(borrow)]
    pub service: Text<'a>,
    /// Tags.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub tags: Vec<Text<'a>>,
    /// Its own address; empty for the node's.
    #[serde(borrow, default)]
    pub address: Text<'a>,
    /// Further addresses by name.
    #[serde(borrow, default, deserialize_with = "pairs")]
    pub tagged_addresses: Vec<(Text<'a>, EntryAddress<'a>)>,
    /// Metadata.
    #[serde(borrow, default, deserialize_with = "pairs")]
    pub meta: Vec<(Text<'a>, Text<'a>)>,
    /// Its port; 0 when the registration named none.
    #[serde(default)]
    pub port: u16,
    /// How much of the load it wants.
    #[serde(default)]
    pub weights: EntryWeights,
}

/// An address of an [`EntryService`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntryAddress<'a> {
    /// Address.
    #[serde(borrow, default)]
    pub address: Text<'a>,
    /// Port.
    #[serde(default)]
    pub port: u16,
}

/// Weights of an [`EntryService`]; 1 each unless it was registered with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntryWeights {
    /// While its checks pass.
    pub passing: i64,
    /// While one of them warns.
    pub warning: i64,
}

impl Default for EntryWeights {
    fn default() -> EntryWeights {
        EntryWeights { passing: 1, warning: 1 }
    }
}

/// A check of a [`ServiceEntry`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EntryCheck<'a> {
    /// Node that the check belongs to.
    #[serde(borrow)]
    pub node: Text<'a>,
    /// Identity on its node.
    #[serde(rename = "CheckID", borrow)]
    pub id: Text<'a>,
    /// Name for people.
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// State, as Consul writes it.
    #[serde(borrow)]
    pub status: Text<'a>,
    /// What the check is about, for people.
    #[serde(borrow, default)]
    pub notes: Text<'a>,
    /// What the check printed last.
    #[serde(borrow, default)]
    pub output: Text<'a>,
    /// Service instance that it checks; empty for a check of the node.
    #[serde(rename = "ServiceID", borrow, default)]
    pub service_id: Text<'a>,
    /// Name of that service.
    #[serde(borrow, default)]
    pub service_name: Text<'a>,
    /// Tags of that service.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub service_tags: Vec<Text<'a>>,
    /// Kind of the check, where Consul tells it (1.9 and later).
    #[serde(rename = "Type", borrow, default)]
    pub kind: Text<'a>,
    /// Index at which it was created.
    #[serde(default)]
    pub create_index: u64,
    /// Index of its last change.
    #[serde(default)]
    pub modify_index: u64,
}

struct Entries;

impl Shape for Entries {
    type Element<'a> = ServiceEntry<'a>;

    fn first(bytes: &[u8]) -> Result<Option<(ServiceEntry<'_>, usize)>, serde_json::Error> {
        first(bytes)
    }
}

impl Client {
    /// Folds the instances of a service into a value, one after the other while the answer arrives. `start` gives the value to begin with;
    /// it is called again when the answer of one server is cut off and another one is asked.
    ///
    /// # Errors
    /// As [`Client::health_service`].
    pub async fn health_service_fold<T: Send>(
        &self,
        query: &HealthQuery,
        read: &Read,
        start: impl Fn() -> T + Send,
        fold: impl for<'a> Fn(&mut T, ServiceEntry<'a>) + Send,
    ) -> Result<Answer<T>, Error> {
        let call: Call = query.call(read, self.datacenter());
        self.fold::<Entries, T, _, _>(call, start, fold).await
    }
}
