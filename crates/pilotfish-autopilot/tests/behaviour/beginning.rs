//! How a cluster is begun while the catalog is wiped. Its indexes begin again, so a write that is late can fit: also the one with which a
//! cluster's first member says that it came to be, when another is being begun already.

use std::collections::BTreeMap;

use pilotfish_autopilot::*;

use super::decisions::{ME, TTL, at, decided, follower, record, role};
use super::traps::{leader, with_lease, with_server};

/// Member 2 has begun cluster 7, of which nobody has heard; in the catalog is another, of member 3.
fn overtaken() -> View {
    let mut view = follower();
    let Data::Present(identity) = &mut view.data else { panic!("there is data") };
    (identity.promise, identity.seen) = (Term::default(), Epoch::default());
    view.last_read.used = None;
    with_lease(&mut view, |lease| {
        lease.cluster = ClusterId(8);
        lease.epoch = Epoch { term: Term(1), change: 1 };
        lease.holder = MemberId(3);
        lease.state = LeaseState::Initialising;
        let primary = Seat { member: MemberId(3), data: DataId(0) };
        lease.config = Config { primary, in_sync: BTreeMap::new(), acks: 0 };
    });
    view
}

/// What member 3 says of itself.
fn says(cluster: ClusterId, seen: Epoch) -> BTreeMap<MemberId, MemberRecord> {
    let data = Some((cluster, DataId(3)));
    BTreeMap::from([(MemberId(3), MemberRecord { data, seen, ..record(3, "0-1-1") })])
}

#[test]
fn data_that_was_never_used_is_kept_until_somebody_has_used_the_other_cluster() {
    let first = Epoch { term: Term(1), change: 2 };
    let mut view = overtaken();
    let waits = |view: &View| {
        assert_eq!((role(view).act, role(view).why), (Act::Wait, Why::AnotherInitialises { member: MemberId(3) }));
    };
    waits(&view);
    // Its data is complete; then it says that it came to be, which may still be overwritten; and others tell of other clusters.
    view.records = says(ClusterId(8), Epoch::default());
    waits(&view);
    with_lease(&mut view, |lease| {
        lease.state = LeaseState::Held;
        lease.epoch = first;
        lease.config.primary.data = DataId(3);
    });
    waits(&view);
    let mut others = view.clone();
    others.records = says(ClusterId(9), first);
    waits(&others);
    view.records = says(ClusterId(8), first);
    let condemn = role(&view);
    assert_eq!(condemn.act, Act::Condemn { reason: Condemnation::NeverUsed });
    assert_eq!(lint(&others, &Policy::with_ttl(TTL), at(10_000), &condemn), [Objection::OthersCountOnIt]);
}

/// As when the catalog was wiped while the member built its data, and it has taken the lease for another cluster meanwhile.
#[test]
fn data_that_waits_can_be_adopted_also_by_who_holds_the_other_lease() {
    let mut view = overtaken();
    with_lease(&mut view, |lease| {
        lease.holder = ME;
        lease.config.primary = Seat { member: ME, data: DataId(0) };
    });
    let LeaseFact::Present { lease, .. } = &view.lease else { panic!("there is one") };
    view.holding = Some(Holding { lease: lease.clone(), sent: at(9_900), since: at(9_000) });
    let foreign = Why::ForeignCluster { ours: ClusterId(7), catalog: ClusterId(8) };
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, foreign));
    view.orders.adopt = Some(ME);
    let Act::WriteLease { change: LeaseChange::Adopt, value, cas: 40 } = role(&view).act else {
        panic!("{:?}", role(&view))
    };
    assert_eq!((value.cluster, value.config.primary), (ClusterId(7), Seat { member: ME, data: DataId(2) }));
    assert_eq!(value.epoch.term, Term(2), "above what the catalog shows");
}

#[test]
fn data_that_was_never_used_is_not_adopted_over_a_cluster_that_is() {
    let mut view = overtaken();
    view.records = says(ClusterId(8), Epoch { term: Term(1), change: 2 });
    view.orders.adopt = Some(ME);
    assert_eq!(role(&view).act, Act::Condemn { reason: Condemnation::NeverUsed });
}

#[test]
fn no_cluster_is_begun_while_data_of_another_is_being_built() {
    let mut view = View::new(ME, Flavour::MySql, 1, at(0));
    view.catalog = Catalog::Answers;
    view.data = Data::Empty;
    view.server = Server::Stopped;
    view.lease = LeaseFact::Absent;
    let gap = Policy::with_ttl(TTL).longest_gap();
    (0..=20).for_each(|half| view.lease_clock.answered(at(500 * half), 0, gap));
    let begin = role(&view);
    assert!(matches!(begin.act, Act::WriteLease { change: LeaseChange::Create, .. }), "{begin:?}");
    view.busy.server = Some(Act::InitialiseCluster { cluster: ClusterId(7), data: DataId(2), term: Term(1) });
    assert_eq!(role(&view).act, Act::Wait);
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &begin), [Objection::NotOursToInitialise]);
    // Nor anew, over a lease that has lapsed.
    let LeaseFact::Present { lease, .. } = overtaken().lease else { panic!("there is one") };
    view.lease = LeaseFact::Present { lease, index: 40 };
    (21..=30).for_each(|half| view.lease_clock.answered(at(500 * half), 40, gap));
    assert_eq!(role(&view).act, Act::Wait);
    view.busy.server = None;
    let begin = role(&view);
    assert!(matches!(begin.act, Act::WriteLease { change: LeaseChange::Create, .. }), "{begin:?}");
}

