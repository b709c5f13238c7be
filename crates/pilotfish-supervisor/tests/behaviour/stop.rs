//! How everything ends, in which order and in what time.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

#[test]
fn what_needs_another_goes_first_and_helpers_go_last() {
    let jobs = vec![
        job("agent"),
        advertised("db"),
        Job { start: on(&[of("db", JobOccurrence::Healthy)], Times::Once), ..advertised("app") },
        once("notifier", of("app", JobOccurrence::Healthy)),
    ];
    let slow = Script { on_term: Some((ms(100), Exit::Code(0))), ..Script::DAEMON };
    let mut world = World::booted(spec(jobs), &[("app", slow), ("db", slow), ("agent", slow), ("notifier", slow)]);
    world.run(10_000);
    world.term();
    world.run_to_end();
    world.order(&["term notifier", "end notifier 0", "deregister app", "term app", "end app 0"]);
    world.order(&["end app 0", "deregister db", "term db", "end db 0", "term agent"]);
}

#[test]
fn every_deregistration_is_acknowledged_before_sigterm() {
    let db_first = vec![
        advertised("db"),
        Job { start: on(&[of("db", JobOccurrence::Healthy)], Times::Once), ..advertised("app") },
    ];
    let slow = Script { on_term: Some((secs(2), Exit::Code(0))), ..Script::DAEMON };
    let mut world = World::booted(spec(db_first), &[("app", slow), ("db", slow)]);
    world.latency = ms(100);
    world.run(10_000);
    world.term();
    world.run_to_end();
    world.order(&["deregister app", "term app", "end app 0", "deregister db", "term db"]);
    assert_eq!(world.at("term db") - world.at("deregister db"), 100);
}

#[test]
fn a_hung_catalog_delays_sigterm_by_half_a_second_in_all() {
    let jobs = vec![
        advertised("db"),
        Job { start: on(&[of("db", JobOccurrence::Healthy)], Times::Once), main: true, ..advertised("app") },
    ];
    let mut world = World::booted(spec(jobs), &[]);
    world.run(10_000);
    world.catalog = Catalog::Silent;
    world.term();
    assert_eq!(world.run_to_end(), DEREGISTER_LIMIT);
}

#[test]
fn a_stop_is_over_in_its_longest_time_however_long_the_chain() {
    let mut jobs = vec![advertised("a")];
    for (before, name) in ["a", "b", "c", "d"].iter().zip(["b", "c", "d", "e"]) {
        jobs.push(Job { start: on(&[of(before, JobOccurrence::Healthy)], Times::Once), ..advertised(name) });
    }
    let scripts = ["a", "b", "c", "d", "e"].map(|name| (name, Script::STUBBORN));
    let mut world = World::booted(spec(jobs), &scripts);
    world.run(60_000);
    world.catalog = Catalog::Silent;
    world.term();
    let took = world.run_to_end();
    assert!(took <= longest_stop(secs(5)), "{took:?}");
}

#[test]
fn a_circle_of_jobs_that_need_one_another_ends() {
    let circle = |name, needs| Job {
        start: on(&[Occurrence::Startup, of(needs, JobOccurrence::Healthy)], Times::Once),
        ..advertised(name)
    };
    let mut world = World::booted(spec(vec![circle("a", "b"), circle("b", "a")]), &[]);
    world.run(10_000);
    world.term();
    assert!(world.run_to_end() < ms(100));
}

#[test]
fn hooks_that_wait_for_one_another_end() {
    let jobs =
        vec![main_job(), once("x", of("y", JobOccurrence::Stopped)), once("y", of("x", JobOccurrence::Stopping))];
    let mut world = World::booted(spec(jobs), &[]);
    world.run(100);
    world.term();
    assert!(world.run_to_end() < ms(100));
}

#[test]
fn hooks_that_trigger_one_another_come_to_an_end() {
    let ping = |name, other| Job {
        start: on(&[Occurrence::Shutdown, of(other, JobOccurrence::ExitSuccess)], Times::Each),
        ..job(name)
    };
    let mut world = World::booted(
        spec(vec![main_job(), ping("x", "y"), ping("y", "x")]),
        &[("x", Script::task(10, 0)), ("y", Script::task(10, 0))],
    );
    world.run(100);
    world.term();
    assert!(world.run_to_end() < secs(1));
}

#[test]
fn a_hook_that_runs_for_another_reason_gets_the_stop_timeout() {
    let mixed =
        Job { start: on(&[Occurrence::Startup, of("main", JobOccurrence::Stopping)], Times::Each), ..job("mixed") };
    let mut world = World::booted(spec(vec![main_job(), mixed]), &[("mixed", Script::DAEMON)]);
    world.run(1_000);
    world.scripts.clear();
    world.term();
    assert!(world.run_to_end() <= secs(5) + ms(100));
}

