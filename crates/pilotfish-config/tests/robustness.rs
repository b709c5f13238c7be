//! What `show` prints loads again; whatever a document holds, the answer is a config or errors, never a panic.

mod common;

use std::collections::BTreeMap;

use common::{error, load_with, loaded, round_trip, surroundings};
use pilotfish_config::{Surroundings, schema, show};
use proptest::prelude::*;
use serde_json::{Value, json};

const V3: &str = include_str!("documents/everything.json5");
const V2: &str = include_str!("documents/everything-v2.json5");

#[test]
fn everything_survives_being_shown() {
    round_trip(&loaded(V3).config, &surroundings());
    round_trip(&loaded(V2).config, &surroundings());
    for command in [vec!["/usr/sbin/web"], vec!["app", "{{ .CONTAINERPILOT_WEB_IP }}", "{{ .CONSUL }}"]] {
        let command: Vec<String> = command.into_iter().map(str::to_string).collect();
        let surroundings = Surroundings { command: Some(command), ..surroundings() };
        round_trip(&load_with(V2, &surroundings).expect("it is valid").config, &surroundings);
        let plain = "{jobs: [{name: 'web', exec: 'x'}]}";
        round_trip(&load_with(plain, &surroundings).expect("it is valid").config, &surroundings);
    }
}

#[test]
fn arguments_are_rendered_over_the_addresses_of_services() {
    let command = ["app", "{{ .CONTAINERPILOT_WEB_IP }}"].map(str::to_string).to_vec();
    let surroundings = Surroundings { command: Some(command), ..surroundings() };
    let config = load_with(V2, &surroundings).expect("it is valid").config;
    let main = config.spec.jobs.iter().find(|job| job.main).expect("there is a main job");
    assert_eq!(main.process.as_ref().map(|process| &process.argv[1][..]), Some("10.0.1.5"));
}

#[test]
fn secrets_are_not_shown() {
    let text = "{consul: {token: 'abcdef'}, jobs: [{name: 'app', exec: 'x -p {{ .DB_PASSWORD }}', env: {API_KEY: 'k', PLAIN: 'p'}}]}";
    let mut surroundings = surroundings();
    surroundings.env.insert("DB_PASSWORD".into(), "hunter2".into());
    let config = load_with(text, &surroundings).expect("it is valid").config;
    let shown = show(&config, &surroundings.env);
    assert!(!shown.contains("abcdef") && !shown.contains("hunter2") && !shown.contains("\"k\""), "{shown}");
    assert!(shown.contains("\"PLAIN\": \"p\""));
    assert!(!format!("{config:?}").contains("abcdef"));
}

#[test]
fn variables_of_consul_s_tools_fill_in() {
    let env = [
        ("CONSUL_HTTP_ADDR", "agent:8501"),
        ("CONSUL_HTTP_SSL", "true"),
        ("CONSUL_HTTP_TOKEN", "secret"),
        ("CONSUL_CACERT", "/env.pem"),
        ("CONSUL_HTTP_SSL_VERIFY", "0"),
    ];
    let env: BTreeMap<_, _> = env.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let surroundings = Surroundings { env, ..surroundings() };
    let catalog = load_with("{consul: {}}", &surroundings).expect("it is valid").config.catalog.expect("a catalog");
    assert_eq!(format!("{:?}", catalog.addresses), "[CatalogAddress { scheme: Https, authority: \"agent:8501\" }]");
    assert_eq!(catalog.token.expect("a token").reveal(), "secret");
    assert_eq!((catalog.tls.ca_file.as_deref(), catalog.tls.verify), (Some("/env.pem"), false));
    assert!(load_with("{}", &surroundings).expect("it is valid").config.catalog.is_none());
}

