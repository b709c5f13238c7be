//! The life of a container as ContainerPilot 2 knows it: hooks around one main application.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

fn v2_world(scripts: &[(&str, Script)]) -> World {
    let mut all =
        vec![("pre", Script::task(100, 0)), ("prestop", Script::task(300, 0)), ("poststop", Script::task(50, 0))];
    all.extend(scripts);
    World::booted(spec(v2()), &all)
}

#[test]
fn hooks_coprocess_and_main_run_in_their_order() {
    let mut world = v2_world(&[]);
    world.run(10_000);
    world.order(&["start pre", "end pre 0", "start co", "start main", "beat main Passing"]);
    world.term();
    world.run_to_end();
    world.order(&["stop", "main Stopping", "start prestop", "end prestop 0", "deregister main", "term main"]);
    world.order(&["end main 143", "main Stopped", "start poststop", "end poststop 0", "finish 143"]);
    assert_eq!(world.count("start main"), 1);
}

#[test]
fn nothing_runs_after_a_failed_pre_start_and_its_code_is_the_containers() {
    for (script, code) in [(Script::task(100, 3), 3), (Script { unspawnable: Some(127), ..Script::DAEMON }, 127)] {
        let mut world = v2_world(&[("pre", script)]);
        world.run_to_end();
        assert_eq!(world.finished, Some(code));
        assert_eq!(world.story.iter().filter(|(_, line)| line.starts_with("start")).count(), 1, "{}", world.told());
    }
}

#[test]
fn main_that_exits_is_deregistered_then_post_stop_runs_and_its_code_stands() {
    for (exit, code) in [(Exit::Code(0), 0), (Exit::Code(7), 7), (Exit::Signal(11), 139), (Exit::OutOfMemory, 137)] {
        let script = Script { exits: Some((secs(20), exit)), ..Script::DAEMON };
        let mut world = v2_world(&[("main", script)]);
        world.run_to_end();
        world.order(&["deregister main", "start poststop", "end poststop 0"]);
        assert_eq!((world.finished, world.count("start prestop")), (Some(code), 0));
    }
}

#[test]
fn a_failing_post_stop_has_the_last_word() {
    let mut world = v2_world(&[("main", Script::task(3_000, 7)), ("poststop", Script::task(10, 9))]);
    world.run_to_end();
    assert_eq!(world.finished, Some(9));
}

#[test]
fn a_failing_pre_stop_changes_nothing() {
    for script in [Script::task(10, 9), Script { unspawnable: Some(126), ..Script::DAEMON }] {
        let mut world = v2_world(&[("prestop", script)]);
        world.run(1_000);
        world.term();
        world.run_to_end();
        assert_eq!(world.finished, Some(143));
    }
}

#[test]
fn main_that_cannot_be_executed_gives_the_code_a_shell_gives() {
    let mut world = v2_world(&[("main", Script { unspawnable: Some(127), ..Script::DAEMON })]);
    world.run_to_end();
    assert_eq!(world.finished, Some(127));
}

#[test]
fn sigkill_follows_after_the_stop_timeout_and_at_once_if_that_is_zero() {
    for (timeout, expect) in [(secs(5), 5_300), (ms(0), 300)] {
        let mut jobs = v2();
        jobs.remove(1);
        let mut world = World::booted(
            Spec { stop_timeout: timeout, ..spec(jobs) },
            &[
                ("pre", Script::task(1, 0)),
                ("main", Script::STUBBORN),
                ("prestop", Script::task(300, 0)),
                ("poststop", Script::task(1, 0)),
            ],
        );
        world.run(3_000);
        world.term();
        world.run_to_end();
        let waited = world.at("kill main") - world.at("stop");
        assert!((expect..expect + 20).contains(&waited), "{waited}");
        assert_eq!((world.finished, world.count("term main")), (Some(137), usize::from(timeout > ms(0))));
    }
}

