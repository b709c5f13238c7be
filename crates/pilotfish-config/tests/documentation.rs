//! The documents tell the truth about configs: the reference names every key and no other, and every example loads.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use common::{source, surroundings};
use pilotfish_config::{Surroundings, load, schema};
use serde_json::Value;

/// Keys by section: of the reference, and of the table that the loader reads with.
type Keys = BTreeMap<String, BTreeSet<String>>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a directory whose name ends so, sorted.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there") {
        let path = entry.expect("it can be listed").path();
        match path.is_dir() {
            true => found.extend(files(&path, end)),
            false if path.to_string_lossy().ends_with(end) => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

/// Adds the keys of an object's schema, and those of the objects in it, with paths such as `jobs[].health`.
fn collect(object: &Value, path: &str, keys: &mut Keys) {
    let properties = object["properties"].as_object().expect("an object's schema has properties");
    let name = if path.is_empty() { "document" } else { path };
    keys.insert(name.to_owned(), properties.keys().cloned().collect());
    for (key, property) in properties {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let alternatives = property["anyOf"].as_array().into_iter().flatten().chain([property]);
        for schema in alternatives {
            match (schema["properties"].is_object(), schema["items"]["properties"].is_object()) {
                (true, _) => collect(schema, &path, keys),
                (_, true) => collect(&schema["items"], &format!("{path}[]"), keys),
                (false, false) => {}
            }
        }
    }
}

/// The keys of a vocabulary as the reference has them: a heading that names sections in backquotes, and below it a table whose rows begin
/// with a key in backquotes. A heading that says `(v2)` or `(v3)` is about that one only; `other` is the vocabulary that is not asked for.
fn documented(text: &str, other: &str) -> Keys {
    let mut keys = Keys::new();
    let mut sections: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            sections = match heading.contains(&format!("({other})")) {
                true => Vec::new(),
                false => heading.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
            };
        } else if line.starts_with("## ") {
            sections.clear();
        } else if let Some(key) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
            for section in &sections {
                keys.entry(section.clone()).or_default().insert(key.to_owned());
            }
        }
    }
    keys
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let reference = read(&repository().join("docs/configuration.md"));
    let schema: Value = serde_json::from_str(&schema()).expect("the schema is JSON");
    let vocabularies = schema["oneOf"].as_array().expect("there are two vocabularies");
    let mut known = BTreeSet::new();
    let mut named = BTreeSet::new();
    for (object, vocabulary, other) in [(&vocabularies[0], "v3", "v2"), (&vocabularies[1], "v2", "v3")] {
        let mut expect = Keys::new();
        collect(object, "", &mut expect);
        let found = documented(&reference, other);
        for (section, keys) in &expect {
            let found = found.get(section).unwrap_or_else(|| panic!("{vocabulary}: no heading for `{section}`"));
            assert_eq!(found, keys, "{vocabulary}: the table of `{section}` against the loader's");
        }
        known.extend(expect.into_keys());
        named.extend(found.into_keys());
    }
    assert_eq!(named, known, "sections of the reference against those of the loader");
}

/// Surroundings in which examples need not care for what is set.
fn example_surroundings() -> Surroundings {
    let mut surroundings = surroundings();
    let workshop = repository().join("examples/workshop").display().to_string();
    for (name, value) in [("CONSUL", "consul:8500".to_owned()), ("WORKSHOP", workshop)] {
        surroundings.env.insert(name.into(), value);
    }
    surroundings
}

/// Loads as the application of a command line, too, unless the document has a main job of its own.
fn check_example(name: &str, text: &str) {
    let mut surroundings = example_surroundings();
    if !text.contains("main: true") {
        surroundings.command = Some(vec!["app".into()]);
    }
    let file = |path: &str| fs::read_to_string(path).or_else(|_| source(path));
    let loaded = load(text, "test.json5", &surroundings, &file).unwrap_or_else(|errors| panic!("{name}: {errors}"));
    assert_eq!(loaded.warnings, [], "{name}");
}

#[test]
fn every_file_of_the_examples_loads_without_a_warning() {
    let examples = repository().join("examples");
    let mut configs = files(&examples, ".json5");
    configs.extend(files(&examples, "containerpilot.json"));
    assert!(configs.len() >= 8, "{configs:?}");
    for config in configs {
        check_example(&config.display().to_string(), &read(&config));
    }
}

#[test]
fn every_example_in_the_documents_loads_without_a_warning() {
    let mut documents = files(&repository().join("docs"), ".md");
    documents.push(repository().join("README.md"));
    let mut examples = 0;
    for document in documents {
        let text = read(&document);
        for block in text.split("```json5\n").skip(1) {
            let example = block.split("```").next().expect("split gives one part at least");
            let at = text.find(example).map_or(0, |at| text[..at].matches('\n').count() + 1);
            // What is no whole document shows a part of one.
            if example.trim_start().starts_with(['{', '/']) {
                check_example(&format!("{}:{at}", document.display()), example);
                examples += 1;
            }
        }
    }
    assert!(examples >= 4, "only {examples} examples were found");
}
