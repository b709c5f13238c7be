//! Stopping: exact, complete and in time.

use std::time::{Duration, Instant};

use crate::stage::{End, Pilot, Signal, Stage};

/// An application that takes no notice of SIGTERM.
const DEAF: &str = "trap '' TERM; echo ready > @DIR@/ready; while :; do sleep 0.05; done";

/// What a loaded machine may take beyond a limit. The test would wait for an hour if the limit were not there.
const MACHINE: Duration = Duration::from_secs(45);

fn deaf(stop_timeout: &str) -> Pilot {
    let mut stage = Stage::with_config(&format!("{{stopTimeout: {stop_timeout}}}"));
    let pilot = stage.script("app", DEAF).arguments(&["app"]).start();
    pilot.wait_for_file("ready", |text| !text.is_empty());
    pilot
}

#[test]
fn sigkill_follows_after_stop_timeout() {
    let pilot = deaf("1");
    let begun = Instant::now();
    assert_eq!(pilot.stop(), End::Code(137));
    assert!(begun.elapsed() >= Duration::from_secs(1), "not before its time");
    assert!(begun.elapsed() < MACHINE);
    pilot.wait_for_line("did not stop on SIGTERM within stopTimeout");
}

#[test]
fn stop_timeout_minus_1_kills_at_once_and_0_is_the_default() {
    let mut stage = Stage::with_config("{stopTimeout: -1}");
    let slow =
        "trap 'sleep 3; echo late > @DIR@/late; exit 0' TERM; echo ready > @DIR@/ready; while :; do sleep 0.05; done";
    let pilot = stage.script("app", slow).arguments(&["app"]).start();
    pilot.wait_for_file("ready", |text| !text.is_empty());
    assert_eq!(pilot.stop(), End::Code(137));
    assert!(!pilot.file("late").exists());
    let pilot = deaf("0");
    let begun = Instant::now();
    assert_eq!(pilot.stop(), End::Code(137));
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_stop_does_not_wait_for_stop_timeout_if_the_application_ends_before() {
    let mut stage = Stage::with_config("{stopTimeout: 3600}");
    let pilot = stage.arguments(&["sleep", "1000"]).start();
    pilot.pid_of("sleep");
    assert_eq!(pilot.stop(), End::Code(143));
}

#[test]
fn a_stopped_application_is_killed_all_the_same() {
    let pilot = Stage::with_config("{stopTimeout: 1}").arguments(&["sleep", "1000"]).start();
    let pid = pilot.pid_of("sleep");
    pilot.kill_inside(pid, "STOP");
    assert!(matches!(pilot.stop(), End::Code(137 | 143)));
}

/// Leaves a listener in a session of its own, whose parent has gone.
const ESCAPING: &str = "setsid sh -c 'exec node @DIR@/listen.js' < /dev/null > /dev/null 2>&1 &
until test -e @DIR@/listening; do sleep 0.02; done; echo up > @DIR@/ready; ";
const LISTEN: &str =
    "require('net').createServer().listen(7777, () => require('fs').writeFileSync('@DIR@/listening', ''));
process.on('SIGTERM', () => {}); process.on('SIGHUP', () => {});";

/// A job whose first run ends like this and leaves the listener behind; a second run could not listen if it lived on.
fn escaping(ending: &str, restarts: u32) -> Pilot {
    let mut stage = Stage::with_config(&with_job(&format!("{{name: 'job', exec: 'job', restarts: {restarts}}}")));
    stage.file("listen.js", LISTEN).script("job", &format!("rm -f @DIR@/listening; {ESCAPING}{ending}"));
    let pilot = stage.start();
    pilot.wait_for_file("ready", |text| !text.is_empty());
    pilot
}

fn with_job(job: &str) -> String {
    format!("{{stopTimeout: 10, jobs: [{{name: 'main', exec: 'sleep 1000', main: true}}, {job}]}}")
}

#[test]
fn an_escaped_listener_does_not_outlive_its_job() {
    for ending in ["exit 0", "kill -9 $$"] {
        let pilot = escaping(ending, 1);
        pilot.wait_for_job("job", |job| job["runs"] == 2 && job["state"] == "complete");
        pilot.wait_for("the end of the listeners", || pilot.processes_with("listen.js").is_empty().then_some(()));
        assert_eq!(pilot.stop(), End::Code(143), "{ending}");
    }
}

#[test]
fn an_escaped_listener_ends_with_the_stop_of_its_job() {
    let pilot = escaping("sleep 2000", 0);
    assert_eq!(pilot.processes_with("node").len(), 1);
    pilot.config(&with_job("{name: 'other', exec: 'sleep 3000'}"));
    assert_eq!(pilot.control("POST", "/v3/reload", "").map(|answer| answer.status), Some(200));
    pilot.pid_of("other");
    pilot.wait_for("the end of the listener", || pilot.processes_with("listen.js").is_empty().then_some(()));
    pilot.wait_for("only main and other", || (pilot.processes().len() == 2).then_some(()));
}

#[test]
fn stop_in_the_middle_of_pre_start_ends_everything() {
    let mut stage = Stage::with_config("{preStart: 'sleep 1000', stopTimeout: 10}");
    let pilot = stage.arguments(&["sleep", "2000"]).start();
    pilot.pid_of("preStart");
    assert_eq!(pilot.stop(), End::Code(143), "preStart was killed, and nothing else ran");
    assert!(pilot.stdout.find("sleep started").is_none(), "{}", pilot.story());
}

#[test]
fn stop_while_a_job_waits_for_its_dependency() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
                          {name: 'before', exec: 'sleep 2000'},
                          {name: 'later', exec: 'sleep 3000', when: {source: 'before', once: 'exitSuccess'}}]}";
    let pilot = Pilot::start(config);
    pilot.pid_of("main");
    assert_eq!(pilot.stop(), End::Code(143));
    assert!(pilot.stdout.find("later started").is_none());
}

