//! Reload: supervisor.md section 5, failure-modes.md group B.

use std::os::unix::net::UnixStream;

use rustix::process::kill_process;
use serde_json::Value;

use crate::stage::{End, Pilot, Signal, Stage};

/// A main job that keeps running, and others; SIGHUP reloads.
fn config(others: &str) -> String {
    format!(
        "{{signals: {{hangup: 'reload'}}, stopTimeout: 10, reloadTimeout: '40s', jobs: [{{name: 'main',
            exec: 'sleep 1000', main: true}}, {others}]}}"
    )
}

fn pids(pilot: &Pilot) -> Vec<(String, Option<u64>)> {
    let status = pilot.status();
    let jobs = status["jobs"].as_array().into_iter().flatten();
    jobs.map(|job| (job["name"].as_str().unwrap_or_default().to_owned(), job["pid"].as_u64())).collect()
}

/// Reloads over the control socket; the status and text of the answer.
fn reload(pilot: &Pilot) -> (u16, String) {
    let answer = pilot.control("POST", "/v3/reload", "").expect("the supervisor answers");
    (answer.status, answer.body)
}

const THREE: &str = "{name: 'one', exec: 'sleep 2000'}, {name: 'two', exec: 'sleep 3000'}";

#[test]
fn only_what_changed_is_touched() {
    let pilot = Pilot::start(&config(THREE));
    let (main, one, two) = (pilot.pid_of("main"), pilot.pid_of("one"), pilot.pid_of("two"));
    pilot.config(&config(
        "{name: 'one', exec: 'sleep 2000'}, {name: 'two', exec: 'sleep 3001'}, {name: 'three', exec: 'sleep 4000'}",
    ));
    assert_eq!(reload(&pilot), (200, String::new()));
    assert_eq!((pilot.pid_of("main"), pilot.pid_of("one")), (main, one));
    pilot.wait_for_job("two", |job| job["pid"].as_u64().is_some_and(|pid| pid != u64::from(two)));
    pilot.pid_of("three");
    pilot.config(&config("{name: 'three', exec: 'sleep 4000'}"));
    assert_eq!(reload(&pilot).0, 200);
    // A removed job is there until its process has gone.
    let names = || pids(&pilot).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    pilot.wait_for("removed jobs to go", || (names() == ["main", "three"]).then_some(()));
    pilot.wait_for("the end of their processes", || (pilot.processes().len() == 2).then_some(()));
}

#[test]
fn an_unchanged_config_changes_nothing() {
    let pilot = Pilot::start(&config(THREE));
    pilot.pid_of("two");
    let before = pids(&pilot);
    for _ in 0..5 {
        assert_eq!(reload(&pilot).0, 200);
    }
    assert_eq!(pids(&pilot), before);
    assert_eq!(pilot.status()["config"]["reloads"], 5);
}

#[test]
fn slide_95_sighup_reloads_the_rewritten_config() {
    let mut stage = Stage::with_config("{coprocesses: [{name: 'role', command: 'sleep 2000'}]}");
    let pilot = stage.arguments(&["sleep", "1000"]).start();
    let (main, _) = (pilot.pid_of("sleep"), pilot.pid_of("role"));
    pilot.config("{coprocesses: [{name: 'primary', command: 'sleep 3000'}]}");
    pilot.signal(Signal::HUP);
    pilot.pid_of("primary");
    assert_eq!(pilot.pid_of("sleep"), main, "the application goes on");
    pilot.wait_for("the end of the removed one", || pilot.processes_with("sleep 2000").is_empty().then_some(()));
}

/// Everything that is wrong in its own way.
fn bad_configs() -> Vec<(Vec<u8>, &'static str)> {
    vec![
        (b"{jobs: [{name: 'main', exec: 'sleep 1000', main: true}".to_vec(), "line"),
        (b"".to_vec(), ""),
        (vec![0xff, 0xfe, 0x00, 0x01], ""),
        ([b"{preStart: '".to_vec(), vec![b'x'; 10_000_000]].concat(), ""),
        (b"[".repeat(100_000), ""),
        (b"{jbos: []}".to_vec(), "jbos"),
        (b"{jobs: 5}".to_vec(), "jobs"),
        (b"{consul: '{{ .NOT_SET }}:8500'}".to_vec(), "NOT_SET"),
        (b"{{ if }}".to_vec(), ""),
    ]
}

