//! A server that follows a script of faults, for clients of HTTP APIs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::wait::PATIENCE;

/// Longest body that the server reads, in bytes.
const BODY_LIMIT: usize = 1 << 20;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers, with these headers beside `Content-Length`, and keeps the connection.
    Http(u16, Vec<(&'static str, String)>, String),
    /// Answers these bytes and closes, so that a length or a JSON text may be cut short.
    Raw(Vec<u8>),
    /// Never answers.
    Hole,
    /// Answers the bytes one by one, with this pause between them.
    Drip(Vec<u8>, Duration),
    /// Resets the connection after it has read the request.
    Reset,
    /// Answers like [`Reply::Http`] after this pause.
    Late(Duration, Box<Reply>),
    /// Answers like [`Reply::Http`] and then closes the connection without saying so beforehand.
    ThenClose(Box<Reply>),
}

impl Reply {
    /// A status with a text.
    pub fn status(status: u16, text: &str) -> Reply {
        Reply::Http(status, Vec::new(), text.to_owned())
    }

    /// An answer as Consul gives it, with its index and a known leader.
    pub fn consul(index: u64, json: &str) -> Reply {
        Reply::leader(index, true, json)
    }

    /// An answer as Consul gives it, with or without a known leader.
    pub fn leader(index: u64, known: bool, json: &str) -> Reply {
        let headers = vec![("X-Consul-Index", index.to_string()), ("X-Consul-KnownLeader", known.to_string())];
        Reply::Http(200, headers, json.to_owned())
    }
}

/// A request that the server has seen.
#[derive(Debug, Clone)]
pub struct Request {
    /// First line, without the protocol: `GET /v1/status/leader`.
    pub line: String,
    /// Token that came with it.
    pub token: Option<String>,
    /// What the client calls itself: the header `Authorization`.
    pub authorization: Option<String>,
    /// Body.
    pub body: Vec<u8>,
    /// Number of the connection, from 0.
    pub connection: usize,
    /// When it was read.
    pub at: Instant,
}

/// The server. It stops on drop.
pub struct FaultyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    script: Vec<Reply>,
    requests: Vec<Request>,
    streams: Vec<TcpStream>,
    stopped: bool,
}

impl FaultyServer {
    /// Starts a server. The first request gets the first reply and so on; the last reply is repeated for ever.
    ///
    /// # Panics
    /// When the script is empty or no port can be opened.
    pub fn start(script: Vec<Reply>) -> FaultyServer {
        assert!(!script.is_empty(), "a script needs a reply");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback can be opened");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Mutex::new(State { script, ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let acceptor = {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&listener, &shared))
        };
        FaultyServer { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the script from the next request on.
    pub fn script(&self, script: Vec<Reply>) {
        let mut state = self.shared.lock();
        state.script = script;
    }

    /// What it has seen so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// Waits until it has seen this many requests.
    ///
    /// # Panics
    /// When they do not come.
    pub fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        let state = self.shared.lock();
        let enough = |state: &mut State| state.requests.len() < count;
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, enough)
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        assert!(!timeout.timed_out(), "waited in vain for {count} requests, saw {:?}", state.requests);
        state.requests.clone()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.stopped = true;
            for stream in &state.streams {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Waits for a time, or until the server stops.
    fn pause(&self, time: Duration) {
        let state = self.lock();
        drop(self.changed.wait_timeout_while(state, time, |state| !state.stopped));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (connection, stream) in listener.incoming().enumerate() {
        let Ok(stream) = stream else { continue };
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        let Ok(twin) = stream.try_clone() else { continue };
        state.streams.push(twin);
        drop(state);
        let shared = shared.clone();
        std::thread::spawn(move || {
            let _ = converse(&stream, connection, &shared);
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// Serves the requests of one connection; an error ends it.
fn converse(stream: &TcpStream, connection: usize, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader, connection)? {
        let mut state = shared.lock();
        state.requests.push(request);
        let reply = if state.script.len() > 1 { state.script.remove(0) } else { state.script[0].clone() };
        drop(state);
        shared.changed.notify_all();
        if !answer(stream, reply, shared)? {
            break;
        }
    }
    Ok(())
}

/// Carries out a reply; whether the connection goes on.
fn answer(mut stream: &TcpStream, reply: Reply, shared: &Shared) -> std::io::Result<bool> {
    match reply {
        Reply::Http(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let text = format!("HTTP/1.1 {status} Scripted\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
            stream.write_all(text.as_bytes())?;
            Ok(true)
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).map(|()| false),
        Reply::Hole => {
            shared.pause(PATIENCE);
            Ok(false)
        }
        Reply::Drip(bytes, pause) => {
            for byte in bytes {
                stream.write_all(&[byte])?;
                shared.pause(pause);
            }
            Ok(false)
        }
        Reply::Reset => {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
            // The twin that is kept for the end of the server would keep the socket open and prevent the reset.
            let peer = stream.peer_addr()?;
            shared.lock().streams.retain(|twin| twin.peer_addr().ok() != Some(peer));
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        Reply::Late(pause, reply) => {
            shared.pause(pause);
            answer(stream, *reply, shared)
        }
        Reply::ThenClose(reply) => answer(stream, *reply, shared).map(|_| false),
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>, connection: usize) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let (mut length, mut token, mut authorization) = (0, None, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => authorization = Some(value.trim().to_owned()),
            "x-consul-token" => token = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length.min(BODY_LIMIT)];
    reader.read_exact(&mut body)?;
    let line = line.rsplit_once(' ').map_or(line.as_str(), |(line, _)| line).to_owned();
    Ok(Some(Request { line, token, authorization, body, connection, at: Instant::now() }))
}
