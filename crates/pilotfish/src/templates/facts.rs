//! One question to the catalog, and its answer as a template sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use pilotfish_consul::{Answer, CatalogNode, Client, Cursor, Error, HealthQuery, KvPair, NodeWithServices, Read};
use pilotfish_process::InterfaceAddress;
use pilotfish_template::{
    Query, Value,
    catalog::{
        Answers, DatacentersQuery, Interface, KeyPair, Node, NodeQuery, NodeService, NodesQuery, Question,
        ServiceQuery, TreeQuery,
    },
};

use super::instances::Instances;

/// How long the catalog is asked to hold a query that waits for a change.
const WAIT: Duration = Duration::from_secs(60);

/// The time between two looks at what Consul cannot hold a query for, the names of the datacenters.
const DATACENTERS_PACE: Duration = Duration::from_secs(15);

/// The question's name: in status, in the log, and as the state machine knows it. Different questions have different names.
pub(crate) fn name(query: &Query) -> String {
    format!("{} {}", query.source, query.name)
}

/// Whether the answer comes from outside and has to be followed; what does not is known whenever it is asked (see [`local`]).
pub(crate) fn is_followed(query: &Query) -> bool {
    !matches!(&*query.source, "env" | "time" | "interfaces")
}

/// The answer to a question that is not followed and not about the environment, as it is in this moment.
pub(crate) fn local(query: &Query) -> Option<Value> {
    match &*query.source {
        "time" => {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Some(Answers::time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)))
        }
        "interfaces" => Some(interfaces()),
        _ => None,
    }
}

fn interfaces() -> Value {
    let default = pilotfish_process::default_interfaces();
    let interface = |found: InterfaceAddress| Interface {
        is_default: default.contains(&found.interface),
        name: found.interface,
        address: found.address,
        prefix_bits: found.prefix_bits,
        is_up: true,
    };
    let found: Vec<Interface> = pilotfish_process::interface_addresses().into_iter().map(interface).collect();
    Answers::interfaces(&found)
}

/// Asks once, for what has changed since the cursor; the answer. What lies in files is not asked here.
pub(crate) async fn ask(client: &Client, query: &Query, from: Cursor) -> Result<Answer<Value>, Error> {
    let not_asked = || Error::Config { text: format!("{} is no question for the catalog", name(query)) };
    match Question::from_query(query).map_err(|_| not_asked())? {
        Question::Service(query) => service(client, &query, from).await,
        Question::Services(query) => services(client, query.datacenter, from).await,
        Question::Node(query) => node(client, query, from).await,
        Question::Nodes(query) => nodes(client, query, from).await,
        Question::Datacenters(query) => datacenters(client, query, from).await,
        Question::Key(query) => {
            let answer = client.kv_get(&query.path, &read(query.datacenter, from)).await?;
            let text = |pair: Option<KvPair>| pair.map(|pair| String::from_utf8_lossy(&pair.value).into_owned());
            Ok(answer.map(|pair| Answers::key(text(pair).as_deref())))
        }
        Question::Tree(query) => tree(client, query, from).await,
        Question::File(_) | Question::Environment(_) | Question::Time | Question::Interfaces => Err(not_asked()),
    }
}

fn read(datacenter: Option<String>, from: Cursor) -> Read {
    Read { datacenter, ..Read::default() }.after(&from, WAIT)
}

async fn service(client: &Client, query: &ServiceQuery, from: Cursor) -> Result<Answer<Value>, Error> {
    let read = Read { near: query.near.clone(), ..read(query.datacenter.clone(), from) };
    let asked = HealthQuery {
        service: query.name.clone(),
        tags: query.tag.iter().cloned().collect(),
        passing: query.only_passing(),
        read: Read::default(),
    };
    let answer = client.health_service_fold(&asked, &read, Instances::default, Instances::add).await?;
    Ok(answer.map(|instances| instances.finish(query)))
}

async fn services(client: &Client, datacenter: Option<String>, from: Cursor) -> Result<Answer<Value>, Error> {
    let answer = client.catalog_services(&read(datacenter, from)).await?;
    let mut answers = Answers::new();
    let mut services = Vec::with_capacity(answer.value.len());
    for (name, tags) in &answer.value {
        services.push((answers.text(name), tags.iter().map(|tag| answers.text(tag)).collect()));
    }
    Ok(answer.map(|_| answers.services(services)))
}

async fn node(client: &Client, query: NodeQuery, from: Cursor) -> Result<Answer<Value>, Error> {
    let name = match query.name {
        Some(name) => name,
        None => client.agent_self().await?.value.node,
    };
    let answer = client.catalog_node(&name, &read(query.datacenter, from)).await?;
    let mut answers = Answers::new();
    let found = answer.value.as_ref().map(|found| with_services(&mut answers, found));
    let value = answers.catalog_node(found);
    Ok(answer.map(|_| value))
}

fn with_services(answers: &mut Answers, (node, services): &NodeWithServices) -> (Node, Vec<NodeService>) {
    let mut list = Vec::with_capacity(services.len());
    for service in services {
        list.push(NodeService {
            id: answers.text(&service.id),
            service: answers.text(&service.name),
            tags: service.tags.iter().map(|tag| answers.text(tag)).collect(),
            meta: answers.string_map(texts(&service.meta)),
            port: service.port.into(),
            address: answers.text(&service.address),
            enable_tag_override: service.enable_tag_override,
        });
    }
    (node_of(answers, node), list)
}

