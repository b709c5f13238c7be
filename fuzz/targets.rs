//! What the fuzzer runs, and `crates/pilotfish-template/tests/corpus.rs` over the kept corpus.
//!
//! `cargo install cargo-fuzz`, then `cargo +nightly fuzz run render` (or `query`, `documents`) in the workspace's root. Copy
//! an input that broke something into `fuzz/corpus`, so that it stays mended.
#![allow(dead_code, reason = "each fuzz target uses one of the functions")]

use pilotfish_template::catalog::{Answers, HealthService, KeyPair, Question, Status};
use pilotfish_template::{Facts, Limits, MissingKey, RenderOptions, Template, Value, catalog_functions};

/// Small, so that many inputs go through in a second, and so that a limit which is not kept shows.
fn limits() -> Limits {
    Limits { nesting: 100, output_bytes: 100_000, working_bytes: 1_000_000, steps: 50_000 }
}

/// A service of two instances, a few keys, a variable and the time.
fn facts() -> Facts {
    let mut facts = Facts::default();
    let mut answers = Answers::new();
    let question = Question::service("web").expect("the text is a query");
    if let Question::Service(query) = &question {
        let mut instance = |id: &str, port| HealthService {
            node: answers.text("n1"),
            id: answers.text(id),
            address: answers.text("10.0.0.1"),
            tags: vec![answers.text("a"), answers.text(id)],
            service_meta: answers.string_map([("v", "1")]),
            status: Some(Status::Passing),
            port,
            ..HealthService::default()
        };
        let instances = vec![instance("one", 80), instance("two", 81)];
        let value = answers.health_services(query, instances);
        facts.answer(&question.to_query(), value);
    }
    let mut pair = |path: &str, value: &str| KeyPair {
        path: answers.text(path),
        value: answers.text(value),
        ..KeyPair::default()
    };
    let pairs = vec![pair("k/a", "1"), pair("k/b/c", "{\"x\": [1]}"), pair("k/b/d", "- y")];
    let tree = answers.pairs("k", pairs);
    facts.insert("tree", "k", tree);
    facts.insert("key", "k/a", Answers::key(Some("1")));
    facts.insert("key", "none", Answers::key(None));
    facts.insert("env", "HOME", Value::from("/root"));
    facts.insert("time", "", Answers::time(1_700_000_000_123_456_789));
    facts
}

fn render_over(text: &str, data: &Value) -> Option<String> {
    let template = Template::parse("t", text, &catalog_functions()).ok()?;
    let options = RenderOptions { missing_key: MissingKey::Zero, limits: limits() };
    let mut facts = facts();
    let result = template.render(data, &mut facts, &options);
    let printed = facts.printed().len();
    assert!(printed <= options.limits.working_bytes, "{printed} bytes printed");
    match result {
        Ok(output) => {
            assert!(output.text.len() <= options.limits.output_bytes, "{} bytes", output.text.len());
            Some(output.text)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// Any text, as a template.
pub(crate) fn render(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let data = Value::string_map([("A", "a"), ("L", "héllo")]);
    let first = render_over(&text, &data);
    // A rendering depends on nothing but its arguments.
    assert_eq!(first, render_over(&text, &data));
}

/// Any text, as a query: what can be read is written in a form that reads back as the same.
pub(crate) fn query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for read in [Question::service, Question::services, Question::node, Question::nodes, Question::key, Question::tree]
    {
        if let Ok(question) = read(&text) {
            assert_eq!(Question::from_query(&question.to_query()), Ok(question), "{text:?}");
        }
    }
}

/// Any text, as a document: what can be read is written in a form that reads back as the same.
pub(crate) fn documents(data: &[u8]) {
    let data = Value::from(String::from_utf8_lossy(data).as_ref());
    // The YAML stands within a list, because line feeds at the end of the whole are trimmed.
    for (there, back) in [
        ("{{. | parseJSON | toJSON}}", "{{. | parseJSON | toJSON}}"),
        ("{{. | parseJSON | toJSONPretty}}", "{{. | parseJSON | toJSONPretty}}"),
        (
            "{{scratch.MapSet `m` `a` (parseYAML .)}}{{scratch.MapSet `m` `z` 1}}{{scratch.MapValues `m` | toYAML}}",
            "{{. | parseYAML | toYAML}}",
        ),
    ] {
        // What go-yaml writes for these does not mean what it wrote: a negative zero, and a key that reads as a merge.
        let is_known = |text: &str| text.contains("-0") || text.contains("<<");
        if let Some(first) = render_over(there, &data).filter(|text| !is_known(text)) {
            let second = render_over(back, &Value::from(first.as_str()));
            assert_eq!(second.as_deref(), Some(&*first), "{there}");
        }
    }
    for rest in ["{{. | parseYAML | toTOML}}", "{{. | parseYAML | toJSON}}", "{{. | parseYAML | spew_sdump}}"] {
        render_over(rest, &data);
    }
}
