//! `/v1/catalog`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::health::{admitted, failed, has_meta, has_tags, near};
use super::options::{Options, check_datacenter};
use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::filter::{self, Filter, Schema};
use crate::state::{Command, Host, Interest, Key, Refusal, State, fold};
use crate::wire::{catalog as wire, output};

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Register,
    Deregister,
    Datacenters,
    Nodes,
    Services,
    Service,
    Node,
    NodeServices,
    Connect,
}

/// Answers.
pub(crate) async fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    let catalog = &call.serving.catalog;
    match endpoint {
        Endpoint::Register => {
            let request = wire::register(&call.body)?;
            check_datacenter(&request.datacenter, catalog)?;
            catalog.submit(Command::Register(Box::new(request.registration))).await?;
            Ok(Reply::json(&true, call.pretty))
        }
        Endpoint::Deregister => {
            let (datacenter, command) = wire::deregister(&call.body)?;
            check_datacenter(&datacenter, catalog)?;
            catalog.submit(command).await?;
            Ok(Reply::json(&true, call.pretty))
        }
        Endpoint::Datacenters => {
            let datacenter = catalog.state().identity().datacenter.clone();
            Ok(Reply::json(&[datacenter], call.pretty))
        }
        Endpoint::Nodes => nodes(call).await,
        Endpoint::Services => services(call).await,
        Endpoint::Service => service(call).await,
        Endpoint::Node | Endpoint::NodeServices => node(call, endpoint).await,
        Endpoint::Connect => connect(call),
    }
}

/// The options and the filter of a query; what is wrong with them otherwise.
fn prepare(call: &Call, schema: &'static Schema) -> Result<std::result::Result<(Options, Filter), Reply>> {
    let options = Options::parse(&call.query)?;
    if let Err(refusal) = options.check_datacenter(&call.serving.catalog) {
        return Ok(Err(failed(refusal)));
    }
    Ok(match Filter::parse(&options.filter, schema) {
        Ok(filter) => Ok((options, filter)),
        Err(text) => Err(failed(Refusal::internal(text))),
    })
}

async fn nodes(call: &Call) -> Result<Reply> {
    let (options, filter) = match prepare(call, &filter::NODE)? {
        Ok(prepared) => prepared,
        Err(reply) => return Ok(reply),
    };
    let catalog = &call.serving.catalog;
    if options.index > 0 {
        let interests = vec![Interest::Key(Key::Nodes)];
        catalog.until(options.index, options.jittered_wait(), interests, State::nodes_index).await;
    }
    let state = catalog.state();
    let identity = state.identity();
    let near = if options.near == "_agent" { &identity.node } else { &options.near };
    let hosts = state.hosts().filter(|host| has_meta(host, &options));
    let (first, others): (Vec<&Host>, Vec<&Host>) = hosts.partition(|host| host.node.name == *near);
    let found = first.into_iter().chain(others).map(|host| output::node(&host.node, &identity.datacenter)).collect();
    Ok(told(call, &options, &admitted(found, &filter), state.nodes_index()))
}

fn told(call: &Call, options: &Options, value: &impl Serialize, index: u64) -> Reply {
    Reply::json(value, call.pretty).with(Meta::Full(index, Some(options.consistency)))
}

/// Tells whoever asked for an answer from the agent's cache that it is fresh.
pub(crate) fn cached(call: &Call, reply: Reply) -> Reply {
    if call.query.has("cached") { reply.header("x-cache", "MISS") } else { reply }
}

