//! `/v1/health`.

use serde::Serialize;

use super::options::{Options, Query};
use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::filter::{self, Filter};
use crate::state::{Check, Host, Interest, Key, PASSING, Refusal, Service, State, fold};
use crate::wire::output::{self, CheckedService, HealthCheck};

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Node,
    Checks,
    Service,
    State,
}

/// Answers.
pub(crate) async fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    let options = Options::parse(&call.query)?;
    match endpoint {
        Endpoint::Node => checks(call, &options, endpoint, call.name("Missing node name")?).await,
        Endpoint::Checks => checks(call, &options, endpoint, call.name("Missing service name")?).await,
        Endpoint::State => checks(call, &options, endpoint, call.name("Missing check state")?).await,
        Endpoint::Service => service(call, &options).await,
    }
}

/// An answer to a query that cannot be carried out: with the headers that Consul gives it.
pub(crate) fn failed(refusal: Refusal) -> Reply {
    Reply::from(refusal).with(Meta::Failed)
}

/// Whether a node has the metadata that is asked for.
pub(crate) fn has_meta(host: &Host, options: &Options) -> bool {
    let meta = host.node.meta.as_ref();
    options.node_meta.iter().all(|(key, value)| meta.is_some_and(|meta| meta.get(key) == Some(value)))
}

/// Whether only passing instances are asked for.
fn passing_only(query: &Query) -> Result<bool> {
    match query.find("passing") {
        None => Ok(false),
        Some("" | "1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(_) => Err(Refusal::bad("Invalid value for ?passing")),
    }
}

/// Whether a service has all the tags that are asked for.
pub(crate) fn has_tags(service: &Service, query: &Query) -> bool {
    let tags = service.tags.as_deref().unwrap_or(&[]);
    query.all("tag").all(|wanted| tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted)))
}

async fn service(call: &Call, options: &Options) -> Result<Reply> {
    let name = call.name("Missing service name")?;
    let passing = passing_only(&call.query)?;
    let catalog = &call.serving.catalog;
    if let Err(refusal) = options.check_datacenter(catalog) {
        return Ok(failed(refusal));
    }
    let filter = match Filter::parse(&options.filter, &filter::HEALTH_SERVICE) {
        Ok(filter) => filter,
        Err(text) => return Ok(failed(Refusal::internal(text))),
    };
    let index = |state: &State| state.service_index(&name, true);
    if options.index > 0 {
        let interests = vec![Interest::Key(Key::Service(fold(&name)))];
        catalog.until(options.index, options.jittered_wait(), interests, index).await;
    }
    let state = catalog.state();
    let datacenter = &state.identity().datacenter;
    let mut found = Vec::new();
    for (host, service) in near(state.instances(&name), options, &state) {
        if !has_meta(host, options) || !has_tags(service, &call.query) {
            continue;
        }
        let checks: Vec<&Check> = host.checks_of("").chain(host.checks_of(&service.id)).collect();
        if passing && checks.iter().any(|check| check.status != PASSING) {
            continue;
        }
        let item = CheckedService {
            node: output::node(&host.node, datacenter),
            service: output::node_service(service, false),
            checks: checks.into_iter().map(|check| output::check(&host.node.name, check, false)).collect(),
        };
        if filter.admits(&item) {
            found.push(item);
        }
    }
    let reply = Reply::json(&found, call.pretty).with(Meta::Full(index(&state), Some(options.consistency)));
    Ok(super::catalog::cached(call, reply))
}

/// The instances of the node that is asked for come first: of the others nobody knows how far away they are.
pub(crate) fn near<'a>(
    instances: impl Iterator<Item = (&'a Host, &'a Service)>,
    options: &Options,
    state: &State,
) -> Vec<(&'a Host, &'a Service)> {
    let node = if options.near == "_agent" { &state.identity().node } else { &options.near };
    let (mut first, others): (Vec<_>, Vec<_>) = instances.partition(|(host, _)| host.node.name == *node);
    first.extend(others);
    first
}

async fn checks(call: &Call, options: &Options, endpoint: Endpoint, name: String) -> Result<Reply> {
    let catalog = &call.serving.catalog;
    if let Err(refusal) = options.check_datacenter(catalog) {
        return Ok(failed(refusal));
    }
    let filter = match Filter::parse(&options.filter, &filter::CHECK) {
        Ok(filter) => filter,
        Err(text) => return Ok(failed(Refusal::internal(text))),
    };
    let of_service = endpoint == Endpoint::Checks && !options.node_meta.is_empty();
    let index = |state: &State| if of_service { state.service_index(&name, true) } else { state.checks_index() };
    if options.index > 0 {
        let mut interests = match endpoint {
            Endpoint::Node => vec![Interest::Key(Key::NodeChecks(fold(&name)))],
            Endpoint::Checks | Endpoint::Service | Endpoint::State => vec![Interest::Key(Key::Checks)],
        };
        if of_service {
            interests.push(Interest::Key(Key::Service(fold(&name))));
        }
        catalog.until(options.index, options.jittered_wait(), interests, index).await;
    }
    let state = catalog.state();
    let mut found = Vec::new();
    for host in state.hosts() {
        if !has_meta(host, options) || (endpoint == Endpoint::Node && fold(&host.node.name) != fold(&name)) {
            continue;
        }
        let wanted = host.checks.values().filter(|check| match endpoint {
            Endpoint::Node => true,
            Endpoint::Checks | Endpoint::Service => fold(&check.service_name) == fold(&name),
            Endpoint::State => name == "any" || check.status == name,
        });
        found.extend(wanted.map(|check| output::check(&host.node.name, check, false)));
    }
    Ok(filtered(call, options, found, &filter, index(&state)))
}

fn filtered(call: &Call, options: &Options, found: Vec<HealthCheck<'_>>, filter: &Filter, index: u64) -> Reply {
    let found = admitted(found, filter);
    Reply::json(&found, call.pretty).with(Meta::Full(index, Some(options.consistency)))
}

/// What a filter admits.
pub(crate) fn admitted<T: Serialize>(mut found: Vec<T>, filter: &Filter) -> Vec<T> {
    found.retain(|item| filter.admits(item));
    found
}
