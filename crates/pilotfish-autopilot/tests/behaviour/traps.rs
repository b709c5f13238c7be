//! Traps of catalogs and servers, and failures that other tools were seen to have: the decisions that step around them, each under its id (C, M
//! and Y are traps of Consul, MariaDB and MySQL, D and E failures around the lease and around replication).

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_autopilot::*;

use super::decisions::{ME, TTL, at, decided, follower, mariadb, record, released, role, stopped, vote};

pub(crate) fn with_lease(view: &mut View, change: impl FnOnce(&mut Lease)) {
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    change(lease);
}

pub(crate) fn with_server(view: &mut View, change: impl FnOnce(&mut ServerFacts)) {
    let Server::Running(facts) = &mut view.server else { panic!("it runs") };
    change(facts);
}

/// Member 2 leads since long ago with member 3 in sync, and takes writes that member 3 acknowledges.
pub(crate) fn leader() -> View {
    let mut view = follower();
    with_lease(&mut view, |lease| {
        lease.holder = ME;
        lease.config.primary = Seat { member: ME, data: DataId(2) };
        lease.config.in_sync = BTreeMap::from([(MemberId(3), DataId(3))]);
    });
    let LeaseFact::Present { lease, .. } = &view.lease else { panic!("there is one") };
    view.holding = Some(Holding { lease: lease.clone(), sent: at(9_900), since: at(0) });
    with_server(&mut view, |facts| {
        facts.access = Access::Writable;
        facts.acks = 1;
        facts.gate = [MemberId(3)].into();
        facts.acking = BTreeMap::from([(MemberId(3), Acking::Connected)]);
        facts.receiver = Receiver::Stopped;
    });
    let following = Some(Following { source: ME, mode: Mode::Acking });
    view.records =
        BTreeMap::from([(ME, record(2, "0-1-15")), (MemberId(3), MemberRecord { following, ..record(3, "0-1-15") })]);
    view
}

/// The last renewal that succeeded was sent so long ago that only the server's last moment is left.
fn renewed_long_ago(view: &mut View) {
    let Some(holding) = &mut view.holding else { panic!("it holds the lease") };
    holding.sent = at(7_050);
}

/// Answers of the catalog, half a second apart, that the lease is as it was.
fn unchanged_until(clock: &mut LeaseClock, from: u64, to: u64) {
    let gap = Policy::with_ttl(TTL).longest_gap();
    (from..=to).step_by(500).for_each(|ms| clock.answered(at(ms), 40, gap));
}

#[test]
fn c1_d1_a_lease_is_free_after_its_length_on_our_own_clock_and_no_sooner() {
    let mut view = follower();
    unchanged_until(&mut view.lease_clock, 1_000, 4_000);
    assert!(!matches!(role(&view).act, Act::StopReceiver { .. }), "it has not lapsed: {:?}", role(&view));
    unchanged_until(&mut view.lease_clock, 4_500, 4_500);
    assert_eq!(role(&view).act, Act::StopReceiver { term: Term(6) });
}

#[test]
fn c4_c5_time_without_a_leader_of_the_catalog_does_not_count() {
    let mut view = follower();
    unchanged_until(&mut view.lease_clock, 1_000, 3_500);
    view.lease_clock.failed();
    unchanged_until(&mut view.lease_clock, 4_000, 4_000);
    assert_eq!(view.lease_clock.unchanged(), Duration::from_millis(2_500));
    // An election that lasts longer than two answers are ever apart: the holder has a whole lease again.
    view.lease_clock.failed();
    unchanged_until(&mut view.lease_clock, 9_000, 10_000);
    assert_eq!(view.lease_clock.unchanged(), Duration::from_secs(1));
    assert!(!matches!(role(&view).act, Act::StopReceiver { .. }));
}

