//! The operator's HTTP API: health for balancers, the report, metrics, copies for other members; orders over the unix socket alone.

use std::io;

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header};
use pilotfish_mysql::{CopyStream, Error, Handle, Order, Report};
use serde_json::Value;
use tokio::sync::mpsc;

use super::metrics;
use crate::{
    http_server::{Body, response, text_response},
    metrics::Exposition,
};

/// Pieces of a copy that wait for the network; the operator has as many.
const COPY_PIECES: usize = 4;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody on this host who may open our socket.
    Local,
    /// Anybody.
    Network,
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Health,
    Primary,
    Replica,
    Status,
    Metrics(Exposition),
    Copy(String),
    Order(Order),
    Loss(Option<String>),
}

/// Paths, how they are asked, and whether over the unix socket alone.
const ENDPOINTS: [(&str, Method, bool); 8] = [
    ("/health", Method::GET, false),
    ("/primary", Method::GET, false),
    ("/replica", Method::GET, false),
    ("/v1/status", Method::GET, false),
    ("/metrics", Method::GET, false),
    ("/v1/copy", Method::GET, false),
    ("/v1/orders", Method::POST, true),
    ("/v1/loss", Method::POST, true),
];

type Refusal = (StatusCode, String);

/// Answers one request.
pub(super) async fn handle(request: Request<Bytes>, handle: Handle, caller: Caller) -> Response<Body> {
    let wanted = match wanted(&request, caller) {
        Ok(wanted) => wanted,
        Err((status, text)) => return text_response(status, text),
    };
    match wanted {
        Wanted::Health => verdict(health(&handle.report())),
        Wanted::Primary => verdict(primary(&handle.report())),
        Wanted::Replica => verdict(replica(&handle.report())),
        Wanted::Status => json(&serde_json::to_value(handle.report()).unwrap_or_default()),
        Wanted::Metrics(exposition) => {
            response(StatusCode::OK, exposition.content_type(), metrics::render(&handle.report(), exposition))
        }
        Wanted::Copy(authorization) => match handle.copy(&authorization).await {
            Ok(copy) => stream(copy),
            Err(error) => refused(&error),
        },
        Wanted::Order(order) => match handle.order(order).await {
            Ok(text) => text_response(StatusCode::OK, format!("{text}\n")),
            Err(error) => refused(&error),
        },
        Wanted::Loss(member) => match handle.loss(member).await {
            Ok(loss) => json(&serde_json::to_value(loss).unwrap_or_default()),
            Err(error) => refused(&error),
        },
    }
}

