//! Reports and what people read of them.

use pilotfish_mysql::{Decided, Phase, Reason, ServerReport};

use super::*;

pub(in crate::mysql) fn member(id: u32, role: &str) -> MemberReport {
    MemberReport {
        id,
        name: format!("db-{id}"),
        address: format!("10.0.0.{id}"),
        port: 3306,
        role: role.into(),
        in_sync: role == "replica",
        data: true,
        executed: Some("0-1-57".into()),
        behind: Some(0),
        following: (role == "replica").then_some(1),
        acking: role == "replica",
        may_lead: true,
        ..MemberReport::default()
    }
}

/// Three members, as they should be, seen by the second.
pub(in crate::mysql) fn report() -> Report {
    Report {
        id: 2,
        name: "db-2".into(),
        service: "mysql".into(),
        flavour: "mariadb".into(),
        version: "11.8.3".into(),
        durability: "quorum".into(),
        role: "replica".into(),
        healthy: true,
        why: Reason { code: "settled".into(), text: "nothing to do: all is as it should be".into(), until: None },
        lease: Some(LeaseReport {
            cluster: "00000000000000ab".into(),
            term: 7,
            change: 40,
            holder: 1,
            state: "held".into(),
            primary: 1,
            in_sync: vec![2, 3],
            acks: 1,
            unchanged: 0.42,
            ..LeaseReport::default()
        }),
        copies: Some(2),
        members: vec![member(1, "primary"), member(2, "replica"), member(3, "replica")],
        server: Some(ServerReport { state: "running".into(), lag: Some(0.0), ..ServerReport::default() }),
        ..Report::default()
    }
}

#[test]
fn a_cluster_as_it_should_be() {
    let expected = "\
db-2 of mysql: mariadb 11.8.3, durability quorum
  lease   term 7, held by db-1, unchanged for 0.4s
  writes  on 2 members when acknowledged; in sync: db-2, db-3
  here    replica, healthy, server running, read-only, 0.0s behind
  why     nothing to do: all is as it should be [settled]

MEMBER  ID  ROLE     ADDRESS        IN SYNC  BEHIND  STATE                       POSITION
db-1    1   primary  10.0.0.1:3306  -        -       leads                       0-1-57
db-2*   2   replica  10.0.0.2:3306  yes      0       follows db-1, acknowledges  0-1-57
db-3    3   replica  10.0.0.3:3306  yes      0       follows db-1, acknowledges  0-1-57
";
    assert_eq!(status(&report(), Style::PLAIN), expected);
}

#[test]
fn what_is_wrong_is_said() {
    let mut report = report();
    report.why = Reason { code: "votes-missing".into(), text: "1 vote, 2 are needed".into(), until: Some(2.5) };
    report.copies = None;
    report.paused = true;
    report.healthy = false;
    report.orders = vec!["switch over\nto db-3".into()];
    let lease = report.lease.as_mut().unwrap();
    (lease.state, lease.forced) = ("released".into(), true);
    report.members[1].ailment = Some("errant".into());
    report.members[1].errant = Some(4);
    report.members[2].following = None;
    report.members[2].executed = Some("0123456789abcdef".repeat(4));
    let server = report.server.as_mut().unwrap();
    (server.waiting, server.replication_error) = (Some(3.2), Some("duplicate key".into()));
    let text = status(&report, Style::PLAIN);
    for words in [
        "lease   term 7, given up by db-1",
        "writes  none: there is no primary",
        "here    replica, not healthy",
        "why     1 vote, 2 are needed [votes-missing]",
        "note    paused by an operator",
        "note    a failover was forced",
        "note    a commit has been waiting for acknowledgement for 3.2s",
        "note    replication: duplicate key",
        "note    ordered: switch over to db-3",
        "note    it waits for somebody: start the missing members",
        "has 4 transactions that the primary has not",
        "follows nobody",
        "...789abcdef0123456789abcdef0123456789abcdef",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let text = why(&report, Style::PLAIN);
    assert!(text.contains("until   something changes, or in 2.5s at the latest"), "{text}");
}

#[test]
fn a_member_that_knows_nothing_says_so() {
    let text = status(&Report { catalog_silent: Some(75.0), ..Report::default() }, Style::PLAIN);
    assert!(text.contains("unknown: the catalog has not answered for 75s"), "{text}");
    assert!(text.contains("no member is known yet"), "{text}");
    let text = status(&Report::default(), Style::PLAIN);
    assert!(text.contains("lease   none: there is no cluster"), "{text}");
}

#[test]
fn writes_without_a_second_copy_are_called_so() {
    let mut report = report();
    report.copies = Some(1);
    assert!(status(&report, Style::PLAIN).contains("it is lost with the primary"));
    report.durability = "async".into();
    assert!(status(&report, Style::PLAIN).contains("on 1 member when acknowledged (async)"));
}

#[test]
fn decisions_are_told_with_their_time_and_rule() {
    let mut report = report();
    report.decisions = vec![Decided {
        at: 1_700_000_000.25,
        act: "open for writes".into(),
        code: "opening".into(),
        why: "the lease is held".into(),
    }];
    report.promotion = [("free", 0.0), ("open", 0.1234)].map(|(name, at)| Phase { name: name.into(), at }).to_vec();
    let text = why(&report, Style::PLAIN);
    assert!(text.contains("  22:13:20.250  open for writes: the lease is held [opening]\n"), "{text}");
    assert!(text.contains("  free 0.000s, open 0.123s\n"), "{text}");
}

#[test]
fn seconds_are_short() {
    for (value, text) in
        [(0.04, "0.0s"), (9.94, "9.9s"), (59.6, "60s"), (150.0, "2m30s"), (7260.0, "2h01m"), (-1.5, "-1.5s")]
    {
        assert_eq!(seconds(value), text, "{value}");
    }
}
