//! The operator's metrics, and the rules and the dashboard that are made for them.

use std::collections::BTreeSet;

use pilotfish_mysql::Phase;

use super::{super::print::tests::report, *};
use crate::metrics::tests::judged;

fn example(name: &str) -> String {
    let path = format!("{}/../../examples/mysql/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A report of which everything is known.
fn full() -> Report {
    let mut report = report();
    report.promotion = vec![Phase { name: "open".into(), at: 0.25 }];
    report.counters.insert("take-overs".into(), 3);
    report.why.code = "votes-missing".into();
    report.members[1].errant = Some(0);
    report.lease.as_mut().unwrap().left = Some(1.5);
    report.server.as_mut().unwrap().free_bytes = Some(1 << 30);
    report
}

#[test]
fn what_is_known_is_a_sample_and_what_is_not_is_none() {
    let text = render(&full(), Exposition::Text);
    for line in [
        "pilotfish_mysql_role{role=\"replica\"} 1",
        "pilotfish_mysql_role{role=\"primary\"} 0",
        "pilotfish_mysql_term 7",
        "pilotfish_mysql_copies 2",
        "pilotfish_mysql_in_sync 1",
        "pilotfish_mysql_take_overs_total 3",
        "pilotfish_mysql_fences_total 0",
        "pilotfish_mysql_reason_info{code=\"votes-missing\"} 1",
        "pilotfish_mysql_waits_for_person 1",
        "pilotfish_mysql_promotion_phase_seconds{phase=\"open\"} 0.25",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let nothing = render(&Report::default(), Exposition::Text);
    assert!(!nothing.contains("pilotfish_mysql_copies ") && !nothing.contains("pilotfish_mysql_term"), "{nothing}");
}

#[test]
fn promtool_finds_no_fault_with_them() {
    judged(&["check", "metrics"], &render(&full(), Exposition::Text));
    let text = render(&full(), Exposition::OpenMetrics);
    let families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let names: BTreeSet<&str> = families.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(families.len(), names.len(), "a family is there twice: {families:?}");
    let open = render(&full(), Exposition::OpenMetrics);
    assert!(open.contains("# TYPE pilotfish_mysql_fences counter\n") && open.ends_with("# EOF\n"), "{open}");
}

/// The names of our metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |found: char| found.is_ascii_lowercase() || found == '_';
    let starts = text.match_indices("pilotfish_mysql_").map(|(start, _)| &text[start..]);
    starts.map(|rest| rest.chars().take_while(|found| is_part(*found)).collect()).collect()
}

#[test]
fn rules_and_dashboard_ask_for_what_there_is() {
    let known = names(&render(&full(), Exposition::Text));
    for file in ["alerts.yml", "dashboard.json"] {
        let asked = names(&example(file));
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(!asked.is_empty() && unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&example("dashboard.json")).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() >= 8));
}

#[test]
fn promtool_takes_the_rules() {
    let path = format!("{}/../../examples/mysql/alerts.yml", env!("CARGO_MANIFEST_DIR"));
    judged(&["check", "rules", &path], "");
}
