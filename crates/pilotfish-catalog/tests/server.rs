//! The running server: tokens, clients that go away, limits, and many watchers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use pilotfish_catalog::{Catalog, Error, Secret, Server, Settings};
use pilotfish_testing::{CatalogLoad, PATIENCE, wait_until};
use tokio::sync::oneshot;

/// A server on a thread of its own, ended on drop.
struct Running {
    address: SocketAddr,
    catalog: Catalog,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

fn settings() -> Settings {
    Settings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "test")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

impl Running {
    fn start(settings: Settings) -> Running {
        let (stop, stopped) = oneshot::channel();
        let (begun, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let server = Server::bind(settings).await.expect("a free port can be bound");
                begun.send((server.address(), server.catalog())).expect("the test waits for it");
                tokio::select! {
                    () = server.run() => {}
                    _ = stopped => {}
                }
            });
        });
        let (address, catalog) = told.recv_timeout(PATIENCE).expect("the server begins");
        Running { address, catalog, stop: Some(stop), thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream
    }

    /// Sends lines and a body; what comes back until the server closes.
    fn ask(&self, head: &str, body: &str) -> String {
        let mut stream = self.connect();
        let head = head.replace('\n', "\r\n");
        let text = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "the server panicked");
        }
    }
}

#[test]
fn outside_the_loopback_there_is_no_server_without_a_token() {
    let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let refused = runtime().block_on(Server::bind(Settings { listen, ..settings() }));
    assert!(matches!(refused, Err(Error::TokenNeeded(_))));
}

#[test]
fn who_does_not_show_the_token_is_refused() {
    let server = Running::start(Settings { token: Some(Secret::new("right")), ..settings() });
    let check = |head: &str, status: &str, text: &str| {
        let answer = server.ask(head, "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
        assert!(answer.ends_with(text), "{head}: {answer}");
    };
    check("PUT /v1/kv/a HTTP/1.1", "403", "Permission denied");
    check("PUT /v1/kv/a HTTP/1.1\nX-Consul-Token: wrong", "403", "ACL not found");
    check("GET /v1/status/leader HTTP/1.1\nAuthorization: Basic right", "403", "Permission denied");
    check("PUT /v1/kv/a HTTP/1.1\nX-Consul-Token: right", "200", "true");
    check("PUT /v1/kv/a HTTP/1.1\nAuthorization: Bearer right", "200", "true");
    check("PUT /v1/kv/a?token=right HTTP/1.1", "200", "true");
    assert!(!format!("{:?}", Secret::new("right")).contains("right"));
}

#[test]
fn a_client_that_goes_away_waits_no_longer() {
    let server = Running::start(settings());
    let wait = |path: &str| {
        let mut stream = server.connect();
        write!(stream, "GET {path}index=1000&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n").expect("the server reads");
        stream
    };
    let waiting = [wait("/v1/kv/a?"), wait("/v1/kv/a?recurse&"), wait("/v1/health/service/x?")];
    // Whoever carries out probes waits as well, for what there is to probe.
    wait_until("three to wait", || (server.catalog.watchers() == 4).then_some(()));
    for stream in &waiting {
        stream.shutdown(Shutdown::Both).expect("it is connected");
    }
    wait_until("nobody to wait", || (server.catalog.watchers() == 1).then_some(()));
    assert!(server.ask("GET /v1/status/leader HTTP/1.1", "").contains("8300"));
}

#[test]
fn a_slow_client_keeps_nobody_waiting() {
    let server = Running::start(settings());
    let mut slow = server.connect();
    slow.write_all(b"PUT /v1/kv/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha").expect("the server reads");
    assert!(server.ask("PUT /v1/kv/quick HTTP/1.1", "1").ends_with("true"));
    assert!(server.ask("GET /v1/kv/slow HTTP/1.1", "").starts_with("HTTP/1.1 404"), "nothing of it is there");
    slow.write_all(b"lf").expect("the server reads");
    wait_until("the rest to arrive", || server.ask("GET /v1/kv/slow?raw HTTP/1.1", "").ends_with("half").then_some(()));
}

#[test]
fn a_change_wakes_those_who_wait_for_it_and_nobody_else() {
    let server = Running::start(settings());
    let load = CatalogLoad {
        watchers: 300,
        services: 30,
        beat: Duration::from_millis(300),
        change: Duration::from_millis(5),
        changes: 60,
    };
    let report = load.run(server.address, || ()).expect("no connection breaks");
    assert_eq!((report.woken, report.strangers), (report.expected, 0));
    assert!(report.expected == 600 && report.beats > 0, "{report:?}");
}
