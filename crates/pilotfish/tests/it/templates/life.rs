//! When a file is rendered, and whom that starts.

use pilotfish_testing::{Consul, free_port};
use serde_json::json;

use super::{listing, rendered, runs, state, wait_for_text};
use crate::catalog::stage_of;
use crate::catalog::view::{deregister, put, register};
use crate::stage::{End, consul};

#[test]
fn a_required_file_is_there_before_anything_starts() {
    let mut consul = Consul::start();
    register(&consul, "sales", "sales-1", 3000, &[]);
    let address = consul.http();
    consul.stop();
    let mut stage = stage_of(json!({
        "consul": address.to_string(),
        "preStart": "cp @DIR@/out/file @DIR@/seen",
        "templates": [{ "source": "@DIR@/source", "destination": "@DIR@/out/file", "command": "touch @DIR@/told" }],
    }));
    let pilot = stage.file("source", &listing("sales")).arguments(&["sleep", "infinity"]).start();
    let held = pilot.wait_for("the reason to be shown", || {
        let obstacle = state(&pilot)["obstacle"].as_str()?.to_owned();
        obstacle.contains("service sales").then_some(obstacle)
    });
    assert_eq!(pilot.status()["startupHeld"], true, "{held}");
    assert_eq!(pilot.processes().len(), 0, "nothing runs yet");
    consul.restart();
    // For a moment after its start Consul may answer without the service.
    pilot.wait_for_file("seen", |text| text == "192.0.2.1:3000\nend\n" || text == "end\n");
    assert_eq!(pilot.job("preStart")["runs"], 1);
    pilot.pid_of("sleep");
    let told = pilot.file("told").exists();
    let changes = state(&pilot)["changes"].as_u64();
    assert!(!told || changes > Some(1), "nobody has seen another file");
    pilot.wait_for("the file to be in place", || (state(&pilot)["state"] == "inPlace").then_some(()));
}

#[test]
fn a_stop_does_not_wait_for_an_answer() {
    let nobody = format!("127.0.0.1:{}", free_port(std::net::Ipv4Addr::LOCALHOST.into()));
    let pilot = rendered(nobody, json!({}), &listing("sales")).start();
    pilot.wait_for("the startup to be held", || (pilot.status()["startupHeld"] == true).then_some(()));
    assert_eq!(pilot.stop(), End::Code(0));
    assert!(!pilot.file("out/file").exists());
}

#[test]
fn every_change_is_rendered_and_told_once() {
    let consul = consul();
    let pilot = rendered(consul.http(), json!({ "command": "react" }), &listing("told-once")).start();
    wait_for_text(&pilot, "end\n");
    pilot.pid_of("app");
    assert_eq!(runs(&pilot), 0);
    for (count, port) in [(1, 3001), (2, 3002), (3, 3003)] {
        register(&consul, "told-once", &format!("told-once-{port}"), port, &[]);
        pilot.wait_for("the command", || (runs(&pilot) == count).then_some(()));
    }
    assert!(pilot.read("reactions").ends_with("192.0.2.1:3001\n192.0.2.1:3002\n192.0.2.1:3003\nend\n"));
    // The same once more: the index of the catalog moves on, and nothing else happens.
    let inode = |pilot: &crate::stage::Pilot| {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(pilot.file("out/file")).unwrap().ino()
    };
    let before = inode(&pilot);
    register(&consul, "told-once", "told-once-3001", 3001, &["tag"]);
    deregister(&consul, "told-once-3003");
    pilot.wait_for("the next change", || (runs(&pilot) == 4).then_some(()));
    assert_ne!(inode(&pilot), before);
    assert_eq!(state(&pilot)["changes"], 5, "{}", pilot.story());
    let job = pilot.job("onChange.list");
    assert_eq!((job["runs"].as_u64(), job["lastExit"]["code"].as_u64()), (Some(4), Some(0)));
}

/// failure-modes.md F-C4: one run and one more, and the last state has its run.
#[test]
fn a_burst_of_changes_is_coalesced() {
    let consul = consul();
    let mut stage = rendered(consul.http(), json!({ "command": "slow", "timeout": "10m" }), &listing("burst"));
    // The first run ends when the burst is over.
    let pilot = stage.script("slow", "until test -e @DIR@/over; do sleep 0.01; done; react").start();
    pilot.pid_of("app");
    register(&consul, "burst", "burst-0", 2000, &[]);
    pilot.pid_of("onChange.list");
    for port in 2001..2100 {
        // Not waited for one by one, as changes in a burst are not.
        let body = json!({ "Name": "burst", "ID": "burst-0", "Address": "192.0.2.1", "Port": port });
        put(&consul, "/v1/agent/service/register", &body.to_string());
    }
    wait_for_text(&pilot, "192.0.2.1:2099\nend\n");
    pilot.write("over", "");
    pilot.wait_for("two runs", || (runs(&pilot) == 2).then_some(()));
    pilot.wait_for_job("onChange.list", |job| job["state"] == "waiting");
    assert_eq!(pilot.job("onChange.list")["runs"], 2, "{}", pilot.story());
    assert!(pilot.read("reactions").ends_with("192.0.2.1:2099\nend\n"));
}

