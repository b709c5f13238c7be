//! `/v1/agent/health/service`: health of the agent's services as a status code.

use serde::Serialize;

use super::reply::Reply;
use super::routes::{Call, Result};
use crate::state::{CRITICAL, Check, PASSING, Refusal, Service, State, WARNING};
use crate::wire::output::{self, AgentService, ApiCheck};

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Id,
    Name,
}

/// The status of a service in maintenance.
const MAINTENANCE: &str = "maintenance";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Health<'a> {
    aggregated_status: &'static str,
    service: Option<AgentService<'a>>,
    checks: Option<Vec<ApiCheck<'a>>>,
}

/// Answers.
pub(crate) fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    let name = call.rest_text();
    let state = call.serving.catalog.state();
    match endpoint {
        Endpoint::Id if name.is_empty() => Err(Refusal::internal("Bad request: Missing serviceID")),
        Endpoint::Name if name.is_empty() => Err(Refusal::internal("Bad request: Missing service Name")),
        Endpoint::Id => Ok(by_id(call, &state, &name)),
        Endpoint::Name => Ok(by_name(call, &state, &name)),
    }
}

fn by_id(call: &Call, state: &State, id: &str) -> Reply {
    let Some(service) = state.agent_service(id) else {
        let nothing = Health { aggregated_status: CRITICAL, service: None, checks: None };
        return told(call, 404, format!("ServiceId {id} not found"), &nothing);
    };
    let health = health(state, service);
    let status = health.aggregated_status;
    told(call, code(status), status.to_owned(), &health)
}

fn by_name(call: &Call, state: &State, name: &str) -> Reply {
    let found: Vec<Health<'_>> =
        state.agent_services().filter(|service| service.name == name).map(|service| health(state, service)).collect();
    let worst = found.iter().map(|health| health.aggregated_status).max_by_key(|status| rank(status));
    match worst {
        Some(status) => told(call, code(status), status.to_owned(), &found),
        None => told(call, 404, format!("ServiceName {name} Not Found"), &found),
    }
}

fn told(call: &Call, status: u16, reason: String, value: &impl Serialize) -> Reply {
    let reply = match call.as_text {
        true => Reply { kind: Some("text/plain"), ..Reply::text(status, reason.clone()) },
        false => Reply { status, ..Reply::json(value, call.pretty) },
    };
    reply.header("x-consul-reason", reason)
}

fn code(status: &str) -> u16 {
    match status {
        PASSING => 200,
        WARNING => 429,
        _ => 503,
    }
}

fn health<'a>(state: &'a State, service: &'a Service) -> Health<'a> {
    let checks: Vec<&Check> = state.agent_checks_of("").chain(state.agent_checks_of(&service.id)).collect();
    let node = &state.identity().node;
    let mut status = PASSING;
    for check in &checks {
        let own = match check.status.as_str() {
            _ if check.kind == MAINTENANCE => MAINTENANCE,
            PASSING => PASSING,
            WARNING => WARNING,
            _ => CRITICAL,
        };
        if rank(own) > rank(status) {
            status = own;
        }
    }
    Health {
        aggregated_status: status,
        service: Some(output::agent_service(service, None)),
        checks: Some(checks.into_iter().map(|check| output::api_check(node, check)).collect()),
    }
}

fn rank(status: &str) -> u8 {
    match status {
        PASSING => 0,
        WARNING => 1,
        CRITICAL => 2,
        _ => 3,
    }
}
