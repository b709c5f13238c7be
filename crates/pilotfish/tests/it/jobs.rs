//! The job and event model of v3 configs, and what jobs can be told.

use crate::stage::{End, Pilot, Signal, Stage};

const NOTE: &str = "echo \"$1\" >> @DIR@/order";

#[test]
fn jobs_start_on_events_of_others() {
    let config = "{jobs: [{name: 'setup', exec: 'note setup'}, {name: 'fails',
        exec: ['sh', '-c', 'note fails; exit 1'], when: {source: 'setup', once: 'exitSuccess'}},
        {name: 'after', exec: 'note after', when: {source: 'fails', once: 'exitFailed'}},
        {name: 'never', exec: 'note never', when: {source: 'fails', once: 'exitSuccess'}},
        {name: 'both', exec: 'note both',
            when: {all: [{source: 'setup', once: 'exitSuccess'}, {source: 'after', once: 'exitSuccess'}]}},
        {name: 'last', exec: 'sleep 1000', main: true, when: {source: 'both', once: 'stopped'}}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.script("note", NOTE).start();
    pilot.pid_of("last");
    assert_eq!(pilot.read("order"), "setup\nfails\nafter\nboth\n");
    assert_eq!(pilot.job("never")["runs"], 0);
}

#[test]
fn a_job_waits_for_another_s_health() {
    let config = "{jobs: [{name: 'db', exec: 'sleep 1000',
        health: {file: '@DIR@/ready', interval: '50ms', timeout: '49ms', ttl: 10}},
        {name: 'app', exec: 'sleep 2000', main: true, when: {source: 'db', once: 'healthy'}},
        {name: 'alarm', exec: 'note alarm', when: {source: 'db', each: 'unhealthy'}}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.script("note", NOTE).start();
    pilot.wait_for_job("db", |job| job["health"] == "unhealthy");
    assert_eq!(pilot.job("app")["state"], "waiting");
    pilot.write("ready", "");
    pilot.pid_of("app");
    std::fs::remove_file(pilot.file("ready")).unwrap();
    pilot.wait_for_file("order", |order| order.contains("alarm"));
}

#[test]
fn a_job_that_waits_too_long_gives_up() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'late', exec: 'true',
        when: {source: 'SIGUSR2', timeout: '100ms'}}]}";
    let pilot = Pilot::start(config);
    let job = pilot.wait_for_job("late", |job| job["state"] == "complete");
    assert_eq!(job["runs"], 0);
}

#[test]
fn sigusr2_and_maintenance_are_events() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'usr2', exec: 'note usr2',
        when: {source: 'SIGUSR2'}},
        {name: 'enter', exec: 'note enter', when: {each: 'enterMaintenance'}}, {name: 'exit', exec: 'note exit',
            when: {each: 'exitMaintenance'}}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.script("note", NOTE).start();
    pilot.pid_of("main");
    pilot.signal(Signal::USR2);
    pilot.wait_for_file("order", |order| order == "usr2\n");
    pilot.control("POST", "/v3/maintenance/enable", "");
    pilot.wait_for_file("order", |order| order == "usr2\nenter\n");
    pilot.control("POST", "/v3/maintenance/disable", "");
    pilot.wait_for_file("order", |order| order == "usr2\nenter\nexit\n");
}

#[test]
fn restarts_are_limited_and_intervals_repeat() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
        {name: 'thrice', exec: 'false', restarts: 2, restartBackoff: {initial: '1ms', max: '1ms'}},
        {name: 'again', exec: 'true', when: {interval: '20ms'}}]}";
    let pilot = Pilot::start(config);
    let job = pilot.wait_for_job("thrice", |job| job["state"] == "complete");
    assert_eq!((job["runs"].as_u64(), job["restarts"].as_u64()), (Some(3), Some(2)));
    pilot.wait_for_job("again", |job| job["runs"].as_u64() >= Some(5));
}

#[test]
fn on_failure_exit_takes_the_container_down_with_the_job_s_code() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'vital',
        exec: ['sh', '-c', 'exit 44'], onFailure: 'exit'}]}";
    assert_eq!(Pilot::start(config).wait_for_end(), End::Code(44));
}

#[test]
fn the_main_job_s_code_is_the_container_s() {
    let config =
        "{jobs: [{name: 'helper', exec: 'sleep 1000'}, {name: 'main', exec: ['sh', '-c', 'exit 21'], main: true}]}";
    assert_eq!(Pilot::start(config).wait_for_end(), End::Code(21));
}

#[test]
fn user_group_folder_and_environment_of_a_job() {
    let config = "{jobs: [{name: 'main',
        exec: ['sh', '-c', 'echo $(id -u):$(id -g):$(id -G):$(pwd):$COLOUR:'], user: '65529', group: '65528',
        cwd: '/usr', env: {COLOUR: 'blue'}, main: true, logging: {attached: false}}]}";
    let pilot = Pilot::start(config);
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    let line = pilot.wait_for_line("65529:");
    assert!(line.contains("65529:65528:65528:/usr:blue:"), "{line}");
    let named = Pilot::start(
        "{jobs: [{name: 'main', exec: 'id -un', user: 'nobody', main: true, logging: {attached: false}}]}",
    );
    assert_eq!(named.wait_for_end(), End::Code(0));
    named.wait_for_line("nobody");
}

