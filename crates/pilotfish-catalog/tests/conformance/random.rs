//! Scripts that nobody wrote: random histories of writes and reads on a few keys, sessions, nodes and services.
//!
//! The index of a list is not compared: Consul's rises now and then although the list is the same. What clients rely on is asserted
//! of ours instead: whatever has changed between two reads has another index.
//!
//! `PILOTFISH_TEST_SEED=N` begins at another seed, `PILOTFISH_TEST_HISTORIES=N` runs more of them.

use std::sync::PoisonError;

use crate::dice::Dice;
use crate::pair::shared;
use crate::script::{Script, parse};

/// Histories of one run of the tests.
const HISTORIES: u64 = 12;
/// Requests of one history.
const LENGTH: usize = 60;

const KEYS: [&str; 5] = ["a", "b", "a/b", "a/c", "a/b/c"];
const PREFIXES: [&str; 4] = ["", "a", "a/", "a/b"];
const NODES: [&str; 2] = ["n1", "n2"];
const SERVICES: [&str; 2] = ["web", "db"];
const STATES: [&str; 3] = ["passing", "warning", "critical"];

fn history(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut text = format!("== history {seed}\n");
    for name in ["ONE", "TWO"] {
        let behavior = dice.one_of(&["release", "delete"]);
        text += &format!(
            "PUT /v1/session/create {{\"Name\": \"{name}\", \"LockDelay\": \"0s\", \"Behavior\": \"{behavior}\"}}\n  save {name} body /ID\n"
        );
    }
    // The cas below needs an index that is known from the beginning on.
    text += "GET /v1/session/list\n  unordered\n";
    for _ in 0..LENGTH {
        let step = match dice.roll(10) {
            0..=2 => write_key(&mut dice),
            3..=4 => read_key(&mut dice),
            5..=6 => write_catalog(&mut dice),
            7..=8 => read_catalog(&mut dice),
            _ => other(&mut dice),
        };
        text += &step;
    }
    text
}

fn session(dice: &mut Dice) -> &'static str {
    dice.one_of(&["$ONE", "$TWO"])
}

fn write_key(dice: &mut Dice) -> String {
    let (key, value, session) = (dice.one_of(&KEYS), dice.roll(3), session(dice));
    match dice.roll(10) {
        0..=2 => format!("PUT /v1/kv/{key} {value}\n"),
        3 => format!("PUT /v1/kv/{key}?flags={value} {value}\n"),
        4 => format!("PUT /v1/kv/{key}?cas=0 {value}\n"),
        5 => format!("GET /v1/kv/{key}\nPUT /v1/kv/{key}?cas=$INDEX {value}\n"),
        6 => format!("PUT /v1/kv/{key}?acquire={session} {value}\n"),
        7 => format!("PUT /v1/kv/{key}?release={session} {value}\n"),
        8 => format!("DELETE /v1/kv/{key}\n"),
        _ => format!("DELETE /v1/kv/{}?recurse\n", dice.one_of(&PREFIXES)),
    }
}

fn read_key(dice: &mut Dice) -> String {
    match dice.roll(5) {
        0 | 1 => format!("GET /v1/kv/{}\n", dice.one_of(&KEYS)),
        2 => format!("GET /v1/kv/{}?raw\n", dice.one_of(&KEYS)),
        3 => format!("GET /v1/kv/{}?recurse\n  any-index\n", dice.one_of(&PREFIXES)),
        _ => format!("GET /v1/kv/{}?keys&separator={}\n  any-index\n", dice.one_of(&PREFIXES), dice.one_of(&["", "/"])),
    }
}

