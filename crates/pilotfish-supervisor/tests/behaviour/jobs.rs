//! When jobs start, restart and fail, and how they are asked for their health.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

#[test]
fn a_gated_job_waits_even_if_its_trigger_came_before() {
    let gate = Some(of("pre", JobOccurrence::ExitSuccess));
    let jobs = vec![
        job("pre"),
        Job { after: gate.clone(), ..main_job() },
        Job { after: gate.clone(), restarts: Restarts::Unlimited, start: Start::Every(secs(1)), ..job("task") },
        Job { after: gate, ..each("hook", changed("db")) },
    ];
    let spec = Spec { watches: vec![watch("db")], ..spec(jobs) };
    let mut world = World::booted(
        spec,
        &[("pre", Script::task(2_000, 0)), ("task", Script::task(1, 0)), ("hook", Script::task(1, 0))],
    );
    world.view("db", &["a"]);
    world.view("db", &["a", "b"]);
    world.run(5_500);
    world.order(&["watch.db Changed", "end pre 0", "start main", "start task"]);
    assert_eq!((world.count("start hook"), world.count("start task"), world.at("start hook")), (1, 4, 2_000));
}

#[test]
fn a_gate_that_opens_during_the_stop_starts_nothing() {
    let gated = Job { after: Some(of("main", JobOccurrence::ExitFailed)), ..job("gated") };
    let mut world = World::booted(spec(vec![main_job(), gated]), &[]);
    world.run(100);
    world.term();
    world.run_to_end();
    assert_eq!(world.count("start gated"), 0);
}

#[test]
fn changes_while_a_handler_runs_are_one_more_run() {
    let spec = Spec { watches: vec![watch("db")], ..spec(vec![main_job(), each("hook", changed("db"))]) };
    let mut world = World::booted(spec, &[("hook", Script::task(5_000, 0))]);
    world.run(10);
    for number in 0..1_000 {
        world.view("db", &[&format!("a{number}")]);
        world.run(1);
    }
    world.run(60_000);
    assert_eq!((world.count("watch.db Changed"), world.count("start hook")), (1_000, 2));
    world.view("db", &[]);
    world.run(60_000);
    assert_eq!(world.count("start hook"), 3, "and the next change gets its own");
}

#[test]
fn a_handler_is_held_back_until_its_target_is_ready() {
    let hold = HoldBack { until: vec![of("main", JobOccurrence::Healthy)], at_most: secs(10) };
    let start = Start::On(Condition {
        triggers: vec![changed("db")],
        quantifier: Quantifier::Any,
        times: Times::Each,
        timeout: None,
        hold_back: Some(hold),
    });
    let jobs = vec![Job { main: true, ..advertised("main") }, Job { start, ..job("hook") }];
    let spec = Spec { watches: vec![watch("db")], ..spec(jobs) };
    for (ready, expect) in [(true, 1_005), (false, 10_000)] {
        let mut world = World::new(spec.clone());
        world.scripts.insert("hook".into(), Script::task(1, 0));
        world.checks.insert("main".into(), Script::task(5, u8::from(!ready)));
        world.event(Event::Booted);
        world.view("db", &["a"]);
        world.view("db", &["b"]);
        world.run(30_000);
        assert_eq!((world.count("start hook"), world.at("start hook")), (1, expect));
        world.view("db", &["c"]);
        world.run(30_000);
        assert_eq!(world.count("start hook"), 2);
    }
}

#[test]
fn once_and_each_any_and_all() {
    let (a, b) = (Occurrence::Hangup, Occurrence::User2);
    let jobs = vec![
        main_job(),
        Job { start: on(&[a.clone(), b.clone()], Times::Once), ..job("once-any") },
        Job { start: on(&[a.clone(), b.clone()], Times::Each), ..job("each-any") },
        Job { start: all(&[a.clone(), b.clone()], Times::Once), ..job("once-all") },
        Job { start: all(&[a, b], Times::Each), ..job("each-all") },
    ];
    let tasks: Vec<_> =
        ["once-any", "each-any", "once-all", "each-all"].map(|name| (name, Script::task(1, 0))).to_vec();
    let mut world = World::booted(spec(jobs), &tasks);
    let mut counts = Vec::new();
    for signal in [Signal::Hangup, Signal::Hangup, Signal::User2, Signal::User2, Signal::Hangup] {
        world.event(Event::Signalled(signal));
        world.run(100);
        counts.push(tasks.iter().map(|(name, _)| world.count(&format!("start {name}"))).collect::<Vec<_>>());
    }
    assert_eq!(counts, [[1, 1, 0, 0], [1, 2, 0, 0], [1, 3, 1, 1], [1, 4, 1, 1], [1, 5, 1, 2]]);
}

