//! Two supervisors of one service: failure-modes.md, F-C8.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

const HOME: &str = "10.0.0.1:8500";

fn web() -> Spec {
    spec(vec![Job { main: true, ..advertised("main") }])
}

fn registered() -> World {
    let mut world = World::booted(web(), &[]);
    world.run(7_000);
    assert!(world.held[HOME].contains_key("main"));
    world
}

/// A world in which somebody else was there first.
fn contested() -> World {
    let mut world = World::booted(web(), &[]);
    world.others = vec![rival(true)];
    world.run(5_000);
    assert_eq!((world.count("register main Passing"), world.count("main contested by rival")), (0, 1));
    world
}

fn status(world: &World) -> ServiceState {
    world.job("main").service.expect("it is advertised")
}

#[test]
fn a_place_is_looked_at_before_the_first_registration_only() {
    let mut world = registered();
    world.order(&["look main", "register main Passing", "beat main Passing"]);
    world.run(60_000);
    // And once more, for whoever came at the same moment by another agent.
    assert_eq!(world.count("look main"), 2);
    world.held.clear();
    world.event(Event::ServiceMissing { service: "main".into() });
    world.run(10);
    assert_eq!(
        (world.count("look main"), world.count("register main Passing")),
        (2, 2),
        "a place that was ours is ours"
    );
}

#[test]
fn a_predecessor_keeps_its_place_until_its_ttl_has_passed() {
    let mut world = contested();
    world.run(10_000);
    assert_eq!(world.count("register main Passing"), 0);
    assert_eq!(status(&world).contested_by.as_deref(), Some("rival"));
    world.others[0].alive = false;
    world.run(1_100);
    assert_eq!(world.count("register main Passing"), 1);
    assert_eq!((status(&world).contested_by, world.count("main contested by rival, lasting")), (None, 0));
}

#[test]
fn one_that_is_proven_to_be_gone_is_succeeded_at_once() {
    let mut world = World::booted(web(), &[]);
    world.others = vec![Other { alive: false, ..rival(true) }];
    world.run(1_100);
    assert_eq!((world.count("register main Passing"), world.count("look main")), (1, 1));
}

#[test]
fn a_live_one_is_never_displaced_and_that_is_told_twice() {
    let mut world = contested();
    world.run(3_600_000);
    assert_eq!(world.count("register main Passing"), 0);
    assert_eq!((world.count("main contested by rival"), world.count("main contested by rival, lasting")), (1, 1));
    let looks = world.count("look main");
    assert!((3_000..3_700).contains(&looks), "{looks} looks in an hour");
    assert_eq!((world.count("start main"), world.count("beat main Passing")), (1, 0), "the application runs on");
}

#[test]
fn a_second_one_stops_everything_if_the_config_says_so() {
    let mut web = web();
    web.jobs[0].service.as_mut().expect("advertised").exit_on_conflict = true;
    let mut world = World::booted(web.clone(), &[]);
    world.others = vec![rival(true)];
    world.run(20_000);
    assert_eq!(world.finished, None, "a predecessor's TTL is waited for");
    world.run_to_end();
    world.order(&["main contested by rival", "main contested by rival, lasting", "stop", "term main", "finish 2"]);

    let mut world = World::booted(web, &[]);
    world.others = vec![rival(true)];
    world.run(20_000);
    world.others.clear();
    world.run(60_000);
    assert_eq!((world.finished, world.count("register main Passing")), (None, 1));
}

#[test]
fn one_that_is_taken_waits_like_a_second_one() {
    let mut world = registered();
    world.others = vec![rival(false)];
    let beats = world.count("beat main Passing");
    world.event(Event::ServiceTaken { service: "main".into(), by: "rival".into() });
    world.run(30_000);
    assert_eq!((world.count("register main Passing"), world.count("beat main Passing")), (1, beats));
    assert_eq!(status(&world).contested_by.as_deref(), Some("rival"));
    world.term();
    world.run_to_end();
    assert_eq!(world.count("deregister main"), 0, "it is not ours");
}

#[test]
fn of_two_that_came_at_once_the_junior_leaves() {
    let mut world = registered();
    world.others = vec![rival(true)];
    world.run(12_000);
    assert_eq!(world.count("deregister main"), 1);
    assert!(world.held[HOME].is_empty());
    world.others.clear();
    world.run(1_100);
    assert!(world.held[HOME].contains_key("main"));

    let mut world = registered();
    world.others = vec![rival(false)];
    world.run(60_000);
    assert_eq!((world.count("deregister main"), world.count("main contested by rival")), (0, 0));
    assert!(world.count("look main") > 3, "it is looked whether the other one leaves");
}

#[test]
fn one_that_is_not_seen_any_more_beside_a_live_one_was_taken() {
    let mut world = registered();
    world.held.clear();
    world.others = vec![rival(false)];
    world.catalog = Catalog::Up;
    world.checks.insert("main".into(), Script::task(5, 1));
    world.run(12_000);
    assert_eq!((world.count("main contested by rival"), world.count("register main Passing")), (1, 1));
    assert_eq!(world.count("deregister main"), 0);
}

#[test]
fn maintenance_gives_the_place_free() {
    let mut world = contested();
    world.event(Event::MaintenanceRequested(true));
    world.run(10);
    assert_eq!((status(&world).contested_by, world.count("deregister main")), (None, 0));

    let mut world = registered();
    world.event(Event::MaintenanceRequested(true));
    world.run(10);
    world.others = vec![rival(false)];
    world.event(Event::MaintenanceRequested(false));
    world.run(10_000);
    assert_eq!(world.count("register main Passing"), 1, "somebody else has it by now");
}

#[test]
fn a_stop_does_not_wait_for_a_look() {
    let mut world = World::booted(web(), &[]);
    world.latency = secs(30);
    world.run(2_000);
    world.term();
    assert!(world.run_to_end() < ms(100));
}

#[test]
fn who_may_not_look_registers_all_the_same() {
    let mut world = World::booted(web(), &[]);
    world.catalog = Catalog::Denies;
    world.run(1_010);
    let looks = world.calls.iter().filter(|(_, _, request)| matches!(request, Request::Look { .. })).count();
    world.catalog = Catalog::Up;
    world.run(1_000);
    assert_eq!((looks, world.count("look main"), world.count("register main Passing")), (1, 1, 1));
}

#[test]
fn who_was_refused_looks_before_he_is_admitted() {
    let mut world = World::booted(web(), &[]);
    world.catalog = Catalog::Denies;
    world.run(60_000);
    world.others = vec![rival(true)];
    world.catalog = Catalog::Up;
    world.run(60_000);
    assert_eq!((world.count("register main Passing"), world.count("main contested by rival")), (0, 1));
}