/// Member 2's write that its cluster came to be has arrived, late.
fn late() -> View {
    let mut view = overtaken();
    with_lease(&mut view, |lease| {
        let primary = Seat { member: ME, data: DataId(2) };
        *lease = Lease {
            cluster: ClusterId(7),
            epoch: Epoch { term: Term(1), change: 2 },
            holder: ME,
            state: LeaseState::Held,
            config: Config { primary, in_sync: BTreeMap::new(), acks: 0 },
            ..lease.clone()
        };
    });
    view
}

#[test]
fn a_cluster_whose_first_write_was_late_comes_to_be_all_the_same_unless_another_is_used() {
    let first = Epoch { term: Term(1), change: 2 };
    let mut view = late();
    let remember = decided(&view);
    assert_eq!(remember.act, Act::Remember { seen: first });
    let objections = |view: &View| lint(view, &Policy::with_ttl(TTL), at(10_000), &remember);
    // What others said is older than the lease: it was written, and not read since.
    view.last_read.index = 39;
    assert_eq!(role(&view).act, Act::Wait);
    assert_eq!(objections(&view), [Objection::NotOursToInitialise]);
    view.last_read.index = 40;
    view.records = says(ClusterId(8), first);
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::OthersHaveData { member: MemberId(3) }));
    assert_eq!(objections(&view), [Objection::NotOursToInitialise]);
    // A stop waits for nobody.
    let mut stopping = view.clone();
    stopping.orders.stop = Some(at(9_000));
    let LeaseFact::Present { lease, .. } = &stopping.lease else { panic!("there is one") };
    stopping.holding = Some(Holding { lease: lease.clone(), sent: at(5_000), since: at(5_000) });
    assert_eq!(role(&stopping).act, Act::StopServer);
    // An operator says whose it shall be.
    let mut adopted = view.clone();
    adopted.orders.adopt = Some(ME);
    assert!(matches!(role(&adopted).act, Act::WriteLease { change: LeaseChange::Adopt, .. }), "{:?}", role(&adopted));
    with_lease(&mut view, |lease| lease.forced = true);
    assert_eq!(role(&view).act, Act::Remember { seen: first });
}

#[test]
fn a_cluster_is_not_opened_before_the_others_can_know_that_it_is_used() {
    let mut view = leader();
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    let open = role(&view);
    assert_eq!(open.act, Act::Open { term: Term(5) });
    for used in [None, Some(ClusterId(8))] {
        view.last_read.used = used;
        assert_eq!((role(&view).act, role(&view).why), (Act::Wait, open.why.clone()));
        assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &open), [Objection::NotEstablished]);
    }
}

#[test]
fn what_an_operator_adopts_ends_another_cluster_s_primary() {
    let mut view = leader();
    with_lease(&mut view, |lease| {
        (lease.cluster, lease.holder) = (ClusterId(8), MemberId(3));
        lease.config.primary = Seat { member: MemberId(3), data: DataId(3) };
    });
    assert_ne!(role(&view).act, Act::FenceServer, "it may be another catalog");
    with_lease(&mut view, |lease| lease.forced = true);
    assert!(
        matches!(role(&view), Decision { act: Act::FenceServer, why: Why::Superseded { .. }, .. }),
        "{:?}",
        role(&view)
    );
}

#[test]
fn nothing_is_written_in_data_that_would_not_say_so() {
    let mut view = leader();
    with_server(&mut view, |facts| facts.access = Access::ReadOnly);
    let open = role(&view);
    assert_eq!(open.act, Act::Open { term: Term(5) });
    let Data::Present(identity) = &mut view.data else { panic!("there is data") };
    identity.seen = Epoch::default();
    assert!(matches!(role(&view).act, Act::Remember { .. }));
    assert_eq!(lint(&view, &Policy::with_ttl(TTL), at(10_000), &open), [Objection::WrongEpoch]);
}

/// An operator had it rebuilt after it had led another cluster, and now somebody opens it by hand.
#[test]
fn what_was_held_with_other_data_keeps_no_server_open() {
    let mut view = leader();
    let Some(holding) = &mut view.holding else { panic!("it held one") };
    (holding.lease.cluster, holding.lease.config.acks) = (ClusterId(8), 0);
    with_lease(&mut view, |lease| lease.holder = MemberId(3));
    assert_eq!((role(&view).act, role(&view).why), (Act::FenceServer, Why::WritableWithoutLease));
}

#[test]
fn data_is_copied_from_a_primary_that_has_said_that_it_uses_its_own() {
    let mut view = late();
    view.data = Data::Empty;
    view.server = Server::Stopped;
    with_lease(&mut view, |lease| {
        (lease.cluster, lease.holder) = (ClusterId(8), MemberId(3));
        lease.config.primary = Seat { member: MemberId(3), data: DataId(3) };
    });
    view.records = says(ClusterId(8), Epoch::default());
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::NoDonor));
    view.records = says(ClusterId(8), Epoch { term: Term(1), change: 2 });
    assert!(matches!(role(&view).act, Act::Rebuild { from: MemberId(3), .. }), "{:?}", role(&view));
}
