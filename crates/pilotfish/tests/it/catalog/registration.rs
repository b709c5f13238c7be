//! What is registered, with what, and what its health makes of it.

use pilotfish_testing::{Consul, FaultyServer, Reply, wait_until};
use serde_json::{Value, json};

use super::view::{
    answer, assert_absent, assert_passing, deregister, get, instances, put, wait_for_passing, wait_for_statuses,
};
use super::{app, rename_host, service, stage, stage_of, wait_for_heartbeats};
use crate::stage::consul;

fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

#[test]
fn slides_51_and_52_a_heartbeat_on_success_only() {
    let consul = consul();
    let config = json!({
        "consul": consul.http().to_string(),
        "services": [{
            "name": "customers", "port": 4000, "interfaces": ["static:192.168.100.2"],
            "health": "test -e @DIR@/healthy", "poll": 1, "ttl": 3,
        }],
    });
    let pilot = stage_of(config).arguments(&["--", "sleep", "infinity"]).start();
    pilot.wait_for_job("customers", |job| job["health"] == "unhealthy");
    assert_absent(&consul, "customers");

    pilot.write("healthy", "");
    let instance = wait_for_passing(&consul, "customers");
    assert_eq!(instance.id, format!("customers-{}", hostname()));
    assert_eq!((instance.address.as_str(), instance.port), ("192.168.100.2", 4000));

    std::fs::remove_file(pilot.file("healthy")).unwrap();
    wait_for_statuses(&consul, "customers", &["critical"]);
    let checks = answer(&consul, "/v1/health/checks/customers");
    assert!(checks[0]["Output"].as_str().unwrap().contains("TTL expired"), "nothing was sent: {checks}");

    pilot.write("healthy", "");
    wait_for_passing(&consul, "customers");
    assert_eq!(pilot.job("sleep")["runs"], 1, "health is no reason to touch the application");
}

#[test]
fn a_definition_arrives_as_it_is_written() {
    let consul = consul();
    let job = json!({
        "name": "defined", "port": 4321, "interfaces": ["nosuch0", "lo", "static:192.0.2.1"],
        "tags": ["v2", "eu"], "meta": { "shard": "7" },
        "consul": { "enableTagOverride": true, "deregisterCriticalServiceAfter": "10m" },
        "health": { "interval": "1s", "ttl": "10s" },
    });
    let pilot = stage(consul.http(), std::slice::from_ref(&job)).start();
    let instance = wait_for_passing(&consul, "defined");
    assert_eq!((instance.address.as_str(), instance.port), ("127.0.0.1", 4321), "the first interface that matches");
    assert_eq!(instance.tags, ["v2", "eu"]);
    let entry = &answer(&consul, "/v1/health/service/defined")[0];
    let mut meta = entry["Service"]["Meta"].clone();
    let owner = meta.as_object_mut().unwrap().remove("pilotfish-owner").unwrap();
    assert!(owner.as_str().unwrap().starts_with(&format!("{} pid 1 ", hostname())), "{owner}");
    assert_eq!(meta, json!({ "shard": "7" }));
    assert_eq!(entry["Service"]["EnableTagOverride"], true);
    let check = entry["Checks"].as_array().unwrap().iter().find(|check| check["ServiceName"] == "defined").unwrap();
    assert_eq!((&check["CheckID"], &check["Type"]), (&json!(format!("service:{}", instance.id)), &json!("ttl")));
    let environment = format!("tr '\\0' '\\n' < /proc/{}/environ", pilot.pid_of("app"));
    pilot.wait_for("the application to know the address", || {
        let environment = pilot.output_of(&["sh", "-c", &environment]);
        environment.lines().any(|line| line == "CONTAINERPILOT_DEFINED_IP=127.0.0.1").then_some(())
    });

    // What Consul 1.8 shows to nobody is seen on its way there.
    let server = FaultyServer::start(vec![Reply::consul(1, "[]"), Reply::status(200, "{}")]);
    let _pilot = stage(server.address(), &[job]).start();
    let requests = server.wait_for_requests(2);
    assert_eq!(requests[0].line, "GET /v1/health/service/defined", "whether somebody else has registered it");
    let request = &requests[1];
    assert_eq!(request.line, "PUT /v1/agent/service/register");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let after = body["Check"]["DeregisterCriticalServiceAfter"].as_str().unwrap();
    assert!(["10m", "10m0s", "600s", "600000ms"].contains(&after), "{body}");
}

