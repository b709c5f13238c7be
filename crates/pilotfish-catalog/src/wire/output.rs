//! What answers look like: the structs of Consul's API, field by field in its order, with `null` and `[]` where it has them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::base64;
use crate::state::{self, Definition, Outcome, ServiceAddress, Stamp, Texts, Weights};

/// An empty object.
#[derive(Serialize)]
pub(crate) struct Empty {}

/// What Consul says of the proxy of a service that has none.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NoProxy {
    mesh_gateway: Empty,
    expose: Empty,
}

const NO_PROXY: NoProxy = NoProxy { mesh_gateway: Empty {}, expose: Empty {} };

/// A node.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Node<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Option<Texts>,
    meta: &'a Option<Texts>,
    create_index: u64,
    modify_index: u64,
}

pub(crate) fn node<'a>(node: &'a state::Node, datacenter: &'a str) -> Node<'a> {
    let Stamp { created, modified } = node.stamp;
    Node {
        id: &node.id,
        node: &node.name,
        address: &node.address,
        datacenter,
        tagged_addresses: &node.tagged_addresses,
        meta: &node.meta,
        create_index: created,
        modify_index: modified,
    }
}

/// A service as `health/service` and `catalog/node` tell of it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NodeService<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Option<&'a [String]>,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tagged_addresses: &'a Option<BTreeMap<String, ServiceAddress>>,
    meta: &'a Option<Texts>,
    port: i64,
    weights: Weights,
    enable_tag_override: bool,
    proxy: NoProxy,
    connect: Empty,
    create_index: u64,
    modify_index: u64,
}

/// A service; transactions tell of it as it was stored, everybody else with a list of tags in any case.
pub(crate) fn node_service(service: &state::Service, as_stored: bool) -> NodeService<'_> {
    let Stamp { created, modified } = service.stamp;
    NodeService {
        kind: &service.kind,
        id: &service.id,
        service: &service.name,
        tags: list(&service.tags, as_stored),
        address: &service.address,
        tagged_addresses: &service.tagged_addresses,
        meta: &service.meta,
        port: service.port,
        weights: service.weights,
        enable_tag_override: service.enable_tag_override,
        proxy: NO_PROXY,
        connect: Empty {},
        create_index: created,
        modify_index: modified,
    }
}

fn list(items: &Option<Vec<String>>, as_stored: bool) -> Option<&[String]> {
    match items {
        None if as_stored => None,
        None => Some(&[]),
        Some(items) => Some(items),
    }
}

/// An instance as `catalog/service` tells of it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ServiceNode<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    node: &'a str,
    address: &'a str,
    datacenter: &'a str,
    tagged_addresses: &'a Option<Texts>,
    node_meta: &'a Option<Texts>,
    service_kind: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Option<&'a [String]>,
    service_address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tagged_addresses: &'a Option<BTreeMap<String, ServiceAddress>>,
    service_weights: Weights,
    service_meta: Map<'a>,
    service_port: i64,
    service_enable_tag_override: bool,
    service_proxy: NoProxy,
    service_connect: Empty,
    create_index: u64,
    modify_index: u64,
}

/// Texts by name that are told as `{}` where there are none.
pub(crate) struct Map<'a>(&'a Option<Texts>);

impl Serialize for Map<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(texts) => texts.serialize(serializer),
            None => Empty {}.serialize(serializer),
        }
    }
}

pub(crate) fn service_node<'a>(
    node: &'a state::Node,
    service: &'a state::Service,
    datacenter: &'a str,
) -> ServiceNode<'a> {
    let Stamp { created, modified } = service.stamp;
    ServiceNode {
        id: &node.id,
        node: &node.name,
        address: &node.address,
        datacenter,
        tagged_addresses: &node.tagged_addresses,
        node_meta: &node.meta,
        service_kind: &service.kind,
        service_id: &service.id,
        service_name: &service.name,
        service_tags: list(&service.tags, false),
        service_address: &service.address,
        service_tagged_addresses: &service.tagged_addresses,
        service_weights: service.weights,
        service_meta: Map(&service.meta),
        service_port: service.port,
        service_enable_tag_override: service.enable_tag_override,
        service_proxy: NO_PROXY,
        service_connect: Empty {},
        create_index: created,
        modify_index: modified,
    }
}

/// A check.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HealthCheck<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: Option<&'a [String]>,
    #[serde(rename = "Type")]
    kind: &'a str,
    definition: &'a Definition,
    create_index: u64,
    modify_index: u64,
}

pub(crate) fn check<'a>(node: &'a str, check: &'a state::Check, as_stored: bool) -> HealthCheck<'a> {
    let Stamp { created, modified } = check.stamp;
    HealthCheck {
        node,
        check_id: &check.id,
        name: &check.name,
        status: &check.status,
        notes: &check.notes,
        output: &check.output,
        service_id: &check.service_id,
        service_name: &check.service_name,
        service_tags: list(&check.service_tags, as_stored),
        kind: &check.kind,
        definition: &check.definition,
        create_index: created,
        modify_index: modified,
    }
}

/// An instance with its node and checks, as `health/service` tells of it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CheckedService<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) service: NodeService<'a>,
    pub(crate) checks: Vec<HealthCheck<'a>>,
}

/// A service of the agent.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentService<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(rename = "ID")]
    id: &'a str,
    service: &'a str,
    tags: Option<&'a [String]>,
    meta: Map<'a>,
    port: i64,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tagged_addresses: &'a Option<BTreeMap<String, ServiceAddress>>,
    weights: Weights,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hash: Option<String>,
}