#[test]
fn m6_replicas_of_a_source_that_hangs_stop_receiving_before_its_lease_ends() {
    let mut view = follower();
    let asked = |since| Some(Unanswered { member: MemberId(1), term: Term(5), since: at(since) });
    let stays = |view: &View| !matches!(role(view).act, Act::StopReceiver { .. });
    view.unanswered = asked(9_000);
    unchanged_until(&mut view.lease_clock, 1_000, 2_500);
    assert!(stays(&view), "its lease is not late");
    unchanged_until(&mut view.lease_clock, 3_000, 3_000);
    assert_eq!(role(&view).act, Act::StopReceiver { term: Term(5) });
    // Whoever answers does not hang, and an answer has its time. What another did not answer, or it did not in another term, says nothing.
    view.unanswered = None;
    assert!(stays(&view));
    view.unanswered = asked(9_700);
    assert!(stays(&view));
    view.unanswered = Some(Unanswered { member: MemberId(3), term: Term(5), since: at(0) });
    assert!(stays(&view));
    view.unanswered = Some(Unanswered { member: MemberId(1), term: Term(4), since: at(0) });
    assert!(stays(&view));
    view.unanswered = asked(9_000);
    let mut mysql = view.clone();
    mysql.flavour = Flavour::MySql;
    assert!(stays(&mysql), "it stops at once");
    let mut silent = view.clone();
    silent.catalog = Catalog::Unknown(at(9_500));
    assert!(stays(&silent), "nobody could vote");
    let early = Decision { act: Act::StopReceiver { term: Term(5) }, why: Why::Settled, until: None };
    let mut kept = view.clone();
    kept.lease_clock.answered(at(3_100), 41, Policy::with_ttl(TTL).longest_gap());
    assert_eq!(lint(&kept, &Policy::with_ttl(TTL), at(10_000), &early), [Objection::HolderWaits]);

    // It waits as it is, though it knows that it could follow, until the lease is renewed or lapses.
    view.unanswered = asked(9_000);
    view.records.insert(MemberId(1), record(1, "0-1-15"));
    with_server(&mut view, |facts| facts.receiver = Receiver::Stopped);
    assert!(matches!(role(&view), Decision { act: Act::Wait, why: Why::SourceHangs { .. }, .. }));
    let mut renewed = view.clone();
    renewed.lease_clock.answered(at(3_100), 41, Policy::with_ttl(TTL).longest_gap());
    assert!(matches!(role(&renewed).act, Act::Attach { .. }));
    unchanged_until(&mut view.lease_clock, 3_500, 4_500);
    assert!(matches!(decided(&view).act, Act::PublishVote { .. }));

    // What it has received must be applied before it attaches again: it stays while that would take long. And the catalog may fail once.
    view.lease_clock = LeaseClock::default();
    unchanged_until(&mut view.lease_clock, 1_000, 3_000);
    view.catalog = Catalog::Unknown(at(9_100));
    assert!(matches!(role(&view).why, Why::SourceHangs { .. }));
    view.catalog = Catalog::Unknown(at(8_900));
    assert!(matches!(role(&view).act, Act::Attach { .. }));
    view.catalog = Catalog::Answers;
    with_server(&mut view, |facts| {
        facts.receiver = Receiver::Running { to: MemberId(1), mode: Mode::Acking, connected: true };
        facts.received = mariadb("0-1-16");
    });
    assert!(stays(&view));
    with_server(&mut view, |facts| facts.executed = mariadb("0-1-16"));
    assert!(!stays(&view));
    // Where nobody can be elected, nobody needs to.
    with_lease(&mut view, |lease| lease.config.acks = 0);
    assert!(stays(&view));
}

#[test]
fn m6_nobody_waits_for_the_vote_of_a_replica_that_is_not_in_sync() {
    let mut view = follower();
    with_lease(&mut view, |lease| {
        lease.config.in_sync.remove(&ME);
    });
    with_server(&mut view, |facts| {
        facts.receiver = Receiver::Running { to: MemberId(1), mode: Mode::Plain, connected: true }
    });
    view.unanswered = Some(Unanswered { member: MemberId(1), term: Term(5), since: at(9_000) });
    unchanged_until(&mut view.lease_clock, 1_000, 3_000);
    assert!(!matches!(role(&view).act, Act::StopReceiver { .. }));
}

/// What is left of a lease that is late is a second and a little more, if there is so much after two renewals.
#[test]
fn m6_how_late_is_late() {
    for (ttl, late) in [(1_000, 666), (3_000, 2_000), (10_000, 9_700), (60_000, 64_700)] {
        let found = Policy::with_ttl(Duration::from_millis(ttl)).late();
        assert_eq!(found.as_millis(), late, "with a lease of {ttl} ms");
    }
}