#[test]
fn an_initial_status_does_not_wait_for_the_first_check() {
    let consul = consul();
    let mut warned = service("warned");
    warned["initial_status"] = "warning".into();
    // The first check goes on until the file is there: one that has failed before the catalog could be told would have been told instead.
    warned["health"] = json!({ "exec": "judge", "interval": "10m", "timeout": "9m", "ttl": "1h" });
    let judge = "until test -e @DIR@/healthy; do sleep 0.05; done";
    let pilot = stage(consul.http(), &[warned]).script("judge", judge).start();
    wait_for_statuses(&consul, "warned", &["warning"]);
    pilot.write("healthy", "");
    wait_for_statuses(&consul, "warned", &["passing"]);
}

#[test]
fn a_crash_is_told_at_once_and_not_when_the_ttl_has_passed() {
    let consul = consul();
    let crashing = json!({
        "name": "crashing", "exec": ["sh", "-c", "test -e @DIR@/stay && exec sleep 4000; exit 1"],
        "port": 4000, "interfaces": ["lo"], "restarts": "unlimited", "restartBackoff": { "initial": "1h", "max": "1h" },
        "health": { "interval": "100ms", "ttl": "1h" },
    });
    let pilot = stage(consul.http(), &[crashing]).file("stay", "").start();
    wait_for_passing(&consul, "crashing");
    pilot.wait_for("the program", || pilot.processes_with("sleep 4000").pop());
    std::fs::remove_file(pilot.file("stay")).unwrap();
    pilot.kill_inside(pilot.pid_of("crashing"), "KILL");
    wait_for_statuses(&consul, "crashing", &["critical"]);
    pilot.wait_for_job("crashing", |job| job["state"] == "backoff");
}

#[test]
fn a_job_that_is_over_leaves_the_catalog() {
    let consul = consul();
    let batch = json!({
        "name": "batch", "exec": ["sleep", "infinity"], "port": 4000, "interfaces": ["lo"],
        "health": { "interval": "100ms", "ttl": "1h" },
    });
    let pilot = stage(consul.http(), &[batch]).start();
    wait_for_passing(&consul, "batch");
    pilot.kill_inside(pilot.pid_of("batch"), "TERM");
    wait_for_statuses(&consul, "batch", &[]);
    assert_eq!(pilot.job("app")["state"], "running");
}

#[test]
fn what_is_deregistered_by_hand_comes_back() {
    let consul = consul();
    let mut steady = service("by-hand");
    steady["health"] = json!({ "interval": "10s", "ttl": "1h" });
    let pilot = stage(consul.http(), &[steady]).start();
    let instance = wait_for_passing(&consul, "by-hand");
    for lost in 1..=3 {
        // The agent is asked: it is ahead of the catalog.
        let path = format!("/v1/agent/service/{}", instance.id);
        wait_until("the agent to have the service", || get(&consul, &path));
        deregister(&consul, &instance.id);
        pilot.wait_for("another registration", || {
            (pilot.stdout.all("by-hand-").iter().filter(|line| line.contains("registered with")).count() > lost)
                .then_some(())
        });
        wait_for_passing(&consul, "by-hand");
    }
    pilot.wait_for_line("the catalog has lost by-hand");
}

#[test]
fn maintenance_of_an_operator_is_his() {
    let consul = consul();
    let pilot = stage(consul.http(), &[service("operated")]).file("healthy", "").start();
    let instance = wait_for_passing(&consul, "operated");
    let healthy = || get(&consul, "/v1/health/service/operated?passing").map(|found| found.as_array().map(Vec::len));
    let maintenance = format!("/v1/agent/service/maintenance/{}", instance.id);
    put(&consul, &format!("{maintenance}?enable=true&reason=test"), "");
    wait_until("nobody to be sent there", || (healthy()? == Some(0)).then_some(()));
    wait_for_heartbeats(&pilot, "operated", 3, || {
        assert!(healthy().is_none_or(|healthy| healthy == Some(0)), "a heartbeat does not end it")
    });
    put(&consul, &format!("{maintenance}?enable=false"), "");
    wait_until("clients to be sent there again", || (healthy()? == Some(1)).then_some(()));
}

