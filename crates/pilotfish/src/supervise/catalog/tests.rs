//! What is done with settings, guards and watches, by a server with scripted answers.

use pilotfish_config::CatalogTls;
use pilotfish_supervisor::{Service, ServiceStatus, WatchTarget};
use pilotfish_testing::{FaultyServer, PATIENCE, Reply};
use tokio::sync::mpsc;

use super::*;

fn at(authority: &str) -> CatalogSettings {
    CatalogSettings {
        addresses: vec![CatalogAddress { scheme: ConfigScheme::Http, authority: authority.into() }],
        token: None,
        token_file: None,
        credentials: None,
        datacenter: None,
        tls: CatalogTls {
            ca_file: None,
            ca_path: None,
            client_cert: None,
            client_key: None,
            server_name: None,
            verify: true,
        },
    }
}

fn watch(name: &str) -> Watch {
    let target = WatchTarget::Key("k".into());
    Watch { name: name.into(), target, datacenter: None, interval: Duration::from_secs(1) }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// What comes through the inbox within the time that tests are patient.
async fn next(receiver: &mut mpsc::Receiver<Message>) -> Message {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.unwrap().unwrap()
}

#[test]
fn a_guard_tells_of_a_service_that_is_taken_and_of_one_that_is_gone() {
    let own = Arc::new(Owner::new());
    let service = |owner: &str| {
        let meta = serde_json::json!({ crate::supervise::owner::KEY: owner });
        let service = serde_json::json!({ "ID": "web", "Service": "web", "Meta": meta, "ContentHash": "x" });
        Reply::consul(1, &service.to_string())
    };
    let (taken, gone) = (service("another one"), Reply::status(404, "unknown service ID: web"));
    for (last, expected) in [
        (taken, Event::ServiceTaken { service: "web".into(), by: "another one".into() }),
        (gone, Event::ServiceMissing { service: "web".into() }),
    ] {
        let server = FaultyServer::start(vec![service(own.text()), last]);
        let client = super::client(&at(&server.address().to_string())).unwrap();
        run(async {
            let (inbox, mut receiver) = mpsc::channel(1);
            tokio::spawn(guard(client, "web".into(), own.clone(), inbox));
            let Message::Event(event) = next(&mut receiver).await else { panic!("no event") };
            assert_eq!(event, expected);
        });
    }
}

#[test]
fn a_watch_that_is_to_ask_again_gives_its_question_up() {
    let server = FaultyServer::start(vec![Reply::consul(7, "[]"), Reply::Hole, Reply::consul(7, "[]"), Reply::Hole]);
    run(async {
        let (inbox, mut receiver) = mpsc::channel(1);
        let mut catalog = Catalog::new(Some(&at(&server.address().to_string())), inbox).unwrap();
        // Its question would be open for longer than a test waits.
        catalog.watch(Watch { interval: Duration::from_secs(600), ..watch("db") });
        let viewed = |message: Message| matches!(message, Message::Watched { event: Event::Viewed { .. }, .. });
        assert!(viewed(next(&mut receiver).await));
        while server.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        catalog.ask_again("db");
        assert!(viewed(next(&mut receiver).await));
    });
    let lines: Vec<String> = server.requests().into_iter().map(|request| request.line).collect();
    assert_eq!(lines[..3], ["GET /v1/kv/k", "GET /v1/kv/k?index=7&wait=600000ms", "GET /v1/kv/k"]);
}

#[test]
fn other_settings_make_watches_begin_anew_and_services_be_missing() {
    run(async {
        let (inbox, _receiver) = mpsc::channel(1);
        let mut catalog = Catalog::new(None, inbox).unwrap();
        catalog.watch(watch("db"));
        catalog.guard("app-host".into());
        assert!(catalog.follows("db", 1) && catalog.watches["db"].task.is_none());
        let missing = catalog.change(Some(&at("127.0.0.1:1"))).unwrap();
        assert_eq!(missing, [Event::ServiceMissing { service: "app-host".into() }]);
        assert!(catalog.follows("db", 2) && !catalog.follows("db", 1));
        assert!(catalog.watches["db"].task.is_some());
        assert!(catalog.change(None).unwrap().is_empty(), "nothing was registered since");
        assert!(catalog.follows("db", 3) && catalog.watches["db"].task.is_none());
        catalog.unwatch("db");
        assert!(!catalog.follows("db", 3));
    });
}

/// Registers a service; one agent takes it without an answer, and its removal there is asked for when another one of this node is the home. The
/// outcome, and what the first agent was asked for that.
fn removed_twin(node: &str, catalog: Reply) -> (CallOutcome, Vec<String>) {
    let itself = |node: &str| {
        let config = serde_json::json!({
            "Datacenter": "dc1", "NodeName": node, "NodeID": node, "Version": "1.8.7", "Server": true,
        });
        Reply::status(200, &serde_json::json!({ "Config": config }).to_string())
    };
    let (held, done) =
        (serde_json::json!({ "ID": "web", "Service": "web", "ContentHash": "x" }), Reply::status(200, ""));
    let twin =
        FaultyServer::start(vec![Reply::Reset, itself("one"), Reply::consul(1, &held.to_string()), done.clone()]);
    let home = FaultyServer::start(vec![done, itself(node), catalog]);
    let [at_twin, at_home] = [&twin, &home].map(|server| format!("http://{}", server.address()));
    let mut settings = at(&twin.address().to_string());
    settings.addresses.extend(at(&home.address().to_string()).addresses);
    let mut removed = None;
    run(async {
        let (inbox, mut receiver) = mpsc::channel(1);
        let mut catalog = Catalog::new(Some(&settings), inbox).unwrap();
        let service = Service {
            id: "web".into(),
            name: "web".into(),
            address: "192.0.2.1".into(),
            port: 80,
            tags: vec![],
            meta: vec![],
            ttl: Duration::from_secs(60),
            initial_status: None,
            enable_tag_override: false,
            deregister_critical_after: None,
            exit_on_conflict: false,
        };
        catalog.call(1, Request::Register { service, status: ServiceStatus::Passing });
        let Message::Answered { outcome, may_hold, .. } = next(&mut receiver).await else { panic!("no answer") };
        assert_eq!(outcome, CallOutcome::Done { address: at_home.clone() });
        assert_eq!(may_hold, [at_twin.clone(), at_home]);
        catalog.call(2, Request::RemoveTwin { service: "web".into(), name: "web".into(), home: at_twin });
        let Message::Answered { outcome, may_hold, .. } = next(&mut receiver).await else { panic!("no answer") };
        assert!(may_hold.is_empty());
        removed = Some(outcome);
    });
    (removed.unwrap(), twin.requests().into_iter().skip(1).map(|request| request.line).collect())
}

#[test]
fn a_twin_is_removed_from_its_agent_also_while_the_catalog_cannot_be_told() {
    let all = ["GET /v1/agent/self", "GET /v1/agent/service/web", "PUT /v1/agent/service/deregister/web"];
    let (outcome, asked) = removed_twin("another", Reply::consul(1, "[]"));
    assert!(matches!(outcome, CallOutcome::Done { .. }), "{outcome:?}");
    assert_eq!(asked, all);
    let (outcome, asked) = removed_twin("another", Reply::status(403, "Permission denied"));
    assert!(matches!(outcome, CallOutcome::Refused { .. }), "it is tried again: {outcome:?}");
    assert_eq!(asked, all);
}

#[test]
fn the_home_by_another_address_is_no_twin() {
    let (outcome, asked) = removed_twin("one", Reply::consul(1, "[]"));
    assert!(matches!(outcome, CallOutcome::Done { .. }), "{outcome:?}");
    assert_eq!(asked, ["GET /v1/agent/self"]);
}
