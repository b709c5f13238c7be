//! Number literals: Go's ideal constants, which are whatever their spelling and their place allow.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use crate::quote::{quoted, unquote_character};
use crate::value::{Type, Value};

/// A number literal in all the types that it can stand for.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) text: Arc<str>,
    pub(crate) integer: Option<i64>,
    pub(crate) unsigned: Option<u64>,
    pub(crate) float: Option<f64>,
    /// The parts of an imaginary or complex literal, whether or not it is a real number too.
    pub(crate) complex: Option<(f64, f64)>,
    character: bool,
}

impl Number {
    /// Reads a number or character literal; the error is Go's message.
    pub(crate) fn parse(text: &str, complex: bool) -> Result<Number, String> {
        let empty = |character| Number {
            text: Arc::from(text),
            integer: None,
            unsigned: None,
            float: None,
            complex: None,
            character,
        };
        if text.starts_with('\'') {
            let code = unquote_character(text).ok_or_else(|| match text.len() {
                0..=2 => String::from("invalid syntax"),
                _ => format!("malformed character constant: {text}"),
            })?;
            let (integer, float) = (Some(i64::from(code)), Some(f64::from(code)));
            return Ok(Number { integer, unsigned: Some(u64::from(code)), float, ..empty(true) });
        }
        let illegal = || format!("illegal number syntax: {}", quoted(text));
        if complex || text.ends_with('i') {
            let (real, imaginary) = complex_parts(text).ok_or_else(illegal)?;
            return Ok(Number { complex: Some((real, imaginary)), ..empty(false) }.simplified());
        }
        empty(false).real().ok_or_else(illegal)?
    }

    fn real(mut self) -> Option<Result<Number, String>> {
        self.unsigned = (!self.text.starts_with(['+', '-'])).then(|| parse_unsigned(&self.text)).flatten();
        self.integer = parse_signed(&self.text);
        if self.integer == Some(0) {
            self.unsigned = Some(0);
        }
        if let Some(integer) = self.integer {
            self.float = Some(integer as f64);
        } else if let Some(unsigned) = self.unsigned {
            self.float = Some(unsigned as f64);
        } else {
            let float = parse_float(&self.text)?;
            if !self.text.contains(['.', 'e', 'E', 'p', 'P']) {
                return Some(Err(format!("integer overflow: {}", quoted(&self.text))));
            }
            self.set_float(float);
        }
        Some(Ok(self))
    }

    /// A complex literal without imaginary part is a real number as well.
    fn simplified(mut self) -> Number {
        if let Some((real, 0.0)) = self.complex {
            self.set_float(real);
        }
        self
    }

    fn set_float(&mut self, float: f64) {
        self.float = Some(float);
        // The casts saturate, so that a number beyond the range does not come back equal.
        if float as i64 as f64 == float && float.abs() < 9.2e18 {
            self.integer = Some(float as i64);
        }
        if (0.0..1.8e19).contains(&float) && float as u64 as f64 == float {
            self.unsigned = Some(float as u64);
        }
    }

    /// The value of the literal where nothing says which type is wanted; the error is Go's message.
    pub(crate) fn ideal(&self) -> Result<Value, String> {
        if let Some((real, imaginary)) = self.complex {
            return Ok(Value::Complex(real, imaginary));
        }
        let hexadecimal = self.text.starts_with("0x") || self.text.starts_with("0X");
        let plain_hexadecimal = self.text.len() > 2 && hexadecimal && !self.text.contains(['p', 'P']);
        let spelt_as_float = !self.character && !plain_hexadecimal && self.text.contains(['.', 'e', 'E', 'p', 'P']);
        match (self.float, self.integer) {
            (Some(float), _) if spelt_as_float => Ok(Value::Float(float)),
            (_, Some(integer)) => Ok(Value::Int(integer)),
            _ => Err(format!("{} overflows int", self.text)),
        }
    }

    /// The literal as a value of a numeric type, if it can be one.
    pub(crate) fn convert(&self, wanted: &Type) -> Option<Value> {
        match wanted {
            Type::Int => self.integer.map(Value::Int),
            Type::Uint => self.unsigned.map(Value::Uint),
            Type::Byte => self.unsigned.and_then(|number| u8::try_from(number).ok()).map(Value::Byte),
            Type::Float => self.float.map(Value::Float),
            Type::Complex => self.complex.or(self.float.map(|real| (real, 0.0))).map(|(re, im)| Value::Complex(re, im)),
            Type::Any | Type::Bool | Type::String | Type::List(_) | Type::Map(_) | Type::Struct(_) | Type::Function => {
                None
            }
        }
    }
}

fn complex_parts(text: &str) -> Option<(f64, f64)> {
    let body = text.strip_suffix('i')?;
    if let Some(imaginary) = parse_float(body) {
        return Some((0.0, imaginary));
    }
    // The sign between the two parts is the last one that does not belong to an exponent.
    let bytes = body.as_bytes();
    let sign = (1..bytes.len())
        .rev()
        .find(|&at| matches!(bytes[at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E' | b'p' | b'P'))?;
    Some((parse_float(&body[..sign])?, parse_float(&body[sign..])?))
}

/// Splits off a base prefix and the underscores; `None` where Go allows no underscore.
fn integer_digits(text: &str) -> Option<(String, u32)> {
    let prefix = text.get(..2).map(str::to_ascii_lowercase);
    let (radix, body) = match prefix.as_deref() {
        Some("0x") => (16, &text[2..]),
        Some("0o") => (8, &text[2..]),
        Some("0b") => (2, &text[2..]),
        _ if text.len() > 1 && text.starts_with('0') => (8, &text[1..]),
        _ => (10, text),
    };
    let body = if radix == 10 { body } else { body.strip_prefix('_').unwrap_or(body) };
    if body.is_empty() || body.starts_with(['_', '+', '-']) || body.ends_with('_') || body.contains("__") {
        return None;
    }
    Some((body.replace('_', ""), radix))
}

fn parse_unsigned(text: &str) -> Option<u64> {
    let (digits, radix) = integer_digits(text)?;
    u64::from_str_radix(&digits, radix).ok()
}

/// Reads an integer with Go's base prefixes and underscores.
fn parse_signed(text: &str) -> Option<i64> {
    let (sign, body) = match text.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = integer_digits(body)?;
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// Reads a decimal or hexadecimal float; `None` if it is none or does not fit.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let body = text.trim_start_matches(['+', '-']);
    if text.len() - body.len() > 1 || !body.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let misplaced = |at: usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        let prefixed = at == 2 && body.len() > 2 && matches!(body.as_bytes()[1], b'x' | b'X');
        !(prefixed || digit(body.as_bytes().get(at.wrapping_sub(1)))) || !digit(body.as_bytes().get(at + 1))
    };
    if body.match_indices('_').any(|(at, _)| misplaced(at)) {
        return None;
    }
    let digits = body.replace('_', "");
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => parse_hexadecimal(hexadecimal)?,
        None => digits.parse().ok()?,
    };
    let negative = text.starts_with('-');
    magnitude.is_finite().then_some(if negative { -magnitude } else { magnitude })
}

/// Reads `h.hhp±d`. Digits beyond the first 15 are dropped, which no literal in a template will notice.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut exponent: i32 = exponent.parse().ok()?;
    exponent = exponent.clamp(-5_000, 5_000) - 4 * i32::try_from(fraction.len().min(1_000)).ok()?;
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let factor = if exponent < 0 { 0.5 } else { 2.0 };
    for _ in 0..exponent.unsigned_abs() {
        value *= factor;
    }
    (!whole.is_empty() || !fraction.is_empty()).then_some(value)
}
