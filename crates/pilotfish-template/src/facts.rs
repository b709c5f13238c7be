//! What a template's functions may know of the outside, and the record of what they asked.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use crate::value::Value;

/// A question that a function asks: where the answer comes from (`env`, `service`, `key`...) and what is asked there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// The kind of fact, such as `env`.
    pub source: String,
    /// Which one of its kind, such as `HOME`.
    pub name: String,
}

/// The answers that a rendering may use. It records every question, answered or not, also when the rendering fails:
/// this is how a caller learns what to fetch and what to watch.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    known: BTreeMap<String, BTreeMap<String, Value>>,
    used: BTreeSet<Query>,
    missing: BTreeSet<Query>,
}

impl Facts {
    /// Facts of an environment, under the source `env`.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Facts {
        let mut facts = Facts::default();
        for (name, value) in environment {
            facts.insert("env", name, Value::from(value.as_str()));
        }
        facts
    }

    /// Makes an answer known, in place of the one that may have been known before.
    pub fn insert(&mut self, source: &str, name: &str, value: Value) {
        self.known.entry(source.to_owned()).or_default().insert(name.to_owned(), value);
    }

    /// Answers a question and records that it was asked.
    pub fn lookup(&mut self, source: &str, name: &str) -> Option<Value> {
        let answer = self.known.get(source).and_then(|names| names.get(name)).cloned();
        let asked = if answer.is_some() { &mut self.used } else { &mut self.missing };
        asked.insert(Query { source: source.to_owned(), name: name.to_owned() });
        answer
    }

    /// The questions that were answered.
    pub fn used(&self) -> &BTreeSet<Query> {
        &self.used
    }

    /// The questions that had no answer.
    pub fn missing(&self) -> &BTreeSet<Query> {
        &self.missing
    }

    /// Forgets which questions were asked, but not the answers, before the next rendering.
    pub fn forget_questions(&mut self) {
        self.used.clear();
        self.missing.clear();
    }
}
