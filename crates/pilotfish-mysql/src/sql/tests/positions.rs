//! Sets of transactions, against the functions of the server whose sets they are.

use pilotfish_autopilot::{Flavour, GtidSet};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Member;
use crate::sql::connection::quote;

fn text() -> impl Strategy<Value = String> {
    let part = (0..3_u8, prop::option::of("[a-z]{1,3}"), prop::collection::vec((1..20_u64, 0..6_u64), 1..4));
    prop::collection::vec(part, 0..4).prop_map(|parts| {
        let part = |(source, tag, intervals): (u8, Option<String>, Vec<(u64, u64)>)| {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let intervals: String =
                intervals.iter().map(|(first, more)| format!(":{first}-{}", first + more)).collect();
            format!("3e11fa47-71ca-11e1-9e33-c80aa942956{source}{tag}{intervals}")
        };
        parts.into_iter().map(part).collect::<Vec<_>>().join(",")
    })
}

#[test]
fn the_algebra_is_that_of_mysql() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let member = runtime.block_on(Member::new(Flavour::MySql, 1));
    let mut connection = runtime.block_on(member.operator());
    let parse = |text: &str| GtidSet::parse(Flavour::MySql, text).expect("a set");
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(200) });
    let cell = std::cell::RefCell::new(&mut connection);
    let outcome = runner.run(&(text(), text()), |(a, b)| {
        let (one, two) = (quote(&a), quote(&b));
        let question = format!("SELECT GTID_SUBSET({one}, {two}) AS subset, GTID_SUBTRACT({one}, {two}) AS rest");
        let mut connection = cell.borrow_mut();
        let rows = runtime.block_on(connection.rows("asking", &question)).expect("an answer");
        let row = rows.first().expect("a row");
        prop_assert_eq!(row.is_on("subset"), parse(&b).contains(&parse(&a)));
        prop_assert_eq!(parse(row.text("rest").unwrap_or_default()), parse(&a).subtract(&parse(&b)));
        Ok(())
    });
    outcome.expect("they agree");
}