#[test]
fn d2_d8_who_is_replaced_is_killed_at_once_whatever_it_believes() {
    let mut view = leader();
    assert!(!matches!(role(&view).act, Act::FenceServer));
    with_lease(&mut view, |lease| {
        lease.epoch = Epoch { term: Term(6), change: 10 };
        lease.holder = MemberId(3);
    });
    let superseded = Why::Superseded { term: Term(6), holder: MemberId(3), ours: Term(5) };
    assert_eq!((role(&view).act, role(&view).why), (Act::FenceServer, superseded));
    // Somebody has given it up for us, as a person with the catalog's tools can: it is not ours to take back without the votes.
    let mut view = leader();
    with_lease(&mut view, |lease| {
        lease.state = LeaseState::Released;
        lease.epoch.change += 1;
    });
    assert_eq!(role(&view).act, Act::FenceServer);
}

#[test]
fn d7_a_fence_waits_for_no_request_and_no_statement() {
    let mut view = leader();
    renewed_long_ago(&mut view);
    view.catalog = Catalog::Unknown(at(7_500));
    with_server(&mut view, |facts| {
        facts.acking = BTreeMap::from([(MemberId(3), Acking::Missing { since: at(9_000) })])
    });
    // A renewal is under way, and so is a statement.
    view.busy = Busy {
        lease: true,
        catalog: true,
        server: Some(Act::SetGate { term: Term(5), admit: [].into() }),
        ..Busy::default()
    };
    assert!(matches!(decided(&view), Decision { act: Act::FenceServer, why: Why::LeaseLapsed { .. }, .. }));
}

#[test]
fn d11_writes_that_are_refused_are_as_good_as_none() {
    let mut view = leader();
    renewed_long_ago(&mut view);
    view.catalog = Catalog::Unknown(at(7_500));
    view.busy.lease = true;
    assert!(matches!(role(&view).why, Why::RidingOut { .. }), "replicas acknowledge: nobody else can lead");
    // It answers questions, and our token may not write any more: others see a lease that lapses.
    view.catalog = Catalog::Answers;
    view.lease_tried = Some(at(9_990));
    unchanged_until(&mut view.lease_clock, 7_000, 10_000);
    assert!(matches!(role(&view), Decision { act: Act::FenceServer, why: Why::LeaseLapsed { .. }, .. }));
}

#[test]
fn d13_what_a_former_run_held_is_not_held() {
    let mut view = leader();
    view.holding = None;
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    // It wrote last, so it may lead again; but in a new term, by a write that names the index.
    let Act::WriteLease { change: LeaseChange::Retake, value, cas: 40 } = role(&view).act else {
        panic!("{:?}", role(&view))
    };
    assert_eq!(value.epoch.term, Term(6));
    // It had claimed the lease, and the writes of another count: it gives the claim up.
    with_lease(&mut view, |lease| {
        lease.config.primary = Seat { member: MemberId(1), data: DataId(1) };
        lease.config.in_sync = BTreeMap::from([(ME, DataId(2)), (MemberId(3), DataId(3))]);
    });
    let decision = role(&view);
    assert!(matches!(decision.act, Act::WriteLease { change: LeaseChange::Release, .. }), "{decision:?}");
    // Nor does it renew, or open, what another copy of its data held before a disk was lost.
    view.data = Data::Empty;
    view.server = Server::Stopped;
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::NoDonor));
}

#[test]
fn d14_a_handover_of_which_nobody_knows_keeps_the_server_closed() {
    let mut view = leader();
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    let LeaseFact::Present { lease, .. } = &view.lease else { panic!("there is one") };
    let mut value = lease.clone();
    (value.epoch, value.holder) = (Epoch { term: Term(6), change: 10 }, MemberId(3));
    let change = LeaseChange::HandOver(MemberId(3));
    view.pending = Some(PendingWrite { cas: 40, change, value });
    view.catalog = Catalog::Unknown(at(9_950));
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::WriteInDoubt));
    // The answer is that it was never written: all is as before.
    (view.pending, view.catalog) = (None, Catalog::Answers);
    assert_eq!(role(&view).act, Act::Open { term: Term(5) });
}

#[test]
fn m5_y2_fewer_acks_are_asked_for_only_after_the_lease_says_so() {
    let mut view = leader();
    with_server(&mut view, |facts| facts.acking = BTreeMap::from([(MemberId(3), Acking::Missing { since: at(0) })]));
    // Switching semi-synchronous replication off tells everybody who waits that all is well.
    let decision = role(&view);
    let Act::WriteLease { change: LeaseChange::Acks(0), .. } = decision.act else { panic!("{decision:?}") };
    let early = Decision { act: Act::SetAcks { term: Term(5), acks: 0 }, ..decision };
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &early), [Objection::TooFewAcks]);
    // Three members: the last replica in sync is kept, and writes wait.
    view.records.insert(MemberId(1), record(1, "0-1-15"));
    let decision = role(&view);
    assert!(decision.act == Act::Wait, "{decision:?}");
}

