//! The control socket: ContainerPilot's `/v3` endpoints, and status and events.

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;

use super::inbox::{Question, Sender, ask};
use crate::http_server::{Body, text_response};

/// The longest name and value of a variable together, in bytes: with an equals sign and the end they are a string of at most
/// `MAX_ARG_STRLEN` (execve(2)). A longer one would keep every later process from starting.
const VARIABLE_BYTES: usize = 32 * 4096 - 2;

/// Answers one request.
pub(crate) async fn handle(request: Request<Bytes>, inbox: Sender) -> Response<Body> {
    match question(request.method(), request.uri().path(), request.body()) {
        Ok(question) => ask(&inbox, question).await,
        Err((status, text)) => text_response(status, text),
    }
}

/// What a request asks, or the refusal.
fn question(method: &Method, path: &str, body: &[u8]) -> Result<Question, (StatusCode, String)> {
    let endpoints = [
        ("/v3/ping", Method::GET),
        ("/v3/environ", Method::POST),
        ("/v3/env", Method::POST),
        ("/v3/metric", Method::POST),
        ("/v3/reload", Method::POST),
        ("/v3/maintenance/enable", Method::POST),
        ("/v3/maintenance/disable", Method::POST),
        ("/v1/status", Method::GET),
        ("/v1/events", Method::GET),
    ];
    let Some((_, expected)) = endpoints.iter().find(|(known, _)| *known == path) else {
        let known: Vec<&str> = endpoints.iter().map(|(path, _)| *path).collect();
        return Err((StatusCode::NOT_FOUND, format!("no endpoint {path}; there are {}\n", known.join(", "))));
    };
    if method != expected {
        return Err((StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {expected}, not {method}\n")));
    }
    match path {
        "/v3/environ" | "/v3/env" => variables(body),
        "/v3/metric" => metrics(body),
        "/v3/reload" => Ok(Question::Reload),
        "/v3/maintenance/enable" => Ok(Question::Maintenance(true)),
        "/v3/maintenance/disable" => Ok(Question::Maintenance(false)),
        "/v1/status" => Ok(Question::Status),
        "/v1/events" => Ok(Question::Events),
        _ => Ok(Question::Ping),
    }
}

fn object(body: &[u8]) -> Result<serde_json::Map<String, Value>, (StatusCode, String)> {
    let expected = "expected a JSON object, such as {\"NAME\": \"value\"}";
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err((StatusCode::UNPROCESSABLE_ENTITY, format!("{expected}\n"))),
        Err(error) => Err((StatusCode::UNPROCESSABLE_ENTITY, format!("{expected}: {error}\n"))),
    }
}

/// A variable is unset by an empty value or `null`, as in ContainerPilot.
fn variables(body: &[u8]) -> Result<Question, (StatusCode, String)> {
    let mut variables = Vec::new();
    for (name, value) in object(body)? {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err((StatusCode::BAD_REQUEST, format!("{name:?} is no name of a variable\n")));
        }
        let value = scalar(&name, value)?.filter(|value| !value.is_empty());
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err((StatusCode::BAD_REQUEST, format!("the value of {name} contains a NUL byte\n")));
        }
        if name.len() + value.as_ref().map_or(0, String::len) > VARIABLE_BYTES {
            let text = format!("{name} is longer than the {VARIABLE_BYTES} bytes that a process can be given\n");
            return Err((StatusCode::BAD_REQUEST, text));
        }
        variables.push((name, value));
    }
    Ok(Question::PutEnv(variables))
}

fn metrics(body: &[u8]) -> Result<Question, (StatusCode, String)> {
    let mut metrics = Vec::new();
    for (name, value) in object(body)? {
        let text = scalar(&name, value)?.unwrap_or_default();
        if text.trim().parse::<f64>().is_err() {
            return Err((StatusCode::BAD_REQUEST, format!("the value of {name} is {text:?}; expected a number\n")));
        }
        metrics.push((name, text));
    }
    Ok(Question::PutMetric(metrics))
}

fn scalar(name: &str, value: Value) -> Result<Option<String>, (StatusCode, String)> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => {
            Err((StatusCode::BAD_REQUEST, format!("the value of {name} is not a text or a number\n")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, path: &str, body: &str, expect: Result<Question, u16>) {
        let found = question(&method, path, body.as_bytes()).map_err(|(status, _)| status.as_u16());
        assert_eq!(found, expect, "{method} {path} {body}");
    }

    #[test]
    fn endpoints_take_what_they_should() {
        let pairs = |name: &str, value: Option<&str>| vec![(name.to_owned(), value.map(str::to_owned))];
        check(Method::GET, "/v3/ping", "", Ok(Question::Ping));
        check(Method::POST, "/v3/ping", "", Err(405));
        check(Method::GET, "/v4/ping", "", Err(404));
        check(Method::POST, "/v3/env", r#"{"A": "b"}"#, Ok(Question::PutEnv(pairs("A", Some("b")))));
        check(Method::POST, "/v3/environ", r#"{"A": "b"}"#, Ok(Question::PutEnv(pairs("A", Some("b")))));
        check(Method::POST, "/v3/env", &format!(r#"{{"A": "{}"}}"#, "x".repeat(VARIABLE_BYTES)), Err(400));
        check(Method::POST, "/v3/env", r#"{"A": "b\u0000c"}"#, Err(400));
        check(Method::POST, "/v3/env", r#"{"A": ""}"#, Ok(Question::PutEnv(pairs("A", None))));
        check(Method::POST, "/v3/env", r#"{"A": null}"#, Ok(Question::PutEnv(pairs("A", None))));
        check(Method::POST, "/v3/env", r#"{"A=B": "c"}"#, Err(400));
        check(Method::POST, "/v3/env", r#"{"A": ["c"]}"#, Err(400));
        check(Method::POST, "/v3/env", "[]", Err(422));
        check(Method::POST, "/v3/env", "{", Err(422));
        check(Method::POST, "/v3/metric", r#"{"m": 1.5}"#, Ok(Question::PutMetric(vec![("m".into(), "1.5".into())])));
        check(Method::POST, "/v3/metric", r#"{"m": "x"}"#, Err(400));
        check(Method::POST, "/v3/maintenance/enable", "", Ok(Question::Maintenance(true)));
        check(Method::POST, "/v3/maintenance/off", "", Err(404));
    }
}