#[test]
fn a_job_gives_up_when_its_event_does_not_come_in_time() {
    let Start::On(condition) = on(&[Occurrence::Hangup], Times::Once) else { unreachable!() };
    let start = Start::On(Condition { timeout: Some(secs(60)), ..condition });
    let mut world = World::booted(spec(vec![main_job(), Job { start, ..job("late") }]), &[]);
    world.run(61_000);
    world.event(Event::Signalled(Signal::Hangup));
    world.run(1_000);
    assert_eq!((world.at("late TimedOut"), world.count("start late")), (60_000, 0));
}

#[test]
fn periodic_runs_keep_their_times_and_are_left_out_while_one_still_runs() {
    let task = Job { start: Start::Every(secs(1)), restarts: Restarts::Unlimited, ..job("task") };
    let mut world = World::booted(spec(vec![main_job(), task.clone()]), &[("task", Script::task(1_500, 0))]);
    world.run(4_999);
    assert_eq!((world.count("start task"), world.count("overrun task")), (3, 2));

    let limited = Job { restarts: Restarts::Limited(3), ..task };
    let mut world = World::booted(spec(vec![main_job(), limited]), &[("task", Script::task(10, 0))]);
    world.run(60_000);
    assert_eq!((world.count("start task"), world.count("task Stopped")), (4, 1));
}

#[test]
fn after_a_pause_of_the_machine_the_schedule_goes_on_without_a_burst() {
    let task = Job { start: Start::Every(secs(1)), restarts: Restarts::Unlimited, ..job("task") };
    let mut world = World::booted(spec(vec![main_job(), task]), &[("task", Script::task(10, 0))]);
    world.run(100);
    world.now = world.now.after(secs(3_600));
    world.event(Event::TimePassed);
    world.run(1_500);
    assert_eq!(world.count("start task"), 3);
}

#[test]
fn calendar_jobs_start_when_due_and_nothing_else_does() {
    let calendar = Calendar::parse("@hourly").expect("valid");
    let task = Job { start: Start::At(calendar), restarts: Restarts::Unlimited, ..job("task") };
    let mut world =
        World::booted(spec(vec![main_job(), task, each("hook", Occurrence::Hangup)]), &[("task", Script::task(1, 0))]);
    for name in ["task", "hook", "main", "nobody"] {
        world.event(Event::CalendarDue { job: name.into() });
        world.run(10);
    }
    assert_eq!((world.count("arm task"), world.count("start task"), world.count("start hook")), (1, 1, 0));
}

#[test]
fn restarts_are_immediate_once_and_then_back_off_to_the_longest_wait() {
    let crash = Job { restarts: Restarts::Unlimited, ..job("crash") };
    let mut world = World::booted(spec(vec![main_job(), crash]), &[("crash", Script::task(0, 1))]);
    world.run(150_000);
    let starts: Vec<u128> =
        world.story.iter().filter(|(_, line)| line == "start crash").map(|(at, _)| at.as_secs() as u128).collect();
    assert_eq!(starts, [0, 0, 1, 3, 7, 15, 31, 61, 91, 121]);
    let mut world = World::booted(
        spec(vec![main_job(), Job { restarts: Restarts::Unlimited, ..job("crash") }]),
        &[("crash", Script::task(20_000, 1))],
    );
    world.run(100_000);
    assert_eq!(world.count("start crash"), 6, "a run that lasted ends the row: {}", world.told());
}

#[test]
fn a_job_that_its_own_exit_starts_again_backs_off_too() {
    let again =
        Job { start: on(&[Occurrence::Startup, of("again", JobOccurrence::ExitFailed)], Times::Each), ..job("again") };
    let mut world =
        World::booted(spec(vec![main_job(), again]), &[("again", Script { unspawnable: Some(127), ..Script::DAEMON })]);
    world.run(32_000);
    assert_eq!(world.count("start again"), 7);
}

