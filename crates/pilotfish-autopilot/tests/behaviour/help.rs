//! Commits that wait for an acknowledgement: helped on, released, or told of.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_autopilot::*;

use crate::decisions::{TTL, at, facts, lease, mariadb};

/// Now.
const NOW: Time = Time::from_start(Duration::from_secs(10));

/// Member 1, which leads in term 5 and has executed 15 transactions, the last of which has been waiting since then; and what the others have executed.
fn primary(waiting_since: Time, others: [&str; 2]) -> View {
    let mut view = View::new(MemberId(1), Flavour::MariaDb, 99, at(0));
    view.catalog = Catalog::Answers;
    view.lease = LeaseFact::Present { lease: lease(), index: 40 };
    view.holding = Some(Holding { lease: lease(), sent: at(9_500), since: at(0) });
    let seen = lease().epoch;
    view.data = Data::Present(Identity { cluster: ClusterId(7), data: DataId(1), promise: Term(5), seen });
    view.server = Server::Running(ServerFacts {
        access: Access::Writable,
        acks: 1,
        gate: [MemberId(2), MemberId(3)].into(),
        acking: BTreeMap::from([(MemberId(2), Acking::Connected), (MemberId(3), Acking::Connected)]),
        receiver: Receiver::Stopped,
        waiting_since: Some(waiting_since),
        ..facts("0-1-15", "0-1-15")
    });
    for (member, executed) in [2, 3].into_iter().zip(others) {
        let record = MemberRecord {
            data: Some((ClusterId(7), DataId(u64::from(member)))),
            seen,
            promise: Term(5),
            executed: Some(mariadb(executed)),
            received: None,
            following: Some(Following { source: MemberId(1), mode: Mode::Acking }),
            ailment: None,
            may_lead: true,
            leaving: false,
        };
        view.records.insert(MemberId(member), record);
    }
    view
}

/// The same, while another commit has been under way for more than a second to help it on.
fn stuck(others: [&str; 2]) -> View {
    let mut view = primary(at(8_000), others);
    view.busy.beat = true;
    view.beat_tried = Some(at(8_900));
    view
}

fn server(view: &mut View) -> &mut ServerFacts {
    let Server::Running(facts) = &mut view.server else { panic!("it runs") };
    facts
}

fn lease_of(view: &mut View) -> &mut Lease {
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease
}

/// What is decided, reports left aside.
fn decided(view: &View) -> Decision {
    let mut view = view.clone();
    view.busy.catalog = true;
    let policy = Policy::with_ttl(TTL);
    let decision = decide(&view, &policy, NOW);
    assert_eq!(lint(&view, &policy, NOW, &decision), [], "{decision:?}");
    decision
}

fn release() -> Act {
    Act::Release { term: Term(5), executed: mariadb("0-1-15") }
}

/// What the judge says of a release, whatever is decided.
fn judged(view: &View) -> Vec<Objection> {
    let decision = Decision { act: release(), why: Why::Settled, until: None };
    lint(view, &Policy::with_ttl(TTL), NOW, &decision)
}

fn is_released(view: &View) -> bool {
    let released = decided(view).act == release();
    assert_eq!(released, judged(view).is_empty(), "decision and judge differ: {:?}", judged(view));
    released
}

#[test]
fn a_commit_that_waits_is_helped_on_by_another() {
    let view = primary(at(9_950), ["0-1-15", "0-1-15"]);
    assert_eq!((decided(&view).act, decided(&view).until), (Act::Wait, Some(at(10_050))));
    let mut view = primary(at(9_900), ["0-1-15", "0-1-15"]);
    assert_eq!(decided(&view).act, Act::Beat { term: Term(5) });
    // Whatever else is under way.
    view.busy.lease = true;
    view.busy.server = Some(Act::SetGate { term: Term(5), admit: Default::default() });
    assert_eq!(decided(&view).act, Act::Beat { term: Term(5) });
    // One at a time, not one after the other without a pause, and not where nobody is there to acknowledge it.
    view.busy.beat = true;
    assert_eq!(decided(&view).act, Act::Wait);
    view.busy.beat = false;
    view.beat_tried = Some(at(9_950));
    assert_eq!(decided(&view).act, Act::Wait);
    view.beat_tried = None;
    server(&mut view).acking = BTreeMap::from([(MemberId(2), Acking::Missing { since: at(9_800) })]);
    assert_eq!(decided(&view).act, Act::Wait);
}

