//! Single views and what is decided about them. Whole histories are the simulator's business.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_autopilot::*;

pub(crate) const TTL: Duration = Duration::from_secs(3);
pub(crate) const ME: MemberId = MemberId(2);

pub(crate) fn at(ms: u64) -> Time {
    Time::from_start(Duration::from_millis(ms))
}

pub(crate) fn mariadb(text: &str) -> GtidSet {
    GtidSet::parse(Flavour::MariaDb, text).expect("the example is a GTID set")
}

pub(crate) fn lease() -> Lease {
    Lease {
        cluster: ClusterId(7),
        epoch: Epoch { term: Term(5), change: 9 },
        holder: MemberId(1),
        state: LeaseState::Held,
        config: Config {
            primary: Seat { member: MemberId(1), data: DataId(1) },
            in_sync: BTreeMap::from([(MemberId(2), DataId(2)), (MemberId(3), DataId(3))]),
            acks: 1,
        },
        alone: false,
        forced: false,
        beat: 3,
    }
}

pub(crate) fn facts(executed: &str, received: &str) -> ServerFacts {
    ServerFacts {
        silent_since: None,
        access: Access::ReadOnly,
        executed: mariadb(executed),
        received: mariadb(received),
        settled: mariadb(executed),
        receiver: Receiver::Running { to: MemberId(1), mode: Mode::Acking, connected: true },
        applier: Applier::Running,
        acks: 0,
        gate: Default::default(),
        acking: BTreeMap::new(),
        waiting_since: None,
    }
}

/// Member 2, in sync, following member 1 in term 5.
pub(crate) fn follower() -> View {
    let mut view = View::new(ME, Flavour::MariaDb, 99, at(0));
    view.catalog = Catalog::Answers;
    view.lease = LeaseFact::Present { lease: lease(), index: 40 };
    view.data = Data::Present(Identity {
        cluster: ClusterId(7),
        data: DataId(2),
        promise: Term(5),
        seen: Epoch { term: Term(5), change: 9 },
    });
    view.server = Server::Running(facts("0-1-15", "0-1-15"));
    view.last_read = LastRead { index: 40, used: Some(ClusterId(7)) };
    view
}

pub(crate) fn released(view: &mut View) {
    let LeaseFact::Present { lease, index } = &mut view.lease else { return };
    lease.state = LeaseState::Released;
    lease.epoch.change += 1;
    *index += 1;
    if let Data::Present(identity) = &mut view.data {
        identity.seen.change += 1;
    }
}

pub(crate) fn stopped(view: &mut View) {
    if let Server::Running(facts) = &mut view.server {
        facts.receiver = Receiver::Stopped;
    }
}

pub(crate) fn vote(member: u32, received: &str) -> Vote {
    let seat = Seat { member: MemberId(member), data: DataId(u64::from(member)) };
    Vote { seat, term: Term(6), received: mariadb(received) }
}

pub(crate) fn decided(view: &View) -> Decision {
    let policy = Policy::with_ttl(TTL);
    let decision = decide(view, &policy, at(10_000));
    assert_eq!(lint(view, &policy, at(10_000), &decision), [], "{decision:?}");
    decision
}

/// What is decided about the cluster, reports left aside.
pub(crate) fn role(view: &View) -> Decision {
    let mut view = view.clone();
    view.busy.catalog = true;
    decided(&view)
}

#[test]
fn nothing_is_started_before_the_catalog_has_answered() {
    let mut view = View::new(ME, Flavour::MySql, 1, at(0));
    view.data = Data::Empty;
    view.server = Server::Stopped;
    assert_eq!((decided(&view).act, decided(&view).why), (Act::Wait, Why::CatalogNeverAnswered));
}

#[test]
fn data_without_a_lease_is_never_bootstrapped_over() {
    let mut view = follower();
    view.lease = LeaseFact::Absent;
    assert!(matches!(role(&view), Decision { act: Act::Wait, why: Why::CatalogWiped { .. }, .. }));
}

