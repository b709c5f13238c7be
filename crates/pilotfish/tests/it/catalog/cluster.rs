//! Three Consul servers of which one is lost: registrations and watches move on, and nothing is left behind.

use std::time::Instant;

use pilotfish_testing::{Consul, ConsulCluster, wait_until};
use serde_json::{Value, json};

use super::view::{get, instances, register, wait_for_passing};
use super::{app, service, stage_of};
use crate::stage::Pilot;

/// A supervisor that asks these servers, in this order, with one healthy service and one watch.
fn supervised(servers: &[&Consul], name: &str) -> Pilot {
    let mut stage = stage_of(document(servers, name));
    stage.file("healthy", "").script("react", REACT).start()
}

const REACT: &str = "echo >> @DIR@/reactions";

fn document(servers: &[&Consul], name: &str) -> Value {
    let addresses: Vec<String> = servers.iter().map(|server| server.http().to_string()).collect();
    json!({
        "consul": addresses,
        "jobs": [app(), service(name), { "name": "react", "exec": "react", "when": { "source": "watch.other", "each": "changed" } }],
        // The end of a query that hangs is not what anybody waits for.
        "watches": [{ "name": "other", "interval": "10m" }],
        "logging": { "level": "debug" },
    })
}

/// Waits until one of the agents has the service for good, and says which: the first one, unless that was too slow under load.
#[track_caller]
fn home(pilot: &Pilot, name: &str, cluster: &ConsulCluster) -> usize {
    pilot.wait_for(&format!("{name} to be registered, once"), || {
        let agent = pilot.job(name)["service"]["agent"].as_str()?.to_owned();
        let home = cluster.servers.iter().position(|server| agent == format!("http://{}", server.http()))?;
        let found = instances(&cluster.servers[home], name)?;
        (found.len() == 1 && found[0].node == cluster.servers[home].node()).then_some(home)
    })
}

/// Waits until the catalog shows the service once, passing, on another node than this.
#[track_caller]
fn wait_for_move(pilot: &Pilot, survivor: &Consul, name: &str, from: &str) {
    pilot.wait_for(&format!("{name} to be registered away from {from}, once"), || {
        let found = instances(survivor, name)?;
        (found.len() == 1 && found[0].node != from && found[0].status == "passing").then_some(())
    });
}

#[test]
fn our_server_is_killed_and_comes_back() {
    let mut cluster = ConsulCluster::start();
    let [first, second, third] = &cluster.servers[..] else { panic!("a cluster has three servers") };
    let pilot = supervised(&[first, second, third], "mover");
    wait_for_passing(second, "mover");
    let home = home(&pilot, "mover", &cluster);
    let (lost, survivor) = (cluster.servers[home].node(), (home + 1) % 3);

    cluster.servers[home].kill();
    let begun = Instant::now();
    wait_for_move(&pilot, &cluster.servers[survivor], "mover", &lost);
    println!("registered elsewhere {:?} after the server was killed", begun.elapsed());

    cluster.servers[home].restart();
    let returned = &cluster.servers[home];
    wait_until("no twin to be left with the server that has returned", || {
        let services = get(returned, "/v1/agent/services")?;
        services.as_object()?.is_empty().then_some(())
    });
    wait_for_move(&pilot, &cluster.servers[survivor], "mover", &lost);
    assert_eq!(pilot.job("app")["runs"], 1);
}

#[test]
fn the_leader_is_killed() {
    let mut cluster = ConsulCluster::start();
    let leader = cluster.leader();
    let others: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    let order: Vec<&Consul> = others.iter().chain([&leader]).map(|index| &cluster.servers[*index]).collect();
    let pilot = supervised(&order, "steady");
    let home = &cluster.servers[others[0]];
    wait_for_passing(home, "steady");
    pilot.wait_for_job("steady", |job| job["service"]["agent"].is_string());
    cluster.servers[leader].kill();
    let home = &cluster.servers[others[0]];
    wait_until("another leader", || (cluster.leader() != leader).then_some(()));
    wait_for_passing(home, "steady");
    register(home, "other", "other-1", 80, &[]);
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 1);
    // With its own agent, or where that is too slow under load with another one: but once.
    wait_for_passing(home, "steady");
    assert_eq!(pilot.job("app")["runs"], 1);
}