pub(crate) fn agent_service(service: &state::Service, content_hash: Option<String>) -> AgentService<'_> {
    AgentService {
        kind: &service.kind,
        id: &service.id,
        service: &service.name,
        tags: list(&service.tags, false),
        meta: Map(&service.meta),
        port: service.port,
        address: &service.address,
        tagged_addresses: &service.tagged_addresses,
        weights: service.weights,
        enable_tag_override: service.enable_tag_override,
        content_hash,
    }
}

/// A check as `agent/health` tells of it: the struct of Consul's client.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApiCheck<'a> {
    node: &'a str,
    #[serde(rename = "CheckID")]
    check_id: &'a str,
    name: &'a str,
    status: &'a str,
    notes: &'a str,
    output: &'a str,
    #[serde(rename = "ServiceID")]
    service_id: &'a str,
    service_name: &'a str,
    service_tags: &'a Option<Vec<String>>,
    #[serde(rename = "Type")]
    kind: &'static str,
    definition: ApiDefinition,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ApiDefinition {
    interval: &'static str,
    timeout: &'static str,
    deregister_critical_service_after: &'static str,
    #[serde(rename = "HTTP")]
    http: &'static str,
    header: Option<u8>,
    method: &'static str,
    body: &'static str,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: &'static str,
}

pub(crate) fn api_check<'a>(node: &'a str, check: &'a state::Check) -> ApiCheck<'a> {
    ApiCheck {
        node,
        check_id: &check.id,
        name: &check.name,
        status: &check.status,
        notes: &check.notes,
        output: &check.output,
        service_id: &check.service_id,
        service_name: &check.service_name,
        service_tags: &check.service_tags,
        kind: "",
        definition: ApiDefinition {
            interval: "0s",
            timeout: "0s",
            deregister_critical_service_after: "0s",
            http: "",
            header: None,
            method: "",
            body: "",
            tls_skip_verify: false,
            tcp: "",
        },
        create_index: 0,
        modify_index: 0,
    }
}

/// A key.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KvPair<'a> {
    lock_index: u64,
    key: String,
    flags: u64,
    value: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    session: &'a str,
    create_index: u64,
    modify_index: u64,
}

pub(crate) fn kv<'a>(key: &[u8], entry: &'a state::Entry, with_value: bool) -> KvPair<'a> {
    KvPair {
        lock_index: entry.lock_index,
        key: String::from_utf8_lossy(key).into_owned(),
        flags: entry.flags,
        value: (with_value && !entry.value.is_empty()).then(|| base64::encode(&entry.value)),
        session: &entry.session,
        create_index: entry.stamp.created,
        modify_index: entry.stamp.modified,
    }
}

/// A session.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Session<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    node: &'a str,
    lock_delay: u64,
    behavior: &'static str,
    #[serde(rename = "TTL")]
    ttl: &'a str,
    node_checks: &'a Option<Vec<String>>,
    service_checks: Option<Vec<ServiceCheck<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: &'a Option<Vec<String>>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceCheck<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    namespace: &'static str,
}

pub(crate) fn session(session: &state::Session) -> Session<'_> {
    let services = session.service_checks.as_ref();
    Session {
        id: &session.id,
        name: &session.name,
        node: &session.node,
        lock_delay: u64::try_from(session.lock_delay.as_nanos()).unwrap_or(u64::MAX),
        behavior: match session.behavior {
            state::Behavior::Release => "release",
            state::Behavior::Delete => "delete",
        },
        ttl: &session.ttl,
        node_checks: &session.node_checks,
        service_checks: services.map(|ids| ids.iter().map(|id| ServiceCheck { id, namespace: "" }).collect()),
        checks: &session.checks,
        create_index: session.stamp.created,
        modify_index: session.stamp.modified,
    }
}

/// An event.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Event<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    payload: Option<String>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u8,
    #[serde(rename = "LTime")]
    lamport: u64,
}

pub(crate) fn event(event: &state::UserEvent) -> Event<'_> {
    Event {
        id: &event.id,
        name: &event.name,
        payload: (!event.payload.is_empty()).then(|| base64::encode(&event.payload)),
        node_filter: &event.node_filter,
        service_filter: &event.service_filter,
        tag_filter: &event.tag_filter,
        version: 1,
        lamport: event.lamport,
    }
}

/// One result of a transaction.
#[derive(Serialize)]
pub(crate) enum TxnResult<'a> {
    #[serde(rename = "KV")]
    Kv(KvPair<'a>),
    Node(Node<'a>),
    Service(NodeService<'a>),
    Check(HealthCheck<'a>),
}

pub(crate) fn txn_result<'a>(outcome: &'a Outcome, datacenter: &'a str) -> TxnResult<'a> {
    match outcome {
        Outcome::Kv(key, entry, with_value) => TxnResult::Kv(kv(key, entry, *with_value)),
        Outcome::Node(of) => TxnResult::Node(node(of, datacenter)),
        Outcome::Service(service) => TxnResult::Service(node_service(service, true)),
        Outcome::Check(node, of) => TxnResult::Check(check(node, of, true)),
    }
}

/// One error of a transaction.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnError<'a> {
    pub(crate) op_index: usize,
    pub(crate) what: &'a str,
}

/// The answer to a transaction; one that only reads tells how fresh it is.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TxnResponse<'a> {
    pub(crate) results: Option<Vec<TxnResult<'a>>>,
    pub(crate) errors: Option<Vec<TxnError<'a>>>,
    #[serde(flatten)]
    pub(crate) freshness: Option<Freshness>,
}

/// How fresh an answer is.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Freshness {
    pub(crate) index: u64,
    pub(crate) last_contact: u64,
    pub(crate) known_leader: bool,
    pub(crate) consistency_level: &'static str,
}
