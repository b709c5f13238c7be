//! Keeping services registered, whatever the catalog does.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

fn web() -> Spec {
    spec(vec![Job { main: true, ..advertised("main") }])
}

fn healthy_world() -> World {
    let mut world = World::booted(web(), &[]);
    world.run(7_000);
    world
}

#[test]
fn the_first_passing_check_registers_and_each_one_beats() {
    let mut world = healthy_world();
    world.order(&["register main Passing", "beat main Passing"]);
    world.run(10_000);
    assert_eq!((world.count("register main Passing"), world.count("beat main Passing")), (1, 4));
}

#[test]
fn an_initial_status_registers_at_once_and_again_after_maintenance() {
    let mut web = web();
    web.jobs[0].service.as_mut().expect("advertised").initial_status = Some(ServiceStatus::Warning);
    let mut world = World::booted(web, &[]);
    world.checks.insert("main".into(), Script::task(5, 1));
    world.run(10);
    assert_eq!(world.at("register main Warning"), 2, "as soon as it is known that nobody else has its place");
    world.event(Event::MaintenanceRequested(true));
    world.run(100);
    assert_eq!(world.count("deregister main"), 1);
    world.event(Event::MaintenanceRequested(false));
    world.run(100);
    assert_eq!(world.count("register main Warning"), 2);
}

#[test]
fn a_failing_check_sends_nothing() {
    let mut world = healthy_world();
    world.checks.insert("main".into(), Script::task(5, 1));
    let sent =
        |world: &World| world.calls.iter().filter(|(_, _, request)| !matches!(request, Request::Look { .. })).count();
    let before = sent(&world);
    world.run(60_000);
    assert_eq!(sent(&world), before);
}

#[test]
fn an_exit_is_told_at_once_and_the_restart_makes_it_pass_again() {
    let mut web = web();
    web.jobs[0].restarts = Restarts::Unlimited;
    let mut world = World::booted(web, &[("main", Script::task(12_000, 1))]);
    world.run(15_000);
    assert_eq!(world.at("beat main Critical"), 12_000);
    assert_eq!(world.held["10.0.0.1:8500"]["main"], ServiceStatus::Passing);
    assert_eq!(world.count("deregister main"), 0);
}

#[test]
fn a_lost_registration_is_made_again() {
    let mut world = healthy_world();
    world.held.clear();
    world.event(Event::ServiceMissing { service: "main".into() });
    world.run(10);
    assert_eq!(world.count("register main Passing"), 2);
    world.held.clear();
    world.run(6_000);
    assert_eq!((world.count("unknown main"), world.count("lost main")), (1, 2));
    assert_eq!(world.count("register main Passing"), 3, "also when only a heartbeat finds out");
}

#[test]
fn one_that_is_lost_in_an_outage_is_made_again_as_soon_as_the_catalog_says_so() {
    let mut world = healthy_world();
    world.catalog = Catalog::Away { refused: true };
    world.run(60_000);
    world.held.clear();
    world.catalog = Catalog::Up;
    world.run(1_000);
    assert_eq!(world.count("register main Passing"), 2);
}

#[test]
fn an_outage_is_told_once_and_so_is_its_end() {
    let mut world = healthy_world();
    let told = |world: &World| (world.count("catalog failed main"), world.count("registered main"));
    assert_eq!(told(&world), (0, 1));
    world.catalog = Catalog::Away { refused: true };
    world.run(60_000);
    assert_eq!(told(&world), (1, 1));
    world.catalog = Catalog::Up;
    world.run(10_000);
    assert_eq!(told(&world), (1, 2));
}

#[test]
fn one_that_is_being_withdrawn_is_missed_by_nobody() {
    let mut world = healthy_world();
    world.catalog = Catalog::Silent;
    world.event(Event::MaintenanceRequested(true));
    world.event(Event::ServiceMissing { service: "main".into() });
    world.run(100);
    assert_eq!(world.count("lost main"), 0);
}

