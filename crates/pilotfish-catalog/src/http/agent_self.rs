//! What the agent tells of itself: the parts that clients read, in Consul's order.

use super::reply::Reply;
use super::routes::Call;
use crate::CONSUL_VERSION;
use crate::state::{Identity, State};
use crate::wire::json;

/// A text as JSON.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An answer of JSON that is put together from words of ours.
fn told(call: &Call, text: &str) -> Reply {
    let value = json::parse(text.as_bytes());
    debug_assert!(value.is_ok(), "{text}: {value:?}");
    Reply::json(&value.unwrap_or(json::Value::Null), call.pretty)
}

/// A member of the gossip pool, in which the agent is alone.
fn member(identity: &Identity, wan: bool) -> String {
    let Identity { node, node_id, address, datacenter, server_port } = identity;
    let (suffix, offset) = if wan { (format!(".{datacenter}"), 2) } else { (String::new(), 1) };
    let wan_join = if wan { String::new() } else { format!(r#", "wan_join_port": "{}""#, server_port + 2) };
    format!(
        r#"{{"Name": {}, "Addr": {}, "Port": {},
            "Tags": {{"acls": "0", "build": "{CONSUL_VERSION}:", "dc": {}, "ft_fs": "1", "id": {}, "port": "{server_port}",
                "raft_vsn": "3", "role": "consul", "segment": "", "vsn": "2", "vsn_max": "3", "vsn_min": "2"{wan_join}}},
            "Status": 1, "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2,
            "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4}}"#,
        text(&(node.clone() + &suffix)),
        text(address),
        server_port + offset,
        text(datacenter),
        text(node_id),
    )
}

/// `agent/members`.
pub(crate) fn members(call: &Call) -> Reply {
    let wan = matches!(call.query.find("wan"), Some(value) if !value.is_empty());
    let member = member(call.serving.catalog.state().identity(), wan);
    told(call, &format!("[{member}]"))
}

/// `agent/self`.
pub(crate) fn itself(call: &Call) -> Reply {
    let state = call.serving.catalog.state();
    let identity = state.identity();
    let (datacenter, node, id) = (text(&identity.datacenter), text(&identity.node), text(&identity.node_id));
    let document = format!(
        r#"{{"Config": {{"Datacenter": {datacenter}, "NodeName": {node}, "NodeID": {id}, "Revision": "", "Server": true,
                "Version": "{CONSUL_VERSION}"}},
            "DebugConfig": {{"BindAddr": {}, "Datacenter": {datacenter}, "DevMode": {}, "HTTPAddrs": [{}], "NodeID": {id},
                "NodeName": {node}, "ServerMode": true, "Version": "{CONSUL_VERSION}"}},
            "Coord": {{"Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": 1.5, "Adjustment": 0, "Height": 0.00001}},
            "Member": {},
            "Stats": {},
            "Meta": {{"consul-network-segment": ""}}}}"#,
        text(&identity.address),
        call.serving.pretty,
        text(&format!("tcp://{}", call.serving.address)),
        member(identity, false),
        statistics(&state),
    );
    told(call, &document)
}

fn statistics(state: &State) -> String {
    let (identity, index) = (state.identity(), state.index());
    let leader = text(&format!("{}:{}", identity.address, identity.server_port));
    format!(
        r#"{{"agent": {{"check_monitors": "{}", "check_ttls": "{}", "checks": "{}", "services": "{}"}},
            "build": {{"prerelease": "", "revision": "", "version": "{CONSUL_VERSION}"}},
            "consul": {{"acl": "disabled", "bootstrap": "false", "known_datacenters": "1", "leader": "true",
                "leader_addr": {leader}, "server": "true"}},
            "raft": {{"applied_index": "{index}", "commit_index": "{index}", "last_log_index": "{index}", "num_peers": "0",
                "state": "Leader"}}}}"#,
        state.probes().count(),
        state.agent_checks().filter(|check| check.kind == "ttl").count(),
        state.agent_checks().count(),
        state.agent_services().count(),
    )
}
