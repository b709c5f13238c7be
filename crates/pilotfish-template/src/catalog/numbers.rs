//! Arithmetic on mixed numbers, and numbers read from texts.

use alloc::format;
use alloc::string::String;
use core::num::{IntErrorKind, ParseIntError};

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::Limit;
use crate::printf::print_formatted;
use crate::quote::quoted;
use crate::text::Text;
use crate::value::{Type, Value};

type Outcome = Result<Value, FunctionError>;

/// The longest value that an error shows, in bytes.
const MAX_SHOWN: usize = 4_096;

pub(super) fn add(functions: &mut Functions) {
    for operation in [
        Operation::Add,
        Operation::Divide,
        Operation::Maximum,
        Operation::Minimum,
        Operation::Modulo,
        Operation::Multiply,
        Operation::Subtract,
    ] {
        let calculate = move |_: &mut Call<'_>, arguments: &[Value]| operation.apply(arguments);
        functions.insert(operation.name(), Function::new([Type::Any, Type::Any], calculate));
    }
    functions
        .insert("parseBool", Function::new([Type::String], parse_bool))
        .insert("parseFloat", Function::new([Type::String], parse_float))
        .insert("parseInt", Function::new([Type::String], parse_int))
        .insert("parseUint", Function::new([Type::String], parse_uint));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Divide,
    Maximum,
    Minimum,
    Modulo,
    Multiply,
    Subtract,
}

