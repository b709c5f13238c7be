//! What differs between any two runs, told by its relations: indexes by their order, identities by where they were first seen.

use std::collections::BTreeMap;

use regex_lite::{Captures, Regex};
use serde_json::Value;

use crate::run::Outcome;
use crate::script::Compare;

/// Headers about the connection or the moment, and none of the API.
const UNTOLD_HEADERS: [&str; 5] = ["date", "content-length", "transfer-encoding", "connection", "keep-alive"];

/// Turns the answers of a script into texts that are equal when the answers are.
pub(crate) struct Normaliser {
    step: usize,
    seen: usize,
    indexes: BTreeMap<u64, String>,
    lamport: BTreeMap<u64, String>,
    identities: BTreeMap<String, String>,
    patterns: Patterns,
}

struct Patterns {
    index: Regex,
    lamport: Regex,
    identity: Regex,
    hash: Regex,
}

impl Normaliser {
    pub(crate) fn new() -> Normaliser {
        let pattern = |text| Regex::new(text).unwrap();
        Normaliser {
            step: 0,
            seen: 0,
            indexes: BTreeMap::new(),
            lamport: BTreeMap::new(),
            identities: BTreeMap::new(),
            patterns: Patterns {
                index: pattern(r#"("(?:[^"]*/)?(?:CreateIndex|ModifyIndex|Index)": ?|current modify index )(\d+)"#),
                lamport: pattern(r#"("LTime": ?)(\d+)"#),
                identity: pattern("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
                hash: pattern(r#"("ContentHash": ?")([0-9a-f]+)"#),
            },
        }
    }

    /// The text of one answer. `ports` are numbers of the server, each with the name that stands for it.
    pub(crate) fn answer(
        &mut self,
        outcome: &Outcome,
        target: &str,
        compare: &Compare,
        ports: &[(u16, &str)],
    ) -> String {
        self.step += 1;
        self.seen = 0;
        let mut lines = vec![outcome.answer.status.to_string()];
        lines.extend(
            outcome.held.map(|held| if held { "held for all of its wait" } else { "answered early" }.to_owned()),
        );
        let mut headers: Vec<String> = outcome
            .answer
            .headers
            .iter()
            .filter(|(name, _)| !UNTOLD_HEADERS.iter().any(|untold| name.eq_ignore_ascii_case(untold)))
            .map(|(name, value)| self.header(name, value, target, compare))
            .collect();
        headers.sort();
        lines.extend(headers);
        if !compare.no_body {
            let body = self.body(&part(&outcome.answer.text(), compare), ports);
            lines.push(body);
        }
        lines.join("\n")
    }

    fn header(&mut self, name: &str, value: &str, target: &str, compare: &Compare) -> String {
        let value = match name.to_ascii_lowercase().as_str() {
            // The index of events is a hash.
            "x-consul-index" if target.starts_with("/v1/event/") => self.identity(value),
            "x-consul-index" if compare.any_index => "<any>".to_owned(),
            "x-consul-index" => value.parse().map_or_else(|_| value.to_owned(), |index| self.index(index)),
            "x-consul-contenthash" => self.identity(value),
            _ => value.to_owned(),
        };
        format!("{name}: {value}")
    }

    fn body(&mut self, body: &str, ports: &[(u16, &str)]) -> String {
        let mut text = body.to_owned();
        for (port, name) in ports {
            text = Regex::new(&format!(r"\b{port}\b")).unwrap().replace_all(&text, *name).into_owned();
        }
        let number = |found: &Captures<'_>| found[2].parse::<u64>().unwrap_or(u64::MAX);
        let text =
            replace(&self.patterns.index.clone(), &text, |found| format!("{}{}", &found[1], self.index(number(found))));
        let text = replace(&self.patterns.lamport.clone(), &text, |found| {
            let place = self.place();
            format!("{}{}", &found[1], ordered(&mut self.lamport, number(found), "t", place))
        });
        let text = replace(&self.patterns.identity.clone(), &text, |found| self.identity(&found[0]));
        replace(&self.patterns.hash.clone(), &text, |found| format!("{}{}", &found[1], self.identity(&found[2])))
    }

    fn place(&mut self) -> String {
        self.seen += 1;
        format!("{}.{}", self.step, self.seen)
    }

    fn index(&mut self, index: u64) -> String {
        let place = self.place();
        if index == 0 { "0".to_owned() } else { ordered(&mut self.indexes, index, "i", place) }
    }

    fn identity(&mut self, text: &str) -> String {
        let place = self.place();
        let name = self.identities.entry(text.to_owned()).or_insert_with(|| format!("<id {place}>"));
        name.clone()
    }
}

fn replace(pattern: &Regex, text: &str, mut with: impl FnMut(&Captures<'_>) -> String) -> String {
    pattern.replace_all(text, |found: &Captures<'_>| with(found)).into_owned()
}

/// Names a number by where it was first seen, and then also tells between which others it lies.
fn ordered(known: &mut BTreeMap<u64, String>, number: u64, kind: &str, place: String) -> String {
    if let Some(name) = known.get(&number) {
        return format!("<{kind}{name}>");
    }
    let below = known.range(..number).next_back().map(|(_, name)| format!(">{name}")).unwrap_or_default();
    let above = known.range(number..).next().map(|(_, name)| format!("<{name}")).unwrap_or_default();
    let told = format!("<{kind}{place}{below}{above}>");
    known.insert(number, place);
    told
}

/// The part of a body that is compared.
fn part(body: &str, compare: &Compare) -> String {
    if compare.only.is_empty() && !compare.unordered {
        return body.to_owned();
    }
    let Ok(json) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
    if !compare.only.is_empty() {
        let told = |pointer: &String| {
            let value = json.pointer(pointer).map_or_else(|| "absent".to_owned(), Value::to_string);
            format!("\"{pointer}\": {value}")
        };
        return compare.only.iter().map(told).collect::<Vec<_>>().join("\n");
    }
    sorted(json).0.to_string()
}

/// The value with every array in an order of its own, and a text of it without what differs between any two runs.
fn sorted(json: Value) -> (Value, String) {
    let sorted = match json {
        Value::Array(items) => {
            let mut items: Vec<(Value, String)> = items.into_iter().map(sorted).collect();
            items.sort_by(|(_, one), (_, other)| one.cmp(other));
            Value::Array(items.into_iter().map(|(item, _)| item).collect())
        }
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, sorted(value).0)).collect(),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    };
    let text = sorted.to_string();
    let masked = Regex::new("[0-9a-f]{8}-[0-9a-f-]{27}|Index\":[0-9]+").unwrap().replace_all(&text, "").into_owned();
    (sorted, masked)
}
