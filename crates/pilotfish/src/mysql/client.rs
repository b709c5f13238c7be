//! Speaks to a running operator over its socket.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use pilotfish_mysql::{LossReport, Report};
use tokio::{net::UnixStream, time::timeout};

use super::{operator, style::Style};
use crate::command_line::OperatorSocket;

/// How long the operator may take to answer; orders are written to the catalog first.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take when others wait for us.
const QUICK_LIMIT: Duration = Duration::from_millis(500);

/// An answer of the operator.
#[derive(Debug)]
struct Asked {
    status: StatusCode,
    text: String,
}

/// A way to an operator.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    /// The operator that a command means.
    pub(super) fn of(socket: &OperatorSocket) -> anyhow::Result<Client> {
        let socket = match socket {
            OperatorSocket::Path(path) => path.clone(),
            OperatorSocket::OfConfig(location) => {
                operator::settings_for_looking(location.as_ref())?.control_socket().into()
            }
        };
        Ok(Client { socket })
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> anyhow::Result<Asked> {
        let asked = timeout(ANSWER_LIMIT, ask(&self.socket, method, path, None, body)).await;
        let limit = || format!("the operator at {} does not answer within {ANSWER_LIMIT:?}", self.socket.display());
        asked.with_context(limit)?.with_context(|| {
            format!(
                "no operator of a database runs here ({}); `pilotfish status` shows the job mysql, --socket names another socket",
                self.socket.display()
            )
        })
    }

    /// What the operator says of itself, as it said it and understood.
    pub(super) async fn report(&self) -> anyhow::Result<(String, Report)> {
        let text = succeeded(self.ask(Method::GET, "/v1/status", String::new()).await?)?;
        let report = serde_json::from_str(&text).context("the operator's answer is not that of this version")?;
        Ok((text, report))
    }

    /// Gives an order; what will happen, in words.
    pub(super) async fn order(&self, order: String) -> anyhow::Result<String> {
        let text = succeeded(self.ask(Method::POST, "/v1/orders", order).await?)?;
        Ok(text.trim_end().to_owned())
    }

    /// What would be lost if a member became primary by force; the text as it came, too.
    pub(super) async fn loss(&self, member: Option<&str>) -> anyhow::Result<(String, LossReport)> {
        let body = serde_json::json!({ "member": member }).to_string();
        let text = succeeded(self.ask(Method::POST, "/v1/loss", body).await?)?;
        let loss = serde_json::from_str(&text).context("the operator's answer is not that of this version")?;
        Ok((text, loss))
    }

    /// Prints a report.
    pub(super) async fn show(&self, json: bool, print: fn(&Report, Style) -> String) -> anyhow::Result<ExitCode> {
        let (text, report) = self.report().await?;
        say(&if json { text } else { print(&report, Style::of_output()) });
        Ok(ExitCode::SUCCESS)
    }
}

/// The text of an answer that is no refusal.
fn succeeded(asked: Asked) -> anyhow::Result<String> {
    if asked.status != StatusCode::OK {
        bail!("{}", asked.text.trim_end());
    }
    Ok(asked.text)
}

/// Asks an operator that others wait for; `None` if it does not answer at once.
pub(crate) async fn ask_quickly(socket: &Path, path: &str, accept: Option<&str>) -> Option<String> {
    let asked = timeout(QUICK_LIMIT, ask(socket, Method::GET, path, accept, String::new())).await;
    asked.ok()?.ok().filter(|asked| asked.status == StatusCode::OK).map(|asked| asked.text)
}

async fn ask(socket: &Path, method: Method, path: &str, accept: Option<&str>, body: String) -> anyhow::Result<Asked> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Asked { status, text: String::from_utf8_lossy(&body).into_owned() })
}

/// Prints to a standard output that may be closed: whoever reads no more has seen enough.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
}