/// A number of one of Go's three families.
#[derive(Clone, Copy, Debug)]
enum Number {
    Int(i64),
    Uint(u64),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Number> {
        Some(match value {
            Value::Int(number) => Number::Int(*number),
            Value::Uint(number) => Number::Uint(*number),
            Value::Byte(number) => Number::Uint(u64::from(*number)),
            Value::Float(number) => Number::Float(*number),
            Value::Nil
            | Value::Bool(_)
            | Value::Complex(..)
            | Value::String(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Struct(_)
            | Value::Function(_) => return None,
        })
    }

    fn value(self) -> Value {
        match self {
            Number::Int(number) => Value::Int(number),
            Number::Uint(number) => Value::Uint(number),
            Number::Float(number) => Value::Float(number),
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Int(number) => number as f64,
            Number::Uint(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// As a signed number, which wraps around as Go's conversion does.
    fn int(self) -> i64 {
        match self {
            Number::Int(number) => number,
            Number::Uint(number) => number as i64,
            Number::Float(number) => number as i64,
        }
    }
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Operation::Add => "add",
            Operation::Divide => "divide",
            Operation::Maximum => "maximum",
            Operation::Minimum => "minimum",
            Operation::Modulo => "modulo",
            Operation::Multiply => "multiply",
            Operation::Subtract => "subtract",
        }
    }

    /// The second argument is the one that a pipeline hands on, and the one that is calculated with: `10 | subtract 3`.
    fn apply(self, arguments: &[Value]) -> Outcome {
        let [second, first] = arguments else { return Err(mismatch()) };
        let one = Number::of(first).ok_or_else(|| self.unknown(first))?;
        if let (Operation::Modulo, Number::Float(_)) = (self, one) {
            return Err(self.unknown(first));
        }
        let two = Number::of(second).ok_or_else(|| self.unknown(second))?;
        match self {
            Operation::Maximum => Ok(if less(two, one) { one } else { two }.value()),
            Operation::Minimum => Ok(if less(one, two) { one } else { two }.value()),
            Operation::Modulo if matches!(two, Number::Float(_)) => Err(self.unknown(second)),
            Operation::Add | Operation::Divide | Operation::Modulo | Operation::Multiply | Operation::Subtract => {
                let result = match (one, two) {
                    (Number::Float(_), _) | (_, Number::Float(_)) => {
                        Some(Value::Float(self.floats(one.float(), two.float())))
                    }
                    (Number::Uint(one), Number::Uint(two)) => self.unsigned(one, two).map(Value::Uint),
                    _ => self.signed(one.int(), two.int()).map(Value::Int),
                };
                result.ok_or_else(|| "runtime error: integer divide by zero".into())
            }
        }
    }

    fn unknown(self, value: &Value) -> FunctionError {
        let mut shown = Text::new(MAX_SHOWN, Limit::OutputBytes);
        if let Value::Nil = value {
            shown.push_str("<invalid reflect.Value>");
        } else {
            print_formatted(&mut shown, "%q", core::slice::from_ref(value));
        }
        format!("{}: unknown type for {} ({})", self.name(), shown.into_string(), value.type_name()).into()
    }

    fn floats(self, one: f64, two: f64) -> f64 {
        match self {
            Operation::Add => one + two,
            Operation::Divide => one / two,
            Operation::Multiply => one * two,
            Operation::Subtract => one - two,
            Operation::Maximum | Operation::Minimum | Operation::Modulo => f64::NAN,
        }
    }

    fn signed(self, one: i64, two: i64) -> Option<i64> {
        Some(match self {
            Operation::Add => one.wrapping_add(two),
            Operation::Divide if two == 0 => return None,
            Operation::Divide => one.wrapping_div(two),
            Operation::Modulo if two == 0 => return None,
            Operation::Modulo => one.wrapping_rem(two),
            Operation::Multiply => one.wrapping_mul(two),
            Operation::Subtract => one.wrapping_sub(two),
            Operation::Maximum => one.max(two),
            Operation::Minimum => one.min(two),
        })
    }

    fn unsigned(self, one: u64, two: u64) -> Option<u64> {
        Some(match self {
            Operation::Add => one.wrapping_add(two),
            Operation::Divide => one.checked_div(two)?,
            Operation::Modulo => one.checked_rem(two)?,
            Operation::Multiply => one.wrapping_mul(two),
            Operation::Subtract => one.wrapping_sub(two),
            Operation::Maximum => one.max(two),
            Operation::Minimum => one.min(two),
        })
    }
}

fn less(one: Number, two: Number) -> bool {
    match (one, two) {
        (Number::Float(_), _) | (_, Number::Float(_)) => one.float() < two.float(),
        (Number::Uint(one), Number::Uint(two)) => one < two,
        _ => one.int() < two.int(),
    }
}

/// The error of reading an integer, in the words of Go's `function`.
pub(super) fn integer_error(function: &str, text: &str, error: &ParseIntError) -> FunctionError {
    // A letter among too many digits is told first, as Go does.
    let is_number = text.bytes().skip(usize::from(text.starts_with(['+', '-']))).all(|byte| byte.is_ascii_digit());
    let is_large = is_number && matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow);
    number_error(function, text, if is_large { "value out of range" } else { "invalid syntax" })
}

fn number_error(function: &str, text: &str, reason: &str) -> FunctionError {
    let shown: String = text.chars().take(MAX_SHOWN / 4).collect();
    format!("{function}: parsing {}: {reason}", quoted(&shown)).into()
}

fn parse_bool(_: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(mismatch()) };
    match &**text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        other => Err(number_error("parseBool: strconv.ParseBool", other, "invalid syntax")),
    }
}

fn parse_float(_: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(mismatch()) };
    if text.is_empty() {
        return Ok(Value::Float(0.0));
    }
    let function = "parseFloat: strconv.ParseFloat";
    // The literals of templates also allow underscores and hexadecimal digits.
    let number: Option<f64> = text.parse().ok().or_else(|| crate::number::parse_float(text));
    let number = number.ok_or_else(|| number_error(function, text, "invalid syntax"))?;
    let names_infinity = text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    if number.is_infinite() && !names_infinity {
        return Err(number_error(function, text, "value out of range"));
    }
    Ok(Value::Float(number))
}

fn parse_int(_: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(mismatch()) };
    if text.is_empty() {
        return Ok(Value::Int(0));
    }
    let number = text.parse().map_err(|error| integer_error("parseInt: strconv.ParseInt", text, &error))?;
    Ok(Value::Int(number))
}

fn parse_uint(_: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(mismatch()) };
    let function = "parseUint: strconv.ParseUint";
    if text.is_empty() {
        return Ok(Value::Uint(0));
    }
    // Go takes no sign here.
    if text.starts_with('+') {
        return Err(number_error(function, text, "invalid syntax"));
    }
    let number = text.parse().map_err(|error| integer_error(function, text, &error))?;
    Ok(Value::Uint(number))
}