fn write_catalog(dice: &mut Dice) -> String {
    let (node, service, state) = (dice.one_of(&NODES), dice.one_of(&SERVICES), dice.one_of(&STATES));
    let address = format!("10.0.0.{}", dice.roll(2));
    let head = format!("PUT /v1/catalog/register {{\"Node\": \"{node}\", \"Address\": \"{address}\"");
    let tags = dice.one_of(&["[]", "[\"x\"]", "[\"x\", \"y\"]"]);
    let port = dice.roll(2);
    match dice.roll(8) {
        0 => format!("{head}}}\n"),
        1 | 2 => format!("{head}, \"Service\": {{\"Service\": \"{service}\", \"Tags\": {tags}, \"Port\": {port}}}}}\n"),
        3 => format!(
            "{head}, \"Service\": {{\"Service\": \"{service}\"}}, \"Check\": {{\"CheckID\": \"{service}\", \"Name\": \"c\", \
             \"Status\": \"{state}\", \"ServiceID\": \"{service}\"}}}}\n"
        ),
        4 => format!("{head}, \"Check\": {{\"CheckID\": \"node\", \"Name\": \"c\", \"Status\": \"{state}\"}}}}\n"),
        5 => format!("PUT /v1/catalog/deregister {{\"Node\": \"{node}\", \"ServiceID\": \"{service}\"}}\n"),
        6 => format!("PUT /v1/catalog/deregister {{\"Node\": \"{node}\", \"CheckID\": \"{service}\"}}\n"),
        _ => format!("PUT /v1/catalog/deregister {{\"Node\": \"{node}\"}}\n"),
    }
}

fn read_catalog(dice: &mut Dice) -> String {
    let (node, service, state) = (dice.one_of(&NODES), dice.one_of(&SERVICES), dice.one_of(&STATES));
    let read = match dice.roll(10) {
        0 => format!("GET /v1/health/service/{service}\n"),
        1 => format!("GET /v1/health/service/{service}?passing\n"),
        2 => format!("GET /v1/health/service/{service}?tag=x&filter=Service.Port==1\n"),
        3 => format!("GET /v1/catalog/service/{service}\n"),
        4 => "GET /v1/catalog/services\n  unordered\n".to_owned(),
        5 => format!("GET /v1/catalog/node/{node}\n"),
        6 => format!("GET /v1/health/node/{node}\n"),
        7 => format!("GET /v1/health/checks/{service}\n"),
        8 => format!("GET /v1/health/state/{state}?filter=Node!=$NODE\n"),
        _ => "GET /v1/catalog/nodes?filter=Node!=$NODE\n".to_owned(),
    };
    read + "  any-index\n"
}

fn other(dice: &mut Dice) -> String {
    let (key, session) = (dice.one_of(&KEYS), session(dice));
    let operation = |dice: &mut Dice| {
        let key = dice.one_of(&KEYS);
        let verb = dice.one_of(&["set", "get", "delete", "get-tree", "delete-tree", "check-not-exists", "cas"]);
        let value = if ["set", "cas"].contains(&verb) { ", \"Value\": \"MQ==\"" } else { "" };
        format!("{{\"KV\": {{\"Verb\": \"{verb}\", \"Key\": \"{key}\"{value}}}}}")
    };
    match dice.roll(6) {
        0 => format!("PUT /v1/session/destroy/{session}\n"),
        1 => format!("GET /v1/session/info/{session}\n"),
        2 => "GET /v1/session/list\n  unordered\n".to_owned(),
        3 => format!(
            "PUT /v1/txn [{{\"KV\": {{\"Verb\": \"lock\", \"Key\": \"{key}\", \"Session\": \"{session}\"}}}}]\n"
        ),
        4 => format!("PUT /v1/txn [{}]\n", operation(dice)),
        _ => format!("PUT /v1/txn [{}, {}, {}]\n", operation(dice), operation(dice), operation(dice)),
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn random_histories_have_the_same_answers() {
    let pair = shared();
    let first = number("PILOTFISH_TEST_SEED", 1);
    for seed in first..first + number("PILOTFISH_TEST_HISTORIES", HISTORIES) {
        let text = history(seed);
        let scripts: Vec<Script> = parse(&text).unwrap();
        let differences = pair.lock().unwrap_or_else(PoisonError::into_inner).differences(&scripts[0]);
        if let Some(first) = differences.first() {
            let number: usize =
                first.trim_start().trim_start_matches("line ").split(':').next().unwrap().parse().unwrap_or(0);
            let until: Vec<&str> = text.lines().take(number).collect();
            panic!(
                "seed {seed}: {} differences, the first one:\n{first}\nafter\n{}",
                differences.len(),
                until.join("\n")
            );
        }
    }
}