#[test]
fn a_bad_config_is_refused_and_the_old_one_stays_in_force() {
    let pilot = Pilot::start(&config(THREE));
    pilot.pid_of("two");
    let before = pids(&pilot);
    for (bytes, part) in bad_configs() {
        std::fs::write(pilot.file("config.json5"), &bytes).unwrap();
        let (status, text) = reload(&pilot);
        assert!(status == 422 && text.contains(part) && text.len() < 5000, "{status} {text}");
        let shown = pilot.status();
        let error = shown["config"]["error"].as_str().unwrap_or_default();
        assert!(!error.is_empty() && error.contains(part), "{error}");
        assert_eq!(pids(&pilot), before, "no process is touched");
        let subcommand = pilot.inside(&["pilotfish", "reload", "--socket", "/run/containerpilot.socket"]);
        assert_eq!(subcommand.status.code(), Some(1));
    }
    std::fs::remove_file(pilot.file("config.json5")).unwrap();
    assert_eq!(reload(&pilot).0, 422);
    pilot.signal(Signal::HUP);
    pilot.wait_for("the refusal in the log", || (pilot.stdout.all("config.json5").len() >= 3).then_some(()));
    pilot.config(&config(THREE));
    assert_eq!(reload(&pilot), (200, String::new()));
    assert_eq!(pids(&pilot), before);
    assert!(pilot.status()["config"]["error"].is_null());
}

#[test]
fn a_changed_job_that_does_not_become_healthy_is_rolled_back() {
    let app = |exec: &str, check: &str| {
        config(&format!(
            "{{name: 'other', exec: 'sleep 2000'}}, {{name: 'app', exec: '{exec}',
            health: {{exec: '{check}', interval: '300ms', timeout: '290ms', ttl: 3}}}}"
        ))
        .replace("reloadTimeout: '40s'", "reloadTimeout: '1500ms'")
    };
    let pilot = Pilot::start(&app("sleep 3000", "true"));
    pilot.wait_for_job("app", |job| job["health"] == "healthy");
    let (main, other) = (pilot.pid_of("main"), pilot.pid_of("other"));
    pilot.config(&app("sleep 3001", "false"));
    let (status, text) = reload(&pilot);
    assert!(status == 422 && text.contains("app"), "{status} {text}");
    pilot.wait_for("the old job", || pilot.processes_with("sleep 3000").first().map(|_| ()));
    assert!(pilot.processes_with("sleep 3001").is_empty());
    pilot.wait_for_job("app", |job| job["health"] == "healthy");
    assert_eq!((pilot.pid_of("main"), pilot.pid_of("other")), (main, other), "others are not touched");
    assert!(pilot.status()["config"]["error"].as_str().is_some_and(|error| error.contains("app")));
}

#[test]
fn the_main_application_is_never_restarted() {
    let pilot = Pilot::start(&config(THREE));
    let main = pilot.pid_of("main");
    pilot.config(&config(THREE).replace("sleep 1000", "sleep 1001"));
    reload(&pilot);
    assert_eq!(pilot.pid_of("main"), main);
    assert_eq!(pilot.processes_with("sleep 1000").len(), 1);
    pilot.wait_for_line("main");
    assert_eq!(pilot.stop(), End::Code(143));
}

#[test]
fn the_control_socket_moves_without_a_gap() {
    let pilot = Pilot::start(&config(THREE));
    pilot.pid_of("two");
    pilot.config(&config(THREE).replace("stopTimeout", "control: {socket: '@DIR@/moved'}, stopTimeout"));
    assert_eq!(reload(&pilot).0, 200);
    pilot.wait_for("the new socket", || UnixStream::connect(pilot.file("moved")).ok());
    assert_eq!(pilot.output_of(&["pilotfish", "ping", "--socket", "@DIR@/moved"]), "ok\n");
}

#[test]
fn variables_that_were_put_are_seen_by_the_next_load() {
    let mut stage = Stage::with_config(&config("{name: 'one', exec: 'sleep {{ .SECONDS | default \"2000\" }}'}"));
    let pilot = stage.start();
    pilot.wait_for("the job", || pilot.processes_with("sleep 2000").first().map(|_| ()));
    pilot.output_of(&["pilotfish", "putenv", "SECONDS=4321"]);
    assert_eq!(reload(&pilot).0, 200);
    pilot.wait_for("the changed job", || pilot.processes_with("sleep 4321").first().map(|_| ()));
}

#[test]
fn sighup_in_v3_is_an_event() {
    let pilot = Pilot::start(
        "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
                 {name: 'on-hup', exec: 'true', when: {source: 'SIGHUP'}}]}",
    );
    pilot.pid_of("main");
    for run in 1..=3 {
        pilot.signal(Signal::HUP);
        pilot.wait_for_job("on-hup", |job| job["runs"] == run);
    }
    assert_eq!(pilot.status()["config"]["reloads"], 0);
}

