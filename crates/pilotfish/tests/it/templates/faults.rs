//! Never a blank or half file, whatever the catalog does: failure-modes.md F-C3, F-G1 and F-G2.

use std::time::Instant;

use pilotfish_testing::{Consul, ConsulCluster, FaultyServer, Reply, wait_until};
use serde_json::json;

use super::{listing, rendered, runs, state, wait_for_text};
use crate::catalog::view::{register, wait_for_passing};
use crate::catalog::{app, service, stage, stage_of};
use crate::stage::Pilot;

/// One healthy instance, as Consul 1.8.7 shows it.
const INSTANCE: &str = r#"[{"Node": {"ID": "", "Node": "n", "Address": "192.0.2.1", "Datacenter": "dc1"},
    "Service": {"ID": "db-1", "Service": "db", "Tags": [], "Address": "192.0.2.1", "Meta": {}, "Port": 3306},
    "Checks": []}]"#;

const RENDERED: &str = "192.0.2.1:3306\nend\n";

/// A server that has shown one instance and then follows this script.
fn faulty(script: Vec<Reply>) -> (FaultyServer, Pilot) {
    let server = FaultyServer::start([vec![Reply::consul(10, INSTANCE)], script].concat());
    let pilot = rendered(server.address(), json!({ "command": "react" }), &listing("db")).start();
    wait_for_text(&pilot, RENDERED);
    pilot.pid_of("app");
    (server, pilot)
}

/// Through this script the file stays as it is; what is right again afterwards is rendered.
#[track_caller]
fn check_kept(script: Vec<Reply>, requests: usize) {
    let (server, pilot) = faulty(script);
    server.wait_for_requests(requests);
    let failing = || pilot.status()["facts"][0]["failing"].as_str().map(str::to_owned);
    pilot.wait_for("the failure to be shown", failing);
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), (RENDERED, 0), "{}", pilot.story());
    assert_eq!(state(&pilot)["changes"], 1);
    server.script(vec![Reply::consul(50, "[]"), Reply::Hole]);
    wait_for_text(&pilot, "end\n");
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
}

#[test]
fn errors_and_no_leader() {
    let no_leader = Reply::leader(11, false, "[]");
    check_kept(vec![Reply::status(500, "internal error"), no_leader.clone(), Reply::status(500, ""), no_leader], 5);
}

#[test]
fn truncated_json_and_transfers() {
    let half = &INSTANCE[..INSTANCE.len() / 2];
    let cut = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 11\r\nContent-Length: 1000\r\n\r\n[".to_vec();
    check_kept(vec![Reply::consul(11, half), Reply::Raw(cut), Reply::Reset, Reply::consul(12, "null x")], 5);
}

#[test]
fn a_catalog_that_cannot_answer_yet_leaves_no_blank_file() {
    let no_leader = Reply::leader(11, false, "[]");
    let server = FaultyServer::start(vec![no_leader.clone(), Reply::status(500, "no cluster leader"), no_leader]);
    let pilot = rendered(server.address(), json!({}), &listing("db")).start();
    server.wait_for_requests(3);
    assert!(!pilot.file("out/file").exists());
    assert_eq!(pilot.status()["startupHeld"], true);
    server.script(vec![Reply::consul(12, INSTANCE), Reply::Hole]);
    wait_for_text(&pilot, RENDERED);
    pilot.pid_of("app");
}

/// An empty answer with an index from before is a server that has lost its memory.
#[test]
fn a_server_without_memory_is_not_believed_at_once() {
    let (server, pilot) = faulty(vec![Reply::consul(3, "[]"), Reply::consul(3, "[]"), Reply::Hole]);
    server.wait_for_requests(3);
    pilot.wait_for_line("the last answer is kept for now");
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), (RENDERED, 0));
    wait_for_text(&pilot, "end\n");
}