/// All paths to keys of a document, as JSON pointers.
fn pointers(value: &Value, prefix: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                found.push(format!("{prefix}/{key}"));
                pointers(value, &format!("{prefix}/{key}"), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| pointers(item, &format!("{prefix}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// `/jobs/0/name` as `jobs[0].name`.
fn path(pointer: &str) -> String {
    pointer[1..].split('/').fold(String::new(), |path, part| match part.parse::<usize>() {
        Ok(index) => format!("{path}[{index}]"),
        Err(_) if path.is_empty() => part.into(),
        Err(_) => format!("{path}.{part}"),
    })
}

#[test]
fn a_wrong_type_at_any_key_is_an_error_about_that_key() {
    for text in [V3, V2] {
        let document: Value = json5::from_str(text).expect("it is JSON5");
        let mut all = Vec::new();
        pointers(&document, "", &mut all);
        assert!(all.len() > 50);
        for pointer in all {
            let mut broken = document.clone();
            // No key takes an array of arrays.
            *broken.pointer_mut(&pointer).expect("it is there") = json!([[[]]]);
            let message = error(&broken.to_string());
            assert!(message.contains(&format!(": {}", path(&pointer))), "{pointer}: {message}");
        }
    }
}

#[test]
fn the_schema_knows_every_key_of_the_examples() {
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    for (index, text) in [V3, V2].into_iter().enumerate() {
        let document: Value = json5::from_str(text).expect("it is JSON5");
        accepts(&schema["oneOf"][index], &document, "").unwrap_or_else(|problem| panic!("{problem}"));
        let shown = show(&loaded(text).config, &BTreeMap::new());
        let shown: Value = serde_json::from_str(&shown).expect("show prints JSON");
        accepts(&schema["oneOf"][0], &shown, "").unwrap_or_else(|problem| panic!("{problem}"));
        for (broken, part) in [(json!({"jbos": []}), "jbos"), (json!({"stopTimeout": []}), "stopTimeout")] {
            let problem = accepts(&schema["oneOf"][index], &broken, "").expect_err("it is wrong");
            assert!(problem.contains(part), "{problem}");
        }
    }
}

/// The part of JSON Schema that ours uses.
fn accepts(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let fail = || Err(format!("{path}: {value} is not {schema}"));
    if let Some(choices) = schema["anyOf"].as_array()
        && !choices.iter().any(|choice| accepts(choice, value, path).is_ok())
    {
        return fail();
    }
    if let Some(words) = schema["enum"].as_array() {
        let known =
            |text: &str| words.iter().any(|word| word.as_str().is_some_and(|word| word.eq_ignore_ascii_case(text)));
        return if value.as_str().is_some_and(known) { Ok(()) } else { fail() };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_kind = |name: &Value| name == kind || (name == "number" && kind == "integer");
    let names = &schema["type"];
    let matches = names.is_null() || is_kind(names) || names.as_array().is_some_and(|names| names.iter().any(is_kind));
    if !matches {
        return fail();
    }
    let items = value.as_array().into_iter().flatten().filter(|_| !schema["items"].is_null());
    for (index, item) in items.enumerate() {
        accepts(&schema["items"], item, &format!("{path}/{index}"))?;
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => return Err(format!("{path}: unknown key {key}")),
            (Value::Null, Value::Null | Value::Bool(_)) => {}
            (Value::Null, other) => accepts(other, member, &format!("{path}/{key}"))?,
            (property, _) => accepts(property, member, &format!("{path}/{key}"))?,
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn documents_with_anything_anywhere_never_panic(
        v2 in any::<bool>(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        values in prop::collection::vec(prop::sample::select(vec![
            json!(null), json!(true), json!(0), json!(-1), json!(i64::MAX), json!(i64::MIN), json!(1e300), json!(0.5),
            json!(""), json!("x"), json!("watch."), json!("-1s"), json!("{{"), json!("{{ .X }}"), json!("\u{201c}"), json!("\u{0}"),
            json!([]), json!({}), json!([{}]), json!(["a"]), json!({"a": "b"}), json!("2562047h"), json!("1ns"), json!("1ms"), json!("2ms"), json!("unlimited"),
        ]), 3..=3),
    ) {
        let text = if v2 { V2 } else { V3 };
        let mut document: Value = json5::from_str(text).expect("it is JSON5");
        for (place, value) in places.iter().zip(values) {
            let mut all = Vec::new();
            pointers(&document, "", &mut all);
            let pointer: &String = place.get(&all);
            *document.pointer_mut(pointer).expect("it is there") = value;
        }
        if let Ok(loaded) = load_with(&document.to_string(), &surroundings()) {
            round_trip(&loaded.config, &surroundings());
        }
    }

    #[test]
    fn any_text_never_panics(text in any::<String>()) {
        let _ = load_with(&text, &surroundings());
    }
}