#[test]
fn a_released_lease_stops_the_receiver_then_votes() {
    let mut view = follower();
    released(&mut view);
    assert_eq!(decided(&view).act, Act::StopReceiver { term: Term(6) });
    stopped(&mut view);
    let Act::PublishVote { vote } = decided(&view).act else { panic!("{:?}", decided(&view)) };
    assert_eq!((vote.term, vote.received), (Term(6), mariadb("0-1-15")));
}

#[test]
fn c5_d14_an_error_of_the_catalog_is_not_a_free_lease() {
    let mut view = follower();
    released(&mut view);
    view.catalog = Catalog::Unknown(at(9_000));
    assert!(matches!(role(&view), Decision { act: Act::Wait, why: Why::CatalogSilent { .. }, .. }));
}

#[test]
fn both_survivors_must_have_voted() {
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    view.votes = vec![vote(2, "0-1-15")];
    assert_eq!(role(&view).why, Why::VotesMissing { term: Term(6), have: 1, needed: 2, of: 2 });
    view.votes.push(vote(3, "0-1-14"));
    let Act::WriteLease { change: LeaseChange::Take, value, cas: 41 } = role(&view).act else {
        panic!("{:?}", role(&view))
    };
    assert_eq!((value.epoch.term, value.holder, value.config), (Term(6), ME, lease().config));
}

#[test]
fn e1_who_has_more_wins() {
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    view.votes = vec![vote(2, "0-1-15"), vote(3, "0-1-16")];
    assert_eq!(role(&view).why, Why::NotGreatest { term: Term(6), covered: 1, needed: 2 });
}

#[test]
fn a_vote_of_other_data_does_not_count() {
    let mut view = follower();
    released(&mut view);
    stopped(&mut view);
    let mut rebuilt = vote(3, "0-1-15");
    rebuilt.seat.data = DataId(33);
    view.votes = vec![vote(2, "0-1-15"), rebuilt];
    assert_eq!(role(&view).why, Why::VotesMissing { term: Term(6), have: 1, needed: 2, of: 2 });
}

#[test]
fn with_no_acks_only_the_last_primary_returns() {
    let mut view = follower();
    released(&mut view);
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.acks = 0;
    assert_eq!(role(&view).why, Why::OnlyLastPrimaryHasAll { primary: MemberId(1) });
}

#[test]
fn e11_a_writable_server_without_a_lease_is_killed() {
    let mut view = follower();
    let Server::Running(facts) = &mut view.server else { panic!("it runs") };
    facts.access = Access::Writable;
    assert_eq!((decided(&view).act, decided(&view).why), (Act::FenceServer, Why::WritableWithoutLease));
}

/// Member 2, which leads, with a server that takes writes and is silent since then. The lease was renewed last at `sent`.
fn leader(sent: Time, silent_since: Option<Time>) -> View {
    let mut view = follower();
    let mut lease = lease();
    lease.holder = ME;
    lease.config.primary = Seat { member: ME, data: DataId(2) };
    lease.config.in_sync = BTreeMap::from([(MemberId(3), DataId(3))]);
    view.lease = LeaseFact::Present { lease: lease.clone(), index: 40 };
    view.holding = Some(Holding { lease, sent, since: at(0) });
    view.server = Server::Running(ServerFacts {
        access: Access::Writable,
        acks: 1,
        gate: [MemberId(3)].into(),
        acking: BTreeMap::from([(MemberId(3), Acking::Connected)]),
        receiver: Receiver::Stopped,
        silent_since,
        ..facts("0-1-15", "0-1-15")
    });
    view
}

#[test]
fn d6_a_primary_that_does_not_answer_is_killed() {
    let hangs = leader(at(9_900), Some(at(8_500)));
    assert!(matches!(role(&hangs), Decision { act: Act::FenceServer, why: Why::Hung { .. }, .. }));
    assert_eq!(role(&leader(at(9_900), Some(at(9_500)))).act, Act::Wait);
}