#[test]
fn y_a_closed_server_ceases_to_wait_before_its_replicas_hang_up_and_the_lease_does_not_wait_for_that() {
    let mut view = leader();
    view.flavour = Flavour::MySql;
    let executed = GtidSet::parse(Flavour::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-15").expect("it is one");
    with_server(&mut view, |facts| {
        (facts.executed, facts.received, facts.settled) = (executed.clone(), executed.clone(), executed.clone());
    });
    for record in view.records.values_mut() {
        (record.executed, record.received) = (Some(executed.clone()), Some(executed.clone()));
    }
    view.orders.switchover = Some(Switchover { id: 1, to: None, term: Term(5), since: at(9_000) });
    assert_eq!(role(&view).act, Act::Close { term: Term(5) });
    let cease = Act::SetAcks { term: Term(5), acks: 0 };
    let open = Decision { act: cease.clone(), ..role(&view) };
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &open), [Objection::TooFewAcks]);
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    assert_eq!(role(&view).act, cease);
    view.busy.server = Some(cease);
    assert!(matches!(role(&view).act, Act::WriteLease { change: LeaseChange::HandOver(MemberId(3)), .. }));
    // Anything else that is under way may change what the server has.
    view.busy.server = Some(Act::Drain { term: Term(5) });
    assert_eq!(role(&view).act, Act::Wait);
}

#[test]
fn y1_whoever_may_have_waiting_commits_is_killed_and_not_asked_to_stop() {
    let mut view = leader();
    view.orders.stop = Some(at(9_000));
    // First it closes, as for a switchover.
    assert_eq!(role(&view).act, Act::Close { term: Term(5) });
    // A commit that waits keeps it from closing: when the time for that is over, it is killed.
    view.busy.server = Some(Act::Close { term: Term(5) });
    view.orders.stop = Some(at(0));
    assert!(matches!(role(&view), Decision { act: Act::FenceServer, why: Why::StopAsked { .. }, .. }));
    let polite = Decision { act: Act::StopServer, why: Why::Settled, until: None };
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &polite), [Objection::TakesWrites]);
    // So is one that does not say what it does, and one that takes writes without a lease that says so.
    view.busy.server = None;
    for access in [Access::Unknown, Access::Writable] {
        with_server(&mut view, |facts| facts.access = access);
        assert_eq!(role(&view).act, Act::FenceServer, "{access:?}");
        let mut lost = view.clone();
        lost.holding = None;
        assert_eq!(role(&lost).act, Act::FenceServer, "{access:?}");
    }
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    assert_eq!(role(&view).act, Act::StopServer);
}

#[test]
fn y5_nobody_leads_with_errant_data_a_failed_applier_or_an_undrained_relay_log() {
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    view.votes = vec![vote(2, "0-1-15"), vote(3, "0-1-15")];
    assert!(matches!(role(&view).act, Act::WriteLease { change: LeaseChange::Take, .. }));
    let mut failed = view.clone();
    with_server(&mut failed, |facts| facts.applier = Applier::Failed);
    assert_eq!((role(&failed).act, role(&failed).why), (Act::Wait, Why::ApplierStopped));
    // It has the lease: first all is applied; if that cannot be, another may lead. Nothing else, however long it lasts.
    let mut taken = view.clone();
    with_lease(&mut taken, |lease| {
        (lease.epoch, lease.holder, lease.state) = (Epoch { term: Term(6), change: 11 }, ME, LeaseState::Held);
    });
    let Data::Present(identity) = &mut taken.data else { panic!("there is data") };
    (identity.seen, identity.promise) = (Epoch { term: Term(6), change: 11 }, Term(6));
    let LeaseFact::Present { lease, .. } = &taken.lease else { panic!("there is one") };
    taken.holding = Some(Holding { lease: lease.clone(), sent: at(9_900), since: at(0) });
    with_server(&mut taken, |facts| facts.received = mariadb("0-1-16"));
    assert_eq!(role(&taken).act, Act::Drain { term: Term(6) });
    let early = Decision { act: Act::Open { term: Term(6) }, why: Why::Settled, until: None };
    assert!(lint(&taken, &Policy::with_ttl(TTL), at(10_000), &early).contains(&Objection::NotDrained));
    with_server(&mut taken, |facts| facts.applier = Applier::Failed);
    let decision = role(&taken);
    assert!(matches!(decision.act, Act::WriteLease { change: LeaseChange::Release, .. }), "{decision:?}");
}

