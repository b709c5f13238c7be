//! HTTP probes.

use std::collections::VecDeque;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Finding, dial_error, status_of};
use crate::state::{CRITICAL, Probe};

/// The last bytes of an answer that are told (Consul's `check_output_max_size`).
const OUTPUT: usize = 4096;

/// Redirections that are followed, as Go does.
const REDIRECTIONS: usize = 10;

/// Asks a URL.
pub(crate) async fn get(probe: &Probe) -> Finding {
    let method = if probe.target.method.is_empty() { "GET" } else { &probe.target.method };
    match timeout(probe.timeout, follow(probe, method)).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(reason)) => (CRITICAL, format!("{} {:?}: {reason}", title(method), probe.target.http)),
        Err(_) => (
            CRITICAL,
            format!(
                "{} {:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                title(method),
                probe.target.http
            ),
        ),
    }
}

/// A method as Go writes it in errors: `Get`.
fn title(method: &str) -> String {
    let lower = method.to_ascii_lowercase();
    let mut letters = lower.chars();
    letters.next().map_or(String::new(), |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

async fn follow(probe: &Probe, method: &str) -> Result<Finding, String> {
    let mut url = probe.target.http.clone();
    let mut method =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("net/http: invalid method {method:?}"))?;
    for _ in 0..=REDIRECTIONS {
        let response = ask(probe, &url, &method).await?;
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        if let (true, Some(location)) = (response.status().is_redirection(), location) {
            url = joined(&url, location);
            if !matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
                method = if method == Method::HEAD { method } else { Method::GET };
            }
            continue;
        }
        let status = response.status();
        let reason = status.canonical_reason().unwrap_or("");
        let head = format!("HTTP {method} {}: {} {reason} Output: ", probe.target.http, status.as_u16());
        return Ok((status_of(status.as_u16()), head + &tail(response.into_body()).await));
    }
    Err(format!("stopped after {REDIRECTIONS} redirects"))
}

async fn ask(probe: &Probe, url: &str, method: &Method) -> Result<Response<Incoming>, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("unsupported protocol scheme {:?}", uri.scheme_str().unwrap_or("")));
    }
    let host = uri.host().ok_or("http: no Host in request URL")?.to_owned();
    let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(&address).await.map_err(|error| dial_error(&address, &error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, uri.authority().map_or(host.as_str(), |authority| authority.as_str()))
        .header(header::USER_AGENT, "Consul Health Check")
        .header(header::ACCEPT, "text/plain, text/*, */*")
        .header(header::CONNECTION, "close");
    for (name, values) in &probe.target.header {
        for value in values {
            request = request.header(name, value);
        }
    }
    let body = Full::new(Bytes::from(probe.target.body.clone().into_bytes()));
    let request = request.body(body).map_err(|error| error.to_string())?;
    let answer = async { sender.send_request(request).await.map_err(|error| error.to_string()) };
    // The connection is driven by a task of its own, which ends with it.
    tokio::spawn(connection);
    answer.await
}

/// Where a redirection leads.
fn joined(url: &str, location: &str) -> String {
    if location.contains("://") {
        return location.to_owned();
    }
    let authority_end = url.find("://").map_or(0, |begin| begin + 3);
    let root = url[authority_end..].find('/').map_or(url, |end| &url[..authority_end + end]);
    if location.starts_with('/') { format!("{root}{location}") } else { format!("{root}/{location}") }
}

/// The end of a body.
async fn tail(mut body: Incoming) -> String {
    let mut last: VecDeque<u8> = VecDeque::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        last.extend(data.iter());
        let surplus = last.len().saturating_sub(OUTPUT);
        last.drain(..surplus);
    }
    String::from_utf8_lossy(last.make_contiguous()).into_owned()
}
