//! Keys that several write at once, that are written once, and that say what nobody understands.

use pilotfish_autopilot::{LeaseFact, MemberId, Term};
use pilotfish_consul::Cursor;
use pilotfish_testing::{Consul, ConsulOptions, FaultyServer, Kind, OnlyConsul, Reply};

use super::{LIMIT, LONG, board, client, contact, lease, record, vote};
use crate::catalog::{Board, Placed, Snapshot};

async fn now(board: &Board) -> Snapshot {
    board.snapshot(&Cursor::new(), LONG).await.unwrap()
}

#[tokio::test]
async fn c6_of_several_writers_one_is_the_first() {
    let consul = Consul::start();
    let mut cas = 0;
    for term in 1..=10 {
        let boards = [(); 4].map(|()| board(consul.http()));
        let leases = [1, 2, 3, 4].map(|beat| lease(term, beat));
        let [a, b, c, d] = [0, 1, 2, 3].map(|n| boards[n].write_lease(cas, &leases[n]));
        let outcomes: [_; 4] = tokio::join!(a, b, c, d).into();
        let written: Vec<(usize, u64)> =
            outcomes.into_iter().enumerate().filter_map(|(n, outcome)| Some((n, outcome.unwrap()?))).collect();
        assert_eq!(written.len(), 1, "{written:?}");
        let (winner, index) = written[0];
        let LeaseFact::Present { lease: seen, index: told } = now(&boards[0]).await.lease else {
            panic!("the lease is gone")
        };
        assert_eq!((seen, told), (leases[winner].clone(), index));
        assert!(index > cas);
        cas = index;
    }
}

#[tokio::test]
async fn who_waits_hears_of_a_change_and_of_none() {
    let consul = Consul::start();
    let (board, other) = (board(consul.http()), board(consul.http()));
    let index = board.write_lease(0, &lease(1, 1)).await.unwrap().unwrap();
    let mut cursor = Cursor::new();
    cursor.advance(now(&board).await.index);
    let unchanged = board.snapshot(&cursor, std::time::Duration::from_millis(100)).await.unwrap();
    assert_eq!(unchanged.lease, LeaseFact::Present { lease: lease(1, 1), index });
    let before = unchanged.lease;
    let waiting = tokio::spawn(async move {
        // Consul may answer although nothing has changed.
        loop {
            let seen = board.snapshot(&cursor, LONG).await.unwrap();
            if seen.lease != before {
                return seen;
            }
            cursor.advance(seen.index);
        }
    });
    let index = other.write_lease(index, &lease(1, 2)).await.unwrap().unwrap();
    let changed = waiting.await.unwrap();
    assert_eq!(changed.lease, LeaseFact::Present { lease: lease(1, 2), index });
}

#[tokio::test]
async fn a_vote_is_written_once_and_forgotten_with_its_term() {
    let consul = Consul::start();
    let board = board(consul.http());
    for vote in [vote(1, 1, 1), vote(1, 1, 2), vote(1, 9, 2), vote(2, 2, 12)] {
        assert!(board.publish_vote(&vote).await.unwrap());
        assert!(!board.publish_vote(&vote).await.unwrap(), "it can be written once more");
    }
    assert_eq!(now(&board).await.votes.len(), 4);
    // What somebody has left at the name of a term is no reason to take the votes of others whose name begins with it.
    consul.request("PUT", "/v1/kv/db/votes/1", "by hand").unwrap();
    board.forget_votes_below(Term(2)).await.unwrap();
    let mut left = now(&board).await.votes;
    left.sort_by_key(|vote| (vote.term, vote.seat));
    assert_eq!(left, [vote(1, 1, 2), vote(1, 9, 2), vote(2, 2, 12)]);
}

#[tokio::test]
async fn what_cannot_be_understood_is_not_taken_for_nothing() {
    let consul = Consul::start();
    let board = board(consul.http());
    let put = |key: &str, text: &str| assert_eq!(consul.request("PUT", &format!("/v1/kv/{key}"), text).unwrap().0, 200);
    let refused = async || match board.snapshot(&Cursor::new(), LONG).await {
        Ok(snapshot) => panic!("it was understood, as {:?}", snapshot.lease),
        Err(error) => error.to_string(),
    };
    // Without a lease, a record is all that tells of a cluster.
    put("db/members/1", "{\"promise\": 4}");
    let text = refused().await;
    assert!(text.contains("there is no lease") && text.contains("db/members/1"), "{text}");
    let index = board.write_lease(0, &lease(1, 1)).await.unwrap().unwrap();
    let snapshot = now(&board).await;
    assert_eq!(snapshot.unreadable.len(), 1, "{:?}", snapshot.unreadable);
    // Whose record it is can replace it.
    let garbled = snapshot.garbled[&MemberId(1)];
    assert!(board.publish_record(MemberId(1), garbled, &record(1), &contact()).await.unwrap().is_some());
    let snapshot = now(&board).await;
    assert_eq!(snapshot.members[&MemberId(1)].0, record(1));
    assert!(snapshot.unreadable.is_empty() && snapshot.garbled.is_empty());
    for text in ["", "nonsense", "{\"term\": 1}", "[]"] {
        put("db-primary", text);
        let text = refused().await;
        assert!(text.contains("db-primary"), "{text}");
    }
    assert_eq!(board.write_lease(index, &lease(1, 2)).await.unwrap(), None);
}

