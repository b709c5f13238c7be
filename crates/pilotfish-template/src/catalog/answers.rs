//! Builds the answers to questions: values with consul-template's field names, compact because they share what repeats.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::value::{StructType, Type, Value, ordered};

use super::question::{ServiceQuery, Status};
use super::sockaddr::Interface;

/// An instance of a service, as `service` gives it.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of consul-template's documentation")]
pub struct HealthService {
    pub node: Arc<str>,
    pub node_id: Arc<str>,
    pub node_address: Arc<str>,
    /// Of [`Answers::string_map`].
    pub node_tagged_addresses: Value,
    /// Of [`Answers::string_map`].
    pub node_meta: Value,
    /// Of [`Answers::string_map`].
    pub service_meta: Value,
    /// The service's address, or the node's if it has none of its own.
    pub address: Arc<str>,
    /// Of [`Answers::service_addresses`].
    pub service_tagged_addresses: Value,
    pub id: Arc<str>,
    pub name: Arc<str>,
    /// In any order; they are sorted.
    pub tags: Vec<Arc<str>>,
    /// Of [`Answers::checks`].
    pub checks: Value,
    /// The worst of the checks; see [`Answers::aggregated_status`].
    pub status: Option<Status>,
    pub port: i64,
    pub weight_passing: i64,
    pub weight_warning: i64,
}

/// A check, as `.Checks` gives it.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of Consul's API")]
pub struct HealthCheck {
    pub node: Arc<str>,
    pub check_id: Arc<str>,
    pub name: Arc<str>,
    pub status: Arc<str>,
    pub notes: Arc<str>,
    pub output: Arc<str>,
    pub service_id: Arc<str>,
    pub service_name: Arc<str>,
    pub service_tags: Vec<Arc<str>>,
    pub kind: Arc<str>,
    pub create_index: u64,
    pub modify_index: u64,
}

/// A node, as `nodes` and `node` give it.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of consul-template's documentation")]
pub struct Node {
    pub id: Arc<str>,
    pub node: Arc<str>,
    pub address: Arc<str>,
    pub datacenter: Arc<str>,
    /// Of [`Answers::string_map`].
    pub tagged_addresses: Value,
    /// Of [`Answers::string_map`].
    pub meta: Value,
}

/// A service of a node, as `.Services` of `node` gives it.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of consul-template's documentation")]
pub struct NodeService {
    pub id: Arc<str>,
    pub service: Arc<str>,
    /// In any order; they are sorted.
    pub tags: Vec<Arc<str>>,
    /// Of [`Answers::string_map`].
    pub meta: Value,
    pub port: i64,
    pub address: Arc<str>,
    pub enable_tag_override: bool,
}

/// A key with its value, as `ls` and `tree` give it.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of consul-template's documentation")]
pub struct KeyPair {
    /// The whole key; `.Key` is what follows the prefix that was asked for.
    pub path: Arc<str>,
    pub value: Arc<str>,
    pub create_index: u64,
    pub modify_index: u64,
    pub lock_index: u64,
    pub flags: u64,
    pub session: Arc<str>,
}

/// The kinds of structs that answers consist of, by the names that Go gives them.
#[derive(Debug)]
struct Kinds {
    health_service: Arc<StructType>,
    health_check: Arc<StructType>,
    service_address: Arc<StructType>,
    weights: Arc<StructType>,
    node: Arc<StructType>,
    catalog_node: Arc<StructType>,
    node_service: Arc<StructType>,
    snippet: Arc<StructType>,
    pair: Arc<StructType>,
}

pub(super) const HEALTH_SERVICE: &str = "*dependency.HealthService";
pub(super) const KEY_PAIR: &str = "*dependency.KeyPair";
pub(super) const SNIPPET: &str = "*dependency.CatalogSnippet";
const NODE: &str = "*dependency.Node";
const NODE_SERVICE: &str = "*dependency.CatalogNodeService";

/// Where an instance has its node and its id among its fields; to look them up by name would take longer than to sort.
const NODE_AND_ID: (usize, usize) = (0, 8);

/// Node and id of an instance.
fn place(instance: &Value) -> Option<(&str, &str)> {
    let Value::Struct(instance) = instance else { return None };
    match (instance.fields.get(NODE_AND_ID.0), instance.fields.get(NODE_AND_ID.1)) {
        (Some(Value::String(node)), Some(Value::String(id))) => Some((node, id)),
        (_, _) => None,
    }
}

