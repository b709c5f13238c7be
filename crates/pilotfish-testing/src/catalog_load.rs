//! Load for a catalog: many blocking watchers, many heartbeats, few changes; from one thread, so that the catalog has the other core.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub struct CatalogLoad {
    /// Connections that wait for changes, spread over the services.
    pub watchers: usize,
    /// Services, with one instance each.
    pub services: usize,
    /// Time between two heartbeats of an instance.
    pub beat: Duration,
    /// Time between two changes.
    pub change: Duration,
    /// Changes in all.
    pub changes: usize,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct CatalogLoadReport {
    /// Watchers that were woken by a change of theirs.
    pub woken: usize,
    /// Watchers that should have been.
    pub expected: usize,
    /// Watchers that were woken though nothing of theirs had changed.
    pub strangers: usize,
    /// Heartbeats that were answered.
    pub beats: usize,
    /// From sending a change to having read the answer of a watcher: half of them took less, in milliseconds.
    pub p50_ms: f64,
    /// Likewise for 99 of 100.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    fn open(server: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection { stream, received: Vec::new() })
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
        self.stream.write_all(request.as_bytes())
    }

    /// Reads what is there; the index of an answer that is complete.
    fn receive(&mut self) -> io::Result<Option<u64>> {
        let mut buffer = [0; 8192];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received.extend_from_slice(&buffer[..count]);
        let answer = answer(&self.received);
        if answer.is_some() {
            self.received = Vec::new();
        }
        Ok(answer)
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<u64> {
        self.send(method, path, body)?;
        loop {
            if let Some(index) = self.receive()? {
                return Ok(index);
            }
        }
    }
}

/// The index of a complete answer; 0 if it has none.
fn answer(bytes: &[u8]) -> Option<u64> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let number = |name: &str| {
        let line = head.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    let length = number("content-length:").unwrap_or(0) as usize;
    (bytes.len() >= end + length).then(|| number("x-consul-index:").unwrap_or(0))
}

struct Running {
    load: CatalogLoad,
    watchers: Vec<Connection>,
    indexes: Vec<u64>,
    /// When the change was sent that a watcher has not told of yet.
    due: HashMap<usize, Instant>,
    latencies: Vec<Duration>,
    epoll: rustix::fd::OwnedFd,
    report: CatalogLoadReport,
}

fn check(service: usize, status: &str) -> (String, String) {
    (format!("/v1/agent/check/update/service:s{service}"), format!(r#"{{"Status":"{status}"}}"#))
}

impl CatalogLoad {
    /// Puts the load on a catalog, and calls `at_full_load` when everybody waits.
    ///
    /// # Errors
    /// When a connection breaks.
    pub fn run(self, server: SocketAddr, at_full_load: impl FnOnce()) -> io::Result<CatalogLoadReport> {
        raise_descriptor_limit();
        let mut writer = Connection::open(server)?;
        for service in 0..self.services {
            let body = format!(r#"{{"Name":"s{service}","Port":80,"Check":{{"TTL":"60s","Status":"passing"}}}}"#);
            writer.ask("PUT", "/v1/agent/service/register", &body)?;
        }
        let mut running = Running::new(self, server)?;
        at_full_load();
        running.drive(&mut writer)?;
        Ok(running.finish())
    }
}

impl Running {
    fn new(load: CatalogLoad, server: SocketAddr) -> io::Result<Running> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let (mut watchers, mut indexes) = (Vec::new(), Vec::new());
        for number in 0..load.watchers {
            let mut watcher = Connection::open(server)?;
            let path = format!("/v1/health/service/s{}?passing=1", number % load.services);
            indexes.push(watcher.ask("GET", &path, "")?);
            epoll::add(&epoll, &watcher.stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
            watchers.push(watcher);
        }
        let mut running = Running {
            load,
            watchers,
            indexes,
            due: HashMap::new(),
            latencies: Vec::new(),
            epoll,
            report: CatalogLoadReport::default(),
        };
        for number in 0..load.watchers {
            running.watch(number)?;
        }
        Ok(running)
    }

    fn watch(&mut self, number: usize) -> io::Result<()> {
        let (service, index) = (number % self.load.services, self.indexes[number]);
        self.watchers[number].send(
            "GET",
            &format!("/v1/health/service/s{service}?passing=1&index={index}&wait=10m"),
            "",
        )
    }

    fn drive(&mut self, writer: &mut Connection) -> io::Result<()> {
        let load = self.load;
        let mut failing = vec![false; load.services];
        let pause = load.beat / u32::try_from(load.services).unwrap_or(u32::MAX);
        let (mut next_beat, mut beating) = (Instant::now(), 0);
        let (mut next_change, mut changed) = (Instant::now() + load.change, 0);
        while changed < load.changes {
            self.collect(next_beat.min(next_change))?;
            let now = Instant::now();
            if now >= next_beat {
                let (path, body) = check(beating, if failing[beating] { "critical" } else { "passing" });
                writer.ask("PUT", &path, &body)?;
                self.report.beats += 1;
                beating = (beating + 1) % load.services;
                next_beat += pause;
            }
            if now >= next_change {
                let service = changed % load.services;
                failing[service] = !failing[service];
                let (path, body) = check(service, if failing[service] { "critical" } else { "passing" });
                let sent = Instant::now();
                for watcher in (service..load.watchers).step_by(load.services) {
                    self.due.insert(watcher, sent);
                    self.report.expected += 1;
                }
                writer.ask("PUT", &path, &body)?;
                changed += 1;
                next_change += load.change;
            }
        }
        let end = Instant::now() + PATIENCE;
        while !self.due.is_empty() && Instant::now() < end {
            self.collect(end)?;
        }
        Ok(())
    }

    /// Takes in the answers that come until then; returns early after some.
    fn collect(&mut self, until: Instant) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        let wait = until.saturating_duration_since(Instant::now());
        let wait = rustix::event::Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait))?;
        for event in &events {
            let number = event.data.u64() as usize;
            let Some(index) = self.watchers[number].receive()? else { continue };
            match self.due.remove(&number) {
                Some(sent) if index > self.indexes[number] => {
                    self.report.woken += 1;
                    self.latencies.push(sent.elapsed());
                }
                Some(_) | None => self.report.strangers += 1,
            }
            self.indexes[number] = index;
            self.watch(number)?;
        }
        Ok(())
    }

    fn finish(mut self) -> CatalogLoadReport {
        self.latencies.sort();
        let at = |part: f64| {
            let position = (self.latencies.len() as f64 * part) as usize;
            self.latencies
                .get(position.min(self.latencies.len().saturating_sub(1)))
                .map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        CatalogLoadReport { p50_ms: at(0.5), p99_ms: at(0.99), max_ms: at(1.0), ..self.report }
    }
}

fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Without more of them the connections fail, and say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
