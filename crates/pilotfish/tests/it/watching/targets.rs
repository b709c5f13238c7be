//! What can be watched: services by tag and by definition, keys, prefixes, other datacenters.

use serde_json::json;

use super::{reactions, state, wait_for_members, wait_for_reactions, watch};
use crate::catalog::view::{delete_key, deregister, put, register};
use crate::stage::consul;

#[test]
fn a_tag() {
    let consul = consul();
    let pilot =
        watch(consul.http(), json!({ "name": "by-tag", "service": "tagged", "tag": "primary", "interval": "1s" }))
            .start();
    pilot.wait_for("the first answer", || state(&pilot)["members"].is_array().then_some(()));
    register(&consul, "tagged", "tagged-1", 1, &["replica"]);
    register(&consul, "tagged", "tagged-2", 2, &["eu", "primary"]);
    wait_for_reactions(&pilot, 1);
    wait_for_members(&pilot, &json!(["192.0.2.1:2"]));
    // The role moves: the two requests are one change or two.
    register(&consul, "tagged", "tagged-1", 1, &["primary"]);
    deregister(&consul, "tagged-2");
    wait_for_members(&pilot, &json!(["192.0.2.1:1"]));
    pilot.wait_for("a reaction", || (reactions(&pilot) > 1).then_some(()));
}

/// failure-modes.md, F-C5.
#[test]
fn tags_and_metadata_only_for_those_who_ask() {
    let consul = consul();
    register(&consul, "described", "described-1", 1, &["a"]);
    let instances = watch(consul.http(), json!({ "name": "described", "interval": "1s" })).start();
    let definitions =
        watch(consul.http(), json!({ "name": "described", "interval": "1s", "on": "definitions" })).start();
    for pilot in [&instances, &definitions] {
        wait_for_reactions(pilot, 1);
    }
    register(&consul, "described", "described-1", 1, &["b"]);
    wait_for_reactions(&definitions, 2);
    let body = json!({ "Name": "described", "ID": "described-1", "Address": "192.0.2.1", "Port": 1, "Tags": ["b"],
                       "Meta": { "weight": "3" } });
    put(&consul, "/v1/agent/service/register", &body.to_string());
    wait_for_reactions(&definitions, 3);
    register(&consul, "described", "described-2", 2, &[]);
    wait_for_reactions(&definitions, 4);
    wait_for_reactions(&instances, 2);
}

#[test]
fn a_key() {
    let consul = consul();
    let pilot = watch(consul.http(), json!({ "name": "setting", "key": "a-key/color", "interval": "1s" })).start();
    pilot.wait_for("the first answer", || state(&pilot)["members"].is_array().then_some(()));
    put(&consul, "/v1/kv/a-key/color", "red");
    wait_for_reactions(&pilot, 1);
    put(&consul, "/v1/kv/a-key/other", "x");
    put(&consul, "/v1/kv/a-key/color", "blue");
    wait_for_reactions(&pilot, 2);
    delete_key(&consul, "a-key/color");
    wait_for_reactions(&pilot, 3);
    wait_for_members(&pilot, &json!([]));
}

#[test]
fn a_prefix_of_keys() {
    let consul = consul();
    let pilot =
        watch(consul.http(), json!({ "name": "settings", "keyPrefix": "some-keys/", "interval": "1s" })).start();
    pilot.wait_for("the first answer", || state(&pilot)["members"].is_array().then_some(()));
    put(&consul, "/v1/kv/some-keys/one", "1");
    wait_for_reactions(&pilot, 1);
    put(&consul, "/v1/kv/some-keys/two", "2");
    wait_for_reactions(&pilot, 2);
    put(&consul, "/v1/kv/some-keys/one", "changed");
    wait_for_reactions(&pilot, 3);
    delete_key(&consul, "some-keys/two");
    wait_for_reactions(&pilot, 4);
    wait_for_members(&pilot, &json!(["some-keys/one"]));
}

#[test]
fn a_datacenter_that_nobody_knows_fails_visibly() {
    let consul = consul();
    register(&consul, "far-away", "far-away-1", 1, &[]);
    let pilot = watch(consul.http(), json!({ "name": "far-away", "dc": "nowhere", "interval": "1s" })).start();
    pilot.wait_for("the failure to be shown", || {
        let failing = state(&pilot)["failing"].as_str()?.to_owned();
        (failing.contains("nowhere") || failing.contains("datacenter")).then_some(())
    });
    assert_eq!(reactions(&pilot), 0);

    let here = watch(consul.http(), json!({ "name": "far-away", "dc": "dc1", "interval": "1s" })).start();
    wait_for_reactions(&here, 1);
}
