//! `kv get`, `kv put`, `kv delete`.

use std::io::Read as _;

use serde_json::Value;

use super::{
    Failure, Output,
    client::{Client, encoded},
    flags::Flags,
};

/// Largest value that is sent, in bytes: the limit of a Consul agent, and one more to be refused by it.
const VALUE_LIMIT: u64 = 512 * 1024 + 1;

fn key(flags: &Flags, may_be_missing: bool) -> Result<String, Failure> {
    match &flags.words[..] {
        [] if may_be_missing => Ok(String::new()),
        [] => Err(Failure::new("Error! Missing KEY argument")),
        // Consul takes one slash off the front.
        [key, ..] => Ok(key.strip_prefix('/').unwrap_or(key).to_owned()),
    }
}

fn is_true(body: &[u8]) -> bool {
    body.trim_ascii() == b"true"
}

/// `kv get`.
pub(crate) fn get(client: &Client, flags: &Flags) -> Output {
    let (keys, recurse) = (flags.is_on("keys"), flags.is_on("recurse"));
    if flags.words.len() > 1 {
        return Err(Failure::new(format!("Too many arguments (expected 1, got {})", flags.words.len())));
    }
    let key = key(flags, keys || recurse)?;
    if key.is_empty() && !keys && !recurse {
        return Err(Failure::new("Error! Missing KEY argument"));
    }
    let stale = match (flags.is_on("stale"), keys || recurse) {
        (true, true) => "&stale",
        (true, false) => "?stale",
        (false, _) => "",
    };
    let doing = "Error querying Consul agent";
    let what = match (keys, recurse) {
        (true, _) => format!("?keys&separator={}", encoded(flags.get("separator").unwrap_or("/")).replace('/', "%2F")),
        (false, true) => "?recurse".to_owned(),
        (false, false) => String::new(),
    };
    let answer = client.ask("GET", &format!("/v1/kv/{}{what}{stale}", encoded(&key)), Vec::new(), doing)?;
    if answer.status == 404 {
        return if keys || recurse {
            Ok(String::new())
        } else {
            Err(Failure::new(format!("Error! No key exists at: {key}")))
        };
    }
    let found = answer.good(doing)?.json();
    let found = found.as_array().map(Vec::as_slice).unwrap_or(&[]);
    if keys {
        return Ok(found.iter().filter_map(Value::as_str).map(|key| format!("{key}\n")).collect());
    }
    let base64 = flags.is_on("base64");
    if flags.is_on("detailed") {
        let told: Vec<String> = found.iter().map(|pair| detailed(pair, base64)).collect();
        return Ok(told.join("\n"));
    }
    Ok(found
        .iter()
        .map(|pair| match recurse {
            true => format!("{}:{}\n", pair["Key"].as_str().unwrap_or(""), value(pair, base64)),
            false => value(pair, base64) + "\n",
        })
        .collect())
}

fn value(pair: &Value, base64: bool) -> String {
    let encoded = pair["Value"].as_str().unwrap_or("");
    if base64 {
        return encoded.to_owned();
    }
    String::from_utf8_lossy(&pilotfish_catalog::base64::decode(encoded).unwrap_or_default()).into_owned()
}

fn detailed(pair: &Value, base64: bool) -> String {
    let session = pair["Session"].as_str().filter(|session| !session.is_empty()).unwrap_or("-").to_owned();
    let mut text = String::new();
    for (name, value) in [
        ("CreateIndex", pair["CreateIndex"].to_string()),
        ("Flags", pair["Flags"].to_string()),
        ("Key", pair["Key"].as_str().unwrap_or("").to_owned()),
        ("LockIndex", pair["LockIndex"].to_string()),
        ("ModifyIndex", pair["ModifyIndex"].to_string()),
        ("Session", session),
        ("Value", value(pair, base64)),
    ] {
        // Where there is no value, there are no spaces before it.
        text += format!("{name:<17}{value}").trim_end_matches(|letter| value.is_empty() && letter == ' ');
        text.push('\n');
    }
    text
}

