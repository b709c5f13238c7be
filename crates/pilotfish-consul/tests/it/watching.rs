//! Blocking queries.

use std::time::{Duration, Instant};

use bytes::Bytes;
use pilotfish_consul::{Backoff, Client, Cursor, HealthQuery, KvWrite, Pace, Read, Step};
use pilotfish_testing::{Consul, FaultyServer, Mode, PATIENCE, Proxy, Reply};

use crate::{client, hasty_client, run, service};

#[test]
fn a_change_of_health_wakes_a_query() {
    let consul = Consul::start();
    run(async {
        let (watcher, writer) = (client(consul.http()), client(consul.http()));
        writer.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        let query = HealthQuery::passing("web");
        let mut cursor = Cursor::new();
        let first = watcher.health_service_blocking(&query, &cursor, PATIENCE).await.unwrap();
        assert_eq!((first.value.len(), cursor.advance(first.index)), (0, Step::First));
        loop {
            let (answer, beat) = tokio::join!(
                watcher.health_service_blocking(&query, &cursor, PATIENCE),
                writer.check_pass("service:web-1", "")
            );
            beat.unwrap();
            let answer = answer.unwrap();
            cursor.advance(answer.index);
            if answer.value.len() == 1 {
                break;
            }
        }
    });
}

#[test]
fn keys_prefixes_and_agent_services_wake_queries_too() {
    let consul = Consul::start();
    run(async {
        let (watcher, writer) = (client(consul.http()), client(consul.http()));
        let mut cursor = Cursor::new();
        cursor.advance(watcher.kv_get("a/b", &Read::default()).await.unwrap().index);
        let read = Read::default().after(&cursor, PATIENCE);
        let (pair, pairs, keys, written) = tokio::join!(
            watcher.kv_get("a/b", &read),
            watcher.kv_recurse("a/", &read),
            watcher.kv_keys("a/", None, &read),
            writer.kv_put("a/b", Bytes::from_static(b"1"), 0, &KvWrite::Always),
        );
        assert!(written.unwrap().value);
        assert_eq!(pair.unwrap().value.unwrap().value, b"1");
        assert_eq!((pairs.unwrap().value.len(), keys.unwrap().value.len()), (1, 1));

        writer.agent_register(&service("web-1"), &mut Vec::new()).await.unwrap();
        let hash = watcher.agent_service("web-1").await.unwrap().value.content_hash;
        let mut changed = service("web-1");
        changed.port = 81;
        let mut asked = Vec::new();
        let (answer, registered) = tokio::join!(
            watcher.agent_service_blocking("web-1", &hash, PATIENCE),
            writer.agent_register(&changed, &mut asked)
        );
        registered.unwrap();
        assert_eq!(answer.unwrap().value.port, 81);
    });
}

#[test]
fn a_quiet_query_returns_unchanged_after_its_wait() {
    let consul = Consul::start();
    run(async {
        let client = client(consul.http());
        let query = HealthQuery::passing("nothing");
        let mut cursor = Cursor::new();
        cursor.advance(client.health_service(&query).await.unwrap().index);
        let answer = client.health_service_blocking(&query, &cursor, Duration::from_millis(100)).await.unwrap();
        assert!(matches!(cursor.advance(answer.index), Step::Unchanged | Step::Changed));
    });
}

#[test]
fn a_query_that_hangs_ends_with_its_own_deadline() {
    let consul = Consul::start();
    let proxy = Proxy::start(consul.http());
    run(async {
        let client = hasty_client(&proxy.address().to_string());
        let query = HealthQuery::passing("web");
        let mut cursor = Cursor::new();
        cursor.advance(client.with_deadline(PATIENCE).health_service(&query).await.unwrap().index);
        proxy.set(Mode::Drop);
        let start = Instant::now();
        let outcome = client.health_service_blocking(&query, &cursor, Duration::from_millis(160)).await;
        assert!(matches!(outcome, Err(pilotfish_consul::Error::Timeout { .. })), "{outcome:?}");
        assert!(start.elapsed() >= Duration::from_millis(1170) && start.elapsed() < PATIENCE / 2);
    });
}

/// A watch as a caller writes it, but one that counts its pauses instead of making them: the time from each request to the next.
async fn watch(client: &Client, requests: usize) -> Vec<Duration> {
    let query = HealthQuery::passing("web");
    let (mut cursor, mut pace, mut backoff) = (Cursor::new(), Pace::new(), Backoff::new());
    let mut gaps = Vec::new();
    for _ in 0..requests {
        let sent = Instant::now();
        let pause = match client.health_service_blocking(&query, &cursor, Duration::from_secs(5)).await {
            Ok(answer) => {
                backoff.succeed();
                pace.wait(cursor.advance(answer.index), sent.elapsed())
            }
            Err(error) => backoff.pause(error.fault(), 0),
        };
        gaps.push(sent.elapsed() + pause);
    }
    gaps
}

#[test]
fn a_faulty_server_is_asked_once_a_second_at_most() {
    let answer = |index| Reply::consul(index, "[]");
    let scripts = [
        vec![answer(0)],
        vec![answer(7)],
        vec![answer(9), answer(4), answer(9), answer(4), answer(9)],
        vec![Reply::status(500, "No cluster leader")],
        vec![Reply::status(200, "[")],
        vec![Reply::leader(5, false, "[]")],
    ];
    std::thread::scope(|scope| {
        for script in scripts {
            scope.spawn(move || {
                let server = FaultyServer::start(script.clone());
                let gaps = run(async { watch(&client(server.address()), 4).await });
                assert_eq!(server.requests().len(), 4, "{script:?}");
                // The first answer is news, so the first blocking query may follow it at once; and so may one after each rise.
                let steps = gaps[1..3].iter().filter(|gap| **gap < Duration::from_millis(900));
                let rises = usize::from(script.len() > 1);
                assert!(steps.count() <= rises, "{script:?}: {gaps:?}");
            });
        }
    });
}
