//! JSON as Go's `encoding/json` reads it: the first value counts, and mistakes are told in its words, because clients and people know them.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

/// How deep values may be nested (Go's `maxNestingDepth`).
const DEPTH_LIMIT: usize = 10_000;

/// What is deeper than this is read as `null`, because nobody looks there, and a value inside a value costs stack.
const DEPTH_READ: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// In the order in which the names came.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// What Go calls it in its errors.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Text(_) => "string",
            Value::List(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Number(number) => match number.parse::<i64>() {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_f64(number.parse().unwrap_or(0.0)),
            },
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Object(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
        }
    }
}

/// Reads the first value of a text.
///
/// # Errors
/// In Go's words.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    if parser.at == text.len() {
        return Err("EOF".to_owned());
    }
    parser.value()
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, String> {
        self.text.get(self.at).copied().ok_or_else(|| "unexpected EOF".to_owned())
    }

    fn wrong<T>(&self, byte: u8, context: &str) -> Result<T, String> {
        Err(format!("invalid character {} {context}", quoted(byte)))
    }

    fn value(&mut self) -> Result<Value, String> {
        self.space();
        match self.peek()? {
            b'{' => self.nested(Parser::object),
            b'[' => self.nested(Parser::list),
            b'"' => self.string().map(Value::Text),
            b't' => self.literal("true", Value::Bool(true)),
            b'f' => self.literal("false", Value::Bool(false)),
            b'n' => self.literal("null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            other => self.wrong(other, "looking for beginning of value"),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, String>) -> Result<Value, String> {
        if self.depth == DEPTH_READ {
            return self.skip();
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Passes over a value with all that is in it, without going deeper itself.
    fn skip(&mut self) -> Result<Value, String> {
        let mut open = Vec::new();
        loop {
            self.space();
            let byte = self.peek()?;
            if !matches!(byte, b'{' | b'[') {
                self.value()?;
            } else if self.depth + open.len() >= DEPTH_LIMIT {
                return self.wrong(byte, "exceeded max depth");
            } else {
                self.at += 1;
                self.space();
                if self.peek()? != byte + 2 {
                    open.push(byte);
                    if byte == b'{' {
                        self.key()?;
                    }
                    continue;
                }
                self.at += 1;
            }
            if !self.close(&mut open)? {
                return Ok(Value::Null);
            }
        }
    }

    /// Closes what ends here; whether something is still open, and its next value comes.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool, String> {
        while let Some(byte) = open.last().copied() {
            self.space();
            let (next, context) = match (self.peek()?, byte) {
                (b',', _) => {
                    self.at += 1;
                    if byte == b'{' {
                        self.space();
                        self.key()?;
                    }
                    return Ok(true);
                }
                (next, b'{') => (next, "after object key:value pair"),
                (next, _) => (next, "after array element"),
            };
            // In ASCII the closing bracket is the second after the opening one.
            if next != byte + 2 {
                return self.wrong(next, context);
            }
            self.at += 1;
            open.pop();
        }
        Ok(false)
    }

    /// A name and the colon behind it.
    fn key(&mut self) -> Result<String, String> {
        match self.peek()? {
            b'"' => {}
            other => return self.wrong(other, "looking for beginning of object key string"),
        }
        let name = self.string()?;
        self.space();
        match self.peek()? {
            b':' => self.at += 1,
            other => return self.wrong(other, "after object key"),
        }
        Ok(name)
    }

    fn object(&mut self) -> Result<Value, String> {
        let mut fields = Vec::new();
        loop {
            self.space();
            if self.peek()? == b'}' && fields.is_empty() {
                self.at += 1;
                return Ok(Value::Object(fields));
            }
            let name = self.key()?;
            fields.push((name, self.value()?));
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(Value::Object(fields));
                }
                other => return self.wrong(other, "after object key:value pair"),
            }
        }
    }

    fn list(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value()?);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(Value::List(items));
                }
                other => return self.wrong(other, "after array element"),
            }
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for (position, expected) in word.bytes().enumerate() {
            let found = self.peek()?;
            if found != expected {
                debug_assert!(position > 0, "the first letter chose the word");
                return self.wrong(found, &format!("in literal {word} (expecting {})", quoted(expected)));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn digits(&mut self, context: &str) -> Result<(), String> {
        match self.peek()? {
            b'0'..=b'9' => {}
            other => return self.wrong(other, context),
        }
        while matches!(self.text.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let begin = self.at;
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(Value::Number(String::from_utf8_lossy(&self.text[begin..self.at]).into_owned()))
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => self.escape(&mut bytes)?,
                0..=0x1f => return self.wrong(byte, "in string literal"),
                other => bytes.push(other),
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let byte = self.peek()?;
        self.at += 1;
        bytes.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.unit()?;
                let mut units = vec![unit];
                if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
                    let back = self.at;
                    self.at += 2;
                    let low = self.unit()?;
                    if (0xdc00..0xe000).contains(&low) {
                        units.push(low);
                    } else {
                        self.at = back;
                    }
                }
                bytes.extend_from_slice(String::from_utf16_lossy(&units).as_bytes());
                return Ok(());
            }
            other => return self.wrong(other, "in string escape code"),
        });
        Ok(())
    }

    fn unit(&mut self) -> Result<u16, String> {
        let mut unit = 0;
        for _ in 0..4 {
            let byte = self.peek()?;
            let Some(digit) = char::from(byte).to_digit(16) else {
                return self.wrong(byte, "in \\u hexadecimal character escape");
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit as u16)
    }
}