#[test]
fn stop_against_restart_leaves_no_instance() {
    let config = "{stopTimeout: 10, jobs: [{name: 'main', exec: 'sleep 1000', main: true},
                   {name: 'flapping', exec: 'true', restarts: 'unlimited',
                       restartBackoff: {initial: '1ms', max: '2ms'}}]}";
    let pilot = Pilot::start(config);
    pilot.wait_for_job("flapping", |job| job["restarts"].as_u64() >= Some(5));
    assert_eq!(pilot.stop(), End::Code(143));
}

#[test]
fn signals_at_any_moment_of_the_start_stop_it() {
    for _ in 0..20 {
        let pilot = Stage::new().arguments(&["sleep", "1000"]).start();
        // The signal may arrive before the program has taken over the signals; PID 1 then loses it, so it is repeated.
        pilot.wait_for("its end", || {
            pilot.ended().or_else(|| {
                let _ = rustix::process::kill_process(pilot.pid_now()?, Signal::TERM);
                None
            })
        });
        assert!(matches!(pilot.wait_for_end(), End::Code(143 | 0)), "{:?}\n{}", pilot.ended(), pilot.story());
    }
}

#[test]
fn a_second_sigterm_changes_nothing() {
    let mut stage = Stage::with_config("{preStop: 'pre-stop', stopTimeout: 30}");
    stage.script("pre-stop", "echo once >> @DIR@/hooks; until test -e @DIR@/go; do sleep 0.02; done");
    let pilot = stage.arguments(&["sleep", "1000"]).start();
    pilot.pid_of("sleep");
    pilot.signal(Signal::TERM);
    pilot.wait_for_file("hooks", |text| !text.is_empty());
    pilot.signal(Signal::TERM);
    pilot.signal(Signal::INT);
    assert_eq!(pilot.job("sleep")["state"], "stopping", "the hook still runs");
    pilot.write("go", "");
    assert_eq!(pilot.wait_for_end(), End::Code(143));
    assert_eq!(pilot.read("hooks"), "once\n");
}
