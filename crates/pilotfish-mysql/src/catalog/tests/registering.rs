//! The registration: one member under one of two names, with agents that forget it, end, and return.

use std::time::{Duration, Instant};

use pilotfish_autopilot::{MemberId, Role};
use pilotfish_consul::{CheckStatus, Client, Cursor, HealthQuery, Read, ServiceInstance};
use pilotfish_testing::{Consul, ConsulCluster, FaultyServer, Reply};

use super::{LIMIT, LONG, client};
use crate::catalog::{Health, Registration};
use crate::settings::Settings;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn registration(client: Client) -> Registration {
    let settings = Settings::of_a_test();
    Registration::new(client, &settings, MemberId(1), "11.8".into(), PATIENCE, LIMIT)
}

fn well() -> Health {
    Ok("replicates".into())
}

async fn instances(client: &Client, name: &str, cursor: &Cursor) -> (Vec<ServiceInstance>, u64) {
    let query =
        HealthQuery { read: Read::default().after(cursor, LONG), service: name.into(), ..HealthQuery::default() };
    let answer = client.health_service(&query).await.unwrap();
    (answer.value, answer.index)
}

/// Asks until it is so, by questions that wait for a change.
async fn wait_for(client: Client, name: &'static str, so: impl Fn(&[ServiceInstance]) -> bool) {
    let mut cursor = Cursor::new();
    let watch = async {
        loop {
            let (found, index) = instances(&client, name, &cursor).await;
            if so(&found) {
                return;
            }
            cursor.advance(index);
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, watch).await;
    assert!(outcome.is_ok(), "whoever watches {name} is not woken");
}

/// The only instance has this status, with this in its text. A text alone Consul's agent keeps to itself for minutes (`check_update_interval`); it
/// is in the catalog with the next change of status.
fn says(instances: &[ServiceInstance], status: CheckStatus, text: &str) -> bool {
    let is = |instance: &ServiceInstance| {
        instance.checks.iter().any(|check| check.status == status && check.output.contains(text))
    };
    instances.len() == 1 && is(&instances[0])
}

#[tokio::test]
async fn a_change_of_role_wakes_those_who_watch_either_name() {
    let consul = Consul::start();
    let client = client(&[consul.http()]);
    let mut registration = registration(client.clone());
    registration.set(Some(Role::Replica), &well(), 1).await.unwrap();
    wait_for(client.clone(), "db", |found| says(found, CheckStatus::Passing, "")).await;
    for (term, role, gone, come) in [(2, Role::Primary, "db", "db-primary"), (3, Role::Replica, "db-primary", "db")] {
        // Both wait for a change of what is there now, before there is one.
        let mut cursors = [Cursor::new(); 2];
        for (name, cursor) in [gone, come].into_iter().zip(&mut cursors) {
            cursor.advance(instances(&client, name, cursor).await.1);
        }
        let first = tokio::spawn(wait_for(client.clone(), gone, <[ServiceInstance]>::is_empty));
        let second = tokio::spawn(wait_for(client.clone(), come, |found| says(found, CheckStatus::Passing, "")));
        registration.set(Some(role), &Ok("serves".into()), term).await.unwrap();
        first.await.unwrap();
        second.await.unwrap();
        let (found, _) = instances(&client, come, &Cursor::new()).await;
        let service = &found[0];
        assert_eq!((service.id.clone(), service.port), (format!("{come}-1"), 3306));
        assert_eq!(service.address, "127.0.0.1");
        assert_eq!(service.meta["term"], term.to_string());
    }
    registration.remove().await.unwrap();
    wait_for(client, "db", <[ServiceInstance]>::is_empty).await;
}

#[tokio::test]
async fn who_cannot_be_used_says_why() {
    let consul = Consul::start();
    let client = client(&[consul.http()]);
    let mut registration = registration(client.clone());
    // Never passing for a moment.
    registration
        .set(Some(Role::Replica), &Err((CheckStatus::Critical, "it was not looked at".into())), 1)
        .await
        .unwrap();
    let (found, _) = instances(&client, "db", &Cursor::new()).await;
    assert!(says(&found, CheckStatus::Critical, ""));
    registration.set(Some(Role::Replica), &well(), 1).await.unwrap();
    wait_for(client.clone(), "db", |found| says(found, CheckStatus::Passing, "replicates")).await;
    registration.set(Some(Role::Replica), &Err((CheckStatus::Critical, "it lags".into())), 1).await.unwrap();
    wait_for(client.clone(), "db", |found| says(found, CheckStatus::Critical, "it lags")).await;
}

#[tokio::test]
async fn an_agent_that_forgot_us_is_told_again() {
    let mut consul = Consul::start();
    let client = client(&[consul.http()]);
    let mut registration = registration(client.clone());
    registration.set(Some(Role::Primary), &well(), 4).await.unwrap();
    consul.restart_empty();
    registration.set(Some(Role::Primary), &well(), 4).await.unwrap();
    wait_for(client, "db-primary", |found| says(found, CheckStatus::Passing, "")).await;
}

#[tokio::test]
async fn another_agent_takes_over_and_the_twin_of_the_first_is_removed() {
    let mut cluster = ConsulCluster::start();
    let addresses: Vec<_> = cluster.servers.iter().map(Consul::http).collect();
    let mut registration = registration(client(&addresses));
    let since = Instant::now();
    // On a busy machine the servers may have to elect a leader now and then.
    while let Err(error) = registration.set(Some(Role::Replica), &well(), 1).await {
        assert!(since.elapsed() < PATIENCE, "nobody takes the registration: {error}");
    }
    let holds = |server: &Consul| {
        server.request("GET", "/v1/agent/services", "").is_some_and(|(_, body)| body.contains("\"db-1\""))
    };
    let home = cluster.servers.iter().position(holds).expect("one of them was told");
    cluster.servers[home].kill();
    let since = Instant::now();
    // The others may have to elect a leader first.
    while registration.set(Some(Role::Replica), &well(), 1).await.is_err() {
        assert!(since.elapsed() < PATIENCE, "nobody takes the registration");
    }
    assert!(cluster.servers.iter().any(holds));
    // It kept its registrations, and would tell the others of them for as long as they pass.
    cluster.servers[home].restart();
    let since = Instant::now();
    let holders = || cluster.servers.iter().filter(|server| holds(server)).count();
    while holds(&cluster.servers[home]) || holders() != 1 {
        let outcome = registration.set(Some(Role::Replica), &well(), 1).await;
        assert!(since.elapsed() < PATIENCE, "the twin is still there: {outcome:?}");
    }
    registration.remove().await.unwrap();
    assert!(!cluster.servers.iter().any(holds));
}

#[tokio::test]
async fn an_agent_that_took_the_registration_without_an_answer_is_no_home_and_is_cleared() {
    let itself = |node: &str| {
        let config = serde_json::json!({
            "Datacenter": "dc1", "NodeName": node, "NodeID": node, "Version": "1.8.7", "Server": true,
        });
        Reply::status(200, &serde_json::json!({ "Config": config }).to_string())
    };
    let done = Reply::status(200, "");
    let slow = FaultyServer::start(vec![Reply::Hole, itself("slow"), done.clone()]);
    let home = FaultyServer::start(vec![done.clone(), done.clone(), done.clone(), done.clone(), itself("home"), done]);
    let mut registration = registration(client(&[slow.address(), home.address()]));
    registration.set(Some(Role::Replica), &well(), 1).await.unwrap_err();
    registration.set(Some(Role::Replica), &well(), 1).await.unwrap();
    registration.set(Some(Role::Replica), &well(), 1).await.unwrap();
    let since = Instant::now();
    while slow.requests().len() < 4 {
        assert!(since.elapsed() < PATIENCE, "the twin is still there");
        tokio::task::yield_now().await;
    }
    let mut removed: Vec<String> = slow.requests().into_iter().skip(2).map(|request| request.line).collect();
    removed.sort();
    assert_eq!(removed, ["db-1", "db-primary-1"].map(|id| format!("PUT /v1/agent/service/deregister/{id}")));
}
