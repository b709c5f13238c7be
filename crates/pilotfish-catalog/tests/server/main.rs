//! The running server: tokens, clients that go away, limits, and many watchers.

mod page;
mod running;

use std::io::Write as _;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::time::Duration;

use pilotfish_catalog::{Error, Secret, Server, Settings};
use pilotfish_testing::{CatalogLoad, wait_until};

use running::{Running, runtime, settings};

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
