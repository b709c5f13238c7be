//! Routes: one table of paths, methods and who answers.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Request, Version, header};

use super::body::{self, NoBody};
use super::connection::Serving;
use super::options::Query;
use super::reply::{Reply, TEXT};
use super::{agent, agent_health, catalog, event, health, kv, paths, session, snapshot, status, txn, ui};
use crate::state::Refusal;
use crate::wire::txn::VALUE_LIMIT;

/// A request as endpoints see it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) serving: Arc<Serving>,
    pub(crate) method: Method,
    /// What follows the route, decoded.
    pub(crate) rest: Vec<u8>,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    pub(crate) pretty: bool,
    /// Whether the client wants plain text where there is a choice.
    pub(crate) as_text: bool,
}

impl Call {
    /// What follows the route, as text.
    pub(crate) fn rest_text(&self) -> String {
        String::from_utf8_lossy(&self.rest).into_owned()
    }

    /// The same, where it must not be empty.
    pub(crate) fn name(&self, missing: &str) -> Result<String> {
        if self.rest.is_empty() { Err(Refusal::bad(missing)) } else { Ok(self.rest_text()) }
    }
}

/// What an endpoint gives back: an answer, also where it is an error with headers of its own, or a refusal.
pub(crate) type Result<T> = std::result::Result<T, Refusal>;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Agent(agent::Endpoint),
    AgentHealth(agent_health::Endpoint),
    Catalog(catalog::Endpoint),
    Health(health::Endpoint),
    Kv,
    Session(session::Endpoint),
    Txn,
    Event(event::Endpoint),
    Status(status::Endpoint),
    Snapshot,
    Acl,
}

/// A path (with everything below it, if it ends in a slash), the methods that it takes, the most bytes of a body, and who answers.
type Route = (&'static str, &'static str, usize, To);

/// Bytes of a body where Consul has no limit of its own.
const BODY_LIMIT: usize = 1024 * 1024;

/// Bytes of a snapshot.
const SNAPSHOT_LIMIT: usize = 256 * 1024 * 1024;

