//! The control socket and the subcommands that speak to it: supervisor.md section 7.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::stage::{End, Pilot, Stage};

/// A supervisor with one job.
fn pilot() -> Pilot {
    let pilot = Pilot::start("{jobs: [{name: 'main', exec: 'sleep 1000', main: true}]}");
    pilot.pid_of("main");
    pilot
}

#[test]
fn the_socket_is_private() {
    let pilot = pilot();
    let metadata = std::fs::metadata(pilot.file("run/containerpilot.socket")).unwrap();
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
}

#[test]
fn endpoints_of_containerpilot() {
    let pilot = pilot();
    let ask = |method, path, body| pilot.control(method, path, body).unwrap();
    for (method, path, body, status) in [
        ("GET", "/v3/ping", "", 200),
        ("POST", "/v3/env", "{\"A\": \"b\"}", 200),
        ("POST", "/v3/env", "no json", 422),
        ("GET", "/v3/env", "", 405),
        ("POST", "/v3/metric", "{\"unknown\": 1}", 400),
        ("POST", "/v3/reload", "", 200),
        ("POST", "/v3/maintenance/enable", "", 200),
        ("POST", "/v3/maintenance/disable", "", 200),
        ("POST", "/v3/nonsense", "", 404),
        ("GET", "/v1/status", "", 200),
    ] {
        let answer = ask(method, path, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.body);
    }
}

#[test]
fn status_tells_of_jobs_versions_and_config() {
    let pilot = pilot();
    let status = pilot.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["pid"], 1);
    assert!(status["config"]["source"].as_str().is_some_and(|source| source.ends_with("config.json5")));
    assert!(status["config"]["error"].is_null());
    let job = pilot.job("main");
    assert_eq!((job["state"].as_str(), job["runs"].as_u64()), (Some("running"), Some(1)));
    let text = pilot.output_of(&["pilotfish", "status"]);
    assert!(text.contains("JOB") && text.contains("main") && text.contains("running"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&pilot.output_of(&["pilotfish", "status", "--json"])).unwrap();
    assert_eq!(json["jobs"][0]["name"], "main");
}

#[test]
fn subcommands_for_people_and_for_machines() {
    let pilot = pilot();
    for (words, text) in [
        (&["pilotfish", "ping"][..], "ok\n"),
        (&["pilotfish", "reload"], "reloaded\n"),
        (&["pilotfish", "reload", "--json"], "{\"ok\":true}\n"),
        (&["pilotfish", "maintenance", "enable"], "maintenance has begun\n"),
        (&["pilotfish", "maintenance", "enable"], "already in maintenance\n"),
        (&["pilotfish", "maintenance", "disable", "--json"], "{\"updated\":true}\n"),
        (&["pilotfish", "putenv", "A=b", "C=d=e"], ""),
        (&["pilotfish", "-c", "@DIR@/config.json5", "ping"], "ok\n"),
        (&["pilotfish", "ping", "--socket", "/run/containerpilot.socket"], "ok\n"),
    ] {
        assert_eq!(pilot.output_of(words), text, "{words:?}");
    }
    let refused = pilot.inside(&["pilotfish", "putmetric", "unknown=1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("unknown"));
}

#[test]
fn putenv_reaches_later_processes_but_no_log() {
    let mut stage = Stage::with_config(
        "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
                 {name: 'show', exec: 'show', restarts: 'unlimited', restartBackoff: {initial: '100ms', max: '100ms'}}]}",
    );
    let seen = "echo \"$ROLE,$DB_PASSWORD\" > @DIR@/seen.new; mv @DIR@/seen.new @DIR@/seen";
    stage.script("show", &format!("{seen}; echo \"password is $DB_PASSWORD.\""));
    let pilot = stage.start();
    pilot.pid_of("main");
    pilot.output_of(&["pilotfish", "putenv", "ROLE=primary", "DB_PASSWORD=verysecret"]);
    pilot.wait_for_file("seen", |text| text == "primary,verysecret\n");
    pilot.output_of(&["pilotfish", "putenv", "ROLE="]);
    pilot.wait_for_file("seen", |text| text == ",verysecret\n");
    pilot
        .wait_for("a masked line", || pilot.stdout.all("password is").into_iter().find(|line| !line.ends_with("is .")));
    assert!(!pilot.stdout.text().contains("verysecret"), "{}", pilot.story());
}