fn data(argument: Option<&String>, base64: bool) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("Error! Failed to read data: {error}"));
    let data = match argument.map(String::as_str) {
        None | Some("") => Vec::new(),
        Some("-") => {
            let mut data = Vec::new();
            std::io::stdin().take(VALUE_LIMIT).read_to_end(&mut data).map_err(failed)?;
            data
        }
        Some(text) => match text.strip_prefix('@') {
            Some(path) => std::fs::read(path).map_err(failed)?,
            None => text.as_bytes().to_vec(),
        },
    };
    if base64 {
        let text = String::from_utf8_lossy(&data).into_owned();
        return pilotfish_catalog::base64::decode(text.trim())
            .map_err(|position| Failure::new(format!("Error! Cannot base64 decode data: illegal byte {position}")));
    }
    Ok(data)
}

/// `kv put`.
pub(crate) fn put(client: &Client, flags: &Flags) -> Output {
    let key = flags.words.first().cloned().ok_or_else(|| Failure::new("Error! Missing KEY argument"))?;
    if flags.words.len() > 2 {
        return Err(Failure::new(format!("Error! Too many arguments (expected 1 or 2, got {})", flags.words.len())));
    }
    if key.starts_with('/') {
        let text = "Error! Failed writing data: Invalid key. Key must not begin with a '/'";
        return Err(Failure::new(format!("{text}: {key}")));
    }
    let data = data(flags.words.get(1), flags.is_on("base64"))?;
    let session = flags.get("session").unwrap_or("");
    let index = flags.get("modify-index").unwrap_or("0");
    let (cas, acquire, release) = (flags.is_on("cas"), flags.is_on("acquire"), flags.is_on("release"));
    if cas && index == "0" {
        return Err(Failure::new("Must specify -modify-index with -cas!"));
    }
    if (acquire || release) && session.is_empty() {
        return Err(Failure::new("Error! Missing -session (required with -acquire and -release)"));
    }
    let written = format!("Error! Did not write to {key}: CAS failed");
    let (option, success, failure) = match (cas, acquire, release) {
        (true, ..) => (format!("&cas={}", encoded(index)), "Data written to", written),
        (_, true, _) => {
            (format!("&acquire={}", encoded(session)), "Lock acquired on", "Error! Did not acquire lock".to_owned())
        }
        (_, _, true) => {
            (format!("&release={}", encoded(session)), "Lock released on", "Error! Did not release lock".to_owned())
        }
        (false, false, false) => (String::new(), "Data written to", written),
    };
    let given = flags.get("flags").unwrap_or("0");
    let path = format!("/v1/kv/{}?flags={}{option}", encoded(&key), encoded(given));
    let doing = "Error! Failed writing data";
    let answer = client.ask("PUT", &path, data, doing)?.good(doing)?;
    match is_true(&answer.body) {
        true => Ok(format!("Success! {success}: {key}\n")),
        false => Err(Failure::new(failure)),
    }
}

/// `kv delete`.
pub(crate) fn delete(client: &Client, flags: &Flags) -> Output {
    let recurse = flags.is_on("recurse");
    let key = key(flags, recurse)?;
    let index = flags.get("modify-index").unwrap_or("0");
    let option = match (recurse, flags.is_on("cas")) {
        (true, true) => return Err(Failure::new("Cannot specify both -cas and -recurse!")),
        (true, false) => "?recurse".to_owned(),
        (false, true) if index == "0" => return Err(Failure::new("Must specify -modify-index with -cas!")),
        (false, true) => format!("?cas={}", encoded(index)),
        (false, false) => String::new(),
    };
    let doing = if recurse { "Error! Did not delete prefix" } else { "Error! Error deleting key" };
    let path = format!("/v1/kv/{}{option}", encoded(&key));
    let answer = client.ask("DELETE", &path, Vec::new(), doing)?.good(doing)?;
    match (is_true(&answer.body), recurse) {
        (false, _) => Err(Failure::new(format!("Error! Did not delete key {key}: CAS failed"))),
        (true, true) => Ok(format!("Success! Deleted keys with prefix: {key}\n")),
        (true, false) => Ok(format!("Success! Deleted key: {key}\n")),
    }
}