const ROUTES: &[Route] = &[
    ("/v1/agent/self", "GET", 0, To::Agent(agent::Endpoint::Itself)),
    ("/v1/agent/members", "GET", 0, To::Agent(agent::Endpoint::Members)),
    ("/v1/agent/services", "GET", 0, To::Agent(agent::Endpoint::Services)),
    ("/v1/agent/service/", "GET", 0, To::Agent(agent::Endpoint::Service)),
    ("/v1/agent/checks", "GET", 0, To::Agent(agent::Endpoint::Checks)),
    ("/v1/agent/service/register", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::RegisterService)),
    ("/v1/agent/service/deregister/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::DeregisterService)),
    ("/v1/agent/service/maintenance/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::ServiceMaintenance)),
    ("/v1/agent/maintenance", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::NodeMaintenance)),
    ("/v1/agent/reload", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::Reload)),
    ("/v1/agent/check/register", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::RegisterCheck)),
    ("/v1/agent/check/deregister/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::DeregisterCheck)),
    ("/v1/agent/check/pass/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::Pass)),
    ("/v1/agent/check/warn/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::Warn)),
    ("/v1/agent/check/fail/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::Fail)),
    ("/v1/agent/check/update/", "PUT", BODY_LIMIT, To::Agent(agent::Endpoint::Update)),
    ("/v1/agent/health/service/id/", "GET", 0, To::AgentHealth(agent_health::Endpoint::Id)),
    ("/v1/agent/health/service/name/", "GET", 0, To::AgentHealth(agent_health::Endpoint::Name)),
    ("/v1/catalog/register", "PUT", BODY_LIMIT, To::Catalog(catalog::Endpoint::Register)),
    ("/v1/catalog/deregister", "PUT", BODY_LIMIT, To::Catalog(catalog::Endpoint::Deregister)),
    ("/v1/catalog/datacenters", "GET", 0, To::Catalog(catalog::Endpoint::Datacenters)),
    ("/v1/catalog/nodes", "GET", 0, To::Catalog(catalog::Endpoint::Nodes)),
    ("/v1/catalog/services", "GET", 0, To::Catalog(catalog::Endpoint::Services)),
    ("/v1/catalog/service/", "GET", 0, To::Catalog(catalog::Endpoint::Service)),
    ("/v1/catalog/node/", "GET", 0, To::Catalog(catalog::Endpoint::Node)),
    ("/v1/catalog/node-services/", "GET", 0, To::Catalog(catalog::Endpoint::NodeServices)),
    ("/v1/health/node/", "GET", 0, To::Health(health::Endpoint::Node)),
    ("/v1/health/checks/", "GET", 0, To::Health(health::Endpoint::Checks)),
    ("/v1/health/service/", "GET", 0, To::Health(health::Endpoint::Service)),
    ("/v1/catalog/connect/", "GET", 0, To::Catalog(catalog::Endpoint::Connect)),
    ("/v1/health/connect/", "GET", 0, To::Catalog(catalog::Endpoint::Connect)),
    ("/v1/health/state/", "GET", 0, To::Health(health::Endpoint::State)),
    ("/v1/kv/", "GET,PUT,DELETE", VALUE_LIMIT, To::Kv),
    ("/v1/session/create", "PUT", BODY_LIMIT, To::Session(session::Endpoint::Create)),
    ("/v1/session/destroy/", "PUT", BODY_LIMIT, To::Session(session::Endpoint::Destroy)),
    ("/v1/session/renew/", "PUT", BODY_LIMIT, To::Session(session::Endpoint::Renew)),
    ("/v1/session/info/", "GET", 0, To::Session(session::Endpoint::Info)),
    ("/v1/session/node/", "GET", 0, To::Session(session::Endpoint::Node)),
    ("/v1/session/list", "GET", 0, To::Session(session::Endpoint::List)),
    ("/v1/txn", "PUT", VALUE_LIMIT, To::Txn),
    ("/v1/event/fire/", "PUT", BODY_LIMIT, To::Event(event::Endpoint::Fire)),
    ("/v1/event/list", "GET", 0, To::Event(event::Endpoint::List)),
    ("/v1/status/leader", "GET", 0, To::Status(status::Endpoint::Leader)),
    ("/v1/status/peers", "GET", 0, To::Status(status::Endpoint::Peers)),
    ("/v1/acl/", "GET,PUT,DELETE", BODY_LIMIT, To::Acl),
    ("/v1/snapshot", "GET,PUT", SNAPSHOT_LIMIT, To::Snapshot),
];

/// The route of a path: the exact one, else the longest that it is below.
fn find(path: &[u8]) -> Option<&'static Route> {
    let exact = ROUTES.iter().find(|route| route.0.as_bytes() == path);
    exact.or_else(|| {
        let above = ROUTES.iter().filter(|route| route.0.ends_with('/') && path.starts_with(route.0.as_bytes()));
        above.max_by_key(|route| route.0.len())
    })
}

/// Answers a request.
pub(crate) async fn answer(serving: &Arc<Serving>, request: Request<Incoming>) -> Reply {
    if let Some(reply) = malformed(&request) {
        return reply;
    }
    let path = paths::decoded(request.uri().path());
    if !paths::is_printable(&path) {
        return Reply { plain: true, ..Reply::empty(400) };
    }
    if let Some(reply) = redirection(&request, &path) {
        return reply;
    }
    if let Some(reply) = ui::answer(&path) {
        return reply;
    }
    let Some((route, methods, limit, to)) = find(&path) else { return Reply { plain: true, ..Reply::empty(404) } };
    let method = request.method().clone();
    let allow = format!("OPTIONS,{methods}");
    if method == Method::OPTIONS {
        return Reply::empty(200).header("allow", allow);
    }
    let text = request.uri().query().unwrap_or("");
    let query = Query::parse(text);
    if let Err(refusal) = admit(serving, &request, &query) {
        return refusal.into();
    }
    if !methods.split(',').any(|allowed| method.as_str() == allowed) {
        return Reply::text(405, format!("method {method} not allowed")).header("allow", allow);
    }
    if !paths::is_well_formed(text) {
        return Reply::empty(500);
    }
    if !matches!(to, To::Status(_) | To::Snapshot)
        && let Err(refusal) = refuse_namespaces(&request, &query)
    {
        return refusal.into();
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let as_text = query.get("format") == "text" || accept.is_some_and(|kinds| kinds.starts_with("text/plain"));
    let body = match body::read(request.into_body(), *limit).await {
        Ok(body) => body,
        // Consul does not read the body of a request that has none, either.
        Err(NoBody::TooLong(_)) if *limit == 0 => Bytes::new(),
        Err(NoBody::TooLong(length)) => return too_long(length, *limit, *to),
        Err(NoBody::Broken) => return Reply::text(400, "the body of the request did not come"),
    };
    let pretty = serving.pretty || query.has("pretty");
    let rest = path[route.len().min(path.len())..].to_vec();
    let call = Call { serving: Arc::clone(serving), method, rest, query, body, pretty, as_text };
    dispatch(&call, *to).await.unwrap_or_else(Reply::from)
}

async fn dispatch(call: &Call, to: To) -> Result<Reply> {
    match to {
        To::Agent(endpoint) => Box::pin(agent::answer(call, endpoint)).await,
        To::AgentHealth(endpoint) => agent_health::answer(call, endpoint),
        To::Catalog(endpoint) => Box::pin(catalog::answer(call, endpoint)).await,
        To::Health(endpoint) => Box::pin(health::answer(call, endpoint)).await,
        To::Kv => Box::pin(kv::answer(call)).await,
        To::Session(endpoint) => Box::pin(session::answer(call, endpoint)).await,
        To::Txn => Box::pin(txn::answer(call)).await,
        To::Event(endpoint) => Box::pin(event::answer(call, endpoint)).await,
        To::Status(endpoint) => status::answer(call, endpoint),
        To::Snapshot => Box::pin(snapshot::answer(call)).await,
        To::Acl => Err(Refusal { status: 401, text: "ACL support disabled".to_owned() }),
    }
}

/// What is wrong with a request before anybody looks at its path.
fn malformed(request: &Request<Incoming>) -> Option<Reply> {
    let bad = |text: &str| Some(Reply { plain: true, ..Reply::text(400, text) });
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return bad(if hosts > 1 {
            "400 Bad Request: too many Host headers"
        } else {
            "400 Bad Request: missing required Host header"
        });
    }
    let path = request.uri().path();
    if path == "*" {
        return Some(Reply {
            plain: true,
            ..Reply::empty(if request.method() == Method::OPTIONS { 200 } else { 400 })
        });
    }
    if paths::is_well_formed(path) { None } else { bad("400 Bad Request") }
}

/// Consul's paid features, which are refused.
fn refuse_namespaces(request: &Request<Incoming>, query: &Query) -> Result<()> {
    let feature = "Namespaces are a Consul Enterprise feature";
    if request.headers().contains_key("x-consul-namespace") {
        return Err(Refusal::bad(format!("Bad request: Invalid header: \"X-Consul-Namespace\" - {feature}")));
    }
    if query.has("ns") {
        return Err(Refusal::bad(format!("Bad request: Invalid query parameter: \"ns\" - {feature}")));
    }
    Ok(())
}

/// Sends whoever asks for an unclean path, or for a folder without its slash, to where it is.
fn redirection(request: &Request<Incoming>, path: &[u8]) -> Option<Reply> {
    let mut target = paths::cleaned(path);
    let folder = [&target[..], b"/"].concat();
    if matches!(&target[..], b"/" | b"/ui") {
        target = b"/ui/".to_vec();
    } else if !ROUTES.iter().any(|route| route.0.as_bytes() == target)
        && ROUTES.iter().any(|route| route.0.as_bytes() == folder)
    {
        target = folder;
    } else if target == path {
        return None;
    }
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    let location = format!("{}{query}", paths::encoded(&target));
    let reply = Reply { plain: true, ..Reply::empty(301) }.header("location", location.clone());
    let kind = "text/html; charset=utf-8";
    match *request.method() {
        Method::GET => {}
        Method::HEAD => return Some(Reply { kind: Some(kind), ..reply }),
        _ => return Some(reply),
    }
    let shown = location.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;");
    let body = format!("<a href=\"{shown}\">Moved Permanently</a>.\n\n");
    Some(Reply { kind: Some(kind), body: body.into(), ..reply })
}

/// Refuses who does not show the token, where there is one.
fn admit(serving: &Serving, request: &Request<Incoming>, query: &Query) -> Result<()> {
    let Some(token) = &serving.token else { return Ok(()) };
    let headers = request.headers();
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
    let own = headers.get("x-consul-token").and_then(|value| value.to_str().ok());
    let shown = query.find("token").filter(|text| !text.is_empty()).or(own).or(bearer).unwrap_or("");
    if token.is(shown) {
        return Ok(());
    }
    let text = if shown.is_empty() { "Permission denied" } else { "ACL not found" };
    Err(Refusal { status: 403, text: text.to_owned() })
}

fn too_long(length: u64, limit: usize, to: To) -> Reply {
    let text = match to {
        To::Kv => format!(
            "Request body({length} bytes) too large, max size: {limit} bytes. \
             See https://www.consul.io/docs/agent/options.html#kv_max_value_size."
        ),
        To::Txn => format!(
            "Request body({length} bytes) too large, max size: {limit} bytes. \
             See https://www.consul.io/docs/agent/options.html#txn_max_req_len."
        ),
        To::Agent(_)
        | To::AgentHealth(_)
        | To::Catalog(_)
        | To::Health(_)
        | To::Session(_)
        | To::Event(_)
        | To::Status(_)
        | To::Acl
        | To::Snapshot => format!("Request body({length} bytes) too large, max size: {limit} bytes."),
    };
    Reply { kind: Some(TEXT), ..Reply::text(413, text) }
}