#[test]
fn an_unhealthy_service_is_not_registered_as_passing() {
    let mut world = healthy_world();
    world.checks.insert("main".into(), Script::task(5, 1));
    world.run(10_000);
    world.held.clear();
    world.event(Event::ServiceMissing { service: "main".into() });
    world.run(10_000);
    assert_eq!(world.count("register main Passing"), 1, "it was lost while unhealthy");

    let mut world = healthy_world();
    world.catalog = Catalog::Away { refused: true };
    world.run(5_000);
    world.checks.insert("main".into(), Script::task(5, 1));
    world.run(10_000);
    let beats = world.count("beat main Passing");
    world.catalog = Catalog::Up;
    world.run(10_000);
    assert_eq!(world.count("beat main Passing"), beats, "and no old heartbeat reaches the catalog late");
}

#[test]
fn a_catalog_that_returns_has_the_service_within_a_second() {
    let mut world = World::booted(web(), &[]);
    world.catalog = Catalog::Away { refused: true };
    world.run(60_000);
    assert_eq!(world.count("start main"), 1);
    world.catalog = Catalog::Up;
    world.run(1_000);
    assert_eq!(world.count("register main Passing"), 1);
}

#[test]
fn retries_back_off_to_five_seconds() {
    for catalog in [Catalog::Away { refused: false }, Catalog::Denies] {
        let mut world = World::booted(web(), &[]);
        world.catalog = catalog;
        world.run(600_000);
        let calls = world.calls.iter().filter(|(_, _, request)| !matches!(request, Request::Look { .. })).count();
        let calls = if catalog == Catalog::Denies { calls } else { world.calls.len() };
        assert!((120..260).contains(&calls), "{calls} calls in ten minutes");
    }
}

#[test]
fn another_agent_takes_over_and_no_twin_is_left() {
    let mut world = healthy_world();
    world.agent = "10.0.0.2:8500";
    world.run(6_000);
    assert_eq!(world.count("remove twin main at 10.0.0.1:8500"), 1);
    assert!(world.held["10.0.0.1:8500"].is_empty() && world.held["10.0.0.2:8500"].contains_key("main"));
}

#[test]
fn a_service_that_returns_to_an_agent_survives_its_own_removal() {
    let mut world = healthy_world();
    world.agent = "10.0.0.2:8500";
    world.latency = secs(4);
    world.run(20_000);
    world.agent = "10.0.0.1:8500";
    world.run(60_000);
    world.latency = ms(2);
    world.run(20_000);
    assert!(
        world.held["10.0.0.1:8500"].contains_key("main") && world.held["10.0.0.2:8500"].is_empty(),
        "{}",
        world.told()
    );
}

/// The service is lost, and registered anew with agents that take it in turn but do not say so; the first one holds it, too, when it is back.
fn taken_in_silence(agents: &[&'static str]) -> World {
    let mut world = healthy_world();
    world.catalog = Catalog::Leaderless;
    world.agent = agents[0];
    world.event(Event::ServiceMissing { service: "main".into() });
    for agent in agents {
        world.agent = agent;
        world.run(5_000);
        assert!(world.count(&format!("take main Passing at {agent}")) > 0, "{}", world.told());
    }
    assert_eq!(removals(&world), 0, "nobody knows yet which of them will be the home");
    world
}

fn removals(world: &World) -> usize {
    world.calls.iter().filter(|(_, _, request)| matches!(request, Request::RemoveTwin { .. })).count()
}

fn holders(world: &World) -> Vec<&'static str> {
    world.held.iter().filter(|(_, held)| held.contains_key("main")).map(|(agent, _)| *agent).collect()
}

#[test]
fn whoever_took_the_registration_without_an_answer_keeps_no_twin() {
    let mut world = taken_in_silence(&["b", "c"]);
    world.catalog = Catalog::Up;
    world.agent = "d";
    world.run(6_000);
    assert_eq!(holders(&world), ["d"], "{}", world.told());
}

#[test]
fn whoever_took_the_registration_without_an_answer_may_become_the_home() {
    let mut world = taken_in_silence(&["b", "c", "b"]);
    world.catalog = Catalog::Up;
    world.run(60_000);
    assert_eq!(holders(&world), ["b"], "{}", world.told());
    assert_eq!((world.count("remove twin main at b"), world.count("lost main")), (0, 1), "{}", world.told());
}

#[test]
fn what_was_taken_without_an_answer_is_withdrawn_everywhere() {
    for stop in [false, true] {
        let mut world = taken_in_silence(&["b", "c"]);
        world.catalog = Catalog::Up;
        world.agent = "d";
        world.event(if stop { Event::Signalled(Signal::Stop) } else { Event::MaintenanceRequested(true) });
        world.run(100);
        assert_eq!(holders(&world), ["10.0.0.1:8500"; 0], "{}", world.told());
    }
}