#[test]
fn back_off_arithmetic_does_not_overflow() {
    let backoff =
        Backoff { initial: core::time::Duration::MAX / 2, max: core::time::Duration::MAX, reset_after: secs(10) };
    let mut world = World::booted(
        spec(vec![main_job(), Job { restarts: Restarts::Unlimited, backoff, ..job("crash") }]),
        &[("crash", Script::task(0, 1))],
    );
    world.run(1_000_000);
    assert_eq!(world.count("start crash"), 2);
}

#[test]
fn failure_policies() {
    for (policy, code, expect) in [
        (OnFailure::Ignore, 1, (1, None)),
        (OnFailure::Restart, 1, (3, None)),
        (OnFailure::Restart, 0, (1, None)),
        (OnFailure::Exit, 4, (1, Some(4))),
        (OnFailure::Exit, 0, (1, None)),
    ] {
        let mut world = World::booted(
            spec(vec![main_job(), Job { on_failure: policy, ..job("x") }]),
            &[("x", Script::task(100, code))],
        );
        world.run(2_000);
        assert_eq!((world.count("start x"), world.finished), expect, "{policy:?} {code}");
    }
}

#[test]
fn restarts_are_used_up_before_the_container_stops() {
    let x = Job { on_failure: OnFailure::Exit, restarts: Restarts::Limited(2), ..job("x") };
    let mut world = World::booted(spec(vec![main_job(), x]), &[("x", Script::task(100, 4))]);
    world.run_to_end();
    assert_eq!((world.count("start x"), world.finished), (3, Some(4)));
}

#[test]
fn a_job_that_takes_too_long_is_killed_and_has_failed() {
    let x = Job { timeout: Some(secs(3)), ..job("x") };
    let mut world = World::booted(spec(vec![main_job(), x]), &[("x", Script::STUBBORN)]);
    world.run(10_000);
    assert_eq!((world.at("kill x"), world.count("x ExitFailed"), world.count("term x")), (3_000, 1, 0));
}

#[test]
fn the_first_checks_come_fast_and_then_at_their_interval() {
    let slow = Health { interval: secs(30), ..health() };
    let mut world = World::booted(spec(vec![Job { health: Some(slow), main: true, ..advertised("main") }]), &[]);
    world.run(100_000);
    let healthy: Vec<u64> =
        world.story.iter().filter(|(_, line)| line == "main Healthy").map(|(at, _)| at.as_secs()).collect();
    assert_eq!(healthy, [1, 31, 61, 91]);
}

#[test]
fn failures_within_the_grace_do_not_count() {
    let check = Health { grace: secs(10), ..health() };
    let mut world = World::new(spec(vec![Job { health: Some(check), main: true, ..advertised("main") }]));
    world.checks.insert("main".into(), Script::task(5, 1));
    world.event(Event::Booted);
    world.run(9_900);
    assert_eq!((world.count("main Unhealthy"), world.job("main").health), (0, Some(HealthStatus::Unknown)));
    world.run(5_000);
    assert!(world.count("main Unhealthy") > 0);
}

#[test]
fn a_check_that_hangs_beside_healthy_ones_disturbs_nobody() {
    let jobs = vec![Job { main: true, ..advertised("main") }, advertised("hangs"), advertised("stuck")];
    let mut world = World::new(spec(jobs));
    world.checks.insert("hangs".into(), Script::STUBBORN);
    world.checks.insert("stuck".into(), Script { unkillable: true, ..Script::STUBBORN });
    world.event(Event::Booted);
    world.run(600_000);
    assert_eq!(world.count("beat main Passing"), 120, "one with the registration, then every 5 s");
    assert!(world.count("hangs Unhealthy") > 100 && world.count("hangs Healthy") == 0);
    assert_eq!(world.count("kill stuck.check"), 1, "and no second question is asked beside the one that cannot end");
}

#[test]
fn built_in_probes_are_findings_too() {
    let check = Health { check: Check::Tcp("127.0.0.1:80".into()), ..health() };
    let mut world = World::booted(spec(vec![Job { health: Some(check), main: true, ..advertised("main") }]), &[]);
    world.run(7_000);
    world.probes.insert("main".into(), false);
    world.run(5_000);
    world.order(&["main Healthy", "beat main Passing", "main Unhealthy"]);
    assert_eq!(world.job("main").last_failure.as_deref(), Some("no"));
}
