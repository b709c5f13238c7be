//! `/v1/agent`: the agent itself, and what is registered with it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::options::Options;
use super::reply::Reply;
use super::routes::{Call, Result};
use crate::filter::{self, Filter};
use crate::state::{CRITICAL, Command, Interest, Key, PASSING, Refusal, Service, State, WARNING};
use crate::wire::{agent as wire, output, write};

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Itself,
    Members,
    Services,
    Service,
    Checks,
    RegisterService,
    DeregisterService,
    ServiceMaintenance,
    NodeMaintenance,
    Reload,
    RegisterCheck,
    DeregisterCheck,
    Pass,
    Warn,
    Fail,
    Update,
}

/// Answers.
pub(crate) async fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    match endpoint {
        Endpoint::Itself => Ok(itself(call)),
        Endpoint::Members => Ok(Reply::json(&[member(call)], call.pretty)),
        Endpoint::Services => services(call),
        Endpoint::Service => service(call).await,
        Endpoint::Checks => checks(call),
        Endpoint::RegisterService
        | Endpoint::DeregisterService
        | Endpoint::ServiceMaintenance
        | Endpoint::NodeMaintenance
        | Endpoint::RegisterCheck
        | Endpoint::DeregisterCheck
        | Endpoint::Pass
        | Endpoint::Warn
        | Endpoint::Fail
        | Endpoint::Update => {
            let command = command(call, endpoint)?;
            call.serving.catalog.submit(command).await?;
            Ok(Reply::empty(200))
        }
        Endpoint::Reload => Ok(Reply::empty(200)),
    }
}

/// What a write of the agent asks for.
fn command(call: &Call, endpoint: Endpoint) -> Result<Command> {
    let id = call.rest_text();
    Ok(match endpoint {
        Endpoint::RegisterService => {
            let (service, checks) = wire::service(&call.body)?;
            let replace_checks = matches!(call.query.find("replace-existing-checks"), Some("" | "true" | "1"));
            Command::RegisterService { service: Box::new(service), checks, replace_checks }
        }
        Endpoint::DeregisterService if id.is_empty() => return Err(Refusal::internal("ServiceID missing")),
        Endpoint::DeregisterService => Command::DeregisterService { id },
        Endpoint::ServiceMaintenance if id.is_empty() => return Err(Refusal::bad("Missing service ID")),
        Endpoint::ServiceMaintenance => {
            let enable = enable(call)?;
            Command::ServiceMaintenance { id, enable, reason: call.query.get("reason").to_owned() }
        }
        Endpoint::NodeMaintenance => {
            Command::NodeMaintenance { enable: enable(call)?, reason: call.query.get("reason").to_owned() }
        }
        Endpoint::RegisterCheck => Command::RegisterCheck(Box::new(wire::check(&call.body)?)),
        Endpoint::DeregisterCheck if id.is_empty() => return Err(Refusal::internal("CheckID missing")),
        Endpoint::DeregisterCheck => Command::DeregisterCheck { id },
        Endpoint::Update => {
            let (status, output) = wire::update(&call.body)?;
            Command::Beat { id, status, output }
        }
        Endpoint::Pass => beat(call, id, PASSING),
        Endpoint::Warn => beat(call, id, WARNING),
        Endpoint::Fail => beat(call, id, CRITICAL),
        Endpoint::Itself
        | Endpoint::Members
        | Endpoint::Services
        | Endpoint::Service
        | Endpoint::Checks
        | Endpoint::Reload => return Err(Refusal::internal("this writes nothing")),
    })
}

fn beat(call: &Call, id: String, status: &str) -> Command {
    Command::Beat { id, status: status.to_owned(), output: call.query.get("note").to_owned() }
}

fn enable(call: &Call) -> Result<bool> {
    if !call.query.has("enable") {
        return Err(Refusal::bad("Missing value for enable"));
    }
    match call.query.get("enable") {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(Refusal::bad(format!("Invalid value for enable: {}", crate::state::quote(other)))),
    }
}

fn services(call: &Call) -> Result<Reply> {
    let filter = Filter::parse(call.query.get("filter"), &filter::AGENT_SERVICE).map_err(Refusal::internal)?;
    let state = call.serving.catalog.state();
    let all = state.agent_services().map(|service| (&service.id, output::agent_service(service, None)));
    let found: BTreeMap<_, _> = all.filter(|(_, service)| filter.admits(service)).collect();
    Ok(Reply::json(&found, call.pretty))
}

