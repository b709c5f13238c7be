//! Several addresses: which server is asked, when the client moves on, and how a caller stays with one.

use std::time::{Duration, Instant};

use pilotfish_consul::{Client, Config, Endpoint, Error, HealthQuery, NewSession};
use pilotfish_testing::{ConsulCluster, FaultyServer, PATIENCE, Reply};

use crate::{hasty_client, run, service};

fn addresses(servers: &[&FaultyServer]) -> String {
    servers.iter().map(|server| server.address().to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn the_loss_of_a_server_is_survived_and_its_twin_removed() {
    let mut cluster = ConsulCluster::start();
    let list: Vec<String> = cluster.servers.iter().map(|server| server.http().to_string()).collect();
    run(async {
        let client = Client::new(Config::with_addresses(&list.join(",")).unwrap()).unwrap();
        let mut homes = Vec::new();
        keep_alive(&client, &mut homes).await;
        assert!(
            homes.iter().any(|home| home.socket() == Some(cluster.servers[0].http())),
            "it is asked first: {homes:?}"
        );
        // The first server, unless it had no leader when it was asked.
        let home = homes.last().unwrap().clone();
        let before = homes.clone();
        keep_alive(&client, &mut homes).await;
        assert_eq!(homes, before, "a heartbeat registers nothing anew");
        let lost = cluster.servers.iter().position(|server| home.socket() == Some(server.http())).unwrap();

        cluster.servers[lost].kill();
        keep_alive(&client, &mut homes).await;
        assert!(homes.len() > 1 && homes.last() != Some(&home), "{homes:?}");
        instances(&client, |count| (2..=homes.len()).contains(&count)).await;

        cluster.servers[lost].restart();
        keep_alive(&client, &mut homes).await;
        let current = homes.pop().unwrap();
        assert_ne!(current, home, "the client stays where it is");
        for twin in &homes {
            removed(&client.pinned(twin)).await;
        }
        instances(&client, |count| count == 1).await;
    });
}

/// Whether an election may be the reason, during which a server cannot answer for others.
fn passes(error: &Error) -> bool {
    matches!(error, Error::NoLeader { .. } | Error::Unavailable { .. } | Error::Timeout { .. })
}

/// One heartbeat as a caller sends it: to the agent that knows the service, and when that is gone, to another one, where the
/// service is registered first. The last of `homes` has it; those before may have it, too.
async fn keep_alive(client: &Client, homes: &mut Vec<Endpoint>) {
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < PATIENCE, "no heartbeat was taken");
        if let Some(home) = homes.last() {
            match client.pinned(home).check_pass("service:web-1", "").await {
                Ok(_) => return,
                Err(error) if passes(&error) => continue,
                Err(Error::Unreachable { .. } | Error::Lost { .. } | Error::NotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let mut asked = Vec::new();
        let answer = client.agent_register(&service("web-1"), &mut asked).await;
        match answer {
            Ok(answer) => asked.push(answer.endpoint),
            Err(error) => assert!(passes(&error), "{error}"),
        }
        for endpoint in asked {
            homes.retain(|home| *home != endpoint);
            homes.push(endpoint);
        }
    }
}

/// Removes the registration from the agent that a client is pinned to.
async fn removed(pinned: &Client) {
    let start = Instant::now();
    while let Err(error) = pinned.agent_deregister("web-1").await {
        if matches!(error, Error::NotFound { .. }) {
            return;
        }
        assert!(passes(&error) && start.elapsed() < PATIENCE, "{error}");
    }
}

/// How long the catalog may take to learn what its agents know: one that found no leader for it tries again within two minutes.
const SYNCHRONISED: Duration = Duration::from_secs(180);

/// Waits until the catalog shows as many instances as are wanted, by blocking queries.
async fn instances(client: &Client, wanted: impl Fn(usize) -> bool) {
    let start = Instant::now();
    let mut cursor = pilotfish_consul::Cursor::new();
    let query = HealthQuery { service: "web".into(), ..HealthQuery::default() };
    loop {
        if let Ok(answer) = client.health_service_blocking(&query, &cursor, Duration::from_secs(2)).await {
            cursor.advance(answer.index);
            if wanted(answer.value.len()) {
                return;
            }
        }
        assert!(start.elapsed() < SYNCHRONISED, "never saw as many instances as were wanted");
    }
}

#[test]
fn a_server_without_a_leader_is_passed_over() {
    let lost = FaultyServer::start(vec![Reply::status(500, "No cluster leader")]);
    let sound = FaultyServer::start(vec![Reply::consul(1, "[]")]);
    run(async {
        let client = hasty_client(&addresses(&[&lost, &sound])).with_deadline(PATIENCE);
        for _ in 0..3 {
            let answer = client.health_service(&HealthQuery::passing("web")).await.unwrap();
            assert_eq!(answer.endpoint.socket(), Some(sound.address()));
        }
        assert_eq!((lost.requests().len(), sound.requests().len()), (1, 3), "preference is sticky");
    });
}

/// Asks for a registration within `deadline`; whether it succeeded, and whom of these servers the client says may hold it.
fn registered(servers: &[&FaultyServer], deadline: Duration) -> (bool, Vec<usize>) {
    let mut asked = Vec::new();
    let outcome = run(async {
        let client = hasty_client(&addresses(servers)).with_deadline(deadline);
        client.agent_register(&service("web-1"), &mut asked).await
    });
    let position =
        |endpoint: &Endpoint| servers.iter().position(|server| endpoint.socket() == Some(server.address())).unwrap();
    (outcome.is_ok(), asked.iter().map(position).collect())
}

#[test]
fn a_registration_names_everybody_who_may_hold_it() {
    let server = |reply: Reply| FaultyServer::start(vec![reply]);
    let leaderless = || server(Reply::status(500, "No cluster leader"));
    let (lost, sound) = (server(Reply::Reset), server(Reply::status(200, "")));
    assert_eq!(registered(&[&leaderless(), &lost, &sound], PATIENCE), (true, vec![0, 1, 2]), "the last one answered");
    assert_eq!(registered(&[&leaderless(), &lost], PATIENCE), (false, vec![0, 1]), "nobody answered");
    let silent = server(Reply::Hole);
    assert_eq!(registered(&[&leaderless(), &silent, &sound], Duration::from_secs(1)), (false, vec![0, 1]));
    let refusing = server(Reply::status(403, "Permission denied"));
    assert_eq!(registered(&[&leaderless(), &refusing, &sound], PATIENCE), (false, vec![0]), "one said no");
}

#[test]
fn who_cannot_be_asked_holds_no_registration_unless_it_was_asked_a_moment_before() {
    let ok = Reply::status(200, "");
    let sound = FaultyServer::start(vec![ok.clone()]);
    let gone = FaultyServer::start(vec![ok, Reply::Hole]);
    let (list, closed) = (addresses(&[&gone, &sound]), gone.address());
    let asked_by = async |client: &Client| {
        let mut asked = Vec::new();
        client.agent_register(&service("web-1"), &mut asked).await.unwrap();
        asked.dedup();
        asked.iter().filter_map(Endpoint::socket).collect::<Vec<_>>()
    };
    run(async {
        let client = hasty_client(&list).with_deadline(PATIENCE);
        assert_eq!(asked_by(&client).await, [closed]);
        // It ends when it has read the request, which came over a connection that was open already.
        let end = std::thread::spawn(move || drop(gone.wait_for_requests(2)));
        assert_eq!(asked_by(&client).await, [closed, sound.address()]);
        end.join().unwrap();
        let fresh = hasty_client(&list).with_deadline(PATIENCE);
        assert_eq!(asked_by(&fresh).await, [sound.address()]);
    });
}

#[test]
fn what_might_have_been_done_is_not_done_elsewhere() {
    let lost = FaultyServer::start(vec![Reply::status(500, "leadership lost while committing log")]);
    let sound = FaultyServer::start(vec![Reply::status(200, r#"{"ID": "x"}"#)]);
    run(async {
        let client = hasty_client(&addresses(&[&lost, &sound])).with_deadline(PATIENCE);
        let error = client.session_create(&NewSession::default()).await.unwrap_err();
        assert!(matches!(error, Error::NoLeader { .. }), "{error}");
        assert_eq!(sound.requests().len(), 0);
        assert_eq!(client.session_create(&NewSession::default()).await.unwrap().value, "x");
    });
}

#[test]
fn a_silent_server_costs_one_deadline() {
    let silent = FaultyServer::start(vec![Reply::Hole]);
    let sound = FaultyServer::start(vec![Reply::consul(1, "[]")]);
    run(async {
        let client = hasty_client(&addresses(&[&silent, &sound]));
        let error = client.health_service(&HealthQuery::passing("web")).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        let patient = client.with_deadline(PATIENCE);
        patient.health_service(&HealthQuery::passing("web")).await.unwrap();
        assert_eq!(silent.requests().len(), 1);
    });
}

#[test]
fn a_refusal_by_consul_itself_is_final() {
    let first = FaultyServer::start(vec![Reply::status(403, "Permission denied")]);
    let second = FaultyServer::start(vec![Reply::consul(1, "[]")]);
    run(async {
        let client = hasty_client(&addresses(&[&first, &second])).with_deadline(PATIENCE);
        assert!(matches!(client.health_service(&HealthQuery::passing("web")).await, Err(Error::Denied { .. })));
        assert_eq!(second.requests().len(), 0);
    });
}

#[test]
fn when_all_fail_the_most_telling_error_is_reported() {
    let lost = FaultyServer::start(vec![Reply::status(500, "No cluster leader")]);
    let closed = format!("127.0.0.1:{}", pilotfish_testing::free_port(std::net::Ipv4Addr::LOCALHOST.into()));
    run(async {
        let client = hasty_client(&format!("{closed},{}", lost.address())).with_deadline(PATIENCE);
        let error = client.health_service(&HealthQuery::passing("web")).await.unwrap_err();
        assert!(matches!(error, Error::NoLeader { .. }), "{error}");
    });
}

#[test]
fn when_nobody_is_there_everybody_who_was_asked_is_told() {
    let [first, second] = [(); 2].map(|()| pilotfish_testing::free_port(std::net::Ipv4Addr::LOCALHOST.into()));
    let client = hasty_client(&format!("127.0.0.1:{first},127.0.0.1:{second}")).with_deadline(PATIENCE);
    run(async {
        let mut told = Vec::new();
        for _ in 0..3 {
            let error = client.status_leader().await.unwrap_err();
            assert!(matches!(error, Error::Unreachable { refused: true, .. }), "{error:?}");
            told.push(error.to_string());
        }
        let both = format!("cannot connect to consul at http://127.0.0.1:{first}, http://127.0.0.1:{second}: ");
        assert!(told[0].starts_with(&both), "{told:?}");
        assert!(told.iter().all(|text| *text == told[0]), "the same fault has the same text: {told:?}");
    });
}

/// Whoever takes a connection and never shakes hands leaves time to ask another within the same call.
#[test]
fn a_server_that_does_not_shake_hands_leaves_time_for_another() {
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let sound = FaultyServer::start(vec![Reply::status(200, "\"127.0.0.1:8300\"")]);
    let addresses = format!("https://{},http://{}", hung.local_addr().unwrap(), sound.address());
    let client =
        Client::new(Config { deadline: Duration::from_secs(20), ..Config::with_addresses(&addresses).unwrap() });
    run(async {
        let client = client.unwrap();
        let answer = client.status_leader().await.unwrap();
        assert_eq!(answer.endpoint.socket(), Some(sound.address()));
        assert_eq!(client.preferred().and_then(|preferred| preferred.socket()), Some(sound.address()));
    });
}

/// A call to one server alone tells what others should know: it is not asked first any more.
#[test]
fn a_pinned_call_that_fails_is_a_fault_of_the_server() {
    let leader = || Reply::status(200, "\"127.0.0.1:8300\"");
    let gone = FaultyServer::start(vec![leader(), Reply::status(500, "no"), leader()]);
    let other = FaultyServer::start(vec![leader()]);
    run(async {
        let client = hasty_client(&addresses(&[&gone, &other])).with_deadline(PATIENCE);
        let home = client.status_leader().await.unwrap().endpoint;
        assert_eq!(home.socket(), Some(gone.address()));
        client.pinned(&home).status_leader().await.unwrap_err();
        assert_eq!(client.status_leader().await.unwrap().endpoint.socket(), Some(other.address()));
    });
}
