//! A change reaches `onChange`, once per change, and the last one always.

use pilotfish_testing::Consul;
use serde_json::json;

use super::{reactions, state, wait_for_members, wait_for_reactions, watch};
use crate::catalog::stage_of;
use crate::catalog::view::{deregister, get, put, register, wait_for_passing};
use crate::stage::consul;

#[test]
fn slides_53_and_54_on_change() {
    let consul = consul();
    let config = json!({
        "consul": consul.http().to_string(),
        "backends": [{ "name": "slide-53", "poll": 3, "onChange": "react" }],
    });
    let pilot = stage_of(config)
        .script("react", "pilotfish status --json >> @DIR@/seen; echo >> @DIR@/reactions")
        .arguments(&["--", "sleep", "infinity"])
        .start();
    pilot.wait_for("the first answer", || state(&pilot)["members"].is_array().then_some(()));
    assert_eq!(reactions(&pilot), 0, "nobody is there, and nobody was before");
    register(&consul, "slide-53", "sales-1", 3000, &[]);
    wait_for_reactions(&pilot, 1);
    assert!(pilot.read("seen").contains("192.0.2.1:3000"));
    register(&consul, "slide-53", "sales-2", 3001, &[]);
    wait_for_reactions(&pilot, 2);
    // The same address and port under another name is the same instance to a client.
    deregister(&consul, "sales-1");
    wait_for_reactions(&pilot, 3);
    deregister(&consul, "sales-2");
    wait_for_reactions(&pilot, 4);
    assert_eq!(state(&pilot)["members"], json!([]));
}

#[test]
fn what_is_there_at_the_start_is_a_change() {
    let consul = consul();
    register(&consul, "already", "already-1", 3000, &[]);
    let pilot = watch(consul.http(), json!({ "name": "already", "interval": "1s" })).start();
    wait_for_reactions(&pilot, 1);
}

/// An instance whose check fails is no instance.
#[test]
fn only_healthy_instances_count() {
    let consul = consul();
    let body = json!({ "Name": "moody", "ID": "moody-1", "Address": "192.0.2.1", "Port": 80,
                       "Check": { "TTL": "1h", "Status": "passing" } });
    put(&consul, "/v1/agent/service/register", &body.to_string());
    let pilot = watch(consul.http(), json!({ "name": "moody", "interval": "1s" })).start();
    wait_for_reactions(&pilot, 1);
    put(&consul, "/v1/agent/check/fail/service:moody-1", "");
    wait_for_reactions(&pilot, 2);
    wait_for_members(&pilot, &json!([]));
    put(&consul, "/v1/agent/check/pass/service:moody-1", "");
    wait_for_reactions(&pilot, 3);
    wait_for_members(&pilot, &json!(["192.0.2.1:80"]));
}

/// failure-modes.md, F-C4.
#[test]
fn a_thousand_changes_while_a_handler_runs_are_one_more_run() {
    let consul = Consul::start();
    let pilot = watch(consul.http(), json!({ "name": "burst", "interval": "1s" }))
        .script(
            "react",
            "pilotfish status --json | tr -d '\\n' >> @DIR@/reactions; echo >> @DIR@/reactions
             until [ -e @DIR@/go-on ]; do sleep 0.05; done",
        )
        .start();
    let service = |port: usize| json!({ "Node": "elsewhere", "Address": "192.0.2.9", "Service": { "Service": "burst", "ID": "burst", "Port": port } });
    put(&consul, "/v1/catalog/register", &service(1).to_string());
    wait_for_reactions(&pilot, 1);
    for port in 2..=1001 {
        put(&consul, "/v1/catalog/register", &service(port).to_string());
    }
    wait_for_members(&pilot, &json!(["192.0.2.9:1001"]));
    assert_eq!(reactions(&pilot), 1, "the handler still runs");
    pilot.write("go-on", "");
    wait_for_reactions(&pilot, 2);
    let last = pilot.read("reactions").lines().last().unwrap().to_owned();
    assert!(last.contains("192.0.2.9:1001"), "the last run sees the last state: {last}");
    // A further change shows that nothing is left over from before.
    pilot.wait_for_job("react", |job| job["state"] == "waiting");
    put(&consul, "/v1/catalog/register", &service(2000).to_string());
    wait_for_reactions(&pilot, 3);
    pilot.wait_for_job("react", |job| job["state"] == "waiting");
    assert_eq!(pilot.job("react")["runs"], 3);
}

/// failure-modes.md, F-C6: a handler that runs before its application can take its signal would kill it.
#[test]
fn on_change_waits_for_the_application_to_be_healthy() {
    let consul = consul();
    register(&consul, "needed", "needed-1", 80, &[]);
    let config = json!({
        "consul": consul.http().to_string(),
        "services": [{ "name": "needing", "port": 4000, "interfaces": ["lo"], "health": "test -e @DIR@/healthy", "poll": 1, "ttl": 3600 }],
        "backends": [{ "name": "needed", "poll": 1, "onChange": "react" }],
    });
    let pilot = stage_of(config)
        .script("react", "[ -e @DIR@/healthy ] && echo in time >> @DIR@/reactions || echo early >> @DIR@/reactions")
        .arguments(&["--", "sleep", "infinity"])
        .start();
    wait_for_members(&pilot, &json!(["192.0.2.1:80"]));
    pilot.write("healthy", "");
    wait_for_passing(&consul, "needing");
    wait_for_reactions(&pilot, 1);
    assert_eq!(pilot.read("reactions"), "in time\n");
}

/// The service of one supervisor is another's backend: heartbeats are no changes.
#[test]
fn heartbeats_are_not_changes() {
    let consul = consul();
    let mut beating = crate::catalog::service("beating");
    beating["health"] = json!({ "interval": "50ms", "ttl": "60s" });
    let pilot = watch(consul.http(), json!({ "name": "beating", "interval": "1s" })).start();
    let other = crate::catalog::stage(consul.http(), &[beating]).start();
    wait_for_reactions(&pilot, 1);
    let checks = || get(&consul, "/v1/agent/checks").map(|checks| checks.to_string().contains("beating"));
    other.wait_for("some heartbeats", || {
        let text = other.control("GET", "/v1/status", "")?;
        (checks()? && text.json()["uptime"].as_f64()? > 2.0).then_some(())
    });
    assert_eq!(reactions(&pilot), 1);
}