fn checks(call: &Call) -> Result<Reply> {
    let filter = Filter::parse(call.query.get("filter"), &filter::CHECK).map_err(|text| {
        // Consul's words lack their beginning here.
        Refusal::internal(text.trim_start_matches(filter::FAILED))
    })?;
    let state = call.serving.catalog.state();
    let node = &state.identity().node;
    let all = state.agent_checks().map(|check| (&check.id, output::check(node, check, false)));
    let found: BTreeMap<_, _> = all.filter(|(_, check)| filter.admits(check)).collect();
    Ok(Reply::json(&found, call.pretty))
}

/// A hash of what is told of a service, by which a client can wait for another one.
fn content_hash(service: &Service) -> String {
    let mut hasher = DefaultHasher::new();
    write::json(&output::agent_service(service, None), false).hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

async fn service(call: &Call) -> Result<Reply> {
    let id = call.rest_text();
    let options = Options::parse(&call.query)?;
    let known = call.query.get("hash").to_owned();
    let catalog = &call.serving.catalog;
    if !known.is_empty() {
        let news = |state: &State| match state.agent_service(&id) {
            Some(service) if content_hash(service) == known => 0,
            Some(_) | None => 1,
        };
        let wait: Duration = options.jittered_wait();
        catalog.until(0, wait, vec![Interest::Key(Key::Agent(id.clone()))], news).await;
    }
    let state = catalog.state();
    let Some(service) = state.agent_service(&id) else {
        return Err(Refusal { status: 404, text: format!("unknown service ID: {id}") });
    };
    let hash = content_hash(service);
    let reply = Reply::json(&output::agent_service(service, Some(hash.clone())), call.pretty);
    Ok(reply.header("x-consul-contenthash", hash))
}

/// What the agent tells of itself as a member of the gossip pool, in which it is alone.
fn member(call: &Call) -> serde_json::Value {
    let state = call.serving.catalog.state();
    let identity = state.identity();
    serde_json::json!({
        "Name": identity.node, "Addr": identity.address, "Port": identity.server_port + 1,
        "Tags": {
            "acls": "0", "build": format!("{}:", crate::CONSUL_VERSION), "dc": identity.datacenter, "ft_fs": "1",
            "id": identity.node_id, "port": identity.server_port.to_string(), "raft_vsn": "3", "role": "consul",
            "segment": "", "vsn": "2", "vsn_max": "3", "vsn_min": "2",
            "wan_join_port": (identity.server_port + 2).to_string(),
        },
        "Status": 1, "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2,
        "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
    })
}

/// The parts of `agent/self` that clients read; the settings of an agent that does not exist are left out.
fn itself(call: &Call) -> Reply {
    let member = member(call);
    let state = call.serving.catalog.state();
    let identity = state.identity();
    let leader = format!("{}:{}", identity.address, identity.server_port);
    let value = serde_json::json!({
        "Config": {
            "Datacenter": identity.datacenter, "NodeName": identity.node, "NodeID": identity.node_id,
            "Revision": "", "Server": true, "Version": crate::CONSUL_VERSION,
        },
        "DebugConfig": {
            "Datacenter": identity.datacenter, "NodeName": identity.node, "NodeID": identity.node_id,
            "BindAddr": identity.address, "DevMode": call.serving.pretty, "ServerMode": true,
            "HTTPAddrs": [format!("tcp://{}", call.serving.address)], "Version": crate::CONSUL_VERSION,
        },
        "Coord": { "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 0.00001 },
        "Member": member,
        "Stats": {
            "agent": {
                "check_monitors": state.probes().count().to_string(), "check_ttls": "0",
                "checks": state.agent_checks().count().to_string(),
                "services": state.agent_services().count().to_string(),
            },
            "build": { "prerelease": "", "revision": "", "version": crate::CONSUL_VERSION },
            "consul": {
                "acl": "disabled", "bootstrap": "false", "known_datacenters": "1", "leader": "true",
                "leader_addr": leader, "server": "true",
            },
            "raft": {
                "applied_index": state.index().to_string(), "commit_index": state.index().to_string(),
                "last_log_index": state.index().to_string(), "num_peers": "0", "state": "Leader",
            },
        },
        "Meta": { "consul-network-segment": "" },
    });
    Reply::json(&value, call.pretty)
}
