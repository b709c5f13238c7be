//! Every call, against a real Consul.

use std::time::Duration;

use bytes::Bytes;
use pilotfish_consul::{
    CHECK_OUTPUT_LIMIT, CatalogInstance, CatalogRegistration, CheckStatus, Client, Config, Consistency, Error,
    HealthQuery, HealthState, KvWrite, Leader, MemberStatus, NewSession, Read, ServiceEntry, TRANSACTION_OPERATIONS,
    TxnOperation, TxnOutcome,
};
use pilotfish_testing::{Consul, ConsulOptions, wait_until};

use crate::{client, run, service};

#[test]
fn agent() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let about = client.agent_self().await.unwrap().value;
        assert_eq!((about.node, about.server, about.datacenter.as_str()), (consul.node(), true, "dc1"));
        let members = client.agent_members().await.unwrap().value;
        assert_eq!((members.len(), members[0].status), (1, MemberStatus::Alive));
        assert_eq!(members[0].tags["role"], "consul");

        client.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        let known = client.agent_services().await.unwrap().value;
        assert_eq!((known["web-1"].port, known["web-1"].enable_tag_override), (80, true));
        let one = client.agent_service("web-1").await.unwrap().value;
        assert_eq!((one.name.as_str(), one.tags.len(), one.meta["version"].as_str()), ("web", 2, "1"));

        client.service_maintenance("web-1", true, "it is broken").await.unwrap();
        let state = |output: &'static str| {
            let client = client.clone();
            async move {
                let found = client.health_state(HealthState::Any, &Read::default()).await.unwrap().value;
                found.iter().any(|check| check.notes == output)
            }
        };
        assert!(state("it is broken").await);
        client.service_maintenance("web-1", false, "").await.unwrap();
        client.node_maintenance(true, "the node too").await.unwrap();
        assert!(state("the node too").await);
        client.node_maintenance(false, "").await.unwrap();

        client.agent_deregister("web-1").await.unwrap();
        client.agent_deregister("web-1").await.unwrap();
        let error = client.agent_service("web-1").await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let error = client.service_maintenance("web-1", true, "").await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    });
}

#[test]
fn checks_and_health() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let error = client.check_pass("service:web-1", "").await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "an unknown check means: register again; {error}");
        client.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();

        let passing = HealthQuery { tags: vec!["a".into(), "b".into()], ..HealthQuery::passing("web") };
        assert_eq!(client.health_service(&passing).await.unwrap().value, []);
        client.check_pass("service:web-1", "fine").await.unwrap();
        let answer = client.health_service(&passing).await.unwrap();
        assert!(answer.index > 0 && answer.leader == Leader::Known && answer.last_contact == Some(Duration::ZERO));
        let [instance] = &answer.value[..] else { panic!("{:?}", answer.value) };
        assert_eq!((instance.id.as_str(), instance.address.as_str(), instance.port), ("web-1", "10.1.2.3", 80));
        assert_eq!((instance.status(), instance.node.clone()), (CheckStatus::Passing, consul.node()));

        client.check_warn("service:web-1", "slow").await.unwrap();
        let all = HealthQuery { passing: false, ..passing.clone() };
        assert_eq!(client.health_service(&all).await.unwrap().value[0].status(), CheckStatus::Warning);
        client.check_fail("service:web-1", &"ä".repeat(1 << 20)).await.unwrap();
        let checks = client.health_checks("web", &Read::default()).await.unwrap().value;
        assert_eq!((checks[0].status, checks[0].service_id.as_str()), (CheckStatus::Critical, "web-1"));
        assert!(checks[0].output.len() <= CHECK_OUTPUT_LIMIT && checks[0].output.starts_with("ää"));
        let critical = HealthState::Only(CheckStatus::Critical);
        assert_eq!(client.health_state(critical, &Read::default()).await.unwrap().value.len(), 1);
        assert_eq!(client.health_node(&consul.node(), &Read::default()).await.unwrap().value.len(), 2);

        for (read, found) in [
            (Read { consistency: Consistency::Consistent, ..Read::default() }, 1),
            (Read { consistency: Consistency::Stale, near: Some("_agent".into()), ..Read::default() }, 1),
            (Read { filter: Some("Service.Meta.version == 2".into()), ..Read::default() }, 0),
            (Read { filter: Some("Service.Meta.version == 1".into()), ..Read::default() }, 1),
            (Read { node_meta: vec![("no".into(), "such".into())], ..Read::default() }, 0),
        ] {
            let query = HealthQuery { read, ..all.clone() };
            assert_eq!(client.health_service(&query).await.unwrap().value.len(), found, "{query:?}");
        }
        let bad = HealthQuery { read: Read { filter: Some("((".into()), ..Read::default() }, ..all.clone() };
        assert!(matches!(client.health_service(&bad).await, Err(Error::Invalid { .. })));
        let elsewhere = HealthQuery { read: Read { datacenter: Some("dc9".into()), ..Read::default() }, ..all };
        assert!(
            matches!(client.health_service(&elsewhere).await, Err(Error::Unavailable { .. })),
            "unknown, not empty"
        );
    });
}