/// A process that waits for its disk cannot be killed before that goes on: F-E5.
#[test]
fn e5_a_primary_that_cannot_be_killed_lets_its_lease_end() {
    let is_renewal = |act| matches!(act, Act::WriteLease { change: LeaseChange::Renew, .. });
    let due = at(8_500);
    assert!(is_renewal(role(&leader(due, None)).act));
    let mut view = leader(due, Some(at(8_000)));
    view.busy.server = Some(Act::FenceServer);
    let waits = |view: &View| assert_eq!((role(view).act, role(view).why), (Act::Wait, Why::Fencing));
    waits(&view);
    // Nor does it begin a term of its own when the others have voted, or when its lease is over, or write down that it has ended.
    view.votes = vec![vote(3, "0-1-15")];
    waits(&view);
    view.holding.as_mut().expect("it leads").sent = at(6_000);
    waits(&view);
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.epoch = Epoch { term: Term(6), change: 10 };
    lease.holder = MemberId(3);
    waits(&view);
    // But nobody is to take over while changes of role are paused.
    let mut paused = leader(due, Some(at(8_000)));
    paused.busy.server = Some(Act::FenceServer);
    paused.orders.paused = true;
    assert!(is_renewal(role(&paused).act));
}

#[test]
fn y4_e10_errant_data_in_sync_waits_until_it_is_dropped() {
    let mut view = follower();
    view.server = Server::Running(facts("0-1-15,0-2-16", "0-1-15,0-2-16"));
    let ours = mariadb("0-1-15,0-2-16");
    view.source =
        Some(SourceFacts { member: MemberId(1), term: Term(5), executed: mariadb("0-1-20"), ours, data: DataId(2) });
    assert!(matches!(role(&view), Decision { act: Act::Wait, why: Why::Errant { .. }, .. }));
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.remove(&ME);
    view.server = Server::Running(facts("0-1-15", "0-1-15"));
    assert!(!matches!(role(&view).act, Act::Condemn { .. }), "it has dropped its tail since");
    view.server = Server::Running(facts("0-1-15,0-2-16", "0-1-15,0-2-16"));
    assert_eq!(role(&view).act, Act::Condemn { reason: Condemnation::Errant(mariadb("0-2:16")) });
}

/// F-E16: whoever is refused by its source says that it waits.
#[test]
fn e16_a_replica_that_is_not_let_in_is_not_settled() {
    let mut view = follower();
    let receiver = |connected| Receiver::Running { to: MemberId(1), mode: Mode::Acking, connected };
    let with = |receiver| Server::Running(ServerFacts { receiver, ..facts("0-1-15", "0-1-15") });
    view.server = with(receiver(false));
    assert_eq!(role(&view).why, Why::SourceSilent { source: MemberId(1) });
    let (executed, ours) = (mariadb("0-1-15"), mariadb("0-1-15"));
    view.source = Some(SourceFacts { member: MemberId(1), term: Term(5), executed, ours, data: DataId(2) });
    assert_eq!(role(&view).why, Why::Attaching { to: MemberId(1), mode: Mode::Acking });
    view.server = with(receiver(true));
    assert!(!matches!(role(&view).why, Why::SourceSilent { .. } | Why::Attaching { .. }));
}

#[test]
fn who_has_published_all_that_we_have_is_followed_without_being_asked() {
    let mut view = follower();
    view.server = Server::Running(ServerFacts { receiver: Receiver::Stopped, ..facts("0-1-15", "0-1-15") });
    assert_eq!(role(&view).why, Why::SourceSilent { source: MemberId(1) });
    view.records.insert(MemberId(1), record(1, "0-1-14"));
    assert_eq!(role(&view).why, Why::SourceSilent { source: MemberId(1) });
    view.records.insert(MemberId(1), record(1, "0-1-15"));
    assert_eq!(role(&view).act, Act::Attach { to: MemberId(1), term: Term(5), mode: Mode::Acking });
    // What it said of data that it has no more says nothing.
    view.records.insert(MemberId(1), record(9, "0-1-15"));
    let decision = role(&view);
    assert_eq!(decision.why, Why::SourceSilent { source: MemberId(1) });
    let early = Decision { act: Act::Attach { to: MemberId(1), term: Term(5), mode: Mode::Acking }, ..decision };
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &early), [Objection::PerhapsErrant]);
}

