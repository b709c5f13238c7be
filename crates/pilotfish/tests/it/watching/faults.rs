//! A failed query is not "no instances": what a server with scripted faults must not make anybody believe.

use std::time::{Duration, Instant};

use pilotfish_testing::{Consul, FaultyServer, Reply, Request, wait_until};
use serde_json::json;

use super::{reactions, state, wait_for_members, wait_for_reactions, watch};
use crate::catalog::view::wait_for_passing;
use crate::catalog::{service, stage};
use crate::stage::Pilot;

/// Shortest time between two requests to a server that fails.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// What a busy machine may need until the server has the first of several requests: they then seem to come sooner after one another than they do.
/// One pause too few is more than that.
const DELAY: Duration = Duration::from_millis(700);

/// One healthy instance, as Consul 1.8.7 shows it.
const INSTANCE: &str = r#"[{"Node": {"ID": "", "Node": "n", "Address": "192.0.2.1", "Datacenter": "dc1"},
    "Service": {"ID": "db-1", "Service": "db", "Tags": [], "Address": "192.0.2.1", "Meta": {}, "Port": 3306},
    "Checks": []}]"#;

/// A server that has shown one instance and then follows this script.
fn faulty(script: Vec<Reply>) -> (FaultyServer, Pilot) {
    // A query that waits gets no answer until the script goes on: the first hole takes it.
    let server = FaultyServer::start([vec![Reply::consul(10, INSTANCE)], script].concat());
    let pilot = watch(server.address(), json!({ "name": "db", "interval": "1s" })).start();
    wait_for_reactions(&pilot, 1);
    (server, pilot)
}

/// The last view is kept through this script, and the server is asked about once a second at most.
#[track_caller]
fn check_kept(script: Vec<Reply>, requests: usize, failing: bool) {
    let (server, pilot) = faulty(script);
    let seen = server.wait_for_requests(requests);
    if failing {
        pilot.wait_for("the failure to be shown", || state(&pilot)["failing"].is_string().then_some(()));
    }
    assert_eq!(state(&pilot)["members"], json!(["192.0.2.1:3306"]), "{}", pilot.story());
    assert_eq!(reactions(&pilot), 1, "{}", pilot.story());
    assert_slow(&seen);
    let age = state(&pilot)["age"].as_f64().unwrap();
    assert!(!failing || age > 0.5, "the view is {age} s old");
    // Sound again, and with news.
    server.script(vec![Reply::consul(50, "[]"), Reply::Hole]);
    wait_for_reactions(&pilot, 2);
    wait_for_members(&pilot, &json!([]));
}

/// After the answer that was sound there is one query at once, and then one a second.
#[track_caller]
fn assert_slow(requests: &[Request]) {
    let times: Vec<Duration> = requests[1..].iter().map(|request| request.at - requests[1].at).collect();
    for (pauses, time) in (0..).zip(&times) {
        assert!(*time + DELAY >= LEAST_PAUSE * pauses, "{times:?}");
    }
}

#[test]
fn errors() {
    check_kept(vec![Reply::status(500, "internal error")], 4, true);
}

#[test]
fn no_leader() {
    check_kept(vec![Reply::leader(11, false, "[]")], 4, true);
}

#[test]
fn truncated_json() {
    let half = &INSTANCE[..INSTANCE.len() / 2];
    check_kept(
        vec![Reply::consul(11, half), Reply::consul(12, "[{\"Node\": {}}]"), Reply::consul(13, "null x")],
        4,
        true,
    );
}

#[test]
fn truncated_transfer() {
    let cut = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 11\r\nContent-Length: 1000\r\n\r\n[".to_vec();
    check_kept(vec![Reply::Raw(cut), Reply::Reset, Reply::Raw(b"garbage\r\n\r\n".to_vec())], 4, true);
}

#[test]
fn a_black_hole() {
    check_kept(vec![Reply::Hole], 3, true);
}

/// Only the agent that gave an index holds a query that names it: another that hangs would hold it for as long, and nobody would suspect that one.
#[test]
fn a_query_that_is_held_does_not_move_to_an_agent_that_hangs() {
    let late = Reply::Late(Duration::from_millis(300), Box::new(Reply::status(500, "No cluster leader")));
    let news = INSTANCE.replace("3306", "3307");
    let home = FaultyServer::start(vec![Reply::consul(7, INSTANCE), late, Reply::consul(9, &news), Reply::Hole]);
    let hung = FaultyServer::start(vec![Reply::Hole]);
    let both = format!("{},{}", home.address(), hung.address());
    let pilot = watch(both, json!({ "name": "db", "interval": "10m" })).start();
    wait_for_members(&pilot, &json!(["192.0.2.1:3307"]));
    let lines: Vec<String> = hung.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(lines, ["GET /v1/health/service/db?passing"]);
}

/// An agent that hangs holds a query like one without news: nobody waits for the end of that.
#[test]
fn an_agent_that_hangs_is_asked_whether_it_lives() {
    let (server, pilot) = faulty(vec![Reply::Hole]);
    let seen = server.wait_for_requests(4);
    let lines: Vec<&str> = seen.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines[0], "GET /v1/health/service/db?passing");
    assert_eq!(lines[1], "GET /v1/health/service/db?passing&index=10&wait=10000ms");
    assert_eq!(lines[2], "GET /v1/status/leader");
    assert_eq!(lines[3], "GET /v1/health/service/db?passing", "it is not waited for news any more");
    pilot.wait_for("the failure to be shown", || state(&pilot)["failing"].is_string().then_some(()));
    assert_eq!(reactions(&pilot), 1);
}

#[test]
fn an_index_that_goes_backwards() {
    let backwards = [9, 8, 7, 6].map(|index| Reply::consul(index, INSTANCE));
    check_kept(backwards.to_vec(), 5, false);
}

#[test]
fn an_index_of_zero() {
    check_kept(vec![Reply::consul(0, INSTANCE)], 5, false);
}

/// An empty answer with an index from before is a server that has lost its memory.
#[test]
fn a_server_without_memory_is_not_believed_at_once() {
    let (server, pilot) = faulty(vec![Reply::consul(3, "[]"), Reply::consul(3, "[]"), Reply::Hole]);
    server.wait_for_requests(3);
    pilot.wait_for_line("the last view is kept for now");
    assert_eq!(reactions(&pilot), 1);
    // Nobody comes back: after a while it is believed.
    server.script(vec![Reply::Late(Duration::from_millis(500), Box::new(Reply::consul(4, "[]")))]);
    wait_for_reactions(&pilot, 2);
    wait_for_members(&pilot, &json!([]));
}

/// failure-modes.md, F-C1 and F-G1: a restarted Consul is empty until all have registered again.
#[test]
fn an_empty_restart_is_no_change() {
    let mut consul = Consul::start();
    let provider = stage(consul.http(), &[service("provided")]).file("healthy", "").start();
    let consumer = watch(consul.http(), json!({ "name": "provided", "interval": "1s" })).start();
    wait_for_passing(&consul, "provided");
    wait_for_reactions(&consumer, 1);
    let asked = Instant::now();
    consul.restart_empty();
    wait_for_passing(&consul, "provided");
    wait_until("the view to be confirmed since the restart", || {
        let state = state(&consumer);
        assert_eq!(state["members"], json!(["192.0.2.10:4000"]), "{}", consumer.story());
        let age = Duration::from_secs_f64(state["age"].as_f64()?);
        (state["failing"].is_null() && age < asked.elapsed()).then_some(())
    });
    assert_eq!(reactions(&consumer), 1, "{}", consumer.story());
    assert_eq!(provider.job("app")["runs"], 1);
}