#[test]
fn a_consul_that_is_killed_and_comes_back_empty_is_no_change() {
    let mut consul = Consul::start();
    let provider = stage(consul.http(), &[service("provided")]).file("healthy", "").start();
    wait_for_passing(&consul, "provided");
    let pilot = rendered(consul.http(), json!({ "command": "react" }), &listing("provided")).start();
    wait_for_text(&pilot, "192.0.2.10:4000\nend\n");
    pilot.pid_of("app");
    consul.kill();
    pilot.wait_for("the failure", || pilot.status()["facts"][0]["failing"].is_string().then_some(()));
    consul.restart_empty();
    wait_for_passing(&consul, "provided");
    let asked = std::time::Instant::now();
    wait_until("the answer to be confirmed since the restart", || {
        let fact = pilot.status()["facts"][0].clone();
        let age = std::time::Duration::from_secs_f64(fact["age"].as_f64()?);
        (fact["failing"].is_null() && age < asked.elapsed()).then_some(())
    });
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), ("192.0.2.10:4000\nend\n", 0), "{}", pilot.story());
    register(&consul, "provided", "more", 4001, &[]);
    pilot.wait_for("the next change", || (runs(&pilot) == 1).then_some(()));
    drop(provider);
}

/// An agent that hangs holds a query like one without news: nobody waits a minute for the end of that.
#[test]
fn an_agent_that_hangs_is_asked_whether_it_lives() {
    let (server, pilot) = faulty(vec![Reply::Hole]);
    let seen = server.wait_for_requests(4);
    let lines: Vec<&str> = seen.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines[0], "GET /v1/health/service/db?passing");
    assert_eq!(lines[1], "GET /v1/health/service/db?passing&index=10&wait=60000ms");
    assert_eq!(lines[2], "GET /v1/status/leader");
    assert_eq!(lines[3], "GET /v1/health/service/db?passing", "it is not waited for news any more");
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), (RENDERED, 0), "{}", pilot.story());
}

/// No heartbeat tells that the server hangs.
#[test]
fn a_template_whose_server_hangs_moves_to_another() {
    let cluster = ConsulCluster::start();
    let leader = cluster.leader();
    let (hung, survivor) = (&cluster.servers[(leader + 1) % 3], &cluster.servers[leader]);
    register(survivor, "moved", "moved-1", 81, &[]);
    let config = json!({
        "consul": [hung.http().to_string(), survivor.http().to_string()],
        "jobs": [app()],
        "templates": [{ "source": "@DIR@/source", "destination": "@DIR@/out/file", "command": "react" }],
    });
    let mut stage = stage_of(config);
    let pilot = stage.file("source", &listing("moved")).script("react", "echo >> @DIR@/ran").start();
    wait_for_text(&pilot, "192.0.2.1:81\nend\n");
    hung.pause();
    register(survivor, "moved", "moved-2", 82, &[]);
    let begun = Instant::now();
    wait_for_text(&pilot, "192.0.2.1:81\n192.0.2.1:82\nend\n");
    println!("the file has a change {:?} after it, its server having hung before", begun.elapsed());
    // The new server is followed like the old one.
    register(survivor, "moved", "moved-3", 83, &[]);
    wait_for_text(&pilot, "192.0.2.1:81\n192.0.2.1:82\n192.0.2.1:83\nend\n");
    pilot.wait_for("the answers to be sound", || pilot.status()["facts"][0]["failing"].is_null().then_some(()));
}

/// Consul dies between two questions of one template: the answers it has are not enough for a file.
#[test]
fn a_file_waits_for_all_answers() {
    let server = FaultyServer::start(vec![Reply::consul(10, INSTANCE), Reply::status(500, "gone")]);
    let text = format!("{}{}", listing("db"), listing("other"));
    let pilot = rendered(server.address(), json!({}), &text).start();
    server.wait_for_requests(3);
    pilot.wait_for("one of two answers", || {
        let facts = pilot.status()["facts"].clone();
        let answered = facts.as_array()?.iter().filter(|fact| fact["age"].is_number()).count();
        (answered == 1 && facts.as_array()?.len() == 2).then_some(())
    });
    assert!(!pilot.file("out/file").exists());
    server.script(vec![Reply::consul(12, INSTANCE)]);
    wait_for_text(&pilot, &format!("{RENDERED}{RENDERED}"));
}
