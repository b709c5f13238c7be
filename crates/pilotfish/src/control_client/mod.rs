//! The subcommands that speak to a running supervisor over its control socket.

mod print;

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use pilotfish_config::DEFAULT_CONTROL_SOCKET;
use serde_json::{Map, Value};

use crate::{
    command_line::{Control, ControlRequest, ControlSocket},
    errors::UsageError,
    supervise::load_location_to_look,
};

/// How long an answer may take. A reload waits until changed jobs are healthy, so it has no limit of ours.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Asks, and prints the answer.
///
/// # Errors
/// When nobody listens, or what was asked was refused.
pub(crate) fn run(control: &Control) -> anyhow::Result<()> {
    let socket = socket_path(&control.socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if control.request == ControlRequest::Events {
            return events(&socket, control.json).await;
        }
        let asked = ask(&socket, &control.request);
        let answer = match control.request == ControlRequest::Reload {
            true => asked.await?,
            false => tokio::time::timeout(ANSWER_LIMIT, asked)
                .await
                .with_context(|| format!("no answer from {} within {ANSWER_LIMIT:?}", socket.display()))??,
        };
        let text = print::answer(&control.request, &answer, control.json)?;
        io::stdout().write_all(text.as_bytes()).context("cannot write the answer")
    })
}

/// Where the supervisor listens. A config that has become unreadable must not hide the supervisor that runs with an earlier text: it is
/// looked for at the default path then.
fn socket_path(socket: &ControlSocket) -> anyhow::Result<PathBuf> {
    Ok(match socket {
        ControlSocket::Path(path) => path.clone(),
        ControlSocket::OfConfig(location) => match load_location_to_look(location) {
            Ok(loaded) => loaded.config.control.socket.into(),
            Err(_) if UnixStream::connect(DEFAULT_CONTROL_SOCKET).is_ok() => DEFAULT_CONTROL_SOCKET.into(),
            Err(error) => {
                let text = format!("cannot tell where the control socket is; name it with --socket: {error:#}");
                return Err(UsageError(text).into());
            }
        },
        ControlSocket::Default => DEFAULT_CONTROL_SOCKET.into(),
    })
}

/// Sends a request and takes the whole answer.
async fn ask(socket: &Path, request: &ControlRequest) -> anyhow::Result<String> {
    let (method, path, body) = wire(request);
    let response = send(socket, method, path, body).await?;
    let status = response.status();
    let body = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status != StatusCode::OK {
        bail!("{}", text.trim_end());
    }
    Ok(text)
}

/// A request's method, path and body.
fn wire(request: &ControlRequest) -> (Method, &'static str, String) {
    let object = |pairs: &[(String, String)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
        let mut object = Map::new();
        object.extend(pairs);
        Value::Object(object).to_string()
    };
    match request {
        ControlRequest::Status => (Method::GET, "/v1/status", String::new()),
        ControlRequest::Events => (Method::GET, "/v1/events", String::new()),
        ControlRequest::Reload => (Method::POST, "/v3/reload", String::new()),
        ControlRequest::Maintenance(true) => (Method::POST, "/v3/maintenance/enable", String::new()),
        ControlRequest::Maintenance(false) => (Method::POST, "/v3/maintenance/disable", String::new()),
        ControlRequest::PutEnv(variables) => (Method::POST, "/v3/env", object(variables)),
        ControlRequest::PutMetric(values) => (Method::POST, "/v3/metric", object(values)),
        ControlRequest::Ping => (Method::GET, "/v3/ping", String::new()),
    }
}

async fn send(socket: &Path, method: Method, path: &str, body: String) -> anyhow::Result<Response<Incoming>> {
    let stream = tokio::net::UnixStream::connect(socket).await.with_context(|| {
        format!("cannot reach a supervisor at {}; is it running, and is --socket right?", socket.display())
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.body(Full::new(Bytes::from(body))).context("cannot make the request")?;
    sender.send_request(request).await.context("the supervisor hung up")
}

/// Prints events until the supervisor ends.
async fn events(socket: &Path, json: bool) -> anyhow::Result<()> {
    let response = send(socket, Method::GET, "/v1/events", String::new()).await?;
    if response.status() != StatusCode::OK {
        bail!("the supervisor answered {}", response.status());
    }
    let mut body = response.into_body();
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        // The end of the supervisor ends the stream, however it comes.
        let Ok(frame) = frame else { break };
        pending.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = pending.drain(..end + 2).collect();
            if let Some(line) = print::event(&String::from_utf8_lossy(&event), json) {
                let mut out = io::stdout().lock();
                // Whoever reads no more (`| head`) has seen enough.
                if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}
