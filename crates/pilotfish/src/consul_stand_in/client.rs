//! Speaking to an agent: ours, or any other that the environment names.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{Failure, flags::Flags};

/// How long an agent may take for an answer.
const LIMIT: Duration = Duration::from_secs(30);

/// Where the agent is when neither a flag nor the environment says.
const DEFAULT_ADDRESS: &str = "127.0.0.1:8500";

/// An agent.
#[derive(Debug)]
pub(crate) struct Client {
    address: String,
    token: Option<String>,
    datacenter: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The answer, if it is good.
    ///
    /// # Errors
    /// `Unexpected response code`, as Consul's client says it, after these words.
    pub(crate) fn good(self, doing: &str) -> Result<Answer, Failure> {
        if self.status == 200 {
            return Ok(self);
        }
        let text = String::from_utf8_lossy(&self.body);
        Err(Failure::new(format!("{doing}: Unexpected response code: {} ({text})", self.status)))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Client {
    /// The agent that flags or environment name.
    pub(crate) fn new(flags: &Flags) -> Result<Client, Failure> {
        let address = flags.get("http-addr").map(str::to_owned).or_else(|| variable("CONSUL_HTTP_ADDR"));
        let address = address.unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        if address.starts_with("https://") || address.starts_with("unix://") {
            return Err(Failure::new(format!("cannot speak to {address}: the stand-in knows http:// only")));
        }
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let file = flags.get("token-file").map(str::to_owned).or_else(|| variable("CONSUL_HTTP_TOKEN_FILE"));
        let token = match (flags.get("token").map(str::to_owned).or_else(|| variable("CONSUL_HTTP_TOKEN")), file) {
            (Some(token), _) => Some(token),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(&file);
                let text = text.map_err(|error| Failure::new(format!("Error loading token file: {file}: {error}")))?;
                Some(text.trim().to_owned())
            }
            (None, None) => None,
        };
        Ok(Client { address, token, datacenter: flags.get("datacenter").map(str::to_owned) })
    }

    /// Asks; `doing` begins the text of an error.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Vec<u8>, doing: &str) -> Result<Answer, Failure> {
        let mut path = path.to_owned();
        if let Some(datacenter) = &self.datacenter {
            path += if path.contains('?') { "&dc=" } else { "?dc=" };
            path += &encoded(datacenter);
        }
        let failed = |reason: String| {
            let verb = method[..1].to_owned() + &method[1..].to_ascii_lowercase();
            Failure::new(format!("{doing}: {verb} \"http://{}{path}\": {reason}", self.address))
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        runtime
            .block_on(async { timeout(LIMIT, self.exchange(method, &path, body)).await })
            .unwrap_or_else(|_| Err("no answer in time".to_owned()))
            .map_err(failed)
    }

    async fn exchange(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Answer, String> {
        let stream = TcpStream::connect(&self.address).await.map_err(|error| {
            let refused = error.kind() == std::io::ErrorKind::ConnectionRefused;
            let reason = if refused { "connect: connection refused".to_owned() } else { error.to_string() };
            format!("dial tcp {}: {reason}", self.address)
        })?;
        let text = |error: hyper::Error| error.to_string();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", &self.address);
        if let Some(token) = &self.token {
            request = request.header("x-consul-token", token);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await.map_err(text)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(text)?.to_bytes();
        Ok(Answer { status, body })
    }
}

/// A key as part of a path: slashes stay.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}