fn wanted(request: &Request<Bytes>, caller: Caller) -> Result<Wanted, Refusal> {
    let path = request.uri().path();
    let known = |local: bool| caller == Caller::Local || !local;
    let endpoint = ENDPOINTS.iter().find(|(known_path, _, local)| *known_path == path && known(*local));
    let Some((_, method, _)) = endpoint else {
        let paths: Vec<&str> = ENDPOINTS.iter().filter(|(_, _, local)| known(*local)).map(|(path, ..)| *path).collect();
        return Err((StatusCode::NOT_FOUND, format!("no endpoint {path}; there are {}\n", paths.join(", "))));
    };
    let found = request.method();
    // A balancer may save itself the body.
    if found != method && !(found == Method::HEAD && *method == Method::GET && path != "/v1/copy") {
        return Err((StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {method}, not {found}\n")));
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    Ok(match path {
        "/primary" => Wanted::Primary,
        "/replica" => Wanted::Replica,
        "/v1/status" => Wanted::Status,
        "/metrics" => Wanted::Metrics(Exposition::negotiate(header(header::ACCEPT))),
        "/v1/copy" => Wanted::Copy(header(header::AUTHORIZATION).unwrap_or_default().to_owned()),
        "/v1/orders" => Wanted::Order(order(&object(request.body())?)?),
        "/v1/loss" => Wanted::Loss(member(&object(request.body())?, "member")?),
        _ => Wanted::Health,
    })
}

fn object(body: &[u8]) -> Result<Value, Refusal> {
    let expected = "expected a JSON object, such as {\"order\": \"switchover\", \"to\": \"db-2\"}\n";
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) | Err(_) => Err((StatusCode::UNPROCESSABLE_ENTITY, expected.to_owned())),
    }
}

fn member(object: &Value, key: &str) -> Result<Option<String>, Refusal> {
    match &object[key] {
        Value::Null => Ok(None),
        Value::String(name) => Ok(Some(name.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err((StatusCode::UNPROCESSABLE_ENTITY, format!("{key} is the name or number of a member\n")))
        }
    }
}

fn order(object: &Value) -> Result<Order, Refusal> {
    Ok(match object["order"].as_str() {
        Some("switchover") => Order::Switchover { to: member(object, "to")? },
        Some("failover") => Order::Force { member: member(object, "to")? },
        Some("adopt") => Order::Adopt { member: member(object, "member")? },
        Some("rebuild") => Order::Rebuild { member: member(object, "member")? },
        Some("pause") => Order::Pause,
        Some("resume") => Order::Resume,
        Some(_) | None => {
            let text = "order is one of switchover, failover, adopt, rebuild, pause, resume\n";
            return Err((StatusCode::UNPROCESSABLE_ENTITY, text.to_owned()));
        }
    })
}

/// Whether this member can be used for what its role promises.
fn health(report: &Report) -> (bool, String) {
    let why = &report.why;
    (report.healthy, format!("{}, {}: {} [{}]", report.name, report.role, why.text, why.code))
}

/// Whether writes may be sent here.
fn primary(report: &Report) -> (bool, String) {
    let writable = report.server.as_ref().is_some_and(|server| server.writable);
    (report.role == "primary" && report.healthy && writable, health(report).1)
}

/// Whether reads may be sent here that need not be the newest.
fn replica(report: &Report) -> (bool, String) {
    (report.role == "replica" && report.healthy, health(report).1)
}

fn verdict((good, text): (bool, String)) -> Response<Body> {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    text_response(status, format!("{}: {text}\n", if good { "yes" } else { "no" }))
}

fn json(value: &Value) -> Response<Body> {
    response(StatusCode::OK, "application/json", format!("{value}\n"))
}

fn refused(error: &Error) -> Response<Body> {
    let status = match error {
        Error::Unfit(_) | Error::Stale(_) | Error::Refused { .. } => StatusCode::CONFLICT,
        Error::Unreachable { .. }
        | Error::TooSlow { .. }
        | Error::Answer { .. }
        | Error::Start { .. }
        | Error::Failed { .. }
        | Error::File { .. }
        | Error::Catalog(_)
        | Error::Ending => StatusCode::SERVICE_UNAVAILABLE,
    };
    text_response(status, format!("{error}\n"))
}

/// A copy as the body of an answer; one that is not whole breaks off.
fn stream(mut copy: CopyStream) -> Response<Body> {
    let (sender, pieces) = mpsc::channel(COPY_PIECES);
    tokio::spawn(async move {
        while let Some(piece) = copy.next().await {
            let broken = piece.is_err();
            if sender.send(piece.map_err(|error| io::Error::other(error.to_string()))).await.is_err() || broken {
                return;
            }
        }
    });
    let mut response = Response::new(Body::copy(pieces));
    let kind = header::HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use pilotfish_mysql::{Reason, ServerReport};

    use super::*;

    fn asked(method: Method, path: &str, body: &str, caller: Caller) -> Result<Wanted, u16> {
        let request = Request::builder().method(method).uri(path).header("authorization", "Bearer x");
        let request = request.body(Bytes::from(body.to_owned())).unwrap();
        wanted(&request, caller).map_err(|(status, _)| status.as_u16())
    }

    #[test]
    fn orders_are_taken_over_the_unix_socket_alone() {
        use Caller::{Local, Network};
        let to = |name: &str| Some(name.to_owned());
        for (method, path, body, caller, expected) in [
            (Method::GET, "/health", "", Network, Ok(Wanted::Health)),
            (Method::HEAD, "/primary", "", Network, Ok(Wanted::Primary)),
            (Method::GET, "/replica", "", Local, Ok(Wanted::Replica)),
            (Method::GET, "/v1/status", "", Network, Ok(Wanted::Status)),
            (Method::GET, "/metrics", "", Network, Ok(Wanted::Metrics(Exposition::Text))),
            (Method::GET, "/v1/copy", "", Network, Ok(Wanted::Copy("Bearer x".into()))),
            (Method::HEAD, "/v1/copy", "", Network, Err(405)),
            (Method::POST, "/health", "", Network, Err(405)),
            (Method::GET, "/", "", Network, Err(404)),
            (Method::POST, "/v1/orders", r#"{"order":"pause"}"#, Network, Err(404)),
            (Method::POST, "/v1/loss", "{}", Network, Err(404)),
            (Method::POST, "/v1/orders", r#"{"order":"pause"}"#, Local, Ok(Wanted::Order(Order::Pause))),
            (
                Method::POST,
                "/v1/orders",
                r#"{"order":"switchover","to":"db-2"}"#,
                Local,
                Ok(Wanted::Order(Order::Switchover { to: to("db-2") })),
            ),
            (
                Method::POST,
                "/v1/orders",
                r#"{"order":"failover","to":7}"#,
                Local,
                Ok(Wanted::Order(Order::Force { member: to("7") })),
            ),
            (
                Method::POST,
                "/v1/orders",
                r#"{"order":"adopt"}"#,
                Local,
                Ok(Wanted::Order(Order::Adopt { member: None })),
            ),
            (Method::POST, "/v1/orders", r#"{"order":"rebuild","member":[]}"#, Local, Err(422)),
            (Method::POST, "/v1/orders", r#"{"order":"dance"}"#, Local, Err(422)),
            (Method::POST, "/v1/orders", "pause", Local, Err(422)),
            (Method::POST, "/v1/loss", r#"{"member":null}"#, Local, Ok(Wanted::Loss(None))),
        ] {
            assert_eq!(asked(method.clone(), path, body, caller), expected, "{method} {path} {body} {caller:?}");
        }
    }

    #[test]
    fn balancers_get_what_the_role_promises() {
        let report = |role: &str, healthy, writable| Report {
            name: "db-1".into(),
            role: role.into(),
            healthy,
            why: Reason { code: "settled".into(), text: "nothing to do".into(), until: None },
            server: Some(ServerReport { writable, ..ServerReport::default() }),
            ..Report::default()
        };
        for (role, healthy, writable, expected) in [
            ("primary", true, true, (true, true, false)),
            // Registered, but not writable yet.
            ("primary", true, false, (true, false, false)),
            ("primary", false, true, (false, false, false)),
            ("replica", true, false, (true, false, true)),
            ("replica", false, false, (false, false, false)),
            ("none", false, false, (false, false, false)),
        ] {
            let report = report(role, healthy, writable);
            let found = (health(&report).0, primary(&report).0, replica(&report).0);
            assert_eq!(found, expected, "{role} {healthy} {writable}");
        }
        assert_eq!(health(&report("primary", true, true)).1, "db-1, primary: nothing to do [settled]");
    }
}
