//! `scratch`: values that a template keeps for itself while it is rendered.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::quote::quoted;
use crate::value::{Map, StructType, Type, Value};

type Outcome = Result<Value, FunctionError>;

pub(super) fn add(functions: &mut Functions) {
    let mut kind = StructType { name: Arc::from("*template.Scratch"), fields: Vec::new(), methods: BTreeMap::new() };
    let methods = [
        ("Key", Function::new([Type::String], has_key)),
        ("Get", Function::new([Type::String], get)),
        ("Set", Function::new([Type::String, Type::Any], |call, arguments| set(call, arguments, true))),
        ("SetX", Function::new([Type::String, Type::Any], |call, arguments| set(call, arguments, false))),
        (
            "MapSet",
            Function::new([Type::String, Type::String, Type::Any], |call, arguments| map_set(call, arguments, true)),
        ),
        (
            "MapSetX",
            Function::new([Type::String, Type::String, Type::Any], |call, arguments| map_set(call, arguments, false)),
        ),
        ("MapValues", Function::new([Type::String], map_values)),
    ];
    kind.methods.extend(methods.map(|(name, method)| (Arc::from(name), method)));
    let scratch = Value::structure(&Arc::new(kind), Vec::new());
    functions.insert("scratch", Function::new([], move |_, _| Ok(scratch.clone())));
}

fn has_key(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [_, Value::String(key)] = arguments else { return Err(mismatch()) };
    Ok(Value::Bool(call.scratch().contains_key(&**key)))
}

fn get(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [_, Value::String(key)] = arguments else { return Err(mismatch()) };
    Ok(call.scratch().get(&**key).cloned().unwrap_or_default())
}

/// `Set KEY VALUE`, and `SetX`, which keeps a value that is there.
fn set(call: &mut Call<'_>, arguments: &[Value], replaces: bool) -> Outcome {
    let [_, Value::String(key), value] = arguments else { return Err(mismatch()) };
    call.build(key.len() + size_of::<Value>())?;
    if replaces || !call.scratch().contains_key(&**key) {
        call.scratch().insert(key.to_string(), value.clone());
    }
    Ok(Value::from(""))
}

/// `MapSet KEY MAP_KEY VALUE`, and `MapSetX`, which keeps a value that is there.
fn map_set(call: &mut Call<'_>, arguments: &[Value], replaces: bool) -> Outcome {
    let [_, Value::String(key), Value::String(map_key), value] = arguments else { return Err(mismatch()) };
    call.build(key.len() + map_key.len() + size_of::<Value>())?;
    let empty = || Value::map(Type::Any, BTreeMap::new());
    let slot = call.scratch().entry(key.to_string()).or_insert_with(empty);
    let Value::Map(map) = slot else { return Err(format!("{} is not a map", quoted(key)).into()) };
    if map.element != Type::Any {
        return Err(format!("{} is not a map", quoted(key)).into());
    }
    if !replaces && map.entries.contains_key(map_key) {
        return Ok(Value::from(""));
    }
    let (shared, entries) = (Arc::get_mut(map).is_none(), map.entries.len());
    if shared {
        // Somebody else holds the map, and keeps it as it is.
        call.build(entries * size_of::<Value>())?;
    }
    let Some(Value::Map(map)) = call.scratch().get_mut(&**key) else { return Err(mismatch()) };
    if shared {
        *map = Arc::new(Map { element: Type::Any, entries: map.entries.clone() });
    }
    if let Some(map) = Arc::get_mut(map) {
        map.entries.insert(Arc::clone(map_key), value.clone());
    }
    Ok(Value::from(""))
}

/// `MapValues KEY`: the values in the order of their keys; nil if there is no map.
fn map_values(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [_, Value::String(key)] = arguments else { return Err(mismatch()) };
    let Some(Value::Map(map)) = call.scratch().get(&**key).cloned() else {
        return Ok(Value::list(Type::Any, Vec::new()));
    };
    if map.element != Type::Any {
        return Ok(Value::list(Type::Any, Vec::new()));
    }
    call.build(map.entries.len() * size_of::<Value>())?;
    Ok(Value::list(Type::Any, map.entries.values().cloned().collect()))
}