#[test]
fn events_are_live() {
    let pilot = Pilot::start(
        "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'other', exec: 'sleep 2000',
            restarts: 'unlimited'}]}",
    );
    let other = pilot.pid_of("other");
    let mut stream = UnixStream::connect(pilot.file("run/containerpilot.socket")).unwrap();
    stream.set_read_timeout(Some(pilotfish_testing::PATIENCE)).unwrap();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    let head: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|line| line.to_ascii_lowercase().contains("text/event-stream")), "{head:?}");
    pilot.kill_inside(other, "KILL");
    let ended =
        lines.map_while(Result::ok).find(|line| line.starts_with("data:") && line.contains("\"ended\"")).unwrap();
    assert!(ended.contains("other") && ended.contains("137"), "{ended}");
}

#[test]
fn a_client_that_reads_no_events_and_one_that_sends_half_a_request_hold_nothing_up() {
    let pilot = Pilot::start(
        "{logging: {level: 'debug'}, jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'busy',
            exec: 'true', restarts: 'unlimited', restartBackoff: {initial: '1ms', max: '1ms'}}]}",
    );
    pilot.pid_of("main");
    let mut silent = UnixStream::connect(pilot.file("run/containerpilot.socket")).unwrap();
    silent.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut half = UnixStream::connect(pilot.file("run/containerpilot.socket")).unwrap();
    half.write_all(b"POST /v3/env HTTP/1.1\r\nContent-Length: 99999\r\n\r\n{").unwrap();
    let mut garbage = UnixStream::connect(pilot.file("run/containerpilot.socket")).unwrap();
    garbage.write_all(&[0xff; 4096]).unwrap();
    let runs = pilot.job("busy")["runs"].as_u64().unwrap();
    pilot.wait_for_job("busy", |job| job["runs"].as_u64() > Some(runs + 100));
    assert_eq!(pilot.control("GET", "/v3/ping", "").unwrap().status, 200);
    assert_eq!(pilot.stop(), End::Code(143));
}

#[test]
fn a_stale_socket_is_replaced_and_other_files_are_not() {
    let mut stage = Stage::with_config("{jobs: [{name: 'main', exec: 'sleep 1000', main: true}]}");
    drop(UnixListener::bind(stage.path().join("run/containerpilot.socket")).unwrap());
    let pilot = stage.start();
    assert_eq!(pilot.job("main")["state"], "running");

    let mut stage = Stage::with_config(
        "{control: {socket: '@DIR@/plain'}, jobs: [{name: 'main', exec: 'touch @DIR@/started', main: true}]}",
    );
    let pilot = stage.file("plain", "precious").start();
    assert_eq!(pilot.wait_for_end(), End::Code(2));
    assert_eq!(pilot.read("plain"), "precious");
    assert!(!pilot.file("started").exists());
}

#[test]
fn a_live_socket_is_an_error() {
    let first = pilot();
    let second = first.inside(&[
        "pilotfish",
        "-c",
        "{control: {socket: '/run/containerpilot.socket'}}",
        "touch",
        "@DIR@/started",
    ]);
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{message}");
    assert!(message.contains("/run/containerpilot.socket") && message.contains("in use"), "{message}");
    assert!(!first.file("started").exists());
    assert_eq!(first.job("main")["state"], "running");
}

#[test]
fn a_killed_supervisor_s_socket_does_not_keep_the_next_one_from_starting() {
    let first = pilot();
    first.signal(crate::stage::Signal::KILL);
    first.wait_for_end();
    assert!(first.file("run/containerpilot.socket").exists(), "SIGKILL leaves it behind");
    let mut stage = Stage::with_config("{jobs: [{name: 'main', exec: 'sleep 1000', main: true}]}");
    std::fs::rename(first.file("run/containerpilot.socket"), stage.path().join("run/containerpilot.socket")).unwrap();
    let second = stage.start();
    assert_eq!(second.job("main")["state"], "running");
}
