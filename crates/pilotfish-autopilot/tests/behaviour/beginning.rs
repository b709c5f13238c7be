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
    assert_eq!((role(&view).act, role(&view).why), (Act::Wait, Why::AnotherInitialises { member: ME }));
    view.orders.adopt = Some(ME);
    let Act::WriteLease { change: LeaseChange::Adopt, value, cas: 40 } = role(&view).act else {
        panic!("{:?}", role(&view))
    };
    assert_eq!((value.cluster, value.config.primary), (ClusterId(7), Seat { member: ME, data: DataId(2) }));
}

#[test]
fn a_cluster_whose_first_write_was_late_comes_to_be_all_the_same() {
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
    assert_eq!(decided(&view).act, Act::Remember { seen: Epoch { term: Term(1), change: 2 } });
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