#[test]
fn a_stop_before_main_began_ends_at_once_without_hooks() {
    let mut world = v2_world(&[("pre", Script::task(60_000, 0))]);
    world.run(1_000);
    world.term();
    assert!(world.run_to_end() < ms(10));
    world.order(&["start pre", "term pre"]);
    assert_eq!(world.count("start prestop") + world.count("start poststop") + world.count("start main"), 0);
    assert_eq!(world.finished, Some(143), "what was killed has not succeeded");
}

#[test]
fn a_stop_before_anything_was_booted_just_ends() {
    let mut world = World::new(spec(v2()));
    world.term();
    assert_eq!(world.finished, Some(0));
}

#[test]
fn signals_mean_what_the_config_says() {
    let v2_signals = SignalMeanings { hangup: HangupMeaning::Reload, user1: User1Meaning::ToggleMaintenance };
    let mut world = World::booted(Spec { signals: v2_signals, ..spec(vec![main_job()]) }, &[]);
    world.event(Event::Signalled(Signal::Hangup));
    world.event(Event::Signalled(Signal::User1));
    assert!(world.effects.contains(&Effect::Load));
    assert!(world.supervisor.status(world.now).maintenance);
    world.event(Event::Signalled(Signal::User1));
    assert!(!world.supervisor.status(world.now).maintenance);

    let hooks = vec![main_job(), each("hup", Occurrence::Hangup), each("usr2", Occurrence::User2)];
    let mut world = World::booted(spec(hooks), &[("hup", Script::task(1, 0)), ("usr2", Script::task(1, 0))]);
    for signal in [Signal::Hangup, Signal::User2, Signal::User1] {
        world.event(Event::Signalled(signal));
        world.run(100);
    }
    assert_eq!((world.count("start hup"), world.count("start usr2"), world.count("reopen log")), (1, 1, 1));
}

#[test]
fn other_signals_go_to_main_or_without_one_to_every_job() {
    let mut world = World::booted(spec(vec![main_job(), job("co")]), &[]);
    world.event(Event::Signalled(Signal::Other(28)));
    assert_eq!((world.count("signal 28 main"), world.count("signal 28 co")), (1, 0));
    let mut world = World::booted(spec(vec![job("a"), job("b")]), &[]);
    world.event(Event::Signalled(Signal::Other(28)));
    assert_eq!((world.count("signal 28 a"), world.count("signal 28 b")), (1, 1));
}

#[test]
fn the_container_ends_when_all_work_is_complete() {
    let jobs =
        vec![job("a"), once("b", of("a", JobOccurrence::ExitSuccess)), once("after", of("b", JobOccurrence::Stopped))];
    let mut world = World::booted(
        spec(jobs),
        &[("a", Script::task(100, 0)), ("b", Script::task(100, 0)), ("after", Script::task(20_000, 0))],
    );
    world.run_to_end();
    world.order(&["end a 0", "start b", "end b 0", "start after", "end after 0", "finish 0"]);
}

#[test]
fn nothing_a_job_started_outlives_it() {
    let script = Script { survivors: Some(secs(1_000)), ..Script::task(100, 0) };
    let mut world = World::booted(spec(vec![main_job()]), &[("main", script)]);
    assert!(world.run_to_end() < secs(1));
    world.order(&["survivors of main", "kill main", "end main 0", "finish 0"]);
}

#[test]
fn survivors_of_a_wrapper_keep_their_grace_after_sigterm() {
    let script = Script { survivors: Some(secs(2)), ..Script::DAEMON };
    let mut world = World::booted(spec(vec![main_job()]), &[("main", script)]);
    world.run(100);
    world.term();
    assert_eq!(world.run_to_end(), secs(2));
    assert_eq!(world.count("kill main"), 0);
}

#[test]
fn what_sigkill_cannot_end_is_given_up_in_a_stop_only() {
    let script = Script { unkillable: true, ..Script::STUBBORN };
    let mut world = World::booted(
        spec(vec![Job { timeout: Some(secs(1)), restarts: Restarts::Unlimited, ..main_job() }]),
        &[("main", script)],
    );
    world.run(60_000);
    assert_eq!((world.count("kill main"), world.count("start main")), (1, 1));
    world.term();
    assert!(world.run_to_end() <= secs(1));
    assert_eq!(world.finished, Some(137));
}
