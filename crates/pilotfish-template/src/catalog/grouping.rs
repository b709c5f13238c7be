//! Lists sorted into maps: by key, by tag, by metadata.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::value::{Struct, Type, Value, ordered};

use super::answers::{HEALTH_SERVICE, KEY_PAIR, SNIPPET, pair_with_key, type_named};
use super::numbers::integer_error;

type Outcome = Result<Value, FunctionError>;

pub(super) fn add(functions: &mut Functions) {
    functions
        .insert("byKey", Function::new([Type::list(type_named(KEY_PAIR))], by_key))
        .insert("byTag", Function::new([Type::Any], by_tag))
        .insert("byMeta", Function::new([Type::String, Type::list(type_named(HEALTH_SERVICE))], by_meta));
}

pub(super) fn text_field<'s>(structure: &'s Struct, name: &str) -> &'s str {
    match structure.field(name) {
        Some(Value::String(text)) => text,
        _ => "",
    }
}

/// Puts what was grouped into a map of lists.
fn lists(call: &mut Call<'_>, groups: BTreeMap<Arc<str>, Vec<Value>>, element: Type) -> Outcome {
    let items: usize = groups.values().map(Vec::len).sum();
    call.build((groups.len() + items) * size_of::<Value>())?;
    let lists = groups.into_iter().map(|(name, items)| (name, Value::list(element.clone(), items)));
    Ok(Value::map(Type::list(element.clone()), ordered(lists)))
}

/// `byKey PAIRS`: by the first part of their keys, then by the rest; pairs without a rest are left out.
fn by_key(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::List(pairs)] = arguments else { return Err(mismatch()) };
    let mut groups: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Value>> = BTreeMap::new();
    for pair in &pairs.items {
        let Value::Struct(pair) = pair else { return Err(mismatch()) };
        let Some((top, key)) = text_field(pair, "Key").split_once('/') else { continue };
        if key.is_empty() {
            continue;
        }
        call.build((pair.fields.len() + 2) * size_of::<Value>() + top.len() + 2 * key.len())?;
        groups.entry(Arc::from(top)).or_default().insert(Arc::from(key), pair_with_key(pair, key));
    }
    let pair = type_named(KEY_PAIR);
    let maps = groups.into_iter().map(|(top, pairs)| (top, Value::map(pair.clone(), pairs)));
    Ok(Value::map(Type::map(pair.clone()), ordered(maps)))
}

/// `byTag SERVICES`: a service is in the list of each of its tags.
fn by_tag(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let services = match arguments {
        [Value::Nil] => return lists(call, BTreeMap::new(), Type::Any),
        [Value::List(services)]
            if [HEALTH_SERVICE, SNIPPET].iter().any(|name| services.element == type_named(name)) =>
        {
            services
        }
        [other] => return Err(format!("byTag: wrong argument type {}", other.type_name()).into()),
        _ => return Err(mismatch()),
    };
    let mut groups: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for service in &services.items {
        let Value::Struct(fields) = service else { return Err(mismatch()) };
        let Some(Value::List(tags)) = fields.field("Tags") else { continue };
        call.build(tags.items.len() * size_of::<Value>())?;
        for tag in &tags.items {
            let Value::String(tag) = tag else { return Err(mismatch()) };
            groups.entry(Arc::clone(tag)).or_default().push(service.clone());
        }
    }
    lists(call, groups, Type::Any)
}

/// `byMeta KEYS SERVICES`: by the values of their metadata under the keys, which have commas between them. `KEY|int` is a
/// number, padded so that it sorts as one.
fn by_meta(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(keys), Value::List(services)] = arguments else { return Err(mismatch()) };
    let mut groups: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for service in &services.items {
        let Value::Struct(fields) = service else { return Err(mismatch()) };
        call.build(keys.len() + size_of::<Value>())?;
        let mut parts = Vec::new();
        for key in keys.split(',') {
            let (name, is_number) = match key.strip_suffix("|int") {
                Some(name) => (name, true),
                None => (key, false),
            };
            let value = match fields.field("ServiceMeta") {
                Some(Value::Map(meta)) => meta.entries.get(name),
                _ => None,
            };
            let value = match value {
                Some(Value::String(value)) if !value.is_empty() => &**value,
                _ if is_number => "0",
                _ => &format!("_no_{name}_"),
            };
            let part = if is_number {
                let number: i64 = value.parse().map_err(|error| no_number(value, &error))?;
                format!("{number:05}")
            } else {
                normalized(value)
            };
            call.build(part.len())?;
            parts.push(part);
        }
        groups.entry(Arc::from(parts.join("_"))).or_default().push(service.clone());
    }
    lists(call, groups, type_named(HEALTH_SERVICE))
}

fn no_number(value: &str, error: &core::num::ParseIntError) -> FunctionError {
    match integer_error("strconv.Atoi", value, error) {
        FunctionError::Failed(reason) => format!("cannot parse {value} as number : {reason}").into(),
        FunctionError::Exceeded(limit) => limit.into(),
    }
}

/// A text in which whatever is no letter, digit or dash has become an underscore.
fn normalized(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' }).collect()
}
