//! Config files: JSON, as consul-template reads it. Its other language, HCL, is refused.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::refused::refused;
use super::settings::{Given, Settings, TemplateSettings};

/// Largest config file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// What is an object, by its path; all else is a value.
const SECTIONS: [&str; 11] = [
    "consul",
    "consul.auth",
    "consul.retry",
    "consul.ssl",
    "consul.transport",
    "exec",
    "exec.env",
    "wait",
    "log_file",
    "deduplicate",
    "syslog",
];

/// Reads a file, or all files of a directory in the order of their names.
///
/// # Errors
/// Which file, where in it, and what is wrong.
pub(super) fn read(path: &Path, settings: &mut Settings) -> Result<(), String> {
    for file in files(path)? {
        let shown = file.display();
        let extension = file.extension().unwrap_or_default();
        if ["hcl", "ctmpl"].iter().any(|other| extension == *other) {
            return Err(format!(
                "cannot read config {shown}: HCL is not supported; write the same keys as JSON and name the file *.json \
                 (`template {{ source = \"a\" }}` is {{\"template\": [{{\"source\": \"a\"}}]}})"
            ));
        }
        let text = text(&file).map_err(|error| format!("cannot read config {shown}: {error}"))?;
        apply(&text, settings).map_err(|error| format!("config {shown}: {error}"))?;
    }
    Ok(())
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("cannot read config {}: {error}", path.display());
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.is_file() {
            files.push(file);
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn text(file: &Path) -> Result<String, String> {
    // It is read more than once, and a pipe could keep the supervisor waiting.
    if fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(format!("it is larger than {FILE_LIMIT} bytes; is this the right file?"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text; is this the right file?".to_owned())
}

/// Takes all settings of a text.
pub(super) fn apply(text: &str, settings: &mut Settings) -> Result<(), String> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| format!("{error}; expected JSON (HCL is not supported: write the same keys as JSON)"))?;
    let Value::Object(object) = value else { return Err("expected an object of settings".to_owned()) };
    section("", &object, &mut |path, value| match (path, value) {
        ("template", value) => templates(value, settings),
        (path, value) => match refused(path) {
            Some(_) if is_off(value) => Ok(()),
            Some(reason) => Err(reason.to_owned()),
            None => settings.set(path, &given(value)?),
        },
    })
}

/// A section that is there only to say that it is not wanted.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty() || object.get("enabled") == Some(&Value::Bool(false)),
        Value::Array(list) => list.iter().all(is_off),
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Passes on all values of an object, each with its path.
fn section(
    prefix: &str,
    object: &Map<String, Value>,
    take: &mut dyn FnMut(&str, &Value) -> Result<(), String>,
) -> Result<(), String> {
    for (key, value) in object {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let sections = SECTIONS.contains(&path.as_str()) && refused(&path).is_none();
        match value {
            Value::Null => {}
            Value::Object(inner) if sections => section(&path, inner, take)?,
            // HCL's JSON allows a block to be a list of blocks.
            Value::Array(list) if sections && list.iter().all(Value::is_object) => {
                for inner in list.iter().filter_map(Value::as_object) {
                    section(&path, inner, take)?;
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                // A problem of a template names it already.
                let placed = |problem: String| match problem.starts_with("template[") {
                    true => problem,
                    false => format!("{path}: {problem}"),
                };
                take(&path, value).map_err(placed)?;
            }
        }
    }
    Ok(())
}

fn templates(value: &Value, settings: &mut Settings) -> Result<(), String> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    for (index, item) in list.iter().enumerate() {
        let Value::Object(object) = item else { return Err("expected an object, or a list of objects".to_owned()) };
        let mut template = TemplateSettings::default();
        let taken = section("", object, &mut |path, value| match (path, value) {
            // Read as digits it would be another mode than consul-template's, which takes the number itself.
            ("perms", Value::Number(_)) => Err("expected octal digits in quotes (\"0644\"), found a number".to_owned()),
            (path, value) => template.set(path, &given(value)?),
        });
        taken.map_err(|problem| format!("template[{index}].{problem}"))?;
        settings.templates.push(template);
    }
    Ok(())
}

fn given(value: &Value) -> Result<Given, String> {
    Ok(match value.as_array() {
        Some(list) => Given::List(list.iter().map(scalar).collect::<Result<_, _>>()?),
        None => Given::Text(scalar(value)?),
    })
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err("expected a value, found an object or a list".to_owned()),
    }
}