#[tokio::test]
async fn clusters_whose_names_begin_alike_are_two() {
    let consul = Consul::start();
    let (board, other) = (board(consul.http()), Board::new(client(&[consul.http()]), "db-two", super::FLAVOUR, LIMIT));
    other.write_lease(0, &lease(5, 1)).await.unwrap().unwrap();
    other.publish_record(MemberId(3), 0, &record(5), &contact()).await.unwrap().unwrap();
    other.place_order(&Placed::Pause).await.unwrap();
    let seen = now(&board).await;
    assert_eq!((seen.lease, seen.members.len(), seen.orders.paused), (LeaseFact::Absent, 0, false));
    assert!(seen.unreadable.is_empty(), "{:?}", seen.unreadable);
}

/// A token that may read and not write: somebody else was not quicker.
#[tokio::test]
async fn d11_a_write_that_is_not_allowed_is_an_error() {
    let options = ConsulOptions {
        kind: Kind::Consul(OnlyConsul::Acl),
        master_token: Some("everything".into()),
        ..ConsulOptions::default()
    };
    let consul = Consul::start_with(options);
    let put = |path: &str, body: &str| {
        let (status, text) = consul.request("PUT", path, body).unwrap();
        assert_eq!(status, 200, "{text}");
    };
    put("/v1/acl/policy", r#"{"Name": "readers", "Rules": "key_prefix \"\" { policy = \"read\" }"}"#);
    let secret = "01234567-89ab-cdef-0123-456789abcdef";
    put("/v1/acl/token", &format!(r#"{{"SecretID": "{secret}", "Policies": [{{"Name": "readers"}}]}}"#));
    let mut config = pilotfish_consul::Config::with_addresses(&consul.http().to_string()).unwrap();
    config.token = Some(pilotfish_consul::Secret::new(secret));
    let board = Board::new(pilotfish_consul::Client::new(config).unwrap(), "db", super::FLAVOUR, LIMIT);
    assert_eq!(now(&board).await.lease, LeaseFact::Absent);
    let refused = board.write_lease(0, &lease(1, 1)).await.unwrap_err().to_string();
    assert!(refused.contains("Permission denied"), "{refused}");
    assert_eq!(now(&board).await.lease, LeaseFact::Absent);
}

/// C1, C2, C3: sessions expire late, die with their agent or not at all, need a check that passes, and are followed by a delay. There is none.
#[tokio::test]
async fn c1_c2_c3_no_session_is_needed() {
    let consul = Consul::start();
    let board = board(consul.http());
    let index = board.write_lease(0, &lease(1, 1)).await.unwrap().unwrap();
    board.write_lease(index, &lease(1, 2)).await.unwrap().unwrap();
    board.publish_record(MemberId(1), 0, &record(1), &contact()).await.unwrap().unwrap();
    let get = |path: &str| consul.request("GET", path, "").unwrap().1;
    assert_eq!(get("/v1/session/list").trim(), "[]");
    assert!(!get("/v1/kv/db?recurse").contains("\"Session\""));
}

/// C6, F-D8: a value that somebody has put there without asking is not replaced by whoever has not seen it.
#[tokio::test]
async fn c6_d8_what_was_overwritten_is_not_overwritten_again() {
    let consul = Consul::start();
    let board = board(consul.http());
    let index = board.write_lease(0, &lease(1, 1)).await.unwrap().unwrap();
    let theirs = String::from_utf8(crate::catalog::wire::write_lease(&lease(7, 9))).unwrap();
    assert_eq!(consul.request("PUT", "/v1/kv/db-primary", &theirs).unwrap().0, 200);
    assert_eq!(board.write_lease(index, &lease(1, 2)).await.unwrap(), None);
    let LeaseFact::Present { lease: seen, index: now } = now(&board).await.lease else { panic!("the lease is gone") };
    assert_eq!(seen, lease(7, 9));
    assert!(now > index);
}

#[tokio::test]
async fn d10_questions_are_answered_by_a_leader_that_a_majority_follows() {
    let server = FaultyServer::start(vec![Reply::consul(5, "[]")]);
    let board = board(server.address());
    let mut cursor = Cursor::new();
    cursor.advance(now(&board).await.index);
    board.snapshot(&cursor, LONG).await.unwrap();
    for request in server.requests() {
        let question = request.line.split_once('?').map(|(_, question)| question).unwrap_or_default();
        let words: Vec<&str> = question.split('&').map(|word| word.split('=').next().unwrap_or(word)).collect();
        assert!(words.contains(&"consistent"), "{}", request.line);
        assert!(!words.contains(&"stale") && !words.contains(&"cached"), "{}", request.line);
    }
}

/// C5, F-C3: only a catalog that knows what it says can say that there is no lease.
#[tokio::test]
async fn c5_what_is_no_answer_is_not_taken_for_none() {
    let index = |status, body: &str| Reply::Http(status, vec![("X-Consul-Index", "9".into())], body.into());
    let cut = Reply::Raw(b"HTTP/1.1 200 OK\r\nX-Consul-Index: 9\r\nContent-Length: 20\r\n\r\n[{\"Key\"".to_vec());
    for (what, reply) in [
        ("an election", Reply::status(500, "rpc error making call: EOF")),
        ("no leader", Reply::status(500, "No cluster leader")),
        ("an answer of one that knows no leader", Reply::leader(9, false, "[]")),
        ("a text that is cut short", index(200, "[{\"Key\": \"db-pri")),
        ("an answer that is cut short", cut),
        ("somebody else's page", Reply::status(404, "<html>not found</html>")),
        ("too many questions", Reply::status(429, "")),
        ("no access", index(403, "Permission denied")),
    ] {
        let server = FaultyServer::start(vec![reply]);
        let answer = board(server.address()).snapshot(&Cursor::new(), LONG).await;
        assert!(answer.is_err(), "{what} says {:?}", answer.map(|seen| seen.lease).ok());
    }
    let server = FaultyServer::start(vec![index(404, "")]);
    assert_eq!(now(&board(server.address())).await.lease, LeaseFact::Absent, "this is how Consul says it");
}
