//! Servers that misbehave: each fault gives the error that tells the caller what to do, in time.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pilotfish_consul::{
    Client, Consistency, Error, Fault, HealthQuery, KvWrite, Leader, NewSession, Read, ServiceEntry,
};
use pilotfish_testing::{Consul, FaultyServer, Mode, PATIENCE, Proxy, Reply, free_port};

use crate::{client, hasty_client, run, service};

/// Asks a server that gives this reply for instances, with plenty of time.
fn ask(reply: Reply) -> Result<usize, Error> {
    ask_as(client, reply)
}

fn ask_as(client: impl FnOnce(SocketAddr) -> Client, reply: Reply) -> Result<usize, Error> {
    let server = FaultyServer::start(vec![reply]);
    let mut outcome = Ok(0);
    run(async {
        let client = client(server.address());
        let query = HealthQuery::passing("web");
        outcome = client.health_service(&query).await.map(|answer| answer.value.len());
        // One by one they are as many, and what goes wrong is the same.
        let count = client.health_service_fold(&query, &Read::default(), || 0, |count, _| *count += 1).await;
        match (&outcome, count) {
            (Ok(whole), Ok(count)) => assert_eq!(*whole, count.value),
            (Err(whole), Err(one)) => assert_eq!(std::mem::discriminant(whole), std::mem::discriminant(&one), "{one}"),
            (whole, count) => panic!("{whole:?} {count:?}"),
        }
    });
    outcome
}

#[track_caller]
fn check(reply: Reply, expected: impl Fn(&Error) -> bool) {
    let outcome = ask(reply);
    assert!(outcome.as_ref().is_err_and(expected), "{outcome:?}");
}

#[test]
fn an_empty_list_is_an_answer() {
    assert_eq!(ask(Reply::consul(1, "[]")), Ok(0));
}

#[test]
fn unknown_is_never_empty() {
    check(Reply::status(500, "No cluster leader"), |error| matches!(error, Error::NoLeader { .. }));
    check(Reply::leader(1, false, "[]"), |error| matches!(error, Error::NoLeader { .. }));
    check(Reply::status(500, "rpc error"), |error| matches!(error, Error::Unavailable { status: 500, .. }));
    check(Reply::status(503, ""), |error| matches!(error, Error::Unavailable { status: 503, .. }));
    check(Reply::status(429, "slow down"), |error| matches!(error, Error::Unavailable { status: 429, .. }));
    check(Reply::status(200, "null []"), |error| matches!(error, Error::Garbled { .. }));
    check(Reply::status(200, "[{\"Node\":"), |error| matches!(error, Error::Garbled { .. }));
    check(Reply::status(200, ""), |error| matches!(error, Error::Garbled { .. }));
    check(Reply::status(301, ""), |error| matches!(error, Error::Garbled { .. }));
    check(Reply::status(404, "page not found"), |error| matches!(error, Error::NotFound { .. }));
}

#[test]
fn bodies_that_are_cut_huge_or_no_http() {
    let raw = |text: &str| Reply::Raw(text.as_bytes().to_vec());
    check(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"), |error| matches!(error, Error::Garbled { .. }));
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n[";
    check(raw(huge), |error| matches!(error, Error::Garbled { text, .. } if text.contains("larger")));
    check(raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[]"), |error| {
        matches!(error, Error::Garbled { .. })
    });
    check(raw("SSH-2.0-OpenSSH_9.2\r\n"), |error| matches!(error, Error::Garbled { .. }));
    check(raw(""), |error| matches!(error, Error::Lost { .. }));
    check(Reply::Reset, |error| matches!(error, Error::Lost { .. }));
}

#[test]
fn nothing_outlasts_the_deadline() {
    let drip = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{:1000}", "[").into_bytes();
    let late = Reply::Late(PATIENCE, Box::new(Reply::consul(1, "[]")));
    for reply in [Reply::Hole, Reply::Drip(drip, Duration::from_millis(20)), late] {
        let start = Instant::now();
        let outcome = ask_as(|server| hasty_client(&server.to_string()), reply);
        assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
        assert!(start.elapsed() < PATIENCE / 2);
    }
}

/// What the answer of one server brought before it was cut off counts for nothing when another one is asked.
#[test]
fn a_list_that_is_cut_off_is_begun_anew() {
    let entry = |id: &str| {
        format!(
            r#"{{"Node": {{"Node": "n"}}, "Service": {{"ID": "{id}", "Service": "web", "Weights": {{"Passing": 3, "Warning": 1}}}}, "Checks": null}}"#
        )
    };
    let half = format!("HTTP/1.1 200 OK\r\nX-Consul-Index: 1\r\nContent-Length: 9999\r\n\r\n[{}, {{", entry("half"));
    let broken = FaultyServer::start(vec![Reply::Raw(half.into_bytes())]);
    let sound = FaultyServer::start(vec![Reply::consul(7, &format!("[{}, {}]", entry("one"), entry("two")))]);
    run(async {
        let client = hasty_client(&format!("{},{}", broken.address(), sound.address())).with_deadline(PATIENCE);
        let (query, read) = (HealthQuery::passing("web"), Read::default());
        let collect = |ids: &mut Vec<String>, entry: ServiceEntry<'_>| ids.push(entry.service.id.to_string());
        let answer = client.health_service_fold(&query, &read, Vec::new, collect).await.unwrap();
        assert_eq!((answer.value, answer.index), (vec!["one".to_owned(), "two".to_owned()], 7));
        assert_eq!(broken.requests().len(), 1);
    });
}

#[test]
fn a_call_may_have_more_time() {
    let late = Reply::Late(Duration::from_millis(1500), Box::new(Reply::consul(1, "[]")));
    let server = FaultyServer::start(vec![late]);
    run(async {
        let client = hasty_client(&server.address().to_string());
        let query = HealthQuery::passing("web");
        assert!(matches!(client.health_service(&query).await, Err(Error::Timeout { .. })));
        assert_eq!(client.with_deadline(PATIENCE).health_service(&query).await.unwrap().value, []);
    });
}

#[test]
fn an_unknown_key_needs_consuls_word() {
    let server = FaultyServer::start(vec![Reply::status(404, "no such page")]);
    run(async {
        let error = client(server.address()).kv_get("a", &Read::default()).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    });
}

#[test]
fn a_stale_read_may_come_without_a_leader() {
    let server = FaultyServer::start(vec![Reply::leader(3, false, "[]")]);
    run(async {
        let read = Read { consistency: Consistency::Stale, ..Read::default() };
        let answer = client(server.address()).catalog_nodes(&read).await.unwrap();
        assert_eq!((answer.leader, answer.index), (Leader::Unknown, 3));
    });
}

#[test]
fn refused_is_told_from_silent() {
    let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(Ipv4Addr::LOCALHOST.into())));
    run(async {
        let error = client(closed).status_leader().await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { refused: true, .. }), "{error}");
        assert_eq!(error.fault(), Fault::Refused);
        let error = hasty_client("unix:///nonexistent/consul.sock").status_leader().await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { refused: true, .. }), "{error}");
        let error = hasty_client("no-such-host.invalid").status_leader().await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { refused: false, .. } | Error::Timeout { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Other);
    });
}

