//! Hooks and health checks that misbehave: nothing that they do reaches the supervisor or their neighbours.

use std::time::Duration;

use crate::stage::{End, Pilot, STORM, Stage};

/// A main job, and whatever else.
fn beside_main(jobs: &str) -> Stage {
    Stage::with_config(&format!(
        "{{stopTimeout: 10, jobs: [{{name: 'main', exec: 'sleep 1000', main: true}}, {jobs}]}}"
    ))
}

#[test]
fn a_hanging_check_is_killed_at_its_timeout_and_counts_as_failed() {
    let mut stage = beside_main(
        "{name: 'app', exec: 'sleep 2000', health: {exec: 'stuck', interval: '300ms', timeout: '250ms', ttl: 2}}",
    );
    let pilot = stage.script("stuck", "sleep 3000").start();
    pilot.wait_for_job("app", |job| job["health"] == "unhealthy");
    pilot.wait_for("the next check", || (pilot.stdout.all("health check failed").len() >= 3).then_some(()));
    pilot.wait_for("not more than one check at a time", || {
        (pilot.processes_with("sleep 3000").len() <= 1).then_some(())
    });
}

/// A time in which a healthy job is looked at while another one's check hangs: short here, minutes in the soak.
fn patience() -> Duration {
    let seconds = std::env::var("PILOTFISH_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(3))
}

#[test]
fn a_check_that_hangs_for_ever_disturbs_no_healthy_neighbour() {
    let hanging =
        "{name: 'hanging', exec: 'sleep 2000', health: {exec: 'stuck', interval: '1h', timeout: '30m', ttl: '4h'}}";
    let healthy = |name: &str| {
        format!(
            "{{name: '{name}', exec: 'sleep 2000',
                health: {{exec: 'beat {name}', interval: '400ms', timeout: '399ms', ttl: '30s'}}}}"
        )
    };
    let mut stage = beside_main(&format!("{hanging}, {}, {}", healthy("one"), healthy("two")));
    stage.script("stuck", "trap '' TERM; sleep 3000").script("beat", "echo >> @DIR@/$1");
    let pilot = stage.start();
    for name in ["one", "two"] {
        pilot.wait_for_job(name, |job| job["health"] == "healthy");
    }
    let beats = |name: &str| pilot.read(name).lines().count();
    let wanted = patience().as_millis() / 1000;
    let begun = (beats("one"), beats("two"));
    pilot.wait_for("heartbeats", || {
        let more = |name, before| (beats(name) - before) as u128 >= wanted;
        (more("one", begun.0) && more("two", begun.1)).then_some(())
    });
    assert_eq!(pilot.processes_with("stuck").len(), 1, "it hangs all the time");
    assert_eq!(pilot.job("hanging")["health"], "unknown");
    assert_eq!(pilot.stop(), End::Code(143), "the hanging check does not hold up the end");
}

#[test]
fn a_hook_that_leaves_a_daemon_does_not_hold_anything_up() {
    let mut stage = Stage::with_config("{preStart: 'daemonize', stopTimeout: 1}");
    // The daemon keeps the hook's pipes open.
    let pilot = stage.script("daemonize", "setsid sleep 3000 & exit 0").arguments(&["sleep", "1000"]).start();
    pilot.pid_of("sleep");
    pilot.wait_for("the end of the daemon", || pilot.processes_with("sleep 3000").is_empty().then_some(()));
}

#[test]
fn a_check_that_leaves_daemons_does_not_pile_them_up() {
    let mut stage = beside_main(
        "{name: 'app', exec: 'sleep 2000',
            health: {exec: 'daemonize', interval: '300ms', timeout: '299ms', ttl: '30s'}}",
    );
    let pilot = stage.script("daemonize", "setsid sleep 3000 & echo >> @DIR@/checks").start();
    pilot.wait_for_file("checks", |text| text.lines().count() >= 5);
    pilot.wait_for("no daemons but the last", || (pilot.processes_with("sleep 3000").len() <= 2).then_some(()));
    pilot.wait_for_job("app", |job| job["health"] == "healthy");
}

