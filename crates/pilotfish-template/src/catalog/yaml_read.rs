//! Values from YAML: the parser's events, with scalars read as go-yaml reads them.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::value::{Type, Value};

use super::yaml_scalar::{Scalar, resolve};

type Outcome<T> = Result<T, FunctionError>;
type Entries = BTreeMap<Arc<str>, Value>;

/// What one event costs, in steps; one step is worth about a tenth of a microsecond.
const STEPS_PER_EVENT: u64 = 8;

pub(super) fn add(functions: &mut Functions) {
    functions.insert(
        "parseYAML",
        Function::new([Type::String], |call, arguments| {
            let [Value::String(text)] = arguments else { return Err(mismatch()) };
            if text.is_empty() {
                return Ok(Value::map(Type::Any, BTreeMap::new()));
            }
            // The parser keeps a few tokens, and each letter is looked at several times.
            call.spend(text.len() as u64)?;
            Document { open: Vec::new(), anchors: BTreeMap::new(), value: None }.read(call, text)
        }),
    );
}

/// A list or map that has begun.
struct Open {
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Value>),
    Map {
        entries: Entries,
        /// The key that waits for its value.
        key: Option<Key>,
        /// What `<<` brings; the map's own entries come first.
        merged: Vec<Value>,
    },
}

enum Key {
    Named(Arc<str>),
    Merge,
}

/// The first document of a text, while it is read.
struct Document {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Value>,
    value: Option<Value>,
}

impl Document {
    fn read(mut self, call: &mut Call<'_>, text: &str) -> Outcome<Value> {
        for event in Parser::new_from_str(text) {
            let (event, _) = event.map_err(|error| {
                FunctionError::from(format!("yaml: line {}: {}", error.marker().line(), error.info()))
            })?;
            call.spend(STEPS_PER_EVENT)?;
            match event {
                Event::DocumentEnd | Event::StreamEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::Alias(anchor) => {
                    let value = self.anchors.get(&anchor).cloned();
                    let value = value.ok_or("yaml: an anchor contains itself")?;
                    self.node(call, value, 0, false)?;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let is_plain = style == ScalarStyle::Plain;
                    let is_merge = is_plain && text == "<<";
                    call.build(text.len() + 2 * size_of::<Value>())?;
                    let value = scalar(text, is_plain, tag.as_deref())?;
                    self.node(call, value, anchor, is_merge)?;
                }
                Event::SequenceStart(anchor, _) => self.begin(anchor, Content::List(Vec::new()))?,
                Event::MappingStart(anchor, _) => {
                    self.begin(anchor, Content::Map { entries: BTreeMap::new(), key: None, merged: Vec::new() })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(call)?,
            }
        }
        Ok(self.value.unwrap_or_default())
    }

    fn begin(&mut self, anchor: usize, content: Content) -> Outcome<()> {
        if self.open.len() >= MAX_VALUE_NESTING {
            return Err(Limit::ValueNesting.into());
        }
        self.open.push(Open { anchor, content });
        Ok(())
    }

    fn end(&mut self, call: &mut Call<'_>) -> Outcome<()> {
        let Some(Open { anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::list(Type::Any, items),
            Content::Map { mut entries, merged, .. } => {
                for value in &merged {
                    merge(call, &mut entries, value)?;
                }
                Value::map(Type::Any, entries)
            }
        };
        call.build(size_of::<Value>())?;
        self.node(call, value, anchor, false)
    }

    /// Puts a finished value where it belongs.
    fn node(&mut self, call: &mut Call<'_>, value: Value, anchor: usize, is_merge: bool) -> Outcome<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.value = Some(value),
            Some(Content::List(items)) => items.push(value),
            Some(Content::Map { entries, key, merged }) => match key.take() {
                None if is_merge => *key = Some(Key::Merge),
                None => *key = Some(Key::Named(key_text(&value)?)),
                Some(Key::Merge) => merged.push(value),
                Some(Key::Named(name)) => {
                    call.build(name.len() + size_of::<Value>())?;
                    entries.insert(name, value);
                }
            },
        }
        Ok(())
    }
}

/// Adds the entries of a map, or of several, that are not there yet.
fn merge(call: &mut Call<'_>, entries: &mut Entries, value: &Value) -> Outcome<()> {
    let maps = if let Value::List(list) = value { &list.items[..] } else { core::slice::from_ref(value) };
    for map in maps {
        let Value::Map(map) = map else {
            return Err("yaml: map merge requires map or sequence of maps as the value".into());
        };
        call.build(map.entries.len() * 2 * size_of::<Value>())?;
        for (key, value) in &map.entries {
            if !entries.contains_key(key) {
                entries.insert(Arc::clone(key), value.clone());
            }
        }
    }
    Ok(())
}

/// A key as text, which all keys are here.
fn key_text(value: &Value) -> Outcome<Arc<str>> {
    match value {
        Value::String(text) => Ok(Arc::clone(text)),
        Value::List(_) | Value::Map(_) => Err("yaml: a key must be a scalar".into()),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Byte(_)
        | Value::Float(_)
        | Value::Complex(..)
        | Value::Struct(_)
        | Value::Function(_) => {
            let mut text = crate::text::Text::new(usize::MAX, Limit::WorkingBytes);
            crate::format::print_value(&mut text, value);
            Ok(Arc::from(text.into_string()))
        }
    }
}

/// A scalar by its tag; without one, quotes make it a text.
fn scalar(text: Cow<'_, str>, is_plain: bool, tag: Option<&Tag>) -> Outcome<Value> {
    let kind = match tag {
        Some(tag) if tag.is_yaml_core_schema() => &*tag.suffix,
        Some(tag) if tag.suffix.is_empty() => "str",
        _ if is_plain => "",
        _ => "str",
    };
    let meaning = if kind == "str" || kind == "binary" { Scalar::Text } else { resolve(&text) };
    let is_as_tagged = match (kind, meaning) {
        ("bool", Scalar::Bool(_)) | ("null", Scalar::Null) | ("int", Scalar::Int(_) | Scalar::Uint(_)) => true,
        ("float", Scalar::Float(_) | Scalar::Int(_) | Scalar::Uint(_)) => true,
        ("bool" | "null" | "int" | "float", _) => false,
        _ => true,
    };
    if !is_as_tagged {
        return Err(format!("yaml: cannot decode `{text}` as a !!{kind}").into());
    }
    Ok(match meaning {
        Scalar::Null => Value::Nil,
        Scalar::Bool(truth) => Value::Bool(truth),
        Scalar::Int(number) if kind == "float" => Value::Float(number as f64),
        Scalar::Int(number) => Value::Int(number),
        Scalar::Uint(number) if kind == "float" => Value::Float(number as f64),
        Scalar::Uint(number) => Value::Uint(number),
        Scalar::Float(number) => Value::Float(number),
        Scalar::Timestamp | Scalar::Text => Value::from(String::from(text)),
    })
}
