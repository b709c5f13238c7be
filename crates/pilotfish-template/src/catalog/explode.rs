//! Flat keys made into maps of maps, and maps merged.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::printf::print_formatted;
use crate::quote::quoted;
use crate::text::Text;
use crate::value::{Map, Type, Value, ordered};

use super::answers::{KEY_PAIR, type_named};
use super::grouping::text_field;

type Outcome = Result<Value, FunctionError>;
type Entries = BTreeMap<Arc<str>, Value>;

pub(super) fn add(functions: &mut Functions) {
    let map = || Type::map(Type::Any);
    functions
        .insert("explode", Function::new([Type::list(type_named(KEY_PAIR))], explode))
        .insert("explodeMap", Function::new([map()], explode_map))
        .insert("mergeMap", Function::new([map(), map()], |call, arguments| merge_map(call, arguments, false)))
        .insert(
            "mergeMapWithOverride",
            Function::new([map(), map()], |call, arguments| merge_map(call, arguments, true)),
        );
}

/// `explode PAIRS`: `a/b = 1` becomes `{a: {b: 1}}`.
fn explode(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::List(pairs)] = arguments else { return Err(mismatch()) };
    let mut tree = Branch::default();
    for pair in &pairs.items {
        let Value::Struct(pair) = pair else { return Err(mismatch()) };
        let value = pair.field("Value").cloned().unwrap_or_default();
        tree.plant(call, "explode", text_field(pair, "Key"), value)?;
    }
    Ok(tree.into_value())
}

/// `explodeMap MAP`: the same for the keys of a map.
fn explode_map(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::Map(map)] = arguments else { return Err(mismatch()) };
    let mut tree = Branch::default();
    for (key, value) in &map.entries {
        tree.plant(call, "explodeMap", key, value.clone())?;
    }
    Ok(tree.into_value())
}

/// A map while it is built.
#[derive(Default)]
struct Branch(BTreeMap<Arc<str>, Growth>);

enum Growth {
    Branch(Branch),
    Leaf(Value),
}

impl Branch {
    /// Puts a value under the parts of its key; a key that ends with a slash makes a map and no value.
    fn plant(&mut self, call: &mut Call<'_>, function: &str, key: &str, value: Value) -> Result<(), FunctionError> {
        call.build(key.len() + size_of::<Value>())?;
        let mut branch = self;
        let mut rest = key;
        let mut path = key;
        let mut depth = 0;
        while let Some((top, below)) = rest.split_once('/') {
            depth += 1;
            if depth > MAX_VALUE_NESTING {
                return Err(Limit::ValueNesting.into());
            }
            call.build(2 * size_of::<Value>())?;
            let slot = branch.0.entry(Arc::from(top)).or_insert_with(|| Growth::Branch(Branch::default()));
            if let Growth::Leaf(Value::Map(map)) = slot
                && map.element == Type::Any
            {
                call.build(map.entries.len() * 2 * size_of::<Value>())?;
                let leaf = |(key, value): (&Arc<str>, &Value)| (Arc::clone(key), Growth::Leaf(value.clone()));
                *slot = Growth::Branch(Branch(ordered(map.entries.iter().map(leaf))));
            }
            branch = match slot {
                Growth::Branch(next) => next,
                Growth::Leaf(value) => return Err(not_a_map(function, path, top, value)),
            };
            path = rest;
            rest = below;
        }
        if !rest.is_empty() {
            branch.0.insert(Arc::from(rest), Growth::Leaf(value));
        }
        Ok(())
    }

    fn into_value(self) -> Value {
        let entries = self.0.into_iter().map(|(key, growth)| match growth {
            Growth::Branch(branch) => (key, branch.into_value()),
            Growth::Leaf(value) => (key, value),
        });
        Value::map(Type::Any, ordered(entries))
    }
}

fn not_a_map(function: &str, path: &str, top: &str, value: &Value) -> FunctionError {
    let mut shown = Text::new(4_096, Limit::OutputBytes);
    print_formatted(&mut shown, "%q", core::slice::from_ref(value));
    let shown: String = shown.into_string();
    format!("{function}: not a map: {}: {} already has value {shown}", quoted(path), quoted(top)).into()
}

/// `mergeMap BASE MAP`: the base with what only the map has; `overrides` lets the map win where both have something.
fn merge_map(call: &mut Call<'_>, arguments: &[Value], overrides: bool) -> Outcome {
    let [Value::Map(base), Value::Map(map)] = arguments else { return Err(mismatch()) };
    merged(call, base, map, overrides, 0)
}

fn merged(call: &mut Call<'_>, base: &Map, map: &Map, overrides: bool, depth: usize) -> Outcome {
    if depth > MAX_VALUE_NESTING {
        return Err(Limit::ValueNesting.into());
    }
    call.build((base.entries.len() + map.entries.len()) * 2 * size_of::<Value>())?;
    let mut entries: Entries = base.entries.clone();
    for (key, value) in &map.entries {
        let known = entries.get(key);
        let merged = match (known, value) {
            (Some(Value::Map(one)), Value::Map(two)) if one.element == Type::Any && two.element == Type::Any => {
                merged(call, one, two, overrides, depth + 1)?
            }
            (Some(known), _) if !overrides && known.is_true() => continue,
            _ => value.clone(),
        };
        entries.insert(Arc::clone(key), merged);
    }
    Ok(Value::map(Type::Any, entries))
}