/// The type of the structs of the given name.
pub(super) fn type_named(name: &str) -> Type {
    Type::Struct(Arc::from(name))
}

/// The fields of a pair, in their order.
const PAIR_FIELDS: [&str; 8] = ["Path", "Key", "Value", "CreateIndex", "ModifyIndex", "LockIndex", "Flags", "Session"];

impl Kinds {
    fn new() -> Kinds {
        Kinds {
            health_service: StructType::new(
                HEALTH_SERVICE,
                &[
                    "Node",
                    "NodeID",
                    "NodeAddress",
                    "NodeTaggedAddresses",
                    "NodeMeta",
                    "ServiceMeta",
                    "Address",
                    "ServiceTaggedAddresses",
                    "ID",
                    "Name",
                    "Tags",
                    "Checks",
                    "Status",
                    "Port",
                    "Weights",
                ],
            ),
            health_check: StructType::new(
                "*api.HealthCheck",
                &[
                    "Node",
                    "CheckID",
                    "Name",
                    "Status",
                    "Notes",
                    "Output",
                    "ServiceID",
                    "ServiceName",
                    "ServiceTags",
                    "Type",
                    "CreateIndex",
                    "ModifyIndex",
                ],
            ),
            service_address: StructType::new("api.ServiceAddress", &["Address", "Port"]),
            weights: StructType::new("api.AgentWeights", &["Passing", "Warning"]),
            node: StructType::new(NODE, &["ID", "Node", "Address", "Datacenter", "TaggedAddresses", "Meta"]),
            catalog_node: StructType::new("*dependency.CatalogNode", &["Node", "Services"]),
            node_service: StructType::new(
                NODE_SERVICE,
                &["ID", "Service", "Tags", "Meta", "Port", "Address", "EnableTagOverride"],
            ),
            snippet: StructType::new(SNIPPET, &["Name", "Tags"]),
            pair: StructType::new(KEY_PAIR, &PAIR_FIELDS),
        }
    }
}

/// A key pair with another key, for `byKey`.
pub(super) fn pair_with_key(pair: &crate::value::Struct, key: &str) -> Value {
    let named = pair.kind.fields.iter().zip(&pair.fields);
    let fields = named.map(|(name, value)| if &**name == "Key" { Value::from(key) } else { value.clone() });
    Value::structure(&pair.kind, fields.collect())
}

/// A map of texts, sorted, as the key under which it is shared.
type Pairs = Vec<(Arc<str>, Arc<str>)>;

/// Makes answers. Keep one per fetch (or for ever): texts, tags and maps that repeat are stored once for all of its
/// answers, and [`Answers::forget_unused`] lets go of what no answer holds any more.
#[derive(Debug)]
pub struct Answers {
    kinds: Kinds,
    texts: BTreeSet<Arc<str>>,
    tags: BTreeMap<Vec<Arc<str>>, Value>,
    maps: BTreeMap<Pairs, Value>,
    weights: BTreeMap<(i64, i64), Value>,
}

impl Default for Answers {
    fn default() -> Self {
        Answers::new()
    }
}

impl Answers {
    /// Without anything to share yet.
    pub fn new() -> Answers {
        Answers {
            kinds: Kinds::new(),
            texts: BTreeSet::new(),
            tags: BTreeMap::new(),
            maps: BTreeMap::new(),
            weights: BTreeMap::new(),
        }
    }

