//! Values of one word: texts, words of a set, numbers, truths, times.

use std::time::Duration;

use crate::duration;
use crate::json5::Data;
use crate::keys::Shape;
use crate::reader::{Object, Reader};
use crate::suggest::nearest;

/// How long something may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    AtMost(Duration),
    Unlimited,
}

impl Limit {
    pub(crate) fn duration(self) -> Option<Duration> {
        match self {
            Limit::AtMost(duration) => Some(duration),
            Limit::Unlimited => None,
        }
    }
}

/// The word for no limit.
pub(crate) const UNLIMITED: &str = "unlimited";

impl Reader {
    pub(crate) fn text(&mut self, object: &Object<'_>, key: &'static str) -> Option<String> {
        let field = object.field(key)?;
        let text = scalar_text(&field.value.data);
        if text.is_none() {
            self.mismatch(&field, "text");
        }
        text
    }

    /// One of the words of the table, in the table's spelling.
    pub(crate) fn word(&mut self, object: &Object<'_>, key: &'static str) -> Option<&'static str> {
        let Shape::Word(words) = object.shape(key) else { unreachable!("{key} takes no words in the table") };
        let text = self.text(object, key)?;
        if text.is_empty() {
            return None;
        }
        let word = words.iter().copied().find(|word| word.eq_ignore_ascii_case(&text));
        if word.is_none() {
            let mut message = format!("`{text}` is not one of {}", words.join(", "));
            if let Some(known) = nearest(&text, words.iter().copied()) {
                message.push_str(&format!("; did you mean `{known}`?"));
            }
            self.problem(&object.place_of(key), message);
        }
        word
    }

    pub(crate) fn integer(&mut self, object: &Object<'_>, key: &'static str) -> Option<i64> {
        let field = object.field(key)?;
        let Shape::Integer { min, max } = object.shape(key) else { unreachable!("{key} is no number in the table") };
        let value = match &field.value.data {
            Data::Integer(value) => Some(*value),
            Data::Text(text) => text.trim().parse().ok(),
            Data::Null | Data::Boolean(_) | Data::Float(_) | Data::Array(_) | Data::Object(_) => None,
        };
        match value {
            Some(value) if (min..=max).contains(&value) => Some(value),
            Some(value) => {
                self.problem(&field.place, format!("{value} is not within {min} and {max}"));
                None
            }
            None => {
                self.mismatch(&field, &format!("a whole number within {min} and {max}"));
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, object: &Object<'_>, key: &'static str) -> Option<bool> {
        let field = object.field(key)?;
        match &field.value.data {
            Data::Boolean(value) => Some(*value),
            Data::Text(text) if matches!(text.as_str(), "true" | "1") => Some(true),
            Data::Text(text) if matches!(text.as_str(), "false" | "0") => Some(false),
            Data::Text(text) => {
                self.problem(
                    &field.place,
                    format!("cannot parse '{}' as bool: `{text}` is neither true nor false", field.place.path),
                );
                None
            }
            Data::Null | Data::Integer(_) | Data::Float(_) | Data::Array(_) | Data::Object(_) => {
                self.mismatch(&field, "true or false");
                None
            }
        }
    }

    /// A time in nanoseconds, which may be negative.
    pub(crate) fn signed_duration(&mut self, object: &Object<'_>, key: &'static str) -> Option<i64> {
        let field = object.field(key)?;
        let parsed = match &field.value.data {
            Data::Integer(seconds) => duration::from_seconds(*seconds),
            Data::Text(text) if text.is_empty() => return None,
            Data::Text(text) => duration::parse(text)
                .map_err(|message| format!("{message}; write seconds, or text such as \"500ms\" or \"1h30m\"")),
            Data::Float(value) => Err(format!(
                "unexpected duration of type float: {value}; write whole seconds, or text such as \"1.5s\" or \"500ms\""
            )),
            Data::Null | Data::Boolean(_) | Data::Array(_) | Data::Object(_) => {
                self.mismatch(&field, "a time: seconds, or text such as \"500ms\" or \"1h30m\"");
                return None;
            }
        };
        match parsed {
            Ok(nanos) => Some(nanos),
            Err(message) => {
                self.problem(&field.place, message);
                None
            }
        }
    }

    /// A time of at least `min`.
    pub(crate) fn duration(&mut self, object: &Object<'_>, key: &'static str, min: Duration) -> Option<Duration> {
        let nanos = self.signed_duration(object, key)?;
        match u64::try_from(nanos).map(Duration::from_nanos) {
            Ok(duration) if duration >= min => Some(duration),
            _ => {
                let given = duration::show_signed(nanos);
                self.problem(&object.place_of(key), format!("'{given}' cannot be less than {}", duration::show(min)));
                None
            }
        }
    }

    /// A time of at least `min`, or `unlimited`.
    pub(crate) fn limit(&mut self, object: &Object<'_>, key: &'static str, min: Duration) -> Option<Limit> {
        match object.field(key).map(|field| &field.value.data) {
            Some(Data::Text(text)) if text == UNLIMITED => Some(Limit::Unlimited),
            _ => self.duration(object, key, min).map(Limit::AtMost),
        }
    }
}

/// Text, or the text of a number or boolean.
pub(super) fn scalar_text(data: &Data) -> Option<String> {
    match data {
        Data::Text(text) => Some(text.clone()),
        Data::Integer(value) => Some(value.to_string()),
        Data::Float(value) if value.is_finite() => Some(value.to_string()),
        Data::Boolean(value) => Some(value.to_string()),
        Data::Null | Data::Float(_) | Data::Array(_) | Data::Object(_) => None,
    }
}
