//! How a cluster is begun, and when not. A lease can say of one that it came to be when only its first member knows that it did not: that
//! member's write was late, and the catalog was wiped meanwhile and counted its indexes from the beginning.

use std::collections::BTreeMap;

use pilotfish_autopilot::*;

use super::decisions::{ME, TTL, at, follower, record, role};
use super::traps::{leader, unchanged_until, with_lease, with_server};

const OURS: ClusterId = ClusterId(7);

/// Member 2 began a cluster, and condemned its data for another that was being begun; now the lease says that the first came to be.
fn stillborn() -> View {
    let mut view = follower();
    view.data =
        Data::Condemned(Identity { cluster: OURS, data: DataId(2), promise: Term::default(), seen: Epoch::default() });
    view.server = Server::Stopped;
    view.known_cluster = Some(OURS);
    with_lease(&mut view, |lease| {
        *lease = Lease {
            epoch: Epoch { term: Term(1), change: 3 },
            holder: ME,
            state: LeaseState::Released,
            config: Config { primary: Seat { member: ME, data: DataId(2) }, in_sync: BTreeMap::new(), acks: 0 },
            ..lease.clone()
        };
    });
    unchanged_until(&mut view.lease_clock, 5_000, 10_000);
    view
}

fn waits_for(view: &View, why: &Why) {
    let decision = role(view);
    assert_eq!((&decision.act, &decision.why), (&Act::Wait, why));
}

#[test]
fn what_never_came_to_be_is_begun_anew_by_who_knows_that() {
    let view = stillborn();
    let Act::WriteLease { change: LeaseChange::Create, value, cas: 40 } = role(&view).act else {
        panic!("{:?}", role(&view))
    };
    assert_eq!((value.cluster, value.state, value.holder), (ClusterId(99), LeaseState::Initialising, ME));
    assert_eq!(value.epoch, Epoch { term: Term(2), change: 4 });
    // Also if the member died before it initialised; and what it holds, it initialises over the data that was never used.
    let mut begun = stillborn();
    begun.lease = LeaseFact::Present { lease: (*value).clone(), index: 41 };
    assert!(matches!(role(&begun).act, Act::WriteLease { change: LeaseChange::Create, cas: 41, .. }));
    begun.holding = Some(Holding { lease: *value, sent: at(9_900), since: at(9_900) });
    assert!(matches!(role(&begun).act, Act::InitialiseCluster { cluster: ClusterId(99), .. }));
}

#[test]
fn members_with_data_have_time_to_say_so_before_a_cluster_is_begun_anew() {
    let mut view = stillborn();
    view.lease_clock = LeaseClock::default();
    unchanged_until(&mut view.lease_clock, 8_000, 10_000);
    waits_for(&view, &Why::InitialiserGone { member: ME });
    let mut view = stillborn();
    view.records = BTreeMap::from([(MemberId(3), record(3, "0-1-15"))]);
    waits_for(&view, &Why::OthersHaveData { member: MemberId(3) });
    let mut view = stillborn();
    view.known_cluster = Some(ClusterId(8));
    waits_for(&view, &Why::CatalogWiped { cluster: ClusterId(8), seen: Epoch::default() });
}

#[test]
fn a_server_on_data_of_no_use_is_stopped_before_anything_is_begun() {
    let mut view = stillborn();
    view.server = follower().server;
    assert_eq!((role(&view).act, role(&view).why), (Act::StopServer, Why::RebuildNeeded));
}

#[test]
fn a_cluster_that_may_have_been_used_is_not_begun_anew() {
    let begin = role(&stillborn());
    let mut used = stillborn();
    let Data::Condemned(identity) = &mut used.data else { panic!("it is condemned") };
    identity.seen = Epoch { term: Term(1), change: 3 };
    let mut others = stillborn();
    with_lease(&mut others, |lease| {
        lease.config.in_sync.insert(MemberId(3), DataId(3));
    });
    let mut another_copy = stillborn();
    with_lease(&mut another_copy, |lease| lease.config.primary.data = DataId(22));
    let mut lost = stillborn();
    lost.data = Data::Empty;
    for view in [used, others, another_copy, lost] {
        waits_for(&view, &Why::NoDonor);
        let objections = lint(&view, &Policy::with_ttl(TTL), at(10_000), &begin);
        assert!(objections.contains(&Objection::NotOursToInitialise), "{objections:?}");
    }
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

#[test]
fn without_a_lease_data_that_was_never_used_is_as_good_as_none() {
    let mut view = stillborn();
    view.lease = LeaseFact::Absent;
    let Act::WriteLease { change: LeaseChange::Create, value, cas: 0 } = role(&view).act else {
        panic!("{:?}", role(&view))
    };
    assert_eq!(value.state, LeaseState::Initialising);
    let Data::Condemned(identity) = &mut view.data else { panic!("it is condemned") };
    identity.seen = Epoch { term: Term(1), change: 3 };
    view.known_cluster = None;
    waits_for(&view, &Why::CatalogWiped { cluster: OURS, seen: Epoch::default() });
}
