//! Values of several words: lists and maps of texts, commands, restarts.

use pilotfish_supervisor::Restarts;

use crate::command;
use crate::json5::{Data, Value};
use crate::reader::scalar::{UNLIMITED, scalar_text};
use crate::reader::{Field, Object, Place, Reader};

impl Reader {
    pub(crate) fn texts(&mut self, object: &Object<'_>, key: &'static str) -> Vec<String> {
        object.field(key).map(|field| self.field_texts(&field)).unwrap_or_default()
    }

    /// A text or an array of texts.
    pub(crate) fn field_texts(&mut self, field: &Field<'_>) -> Vec<String> {
        match &field.value.data {
            Data::Text(text) => vec![text.clone()],
            Data::Array(items) => self.elements(field, items),
            Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::Object(_) => {
                self.mismatch(field, "text or an array of texts");
                Vec::new()
            }
        }
    }

    fn elements(&mut self, field: &Field<'_>, items: &[Value]) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match scalar_text(&item.data) {
                Some(text) => texts.push(text),
                None => {
                    let place = Place { at: item.at, path: format!("{}[{index}]", field.place.path) };
                    self.mismatch(&Field { value: item, place }, "text");
                }
            }
        }
        texts
    }

    /// Names and texts, sorted by name.
    pub(crate) fn text_map(&mut self, object: &Object<'_>, key: &'static str) -> Vec<(String, String)> {
        let Some(field) = object.field(key) else { return Vec::new() };
        let Data::Object(members) = &field.value.data else {
            self.mismatch(&field, "an object of texts");
            return Vec::new();
        };
        let mut map = Vec::new();
        for member in members {
            match scalar_text(&member.value.data) {
                Some(text) => map.push((member.key.clone(), text)),
                None => {
                    let place = Place { at: member.value.at, path: format!("{}.{}", field.place.path, member.key) };
                    self.mismatch(&Field { value: &member.value, place }, "text");
                }
            }
        }
        map.sort_unstable();
        map
    }

    /// A command; `complaint` introduces what is wrong with it, in ContainerPilot's words.
    pub(crate) fn command(&mut self, object: &Object<'_>, key: &'static str, complaint: &str) -> Option<Vec<String>> {
        let field = object.field(key)?;
        let problems = self.problems.len();
        let argv = match &field.value.data {
            Data::Text(text) => command::split(text),
            Data::Array(items) if items.iter().any(|item| matches!(item.data, Data::Boolean(_))) => {
                Err("expected an array of texts, found a boolean in it".into())
            }
            Data::Array(items) => match self.elements(&field, items) {
                _ if self.problems.len() > problems => return None,
                argv if argv.first().is_none_or(String::is_empty) => Err(command::EMPTY.into()),
                argv => Ok(argv),
            },
            data @ (Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::Object(_)) => {
                Err(format!("expected text or an array of texts, found {}", data.kind()))
            }
        };
        let argv = argv.and_then(|argv| match argv.iter().any(|word| word.contains('\0')) {
            true => Err("a NUL character cannot be part of a command".into()),
            false => Ok(argv),
        });
        argv.map_err(|message| self.problem(&field.place, format!("{complaint}: {message}"))).ok()
    }

    /// `restarts`; the error text is the caller's.
    pub(crate) fn restarts(
        &mut self,
        object: &Object<'_>,
        key: &'static str,
        complaint: impl Fn(&str) -> String,
    ) -> Option<Restarts> {
        let field = object.field(key)?;
        let limited = |value: i64| u32::try_from(value).ok().map(Restarts::Limited);
        let (restarts, given) = match &field.value.data {
            Data::Text(text) if text == UNLIMITED => (Some(Restarts::Unlimited), text.clone()),
            Data::Text(text) if text == "never" => (Some(Restarts::Limited(0)), text.clone()),
            Data::Text(text) => (text.parse().ok().and_then(limited), text.clone()),
            Data::Integer(value) => (limited(*value), value.to_string()),
            Data::Float(value) if *value >= 0.0 && *value < f64::from(u32::MAX) => {
                self.warn(&field.place, format!("{value} is taken as {}", value.trunc()));
                (Some(Restarts::Limited(*value as u32)), value.to_string())
            }
            data @ (Data::Null | Data::Boolean(_) | Data::Float(_) | Data::Array(_) | Data::Object(_)) => {
                (None, data.kind().to_string())
            }
        };
        if restarts.is_none() {
            self.problem(&field.place, complaint(&given));
        }
        restarts
    }
}
