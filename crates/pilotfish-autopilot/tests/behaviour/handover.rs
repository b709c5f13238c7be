//! The lease changes hands: when it is ours, who is asked, and what waits meanwhile.

use pilotfish_autopilot::*;
use std::collections::BTreeMap;

use crate::decisions::{ME, TTL, at, decided, facts, follower, lease, mariadb, record, role, stopped};
use crate::traps::{leader, with_server};

/// The lease that member 1 hands over to us.
fn handed_over() -> Lease {
    let mut lease = lease();
    lease.epoch = Epoch { term: Term(6), change: 10 };
    lease.holder = ME;
    lease.config.primary = Seat { member: ME, data: DataId(2) };
    lease.config.in_sync = BTreeMap::from([(MemberId(1), DataId(1))]);
    lease
}

/// What we hold once it was read, where the question before was sent at 9.5 s.
fn held(mut view: View, lease: Lease, policy: &Policy) -> (View, Option<Holding>) {
    view.lease_was_read(LeaseFact::Present { lease, index: 41 }, at(9_500), at(9_990), policy);
    let holding = view.holding.clone();
    (view, holding)
}

#[test]
fn what_was_handed_over_before_our_eyes_is_held_from_when_it_was_another_s_still() {
    let policy = Policy::with_ttl(TTL);
    let (mut view, holding) = held(follower(), handed_over(), &policy);
    assert_eq!(holding, Some(Holding { lease: handed_over(), sent: at(9_500), since: at(9_990) }));
    assert_eq!(view.deadline(TTL), Some(at(12_500)));
    let Data::Present(identity) = &mut view.data else { panic!("there is data") };
    identity.seen = handed_over().epoch;
    // The rest is as with any lease: nothing is received, the gate and the acks are set, and then it opens.
    assert_eq!(role(&view).act, Act::StopReceiver { term: Term(6) });
    stopped(&mut view);
    assert_eq!(role(&view).act, Act::SetGate { term: Term(6), admit: [MemberId(1)].into() });
    with_server(&mut view, |facts| (facts.gate, facts.acks) = ([MemberId(1)].into(), 1));
    assert_eq!(role(&view).act, Act::Open { term: Term(6) });
    // Not so shortly before it ends: it is renewed first, or taken anew.
    view.holding.as_mut().expect("it is held").sent = at(7_050);
    assert!(matches!(decided(&view).act, Act::WriteLease { change: LeaseChange::Renew, .. }));
    view.busy.lease = true;
    assert_eq!(role(&view).act, Act::Wait);
    view.busy.lease = false;
    view.holding.as_mut().expect("it is held").sent = at(6_000);
    assert!(matches!(decided(&view).act, Act::WriteLease { change: LeaseChange::Retake, .. }));
}

#[test]
fn what_was_not_handed_over_before_our_eyes_is_taken_by_a_write() {
    let policy = Policy::with_ttl(TTL);
    let not_held = |view: View, lease: Lease, policy: &Policy| {
        let (mut view, holding) = held(view, lease, policy);
        assert_eq!(holding, None);
        if let (Some((lease, _)), Data::Present(identity)) = (view.lease(), &view.data) {
            let seen = lease.epoch.max(identity.seen);
            view.data = Data::Present(Identity { seen, ..*identity });
        }
        role(&view).act
    };
    let retakes = |act| matches!(act, Act::WriteLease { change: LeaseChange::Retake, .. });
    // We have just been started.
    let mut new = follower();
    new.lease = LeaseFact::Unknown;
    assert!(retakes(not_held(new, handed_over(), &policy)));
    // We missed a term in between.
    let mut later = handed_over();
    later.epoch = Epoch { term: Term(7), change: 11 };
    assert!(retakes(not_held(follower(), later, &policy)));
    // Others do not ask each other.
    assert!(retakes(not_held(follower(), handed_over(), &Policy { durability: Durability::Async, ..policy.clone() })));
    // It was handed to data that we have no more, or taken in a vote: then we do not have everything yet.
    let mut old = handed_over();
    old.config.primary.data = DataId(22);
    assert!(!retakes(not_held(follower(), old, &policy)));
    let mut taken = handed_over();
    taken.config = lease().config;
    assert!(!retakes(not_held(follower(), taken, &policy)));
    // The catalog went back.
    let mut seen = follower();
    let Data::Present(identity) = &mut seen.data else { panic!("there is data") };
    identity.seen = Epoch { term: Term(6), change: 12 };
    assert_eq!(not_held(seen, handed_over(), &policy), Act::Wait);
}