#[test]
fn y5_nobody_leads_who_is_known_to_be_errant() {
    let mut view = follower();
    unchanged_until(&mut view.lease_clock, 1_000, 5_000);
    with_server(&mut view, |facts| {
        (facts.executed, facts.received) = (mariadb("0-1-15,0-2-16"), mariadb("0-1-15,0-2-16"));
    });
    stopped(&mut view);
    let ours = mariadb("0-1-15,0-2-16");
    let executed = mariadb("0-1-15");
    view.source = Some(SourceFacts { member: MemberId(1), term: Term(5), executed, ours, data: DataId(2) });
    // Its vote says only what others may count on, so that it keeps nobody else from leading.
    let Act::PublishVote { vote: ours } = decided(&view).act else { panic!("{:?}", decided(&view)) };
    assert_eq!(ours.received, mariadb("0-1-15"));
    view.votes = vec![*ours, vote(3, "0-1-15")];
    let decision = role(&view);
    assert!(matches!(decision, Decision { act: Act::Wait, why: Why::Errant { .. }, .. }), "{decision:?}");
}

#[test]
fn e4_acknowledged_events_that_cannot_be_applied_win_or_everybody_waits() {
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    with_server(&mut view, |facts| {
        (facts.received, facts.applier) = (mariadb("0-1-18"), Applier::Failed);
    });
    // What it has received counts, applied or not.
    let Act::PublishVote { vote: ours } = decided(&view).act else { panic!("{:?}", decided(&view)) };
    assert_eq!(ours.received, mariadb("0-1-18"));
    view.votes = vec![*ours, vote(3, "0-1-15")];
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::ApplierStopped));
    // The other one sees that vote, and waits as well.
    let mut other = view.clone();
    with_server(&mut other, |facts| {
        (facts.received, facts.applier) = (mariadb("0-1-15"), Applier::Running);
    });
    assert_eq!(
        (role(&other).act, role(&other).why),
        (Act::Wait, Why::NotGreatest { term: Term(6), covered: 1, needed: 2 })
    );
}

#[test]
fn e8_who_was_dropped_before_the_last_writes_does_not_lead() {
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    with_lease(&mut view, |lease| {
        lease.config.in_sync.remove(&ME);
    });
    // It comes back first, alone, and even with a vote from before.
    view.votes = vec![vote(2, "0-1-15")];
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::NotInSync { primary: MemberId(1) }));
}

#[test]
fn e9_who_is_being_seeded_neither_votes_nor_leads() {
    for data in [Data::Empty, Data::Partial, Data::Condemned(follower().identity().expect("there is data"))] {
        let mut view = follower();
        released(&mut view);
        view.data = data;
        view.server = Server::Stopped;
        // With the data that is named in the set it is not in sync either: that is gone.
        let decision = role(&view);
        assert_eq!(decision.act, Act::Wait, "{decision:?}");
        let seat = Seat { member: ME, data: DataId(2) };
        let early = Vote { seat, term: Term(6), received: mariadb("0-1-15") };
        let early = Decision { act: Act::PublishVote { vote: Box::new(early) }, ..decision };
        assert!(!lint(&view, &Policy::with_ttl(TTL), at(10_000), &early).is_empty());
    }
}

#[test]
fn e12_a_switchover_waits_for_the_target_or_goes_back() {
    let mut view = leader();
    let order = Switchover { id: 9, to: None, term: Term(5), since: at(9_000) };
    view.orders.switchover = Some(order);
    assert_eq!(role(&view).act, Act::Close { term: Term(5) });
    with_server(&mut view, |facts| (facts.executed, facts.received) = (mariadb("0-1-16"), mariadb("0-1-16")));
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::TargetBehind { to: MemberId(3) }));
    view.orders.switchover = Some(Switchover { since: at(0), ..order });
    assert_eq!(role(&view).act, Act::Open { term: Term(5) }, "too late: all is as before");
    with_server(&mut view, |facts| facts.access = Access::Writable);
    let answer = Act::Answer { order: 9, outcome: OrderOutcome::RolledBack };
    assert_eq!(decided(&view).act, answer);
}

