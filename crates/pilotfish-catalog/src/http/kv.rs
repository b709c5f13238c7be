//! `/v1/kv`.

use hyper::Method;

use super::options::Options;
use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::state::{Answer, Command, Entry, Interest, Key, KvWrite, Refusal, State};
use crate::wire::output;

/// Answers.
pub(crate) async fn answer(call: &Call) -> Result<Reply> {
    let options = Options::parse(&call.query)?;
    options.check_datacenter(&call.serving.catalog)?;
    match call.method {
        Method::PUT => put(call).await,
        Method::DELETE => delete(call).await,
        _ => get(call, &options).await,
    }
}

async fn get(call: &Call, options: &Options) -> Result<Reply> {
    let (keys, recurse) = (call.query.has("keys"), call.query.has("recurse"));
    let key = &call.rest;
    if !keys && !recurse && key.is_empty() {
        return Err(Refusal::bad("Missing key name"));
    }
    let many = keys || recurse;
    let interest = if many { Interest::Prefix(key.clone()) } else { Interest::Key(Key::Kv(key.clone())) };
    let index = |state: &State| if many { state.kv_list_index(key) } else { state.kv_index(key) };
    let catalog = &call.serving.catalog;
    if options.index > 0 {
        catalog.until(options.index, options.jittered_wait(), vec![interest], index).await;
    }
    let state = catalog.state();
    let meta = Meta::Full(index(&state), None);
    let reply = if keys {
        list_keys(call, &state)
    } else if recurse {
        let pairs: Vec<_> = state.kv_list(key).map(|(key, entry)| output::kv(key, entry, true)).collect();
        (!pairs.is_empty()).then(|| Reply::json(&pairs, call.pretty))
    } else {
        state.kv(key).map(|entry| one(call, key, entry))
    };
    Ok(reply.unwrap_or_else(|| Reply::empty(404)).with(meta))
}

fn one(call: &Call, key: &[u8], entry: &Entry) -> Reply {
    if !call.query.has("raw") {
        return Reply::json(&[output::kv(key, entry, true)], call.pretty);
    }
    // What anybody stored is nothing that a browser should run.
    let reply = Reply { kind: Some("text/plain"), body: entry.value.clone().into(), ..Reply::empty(200) };
    reply.header("content-security-policy", "sandbox").header("x-content-type-options", "nosniff")
}

fn list_keys(call: &Call, state: &State) -> Option<Reply> {
    let separator = call.query.get("separator").as_bytes();
    let prefix = &call.rest;
    let mut keys: Vec<String> = Vec::new();
    let mut last: Vec<u8> = Vec::new();
    for (key, _) in state.kv_list(prefix) {
        let after = &key[prefix.len()..];
        let cut = match separator {
            [] => None,
            separator => after.windows(separator.len()).position(|window| window == separator),
        };
        let shown = cut.map_or(&key[..], |position| &key[..prefix.len() + position + separator.len()]);
        if keys.is_empty() || shown != last {
            keys.push(String::from_utf8_lossy(shown).into_owned());
            last = shown.to_vec();
        }
    }
    // Of all the keys there are none; of some, none is found.
    (!keys.is_empty() || prefix.is_empty()).then(|| Reply::json(&keys, call.pretty))
}

/// Refuses two of the flags that exclude each other.
fn conflicting(call: &Call, names: &[&str]) -> Result<()> {
    let given: Vec<String> =
        names.iter().filter_map(|name| call.query.find(name).map(|value| format!("{name}={value}"))).collect();
    if given.len() > 1 {
        return Err(Refusal::bad(format!("Conflicting flags: {}", given.join("&"))));
    }
    Ok(())
}

fn number(text: &str) -> Result<u64> {
    let reason = match text.parse::<u64>() {
        Ok(number) => return Ok(number),
        Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => "value out of range",
        Err(_) => "invalid syntax",
    };
    Err(Refusal::internal(format!("strconv.ParseUint: parsing \"{text}\": {reason}")))
}

async fn put(call: &Call) -> Result<Reply> {
    if call.rest.is_empty() {
        return Err(Refusal::bad("Missing key name"));
    }
    conflicting(call, &["acquire", "cas", "release"])?;
    let flags = call.query.find("flags").map_or(Ok(0), number)?;
    let write = if let Some(index) = call.query.find("cas") {
        KvWrite::Cas(number(index)?)
    } else if let Some(session) = call.query.find("acquire") {
        KvWrite::Lock(session.to_owned())
    } else if let Some(session) = call.query.find("release") {
        KvWrite::Unlock(session.to_owned())
    } else {
        KvWrite::Set
    };
    let entry = Entry { value: call.body.to_vec(), flags, ..Entry::default() };
    write_key(call, entry, write).await
}

async fn delete(call: &Call) -> Result<Reply> {
    conflicting(call, &["cas", "recurse"])?;
    let recurse = call.query.has("recurse");
    if call.rest.is_empty() && !recurse {
        return Err(Refusal::bad("Missing key name"));
    }
    let write = match call.query.find("cas") {
        Some(index) => KvWrite::DeleteCas(number(index)?),
        None if recurse => KvWrite::DeleteTree,
        None => KvWrite::Delete,
    };
    write_key(call, Entry::default(), write).await
}

async fn write_key(call: &Call, entry: Entry, write: KvWrite) -> Result<Reply> {
    let command = Command::Kv { key: call.rest.clone(), entry, write };
    let answer = call.serving.catalog.submit(command).await?;
    Ok(Reply::json(&(answer == Answer::Flag(true)), call.pretty))
}