#[test]
fn who_cannot_lead_lets_what_was_handed_over_lapse() {
    let policy = Policy::with_ttl(TTL);
    let is_renewal = |act| matches!(act, Act::WriteLease { change: LeaseChange::Renew, .. });
    // Its disk is full: it remembers neither that it leads nor what it saw before.
    let (mut view, _) = held(follower(), handed_over(), &policy);
    view.holding.as_mut().expect("it is held").sent = at(8_500);
    assert_eq!(role(&view).act, Act::Remember { seen: handed_over().epoch });
    let Data::Present(identity) = &mut view.data else { panic!("there is data") };
    identity.seen = handed_over().epoch;
    assert!(is_renewal(role(&view).act));
    let mut behind = follower();
    let Data::Present(identity) = &mut behind.data else { panic!("there is data") };
    identity.seen.change -= 1;
    assert_eq!(held(behind, handed_over(), &policy).1, None);
    // It cannot even be read.
    let (mut unread, _) = held(follower(), handed_over(), &policy);
    unread.holding.as_mut().expect("it is held").sent = at(8_500);
    unread.data = Data::Unknown;
    assert_eq!(role(&unread).why, Why::DataUnknown);
    // Its server has just been started again.
    let mut starting = follower();
    starting.server = Server::Starting { since: at(9_900) };
    assert_eq!(held(starting, handed_over(), &policy).1, None);
}

#[test]
fn who_is_paused_writes_down_what_it_sees_so_that_the_lease_can_be_handed_to_it() {
    let mut view = follower();
    view.orders.paused = true;
    assert_eq!(role(&view).why, Why::Paused);
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.epoch.change += 1;
    assert_eq!(role(&view).act, Act::Remember { seen: Epoch { term: Term(5), change: 10 } });
}

#[test]
fn a_stop_does_not_wait_for_ever_for_a_hand_over_in_doubt() {
    let mut view = leader();
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    let LeaseFact::Present { lease, index } = view.lease.clone() else { panic!("there is one") };
    let change = LeaseChange::HandOver(MemberId(3));
    view.pending = Some(PendingWrite { cas: index, change, value: lease });
    view.orders.stop = Some(at(5_000));
    assert_eq!(role(&view).why, Why::WriteInDoubt);
    view.orders.stop = Some(at(0));
    assert_eq!(role(&view).act, Act::StopServer);
}

#[test]
fn the_target_is_one_that_has_written_down_the_lease_as_it_is() {
    let mut view = leader();
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.insert(MemberId(4), DataId(4));
    let mut other = view.records[&MemberId(3)].clone();
    other.data = Some((ClusterId(7), DataId(4)));
    view.records.insert(MemberId(4), other);
    with_server(&mut view, |facts| {
        facts.access = Access::ReadOnly;
        facts.acking.insert(MemberId(4), Acking::Connected);
    });
    view.orders.switchover = Some(Switchover { id: 1, to: None, term: Term(5), since: at(9_000) });
    let target = |view: &View| {
        let act = role(view).act;
        let Act::WriteLease { change: LeaseChange::HandOver(member), .. } = act else { panic!("{act:?}") };
        member
    };
    assert_eq!(target(&view), MemberId(3));
    view.records.get_mut(&MemberId(3)).expect("it is there").seen.change -= 1;
    assert_eq!(target(&view), MemberId(4));
}

#[test]
fn a_write_is_not_on_fewer_members_after_a_switchover_if_others_come_in_a_moment() {
    let mut view = leader();
    let policy = Policy { acks: 2, ..Policy::with_ttl(TTL) };
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.insert(MemberId(4), DataId(4));
    lease.config.acks = 2;
    view.holding.as_mut().expect("it is held").lease = lease.clone();
    let following = Some(Following { source: ME, mode: Mode::Acking });
    let other = MemberRecord { following, seen: Epoch::default(), ..record(4, "0-1-14") };
    view.records.insert(MemberId(4), other);
    with_server(&mut view, |facts| {
        (facts.access, facts.acks) = (Access::ReadOnly, 2);
        facts.acking.insert(MemberId(4), Acking::Connected);
    });
    view.busy.catalog = true;
    let decided = |view: &View, since| {
        let order = Switchover { id: 1, to: Some(MemberId(3)), term: Term(5), since };
        decide(
            &View { orders: Orders { switchover: Some(order), ..Orders::default() }, ..view.clone() },
            &policy,
            at(10_000),
        )
    };
    assert_eq!(decided(&view, at(9_500)).act, Act::Wait);
    let handed = |act: &Act| {
        let Act::WriteLease { change: LeaseChange::HandOver(MemberId(3)), value, .. } = act else { return None };
        Some(value.config.acks)
    };
    assert_eq!(handed(&decided(&view, at(8_500)).act), Some(1), "it does not come");
    view.hear(Seat { member: MemberId(4), data: DataId(4) }, &mariadb("0-1-15"));
    assert_eq!(handed(&decided(&view, at(9_500)).act), Some(2));
}