#[test]
fn nothing_is_written_into_a_server_that_is_to_close_or_to_end() {
    for act in [Act::Close { term: Term(5) }, Act::FenceServer, Act::StopServer] {
        let mut view = primary(at(9_500), ["0-1-15", "0-1-15"]);
        view.busy.server = Some(act);
        assert_eq!(decided(&view).act, Act::Wait);
        let beat = Decision { act: Act::Beat { term: Term(5) }, why: Why::Settled, until: None };
        assert_eq!(lint(&view, &Policy::with_ttl(TTL), NOW, &beat), [Objection::NotOpen]);
    }
}

/// It would be a transaction that the new primary does not have.
#[test]
fn nothing_is_handed_over_while_a_transaction_of_ours_may_still_be_written() {
    let mut view = primary(at(9_950), ["0-1-15", "0-1-15"]);
    let order = Switchover { id: 1, to: None, term: Term(5), since: at(9_000) };
    view.orders.switchover = Some(order);
    server(&mut view).access = Access::ReadOnly;
    server(&mut view).waiting_since = None;
    let hand_over = decided(&view);
    assert!(matches!(hand_over.act, Act::WriteLease { change: LeaseChange::HandOver(MemberId(2)), .. }));
    for (beat, release) in [(true, false), (false, true)] {
        view.busy = Busy { beat, release, ..Busy::default() };
        assert_eq!(decided(&view).act, Act::Wait);
        assert_eq!(lint(&view, &Policy::with_ttl(TTL), NOW, &hand_over), [Objection::TakesWrites]);
    }
}

#[test]
fn what_as_many_as_must_have_executed_is_released() {
    assert!(is_released(&stuck(["0-1-14", "0-1-15"])));
    assert_eq!(
        decided(&stuck(["0-1-14", "0-1-15"])).why,
        Why::AckLost { waiting: Duration::from_secs(2), holders: 1, acks: 1 }
    );
    assert!(!is_released(&stuck(["0-1-14", "0-1-14"])));
    // Received is not enough here, and neither is another copy of the data.
    let mut view = stuck(["0-1-14", "0-1-14"]);
    for record in view.records.values_mut() {
        record.received = Some(mariadb("0-1-15"));
    }
    assert!(!is_released(&view));
    let mut view = stuck(["0-1-15", "0-1-14"]);
    view.records.get_mut(&MemberId(2)).expect("it is there").data = Some((ClusterId(7), DataId(9)));
    assert!(!is_released(&view));
    // Nor somebody who is not in the set, or is being cut off to be dropped from it.
    let mut view = stuck(["0-1-15", "0-1-14"]);
    server(&mut view).gate = [MemberId(3)].into();
    assert!(!judged(&view).is_empty() && decided(&view).act != release());
    let mut view = stuck(["0-1-15", "0-1-14"]);
    lease_of(&mut view).config.in_sync.remove(&MemberId(2));
    assert!(!judged(&view).is_empty() && decided(&view).act != release());
}

#[test]
fn more_must_have_it_where_more_acknowledgements_are_asked_for() {
    let two = |view: &mut View| {
        lease_of(view).config.acks = 2;
        server(view).acks = 2;
    };
    let mut view = stuck(["0-1-15", "0-1-14"]);
    two(&mut view);
    assert!(!judged(&view).is_empty());
    let mut view = stuck(["0-1-15", "0-1-15"]);
    two(&mut view);
    assert_eq!(judged(&view), []);
    // With none in the lease nobody but the primary has to have it, and nobody may be told so.
    let mut view = stuck(["0-1-15", "0-1-15"]);
    lease_of(&mut view).config.acks = 0;
    assert!(!judged(&view).is_empty() && decided(&view).act != release());
}

