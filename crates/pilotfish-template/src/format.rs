//! Values into text: Go's `fmt` verbs and flags, and the form in which a template prints a value.

use alloc::format;
use alloc::string::String;

use crate::float::format_float;
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::quote::{is_printable, quote_with};
use crate::text::Text;
use crate::value::{List, Map, Struct, Value};

/// The flags of one verb.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) minus: bool,
    pub(crate) plus: bool,
    pub(crate) sharp: bool,
    pub(crate) space: bool,
    pub(crate) zero: bool,
    pub(crate) width: Option<usize>,
    pub(crate) precision: Option<usize>,
    /// `%+v`: structs with the names of their fields.
    pub(crate) plus_value: bool,
    /// `%#v`: values in Go's syntax.
    pub(crate) sharp_value: bool,
}

/// Writes values with the flags of one verb.
pub(crate) struct Printer<'o> {
    pub(crate) out: &'o mut Text,
    pub(crate) flags: Flags,
}

/// Appends a value as `%v` prints it.
pub(crate) fn print_value(out: &mut Text, value: &Value) {
    Printer { out, flags: Flags::default() }.argument(value, 'v');
}

/// Appends values with a space between two that are no strings, as `print` does.
pub(crate) fn print(out: &mut Text, values: &[Value]) {
    let mut after_string = true;
    for (at, value) in values.iter().enumerate() {
        let string = matches!(value, Value::String(_));
        if at > 0 && !string && !after_string {
            out.push(' ');
        }
        print_value(out, value);
        after_string = string;
    }
}

/// Appends values with spaces between them and a line feed after the last, as `println` does.
pub(crate) fn print_line(out: &mut Text, values: &[Value]) {
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        print_value(out, value);
    }
    out.push('\n');
}