#[test]
fn catalog_and_status() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let registration = CatalogRegistration {
            node: "outside".into(),
            address: "10.9.9.9".into(),
            node_meta: [("external".to_owned(), "yes".to_owned())].into(),
            service: Some(CatalogInstance {
                id: "db-1".into(),
                name: "db".into(),
                port: 3306,
                ..CatalogInstance::default()
            }),
            ..CatalogRegistration::default()
        };
        client.catalog_register(&registration).await.unwrap();
        let nodes = client.catalog_nodes(&Read::default()).await.unwrap().value;
        assert!(nodes.iter().any(|node| node.node == "outside" && node.meta["external"] == "yes"));
        assert!(client.catalog_services(&Read::default()).await.unwrap().value.contains_key("db"));
        let instances = client.catalog_service("db", &Read::default()).await.unwrap().value;
        assert_eq!(
            (instances[0].id.as_str(), instances[0].node_address.as_str(), instances[0].port),
            ("db-1", "10.9.9.9", 3306)
        );
        let (node, services) = client.catalog_node("outside", &Read::default()).await.unwrap().value.unwrap();
        assert_eq!((node.address.as_str(), services.len(), services[0].name.as_str()), ("10.9.9.9", 1, "db"));
        assert_eq!(client.catalog_node("nowhere", &Read::default()).await.unwrap().value, None);
        let collect = |found: &mut Vec<String>, entry: ServiceEntry<'_>| {
            found.push(format!("{} {} {}", &*entry.node.node, &*entry.service.id, entry.service.port));
        };
        let query = HealthQuery::passing("db");
        let found = client.health_service_fold(&query, &Read::default(), Vec::new, collect).await.unwrap();
        assert_eq!(found.value, ["outside db-1 3306"]);
        client.catalog_deregister("outside", Some("db-1")).await.unwrap();
        assert_eq!(client.catalog_service("db", &Read::default()).await.unwrap().value, []);
        client.catalog_deregister("outside", None).await.unwrap();
        client.catalog_deregister("outside", None).await.unwrap();
        assert_eq!(client.catalog_nodes(&Read::default()).await.unwrap().value.len(), 1);
        let bad = CatalogRegistration { node: "n".into(), ..CatalogRegistration::default() };
        assert!(matches!(client.catalog_register(&bad).await, Err(Error::Invalid { .. })));

        assert_eq!(client.catalog_datacenters().await.unwrap().value, ["dc1"]);
        let leader = client.status_leader().await.unwrap().value.unwrap();
        assert_eq!(client.status_peers().await.unwrap().value, [leader]);
    });
}

