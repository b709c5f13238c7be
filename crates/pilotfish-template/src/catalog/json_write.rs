//! JSON from values, as Go's encoding/json writes it.

use alloc::format;
use alloc::string::String;

use crate::config::mismatch;
use crate::float::format_float;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::text::Text;
use crate::value::{Type, Value};

pub(super) fn add(functions: &mut Functions) {
    for (name, pretty, escapes_html) in [
        ("toJSON", false, true),
        ("toJSONPretty", true, true),
        ("toUnescapedJSON", false, false),
        ("toUnescapedJSONPretty", true, false),
    ] {
        let write = move |call: &mut Call<'_>, arguments: &[Value]| {
            let [value] = arguments else { return Err(mismatch()) };
            let mut writer =
                Writer { out: Text::new(call.room(), Limit::WorkingBytes), pretty, escapes_html, depth: 0 };
            writer.value(value).map_err(|reason| FunctionError::from(format!("{name}: json: {reason}")))?;
            let text = writer.out.finish()?;
            call.build(text.len())?;
            Ok(Value::from(text))
        };
        functions.insert(name, Function::new([Type::Any], write));
    }
}

struct Writer {
    out: Text,
    /// One entry a line, two spaces for each level.
    pretty: bool,
    /// `<`, `>` and `&` as numbers, so that the text can stand in a page.
    escapes_html: bool,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.out.push_str(&format!("{number}")),
            Value::Uint(number) => self.out.push_str(&format!("{number}")),
            Value::Byte(number) => self.out.push_str(&format!("{number}")),
            Value::Float(number) => self.float(*number)?,
            Value::String(text) => self.string(text),
            Value::List(list) => self.entries('[', ']', list.items.iter(), Writer::value)?,
            Value::Map(map) => {
                self.entries('{', '}', map.entries.iter(), |writer, (key, value)| writer.member(key, value))?
            }
            Value::Struct(structure) => {
                let fields = structure.kind.fields.iter().zip(&structure.fields);
                self.entries('{', '}', fields, |writer, (key, value)| writer.member(key, value))?;
            }
            Value::Complex(..) | Value::Function(_) => {
                return Err(format!("unsupported type: {}", value.type_name()));
            }
        }
        Ok(())
    }

    fn entries<I>(
        &mut self,
        open: char,
        close: char,
        items: impl ExactSizeIterator<Item = I>,
        mut write: impl FnMut(&mut Writer, I) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(open);
        let is_empty = items.len() == 0;
        self.depth += 1;
        if self.depth > MAX_VALUE_NESTING {
            self.out.exceed(Limit::ValueNesting);
        }
        for (at, item) in items.enumerate() {
            if self.out.exceeded().is_some() {
                break;
            }
            if at > 0 {
                self.out.push(',');
            }
            self.line();
            write(self, item)?;
        }
        self.depth -= 1;
        if !is_empty {
            self.line();
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            self.out.fill(' ', 2 * self.depth);
        }
    }

    fn member(&mut self, key: &str, value: &Value) -> Result<(), String> {
        self.string(key);
        self.out.push_str(if self.pretty { ": " } else { ":" });
        self.value(value)
    }

    /// Large and small numbers have an exponent, of as few digits as it needs.
    fn float(&mut self, number: f64) -> Result<(), String> {
        if !number.is_finite() {
            let mut shown = Text::new(64, Limit::OutputBytes);
            crate::format::print_value(&mut shown, &Value::Float(number));
            return Err(format!("unsupported value: {}", shown.into_string()));
        }
        let magnitude = number.abs();
        if number.is_sign_negative() {
            self.out.push('-');
        }
        let has_exponent = magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude);
        let text = format_float(magnitude, if has_exponent { 'e' } else { 'f' }, None);
        self.out.push_str(&text.replace("e-0", "e-"));
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        let mut start = 0;
        for (at, letter) in text.char_indices() {
            let escaped: &str = match letter {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\u{8}' => "\\b",
                '\u{c}' => "\\f",
                '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => &format!("\\u{:04x}", u32::from(letter)),
                '<' | '>' | '&' if self.escapes_html => &format!("\\u{:04x}", u32::from(letter)),
                _ => continue,
            };
            self.out.push_str(&text[start..at]);
            self.out.push_str(escaped);
            start = at + letter.len_utf8();
        }
        self.out.push_str(&text[start..]);
        self.out.push('"');
    }
}
