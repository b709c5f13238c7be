//! Values from JSON, with the errors of Go's encoding/json.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::quote::quote_with;
use crate::value::{Type, Value};

type Outcome = Result<Value, FunctionError>;

pub(super) fn add(functions: &mut Functions) {
    functions.insert(
        "parseJSON",
        Function::new([Type::String], |call, arguments| {
            let [Value::String(text)] = arguments else { return Err(mismatch()) };
            if text.is_empty() {
                return Ok(Value::map(Type::Any, BTreeMap::new()));
            }
            let mut reader = Reader { text, at: 0, depth: 0, call };
            reader.space();
            let value = reader.value("looking for beginning of value")?;
            reader.space();
            match reader.peek() {
                None => Ok(value),
                Some(_) => Err(reader.unexpected("after top-level value")),
            }
        }),
    );
}

struct Reader<'r, 'c> {
    text: &'r str,
    at: usize,
    depth: usize,
    call: &'r mut Call<'c>,
}

impl Reader<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over one of the bytes, if it comes next.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let found = self.peek().is_some_and(|next| bytes.contains(&next));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self) {
        while self.take(b"0123456789") {}
    }

    /// The error for the next byte, or for the end of the text, where a space would be right.
    fn unexpected(&self, place: &str) -> FunctionError {
        if self.peek().is_none() { "unexpected end of JSON input".into() } else { self.unexpected_inside(place) }
    }

    /// The same inside a word, where a space would be wrong: Go takes the end of the text for one.
    fn unexpected_inside(&self, place: &str) -> FunctionError {
        let byte = self.peek().unwrap_or(b' ');
        let letter = match byte {
            b'\'' => String::from("'\\''"),
            b'"' => String::from("'\"'"),
            _ => quote_with(char::from(byte).encode_utf8(&mut [0; 4]), '\'', false),
        };
        format!("invalid character {letter} {place}").into()
    }

    fn value(&mut self, place: &str) -> Outcome {
        match self.peek() {
            Some(b'{') => self.nested(Reader::object),
            Some(b'[') => self.nested(Reader::array),
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            _ => Err(self.unexpected(place)),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Outcome) -> Outcome {
        if self.depth >= MAX_VALUE_NESTING {
            return Err(Limit::ValueNesting.into());
        }
        self.depth += 1;
        self.at += 1;
        self.space();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Outcome {
        let mut entries = BTreeMap::new();
        if !self.take(b"}") {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("looking for beginning of object key string"));
                }
                let key: Arc<str> = Arc::from(self.string()?);
                self.space();
                if !self.take(b":") {
                    return Err(self.unexpected("after object key"));
                }
                self.space();
                self.call.build(3 * size_of::<Value>())?;
                entries.insert(key, self.value("looking for beginning of value")?);
                self.space();
                if self.take(b"}") {
                    break;
                }
                if !self.take(b",") {
                    return Err(self.unexpected("after object key:value pair"));
                }
                self.space();
            }
        }
        Ok(Value::map(Type::Any, entries))
    }

    fn array(&mut self) -> Outcome {
        let mut items = Vec::new();
        if !self.take(b"]") {
            loop {
                self.call.build(2 * size_of::<Value>())?;
                items.push(self.value("looking for beginning of value")?);
                self.space();
                if self.take(b"]") {
                    break;
                }
                if !self.take(b",") {
                    return Err(self.unexpected("after array element"));
                }
                self.space();
            }
        }
        Ok(Value::list(Type::Any, items))
    }

    fn literal(&mut self, word: &str, value: Value) -> Outcome {
        for (at, expected) in word.char_indices() {
            if self.peek() != Some(expected as u8) {
                let place = format!("in literal {word} (expecting '{expected}')");
                debug_assert!(at > 0, "the first letter chose the literal");
                return Err(self.unexpected_inside(&place));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Outcome {
        let start = self.at;
        self.take(b"-");
        if !self.take(b"0") {
            if !self.take(b"123456789") {
                return Err(self.unexpected_inside("in numeric literal"));
            }
            self.digits();
        }
        if self.take(b".") {
            if !self.take(b"0123456789") {
                return Err(self.unexpected_inside("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if self.take(b"eE") {
            self.take(b"+-");
            if !self.take(b"0123456789") {
                return Err(self.unexpected_inside("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = &self.text[start..self.at];
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(format!("json: cannot unmarshal number {text} into Go value of type float64").into()),
        }
    }

    fn string(&mut self) -> Result<String, FunctionError> {
        self.at += 1;
        let mut out = String::new();
        let mut start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    out.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    self.call.build(out.len())?;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    out.push(self.escape()?);
                    start = self.at;
                }
                None | Some(0..0x20) => return Err(self.unexpected("in string literal")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, FunctionError> {
        let letter = match self.peek() {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.code_point();
            }
            _ => return Err(self.unexpected_inside("in string escape code")),
        };
        self.at += 1;
        Ok(letter)
    }

    /// Four digits, or two times four for what needs a pair; half a pair becomes U+FFFD.
    fn code_point(&mut self) -> Result<char, FunctionError> {
        let high = self.four_digits()?;
        if let 0xd800..0xdc00 = high
            && self.text[self.at..].starts_with("\\u")
        {
            let after_high = self.at;
            self.at += 2;
            let low = self.four_digits()?;
            if let 0xdc00..0xe000 = low {
                let combined = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_high;
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, FunctionError> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            number =
                16 * number + digit.ok_or_else(|| self.unexpected_inside("in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(number)
    }
}
