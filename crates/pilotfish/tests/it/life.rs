//! The life of a container: supervisor.md section 3, and the slides about the lifecycle.

use crate::stage::{End, Pilot, Signal, Stage};

/// A script that notes that it ran, and with which word.
const NOTE: &str = "echo \"$1\" >> @DIR@/order";

#[test]
fn slide_37_pre_start_runs_to_its_end_before_the_application() {
    let mut stage = Stage::with_config("{preStart: 'prepare'}");
    stage.script("note", NOTE).arguments(&["note", "application"]);
    stage.script("prepare", "until test -e @DIR@/go; do sleep 0.02; done; echo prepared >> @DIR@/order");
    let pilot = stage.start();
    pilot.wait_for_job("preStart", |job| job["state"] == "running");
    assert_eq!(pilot.job("note")["state"], "waiting");
    pilot.write("go", "");
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    assert_eq!(pilot.read("order"), "prepared\napplication\n");
}

#[test]
fn slide_37_pre_start_failing_means_no_application() {
    let mut stage = Stage::with_config(
        "{preStart: 'sh -c \"exit 9\"', postStop: 'note postStop', coprocesses: [{command: 'note coprocess'}]}",
    );
    let pilot = stage.script("note", NOTE).arguments(&["note", "application"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(9));
    assert_eq!(pilot.read("order"), "", "nothing else ran: {}", pilot.story());
    pilot.wait_for_line("preStart exited with code 9");
}

#[test]
fn slide_48_attached_output_and_exit_code() {
    let mut stage = Stage::with_config("{logging: {level: 'error'}}");
    let pilot = stage.arguments(&["sh", "-c", "echo out; echo err >&2; exit 7"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(7), "{}", pilot.story());
    let said = |text: &str| text.lines().any(|line| line == "out" || line == "err");
    assert!(said(&pilot.stdout.text()) && said(&pilot.stderr.text()), "the lines as they are: {}", pilot.story());
}

#[test]
fn slide_48_the_application_has_the_container_s_own_descriptors() {
    let pilot = Stage::new()
        .arguments(&["sh", "-c", "readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/1/fd/1 /proc/$$/fd/2 /proc/1/fd/2"])
        .start();
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    let links: Vec<String> =
        pilot.stdout.text().lines().filter(|line| !line.contains("Z ")).map(String::from).collect();
    assert_eq!(links[0], "/dev/null");
    assert!(links[1] == links[2] && links[3] == links[4] && links[1] != links[3], "{links:?}");
}

#[test]
fn exit_codes_of_the_application_are_exact() {
    for (script, expected) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
        ("kill -SEGV $$", 139),
    ] {
        let pilot = Stage::new().arguments(&["sh", "-c", script]).start();
        assert_eq!(pilot.wait_for_end(), End::Code(expected), "{script}");
    }
}

#[test]
fn an_application_that_is_not_there_is_127_and_one_that_may_not_run_is_126() {
    let pilot = Stage::new().arguments(&["/no/such/program"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(127));
    pilot.wait_for_line("/no/such/program");
    let mut stage = Stage::new();
    let pilot = stage.file("plain", "text").arguments(&["@DIR@/plain"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(126));
    pilot.wait_for_line("/plain");
}

/// All hooks of v2, each noting its turn.
const HOOKS: &str = "{preStart: 'note preStart', preStop: 'note preStop', postStop: 'note postStop', stopTimeout: 20}";

/// An application that says when it is ready and notes the signal that ends it.
const APPLICATION: &str =
    "trap 'echo TERM >> @DIR@/order; exit 5' TERM; echo application >> @DIR@/order; while :; do sleep 0.05; done";

#[test]
fn sigterm_runs_pre_stop_then_stops_the_application_then_runs_post_stop() {
    let mut stage = Stage::with_config(HOOKS);
    let pilot = stage.script("note", NOTE).script("app", APPLICATION).arguments(&["app"]).start();
    pilot.wait_for_file("order", |order| order.ends_with("application\n"));
    assert_eq!(pilot.stop(), End::Code(5));
    assert_eq!(pilot.read("order"), "preStart\napplication\npreStop\nTERM\npostStop\n");
}

#[test]
fn sigint_stops_like_sigterm() {
    let mut stage = Stage::with_config(HOOKS);
    let pilot = stage.script("note", NOTE).script("app", APPLICATION).arguments(&["app"]).start();
    pilot.wait_for_file("order", |order| order.ends_with("application\n"));
    pilot.signal(Signal::INT);
    assert_eq!(pilot.wait_for_end(), End::Code(5));
    assert_eq!(pilot.read("order"), "preStart\napplication\npreStop\nTERM\npostStop\n");
}

#[test]
fn an_application_that_exits_by_itself_gets_post_stop_and_keeps_its_code() {
    let mut stage = Stage::with_config(HOOKS);
    let pilot = stage.script("note", NOTE).arguments(&["sh", "-c", "note application; exit 3"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(3));
    let order = pilot.read("order");
    assert!(order.starts_with("preStart\napplication\n") && order.ends_with("postStop\n"), "{order}");
}

#[test]
fn a_failing_post_stop_has_the_last_word() {
    let mut stage = Stage::with_config("{postStop: ['sh', '-c', 'exit 11']}");
    assert_eq!(stage.arguments(&["sh", "-c", "exit 3"]).start().wait_for_end(), End::Code(11));
}

#[test]
fn a_failing_pre_stop_does_not_keep_the_application_from_being_stopped() {
    let mut stage = Stage::with_config("{preStop: ['sh', '-c', 'exit 11']}");
    let pilot = stage.script("app", APPLICATION).arguments(&["app"]).start();
    pilot.wait_for_file("order", |order| order == "application\n");
    assert_eq!(pilot.stop(), End::Code(5));
}

#[test]
fn coprocesses_start_before_the_application_and_end_after_it() {
    let config = "{coprocesses: [{name: 'agent', command: 'agent', restarts: 'unlimited'}], stopTimeout: 20}";
    let mut stage = Stage::with_config(config);
    stage.script(
        "agent",
        "trap 'echo agent ends >> @DIR@/order; exit' TERM; echo agent >> @DIR@/order; while :; do sleep 0.05; done",
    );
    let pilot = stage.script("app", APPLICATION).arguments(&["app"]).start();
    pilot.wait_for_file("order", |order| order.lines().count() == 2);
    let (agent, app) = (pilot.pid_of("agent"), pilot.pid_of("app"));
    assert!(agent < app, "{agent} {app}");
    assert_eq!(pilot.stop(), End::Code(5));
    assert!(pilot.read("order").ends_with("TERM\nagent ends\n"), "{}", pilot.read("order"));
}

#[test]
fn a_coprocess_that_dies_is_started_again() {
    let config = "{coprocesses: [{name: 'agent', command: 'sleep 1000', restarts: 'unlimited'}]}";
    let pilot = Stage::with_config(config).arguments(&["sleep", "1000"]).start();
    let first = pilot.pid_of("agent");
    pilot.kill_inside(first, "KILL");
    let job = pilot.wait_for_job("agent", |job| job["pid"].as_u64().is_some_and(|pid| pid != u64::from(first)));
    assert_eq!((job["restarts"].as_u64(), job["lastExit"]["signal"].as_u64()), (Some(1), Some(9)));
    assert_eq!(pilot.job("sleep")["restarts"], 0);
}

#[test]
fn tasks_run_on_their_period_and_are_killed_at_their_timeout() {
    let config = "{tasks: [{name: 'tick', command: 'note tick', frequency: '50ms'},
                           {name: 'stuck', command: 'sleep 1000', frequency: '100ms', timeout: '60ms'}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.script("note", NOTE).arguments(&["sleep", "1000"]).start();
    pilot.wait_for_file("order", |order| order.lines().count() >= 3);
    pilot.wait_for_job("stuck", |job| job["runs"].as_u64() >= Some(3));
    pilot.wait_for_line("stuck killed: it took longer than 60 ms");
}

#[test]
fn environment_of_processes() {
    let config =
        "{services: [{name: 'my-app', port: 80, health: 'true', poll: 1, ttl: 10, interfaces: ['static:192.0.2.7']}]}";
    let mut stage = Stage::with_config(config);
    let script = "echo $CONTAINERPILOT_PID $CONTAINERPILOT_MY_APP_IP $1 > @DIR@/env.new && mv @DIR@/env.new @DIR@/env";
    let pilot = stage.script("app", script).arguments(&["app", "{{ .CONTAINERPILOT_MY_APP_IP }}"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    assert_eq!(pilot.read("env"), "1 192.0.2.7 192.0.2.7\n");
}

#[test]
fn when_all_jobs_are_complete_the_supervisor_exits() {
    let pilot = Pilot::start(
        "{jobs: [{name: 'one', exec: 'true'}, {name: 'two', exec: 'false',
            when: {source: 'one', once: 'exitSuccess'}}]}",
    );
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    pilot.wait_for_line("two exited with code 1");
}
