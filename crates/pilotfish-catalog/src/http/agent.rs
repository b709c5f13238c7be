//! `/v1/agent`: the agent itself, and what is registered with it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::agent_self;
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
        Endpoint::Itself => Ok(agent_self::itself(call)),
        Endpoint::Members => Ok(agent_self::members(call)),
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
    let mut found = BTreeMap::new();
    found.extend(all.filter(|(_, service)| filter.admits(service)));
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
    let mut found = BTreeMap::new();
    found.extend(all.filter(|(_, check)| filter.admits(check)));
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