/// All agents take the registration, and none of them says so in time: one of them has no leader to tell of it, the others hang.
#[test]
fn a_registration_that_nobody_answers_is_left_nowhere() {
    let cluster = ConsulCluster::start();
    let pilot = supervised(&cluster.servers.iter().collect::<Vec<_>>(), "spread");
    let home = &cluster.servers[home(&pilot, "spread", &cluster)];
    let [hung, leaderless] = others(&cluster, home);
    let holds = |server: &Consul| Some(!get(server, "/v1/agent/services")?.as_object()?.is_empty());
    home.pause();
    hung.pause();
    // It does not know the service when its heartbeat comes, and is asked to take it.
    pilot.wait_for("the server without a leader to take it", || holds(leaderless)?.then_some(()));
    let asked = format!("consul at http://{} did not answer PUT /v1/agent/service/register", hung.http());
    pilot.wait_for_line(&asked);
    home.resume();
    hung.resume();
    pilot.wait_for("one server to hold it, and the catalog to show it once", || {
        let holders = cluster.servers.iter().map(holds).collect::<Option<Vec<bool>>>()?;
        let shown = instances(home, "spread")?;
        (holders.into_iter().filter(|holds| *holds).count() == 1 && shown.len() == 1 && shown[0].status == "passing")
            .then_some(())
    });
    assert_eq!(pilot.job("app")["runs"], 1);
}

/// The servers that are not this one.
fn others<'c>(cluster: &'c ConsulCluster, one: &Consul) -> [&'c Consul; 2] {
    let others: Vec<&Consul> = cluster.servers.iter().filter(|server| server.http() != one.http()).collect();
    others.try_into().unwrap_or_else(|_| panic!("a cluster has three servers"))
}

/// No heartbeat tells that the server hangs.
#[test]
fn the_server_of_a_watch_hangs() {
    let cluster = ConsulCluster::start();
    let leader = cluster.leader();
    let (hung, survivor) = (&cluster.servers[(leader + 1) % 3], &cluster.servers[leader]);
    let config = json!({
        "consul": [hung.http().to_string(), survivor.http().to_string()],
        "jobs": [app(), { "name": "react", "exec": "react", "when": { "source": "watch.moved", "each": "changed" } }],
        "watches": [{ "name": "moved", "interval": "1s" }],
    });
    let pilot = stage_of(config).script("react", REACT).start();
    register(survivor, "moved", "moved-1", 80, &[]);
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 1);
    hung.pause();
    register(survivor, "moved", "moved-2", 81, &[]);
    let begun = Instant::now();
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 2);
    println!("the watch saw a change {:?} after it, its server having hung before", begun.elapsed());
    pilot.wait_for("the watch to be sound", || pilot.status()["watches"][0]["failing"].is_null().then_some(()));
}

/// No service is with the server that hangs, so no heartbeat tells of that; but a registration that nobody answers does.
#[test]
fn the_server_hangs_before_anything_is_registered() {
    let cluster = ConsulCluster::start();
    let leader = cluster.leader();
    let (hung, survivor) = (&cluster.servers[(leader + 1) % 3], &cluster.servers[leader]);
    let pilot = stage_of(document(&[hung, survivor], "late")).script("react", REACT).start();
    pilot.wait_for("the watch to be answered", || pilot.status()["watches"][0]["age"].is_number().then_some(()));
    hung.pause();
    pilot.write("healthy", "");
    wait_for_move(&pilot, survivor, "late", &hung.node());
    register(survivor, "other", "other-1", 80, &[]);
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 1);
}

#[test]
fn our_server_hangs() {
    let cluster = ConsulCluster::start();
    let leader = cluster.leader();
    // A leader that hangs is another matter: here it goes on.
    let hung = (leader + 1) % 3;
    let survivor = &cluster.servers[leader];
    let pilot = supervised(&[&cluster.servers[hung], survivor, &cluster.servers[(leader + 2) % 3]], "escaping");
    wait_for_passing(survivor, "escaping");
    cluster.servers[hung].pause();
    let begun = Instant::now();
    wait_for_move(&pilot, survivor, "escaping", &cluster.servers[hung].node());
    println!("registered elsewhere {:?} after the server began to hang", begun.elapsed());
    // The watch holds its query open at the same server, and has to move on, too.
    register(survivor, "other", "other-2", 80, &[]);
    let begun = Instant::now();
    pilot.wait_for_file("reactions", |reactions| reactions.lines().count() == 1);
    println!("the watch saw a change {:?} after it, its server having hung before", begun.elapsed());
    cluster.servers[hung].resume();
    wait_until("no twin to be left with the server that has gone on", || {
        let services = get(&cluster.servers[hung], "/v1/agent/services")?;
        services.as_object()?.is_empty().then_some(())
    });
    wait_for_move(&pilot, survivor, "escaping", &cluster.servers[hung].node());
}
