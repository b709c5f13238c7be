//! Two supervisors of one service: the second one is kept out as long as the first one lives, and no longer. failure-modes.md, F-C8.

use pilotfish_testing::{Consul, ConsulCluster, wait_until};
use serde_json::json;

use super::view::{answer, instances, wait_for_absence, wait_for_passing};
use super::{app, rename_host, stage_of, wait_for_heartbeats};
use crate::stage::{End, Pilot, Signal, Stage, consul};

/// Containers of the same host name serve the same; the port tells them apart.
fn twin(consul: &Consul, name: &str, port: u16, ttl: &str) -> Stage {
    let job =
        json!({ "name": name, "port": port, "interfaces": ["lo"], "health": { "interval": "250ms", "ttl": ttl } });
    let mut stage = stage_of(json!({ "consul": consul.http().to_string(), "jobs": [app(), job] }));
    rename_host(&mut stage, "one-name");
    stage
}

#[track_caller]
fn contested(pilot: &Pilot, name: &str) -> String {
    pilot.wait_for(&format!("{name} to be contested"), || {
        pilot.job(name)["service"]["contestedBy"].as_str().map(Into::into)
    })
}

#[test]
fn a_second_one_refuses_and_its_application_runs() {
    let consul = consul();
    let first = twin(&consul, "refused-twin", 4001, "9s").start();
    wait_for_passing(&consul, "refused-twin");
    let second = twin(&consul, "refused-twin", 4002, "9s").start();
    let by = contested(&second, "refused-twin");
    assert!(by.starts_with("one-name pid 1 "), "{by}");
    let first_holds = || {
        if let Some(found) = instances(&consul, "refused-twin") {
            assert_eq!((found.len(), found[0].port, found[0].status.as_str()), (1, 4001, "passing"));
        }
    };
    second.wait_for("an error that says that it will not pass", || {
        first_holds();
        second.stdout.find("another supervisor that lives")
    });
    wait_for_heartbeats(&first, "refused-twin", 4, first_holds);
    assert_eq!(second.stdout.all("registered with"), [""; 0]);
    let job = second.job("refused-twin");
    assert_eq!((&job["health"], &job["service"]["registered"]), (&json!("healthy"), &json!(false)));
    assert_eq!((second.job("app")["state"].as_str(), second.job("app")["runs"].as_u64()), (Some("running"), Some(1)));
    assert!(second.output_of(&["pilotfish", "status"]).contains("contested"));

    // One that is told to does not even run.
    let mut strict = twin(&consul, "refused-twin", 4004, "9s");
    let config = std::fs::read_to_string(strict.path().join("config.json5")).unwrap();
    strict.config(&config.replace("\"ttl\":\"9s\"}", "\"ttl\":\"9s\"},\"consul\":{\"exitOnConflict\":true}"));
    let strict = strict.start();
    assert_eq!(strict.wait_for_end(), End::Code(2));
    strict.wait_for_line("stopping: another supervisor has registered refused-twin-one-name");
    first_holds();

    // What is not its own it leaves alone when it stops; and when the first one stops, the next one is there.
    second.stop();
    first_holds();
    let third = twin(&consul, "refused-twin", 4003, "9s").start();
    contested(&third, "refused-twin");
    first.stop();
    third.wait_for("the third one to be registered", || {
        let found = instances(&consul, "refused-twin")?;
        (found.len() == 1 && found[0].port == 4003).then_some(())
    });
    assert!(third.job("refused-twin")["service"]["contestedBy"].is_null());
}

/// A container that is started again has the name of the one before, whose check is passing until its TTL has passed.
#[test]
fn a_successor_waits_for_the_ttl_of_a_predecessor_that_was_killed() {
    let consul = consul();
    let first = twin(&consul, "succeeded-twin", 4001, "12s").start();
    wait_for_passing(&consul, "succeeded-twin");
    // The kernel gives the number of a namespace that is gone to the next one, which would be a proof. This one is kept.
    let _kept = std::fs::File::open(format!("/proc/{}/ns/pid", first.pid().as_raw_nonzero())).unwrap();
    first.signal(Signal::KILL);
    first.wait_for_end();
    let second = twin(&consul, "succeeded-twin", 4002, "12s").start();
    contested(&second, "succeeded-twin");
    second.wait_for("the second one to be registered", || {
        let found = instances(&consul, "succeeded-twin")?;
        (found.len() == 1 && found[0].port == 4002 && found[0].status == "passing").then_some(())
    });
    assert_eq!(second.stdout.all("another supervisor that lives"), [""; 0]);
    second.stop();
    wait_for_absence(&consul, "succeeded-twin");
}

/// A service manager starts the supervisor again among the same processes: there its predecessor is seen to be gone.
#[test]
fn a_successor_that_sees_its_predecessor_gone_does_not_wait() {
    let consul = consul();
    let mut stage = twin(&consul, "seen-gone", 4001, "1h");
    stage.program("unshare --uts sh -c 'hostname one-name; pilotfish \"$@\"; exec pilotfish \"$@\"' sh");
    let pilot = stage.start();
    let before = wait_for_passing(&consul, "seen-gone");
    let owner = || answer(&consul, "/v1/catalog/service/seen-gone")[0]["ServiceMeta"]["pilotfish-owner"].clone();
    let first = owner();
    let pid = pilot.processes_with("pilotfish -c")[0].pid;
    pilot.kill_inside(pid, "KILL");
    wait_until("its successor to be the owner", || (owner() != first).then_some(()));
    assert_eq!(wait_for_passing(&consul, "seen-gone").id, before.id);
    assert_eq!(pilot.stdout.all("by another supervisor"), [""; 0]);
}

/// The agents of a cluster know nothing of each other's services; the catalog does.
#[test]
fn a_second_one_with_another_agent() {
    let cluster = ConsulCluster::start();
    let first = twin(&cluster.servers[0], "far-twin", 4001, "12s").start();
    let home = wait_for_passing(&cluster.servers[1], "far-twin").node;
    let second = twin(&cluster.servers[1], "far-twin", 4002, "12s").start();
    contested(&second, "far-twin");
    wait_for_heartbeats(&first, "far-twin", 4, || {
        if let Some(found) = instances(&cluster.servers[1], "far-twin") {
            assert_eq!((found.len(), found[0].node.as_str(), found[0].port), (1, home.as_str(), 4001));
        }
    });
    first.stop();
    let moved = |found: &super::view::Instance| found.node != home && found.port == 4002;
    second.wait_for("the second one to be registered", || {
        let found = instances(&cluster.servers[1], "far-twin")?;
        (found.len() == 1 && moved(&found[0])).then_some(())
    });
}

/// Somebody overwrites the registration in spite of all: the supervisor sees it at once, and does not fight.
#[test]
fn one_that_is_overwritten_gives_way() {
    let consul = consul();
    let pilot = twin(&consul, "overwritten", 4001, "1h").start();
    let id = wait_for_passing(&consul, "overwritten").id;
    let body = json!({ "Name": "overwritten", "ID": id, "Port": 4009, "Meta": { "pilotfish-owner": "other pid 1 x-y-z" },
                       "Check": { "TTL": "1h", "Status": "passing" } });
    super::view::put(&consul, "/v1/agent/service/register", &body.to_string());
    assert_eq!(contested(&pilot, "overwritten"), "other pid 1 x-y-z");
    pilot.stop();
    assert_eq!(wait_for_passing(&consul, "overwritten").port, 4009);
}
