//! Mistakes in a config: one clear message, exit code 2, nothing started (supervisor.md section 2).

use crate::stage::{CONFIG, End, Pilot, Stage};

/// Starts with these bytes as config; the message and whether it was the only one.
#[track_caller]
fn refused(config: &[u8]) -> String {
    let mut stage = Stage::new();
    std::fs::write(stage.path().join("config.json5"), config).expect("the directory is ours");
    let pilot = stage.arguments(&["-c", CONFIG, "touch", "@DIR@/started"]).start();
    let end = pilot.wait_for_end();
    let message = pilot.stderr.text();
    assert_eq!(end, End::Code(2), "{message}");
    assert!(!pilot.file("started").exists() && pilot.stdout.text().is_empty(), "{}", pilot.story());
    assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{message}");
    assert!(message.len() < 4096, "{} bytes", message.len());
    assert_eq!(message.matches("pilotfish:").count(), 1, "one message: {message}");
    message
}

#[track_caller]
fn names(config: &[u8], parts: &[&str]) {
    let message = refused(config);
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

#[test]
fn unknown_keys_name_place_and_nearest_key() {
    names(b"{\n  stopTimout: 3,\n  preStart: 'true',\n}", &["config.json5", "line 2", "stopTimout", "stopTimeout"]);
    names(b"{services: [{name: 'a', port: 1, healt: 'true', poll: 1, ttl: 9}]}", &["line 1", "healt", "health"]);
}

#[test]
fn wrong_types_name_key_and_what_was_expected() {
    names(b"{jobs: [{name: 'a', exec: 'true', port: 'eighty'}]}", &["jobs[0].port", "line 1", "column"]);
    names(b"{jobs: 'none'}", &["jobs", "array"]);
    names(b"{stopTimeout: 'soon'}", &["stopTimeout", "soon"]);
    names(b"[1, 2]", &["line 1"]);
}

#[test]
fn all_errors_at_once() {
    names(b"{\n jobs: [\n {name: 'a', exec: 'true', prot: 1},\n {name: 'b', exec: 'true', restarts: 'often'},\n {exec: 'true'}]\n}", &["3 errors", "line 3", "line 4", "line 5"]);
}

#[test]
fn truncated_empty_and_binary_configs() {
    let whole = br#"{"consul": "localhost:8500", "services": [{"name": "app", "port": 80, "health": "true", "poll": 1, "ttl": 10}]}"#;
    for length in [1, 10, 40, 70, whole.len() - 2, whole.len() - 1] {
        names(&whole[..length], &["line 1", "column"]);
    }
    refused(b"");
    names(b"{\"a\": \"\xff\xfe\"}", &["UTF-8"]);
    let binary: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    refused(&binary);
    names(&[0; 1000], &["config.json5"]);
    let elf = std::fs::read("/bin/sh").unwrap();
    refused(&elf);
}

#[test]
fn ten_megabytes_and_a_hundred_thousand_levels() {
    let mut huge = b"{preStart: '".to_vec();
    huge.resize(10_000_000, b'x');
    huge.extend_from_slice(b"'}");
    names(&huge, &["config.json5"]);
    let deep: Vec<u8> = b"[".repeat(100_000);
    refused(&deep);
    let deep: Vec<u8> = b"{a:".repeat(100_000);
    refused(&deep);
    let deep: Vec<u8> = b"{{if true}}".repeat(100_000);
    refused(&deep);
    let deep = [&b"{{"[..], &b"(".repeat(100_000), b"}}"].concat();
    refused(&deep);
}

#[test]
fn bad_templates_and_missing_variables() {
    names(b"{\n stopTimeout: {{ .X | }} }", &["line 2"]);
    names(b"{stopTimeout: {{ nosuch }} }", &["nosuch"]);
    names(b"{consul: '{{ .CONSUL }}:8500'}", &["CONSUL", "host"]);
}

#[test]
fn vocabularies_do_not_mix() {
    names(b"{preStart: 'true', jobs: [{name: 'a', exec: 'true'}]}", &["preStart", "jobs"]);
}

#[test]
fn timing_that_cannot_work_is_refused_and_says_why() {
    names(b"{services: [{name: 'a', port: 1, health: 'true', poll: 5, ttl: 6, timeout: '1s', interfaces: ['static:192.0.2.1']}]}", &["ttl", "poll"]);
    names(b"{services: [{name: 'a', port: 1, health: 'true', poll: 5, ttl: 60, timeout: '6s', interfaces: ['static:192.0.2.1']}]}", &["timeout"]);
}

#[test]
fn a_config_that_cannot_be_read() {
    for (path, part) in [("/no/such/config", "No such file"), ("/tmp", "directory"), ("/dev/zero", "/dev/zero")] {
        let pilot = Stage::new().arguments(&["-c", path, "true"]).start();
        assert_eq!(pilot.wait_for_end(), End::Code(2), "{path}");
        assert!(pilot.stderr.text().contains(part), "{path}: {}", pilot.stderr.text());
    }
}

#[test]
fn things_of_this_machine_that_are_not_there_are_refused_before_anything_starts() {
    let control = Stage::with_config("{control: {socket: '/proc/no/socket'}}").arguments(&["true"]).start();
    assert_eq!(control.wait_for_end(), End::Code(2));
    assert!(control.stderr.text().contains("control.socket"), "{}", control.story());
    let log = Stage::with_config("{logging: {output: '/proc/no/log'}}").arguments(&["true"]).start();
    assert_eq!(log.wait_for_end(), End::Code(2));
    assert!(log.stderr.text().contains("/proc/no/log"), "{}", log.story());
    let interface = Pilot::start(
        "{jobs: [{name: 'a', exec: 'true', port: 80, interfaces: ['nosuch0'], health: {exec: 'true', interval: 1, ttl: 10}}]}",
    );
    assert_eq!(interface.wait_for_end(), End::Code(2));
    assert!(interface.stderr.text().contains("nosuch0"), "{}", interface.story());
}