#[test]
fn a_storm_of_sighups_with_a_sigterm_in_the_middle_ends() {
    let others: Vec<String> = (0..10).map(|number| format!("{{name: 'job{number}', exec: 'sleep 2000'}}")).collect();
    let pilot = Pilot::start(&config(&others.join(", ")));
    pilot.pid_of("job9");
    let pid = pilot.pid();
    for round in 0..300 {
        if round % 10 == 0 {
            pilot.config(&config(&others.join(", ").replace("sleep 2000", &format!("sleep {}", 2000 + round))));
        }
        let _ = kill_process(pid, Signal::HUP);
        if round == 150 {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    assert_eq!(pilot.wait_for_end(), End::Code(143));
}

#[test]
fn after_a_storm_of_sighups_the_last_config_is_in_force() {
    let pilot = Pilot::start(&config("{name: 'one', exec: 'sleep 2000'}"));
    let main = pilot.pid_of("main");
    let pid = pilot.pid();
    for round in 1..=100 {
        pilot.config(&config(&format!("{{name: 'one', exec: 'sleep {}'}}", 2000 + round)));
        kill_process(pid, Signal::HUP).unwrap();
    }
    pilot.wait_for("the last config", || {
        let sleeping = pilot.processes_with("sleep 2");
        (sleeping.len() == 1 && sleeping[0].command_line == "sleep 2100").then_some(())
    });
    assert_eq!(pilot.pid_of("main"), main);
}

#[test]
fn a_reload_while_a_hook_runs() {
    let pilot = Pilot::start(&config("{name: 'hook', exec: 'sleep 2000'}, {name: 'one', exec: 'sleep 3000'}"));
    let hook = pilot.pid_of("hook");
    pilot.config(&config("{name: 'hook', exec: 'sleep 2000'}, {name: 'one', exec: 'sleep 3001'}"));
    assert_eq!(reload(&pilot).0, 200);
    assert_eq!(pilot.pid_of("hook"), hook, "it is not interrupted");
}

#[test]
fn a_stop_during_a_reload_that_waits_for_health() {
    let pilot = Pilot::start(&config("{name: 'one', exec: 'sleep 2000'}"));
    pilot.pid_of("one");
    pilot.config(&config(
        "{name: 'one', exec: 'sleep 2001', health: {exec: 'false', interval: '1h', ttl: '4h', timeout: '1s'}}",
    ));
    kill_process(pilot.pid(), Signal::HUP).unwrap();
    pilot.wait_for("the changed job", || pilot.processes_with("sleep 2001").first().map(|_| ()));
    assert_eq!(pilot.stop(), End::Code(143));
}

/// Reloads in the test of leaks: a thousand here, more in the soak.
fn rounds() -> u64 {
    std::env::var("PILOTFISH_SOAK_RELOADS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1000)
}

/// Open descriptors and threads of the supervisor.
fn held(pilot: &Pilot) -> (usize, usize) {
    let folder = |name: &str| {
        let entries = std::fs::read_dir(format!("/proc/{}/{name}", pilot.pid().as_raw_nonzero()));
        entries.map(Iterator::count).unwrap_or_default()
    };
    (folder("fd"), folder("task"))
}

#[test]
fn a_thousand_reloads_leak_nothing() {
    let pilot = Pilot::start(&config("{name: 'one', exec: 'sleep 2000'}, {name: 'two', exec: 'true'}"));
    pilot.wait_for_job("two", |job| job["state"] == "complete");
    let round = |number: u64| {
        if number.is_multiple_of(20) {
            pilot.config(&config(&format!(
                "{{name: 'one', exec: 'sleep {}'}}, {{name: 'two', exec: 'true'}}",
                2000 + number % 40
            )));
        }
        let (status, text) = reload(&pilot);
        assert_eq!(status, 200, "{text}");
    };
    (1..=200).for_each(round);
    let (before, memory) = (held(&pilot), crate::hooks::rss_kib(&pilot));
    (1..=rounds()).for_each(round);
    // A connection that was answered is closed a moment later.
    pilot.wait_for("the descriptors and threads of before", || (held(&pilot) <= before).then_some(()));
    let grown = crate::hooks::rss_kib(&pilot).saturating_sub(memory);
    assert!(grown <= 1024, "{grown} KiB");
    assert!(pilot.processes().iter().all(|process| process.state != 'Z'));
    let status: Value = pilot.status();
    assert_eq!(status["config"]["reloads"], 200 + rounds());
    assert_eq!(pilot.job("main")["runs"], 1);
}
