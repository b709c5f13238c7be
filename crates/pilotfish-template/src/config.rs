//! The functions of ContainerPilot's configuration (config/template/README.md of version 3.8), and its way to render.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;
use crate::facts::Facts;
use crate::format::print_value;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::Limit;
use crate::regular::regex_replace_all;
use crate::template::{MissingKey, Output, RenderOptions, Template};
use crate::text::Text;
use crate::value::{Type, Value};

type Outcome = Result<Value, FunctionError>;

/// ContainerPilot's functions: `default`, `split`, `join`, `replaceAll`, `regexReplaceAll`, `loop` and `env`. All take
/// the value they work on last, so that it can come from a pipeline.
pub fn config_functions() -> Functions {
    let mut functions = Functions::new();
    let strings = |count: usize| alloc::vec![Type::String; count];
    functions
        .insert("default", Function::new([Type::Any, Type::Any], default))
        .insert("split", Function::new(strings(2), split))
        .insert("join", Function::new([Type::String, Type::list(Type::String)], join))
        .insert("replaceAll", Function::new(strings(3), replace_all))
        .insert("regexReplaceAll", Function::new(strings(3), regex_replace_all))
        .insert("loop", Function::new([], count).variadic(Type::Any))
        .insert("env", Function::new(strings(1), environment));
    functions
}

/// Renders a configuration over the environment, as ContainerPilot does: variables are the keys of the dot, and one
/// that is not set is the empty string.
///
/// # Errors
/// As [`Template::parse`] and [`Template::render`].
pub fn render_config(name: &str, text: &str, environment: &BTreeMap<String, String>) -> Result<Output, Error> {
    let template = Template::parse(name, text, &config_functions())?;
    let data = Value::string_map(environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let options = RenderOptions { missing_key: MissingKey::Zero, ..RenderOptions::default() };
    template.render(&data, &mut Facts::from_environment(environment), &options)
}

pub(crate) fn mismatch() -> FunctionError {
    FunctionError::from("arguments do not match the function's parameters")
}

/// Only a string that is not empty takes the place of the default; this is so for numbers too.
fn default(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [fallback, value] = arguments else { return Err(mismatch()) };
    match (value, fallback) {
        (Value::String(text), _) if !text.is_empty() => Ok(value.clone()),
        (_, Value::String(_)) => Ok(fallback.clone()),
        _ => {
            let mut text = Text::new(call.room(), Limit::WorkingBytes);
            print_value(&mut text, fallback);
            let text = text.finish()?;
            call.build(text.len())?;
            Ok(Value::from(text))
        }
    }
}

/// `split SEPARATOR TEXT`. Space around the text goes first; an empty text has no parts.
pub(crate) fn split(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(separator), Value::String(text)] = arguments else { return Err(mismatch()) };
    let text = text.trim();
    let count = match (text.is_empty(), separator.is_empty()) {
        (true, _) => 0,
        (false, true) => text.chars().count(),
        (false, false) => text.matches(&**separator).count() + 1,
    };
    // Each part is a value and a shared string with its two counters.
    call.build(text.len() + count * (size_of::<Value>() + 2 * size_of::<usize>()))?;
    let parts: Vec<Value> = match (count, separator.is_empty()) {
        (0, _) => Vec::new(),
        (_, true) => text.chars().map(|part| Value::from(&*part.encode_utf8(&mut [0; 4]))).collect(),
        (_, false) => text.split(&**separator).map(Value::from).collect(),
    };
    Ok(Value::list(Type::String, parts))
}

/// `join SEPARATOR LIST`.
pub(crate) fn join(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(separator), Value::List(list)] = arguments else { return Err(mismatch()) };
    let mut text = Text::new(call.room(), Limit::WorkingBytes);
    for (at, item) in list.items.iter().enumerate() {
        if at > 0 {
            text.push_str(separator);
        }
        print_value(&mut text, item);
    }
    let text = text.finish()?;
    call.build(text.len())?;
    Ok(Value::from(text))
}

/// `replaceAll FROM TO TEXT`.
pub(crate) fn replace_all(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(from), Value::String(to), Value::String(text)] = arguments else { return Err(mismatch()) };
    let found = text.matches(&**from).count();
    call.build((text.len() + to.len() * found) - from.len() * found)?;
    Ok(Value::from(text.replace(&**from, to)))
}

/// `loop STOP` or `loop START STOP`: the numbers from the start up to, or down to, but without the stop.
fn count(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let (start, stop) = match arguments {
        [stop] => (0, integer(stop)?),
        [start, stop] => (integer(start)?, integer(stop)?),
        _ => {
            let got = arguments.len();
            return Err(format!("loop: wrong number of arguments, expected 1 or 2, but got {got}").into());
        }
    };
    let count = usize::try_from(start.abs_diff(stop)).unwrap_or(usize::MAX);
    call.build(count.saturating_mul(size_of::<Value>()))?;
    let step = if stop < start { -1 } else { 1 };
    let mut items = Vec::with_capacity(count);
    let mut number = start;
    while number != stop {
        items.push(Value::Int(number));
        number += step;
    }
    Ok(Value::list(Type::Int, items))
}

/// A bound of `loop`: a number, or a string that reads as one.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is refused alike")]
fn integer(value: &Value) -> Result<i64, FunctionError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::String(text) => text.parse().map_err(|error: core::num::ParseIntError| {
            let reason = match error.kind() {
                core::num::IntErrorKind::PosOverflow | core::num::IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            format!("strconv.Atoi: parsing {}: {reason}", crate::quote::quoted(text)).into()
        }),
        Value::Nil => Err("interface conversion: interface {} is nil, not int".into()),
        other => Err(format!("interface conversion: interface {{}} is {}, not int", other.type_name()).into()),
    }
}

/// `env NAME`: a variable of the environment; one that is not set is empty.
pub(crate) fn environment(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(name)] = arguments else { return Err(mismatch()) };
    Ok(call.fact("env", name).unwrap_or_else(|| Value::from("")))
}
