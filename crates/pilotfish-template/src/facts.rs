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
///
/// A rendered text may only be used if [`Facts::is_complete`] says so:
///
/// | function | no answer yet | the answer is that there is nothing |
/// | --- | --- | --- |
/// | `key` | [missing](Facts::missing) | [blocking](Facts::blocking) |
/// | `safeLs`, `safeTree` | missing | blocking |
/// | `keyExists`, `keyOrDefault` | missing | rendered |
/// | `service`, `services`, `node`, `nodes`, `datacenters`, `ls`, `tree`, `file` | missing | rendered |
/// | `timestamp`, `sockaddr` | missing | rendered |
/// | `env` and its like | missing, but no reason to wait: the variable is not set | rendered |
#[derive(Clone, Debug, Default)]
pub struct Facts {
    known: BTreeMap<String, BTreeMap<String, Value>>,
    used: BTreeSet<Query>,
    missing: BTreeSet<Query>,
    blocking: BTreeSet<Query>,
    printed: String,
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

    /// Makes the answer to a recorded question known, in place of the one that may have been known before.
    pub fn answer(&mut self, query: &Query, value: Value) {
        self.insert(&query.source, &query.name, value);
    }

    /// Forgets the answer to a question that nobody asks any more.
    pub fn remove(&mut self, query: &Query) {
        if let Some(names) = self.known.get_mut(&query.source) {
            names.remove(&query.name);
        }
    }

    /// Answers a question and records that it was asked.
    pub fn lookup(&mut self, source: &str, name: &str) -> Option<Value> {
        let answer = self.known.get(source).and_then(|names| names.get(name)).cloned();
        let asked = if answer.is_some() { &mut self.used } else { &mut self.missing };
        asked.insert(Query { source: source.to_owned(), name: name.to_owned() });
        answer
    }

    /// Records that the answer to a question, though known, is one to wait for a better of.
    pub(crate) fn block(&mut self, query: Query) {
        self.blocking.insert(query);
    }

    /// The questions that were answered.
    pub fn used(&self) -> &BTreeSet<Query> {
        &self.used
    }

    /// The questions that had no answer.
    pub fn missing(&self) -> &BTreeSet<Query> {
        &self.missing
    }

    /// The questions whose answer is that there is nothing, asked by a function that demands something. They are in
    /// [`Facts::used`] too.
    pub fn blocking(&self) -> &BTreeSet<Query> {
        &self.blocking
    }

    /// Whether the rendering had all it needs: nothing is missing but variables of the environment, and nothing blocks.
    /// A text that was rendered without it must not be written anywhere.
    pub fn is_complete(&self) -> bool {
        self.blocking.is_empty() && self.missing.iter().all(|query| query.source == "env")
    }

    /// What `spew_dump` and `spew_printf` wrote: it is meant for the standard output, not for the rendered text.
    pub fn printed(&self) -> &str {
        &self.printed
    }

    pub(crate) fn print(&mut self, text: &str) {
        self.printed.push_str(text);
    }

    /// Forgets which questions were asked and what was printed, but not the answers, before the next rendering.
    pub fn forget_questions(&mut self) {
        self.used.clear();
        self.missing.clear();
        self.blocking.clear();
        self.printed.clear();
    }
}
