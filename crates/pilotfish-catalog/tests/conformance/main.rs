//! The catalog beside a real Consul: the same requests to both, and the answers compared; clients that others wrote; and what no
//! client sends.
//!
//! `PILOTFISH_TEST_SCRIPT=TEXT` runs only the scripts whose title has the text, `PILOTFISH_TEST_SHOW=1` prints what Consul
//! answered, `PILOTFISH_TEST_SUBJECT=consul` puts a second real Consul in our place, and `PILOTFISH_TEST_LONG=1` adds what takes
//! minutes.

// Clippy allows this in `#[test]` functions by itself, but not in the functions that they share.
#![allow(clippy::unwrap_used)]

mod accepted;
mod clients;
mod dice;
mod garbage;
mod judging;
mod normal;
mod pair;
mod random;
mod run;
mod script;
mod wire;

use std::sync::PoisonError;

use script::{Action, Body};
use wire::Request;

/// One test for each file of scripts.
macro_rules! scripts {
    ($($area:ident),* $(,)?) => {
        $(
            #[test]
            fn $area() {
                let pair = pair::shared();
                let pair = pair.lock().unwrap_or_else(PoisonError::into_inner);
                pair.judge(concat!(stringify!($area), ".script"), text(stringify!($area)));
            }
        )*

        /// The files that share a pair of servers: name without `.script`, and text.
        const FILES: &[(&str, &str)] =
            &[$((stringify!($area), include_str!(concat!("../scripts/", stringify!($area), ".script")))),*];
    };
}

scripts! { agent, blocking, catalog, checks, client, event, filter, health, kv, query, session, snapshot, txn }

const TIMING: &str = include_str!("../scripts/timing.script");

/// What takes minutes; `cargo xtask soak` runs it.
const REAPING: &str = include_str!("../scripts/reaping.script");

/// Beside the others, on servers of its own: it mostly waits.
#[test]
fn timing() {
    let pair = pair::Pair::start();
    pair.judge("timing.script", TIMING);
    if std::env::var_os("PILOTFISH_TEST_LONG").is_some() {
        pair.judge("reaping.script", REAPING);
    }
}

fn text(area: &str) -> &'static str {
    FILES.iter().find(|(name, _)| *name == area).map(|(_, text)| *text).unwrap()
}

/// All scripts.
fn all() -> Vec<script::Script> {
    let texts = FILES.iter().map(|(_, text)| *text).chain([TIMING, REAPING]);
    texts.flat_map(|text| script::parse(text).unwrap()).collect()
}

/// All requests of the scripts, with variables as they are written.
fn requests() -> Vec<Request> {
    let steps =
        all().into_iter().flat_map(|script| script.steps).filter(|step| !matches!(step.action, Action::Collect(_)));
    steps
        .map(|step| {
            let body = match step.body {
                Body::Text(text) => text.into_bytes(),
                Body::Bytes(bytes) => bytes,
                Body::Saved(_) => Vec::new(),
            };
            Request { method: step.method, target: step.target, headers: step.headers, body }
        })
        .collect()
}

#[test]
fn the_scripts_ask_far_more_than_our_own_client() {
    let requests = requests().len();
    assert!(requests >= 1000, "{requests} requests");
}

#[test]
fn accepted_differences_are_in_the_table_in_scripts_and_in_the_documentation() {
    let used: std::collections::BTreeSet<String> =
        all().into_iter().flat_map(|script| script.steps).filter_map(|step| step.compare.accepted).collect();
    let known: std::collections::BTreeSet<String> =
        accepted::ACCEPTED.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(used, known, "what scripts accept (left) and what accepted.rs gives reasons for (right)");
    let document = include_str!("../../../../docs/catalog.md");
    let listed: Vec<String> = accepted::ACCEPTED.iter().map(|(_, reason)| format!("- {reason}")).collect();
    let (_, list) = document.split_once("<!-- differences: begin -->\n").expect("the list has a beginning");
    let (list, _) = list.split_once("<!-- differences: end -->").expect("and an end");
    assert_eq!(list.trim().lines().collect::<Vec<_>>(), listed, "docs/catalog.md lists what accepted.rs says");
}