#[test]
fn a_hook_that_ignores_sigterm_is_killed_at_its_timeout() {
    let mut stage = beside_main("{name: 'hook', exec: 'deaf', timeout: '200ms'}");
    let pilot = stage.script("deaf", "trap '' TERM; while :; do sleep 0.05; done").start();
    let job = pilot.wait_for_job("hook", |job| job["state"] == "complete");
    assert_eq!(job["lastExit"]["code"], 137, "{job}");
    pilot.wait_for("the end of all of it", || pilot.processes_with("deaf").is_empty().then_some(()));
}

#[test]
fn a_hundred_megabytes_of_output_pass_through() {
    let _turn = STORM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut stage = beside_main(
        "{name: 'flood', exec: 'flood'}, {name: 'app', exec: 'sleep 2000',
            health: {exec: 'echo beat', interval: '10s', ttl: '60s'}}",
    );
    let line = "0123456789abcdef".repeat(64);
    let pilot = stage.script("flood", &format!("yes {line} | head -c 100000000; echo; echo the last words")).start();
    pilot.wait_for_line_after_flood("the last words");
    assert!(pilot.stdout.bytes() > 100_000_000);
    pilot.wait_for_job("app", |job| job["health"] == "healthy");
    assert!(rss_kib(&pilot) < 64 * 1024, "{} KiB", rss_kib(&pilot));
}

#[test]
fn one_line_of_64_megabytes_is_split_and_does_not_make_it_grow() {
    let _turn = STORM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let pilot = beside_main(
        "{name: 'flood', exec: 'sh -c \"head -c 67108864 /dev/zero | tr \\\\\\\\0 x; echo; echo the last words\"'}",
    )
    .start();
    pilot.wait_for_line_after_flood("the last words");
    assert!(pilot.stdout.bytes() > 67_108_864, "{}", pilot.stdout.bytes());
    assert!(pilot.stdout.longest() < 66 * 1024, "{}", pilot.stdout.longest());
    assert!(rss_kib(&pilot) < 64 * 1024, "{} KiB", rss_kib(&pilot));
}

#[test]
fn invalid_utf_8_and_a_last_line_without_its_end_are_logged() {
    let pilot =
        beside_main("{name: 'odd', exec: ['printf', 'a\\\\377b\\\\n\\\\000\\\\033[31mred\\\\nno end']}").start();
    pilot.wait_for_line("a\u{fffd}b");
    assert!(pilot.wait_for_line("red").contains("\u{1b}[31m") || pilot.stdout.find("red").is_some());
    pilot.wait_for_line("no end");
}

#[test]
fn a_check_of_nothing_is_unhealthy_with_a_reason() {
    let pilot =
        beside_main("{name: 'app', exec: 'sleep 2000', health: {exec: '/no/such/check', interval: 1, ttl: 5}}").start();
    let job = pilot.wait_for_job("app", |job| job["health"] == "unhealthy");
    assert!(
        job["lastFailure"].as_str().is_some_and(|reason| reason.contains("/no/such/check") || reason.contains("127")),
        "{job}"
    );
    assert_eq!(job["state"], "running");
}

#[test]
fn a_fork_bomb_in_a_check_is_killed_with_it() {
    let _turn = STORM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let config = "{stopTimeout: 10, jobs: [{name: 'main', exec: 'sleep 1000', main: true},
        {name: 'bomb', exec: ['sh', '-c', 'ulimit -u 200; exec bomb'], user: '65530', timeout: '500ms'}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.script("bomb", "while :; do bomb & done 2> /dev/null").start();
    pilot.wait_for_job("bomb", |job| job["state"] == "complete");
    pilot.wait_for("no trace of it", || (pilot.processes().len() == 1).then_some(()));
    assert_eq!(pilot.job("main")["state"], "running");
}

#[test]
fn a_restarting_job_backs_off() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true},
        {name: 'broken', exec: 'false', restarts: 'unlimited', restartBackoff: {initial: '10ms', max: '40ms'}}]}";
    let pilot = Pilot::start(config);
    pilot.wait_for_job("broken", |job| job["restarts"].as_u64() >= Some(4));
    pilot.wait_for_line("broken is started again in 40 ms");
}

/// Resident memory of the supervisor, in KiB.
pub(crate) fn rss_kib(pilot: &Pilot) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pilot.pid().as_raw_nonzero())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("every process has a size");
    line.trim().trim_end_matches(" kB").trim().parse().expect("it is a number")
}