#[test]
fn a_receiver_that_none_of_us_has_started_is_stopped() {
    let mut view = follower();
    view.server = Server::Running(ServerFacts { receiver: Receiver::Unknown, ..facts("0-1-15", "0-1-15") });
    assert_eq!(role(&view).act, Act::StopReceiver { term: Term(5) });
    // And nobody waits for ever for its vote.
    released(&mut view);
    assert_eq!(role(&view).act, Act::StopReceiver { term: Term(6) });
    view.busy.server = Some(Act::Attach { to: MemberId(1), term: Term(5), mode: Mode::Acking });
    assert_eq!(role(&view).act, Act::Wait);
}

#[test]
fn m1_e4_an_in_sync_relay_log_is_applied_before_it_is_let_go() {
    let mut view = follower();
    view.server = Server::Running(ServerFacts { receiver: Receiver::Stopped, ..facts("0-1-13", "0-1-15") });
    assert_eq!((role(&view).act, role(&view).why), (Act::Drain { term: Term(5) }, Why::RelayLogNotApplied));
}

#[test]
fn m3_the_tail_is_dropped_only_behind_an_established_successor() {
    let mut view = follower();
    view.server = Server::Stopped;
    assert_eq!(role(&view).act, Act::StartServer { start: Start::Plain });
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.remove(&ME);
    assert_eq!(role(&view).act, Act::StartServer { start: Start::DropTail });
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.forced = true;
    assert_eq!(role(&view).act, Act::StartServer { start: Start::Plain });
}

#[test]
fn crash_loops_run_out_of_patience_and_get_it_back() {
    let mut view = follower();
    view.server = Server::Stopped;
    for _ in 0..BURST {
        view.budget.spend(FailureClass::ServerExit, at(10_000));
    }
    let decision = role(&view);
    assert!(matches!(decision, Decision { act: Act::Wait, why: Why::Patience { .. }, until: Some(_) }), "{decision:?}");
}

pub(crate) fn record(data: u64, received: &str) -> MemberRecord {
    MemberRecord {
        data: Some((ClusterId(7), DataId(data))),
        seen: Epoch { term: Term(5), change: 9 },
        promise: Term(5),
        executed: Some(mariadb(received)),
        received: Some(mariadb(received)),
        following: None,
        ailment: None,
        may_lead: true,
        leaving: false,
    }
}

#[test]
fn a_claim_whose_votes_are_gone_is_given_up() {
    let mut view = follower();
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.holder = ME;
    let mut holding = Holding { lease: lease.clone(), sent: at(9_900), since: at(9_000) };
    view.holding = Some(holding.clone());
    let Server::Running(facts) = &mut view.server else { panic!("it runs") };
    facts.receiver = Receiver::Stopped;
    view.votes = vec![Vote { term: Term(5), ..vote(2, "0-1-15") }];
    let why = Why::NotGreatest { term: Term(5), covered: 1, needed: 2 };
    assert_eq!(role(&view), Decision { act: Act::Wait, why: why.clone(), until: Some(at(10_900)) }, "not yet: renew");
    holding.since = at(4_000);
    view.holding = Some(holding);
    let release = role(&view);
    assert!(matches!(release.act, Act::WriteLease { change: LeaseChange::Release, .. }), "{release:?}");
    assert_eq!(release.why, why);
}