#[test]
fn keys_and_values() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let read = Read::default();
        let absent = client.kv_get("a/ü b?", &read).await.unwrap();
        assert!(absent.value.is_none() && absent.index > 0 && absent.leader == Leader::Known);
        assert_eq!(client.kv_recurse("a/", &read).await.unwrap().value, []);
        assert_eq!(client.kv_keys("a/", None, &read).await.unwrap().value, [""; 0]);

        let value = Bytes::from_static(b"\0\xff bytes");
        assert!(client.kv_put("a/ü b?", value.clone(), 42, &KvWrite::Always).await.unwrap().value);
        let pair = client.kv_get("a/ü b?", &read).await.unwrap().value.unwrap();
        assert_eq!((pair.key.as_str(), &pair.value[..], pair.flags), ("a/ü b?", &value[..], 42));
        let cas = |index| KvWrite::Cas(index);
        assert!(!client.kv_put("a/ü b?", value.clone(), 0, &cas(0)).await.unwrap().value);
        assert!(client.kv_put("a/ü b?", Bytes::new(), 0, &cas(pair.modify_index)).await.unwrap().value);
        assert!(client.kv_get("a/ü b?", &read).await.unwrap().value.unwrap().value.is_empty());

        client.kv_put("a/c/d", value.clone(), 0, &KvWrite::Always).await.unwrap();
        assert_eq!(client.kv_recurse("a/", &read).await.unwrap().value.len(), 2);
        assert_eq!(client.kv_keys("a/", Some("/"), &read).await.unwrap().value, ["a/c/", "a/ü b?"]);
        assert!(!client.kv_delete("a/c/d", Some(1)).await.unwrap().value);
        assert!(client.kv_delete("a/c/d", None).await.unwrap().value);
        assert!(client.kv_delete_recurse("a/").await.unwrap().value);
        assert_eq!(client.kv_recurse("", &read).await.unwrap().value, []);

        let large = Bytes::from(vec![7; 500 * 1024]);
        client.kv_put("large", large.clone(), 0, &KvWrite::Always).await.unwrap();
        assert_eq!(client.kv_get("large", &read).await.unwrap().value.unwrap().value, large);
        let too_large = Bytes::from(vec![7; 600 * 1024]);
        let error = client.kv_put("large", too_large, 0, &KvWrite::Always).await.unwrap_err();
        assert!(matches!(error, Error::Invalid { status: 413, .. }), "{error}");
    });
}

#[test]
fn sessions_and_transactions() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let read = Read::default();
        let new = NewSession {
            name: "mine".into(),
            ttl: Some(Duration::from_secs(600)),
            lock_delay: Some(Duration::ZERO),
            node_checks: Some(Vec::new()),
            ..NewSession::default()
        };
        let id = client.session_create(&new).await.unwrap().value;
        assert_eq!(client.session_renew(&id).await.unwrap().value.id, id);
        let found = client.session_info(&id, &read).await.unwrap().value.unwrap();
        assert_eq!((found.name.as_str(), found.ttl.as_str()), ("mine", "600000ms"));
        assert_eq!(client.session_list(&read).await.unwrap().value.len(), 1);

        assert!(client.kv_put("lock", Bytes::new(), 0, &KvWrite::Acquire(id.clone())).await.unwrap().value);
        assert_eq!(client.kv_get("lock", &read).await.unwrap().value.unwrap().session, Some(id.clone()));
        let other = client.session_create(&new).await.unwrap().value;
        assert!(!client.kv_put("lock", Bytes::new(), 0, &KvWrite::Acquire(other.clone())).await.unwrap().value);

        let operations = [
            TxnOperation::CheckSession("lock".into(), id.clone()),
            TxnOperation::CheckNotExists("x".into()),
            TxnOperation::Set("x".into(), b"1".to_vec()),
            TxnOperation::Get("x".into()),
            TxnOperation::Unlock("lock".into(), b"free".to_vec(), id.clone()),
            TxnOperation::Lock("lock".into(), b"taken".to_vec(), other.clone()),
            TxnOperation::GetTree("x".into()),
        ];
        let TxnOutcome::Committed(pairs) = client.txn(&operations).await.unwrap().value else { panic!("rolled back") };
        assert!(pairs.iter().any(|pair| pair.key == "x" && pair.value == b"1"));
        let index = client.kv_get("x", &read).await.unwrap().value.unwrap().modify_index;
        let TxnOutcome::RolledBack(failures) = client.txn(&operations).await.unwrap().value else {
            panic!("committed")
        };
        assert_eq!(failures[0].operation, 0, "{failures:?}");
        let operations = [
            TxnOperation::CheckIndex("x".into(), index),
            TxnOperation::Cas("x".into(), b"2".to_vec(), index),
            TxnOperation::Delete("nothing".into()),
            TxnOperation::DeleteTree("nothing/".into()),
        ];
        assert!(matches!(client.txn(&operations).await.unwrap().value, TxnOutcome::Committed(_)));
        let stale = client.txn(&[TxnOperation::DeleteCas("x".into(), index)]).await.unwrap().value;
        assert!(matches!(stale, TxnOutcome::RolledBack(_)));
        let many = vec![TxnOperation::Get("x".into()); TRANSACTION_OPERATIONS + 1];
        assert!(matches!(client.txn(&many).await, Err(Error::Invalid { .. })));

        assert!(client.kv_put("lock", Bytes::new(), 0, &KvWrite::Release(other.clone())).await.unwrap().value);
        client.session_destroy(&id).await.unwrap();
        client.session_destroy(&id).await.unwrap();
        assert!(client.session_info(&id, &read).await.unwrap().value.is_none());
        assert!(matches!(client.session_renew(&id).await, Err(Error::NotFound { .. })));
        let gone = client.kv_put("lock", Bytes::new(), 0, &KvWrite::Acquire(id)).await.unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    });
}