#[test]
fn connections_are_kept_and_a_stale_one_is_replaced() {
    let ok = Reply::consul(1, "[]");
    let server = FaultyServer::start(vec![ok.clone(), ok.clone(), Reply::ThenClose(Box::new(ok.clone())), ok]);
    run(async {
        let client = client(server.address());
        for _ in 0..5 {
            client.health_service(&HealthQuery::passing("web")).await.unwrap();
        }
    });
    let connections: Vec<usize> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1]);
}

#[test]
fn a_lost_request_is_repeated_only_when_that_is_harmless() {
    let ok = Reply::consul(1, "[]");
    let server = FaultyServer::start(vec![ok.clone(), Reply::Reset, ok.clone(), ok]);
    run(async {
        let client = client(server.address());
        for _ in 0..2 {
            client.health_service(&HealthQuery::passing("web")).await.unwrap();
        }
        server.script(vec![Reply::Reset]);
        let seen = server.requests().len();
        let error = client.session_create(&NewSession::default()).await.unwrap_err();
        assert!(matches!(error, Error::Lost { .. }) && error.may_have_been_done(), "{error}");
        let error = client.kv_put("a", Bytes::new(), 0, &KvWrite::Cas(1)).await.unwrap_err();
        assert!(error.may_have_been_done(), "{error}");
        assert_eq!(server.requests().len(), seen + 2);
    });
}

#[test]
fn a_frozen_consul_is_a_timeout_and_recovers() {
    let consul = Consul::start();
    run(async {
        let client = hasty_client(&consul.http().to_string());
        let patient = client.with_deadline(PATIENCE);
        patient.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        consul.pause();
        let start = Instant::now();
        for _ in 0..2 {
            let error = client.check_pass("service:web-1", "").await.unwrap_err();
            assert!(matches!(error, Error::Timeout { .. }), "{error}");
        }
        assert!(start.elapsed() < PATIENCE / 2);
        consul.resume();
        patient.check_pass("service:web-1", "").await.unwrap();
    });
}

#[test]
fn a_network_that_delays_drops_refuses_and_cuts() {
    let consul = Consul::start();
    let proxy = Proxy::start(consul.http());
    run(async {
        let hasty = hasty_client(&proxy.address().to_string());
        let client = hasty.with_deadline(PATIENCE);
        client.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        proxy.set(Mode::Delay(Duration::from_millis(50)));
        client.check_pass("service:web-1", "").await.unwrap();
        proxy.set(Mode::Drop);
        assert!(matches!(hasty.check_pass("service:web-1", "").await, Err(Error::Timeout { .. })));
        proxy.set(Mode::Refuse);
        assert!(matches!(client.check_pass("service:web-1", "").await, Err(Error::Lost { .. })));
        proxy.set(Mode::Pass);
        client.check_pass("service:web-1", "").await.unwrap();
        let before = proxy.connections();
        client.check_pass("service:web-1", "").await.unwrap();
        assert_eq!(proxy.connections(), before, "the connection is kept");
        proxy.cut();
        client.check_pass("service:web-1", "").await.unwrap();
    });
}