async fn services(call: &Call) -> Result<Reply> {
    let options = Options::parse(&call.query)?;
    let catalog = &call.serving.catalog;
    if let Err(refusal) = options.check_datacenter(catalog) {
        return Ok(failed(refusal));
    }
    let by_node = !options.node_meta.is_empty();
    let index = |state: &State| match by_node {
        true => state.services_index().max(state.nodes_index()),
        false => state.services_index(),
    };
    if options.index > 0 {
        let mut interests = vec![Interest::Key(Key::Services)];
        if by_node {
            interests.push(Interest::Key(Key::Nodes));
        }
        catalog.until(options.index, options.jittered_wait(), interests, index).await;
    }
    let state = catalog.state();
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in state.service_names() {
        let instances = state.instances(name).filter(|(host, _)| has_meta(host, &options));
        let mut tags = BTreeSet::new();
        let mut any = false;
        for (_, service) in instances {
            any = true;
            tags.extend(service.tags.iter().flatten().map(String::as_str));
        }
        if any {
            found.insert(name, tags.into_iter().collect());
        }
    }
    Ok(cached(call, told(call, &options, &found, index(&state))))
}

async fn service(call: &Call) -> Result<Reply> {
    let name = call.name("Missing service name")?;
    let (options, filter) = match prepare(call, &filter::SERVICE_NODE)? {
        Ok(prepared) => prepared,
        Err(reply) => return Ok(reply),
    };
    let catalog = &call.serving.catalog;
    let index = |state: &State| state.service_index(&name, false);
    if options.index > 0 {
        let interests = vec![Interest::Key(Key::Service(fold(&name)))];
        catalog.until(options.index, options.jittered_wait(), interests, index).await;
    }
    let state = catalog.state();
    let datacenter = &state.identity().datacenter;
    let instances = near(state.instances(&name), &options, &state).into_iter();
    let wanted = instances.filter(|(host, service)| has_meta(host, &options) && has_tags(service, &call.query));
    let found = wanted.map(|(host, service)| output::service_node(&host.node, service, datacenter)).collect();
    Ok(cached(call, told(call, &options, &admitted(found, &filter), index(&state))))
}

/// The proxies of a service: it never has any here.
fn connect(call: &Call) -> Result<Reply> {
    let name = call.name("Missing service name")?;
    let options = Options::parse(&call.query)?;
    if let Err(refusal) = options.check_datacenter(&call.serving.catalog) {
        return Ok(failed(refusal));
    }
    let index = call.serving.catalog.state().missing_index(&name);
    Ok(told(call, &options, &[(); 0], index))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NodeAndServices<'a, S> {
    node: Option<output::Node<'a>>,
    services: Option<S>,
}

async fn node(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    let name = call.name("Missing node name")?;
    let (options, filter) = match prepare(call, &filter::NODE_SERVICE)? {
        Ok(prepared) => prepared,
        Err(reply) => return Ok(reply),
    };
    let catalog = &call.serving.catalog;
    let index = |state: &State| match state.host(&name) {
        Some(_) => state.nodes_index().max(state.services_index()),
        None => 0,
    };
    if options.index > 0 {
        let interests = vec![Interest::Key(Key::Node(fold(&name)))];
        catalog.until(options.index, options.jittered_wait(), interests, index).await;
    }
    let state = catalog.state();
    let as_map = endpoint == Endpoint::Node;
    let Some(host) = state.host(&name) else {
        let nothing = NodeAndServices::<()> { node: None, services: None };
        return Ok(if as_map { told(call, &options, &(), 0) } else { told(call, &options, &nothing, 0) });
    };
    let node = Some(output::node(&host.node, &state.identity().datacenter));
    let wanted = host.services.values().map(|service| (&service.id, output::node_service(service, false)));
    let services: Vec<_> = wanted.filter(|(_, service)| filter.admits(service)).collect();
    let index = index(&state);
    if as_map {
        let mut by_id = BTreeMap::new();
        by_id.extend(services);
        return Ok(told(call, &options, &NodeAndServices { node, services: Some(by_id) }, index));
    }
    let services: Vec<_> = services.into_iter().map(|(_, service)| service).collect();
    let services = (!services.is_empty()).then_some(services);
    Ok(told(call, &options, &NodeAndServices { node, services }, index))
}
