//! The telemetry port: metrics for Prometheus and a status page for machines.

use bytes::Bytes;
use hyper::{Method, Request, Response, StatusCode, header};

use super::inbox::{Question, Sender, ask};
use crate::http_server::{Body, text_response};

/// Answers one request.
pub(crate) async fn handle(request: Request<Bytes>, inbox: Sender) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text_response(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).map(str::to_owned);
    match request.uri().path() {
        "/metrics" => ask(&inbox, Question::Metrics(accept)).await,
        "/status" => ask(&inbox, Question::TelemetryStatus).await,
        path => text_response(StatusCode::NOT_FOUND, format!("nothing at {path}; there are /metrics and /status\n")),
    }
}