#[test]
fn what_somebody_out_of_sync_has_only_received_does_not_count() {
    let mut view = follower();
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.holder = ME;
    lease.config.acks = 2;
    let holding = Holding { lease: lease.clone(), sent: at(9_900), since: at(9_900) };
    view.holding = Some(holding);
    view.server = Server::Running(ServerFacts {
        receiver: Receiver::Stopped,
        gate: [MemberId(3)].into(),
        ..facts("0-1-15", "0-1-15")
    });
    view.votes = vec![Vote { term: Term(5), ..vote(2, "0-1-15") }];
    // Member 3 is still attached, as an acking replica, from another term: it will attach anew.
    let following = Some(Following { source: ME, mode: Mode::Acking });
    let other = MemberRecord { executed: Some(mariadb("0-1-14")), following, ..record(3, "0-1-15") };
    let gone = record(1, "0-1-15");
    view.records = BTreeMap::from([(MemberId(1), gone), (ME, record(2, "0-1-15")), (MemberId(3), other)]);
    assert!(matches!(role(&view).act, Act::WriteLease { change: LeaseChange::Establish, .. }), "it is in sync");
    let LeaseFact::Present { lease, .. } = &mut view.lease else { panic!("there is one") };
    lease.config.in_sync.insert(MemberId(3), DataId(4));
    let decision = role(&view);
    let lacking = matches!(decision.why, Why::ReplicasMissing { attached: 0, holders: 0, .. });
    assert!(decision.act == Act::Wait && lacking, "{decision:?}");
}

#[test]
fn who_never_saw_what_a_restored_catalog_lost_can_be_adopted_too() {
    let mut view = follower();
    view.orders.adopt = Some(ME);
    view.records = BTreeMap::from([(ME, record(2, "0-1-15")), (MemberId(3), record(3, "0-1-15"))]);
    assert_eq!(role(&view).act, Act::Wait, "the catalog shows the newest: there is nothing to adopt for");
    let other = view.records.get_mut(&MemberId(3)).expect("it is there");
    (other.seen, other.promise) = (Epoch { term: Term(6), change: 11 }, Term(6));
    let decision = role(&view);
    let Act::WriteLease { change: LeaseChange::Adopt, value, cas: 40 } = &decision.act else { panic!("{decision:?}") };
    assert_eq!((value.epoch.term, value.holder, value.forced), (Term(7), ME, true));
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &decision), []);
    view.records.get_mut(&MemberId(3)).expect("it is there").data = Some((ClusterId(8), DataId(3)));
    assert_eq!(role(&view).act, Act::Wait, "what a member of another cluster saw says nothing of this one");
}

#[test]
fn what_a_forced_failover_may_lose_is_said_before() {
    let mut view = follower();
    view.records = BTreeMap::from([(ME, record(2, "0-1-15")), (MemberId(1), record(1, "0-1-17"))]);
    let loss = loss(&view, ME).expect("the candidate is known");
    assert_eq!((loss.term, loss.needless), (Term(6), false));
    assert_eq!(loss.to_string(), "member 2 lacks 0-1:16-17, and whatever only member 3 may have");
}

#[test]
fn reasons_are_sentences_with_their_values() {
    let why = Why::VotesMissing { term: Term(6), have: 1, needed: 2, of: 2 };
    assert_eq!(why.code(), "votes-missing");
    assert_eq!(
        why.to_string(),
        "1 votes for term 6, 2 are needed of the 2 in sync: fewer may lack an acknowledged write"
    );
}

#[test]
fn times_are_told_as_how_long_ago_or_how_long_still() {
    let mut view = follower();
    view.server = Server::Starting { since: at(7_500) };
    assert_eq!(role(&view).why.to_string(), "the server is starting, for 2.5s now");
    view.server = Server::Stopped;
    view.orders.stop = Some(at(8_000));
    assert_eq!(role(&view).why, Why::StoppedAsAsked);
    view.server = Server::Starting { since: at(9_000) };
    assert_eq!(role(&view).why.to_string(), "the supervisor is to stop, asked 2.0s ago");
    view.orders.stop = None;
    view.server = Server::Stopped;
    (0..=BURST).for_each(|_| view.budget.spend(FailureClass::ServerExit, at(10_000)));
    let told = "too often in a row: the server was started; the next time is handled in 20.0s";
    assert_eq!(role(&view).why.to_string(), told);
    let mut free = follower();
    released(&mut free);
    free.catalog = Catalog::Unknown(at(5_000));
    assert_eq!(role(&free).why.to_string(), "the catalog has not answered for 5.0s: unknown is not free");
}
