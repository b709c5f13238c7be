//! YAML from values, as go-yaml (version 2) writes it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::config::mismatch;
use crate::float::format_float;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::text::Text;
use crate::value::{Type, Value};

use super::yaml_scalar::{Scalar, is_base_60, resolve};

/// A line is folded at the first space beyond this column, in letters.
const WIDTH: usize = 80;

/// The longest key that stands before its colon; a longer one is marked with a question mark, in bytes.
const MAX_SIMPLE_KEY: usize = 128;

pub(super) fn add(functions: &mut Functions) {
    functions.insert("toYAML", Function::new([Type::Any], to_yaml));
}

fn to_yaml(call: &mut Call<'_>, arguments: &[Value]) -> Result<Value, FunctionError> {
    let [value] = arguments else { return Err(mismatch()) };
    let mut writer = Writer {
        out: Text::new(call.room(), Limit::WorkingBytes),
        column: 0,
        indent: None,
        after_space: true,
        at_indent: true,
        depth: 0,
    };
    writer.node(value, Place::Alone).map_err(|reason| FunctionError::from(format!("toYAML: {reason}")))?;
    let text = writer.out.finish()?;
    call.build(text.len())?;
    Ok(Value::from(text.trim()))
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Alone,
    Item,
    /// A key before its colon: it stays on one line.
    SimpleKey,
    /// A value of a map, or a key that is marked with a question mark.
    Member,
}

struct Writer {
    out: Text,
    /// Letters on the current line.
    column: usize,
    /// The spaces before a line of the current block, if there is one.
    indent: Option<usize>,
    /// Whether the last thing written was white space.
    after_space: bool,
    /// Whether only indentation, dashes and question marks stand on the line.
    at_indent: bool,
    depth: usize,
}

impl Writer {
    fn put(&mut self, letter: char) {
        self.out.push(letter);
        self.column = if letter == '\n' { 0 } else { self.column + 1 };
    }