#[test]
fn a_closed_holder_asks_those_that_lack_something_and_what_they_answer_is_theirs() {
    let mut view = leader();
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    let seat = Seat { member: MemberId(3), data: DataId(3) };
    view.records.get_mut(&seat.member).expect("it is there").executed = Some(mariadb("0-1-14"));
    assert_eq!(awaited(&view), [], "nobody wants it to hand over");
    view.orders.switchover = Some(Switchover { id: 1, to: None, term: Term(5), since: at(9_000) });
    assert_eq!(awaited(&view), [seat]);
    assert!(matches!(role(&view).why, Why::TargetBehind { .. }));
    // An answer of other data, and an older one, say nothing.
    view.hear(Seat { data: DataId(33), ..seat }, &mariadb("0-1-15"));
    view.hear(seat, &mariadb("0-1-13"));
    assert_eq!(awaited(&view), [seat]);
    view.hear(seat, &mariadb("0-1-15"));
    assert_eq!(awaited(&view), []);
    assert!(matches!(role(&view).act, Act::WriteLease { change: LeaseChange::HandOver(MemberId(3)), .. }));
    // While it takes writes nobody can have everything, and who is not connected is not asked.
    let executed = Some(mariadb("0-1-14"));
    view.records.get_mut(&seat.member).expect("it is there").executed = executed;
    with_server(&mut view, |facts| facts.access = Access::Writable);
    assert_eq!(awaited(&view), []);
    with_server(&mut view, |facts| {
        facts.access = Access::ReadOnly;
        facts.acking.insert(seat.member, Acking::Missing { since: at(9_000) });
    });
    assert_eq!(awaited(&view), []);
}

/// The lease changed at 9.95 s.
fn just_changed(view: &mut View) {
    let LeaseFact::Present { lease, index } = view.lease.clone() else { panic!("there is one") };
    view.lease = LeaseFact::Absent;
    view.lease_was_written(lease.clone(), index, at(9_950));
    // A renewal is no change.
    view.lease_was_written(Lease { beat: lease.beat + 1, ..lease }, index + 1, at(9_990));
}

#[test]
fn what_nobody_waits_for_comes_a_moment_after_a_change_of_the_lease() {
    let mut view = follower();
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.remove(&ME);
    stopped(&mut view);
    view.records = BTreeMap::from([(ME, record(2, "0-1-15")), (MemberId(1), record(1, "0-1-15"))]);
    let attach = Act::Attach { to: MemberId(1), term: Term(5), mode: Mode::Plain };
    assert_eq!(role(&view).act, attach);
    just_changed(&mut view);
    let waits = role(&view);
    assert_eq!((waits.act, waits.until), (Act::Wait, Some(at(10_050))));
    // Who is in sync is waited for.
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.insert(ME, DataId(2));
    assert_eq!(role(&view).act, Act::Attach { to: MemberId(1), term: Term(5), mode: Mode::Acking });
}

#[test]
fn news_that_nobody_waits_for_are_told_a_moment_later() {
    let mut view = follower();
    view.registered = Some(Role::Replica);
    view.records = BTreeMap::from([(ME, record(2, "0-1-15")), (MemberId(1), record(1, "0-1-15"))]);
    let tells = |view: &View| matches!(decided(view).act, Act::PublishRecord { .. });
    assert!(tells(&view), "it follows, and its record does not say so");
    just_changed(&mut view);
    assert_eq!((decided(&view).act, decided(&view).until), (Act::Wait, Some(at(10_050))));
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    // A holder that has not established itself waits for it.
    lease.config.primary = Seat { member: MemberId(3), data: DataId(3) };
    assert!(tells(&view));
}

#[test]
fn a_former_primary_stops_a_moment_after_it_has_handed_over() {
    let mut view = follower();
    view.server = Server::Running(ServerFacts { receiver: Receiver::Stopped, ..facts("0-1-15", "0-1-15") });
    view.orders.stop = Some(at(9_900));
    assert_eq!(role(&view).act, Act::StopServer);
    just_changed(&mut view);
    assert_eq!((role(&view).act, role(&view).until), (Act::Wait, Some(at(10_050))));
}

#[test]
fn an_order_is_answered_once_clients_know_the_new_primary() {
    let mut view = leader();
    view.orders.switchover = Some(Switchover { id: 1, to: Some(ME), term: Term(4), since: at(9_000) });
    view.registered = Some(Role::Replica);
    assert!(!matches!(decided(&view).act, Act::Answer { .. }));
    view.registered = Some(Role::Primary);
    assert_eq!(decided(&view).act, Act::Answer { order: 1, outcome: OrderOutcome::Done });
}