#[test]
fn two_supervisors_of_one_service_see_each_other() {
    let consul = consul();
    let start = |host: &str, port: u16| {
        let config = json!({
            "consul": consul.http().to_string(),
            "jobs": [
                app(),
                { "name": "pair", "port": port, "interfaces": ["lo"], "health": { "interval": "1s", "ttl": "10s" } },
                { "name": "changed", "exec": "changed", "when": { "source": "watch.pair", "each": "changed" } },
            ],
            "watches": [{ "name": "pair", "interval": "10s" }],
        });
        let mut stage = stage_of(config);
        rename_host(&mut stage, host);
        stage.script("changed", "echo changed >> @DIR@/changes");
        stage.start()
    };
    let pilots = [start("left", 4001), start("right", 4002)];
    let both = json!(["127.0.0.1:4001", "127.0.0.1:4002"]);
    for pilot in &pilots {
        pilot.wait_for("both to be seen", || (pilot.status()["watches"][0]["members"] == both).then_some(()));
        pilot.wait_for_file("changes", |changes| !changes.is_empty());
    }
    let mut ids: Vec<String> =
        wait_until("instances", || instances(&consul, "pair")).into_iter().map(|instance| instance.id).collect();
    ids.sort();
    assert_eq!(ids, ["pair-left", "pair-right"]);
    pilots[0].stop();
    let one = json!(["127.0.0.1:4002"]);
    pilots[1].wait_for("one to be left", || (pilots[1].status()["watches"][0]["members"] == one).then_some(()));
}

/// cp#590: the check hangs for longer than the others' heartbeats are believed.
#[test]
fn a_check_that_hangs_costs_nobody_else_a_heartbeat() {
    let consul = consul();
    let healthy = |index: usize| {
        json!({
            "name": format!("beside-{index}"), "port": 4000, "interfaces": ["lo"],
            "health": { "exec": "true", "interval": "500ms", "ttl": "9s" },
        })
    };
    let mut jobs: Vec<_> = (0..4).map(healthy).collect();
    jobs.push(json!({
        "name": "hanging", "port": 4000, "interfaces": ["lo"],
        "health": {
            "exec": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
            "interval": "11s", "timeout": "10s", "ttl": "40s",
        },
    }));
    let pilot = stage(consul.http(), &jobs).start();
    for index in 0..4 {
        wait_for_passing(&consul, &format!("beside-{index}"));
    }
    pilot.wait_for("the hanging check to be killed", || {
        for index in 0..4 {
            let name = format!("beside-{index}");
            assert_passing(&consul, &name);
        }
        pilot.stdout.find("killed: it took longer than 10.0 s")
    });
    assert_absent(&consul, "hanging");
}

/// An agent takes 200 connections of one address (`http_max_conns_per_client`); a supervisor must do with few.
#[test]
fn more_services_than_an_agent_takes_connections() {
    let consul = Consul::start();
    let jobs: Vec<_> = (0..230)
        .map(|index| {
            json!({ "name": format!("crowd-{index}"), "port": 4000, "interfaces": ["lo"],
                    "health": { "interval": "8s", "ttl": "5m" } })
        })
        .collect();
    let pilot = stage(consul.http(), &jobs).start();
    let passing = || {
        let checks = get(&consul, "/v1/agent/checks")?;
        Some(checks.as_object()?.values().filter(|check| check["Status"] == "passing").count())
    };
    // As long as another one comes, they are waited for.
    let mut seen = 0;
    while seen < 230 {
        seen = pilot.wait_for("more to be passing", || passing().filter(|passing| *passing > seen));
    }
    wait_for_heartbeats(&pilot, "crowd-229", 2, || assert!(passing().is_none_or(|passing| passing == 230)));
    // Consul closes a connection that is too many.
    assert_eq!(pilot.stdout.all("was lost"), [""; 0]);
}