    /// Goes to where the next line of the block begins.
    fn line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.at_indent || self.column > indent || (self.column == indent && !self.after_space) {
            self.put('\n');
        }
        if self.column < indent {
            self.out.fill(' ', indent - self.column);
            self.column = indent;
        }
        self.after_space = true;
        self.at_indent = true;
    }

    fn mark(&mut self, mark: &str, needs_space: bool, is_indent: bool) {
        if needs_space && !self.after_space {
            self.put(' ');
        }
        self.out.push_str(mark);
        self.column += mark.len();
        self.after_space = false;
        self.at_indent &= is_indent;
    }

    fn node(&mut self, value: &Value, place: Place) -> Result<(), String> {
        if self.depth >= MAX_VALUE_NESTING {
            self.out.exceed(Limit::ValueNesting);
        }
        if self.out.exceeded().is_some() {
            return Ok(());
        }
        match value {
            Value::Nil => self.plain("null", place),
            Value::Bool(truth) => self.plain(if *truth { "true" } else { "false" }, place),
            Value::Int(number) => self.plain(&format!("{number}"), place),
            Value::Uint(number) => self.plain(&format!("{number}"), place),
            Value::Byte(number) => self.plain(&format!("{number}"), place),
            Value::Float(number) => self.plain(&float(*number), place),
            Value::String(text) => self.string(text, place),
            Value::List(list) if list.items.is_empty() => self.empty("[", "]"),
            Value::List(list) => self.items(&list.items, place)?,
            Value::Map(map) if map.entries.is_empty() => self.empty("{", "}"),
            Value::Map(map) => {
                let mut entries: Vec<(&str, &Value)> = map.entries.iter().map(|(key, value)| (&**key, value)).collect();
                entries.sort_unstable_by(|one, two| by_nature(one.0, two.0));
                self.members(entries.into_iter())?;
            }
            Value::Struct(structure) if structure.fields.is_empty() => self.empty("{", "}"),
            Value::Struct(structure) => {
                let names: Vec<String> = structure.kind.fields.iter().map(|name| name.to_lowercase()).collect();
                self.members(names.iter().map(String::as_str).zip(&structure.fields))?;
            }
            Value::Complex(..) | Value::Function(_) => {
                return Err(format!("cannot marshal type: {}", value.type_name()));
            }
        }
        Ok(())
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.mark(open, true, false);
        self.mark(close, false, false);
    }

    /// Runs `write` in a block of its own.
    fn block(
        &mut self,
        keeps_indent: bool,
        write: impl FnOnce(&mut Writer) -> Result<(), String>,
    ) -> Result<(), String> {
        let outer = self.indent;
        self.indent = Some(match outer {
            None => 0,
            Some(indent) if keeps_indent => indent,
            Some(indent) => indent + 2,
        });
        self.depth += 1;
        let result = write(self);
        self.depth -= 1;
        self.indent = outer;
        result
    }

    fn items(&mut self, items: &[Value], place: Place) -> Result<(), String> {
        // A list stands right below its key.
        let keeps_indent = place == Place::Member && !self.at_indent;
        self.block(keeps_indent, |writer| {
            for item in items {
                writer.line();
                writer.mark("-", true, true);
                writer.node(item, Place::Item)?;
            }
            Ok(())
        })
    }

    fn members<'v>(&mut self, members: impl Iterator<Item = (&'v str, &'v Value)>) -> Result<(), String> {
        self.block(false, |writer| {
            for (key, value) in members {
                writer.line();
                if key.len() <= MAX_SIMPLE_KEY && !key.contains(is_break) {
                    writer.string(key, Place::SimpleKey);
                    writer.mark(":", false, false);
                } else {
                    writer.mark("?", true, true);
                    writer.string(key, Place::Member);
                    writer.line();
                    writer.mark(":", true, true);
                }
                writer.node(value, Place::Member)?;
            }
            Ok(())
        })
    }

    /// Writes a scalar, whose further lines are indented more than what it belongs to.
    fn string(&mut self, text: &str, place: Place) {
        let outer = self.indent;
        self.indent = Some(outer.map_or(2, |indent| indent + 2));
        self.styled(text, place);
        self.indent = outer;
    }

    fn styled(&mut self, text: &str, place: Place) {
        let shape = Shape::of(text);
        if text.contains('\n') && shape.can_be_literal && place != Place::SimpleKey {
            self.literal(text);
        } else if text.contains('\n') || resolve(text) != Scalar::Text || is_base_60(text) || !shape.can_be_single {
            self.double_quoted(text, place);
        } else if shape.can_be_plain {
            self.plain(text, place);
        } else {
            self.single_quoted(text, place);
        }
    }

    fn plain(&mut self, text: &str, place: Place) {
        if !self.after_space {
            self.put(' ');
        }
        self.folded(text, place, 0);
        self.after_space = false;
        self.at_indent = false;
    }

    fn single_quoted(&mut self, text: &str, place: Place) {
        self.mark("'", true, false);
        self.folded(&text.replace('\'', "''"), place, 1);
        self.mark("'", false, false);
    }

    /// Writes text, and breaks the line at a single space where it is too long; the first and the last `edge` letters are
    /// no such spaces.
    fn folded(&mut self, text: &str, place: Place, edge: usize) {
        let mut after_space = false;
        for (at, letter) in text.char_indices() {
            let inside = at >= edge && at + edge < text.len();
            let next_is_space = text[at + letter.len_utf8()..].starts_with(' ');
            let foldable = letter == ' ' && place != Place::SimpleKey && !after_space && inside && !next_is_space;
            if foldable && self.column > WIDTH {
                self.line();
            } else {
                self.put(letter);
            }
            self.at_indent = false;
            after_space = letter == ' ';
        }
    }

    fn double_quoted(&mut self, text: &str, place: Place) {
        self.mark("\"", true, false);
        let mut after_space = false;
        for (at, letter) in text.char_indices() {
            if letter == ' ' {
                let inside = at > 0 && at + 1 < text.len();
                if place != Place::SimpleKey && !after_space && self.column > WIDTH && inside {
                    self.line();
                    if text[at + 1..].starts_with(' ') {
                        self.put('\\');
                    }
                    self.at_indent = false;
                } else {
                    self.put(' ');
                }
                after_space = true;
                continue;
            }
            if is_printable(letter) && !is_break(letter) && !matches!(letter, '"' | '\\') {
                self.put(letter);
            } else {
                self.escape(letter);
            }
            after_space = false;
        }
        self.mark("\"", false, false);
    }

    fn escape(&mut self, letter: char) {
        let code = u32::from(letter);
        let escape: &str = match letter {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{a0}' => "\\_",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            _ if code <= 0xff => &format!("\\x{code:02X}"),
            _ if code <= 0xffff => &format!("\\u{code:04X}"),
            _ => &format!("\\U{code:08X}"),
        };
        self.out.push_str(escape);
        self.column += escape.len();
    }

    /// A text of several lines, as it is.
    fn literal(&mut self, text: &str) {
        self.mark("|", true, false);
        if text.starts_with([' ', '\n']) {
            self.mark("2", false, false);
        }
        if !text.ends_with('\n') {
            self.mark("-", false, false);
        } else if text.len() == 1 || text.ends_with("\n\n") {
            self.mark("+", false, false);
        }
        self.put('\n');
        self.at_indent = true;
        self.after_space = true;
        let mut begins_line = true;
        for letter in text.chars() {
            if letter != '\n' && begins_line {
                self.line();
            }
            begins_line = letter == '\n';
            self.put(letter);
            self.at_indent = begins_line;
        }
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return String::from(".nan");
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let magnitude = if number.is_infinite() { String::from(".inf") } else { format_float(number.abs(), 'g', None) };
    format!("{sign}{magnitude}")
}