fn node_of(answers: &mut Answers, node: &CatalogNode) -> Node {
    Node {
        id: answers.text(&node.id),
        node: answers.text(&node.node),
        address: answers.text(&node.address),
        datacenter: answers.text(&node.datacenter),
        tagged_addresses: answers.string_map(texts(&node.tagged_addresses)),
        meta: answers.string_map(texts(&node.meta)),
    }
}

fn texts(map: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

async fn nodes(client: &Client, query: NodesQuery, from: Cursor) -> Result<Answer<Value>, Error> {
    let near = query.near.is_some();
    let read = Read { near: query.near, ..read(query.datacenter, from) };
    let answer = client.catalog_nodes(&read).await?;
    let mut answers = Answers::new();
    let mut list = Vec::with_capacity(answer.value.len());
    for node in &answer.value {
        list.push(node_of(&mut answers, node));
    }
    Ok(answer.map(|_| answers.nodes(list, near)))
}

/// The catalog holds no query for these, so the wait is ours.
async fn datacenters(client: &Client, query: DatacentersQuery, from: Cursor) -> Result<Answer<Value>, Error> {
    if from.index().is_some() {
        tokio::time::sleep(DATACENTERS_PACE).await;
    }
    let answer = client.catalog_datacenters().await?;
    let mut names = answer.value.clone();
    if query.only_reachable {
        let mut reachable = Vec::new();
        for name in names {
            let read = Read { datacenter: Some(name.clone()), ..Read::default() };
            if client.catalog_nodes(&read).await.is_ok() {
                reachable.push(name);
            }
        }
        names = reachable;
    }
    Ok(answer.map(|_| Answers::datacenters(names)))
}

async fn tree(client: &Client, query: TreeQuery, from: Cursor) -> Result<Answer<Value>, Error> {
    let answer = client.kv_recurse(&query.prefix, &read(query.datacenter, from)).await?;
    let mut answers = Answers::new();
    let mut pairs = Vec::with_capacity(answer.value.len());
    for pair in &answer.value {
        pairs.push(pair_of(&mut answers, pair));
    }
    Ok(answer.map(|_| answers.pairs(&query.prefix, pairs)))
}

fn pair_of(answers: &mut Answers, pair: &KvPair) -> KeyPair {
    KeyPair {
        path: pair.key.as_str().into(),
        value: String::from_utf8_lossy(&pair.value).into(),
        create_index: pair.create_index,
        modify_index: pair.modify_index,
        lock_index: pair.lock_index,
        flags: pair.flags,
        session: answers.text(pair.session.as_deref().unwrap_or_default()),
    }
}

/// Whether something is gone that the old answer still had: a service, an instance, a key. It shrank, or was exchanged in part.
pub(crate) fn loses(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::List(old), Value::List(new)) => {
            let mut there = BTreeSet::new();
            there.extend(new.items.iter().map(identity));
            old.items.iter().any(|item| !there.contains(&identity(item)))
        }
        (Value::Struct(old), Value::Struct(new)) => {
            // A node with its services.
            let part = |name: &str| Some((old.field(name)?, new.field(name)?));
            ["Node", "Services"].into_iter().filter_map(part).any(|(old, new)| match (old, new) {
                (Value::List(_), Value::List(_)) => loses(old, new),
                (Value::Nil, _) => false,
                (_, new) => matches!(new, Value::Nil),
            })
        }
        (Value::Nil, _) => false,
        (_, new) => matches!(new, Value::Nil),
    }
}

/// What tells an element of a list from the others.
fn identity(item: &Value) -> Vec<&str> {
    let Value::Struct(structure) = item else { return text(item).into_iter().collect() };
    let fields = ["Path", "Name", "Service", "Node", "ID"].into_iter().filter_map(|name| structure.field(name));
    fields.filter_map(text).collect()
}

fn text(value: &Value) -> Option<&str> {
    if let Value::String(text) = value { Some(text) } else { None }
}

/// Whether the answers are the same, so that nothing has to be rendered again.
pub(crate) fn is_same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(old), Value::Bool(new)) => old == new,
        (Value::Int(old), Value::Int(new)) => old == new,
        (Value::Uint(old), Value::Uint(new)) => old == new,
        (Value::Byte(old), Value::Byte(new)) => old == new,
        (Value::Float(old), Value::Float(new)) => old == new,
        (Value::Complex(a, b), Value::Complex(c, d)) => (a, b) == (c, d),
        (Value::String(old), Value::String(new)) => old == new,
        (Value::List(old), Value::List(new)) => all_same(&old.items, &new.items),
        (Value::Map(old), Value::Map(new)) => {
            old.entries.keys().eq(new.entries.keys())
                && old.entries.values().zip(new.entries.values()).all(|(old, new)| is_same(old, new))
        }
        (Value::Struct(old), Value::Struct(new)) => {
            old.kind.name == new.kind.name && all_same(&old.fields, &new.fields)
        }
        _ => false,
    }
}

fn all_same(old: &[Value], new: &[Value]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
}

#[cfg(test)]
mod tests;