/// A character in quotes, as Go writes it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0x20..=0x7e => format!("'{}'", char::from(byte)),
        // Go takes the byte for a character.
        0xa1..=0xac | 0xae..=0xff => format!("'{}'", char::from(byte)),
        other => {
            let mut text = String::from("'\\");
            // Writing to a string cannot fail.
            let _ = if other < 0x80 { write!(text, "x{other:02x}'") } else { write!(text, "u{other:04x}'") };
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts() {
        let name = |value: &str| Value::Object(vec![("Name".into(), Value::Text(value.into()))]);
        assert_eq!(parse(br#" {"Name":"x"} trailing"#), Ok(name("x")));
        assert_eq!(parse(br#"{"Name":"\u00e9\ud83d\ude00\ud83d\n"}"#), Ok(name("é😀\u{fffd}\n")));
        assert_eq!(
            parse(b"[1, -2.5e3,true,null]"),
            Ok(Value::List(vec![
                Value::Number("1".into()),
                Value::Number("-2.5e3".into()),
                Value::Bool(true),
                Value::Null
            ]))
        );
    }

    #[test]
    fn what_is_very_deep_is_passed_over() {
        let deep = |open: &str, inner: &str, close: &str| {
            parse((open.repeat(9_000) + inner + &close.repeat(9_000)).as_bytes())
        };
        assert!(deep("[", "{}, [1, {\"a\": [], \"b\": null}]", "]").is_ok());
        assert!(deep("{\"a\": ", "\"}\"", "}").is_ok());
    }

    #[test]
    fn mistakes_are_told_in_the_words_of_go() {
        let check = |text: &str, expect: &str| assert_eq!(parse(text.as_bytes()), Err(expect.to_owned()), "{text}");
        check("", "EOF");
        check("  ", "EOF");
        check("{bad", "invalid character 'b' looking for beginning of object key string");
        check(r#"{"Name":"x",}"#, "invalid character '}' looking for beginning of object key string");
        check(r#"{"Name":"x""#, "unexpected EOF");
        check(r#"{"Name":"x" 5"#, "invalid character '5' after object key:value pair");
        check(r#"{"Name":tru}"#, "invalid character '}' in literal true (expecting 'e')");
        check(r#"{"Name":"\q"}"#, "invalid character 'q' in string escape code");
        check("nul", "unexpected EOF");
        check("xxxx", "invalid character 'x' looking for beginning of value");
        check(&"[".repeat(9_999), "unexpected EOF");
        check(&("[".repeat(100) + "1 2"), "invalid character '2' after array element");
        check(&(r#"{"a":"#.repeat(100) + "1 2"), "invalid character '2' after object key:value pair");
        check(&(r#"{"a":"#.repeat(100) + "1,}"), "invalid character '}' looking for beginning of object key string");
        check(&"[".repeat(100_000), "invalid character '[' exceeded max depth");
    }
}
