//! Questions to other members' servers.

use pilotfish_autopilot::{Flavour, MemberId};

use super::{LIMIT, Member, Source, on_both};
use crate::error::Error;
use crate::settings::Secret;
use crate::sql::Peer;

on_both!(a_peer_answers_on_one_connection_and_after_a_restart_on_another, another_s_server_gives_no_answer);

fn peer(flavour: Flavour, source: Source) -> Peer {
    Peer::new(flavour, source, "repl", &Secret::new("repl's"))
}

async fn connections(member: &Member) -> Vec<u64> {
    let mut connection = member.operator().await;
    let list = "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'repl' ORDER BY ID";
    let rows = connection.rows("listing", list).await.expect("a list");
    rows.iter().filter_map(|row| row.number("id")).collect()
}

async fn a_peer_answers_on_one_connection_and_after_a_restart_on_another(flavour: Flavour) {
    let mut member = Member::new(flavour, 1).await;
    let peer = peer(flavour, member.source());
    let executed = peer.executed(LIMIT).await.expect("an answer");
    assert_eq!(executed, member.look().await.executed);
    let first = connections(&member).await;
    assert_eq!(first.len(), 1, "{first:?}");
    peer.executed(LIMIT).await.expect("an answer");
    assert_eq!(connections(&member).await, first);
    member.server.kill();
    member.restart();
    member.look().await;
    peer.executed(LIMIT).await.expect("an answer of the new run");
    assert_eq!(connections(&member).await.len(), 1);
}

/// An address that was given to somebody else.
async fn another_s_server_gives_no_answer(flavour: Flavour) {
    let member = Member::new(flavour, 1).await;
    let mistaken = peer(flavour, Source { member: MemberId(2), ..member.source() });
    let error = mistaken.executed(LIMIT).await.expect_err("it is another");
    assert!(matches!(error, Error::Answer { .. }), "{error}");
    assert!(error.to_string().contains("is member 1, not member 2"), "{error}");
    // Who leads is who it is.
    member.lead_alone(1).await;
    peer(flavour, member.source()).executed(LIMIT).await.expect("an answer");
}