#[test]
fn e13_a_failover_needs_nothing_from_the_dead() {
    // No record of the old primary, no answer from it: the votes are all.
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    view.votes = vec![vote(2, "0-1-15"), vote(3, "0-1-15")];
    view.records = BTreeMap::from([(ME, record(2, "0-1-15")), (MemberId(3), record(3, "0-1-15"))]);
    let Act::WriteLease { change: LeaseChange::Take, value, .. } = role(&view).act else { panic!("{:?}", role(&view)) };
    let took = |view: &mut View, value: Lease| {
        let Data::Present(identity) = &mut view.data else { panic!("there is data") };
        (identity.seen, identity.promise) = (value.epoch, value.epoch.term);
        view.holding = Some(Holding { lease: value.clone(), sent: at(9_900), since: at(9_900) });
        view.lease = LeaseFact::Present { lease: value, index: 41 };
    };
    took(&mut view, *value);
    let admit = [MemberId(3)].into();
    assert_eq!(role(&view).act, Act::SetGate { term: Term(6), admit });
    with_server(&mut view, |facts| facts.gate = [MemberId(3)].into());
    let other = view.records.get_mut(&MemberId(3)).expect("it is there");
    other.following = Some(Following { source: ME, mode: Mode::Acking });
    other.seen.term = Term(6);
    let decision = role(&view);
    let Act::WriteLease { change: LeaseChange::Establish, value, .. } = decision.act else { panic!("{decision:?}") };
    took(&mut view, *value);
    assert_eq!(role(&view).act, Act::SetAcks { term: Term(6), acks: 1 });
    with_server(&mut view, |facts| facts.acks = 1);
    assert_eq!(role(&view).act, Act::Open { term: Term(6) });
}

#[test]
fn e18_who_may_not_lead_never_does_and_nobody_takes_the_lead_back() {
    let elect = |view: &View, may_lead| {
        let policy = Policy { may_lead, ..Policy::with_ttl(TTL) };
        let mut view = view.clone();
        view.busy.catalog = true;
        decide(&view, &policy, at(10_000))
    };
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    view.votes = vec![vote(2, "0-1-15"), vote(3, "0-1-15")];
    assert!(matches!(elect(&view, true).act, Act::WriteLease { change: LeaseChange::Take, .. }));
    assert_eq!((elect(&view, false).act, elect(&view, false).why), (Act::Wait, Why::MayNotLead));
    // Not even with the data of the last primary.
    with_lease(&mut view, |lease| lease.config.primary = Seat { member: ME, data: DataId(2) });
    assert!(matches!(elect(&view, true).act, Act::WriteLease { change: LeaseChange::Retake, .. }));
    assert!(!matches!(elect(&view, false).act, Act::WriteLease { .. }), "{:?}", elect(&view, false));
    // The last primary finds that another leads: it follows, and takes nothing back.
    let mut back = follower();
    with_lease(&mut back, |lease| {
        lease.holder = MemberId(3);
        lease.config.primary = Seat { member: MemberId(3), data: DataId(3) };
        lease.config.in_sync = BTreeMap::new();
    });
    stopped(&mut back);
    let executed = mariadb("0-1-15,0-3-17");
    let ours = mariadb("0-1-15");
    back.source = Some(SourceFacts { member: MemberId(3), term: Term(5), executed, ours, data: DataId(2) });
    assert_eq!(role(&back).act, Act::Attach { to: MemberId(3), term: Term(5), mode: Mode::Plain });
}

/// Without durability a client has its OK for what only the old primary has: it is told what was lost, so nothing is dropped.
#[test]
fn m3_e3_what_was_acknowledged_to_nobody_else_is_not_dropped_without_durability() {
    let mut view = follower();
    view.server = Server::Stopped;
    view.busy.catalog = true;
    with_lease(&mut view, |lease| {
        lease.config.in_sync = BTreeMap::new();
        lease.config.acks = 0;
    });
    let quorum = Policy::with_ttl(TTL);
    let without = Policy { durability: Durability::Async, ..quorum.clone() };
    let start = |policy: &Policy| decide(&view, policy, at(10_000));
    assert_eq!(start(&quorum).act, Act::StartServer { start: Start::DropTail });
    assert_eq!(start(&without).act, Act::StartServer { start: Start::Plain });
    assert_eq!(lint(&view, &without, at(10_000), &start(&quorum)), [Objection::NoSuccessor]);
}
