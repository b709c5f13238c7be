//! `printf`: Go's format strings, with explicit argument indexes and widths from arguments.

use alloc::format;

use crate::format::{Flags, Printer};
use crate::text::Text;
use crate::value::Value;

/// The largest width, precision or argument index, in characters; Go ignores larger ones too.
const MAX_NUMBER: i64 = 1_000_000;

/// Appends `values` as `format` says. A mistake in the format shows in the text, as in Go, and is no error.
pub(crate) fn print_formatted(out: &mut Text, format: &str, values: &[Value]) {
    Directive { rest: format, values, next: 0, good_index: true, after_index: false, reordered: false }.run(out);
}

struct Directive<'f> {
    rest: &'f str,
    values: &'f [Value],
    next: usize,
    good_index: bool,
    after_index: bool,
    reordered: bool,
}

impl Directive<'_> {
    fn run(&mut self, out: &mut Text) {
        while out.exceeded().is_none() {
            let Some(found) = self.rest.find('%') else {
                out.push_str(self.rest);
                return self.extra(out);
            };
            out.push_str(&self.rest[..found]);
            self.rest = &self.rest[found + 1..];
            self.good_index = true;
            self.after_index = false;
            let flags = self.flags(out);
            self.verb(out, flags);
        }
    }

    fn flags(&mut self, out: &mut Text) -> Flags {
        let mut flags = Flags::default();
        while let Some(flag) = self.rest.chars().next() {
            match flag {
                '#' => flags.sharp = true,
                '0' => flags.zero = !flags.minus,
                '+' => flags.plus = true,
                '-' => (flags.minus, flags.zero) = (true, false),
                ' ' => flags.space = true,
                _ => break,
            }
            self.rest = &self.rest[1..];
        }
        self.index();
        self.width(out, &mut flags);
        if self.take('.') {
            self.precision(out, &mut flags);
        }
        if !self.after_index {
            self.index();
        }
        flags
    }

    fn width(&mut self, out: &mut Text, flags: &mut Flags) {
        if self.take('*') {
            match self.number_argument() {
                Some(width) => {
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        (flags.minus, flags.zero) = (true, false);
                    }
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
            self.after_index = false;
        } else {
            flags.width = self.number();
            if self.after_index && flags.width.is_some() {
                self.good_index = false;
            }
        }
    }

    fn precision(&mut self, out: &mut Text, flags: &mut Flags) {
        if self.after_index {
            self.good_index = false;
        }
        self.index();
        if self.take('*') {
            match self.number_argument() {
                Some(precision) => flags.precision = usize::try_from(precision).ok(),
                None => out.push_str("%!(BADPREC)"),
            }
            self.after_index = false;
        } else {
            flags.precision = Some(self.number().unwrap_or(0));
        }
    }

    fn verb(&mut self, out: &mut Text, mut flags: Flags) {
        let Some(verb) = self.rest.chars().next() else {
            return out.push_str("%!(NOVERB)");
        };
        self.rest = &self.rest[verb.len_utf8()..];
        if verb == '%' {
            return out.push('%');
        }
        if !self.good_index {
            return out.push_str(&format!("%!{verb}(BADINDEX)"));
        }
        let Some(value) = self.values.get(self.next) else {
            return out.push_str(&format!("%!{verb}(MISSING)"));
        };
        if verb == 'v' {
            flags.sharp_value = core::mem::take(&mut flags.sharp);
            flags.plus_value = core::mem::take(&mut flags.plus);
        }
        self.next += 1;
        Printer { out, flags }.argument(value, verb);
    }

    fn extra(&self, out: &mut Text) {
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        out.push_str("%!(EXTRA ");
        for (at, value) in self.values[self.next..].iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            if !matches!(value, Value::Nil) {
                out.push_str(&value.type_name());
                out.push('=');
            }
            Printer { out: &mut *out, flags: Flags::default() }.argument(value, 'v');
        }
        out.push(')');
    }

    fn take(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A number in the format. One that is too large ends the format, as in Go.
    fn number(&mut self) -> Option<usize> {
        let end = self.rest.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number = digits.parse::<i64>();
        if !digits.is_empty() && number.as_ref().map_or(true, |&number| number > MAX_NUMBER) {
            self.rest = "";
            return None;
        }
        self.rest = rest;
        number.ok().and_then(|number| usize::try_from(number).ok())
    }

    fn number_argument(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Int(number) => Some(*number),
            Value::Uint(number) => i64::try_from(*number).ok(),
            Value::Byte(number) => Some(i64::from(*number)),
            Value::Nil
            | Value::Bool(_)
            | Value::Float(_)
            | Value::Complex(..)
            | Value::String(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Struct(_)
            | Value::Function(_) => None,
        };
        number.filter(|number| (-MAX_NUMBER..=MAX_NUMBER).contains(number))
    }

    /// `[2]`: the argument that comes next.
    fn index(&mut self) {
        if !self.rest.starts_with('[') {
            self.after_index = false;
            return;
        }
        self.reordered = true;
        let Some(end) = self.rest.find(']') else {
            self.rest = &self.rest[1..];
            self.good_index = false;
            self.after_index = false;
            return;
        };
        let index = self.rest[1..end].parse::<usize>().ok();
        self.rest = &self.rest[end + 1..];
        self.after_index = index.is_some();
        match index.and_then(|index| index.checked_sub(1)).filter(|&index| index < self.values.len()) {
            Some(index) => self.next = index,
            None => self.good_index = false,
        }
    }
}