#[test]
fn what_a_stop_interrupts_is_withdrawn_from_whoever_may_take_it() {
    let mut world = healthy_world();
    world.catalog = Catalog::Silent;
    world.event(Event::ServiceMissing { service: "main".into() });
    let call = world.open_calls()[0];
    world.term();
    world.catalog = Catalog::Up;
    let outcome = CallOutcome::Unreachable { refused: false, reason: "no answer".into() };
    world.answer_of(call, outcome, &["b", "c"]);
    world.run(400);
    world.order(&["remove twin main at b", "remove twin main at c", "term main"]);
}

#[test]
fn a_service_that_is_gone_leaves_no_twin_however_long_the_catalog_is_away() {
    let mut world = taken_in_silence(&["b", "c"]);
    world.catalog = Catalog::Silent;
    let before = world.open_calls();
    let mut other = web();
    other.jobs[0].service.as_mut().expect("advertised").id = "another".into();
    world.reload(1, other);
    world.run(10);
    for call in before {
        world.answer(call, CallOutcome::Unreachable { refused: true, reason: "away".into() });
    }
    let requests: Vec<_> = world.calls.iter().map(|(_, call, request)| (*call, request.clone())).collect();
    world.catalog = Catalog::Away { refused: true };
    for call in world.open_calls() {
        let (_, request) = requests.iter().find(|(known, _)| *known == call).expect("it was asked");
        let home = CallOutcome::Done { address: "10.0.0.1:8500".into() };
        let away = CallOutcome::Unreachable { refused: true, reason: "away".into() };
        world.answer(call, if matches!(request, Request::Deregister { .. }) { home } else { away });
    }
    world.held.remove("10.0.0.1:8500");
    world.run(60_000);
    assert_eq!(holders(&world), ["b", "c"]);
    world.catalog = Catalog::Up;
    world.run(10_000);
    assert_eq!(holders(&world), [""; 0], "{}", world.told());
}

#[test]
fn a_registration_that_arrives_after_its_removal_is_removed_again() {
    let mut world = taken_in_silence(&["b"]);
    world.catalog = Catalog::Up;
    world.agent = "c";
    world.run(5_000);
    assert_eq!((holders(&world), world.count("remove twin main at b")), (vec!["c"], 1));
    world.held.entry("b").or_default().insert("main".into(), ServiceStatus::Passing);
    world.run(10_000);
    assert_eq!((holders(&world), world.count("remove twin main at b")), (vec!["c"], 2));
    world.run(60_000);
    assert_eq!(world.count("remove twin main at b"), 2);
}

#[test]
fn a_registration_under_way_when_it_is_withdrawn_is_taken_back() {
    let mut world = World::booted(web(), &[]);
    world.latency = secs(2);
    world.run(3_500);
    world.event(Event::MaintenanceRequested(true));
    world.run(10_000);
    assert_eq!((world.count("register main Passing"), world.count("deregister main")), (1, 1));
    assert!(world.held["10.0.0.1:8500"].is_empty());
}

#[test]
fn a_stop_tries_to_deregister_at_once_whatever_failed_before() {
    let mut world = healthy_world();
    world.catalog = Catalog::Away { refused: false };
    world.run(60_000);
    world.catalog = Catalog::Up;
    world.term();
    world.run_to_end();
    world.order(&["deregister main", "term main"]);
}

#[test]
fn maintenance_withdraws_and_asks_nothing_until_it_ends() {
    let mut world = World::new(web());
    world.event(Event::MaintenanceRequested(true));
    world.event(Event::Booted);
    world.run(30_000);
    assert_eq!((world.calls.len(), world.count("start main"), world.count("main Healthy")), (0, 1, 0));
    world.event(Event::MaintenanceRequested(false));
    world.run(100);
    assert_eq!(world.count("register main Passing"), 1, "at once, not an interval later");
    world.event(Event::MaintenanceRequested(true));
    world.run(30_000);
    world.order(&["EnterMaintenance"]);
    assert!(world.held["10.0.0.1:8500"].is_empty());
}
