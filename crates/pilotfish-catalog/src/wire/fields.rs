//! Objects with known fields, read as Go's `encoding/json` fills a struct: names in any case, errors in its words.

use std::collections::BTreeMap;

use super::duration::{self, Nanos};
use super::json::Value;

/// The fields of an object. Each is taken out by whoever wants it; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Fields {
    fields: Vec<(String, Value)>,
    /// How Go calls the struct in errors; empty for one without a name.
    of: &'static str,
    /// What it puts before the name of a field.
    path: &'static str,
    /// What it calls every field, where it gets lost in a struct with methods of its own.
    all: Option<&'static str>,
}

/// A result with an error in Go's words.
pub(crate) type Read<T> = Result<T, String>;

impl Fields {
    /// The fields of a value; `null` has none. `of` names the struct in errors, `what` the type of the whole.
    pub(crate) fn new(value: Value, of: &'static str, what: &str) -> Read<Fields> {
        match value {
            Value::Object(fields) => Ok(Fields { fields, of, path: "", all: None }),
            Value::Null => Ok(Fields { fields: Vec::new(), of, path: "", all: None }),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::List(_)) => {
                Err(format!("json: cannot unmarshal {} into Go value of type {what}", other.kind()))
            }
        }
    }

    /// Takes a field out, the last of several; `null` is none.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let mut found = None;
        self.fields.retain_mut(|(field, value)| {
            let hit = field.eq_ignore_ascii_case(name);
            if hit {
                found = Some(std::mem::replace(value, Value::Null));
            }
            !hit
        });
        found.filter(|value| *value != Value::Null)
    }

    /// The same, with errors that put `path` before the name of a field.
    pub(crate) fn under(self, path: &'static str) -> Fields {
        Fields { path, ..self }
    }

    /// The same, with errors that call every field `name`.
    pub(crate) fn all_called(self, name: &'static str) -> Fields {
        Fields { all: Some(name), ..self }
    }

    /// Whether a field is there, if only as `null`.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.fields.iter().any(|(field, _)| field.eq_ignore_ascii_case(name))
    }

    fn refusal(&self, what: &str, name: &str, kind: &str) -> String {
        let name = self.all.map_or_else(|| format!("{}{name}", self.path), str::to_owned);
        format!("json: cannot unmarshal {what} into Go struct field {}.{name} of type {kind}", self.of)
    }

    fn mismatch(&self, value: &Value, name: &str, kind: &str) -> String {
        self.refusal(value.kind(), name, kind)
    }

    /// A text; empty if there is none.
    pub(crate) fn text(&mut self, name: &str) -> Read<String> {
        self.text_of(name, "string")
    }

    /// The same, where Go calls it something else.
    pub(crate) fn text_of(&mut self, name: &str, kind: &str) -> Read<String> {
        match self.take(name) {
            None => Ok(String::new()),
            Some(Value::Text(text)) => Ok(text),
            Some(other) => Err(self.mismatch(&other, name, kind)),
        }
    }

    /// A truth; false if there is none.
    pub(crate) fn truth(&mut self, name: &str) -> Read<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(truth)) => Ok(truth),
            Some(other) => Err(self.mismatch(&other, name, "bool")),
        }
    }

    /// A whole number; 0 if there is none.
    pub(crate) fn integer(&mut self, name: &str) -> Read<i64> {
        match self.take(name) {
            None => Ok(0),
            Some(Value::Number(number)) => {
                number.parse().map_err(|_| self.refusal(&format!("number {number}"), name, "int"))
            }
            Some(other) => Err(self.mismatch(&other, name, "int")),
        }
    }

    /// A whole number without sign; 0 if there is none.
    pub(crate) fn unsigned(&mut self, name: &str) -> Read<u64> {
        match self.take(name) {
            None => Ok(0),
            Some(Value::Number(number)) => {
                number.parse().map_err(|_| self.refusal(&format!("number {number}"), name, "uint64"))
            }
            Some(other) => Err(self.mismatch(&other, name, "uint64")),
        }
    }

    /// A list of texts, if there is one.
    pub(crate) fn texts(&mut self, name: &str) -> Read<Option<Vec<String>>> {
        self.texts_of(name, "[]string")
    }

    /// The same, where Go calls the list something else.
    pub(crate) fn texts_of(&mut self, name: &str, kind: &str) -> Read<Option<Vec<String>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::List(items)) => {
                let read = |item| match item {
                    Value::Text(text) => Ok(text),
                    Value::Null => Ok(String::new()),
                    other @ (Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_)) => {
                        Err(self.mismatch(&other, name, "string"))
                    }
                };
                items.into_iter().map(read).collect::<Read<_>>().map(Some)
            }
            Some(other) => Err(self.mismatch(&other, name, kind)),
        }
    }

    /// Texts by name, if there are any.
    pub(crate) fn map(&mut self, name: &str) -> Read<Option<BTreeMap<String, String>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(items)) => {
                let read = |(key, item)| match item {
                    Value::Text(text) => Ok((key, text)),
                    Value::Null => Ok((key, String::new())),
                    other @ (Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_)) => {
                        Err(self.mismatch(&other, name, "string"))
                    }
                };
                let mut texts = BTreeMap::new();
                for item in items {
                    let (key, text) = read(item)?;
                    texts.insert(key, text);
                }
                Ok(Some(texts))
            }
            Some(other) => Err(self.mismatch(&other, name, "map[string]string")),
        }
    }

    /// Lists of texts by name.
    pub(crate) fn headers(&mut self, name: &str) -> Read<BTreeMap<String, Vec<String>>> {
        match self.take(name) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(items)) => {
                let mut found = BTreeMap::new();
                for (key, item) in items {
                    let mut one = Fields { fields: vec![(name.to_owned(), item)], ..*self };
                    found.insert(key, one.texts(name)?.unwrap_or_default());
                }
                Ok(found)
            }
            Some(other) => Err(self.mismatch(&other, name, "map[string][]string")),
        }
    }

    /// The fields of an object, if there is one; `of` names its struct, `kind` its type in errors.
    pub(crate) fn object(&mut self, name: &str, of: &'static str, kind: &str) -> Read<Option<Fields>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Fields { fields, of, path: "", all: None })),
            Some(other) => Err(self.mismatch(&other, name, kind)),
        }
    }

    /// The items of a list.
    pub(crate) fn list(&mut self, name: &str, kind: &str) -> Read<Vec<Value>> {
        self.list_if_any(name, kind).map(Option::unwrap_or_default)
    }

    /// The items of a list, if there is one.
    pub(crate) fn list_if_any(&mut self, name: &str, kind: &str) -> Read<Option<Vec<Value>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::List(items)) => Ok(Some(items)),
            Some(other) => Err(self.mismatch(&other, name, kind)),
        }
    }

    /// Objects by name.
    pub(crate) fn objects(&mut self, name: &str, kind: &str) -> Read<Option<Vec<(String, Value)>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(items)) => Ok(Some(items)),
            Some(other) => Err(self.mismatch(&other, name, kind)),
        }
    }

    /// A duration: text as Go writes it, or a number of nanoseconds; 0 if there is none.
    pub(crate) fn duration(&mut self, name: &str) -> Read<Nanos> {
        match self.take(name) {
            None => Ok(0),
            Some(Value::Text(text)) if text.is_empty() => Ok(0),
            Some(Value::Text(text)) => duration::parse(&text),
            // Go has read it as a float.
            Some(Value::Number(number)) => Ok(number.parse::<f64>().unwrap_or(0.0) as Nanos),
            // Anything else is passed over.
            Some(Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_)) => Ok(0),
        }
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Read<()> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("json: unknown field {}", crate::state::quote(name))),
        }
    }
}