#[test]
fn a_job_that_follows_anothers_end_in_normal_life_is_stopped_like_any_other() {
    let migrate = job("migrate");
    let worker = once("worker", of("migrate", JobOccurrence::Stopped));
    let scripts = [("migrate", Script::task(10, 0)), ("worker", Script::DAEMON), ("main", Script::DAEMON)];
    let mut world = World::booted(spec(vec![migrate, worker, main_job()]), &scripts);
    world.run(10_000);
    world.term();
    world.run_to_end();
    world.order(&["term worker", "end worker 143"]);
}

#[test]
fn each_end_gets_its_run_of_a_hook() {
    let hook = Job {
        start: on(&[of("a", JobOccurrence::Stopped), of("b", JobOccurrence::Stopped)], Times::Each),
        ..job("hook")
    };
    let mut world = World::booted(spec(vec![job("a"), job("b"), hook]), &[("hook", Script::task(50, 0))]);
    world.run(100);
    world.term();
    world.run_to_end();
    assert_eq!(world.count("start hook"), 2);
}

#[test]
fn stopping_waits_for_its_hooks_at_most_its_own_timeout() {
    for (limit, expect) in [(Some(secs(2)), 2_000), (None, 8_000)] {
        let jobs =
            vec![Job { stopping_timeout: limit, ..job("agent") }, once("leave", of("agent", JobOccurrence::Stopping))];
        let mut world = World::booted(spec(jobs), &[("leave", Script::task(8_000, 0))]);
        world.run(100);
        world.term();
        world.run_to_end();
        assert_eq!(world.at("term agent") - world.at("stop"), expect);
        world.order(&["end leave 0", "finish 143"]);
    }
}

#[test]
fn shutdown_hooks_run_to_their_end() {
    let mut world =
        World::booted(spec(vec![main_job(), once("bye", Occurrence::Shutdown)]), &[("bye", Script::task(3_000, 0))]);
    world.run(100);
    world.term();
    assert_eq!(world.run_to_end(), secs(3));
}

#[test]
fn a_stop_in_back_off_starts_nothing_more() {
    let crash = Job { restarts: Restarts::Unlimited, ..main_job() };
    let mut world = World::booted(
        spec(vec![crash, once("post", of("main", JobOccurrence::Stopped))]),
        &[("main", Script::task(0, 3)), ("post", Script::task(1, 0))],
    );
    world.run(2_000);
    let starts = world.count("start main");
    world.term();
    assert!(world.run_to_end() < ms(100));
    assert_eq!((world.count("start main"), world.finished, world.count("start post")), (starts, Some(3), 1));
}

#[test]
fn a_stop_while_the_process_is_being_started_ends_it() {
    let mut world = World::new(spec(vec![main_job()]));
    world.event(Event::Booted);
    world.term();
    world.run_to_end();
    assert_eq!(world.count("start main"), 1);
}

#[test]
fn a_service_whose_process_died_is_not_kept_waiting_for_others_hooks() {
    let jobs = vec![
        Job { main: true, ..advertised("main") },
        advertised("other"),
        once("slow", of("other", JobOccurrence::Stopping)),
    ];
    let mut world = World::booted(spec(jobs), &[("main", Script::task(20_000, 0)), ("slow", Script::task(60_000, 0))]);
    world.run_to_end();
    assert!(world.at("deregister main") < 20_100, "{}", world.told());
}

#[test]
fn nothing_is_registered_anew_once_the_stop_began() {
    let jobs = vec![Job { main: true, ..advertised("main") }, once("slow", of("main", JobOccurrence::Stopping))];
    let mut world = World::booted(spec(jobs), &[("slow", Script::task(20_000, 0))]);
    world.run(100);
    world.term();
    world.run(10_000);
    assert!(world.count("main Healthy") > 0);
    world.run_to_end();
    assert!(world.held.values().all(|held| held.is_empty()));
}

#[test]
fn an_advertised_job_without_a_process_is_no_hook_that_a_stop_waits_for() {
    let beacon = Job {
        process: None,
        start: on(&[Occurrence::Startup, of("main", JobOccurrence::Stopping)], Times::Each),
        ..advertised("beacon")
    };
    let mut world = World::booted(spec(vec![main_job(), beacon]), &[]);
    world.run(2_000);
    world.term();
    assert!(world.run_to_end() < ms(100));
    assert_eq!(world.count("deregister beacon"), 1);
}

#[test]
fn a_second_sigterm_changes_nothing() {
    let mut world = World::booted(spec(vec![main_job()]), &[("main", Script::STUBBORN)]);
    world.run(100);
    for _ in 0..100 {
        world.term();
        world.run(10);
    }
    world.run_to_end();
    assert_eq!((world.count("term main"), world.at("kill main")), (1, 5_100));
}