#[test]
fn nothing_is_released_by_a_set_that_is_not_ours_or_in_doubt() {
    let mut view = stuck(["0-1-15", "0-1-15"]);
    view.pending = Some(PendingWrite { cas: 40, change: LeaseChange::Leave(MemberId(2)), value: lease() });
    assert!(!is_released(&view));
    let mut view = stuck(["0-1-15", "0-1-15"]);
    view.holding = None;
    assert!(judged(&view).contains(&Objection::NotHeld) && decided(&view).act != release());
    let mut view = stuck(["0-1-15", "0-1-15"]);
    lease_of(&mut view).epoch.term = Term(6);
    lease_of(&mut view).holder = MemberId(2);
    assert!(judged(&view).contains(&Objection::NotHeld) && decided(&view).act != release());
    let mut view = stuck(["0-1-15", "0-1-15"]);
    lease_of(&mut view).state = LeaseState::Released;
    assert!(judged(&view).contains(&Objection::NotHeld) && decided(&view).act != release());
    // Its time is over, although nobody else can have it.
    let mut view = stuck(["0-1-15", "0-1-15"]);
    view.catalog = Catalog::Unknown(at(6_900));
    view.holding = Some(Holding { lease: lease(), sent: at(6_900), since: at(0) });
    assert!(judged(&view).contains(&Objection::TooLate) && decided(&view).act != release());
}

#[test]
fn a_release_waits_for_help_and_is_not_repeated_without_a_pause() {
    let mut view = stuck(["0-1-15", "0-1-15"]);
    view.beat_tried = Some(at(9_100));
    assert_eq!(decided(&view).act, Act::Wait);
    let mut view = stuck(["0-1-15", "0-1-15"]);
    view.release_tried = Some(at(9_500));
    assert_eq!(decided(&view).act, Act::Wait);
    view.release_tried = Some(at(9_000));
    assert_eq!(decided(&view).act, release());
    view.busy.release = true;
    assert_eq!(decided(&view).act, Act::Wait);
    view.busy.release = false;
    // A statement that waits for the same commits is no reason to wait, and neither is a write of the catalog.
    view.busy.server = Some(Act::Close { term: Term(5) });
    view.busy.lease = true;
    assert_eq!(decided(&view).act, release());
    view.busy.server = Some(Act::FenceServer);
    assert_eq!(decided(&view).act, Act::Wait);
}

#[test]
fn writes_that_wait_are_told_of() {
    let mut view = primary(at(5_000), ["0-1-14", "0-1-14"]);
    let missing = Acking::Missing { since: at(9_500) };
    server(&mut view).acking = BTreeMap::from([(MemberId(2), missing), (MemberId(3), missing)]);
    let policy = Policy::with_ttl(TTL);
    let waiting = Duration::from_secs(5);
    let why = Why::WritesWait { waiting, acks: 1, connected: 0, in_sync: 2 };
    assert_eq!((decided(&view).act, decided(&view).why), (Act::Wait, why.clone()));
    assert_eq!(writes_wait(&view, &policy, NOW), Some(why.clone()));
    let text = "writes have been waiting for 5.0s: each needs 1 acknowledgements, and none came; 0 of the 2 in-sync replicas are connected";
    assert_eq!(why.to_string(), text);
    server(&mut view).waiting_since = Some(at(9_500));
    assert_eq!(writes_wait(&view, &policy, NOW), None);
    // It looks again when that may have changed.
    assert_eq!((decided(&view).act, decided(&view).until), (Act::Wait, Some(at(10_500))));
    // Not of a member that does not lead.
    server(&mut view).waiting_since = Some(at(5_000));
    lease_of(&mut view).holder = MemberId(2);
    assert_eq!(writes_wait(&view, &policy, NOW), None);
}
