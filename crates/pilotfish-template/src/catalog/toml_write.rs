//! TOML from values, as BurntSushi's library writes it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::text::Text;
use crate::value::{Type, Value};

pub(super) fn add(functions: &mut Functions) {
    functions.insert("toTOML", Function::new([Type::Any], to_toml));
}

fn to_toml(call: &mut Call<'_>, arguments: &[Value]) -> Result<Value, FunctionError> {
    let [value] = arguments else { return Err(mismatch()) };
    let mut writer = Writer { out: Text::new(call.room(), Limit::WorkingBytes), path: Vec::new() };
    writer.entry(value).map_err(|reason| FunctionError::from(format!("toTOML: toml: {reason}")))?;
    let text = writer.out.finish()?;
    call.build(text.len())?;
    Ok(Value::from(text.trim()))
}

/// What decides how a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Plain,
    Table,
    Tables,
}

fn kind(value: &Value) -> Result<Kind, String> {
    Ok(match value {
        Value::Nil => Kind::Nothing,
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Byte(_) | Value::Float(_) | Value::String(_) => {
            Kind::Plain
        }
        Value::Map(_) | Value::Struct(_) => Kind::Table,
        Value::List(list) => {
            if list.items.iter().any(|item| matches!(item, Value::Nil)) {
                return Err(String::from("cannot encode array with nil element"));
            }
            let is_table = |item: &Value| matches!(item, Value::Map(_) | Value::Struct(_));
            if !list.items.is_empty() && list.items.iter().all(is_table) { Kind::Tables } else { Kind::Plain }
        }
        Value::Complex(..) | Value::Function(_) => return Err(format!("unsupported type: {}", value.type_name())),
    })
}

/// The members of a table, those that are no tables first.
fn members(value: &Value) -> Result<Vec<(&str, &Value)>, String> {
    let all: Vec<(&str, &Value)> = match value {
        Value::Map(map) => map.entries.iter().map(|(key, value)| (&**key, value)).collect(),
        Value::Struct(structure) => {
            let names = structure.kind.fields.iter().map(|name| &**name);
            names.zip(&structure.fields).collect()
        }
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Byte(_)
        | Value::Float(_)
        | Value::Complex(..)
        | Value::String(_)
        | Value::List(_)
        | Value::Function(_) => Vec::new(),
    };
    let (mut plain, mut tables) = (Vec::new(), Vec::new());
    for member in all {
        match kind(member.1)? {
            Kind::Nothing => {}
            Kind::Plain => plain.push(member),
            Kind::Table | Kind::Tables => tables.push(member),
        }
    }
    plain.append(&mut tables);
    Ok(plain)
}

struct Writer<'v> {
    out: Text,
    /// The keys that lead to the current value.
    path: Vec<&'v str>,
}

impl<'v> Writer<'v> {
    /// Writes a value under the current path.
    fn entry(&mut self, value: &'v Value) -> Result<(), String> {
        match kind(value)? {
            Kind::Nothing => Ok(()),
            Kind::Plain => {
                if let Some(key) = self.path.last() {
                    let key = shown_key(key);
                    self.indent();
                    self.out.push_str(&key);
                    self.out.push_str(" = ");
                }
                self.element(value, 0)?;
                if !self.path.is_empty() {
                    self.line();
                }
                Ok(())
            }
            Kind::Table => {
                if self.path.len() == 1 {
                    self.line();
                }
                if !self.path.is_empty() {
                    self.header("[", "]");
                }
                self.table(value)
            }
            Kind::Tables => {
                if self.path.is_empty() {
                    return Err(String::from("top-level values must be Go maps or structs"));
                }
                let Value::List(list) = value else { return Ok(()) };
                for item in &list.items {
                    self.line();
                    self.header("[[", "]]");
                    self.table(item)?;
                }
                Ok(())
            }
        }
    }

    fn table(&mut self, value: &'v Value) -> Result<(), String> {
        if self.path.len() >= MAX_VALUE_NESTING {
            self.out.exceed(Limit::ValueNesting);
            return Ok(());
        }
        for (key, value) in members(value)? {
            self.path.push(key);
            self.entry(value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn line(&mut self) {
        if self.out.len() > 0 {
            self.out.push('\n');
        }
    }

    fn indent(&mut self) {
        self.out.fill(' ', 2 * (self.path.len() - 1));
    }

    fn header(&mut self, open: &str, close: &str) {
        self.indent();
        self.out.push_str(open);
        for at in 0..self.path.len() {
            if at > 0 {
                self.out.push('.');
            }
            self.out.push_str(&shown_key(self.path[at]));
        }
        self.out.push_str(close);
        self.out.push('\n');
    }

    /// A value on the right side of an equals sign, or in a list.
    fn element(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth >= MAX_VALUE_NESTING {
            self.out.exceed(Limit::ValueNesting);
            return Ok(());
        }
        match value {
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.out.push_str(&format!("{number}")),
            Value::Uint(number) => self.out.push_str(&format!("{number}")),
            Value::Byte(number) => self.out.push_str(&format!("{number}")),
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::String(text) => self.out.push_str(&quoted(text)),
            Value::List(list) => {
                kind(value)?;
                self.out.push('[');
                for (at, item) in list.items.iter().enumerate() {
                    if at > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(_) | Value::Struct(_) => {
                self.out.push('{');
                for (at, (key, value)) in members(value)?.into_iter().enumerate() {
                    if at > 0 {
                        self.out.push_str(", ");
                    }
                    self.out.push_str(&shown_key(key));
                    self.out.push_str(" = ");
                    self.element(value, depth + 1)?;
                }
                self.out.push('}');
            }
            Value::Nil | Value::Complex(..) | Value::Function(_) => {
                return Err(format!("unsupported type: {}", value.type_name()));
            }
        }
        Ok(())
    }
}

/// A number with a point, so that it is no integer.
fn float(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_nan() {
        return String::from("nan");
    }
    if number.is_infinite() {
        return format!("{sign}inf");
    }
    let text = format!("{number}");
    if text.contains('.') { text } else { text + ".0" }
}

fn shown_key(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if is_bare { String::from(key) } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}
