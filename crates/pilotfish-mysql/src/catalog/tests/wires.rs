//! What is written is read as it was, and what is not all there is not read.

use std::collections::BTreeMap;

use pilotfish_autopilot::{
    Ailment, ClusterId, Config, DataId, Epoch, Flavour, Following, GtidSet, Lease, LeaseState, MemberId, MemberRecord,
    Mode, Seat, Term, Vote,
};
use proptest::prelude::*;
use serde_json::Value;

use super::{contact, lease, record, vote};
use crate::catalog::wire;

fn gtids(flavour: Flavour) -> impl Strategy<Value = GtidSet> {
    prop::collection::vec((1u64..4, 1u64..1000, 0u64..50), 0..6).prop_map(move |pieces| {
        let mut set = GtidSet::empty(flavour);
        for (source, from, more) in pieces {
            let to = from + more;
            let text = match flavour {
                Flavour::MariaDb => format!("0-{source}:{from}-{to}"),
                Flavour::MySql => format!("3e11fa47-71ca-11e1-9e33-c80aa942956{source}:{from}-{to}"),
            };
            set = set.union(&GtidSet::parse(flavour, &text).unwrap()).unwrap();
        }
        set
    })
}

fn flavour() -> impl Strategy<Value = Flavour> {
    prop_oneof![Just(Flavour::MariaDb), Just(Flavour::MySql)]
}

fn seat() -> impl Strategy<Value = Seat> {
    (any::<u32>(), any::<u64>()).prop_map(|(member, data)| Seat { member: MemberId(member), data: DataId(data) })
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (any::<u64>(), any::<u64>()).prop_map(|(term, change)| Epoch { term: Term(term), change })
}

fn any_lease() -> impl Strategy<Value = Lease> {
    let states = prop_oneof![Just(LeaseState::Initialising), Just(LeaseState::Held), Just(LeaseState::Released)];
    let in_sync = prop::collection::btree_map(any::<u32>().prop_map(MemberId), any::<u64>().prop_map(DataId), 0..5);
    let config = (seat(), in_sync, any::<u8>());
    let rest = (any::<bool>(), any::<bool>(), any::<u64>());
    (any::<u64>(), epoch(), any::<u32>(), states, config, rest).prop_map(
        |(cluster, epoch, holder, state, (primary, in_sync, acks), (alone, forced, beat))| Lease {
            cluster: ClusterId(cluster),
            epoch,
            holder: MemberId(holder),
            state,
            config: Config { primary, in_sync, acks },
            alone,
            forced,
            beat,
        },
    )
}

fn any_record(flavour: Flavour) -> impl Strategy<Value = MemberRecord> {
    let ailments = prop_oneof![Just(Ailment::ApplierStopped), Just(Ailment::Errant), Just(Ailment::Purged)];
    let mode = prop_oneof![Just(Mode::Acking), Just(Mode::Plain)];
    let following = (any::<u32>(), mode).prop_map(|(source, mode)| Following { source: MemberId(source), mode });
    let data = (any::<u64>(), any::<u64>()).prop_map(|(cluster, data)| (ClusterId(cluster), DataId(data)));
    let positions = (prop::option::of(gtids(flavour)), prop::option::of(gtids(flavour)));
    let rest = (prop::option::of(ailments), any::<bool>(), any::<bool>());
    (prop::option::of(data), epoch(), any::<u64>(), positions, prop::option::of(following), rest).prop_map(
        |(data, seen, promise, (executed, received), following, (ailment, may_lead, leaving))| MemberRecord {
            data,
            seen,
            promise: Term(promise),
            executed,
            received,
            following,
            ailment,
            may_lead,
            leaving,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn leases_are_read_as_they_were_written(lease in any_lease()) {
        prop_assert_eq!(wire::read_lease(&wire::write_lease(&lease)), Ok(lease));
    }

    #[test]
    fn records_are_read_as_they_were_written(
        (flavour, record) in flavour().prop_flat_map(|flavour| (Just(flavour), any_record(flavour))),
    ) {
        let text = wire::write_record(&record, &contact(), flavour);
        prop_assert_eq!(wire::read_record(&text, flavour), Ok((record, contact())));
        let other = if flavour == Flavour::MySql { Flavour::MariaDb } else { Flavour::MySql };
        prop_assert!(wire::read_record(&text, other).unwrap_err().contains("another database"));
    }

    #[test]
    fn votes_are_read_as_they_were_written(
        (flavour, seat, term, received) in
            flavour().prop_flat_map(|flavour| (Just(flavour), seat(), any::<u64>(), gtids(flavour))),
    ) {
        let vote = Vote { seat, term: Term(term), received };
        prop_assert_eq!(wire::read_vote(&wire::write_vote(&vote), flavour), Ok(vote));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = wire::read_lease(&bytes);
        let _ = wire::read_vote(&bytes, Flavour::MariaDb);
        let _ = wire::read_record(&bytes, Flavour::MySql);
    }
}

/// Without one of its members, and with one more.
fn variants(text: &[u8]) -> (BTreeMap<String, Vec<u8>>, Vec<u8>) {
    let Value::Object(whole) = serde_json::from_slice(text).unwrap() else { panic!("it is no object") };
    let without = |name: &String| {
        let mut part = whole.clone();
        part.remove(name);
        (name.clone(), serde_json::to_vec(&part).unwrap())
    };
    let less = whole.keys().map(without).collect();
    let mut more = whole.clone();
    more.insert("later".into(), Value::from(["than", "us"].as_slice()));
    (less, serde_json::to_vec(&more).unwrap())
}

#[test]
fn what_is_missing_is_no_statement_and_what_is_new_is_passed_over() {
    let (less, more) = variants(&wire::write_lease(&lease(3, 4)));
    assert_eq!(wire::read_lease(&more), Ok(lease(3, 4)));
    for (name, text) in less {
        let refused = wire::read_lease(&text).unwrap_err();
        assert!(refused.contains(&name), "{name}: {refused}");
    }
    let (less, more) = variants(&wire::write_vote(&vote(1, 2, 3)));
    assert_eq!(wire::read_vote(&more, Flavour::MySql), Ok(vote(1, 2, 3)));
    for (name, text) in less {
        assert!(wire::read_vote(&text, Flavour::MySql).is_err(), "without {name}");
    }
    let (less, more) = variants(&wire::write_record(&record(5), &contact(), Flavour::MySql));
    assert_eq!(wire::read_record(&more, Flavour::MySql), Ok((record(5), contact())));
    // What is not there and what is `null` are the same: not known.
    let unknown = ["executed", "received", "following", "ailment"];
    for (name, text) in less.iter().filter(|(name, _)| !unknown.contains(&name.as_str())) {
        assert!(wire::read_record(text, Flavour::MySql).is_err(), "without {name}");
    }
}