#[test]
fn a_user_or_folder_that_is_not_there_is_a_failed_start_with_a_reason() {
    for (key, part) in [("user: 'nosuchuser'", "nosuchuser"), ("cwd: '/no/such/folder'", "/no/such/folder")] {
        let pilot = Pilot::start(&format!("{{jobs: [{{name: 'main', exec: 'true', main: true, {key}}}]}}"));
        let end = pilot.wait_for_end();
        assert!(matches!(end, End::Code(126 | 127 | 2)), "{end:?} {}", pilot.story());
        assert!(pilot.story().contains(part), "{}", pilot.story());
    }
}

#[test]
fn stopping_and_stopped_hooks_of_any_job() {
    let config = "{stopTimeout: 20, jobs: [{name: 'main', exec: 'app', main: true},
        {name: 'before', exec: 'note stopping', when: {source: 'main', once: 'stopping'}},
        {name: 'after', exec: 'note stopped', when: {source: 'main', once: 'stopped'}},
        {name: 'end', exec: 'note shutdown', when: {once: 'shutdown'}}]}";
    let mut stage = Stage::with_config(config);
    stage.script("note", NOTE).script(
        "app",
        "trap 'echo TERM >> @DIR@/order; exit 0' TERM; echo up >> @DIR@/order; while :; do sleep 0.05; done",
    );
    let pilot = stage.start();
    pilot.wait_for_file("order", |order| order == "up\n");
    assert_eq!(pilot.stop(), End::Code(0));
    let order: Vec<String> =
        pilot.read("order").lines().filter(|line| *line != "shutdown").map(str::to_owned).collect();
    assert_eq!(order, ["up", "stopping", "TERM", "stopped"]);
    assert!(pilot.read("order").contains("shutdown"));
}

#[test]
fn checks_that_fail_within_the_grace_of_a_start_do_not_count() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
        {name: 'slow', exec: 'sleep 2000', health: {exec: 'failing', interval: '200ms', ttl: 5, grace: '1h'}},
        {name: 'alarm', exec: 'true', when: {source: 'slow', each: 'unhealthy'}}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.script("failing", "echo >> @DIR@/checks; exit 1").start();
    pilot.wait_for_file("checks", |checks| checks.lines().count() >= 4);
    assert_eq!(pilot.job("slow")["health"], "unknown");
    assert_eq!(pilot.job("alarm")["runs"], 0);
}

#[test]
fn any_of_several_sources_starts_a_job() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'quick', exec: 'true'},
        {name: 'one', exec: 'true', when: {any: [{source: 'main', once: 'exitFailed'}, {source: 'quick', once: 'exitSuccess'}]}}]}";
    let pilot = Pilot::start(config);
    pilot.wait_for_job("one", |job| job["runs"] == 1);
}

/// failure-modes.md, F-A5.
#[test]
fn a_job_that_is_killed_before_it_was_ever_healthy_is_started_again() {
    let pilot = Pilot::start(
        "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
                 {name: 'young', exec: 'sleep 2000', restarts: 'unlimited', restartBackoff: {initial: '1ms', max: '1ms'},
                  health: {file: '/no/such/file', interval: 1, ttl: 10}}]}",
    );
    for restarts in 1..=3 {
        let pid = pilot.pid_of("young");
        pilot.kill_inside(pid, "KILL");
        let job = pilot.wait_for_job("young", |job| job["restarts"] == restarts && job["pid"].is_u64());
        assert!(job["pid"] != pid && job["lastExit"]["signal"] == 9, "{job}");
    }
    assert_eq!(pilot.processes_with("sleep 2000").len(), 1);
}

/// The smallest unit of a calendar is a minute, so this test may take one.
#[test]
fn a_calendar_starts_a_job_when_its_minute_has_come() {
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let pilot = Pilot::start(
        "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
                 {name: 'each-minute', exec: ['sh', '-c', 'date +%s > @DIR@/ran'], when: {cron: '* * * * *'}},
                 {name: 'leap-day', exec: 'true', when: {cron: '0 0 29 2 *'}}]}",
    );
    let half = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let ran = || !pilot.read("ran").is_empty();
    pilot.wait_for("the minute, or half of it", || (ran() || std::time::Instant::now() > half).then_some(()));
    let ran: u64 = pilot.wait_for_file("ran", |ran| ran.ends_with('\n')).trim().parse().unwrap();
    assert!(ran / 60 > started / 60, "started at {started}, ran at {ran}");
    let job = pilot.wait_for_job("each-minute", |job| job["state"] == "waiting" && job["lastExit"].is_object());
    assert_eq!((job["lastExit"]["code"].as_u64(), job["restarts"].as_u64()), (Some(0), Some(0)));
    assert_eq!(pilot.job("leap-day")["runs"], 0);
}