impl Printer<'_> {
    /// Writes an argument of `printf`.
    pub(crate) fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad("<nil>"),
            (_, 'T') => self.string(&value.type_name(), 's'),
            _ => self.value(value, verb, 0),
        }
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if depth > MAX_VALUE_NESTING {
            return self.out.exceed(Limit::ValueNesting);
        }
        let written = match value {
            Value::Nil if depth == 0 => false,
            Value::Nil => {
                self.out.push_str(if self.flags.sharp_value { "interface {}(nil)" } else { "<nil>" });
                true
            }
            Value::Bool(truth) => matches!(verb, 't' | 'v') && self.pad_known(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.integer(*number < 0, number.unsigned_abs(), verb, true),
            Value::Uint(number) => self.integer(false, *number, verb, false),
            Value::Byte(number) => self.integer(false, u64::from(*number), verb, false),
            Value::Float(number) => self.float(*number, verb),
            Value::Complex(real, imaginary) => self.complex(*real, *imaginary, verb),
            Value::String(text) => self.text(text, verb),
            Value::List(list) => {
                self.list(list, verb, depth);
                true
            }
            Value::Map(map) => {
                self.map(map, verb, depth);
                true
            }
            Value::Struct(structure) => {
                self.structure(structure, verb, depth);
                true
            }
            Value::Function(_) => verb == 'v' && self.pad_known("func()"),
        };
        if !written {
            self.bad_verb(value, verb);
        }
    }

    /// `%!d(string=x)`: the verb does not suit the value.
    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.out.push_str(&format!("%!{verb}("));
        if let Value::Nil = value {
            self.out.push_str("<nil>");
        } else {
            self.out.push_str(&value.type_name());
            self.out.push('=');
            self.argument(value, 'v');
        }
        self.out.push(')');
    }

    fn pad_known(&mut self, text: &str) -> bool {
        self.pad(text);
        true
    }

    fn pad(&mut self, text: &str) {
        let missing = self.flags.width.map_or(0, |width| width.saturating_sub(text.chars().count()));
        if !self.flags.minus {
            self.out.fill(if self.flags.zero { '0' } else { ' ' }, missing);
        }
        self.out.push_str(text);
        if self.flags.minus {
            self.out.fill(' ', missing);
        }
    }

    fn integer(&mut self, negative: bool, magnitude: u64, verb: char, signed: bool) -> bool {
        match verb {
            'v' if self.flags.sharp_value && !signed => {
                let flags = self.flags;
                self.flags.sharp = true;
                self.digits(negative, &format!("{magnitude:x}"), 'x');
                self.flags = flags;
            }
            'v' | 'd' => self.digits(negative, &format!("{magnitude}"), verb),
            'b' => self.digits(negative, &format!("{magnitude:b}"), verb),
            'o' | 'O' => self.digits(negative, &format!("{magnitude:o}"), verb),
            'x' => self.digits(negative, &format!("{magnitude:x}"), verb),
            'X' => self.digits(negative, &format!("{magnitude:X}"), verb),
            'U' => self.code_point(if negative { magnitude.wrapping_neg() } else { magnitude }),
            'c' | 'q' => {
                let code = u32::try_from(magnitude).ok().filter(|_| !negative);
                let character = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                let text = String::from(character);
                self.pad(&if verb == 'c' { text } else { quote_with(&text, '\'', self.flags.plus) });
            }
            _ => return false,
        }
        true
    }

    fn digits(&mut self, negative: bool, digits: &str, verb: char) {
        let flags = self.flags;
        let mut least = flags.precision.unwrap_or(0);
        if flags.precision == Some(0) && digits == "0" {
            return self.out.fill(' ', flags.width.unwrap_or(0));
        }
        let sign = match (negative, flags.plus, flags.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        };
        if let (None, true, Some(width)) = (flags.precision, flags.zero, flags.width) {
            least = width - sign.len().min(width);
        }
        let zeros = least.saturating_sub(digits.len());
        let prefix = match verb {
            'b' if flags.sharp => "0b",
            'o' if flags.sharp && zeros == 0 && !digits.starts_with('0') => "0",
            'x' if flags.sharp => "0x",
            'X' if flags.sharp => "0X",
            'O' => "0o",
            _ => "",
        };
        self.flags.zero = false;
        self.pad(&format!("{sign}{prefix}{}{digits}", "0".repeat(zeros)));
        self.flags = flags;
    }

    /// `%U`: `U+0041`, with the character itself after it for `%#U`.
    fn code_point(&mut self, code: u64) {
        let least = self.flags.precision.map_or(4, |precision| precision.max(4));
        let digits = format!("{code:X}");
        let mut text = format!("U+{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        let character = u32::try_from(code).ok().and_then(char::from_u32);
        if let (true, Some(character)) = (self.flags.sharp, character.filter(|&character| is_printable(character))) {
            text.push_str(&format!(" '{character}'"));
        }
        let zero = core::mem::replace(&mut self.flags.zero, false);
        self.pad(&text);
        self.flags.zero = zero;
    }

    fn float(&mut self, number: f64, verb: char) -> bool {
        let (format, precision) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'e' | 'E' | 'f' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return false,
        };
        let precision = self.flags.precision.or(precision);
        let mut text = if number.is_nan() { String::from("NaN") } else { self.float_text(number, format, precision) };
        let negative = number.is_sign_negative() && !number.is_nan();
        let sign = match (negative, self.flags.plus, self.flags.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) if number.is_infinite() => "+",
            (false, false, false) => "",
        };
        let zero = self.flags.zero;
        self.flags.zero = false;
        if zero && number.is_finite() {
            let width = self.flags.width.unwrap_or(0);
            text.insert_str(0, &"0".repeat(width.saturating_sub(text.len() + sign.len())));
        }
        self.pad(&format!("{sign}{text}"));
        self.flags.zero = zero;
        true
    }

    fn float_text(&self, number: f64, verb: char, precision: Option<usize>) -> String {
        let text = format_float(number.abs(), verb, precision);
        if self.flags.sharp && verb != 'b' && number.is_finite() { keep_point(&text, verb, precision) } else { text }
    }

    fn complex(&mut self, real: f64, imaginary: f64, verb: char) -> bool {
        if !matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') {
            return false;
        }
        let plus = self.flags.plus;
        self.out.push('(');
        self.float(real, verb);
        self.flags.plus = true;
        self.float(imaginary, verb);
        self.out.push_str("i)");
        self.flags.plus = plus;
        true
    }

    fn text(&mut self, text: &str, verb: char) -> bool {
        match verb {
            'v' if self.flags.sharp_value => self.string(text, 'q'),
            'v' => self.string(text, 's'),
            's' | 'q' => self.string(text, verb),
            'x' | 'X' => self.hexadecimal(text, verb == 'X'),
            _ => return false,
        }
        true
    }

    fn string(&mut self, text: &str, verb: char) {
        let end = self.flags.precision.and_then(|precision| text.char_indices().nth(precision));
        let text = &text[..end.map_or(text.len(), |(end, _)| end)];
        if verb == 's' {
            return self.pad(text);
        }
        let quoted = if self.flags.sharp && text.chars().all(fits_backquotes) {
            format!("`{text}`")
        } else {
            quote_with(text, '"', self.flags.plus)
        };
        self.pad(&quoted);
    }

    fn hexadecimal(&mut self, text: &str, upper: bool) {
        let bytes = &text.as_bytes()[..self.flags.precision.unwrap_or(text.len()).min(text.len())];
        let prefix = match (self.flags.sharp, upper) {
            (true, true) => "0X",
            (true, false) => "0x",
            (false, _) => "",
        };
        let mut out = String::with_capacity(bytes.len() * 2);
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && self.flags.space {
                out.push(' ');
            }
            if at == 0 || self.flags.space {
                out.push_str(prefix);
            }
            out.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
        }
        self.pad(&out);
    }

    fn separator(&mut self, at: usize) {
        if at > 0 {
            self.out.push_str(if self.flags.sharp_value { ", " } else { " " });
        }
    }

    fn list(&mut self, list: &List, verb: char, depth: usize) {
        let go_syntax = self.flags.sharp_value;
        if go_syntax {
            self.out.push_str(&format!("[]{}", list.element));
        }
        self.out.push(if go_syntax { '{' } else { '[' });
        for (at, item) in list.items.iter().enumerate() {
            if self.out.exceeded().is_some() {
                return;
            }
            self.separator(at);
            self.value(item, verb, depth + 1);
        }
        self.out.push(if go_syntax { '}' } else { ']' });
    }

    fn map(&mut self, map: &Map, verb: char, depth: usize) {
        let go_syntax = self.flags.sharp_value;
        if go_syntax {
            self.out.push_str(&format!("map[string]{}{{", map.element));
        } else {
            self.out.push_str("map[");
        }
        for (at, (key, value)) in map.entries.iter().enumerate() {
            if self.out.exceeded().is_some() {
                return;
            }
            self.separator(at);
            self.value(&Value::String(key.clone()), verb, depth + 1);
            self.out.push(':');
            self.value(value, verb, depth + 1);
        }
        self.out.push(if go_syntax { '}' } else { ']' });
    }

    fn structure(&mut self, structure: &Struct, verb: char, depth: usize) {
        if self.flags.sharp_value {
            self.out.push_str(structure.kind.name.trim_start_matches('*'));
        }
        self.out.push('{');
        for (at, (name, value)) in structure.kind.fields.iter().zip(&structure.fields).enumerate() {
            if self.out.exceeded().is_some() {
                return;
            }
            self.separator(at);
            if self.flags.plus_value || self.flags.sharp_value {
                self.out.push_str(name);
                self.out.push(':');
            }
            self.value(value, verb, depth + 1);
        }
        self.out.push('}');
    }
}

/// Whether a character may stand in a raw string literal.
fn fits_backquotes(character: char) -> bool {
    !matches!(character, '`' | '\u{7f}' | '\u{feff}') && (character >= ' ' || character == '\t')
}

/// `%#g` and its like: the point stays, and so do the zeros up to the precision.
fn keep_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let exponent_marks: &[char] = if matches!(verb, 'x' | 'X') { &['p', 'P'] } else { &['e', 'E'] };
    let (number, exponent) = text.split_at(text.find(exponent_marks).unwrap_or(text.len()));
    let mut number = String::from(number);
    let significant = number.chars().skip_while(|digit| matches!(digit, '0' | '.' | 'x' | 'X'));
    let mut digits = significant.filter(|&digit| digit != '.').count();
    if !number.contains('.') {
        digits += usize::from(number == "0");
        number.push('.');
    }
    if matches!(verb, 'g' | 'G' | 'x' | 'X') {
        number.push_str(&"0".repeat(precision.unwrap_or(6).saturating_sub(digits)));
    }
    number.push_str(exponent);
    number
}