#[test]
fn events_and_snapshots() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let fired = client.event_fire("deploy", Bytes::from_static(b"v2")).await.unwrap().value;
        // An event travels by gossip, also to the agent that fired it.
        wait_until("the event to arrive", || {
            let (_, body) = consul.request("GET", "/v1/event/list?name=deploy", "")?;
            body.contains(&fired.id).then_some(())
        });
        let events = client.event_list(Some("deploy"), &Read::default()).await.unwrap().value;
        assert!(events.iter().any(|event| event.id == fired.id && event.payload == b"v2"), "{events:?}");

        client.kv_put("kept", Bytes::from_static(b"1"), 0, &KvWrite::Always).await.unwrap();
        let snapshot = client.snapshot_save().await.unwrap().value;
        client.kv_delete("kept", None).await.unwrap();
        client.snapshot_restore(snapshot).await.unwrap();
        assert!(client.kv_get("kept", &Read::default()).await.unwrap().value.is_some());
    });
}

#[test]
fn over_a_unix_socket() {
    let consul = Consul::start_with(ConsulOptions { unix_socket: true, ..ConsulOptions::default() });
    let address = format!("unix://{}", consul.socket().display());
    let client = Client::new(Config::with_addresses(&address).unwrap()).unwrap();
    run(async {
        assert_eq!(client.agent_self().await.unwrap().value.node, consul.node());
        assert_eq!(client.preferred().unwrap().to_string(), address);
    });
}

#[test]
fn a_service_that_consul_has_lost_is_registered_again() {
    let mut consul = Consul::start();
    run(async {
        let client = client(consul.http());
        client.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        client.check_pass("service:web-1", "").await.unwrap();
        consul.restart();
        client.check_pass("service:web-1", "").await.unwrap();
        consul.restart_empty();
        assert!(matches!(client.check_pass("service:web-1", "").await, Err(Error::NotFound { .. })));
        client.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        client.check_pass("service:web-1", "").await.unwrap();
        wait_until("the service to pass", || {
            let (_, body) = consul.request("GET", "/v1/health/service/web?passing", "")?;
            body.contains("web-1").then_some(())
        });
    });
}

#[test]
fn a_configured_datacenter_and_the_agents_own() {
    let consul = Consul::start();
    run(async {
        let config = Config::with_addresses(&consul.http().to_string()).unwrap();
        let client = Client::new(Config { datacenter: Some("dc9".into()), ..config }).unwrap();
        let query = HealthQuery { service: "consul".into(), ..HealthQuery::default() };
        assert!(client.health_service(&query).await.is_err(), "nobody knows that one");
        assert_eq!(client.local().health_service(&query).await.unwrap().value.len(), 1);
    });
}