#[test]
fn a_command_that_fails_is_tried_again_until_it_succeeds() {
    let consul = consul();
    let mut stage = rendered(consul.http(), json!({ "command": "fickle" }), &listing("fickle"));
    let pilot = stage.script("fickle", "echo >> @DIR@/tries; test $(wc -l < @DIR@/tries) -ge 3 && react").start();
    pilot.pid_of("app");
    register(&consul, "fickle", "fickle-1", 2000, &[]);
    pilot.wait_for("success", || (runs(&pilot) == 1).then_some(()));
    assert_eq!(pilot.read("tries").lines().count(), 3);
}

#[test]
fn jobs_follow_templates_and_processes_are_told_without_a_command() {
    let consul = consul();
    let mut stage = stage_of(json!({
        "consul": consul.http().to_string(),
        "jobs": [
            { "name": "app", "exec": "reader", "main": true },
            { "name": "follower", "exec": "touch @DIR@/followed", "when": { "source": "template.list", "each": "changed" } },
        ],
        "templates": [{
            "name": "list", "source": "@DIR@/source", "destination": "@DIR@/out/file", "notify": { "job": "app", "signal": "SIGHUP" },
        }],
    }));
    let reader = "trap 'cat @DIR@/out/file' HUP; echo ready; while true; do sleep 0.01; done";
    let pilot = stage.file("source", &listing("notified")).script("reader", reader).start();
    pilot.wait_for_line("ready");
    register(&consul, "notified", "notified-1", 2000, &[]);
    pilot.wait_for_line("192.0.2.1:2000");
    pilot.wait_for("the follower", || pilot.file("followed").exists().then_some(()));
    assert_eq!(pilot.job("app")["runs"], 1);
}

#[test]
fn a_process_is_started_again_with_the_new_file() {
    let consul = consul();
    let template = json!({ "notify": { "job": "app", "restart": true } });
    let pilot = rendered(consul.http(), template, &listing("restarting")).start();
    let before = pilot.pid_of("app");
    register(&consul, "restarting", "restarting-1", 2000, &[]);
    pilot.wait_for_job("app", |job| job["pid"].as_u64().is_some_and(|pid| pid != u64::from(before)));
    assert_eq!(pilot.job("app")["restarts"], 1);
}

#[test]
fn keys_files_and_the_environment_are_facts_too() {
    let consul = consul();
    put(&consul, "/v1/kv/facts/one", "first");
    let text =
        "{{ key \"facts/one\" }} {{ keyOrDefault \"facts/two\" \"none\" }} {{ .FRUIT }} {{ file \"@DIR@/note\" }}";
    let mut stage = rendered(consul.http(), json!({}), text);
    let pilot = stage.file("note", "note").variable("FRUIT", "apple").start();
    wait_for_text(&pilot, "first none apple note");
    put(&consul, "/v1/kv/facts/two", "second");
    wait_for_text(&pilot, "first second apple note");
    pilot.write("note", "other");
    wait_for_text(&pilot, "first second apple other");
    let status = pilot.status();
    let facts: Vec<&str> =
        status["facts"].as_array().unwrap().iter().filter_map(|fact| fact["name"].as_str()).collect();
    assert_eq!(facts.len(), 3, "{facts:?}");
}

#[test]
fn status_events_and_metrics_tell_of_templates() {
    let consul = consul();
    let port = free_port(std::net::Ipv4Addr::LOCALHOST.into());
    let mut stage = stage_of(json!({
        "consul": consul.http().to_string(),
        "jobs": [{ "name": "app", "exec": "sleep infinity", "main": true }],
        "templates": [{ "name": "list", "source": "@DIR@/source", "destination": "@DIR@/out/file", "check": "test -s {{.Path}}" }],
        "telemetry": { "port": port, "interfaces": "static:127.0.0.1" },
    }));
    let pilot = stage.file("source", &listing("told-of")).start();
    pilot.pid_of("app");
    register(&consul, "told-of", "told-of-1", 2000, &[]);
    wait_for_text(&pilot, "192.0.2.1:2000\nend\n");
    pilot.wait_for("the change to be counted", || (state(&pilot)["changes"] == 2).then_some(()));
    let status = pilot.output_of(&["pilotfish", "status"]);
    let row = status.lines().find(|line| line.starts_with("list ")).unwrap_or_else(|| panic!("{status}"));
    assert!(row.contains("inPlace") && row.contains("/out/file"), "{status}");
    let metrics = pilot.output_of(&["curl", "-s", "--fail", &format!("http://127.0.0.1:{port}/metrics")]);
    for line in [
        "pilotfish_template_changes_total{template=\"list\"} 2",
        "pilotfish_template_failing{template=\"list\"} 0",
        "pilotfish_events_total{source=\"template.list\",event=\"changed\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("pilotfish_template_render_seconds{template=\"list\",quantile=\"0.5\"}"), "{metrics}");
}