    /// The text, stored once however often it comes.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// A map of texts, such as metadata; stored once however often it comes.
    pub fn string_map<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
        let mut pairs = Vec::new();
        for (key, value) in entries {
            pairs.push((self.text(key), self.text(value)));
        }
        pairs.sort_unstable();
        if let Some(known) = self.maps.get(&pairs) {
            return known.clone();
        }
        let entries = pairs.iter().map(|(key, value)| (Arc::clone(key), Value::String(Arc::clone(value))));
        let map = Value::map(Type::String, ordered(entries));
        self.maps.insert(pairs, map.clone());
        map
    }

    fn tags(&mut self, mut tags: Vec<Arc<str>>) -> Value {
        tags.sort_unstable();
        if let Some(known) = self.tags.get(&tags) {
            return known.clone();
        }
        let list = Value::list(Type::String, tags.iter().map(|tag| Value::String(Arc::clone(tag))).collect());
        self.tags.insert(tags, list.clone());
        list
    }

    fn weights(&mut self, passing: i64, warning: i64) -> Value {
        let kind = &self.kinds.weights;
        let weights = || Value::structure(kind, [passing, warning].map(Value::Int).into());
        self.weights.entry((passing, warning)).or_insert_with(weights).clone()
    }

    /// Lets go of texts, tags and maps that are in no answer any more.
    pub fn forget_unused(&mut self) {
        self.tags.retain(|_, list| !matches!(list, Value::List(list) if Arc::strong_count(list) == 1));
        self.maps.retain(|_, map| !matches!(map, Value::Map(map) if Arc::strong_count(map) == 1));
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }

    /// The addresses of a service by their tags: name, address and port of each.
    pub fn service_addresses<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, &'a str, i64)>) -> Value {
        let mut addresses = BTreeMap::new();
        for (tag, address, port) in entries {
            let fields = Vec::from([Value::String(self.text(address)), Value::Int(port)]);
            addresses.insert(self.text(tag), Value::structure(&self.kinds.service_address, fields));
        }
        Value::map(type_named(&self.kinds.service_address.name), addresses)
    }

    /// The checks of an instance.
    pub fn checks(&mut self, checks: Vec<HealthCheck>) -> Value {
        let mut list = Vec::with_capacity(checks.len());
        for check in checks {
            let fields = Vec::from([
                Value::String(check.node),
                Value::String(check.check_id),
                Value::String(check.name),
                Value::String(check.status),
                Value::String(check.notes),
                Value::String(check.output),
                Value::String(check.service_id),
                Value::String(check.service_name),
                self.tags(check.service_tags),
                Value::String(check.kind),
                Value::Uint(check.create_index),
                Value::Uint(check.modify_index),
            ]);
            list.push(Value::structure(&self.kinds.health_check, fields));
        }
        Value::list(type_named(&self.kinds.health_check.name), list)
    }

    /// The status of an instance whose checks have these ids and statuses: maintenance before critical before warning.
    pub fn aggregated_status<'a>(checks: impl IntoIterator<Item = (&'a str, &'a str)>) -> Status {
        let mut worst = Status::Passing;
        for (id, status) in checks {
            if id == "_node_maintenance" || id.starts_with("_service_maintenance:") {
                return Status::Maintenance;
            }
            match status {
                "critical" => worst = Status::Critical,
                "warning" if worst == Status::Passing => worst = Status::Warning,
                _ => {}
            }
        }
        worst
    }

    /// The answer of `service`: the instances that the query wants, sorted by node and id, or in their order if the query
    /// is for what is near.
    pub fn health_services(&mut self, query: &ServiceQuery, mut instances: Vec<HealthService>) -> Value {
        instances.retain(|instance| instance.status.is_none_or(|status| query.accepts(status)));
        let values = instances.into_iter().map(|instance| self.health_service(instance)).collect();
        Answers::health_service_list(query, values)
    }

    /// One of the instances of [`Answers::health_service_list`].
    pub fn health_service(&mut self, instance: HealthService) -> Value {
        let status = self.text(instance.status.map_or("", Status::name));
        let fields = Vec::from([
            Value::String(instance.node),
            Value::String(instance.node_id),
            Value::String(instance.node_address),
            instance.node_tagged_addresses,
            instance.node_meta,
            instance.service_meta,
            Value::String(instance.address),
            instance.service_tagged_addresses,
            Value::String(instance.id),
            Value::String(instance.name),
            self.tags(instance.tags),
            instance.checks,
            Value::String(status),
            Value::Int(instance.port),
            self.weights(instance.weight_passing, instance.weight_warning),
        ]);
        Value::structure(&self.kinds.health_service, fields)
    }

    /// The answer of `service`, of instances that the query wants and that were made one by one, so that there is never a
    /// second form of all of them: sorted by node and id, or in their order if the query is for what is near.
    pub fn health_service_list(query: &ServiceQuery, mut instances: Vec<Value>) -> Value {
        if query.near.is_none() {
            // A node has each id once, so that no order is lost.
            instances.sort_unstable_by(|one, two| place(one).cmp(&place(two)));
        }
        Value::list(type_named(HEALTH_SERVICE), instances)
    }

    /// The answer of `services`: every service with its tags, sorted by name.
    pub fn services(&mut self, services: impl IntoIterator<Item = (Arc<str>, Vec<Arc<str>>)>) -> Value {
        let mut services: Vec<_> = services.into_iter().collect();
        services.sort_unstable();
        let mut list = Vec::with_capacity(services.len());
        for (name, tags) in services {
            let fields = Vec::from([Value::String(name), self.tags(tags)]);
            list.push(Value::structure(&self.kinds.snippet, fields));
        }
        Value::list(type_named(SNIPPET), list)
    }

    fn node_value(&self, node: Node) -> Value {
        let fields = Vec::from([
            Value::String(node.id),
            Value::String(node.node),
            Value::String(node.address),
            Value::String(node.datacenter),
            node.tagged_addresses,
            node.meta,
        ]);
        Value::structure(&self.kinds.node, fields)
    }

    /// The answer of `nodes`: sorted by name and address, or in their order if the query is for what is `near`.
    pub fn nodes(&mut self, mut nodes: Vec<Node>, near: bool) -> Value {
        if !near {
            nodes.sort_unstable_by(|one, two| (&one.node, &one.address).cmp(&(&two.node, &two.address)));
        }
        let list = nodes.into_iter().map(|node| self.node_value(node)).collect();
        Value::list(type_named(NODE), list)
    }

    /// The answer of `node`, with the node's services sorted by name and id. A node that does not exist is `None`: it is
    /// true in conditions all the same, and its `.Node` is nil, as in consul-template.
    pub fn catalog_node(&mut self, node: Option<(Node, Vec<NodeService>)>) -> Value {
        let (node, mut services) = match node {
            Some((node, services)) => (self.node_value(node), services),
            None => (Value::Nil, Vec::new()),
        };
        services.sort_unstable_by(|one, two| (&one.service, &one.id).cmp(&(&two.service, &two.id)));
        let mut list = Vec::with_capacity(services.len());
        for service in services {
            let fields = Vec::from([
                Value::String(service.id),
                Value::String(service.service),
                self.tags(service.tags),
                service.meta,
                Value::Int(service.port),
                Value::String(service.address),
                Value::Bool(service.enable_tag_override),
            ]);
            list.push(Value::structure(&self.kinds.node_service, fields));
        }
        let services = Value::list(type_named(NODE_SERVICE), list);
        Value::structure(&self.kinds.catalog_node, Vec::from([node, services]))
    }

    /// The answer of `datacenters`, sorted.
    pub fn datacenters(mut names: Vec<String>) -> Value {
        names.sort_unstable();
        Value::strings(names.iter().map(String::as_str))
    }

    /// The answer of `key`: its value, or `None` if there is no such key.
    pub fn key(value: Option<&str>) -> Value {
        value.map_or(Value::Nil, Value::from)
    }

    /// The answer of `ls` and `tree`: all pairs whose key begins with `prefix`, in the order of their keys.
    pub fn pairs(&mut self, prefix: &str, mut pairs: Vec<KeyPair>) -> Value {
        pairs.sort_unstable_by(|one, two| one.path.cmp(&two.path));
        let mut list = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let key = pair.path.strip_prefix(prefix).unwrap_or(&pair.path).trim_start_matches('/');
            let key = if key.len() == pair.path.len() { Arc::clone(&pair.path) } else { Arc::from(key) };
            let fields = Vec::from([
                Value::String(pair.path),
                Value::String(key),
                Value::String(pair.value),
                Value::Uint(pair.create_index),
                Value::Uint(pair.modify_index),
                Value::Uint(pair.lock_index),
                Value::Uint(pair.flags),
                Value::String(pair.session),
            ]);
            list.push(Value::structure(&self.kinds.pair, fields));
        }
        Value::list(type_named(KEY_PAIR), list)
    }

    /// The answer of `file`: its text. A file that cannot be read has no answer, and the template waits for it.
    pub fn file(text: &str) -> Value {
        Value::from(text)
    }

    /// The answer of `timestamp`: nanoseconds since 1970, UTC.
    pub fn time(unix_nanoseconds: i64) -> Value {
        Value::Int(unix_nanoseconds)
    }

    /// The answer of `sockaddr`: all addresses of this machine.
    pub fn interfaces(interfaces: &[Interface]) -> Value {
        Interface::to_value(interfaces)
    }
}
