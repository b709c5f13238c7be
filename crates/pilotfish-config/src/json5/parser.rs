//! The grammar: values, arrays, objects, white space and comments.

use std::collections::BTreeMap;

use super::{Data, MAX_DEPTH, Member, Position, SyntaxError, Value};

/// Parses a whole document.
pub(crate) fn parse(text: &str) -> Result<Value, SyntaxError> {
    let mut parser =
        Parser { rest: text.strip_prefix('\u{feff}').unwrap_or(text), at: Position { line: 1, column: 1 }, depth: 0 };
    parser.skip_space()?;
    let value = parser.value()?;
    parser.skip_space()?;
    match parser.peek() {
        None => Ok(value),
        Some(found) => Err(parser.error(format!("the document is complete, but {} follows", describe(found)))),
    }
}

/// A cursor over the text.
pub(super) struct Parser<'t> {
    pub(super) rest: &'t str,
    pub(super) at: Position,
    depth: usize,
}

/// A character as an error shows it.
pub(super) fn describe(found: char) -> String {
    match found {
        '\n' => "the end of the line".into(),
        found if found.is_control() => format!("U+{:04X}", u32::from(found)),
        found => format!("'{found}'"),
    }
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let found = self.peek()?;
        self.rest = &self.rest[found.len_utf8()..];
        match found {
            '\n' => self.at = Position { line: self.at.line + 1, column: 1 },
            _ => self.at.column += 1,
        }
        Some(found)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { at: self.at, message: message.into() }
    }

    /// An error about what stands here, or about the end of the text.
    pub(super) fn unexpected(&self, expected: &str) -> SyntaxError {
        match self.peek() {
            Some(found) => self.error(format!("expected {expected}, found {}", describe(found))),
            None => self.error(format!("expected {expected}, but the document ends here")),
        }
    }

    pub(super) fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.next();
        }
        found
    }

    fn skip_space(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                Some(
                    '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}',
                ) => {
                    self.next();
                }
                Some('\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}') => {
                    self.next();
                }
                Some('/') => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), SyntaxError> {
        let start = self.error("this comment is never closed; close it with */");
        if self.rest.starts_with("//") {
            while self.peek().is_some_and(|found| !matches!(found, '\n' | '\r' | '\u{2028}' | '\u{2029}')) {
                self.next();
            }
            return Ok(());
        }
        if !self.rest.starts_with("/*") {
            return Err(self.unexpected("a comment (// or /*)"));
        }
        self.next();
        self.next();
        while !self.rest.starts_with("*/") {
            self.next().ok_or_else(|| start.clone())?;
        }
        self.next();
        self.next();
        Ok(())
    }

    fn value(&mut self) -> Result<Value, SyntaxError> {
        let at = self.at;
        let data = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some('"' | '\'') => Data::Text(self.string()?),
            Some('+' | '-' | '.' | '0'..='9') => self.number()?,
            Some(found) if is_identifier_start(found) => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Value { at, data })
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Result<Data, SyntaxError>) -> Result<Data, SyntaxError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(format!("arrays and objects nest more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let data = parse(self);
        self.depth -= 1;
        data
    }

    fn array(&mut self) -> Result<Data, SyntaxError> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.skip_space()?;
            if self.take(']') {
                return Ok(Data::Array(items));
            }
            items.push(self.value()?);
            self.skip_space()?;
            if !self.take(',') && self.peek() != Some(']') {
                return Err(self.unexpected("',' or ']'"));
            }
        }
    }

    fn object(&mut self) -> Result<Data, SyntaxError> {
        self.next();
        let mut members: Vec<Member> = Vec::new();
        let mut seen = BTreeMap::new();
        loop {
            self.skip_space()?;
            if self.take('}') {
                return Ok(Data::Object(members));
            }
            let at = self.at;
            let key = match self.peek() {
                Some('"' | '\'') => self.string()?,
                Some(found) if is_identifier_start(found) || found == '\\' => self.identifier()?,
                _ => return Err(self.unexpected("a key or '}'")),
            };
            if let Some(first) = seen.insert(key.clone(), at.line) {
                return Err(SyntaxError {
                    at,
                    message: format!("the key `{key}` is given twice (first in line {first})"),
                });
            }
            self.skip_space()?;
            if !self.take(':') {
                return Err(self.unexpected(&format!("':' after the key `{key}`")));
            }
            self.skip_space()?;
            let value = self.value()?;
            members.push(Member { key, at, value });
            self.skip_space()?;
            if !self.take(',') && self.peek() != Some('}') {
                return Err(self.unexpected("',' or '}'"));
            }
        }
    }

    /// `true`, `false`, `null`, `Infinity` or `NaN`.
    fn word(&mut self) -> Result<Data, SyntaxError> {
        let start = self.at;
        let word = self.identifier()?;
        match word.as_str() {
            "true" => Ok(Data::Boolean(true)),
            "false" => Ok(Data::Boolean(false)),
            "null" => Ok(Data::Null),
            "Infinity" => Ok(Data::Float(f64::INFINITY)),
            "NaN" => Ok(Data::Float(f64::NAN)),
            word => Err(SyntaxError {
                at: start,
                message: format!("`{word}` is not a value; text needs quotes: \"{word}\""),
            }),
        }
    }

    /// An ECMAScript 5.1 IdentifierName, escapes included.
    fn identifier(&mut self) -> Result<String, SyntaxError> {
        let mut name = String::new();
        loop {
            let here = self.error("expected a character of a name (\\uXXXX)");
            let found = match self.peek() {
                Some('\\') => {
                    self.next();
                    if !self.take('u') {
                        return Err(here);
                    }
                    self.unicode_escape()?
                }
                Some(found) if is_identifier_part(found) => {
                    self.next();
                    found
                }
                _ => return Ok(name),
            };
            let fits = if name.is_empty() { is_identifier_start(found) } else { is_identifier_part(found) };
            if !fits {
                return Err(here);
            }
            name.push(found);
        }
    }
}

fn is_identifier_start(found: char) -> bool {
    found.is_alphabetic() || found == '$' || found == '_'
}

fn is_identifier_part(found: char) -> bool {
    is_identifier_start(found)
        || found.is_alphanumeric()
        || matches!(found, '\u{200c}' | '\u{200d}' | '\u{300}'..='\u{36f}')
}
