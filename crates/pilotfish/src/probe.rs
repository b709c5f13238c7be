//! Built-in health probes: an HTTP answer, a TCP port, a file; no process, no thread, no HTTP library.
//!
//! An HTTP probe needs the status line and nothing else, so it writes one request and reads one line; a general client
//! costs several times the processor time.

use std::{
    fmt,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// The longest head of an answer that is read, in bytes; interim answers (1xx) count.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// After the status line the rest of an answer is read up to this many bytes, so that the server sees an orderly end
/// instead of a reset connection.
const MAX_DRAIN_BYTES: usize = 64 * 1024;

/// The same for time: an answer that never ends is not waited for.
const MAX_DRAIN_TIME: Duration = Duration::from_millis(100);

/// How much of a server's answer an error repeats, in bytes.
const MAX_QUOTED_BYTES: usize = 60;

/// What is asked for health, checked when it was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `GET` of an `http://` URL; 2xx is healthy, redirects are not followed.
    Http(HttpTarget),
    /// A port that accepts a connection.
    Tcp(Address),
    /// A path that exists (of any kind).
    File(PathBuf),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// An `http://` URL as far as a request needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpTarget {
    address: Address,
    /// Everything before the path, as it was written: the value of `Host`.
    authority: String,
    path: String,
}

impl Target {
    /// Reads an `http://` URL.
    ///
    /// # Errors
    /// A text that says what was expected.
    pub(crate) fn http(url: &str) -> Result<Target, String> {
        if url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
            return Err(format!("'{url}': built-in probes speak http:// only; use an exec check for https"));
        }
        let scheme = url.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let rest =
            scheme.map(|_| &url[7..]).ok_or_else(|| format!("'{url}' is not of the form http://HOST[:PORT][/PATH]"))?;
        // Control characters would end the request line early, and make the rest of the URL into headers.
        if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(format!("{url:?} contains a space or control character; encode it as in %20"));
        }
        let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(format!("'{url}': a user name and password cannot be given in the URL of a probe"));
        }
        let address =
            Address::parse(authority, Some(80)).ok_or_else(|| format!("'{url}' names no host, or no valid port"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Target::Http(HttpTarget { address, authority: authority.to_owned(), path }))
    }

    /// Reads `HOST:PORT`; an IPv6 address is written in brackets.
    ///
    /// # Errors
    /// A text that says what was expected.
    pub(crate) fn tcp(text: &str) -> Result<Target, String> {
        let address = Address::parse(text, None);
        address.map(Target::Tcp).ok_or_else(|| format!("'{text}' is not of the form HOST:PORT"))
    }

    /// Takes a path.
    ///
    /// # Errors
    /// A text that says what was expected.
    pub(crate) fn file(text: &str) -> Result<Target, String> {
        if text.is_empty() || text.contains('\0') {
            return Err(format!("{text:?} is not a path"));
        }
        Ok(Target::File(PathBuf::from(text)))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Http(target) => write!(f, "http://{}{}", target.authority, target.path),
            Target::Tcp(address) => write!(f, "{}:{}", address.host, address.port),
            Target::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Address {
    fn parse(text: &str, default_port: Option<u16>) -> Option<Address> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, Some("")),
            },
        };
        let port = match port? {
            "" => default_port?,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0)?
            }
            _ => return None,
        };
        (!host.is_empty()).then(|| Address { host: host.to_owned(), port })
    }

    /// Connects to the first of the host's addresses that accepts.
    async fn connect(&self) -> io::Result<TcpStream> {
        // `localhost` always means loopback (RFC 6761, section 6.3). Asking the resolver would start a thread, because
        // the C library's has no other way; addresses and this name are nearly all that probes are given.
        if self.host.eq_ignore_ascii_case("localhost") {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                connected => return connected,
            }
            return TcpStream::connect((Ipv6Addr::LOCALHOST, self.port)).await;
        }
        match self.host.parse::<IpAddr>() {
            Ok(address) => TcpStream::connect(SocketAddr::new(address, self.port)).await,
            Err(_) => TcpStream::connect((self.host.as_str(), self.port)).await,
        }
    }
}

