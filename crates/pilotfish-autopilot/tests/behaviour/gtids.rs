//! The algebra of GTID sets against a model that cannot be wrong: sets of single transactions; and the servers' text.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use pilotfish_autopilot::{Flavour, GtidSet};
use proptest::prelude::*;

/// A transaction: its source and number.
type Model = BTreeSet<(u32, u64)>;

const SOURCES: u32 = 3;
const NUMBERS: u64 = 24;

fn models() -> impl Strategy<Value = Model> {
    let txns = prop::collection::vec((0..SOURCES, 1..=NUMBERS, 0..8_u64), 0..10);
    txns.prop_map(|runs| {
        let numbers =
            |(source, first, more): (u32, u64, u64)| (first..=first + more).map(move |number| (source, number));
        runs.into_iter().flat_map(numbers).collect()
    })
}

fn set(flavour: Flavour, model: &Model) -> GtidSet {
    let mut set = GtidSet::empty(flavour);
    for (source, number) in model {
        match flavour {
            Flavour::MariaDb => set.insert_mariadb(source / 2, *source, *number),
            Flavour::MySql => set.insert_mysql(u128::from(*source) << 64 | 0xabc, *number),
        }
    }
    set
}

fn flavours() -> impl Strategy<Value = Flavour> {
    prop_oneof![Just(Flavour::MariaDb), Just(Flavour::MySql)]
}

fn subset_order(a: &Model, b: &Model) -> Option<Ordering> {
    match (a.is_superset(b), b.is_superset(a)) {
        (true, true) => Some(Ordering::Equal),
        (true, false) => Some(Ordering::Greater),
        (false, true) => Some(Ordering::Less),
        (false, false) => None,
    }
}

proptest! {
    #[test]
    fn the_algebra_is_that_of_sets(flavour in flavours(), a in models(), b in models()) {
        let (left, right) = (set(flavour, &a), set(flavour, &b));
        let union: Model = a.union(&b).copied().collect();
        let difference: Model = a.difference(&b).copied().collect();
        prop_assert_eq!(left.union(&right), Some(set(flavour, &union)));
        prop_assert_eq!(left.subtract(&right), set(flavour, &difference));
        prop_assert_eq!(left.contains(&right), a.is_superset(&b));
        prop_assert_eq!(left.partial_cmp(&right), subset_order(&a, &b));
        prop_assert_eq!(left.count(), a.len() as u64);
        prop_assert_eq!(left.is_empty(), a.is_empty());
    }

    #[test]
    fn what_is_printed_is_read_again(flavour in flavours(), a in models()) {
        let set = set(flavour, &a);
        prop_assert_eq!(GtidSet::parse(flavour, &set.to_string()), Ok(set));
    }

    #[test]
    fn what_is_gone_comes_back(flavour in flavours(), a in models(), b in models()) {
        let (left, right) = (set(flavour, &a), set(flavour, &b));
        let rest = left.subtract(&right);
        prop_assert!(rest.subtract(&left).is_empty());
        let back = rest.union(&right).expect("they are of one flavour");
        prop_assert!(back.contains(&left) && back.contains(&right));
    }

    #[test]
    fn any_text_is_read_or_refused(flavour in flavours(), text in "[-0-9a-f:, _x]{0,40}") {
        if let Ok(set) = GtidSet::parse(flavour, &text) {
            prop_assert_eq!(GtidSet::parse(flavour, &set.to_string()), Ok(set));
        }
    }
}

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn mysql(text: &str) -> GtidSet {
    GtidSet::parse(Flavour::MySql, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn mariadb(text: &str) -> GtidSet {
    GtidSet::parse(Flavour::MariaDb, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn mysql_text() {
    for (text, printed) in [
        ("", String::new()),
        (&*format!("{UUID}:1-5"), format!("{UUID}:1-5")),
        (&*format!("{}:5:1-3:4", UUID.to_uppercase()), format!("{UUID}:1-5")),
        (&*format!(" {UUID}:1 ,\n{UUID}:3"), format!("{UUID}:1:3")),
        (&*format!("{UUID}:1-3:Backup:7:1-2"), format!("{UUID}:1-3:backup:1-2:7")),
        (&*format!("{UUID}:backup:1,{UUID}:5"), format!("{UUID}:5:backup:1")),
        (&*format!("{UUID}:9-8"), String::new()),
        (&*UUID.replace('-', "").chars().chain(":1".chars()).collect::<String>(), format!("{UUID}:1")),
    ] {
        assert_eq!(mysql(text).to_string(), printed, "{text}");
    }
    for text in [
        "x:1",
        UUID,
        &format!("{UUID}:"),
        &format!("{UUID}:0"),
        &format!("{UUID}:tag"),
        &format!("{UUID}:1-"),
        &format!("{UUID}:1:2x"),
    ] {
        assert!(GtidSet::parse(Flavour::MySql, text).is_err(), "{text}");
    }
}

#[test]
fn tags_are_sources_of_their_own() {
    let (plain, tagged) = (mysql(&format!("{UUID}:1-3")), mysql(&format!("{UUID}:backup:1-3")));
    assert_eq!(plain.partial_cmp(&tagged), None);
    assert_eq!(plain.union(&tagged), Some(mysql(&format!("{UUID}:1-3:backup:1-3"))));
}

#[test]
fn mariadb_text() {
    for (text, printed) in [
        ("", ""),
        ("0-1-15", "0-1:1-15"),
        ("0-2-20,0-1-15", "0-1:1-15,0-2:16-20"),
        ("0-1-15,1-1-4", "0-1:1-15,1-1:1-4"),
        ("0-1:1-15:21-25,0-2:16-20", "0-1:1-15:21-25,0-2:16-20"),
    ] {
        assert_eq!(mariadb(text).to_string(), printed, "{text}");
    }
    for text in ["0-1", "0-1-0", "0-1-15-2", "a-1-2", "0-1-5,0-2-5", "0-1:5-3", "0-1:"] {
        assert!(GtidSet::parse(Flavour::MariaDb, text).is_err(), "{text}");
    }
}

#[test]
fn e6_an_unacknowledged_tail_is_errant_on_mariadb_as_well() {
    // Server 1 wrote up to 16 and died; 2 was promoted at 15, and has written 16 and 17.
    let (old, new) = (mariadb("0-1-16"), mariadb("0-1-15,0-2-17"));
    assert_eq!(old.partial_cmp(&new), None);
    assert_eq!(old.subtract(&new), mariadb("0-1:16"));
    assert!(new.contains(&mariadb("0-1-15")));
}

#[test]
fn flavours_do_not_mix() {
    let (a, b) = (mysql(&format!("{UUID}:1-3")), mariadb("0-1-3"));
    assert_eq!((a.partial_cmp(&b), a.union(&b), a.subtract(&b)), (None, None, a.clone()));
}