/// In which styles a text reads back as itself.
struct Shape {
    can_be_plain: bool,
    can_be_single: bool,
    can_be_literal: bool,
}

impl Shape {
    fn of(text: &str) -> Shape {
        if text.is_empty() {
            return Shape { can_be_plain: false, can_be_single: true, can_be_literal: false };
        }
        let mut has_indicator = text.starts_with("---") || text.starts_with("...");
        let (mut is_special, mut breaks, mut space_before_break, mut space_after_break) = (false, false, false, false);
        let mut previous = None;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let before_space = letters.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            has_indicator |= match (previous, letter) {
                (
                    None,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`',
                ) => true,
                (None, '?' | '-') | (_, ':') => before_space,
                (Some(previous), '#') => matches!(previous, ' ' | '\t' | '\0') || is_break(previous),
                _ => false,
            };
            is_special |= !is_printable(letter) || matches!(letter, '\u{2028}' | '\u{2029}');
            breaks |= is_break(letter);
            space_before_break |= previous == Some(' ') && is_break(letter);
            space_after_break |= previous.is_some_and(is_break) && letter == ' ';
            previous = Some(letter);
        }
        let at_ends = text.starts_with(' ') || text.ends_with(' ');
        Shape {
            can_be_plain: !(has_indicator || at_ends || breaks || is_special),
            can_be_single: !(space_before_break || space_after_break || is_special),
            can_be_literal: !(space_before_break || is_special || text.ends_with(' ')),
        }
    }
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a letter stands for itself; those outside the basic plane do not, by the same rules.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// The order of keys: numbers in them by their value, letters after everything else.
fn by_nature(one: &str, two: &str) -> Ordering {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    let Some(at) = one.iter().zip(&two).position(|(a, b)| a != b) else { return one.len().cmp(&two.len()) };
    let (a, b) = (one[at], two[at]);
    match (a.is_alphabetic(), b.is_alphabetic()) {
        (true, true) => return a.cmp(&b),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Within a number that has begun, a zero is worth as much as any digit.
    let is_inside = (a == '0' || b == '0')
        && one[..at].iter().rev().take_while(|letter| letter.is_ascii_digit()).any(|digit| *digit != '0');
    let value = |letters: &[char]| {
        let mut number = i64::from(is_inside);
        let mut end = at;
        while let Some(digit) = letters.get(end).and_then(|letter| letter.to_digit(10)) {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
            end += 1;
        }
        (number, end)
    };
    value(&one).cmp(&value(&two)).then(a.cmp(&b))
}