/// Why a probe is not healthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    /// No connection, or it broke.
    #[error("cannot probe {target}: {error}")]
    Unreachable {
        /// What was asked.
        target: String,
        /// What the system said.
        error: io::Error,
    },
    /// An answer, but not a good one.
    #[error("{target} answered with status {status}, expected 2xx")]
    Status {
        /// What was asked.
        target: String,
        /// The status code and reason, as they came.
        status: String,
    },
    /// An answer that is not HTTP.
    #[error("{target} did not answer with HTTP: {reason}")]
    NotHttp {
        /// What was asked.
        target: String,
        /// What came instead.
        reason: String,
    },
    /// No answer in time.
    #[error("{target} did not answer within {limit:?}")]
    TimedOut {
        /// What was asked.
        target: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

/// Asks once; `Ok` is healthy.
///
/// # Errors
/// Why it is not, in a sentence for the log; never later than `limit`.
pub(crate) async fn probe(target: &Target, limit: Duration) -> Result<(), Unhealthy> {
    let outcome = match target {
        Target::Http(http) => timeout(limit, http_status(http)).await,
        Target::Tcp(address) => timeout(limit, address.connect()).await.map(|connected| Ok(Status::from(connected?))),
        // Not handed to a thread: a readiness file is on a local file system, and a thread costs more than the call.
        Target::File(path) => Ok(std::fs::metadata(path).map(|_| Status::Healthy)),
    };
    let name = || target.to_string();
    match outcome {
        Err(_elapsed) => Err(Unhealthy::TimedOut { target: name(), limit }),
        Ok(Err(error)) => Err(Unhealthy::Unreachable { target: name(), error }),
        Ok(Ok(Status::Unhealthy(status))) => Err(Unhealthy::Status { target: name(), status }),
        Ok(Ok(Status::NotHttp(reason))) => Err(Unhealthy::NotHttp { target: name(), reason }),
        Ok(Ok(Status::Answered(stream))) => {
            drain(stream).await;
            Ok(())
        }
        Ok(Ok(Status::Healthy)) => Ok(()),
    }
}

/// What an answer says.
enum Status {
    Healthy,
    /// Healthy, and the rest of the answer is still to come.
    Answered(TcpStream),
    Unhealthy(String),
    NotHttp(String),
}

impl From<TcpStream> for Status {
    /// A port that accepts is healthy; dropping the connection closes it.
    fn from(_connected: TcpStream) -> Status {
        Status::Healthy
    }
}

async fn http_status(target: &HttpTarget) -> io::Result<Status> {
    let mut stream = target.address.connect().await?;
    let mut request = Vec::with_capacity(256);
    write!(
        request,
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: pilotfish/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.path,
        target.authority,
        env!("CARGO_PKG_VERSION")
    )?;
    stream.write_all(&request).await?;
    let mut answer = Vec::with_capacity(2048);
    loop {
        match status_of(&answer) {
            Head::Final(200..=299, _) => return Ok(Status::Answered(stream)),
            Head::Final(_, status) => return Ok(Status::Unhealthy(status)),
            Head::Foreign(reason) => return Ok(Status::NotHttp(reason)),
            Head::Interim(length) => drop(answer.drain(..length)),
            Head::Partial if answer.len() >= MAX_HEAD_BYTES => {
                return Ok(Status::NotHttp(format!("no end of a head within {MAX_HEAD_BYTES} bytes")));
            }
            Head::Partial => {
                if stream.read_buf(&mut answer).await? == 0 {
                    return Ok(Status::NotHttp("the connection ended before a status line".to_owned()));
                }
            }
        }
    }
}

/// How far an answer's head is understood.
#[derive(Debug, PartialEq)]
enum Head {
    /// More bytes are needed.
    Partial,
    /// A complete interim answer (RFC 9110, section 15.2) of so many bytes; the final one follows it.
    Interim(usize),
    /// The final status: its code, and code and reason as they came.
    Final(u16, String),
    /// Not HTTP, and why.
    Foreign(String),
}

fn status_of(answer: &[u8]) -> Head {
    let start = b"HTTP/1.";
    let known = answer.len().min(start.len());
    if answer[..known] != start[..known] {
        return Head::Foreign(format!("it began with {}", quoted(answer)));
    }
    let Some(end) = answer.iter().position(|byte| *byte == b'\n') else { return Head::Partial };
    let line = answer[..end].trim_ascii_end();
    // The status line is "HTTP/1.x SP 3DIGIT [SP reason]" (RFC 9112, section 4).
    let status = line.get(start.len() + 1..).and_then(|rest| rest.strip_prefix(b" ")).unwrap_or_default();
    let code = status.get(..3).and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok());
    match code {
        Some(100..=199) => match answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            Some(end) => Head::Interim(end + 4),
            None => Head::Partial,
        },
        Some(code @ 200..=599) => Head::Final(code, printable(status)),
        Some(_) | None => Head::Foreign(format!("its status line was {}", quoted(line))),
    }
}

/// A server's words in quotes, shortened.
fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", printable(bytes))
}

/// A server's words with everything but printable ASCII escaped, shortened.
fn printable(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(MAX_QUOTED_BYTES)].escape_ascii().to_string()
}

/// Reads the rest of an answer within limits; whatever happens here, the verdict has been reached already.
async fn drain(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    let mut left = MAX_DRAIN_BYTES;
    let read_on = async {
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(1..) => left = left.saturating_sub(buffer.len()),
                Ok(0) | Err(_) => return,
            }
        }
    };
    // An answer that outlasts the limit is cut off, which is what the limit is for.
    let _ = timeout(MAX_DRAIN_TIME, read_on).await;
}

#[cfg(test)]
mod tests;
