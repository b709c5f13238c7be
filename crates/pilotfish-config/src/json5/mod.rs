//! JSON5 (<https://spec.json5.org>) to a tree in which every key and value knows its line and column.

#[cfg(test)]
mod differential;
mod number;
mod parser;
mod string;

pub(crate) use parser::parse;

/// How deep arrays and objects may nest; the parser recurses, so this bounds its stack.
pub(crate) const MAX_DEPTH: usize = 128;

/// A place in the text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// The place of the character that begins at this byte of a text.
    pub(crate) fn of(text: &str, offset: usize) -> Position {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// Why a text is not JSON5, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Value {
    pub(crate) at: Position,
    pub(crate) data: Data,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Data {
    Null,
    Boolean(bool),
    /// A number that was written without fraction and exponent and fits.
    Integer(i64),
    /// Any other number; `Infinity` and `NaN` included.
    Float(f64),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<Member>),
}

/// One `key: value` of an object; keys of an object are unique.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Value,
}

impl Data {
    /// What a reader calls such a value in an error.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Data::Null => "null",
            Data::Boolean(_) => "a boolean",
            Data::Integer(_) | Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::Array(_) => "an array",
            Data::Object(_) => "an object",
        }
    }
}
