//! What of a watch's answers is a change.

use pilotfish_supervisor::*;

use crate::{model::*, specs::*};

fn watching(target: Option<WatchTarget>) -> World {
    let mut watched = watch("db");
    watched.target = target.unwrap_or(watched.target);
    World::booted(Spec { watches: vec![watched], ..spec(vec![main_job()]) }, &[])
}

#[test]
fn an_empty_first_view_is_no_change() {
    let mut world = watching(None);
    world.view("db", &[]);
    world.run(1);
    assert_eq!((world.count("watch.db Changed"), world.count("watch.db Unhealthy")), (0, 1));
    world.view("db", &["a"]);
    world.view("db", &["a"]);
    assert_eq!((world.count("watch.db Changed"), world.count("watch.db Healthy")), (1, 1));
}

#[test]
fn definitions_count_if_subscribed_and_keys_always() {
    let service = |definitions| WatchTarget::Service { service: "db".into(), tag: None, definitions };
    for (target, expect) in [
        (service(false), 1),
        (service(true), 2),
        (WatchTarget::Key("k".into()), 2),
        (WatchTarget::KeyPrefix("k/".into()), 2),
    ] {
        let mut world = watching(Some(target));
        world.view("db", &["a=1"]);
        world.view("db", &["a=2"]);
        assert_eq!(world.count("watch.db Changed"), expect);
    }
}

#[test]
fn a_failed_query_keeps_the_view_and_says_how_old_it_is() {
    let mut world = watching(None);
    world.view("db", &["a"]);
    world.run(60_000);
    world.event(Event::ViewFailed { watch: "db".into(), reason: "500".into() });
    let status = world.supervisor.status(world.now).watches.remove(0);
    assert_eq!((status.age, status.failing.as_deref()), (Some(secs(60)), Some("500")));
    assert_eq!(status.members.map(|members| members.len()), Some(1));
    assert_eq!(world.count("watch.db Changed"), 1);
}

#[test]
fn a_restarted_catalog_that_shows_less_is_not_believed_for_a_while() {
    let mut world = watching(None);
    world.view("db", &["a", "b"]);
    world.view_of("db", &[], true);
    world.view_of("db", &["a"], false);
    world.run(9_000);
    assert_eq!((world.count("watch.db Changed"), world.count("held db")), (1, 1));
    world.view("db", &["a", "b"]);
    world.run(20_000);
    assert_eq!(world.count("watch.db Changed"), 1, "everybody came back");

    world.view_of("db", &["a"], true);
    world.run(10_000);
    assert_eq!(world.count("watch.db Changed"), 2, "or did not");
}

#[test]
fn a_held_view_is_not_believed_when_the_catalog_fails_meanwhile() {
    let mut world = watching(None);
    world.view("db", &["a", "b"]);
    world.view_of("db", &[], true);
    world.event(Event::ViewFailed { watch: "db".into(), reason: "no leader".into() });
    world.run(60_000);
    assert_eq!(world.count("watch.db Changed"), 1);
}
