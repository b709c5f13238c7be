//! A catalog that loses its data, or its leader.

use std::time::{Duration, Instant};

use pilotfish_autopilot::{LeaseFact, MemberId};
use pilotfish_consul::{Cursor, Step};
use pilotfish_testing::{Consul, ConsulCluster};

use super::{FLAVOUR, LIMIT, LONG, board, client, contact, lease, record};
use crate::catalog::Board;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn d9_a_catalog_that_began_anew_is_told_as_it_is() {
    let mut consul = Consul::start();
    let board = board(consul.http());
    let mut index = 0;
    for beat in 1..=40 {
        index = board.write_lease(index, &lease(1, beat)).await.unwrap().unwrap();
    }
    let mut cursor = Cursor::new();
    cursor.advance(board.snapshot(&cursor, LONG).await.unwrap().index);
    consul.restart_empty();
    // Consul holds back a question that names an index which it has not reached.
    let answer = board.snapshot(&cursor, Duration::from_millis(100)).await.unwrap();
    assert_eq!(answer.lease, LeaseFact::Absent);
    assert_eq!(cursor.advance(answer.index), Step::Reset);
    assert_eq!(cursor.index(), None, "the next question is answered at once");
    // A check-and-set of before does nothing.
    assert_eq!(board.write_lease(index, &lease(1, 41)).await.unwrap(), None);
    let anew = board.write_lease(0, &lease(2, 1)).await.unwrap().unwrap();
    let answer = board.snapshot(&cursor, LONG).await.unwrap();
    assert_eq!(answer.lease, LeaseFact::Present { lease: lease(2, 1), index: anew });
}

#[tokio::test]
async fn c5_a_catalog_without_a_leader_never_says_that_there_is_no_lease() {
    let mut cluster = ConsulCluster::start();
    let addresses: Vec<_> = cluster.servers.iter().map(Consul::http).collect();
    let board = Board::new(client(&addresses), "db", FLAVOUR, LIMIT);
    let since = Instant::now();
    // A busy machine may keep the servers from their heartbeats, and they elect another leader.
    let index = loop {
        if let Ok(Some(index)) = board.write_lease(0, &lease(1, 1)).await {
            break index;
        }
        // What was told to have failed may have been done.
        if let Ok(seen) = board.snapshot(&Cursor::new(), LONG).await
            && let LeaseFact::Present { index, .. } = seen.lease
        {
            break index;
        }
        assert!(since.elapsed() < PATIENCE, "nobody takes the lease");
    };
    while board.publish_record(MemberId(1), 0, &record(1), &contact()).await.is_err() {
        assert!(since.elapsed() < PATIENCE, "nobody takes the record");
    }
    let leader = cluster.leader();
    cluster.servers[leader].kill();
    let since = Instant::now();
    let (mut unknown, mut index) = (0, index);
    // Until a new leader has taken a write.
    for beat in 2.. {
        match board.snapshot(&Cursor::new(), LONG).await {
            Ok(seen) => {
                let LeaseFact::Present { index: told, .. } = seen.lease else { panic!("the lease is gone") };
                assert_eq!(seen.members.len(), 1);
                index = told;
            }
            Err(_) => unknown += 1,
        }
        match board.write_lease(index, &lease(1, beat)).await {
            Ok(Some(_)) => break,
            Ok(None) => {}
            Err(_) => unknown += 1,
        }
        assert!(since.elapsed() < PATIENCE, "no new leader, and {unknown} errors");
    }
    // The majority is lost: nothing is known for good.
    let leader = cluster.leader();
    cluster.servers[leader].kill();
    let answer = board.snapshot(&Cursor::new(), LONG).await;
    assert!(answer.is_err(), "one of three says {:?}", answer.map(|seen| seen.lease).ok());
}
