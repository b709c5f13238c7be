//! Texts changed: case, ends, indentation, and the numbers that a loop counts through.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::value::{Type, Value, ordered};

use super::numbers::integer_error;

type Outcome = Result<Value, FunctionError>;

pub(super) fn add(functions: &mut Functions) {
    let strings = |count: usize| alloc::vec![Type::String; count];
    let changed = |change: fn(&str) -> String| {
        Function::new([Type::String], move |call, arguments| {
            let [Value::String(text)] = arguments else { return Err(mismatch()) };
            // A letter can have up to three in the other case.
            call.build(3 * text.len())?;
            Ok(Value::from(change(text)))
        })
    };
    functions
        .insert("toLower", changed(|text| text.chars().map(lower).collect()))
        .insert("toUpper", changed(|text| text.chars().map(upper).collect()))
        .insert("toTitle", changed(title))
        .insert("trimSpace", Function::new(strings(1), trim_space))
        .insert("trim", Function::new(strings(2), |call, arguments| trimmed(call, arguments, trim)))
        .insert("trimPrefix", Function::new(strings(2), |call, arguments| trimmed(call, arguments, trim_prefix)))
        .insert("trimSuffix", Function::new(strings(2), |call, arguments| trimmed(call, arguments, trim_suffix)))
        .insert("splitToMap", Function::new(strings(3), split_to_map))
        .insert("indent", Function::new([Type::Int, Type::String], indent))
        .insert("loop", Function::new([], numbers).variadic(Type::Any));
}

/// The letter in lower case; Go has one letter for each, whatever comes before and after.
fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

/// The letter in upper case; one that would become several stays as it is.
fn upper(letter: char) -> char {
    let mut letters = letter.to_uppercase();
    match (letters.next(), letters.next()) {
        (Some(upper), None) => upper,
        _ => letter,
    }
}

/// Every word with its first letter in upper case, and the others as they are. A word is letters, digits and what joins
/// them: underscores, combining marks, and an apostrophe or a full stop between two of a kind.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut previous = ' ';
    let mut is_titled = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_lowercase() || letter.is_uppercase() {
            if is_titled {
                out.push(letter);
            } else {
                out.extend(letter.to_uppercase());
            }
            is_titled = true;
        } else {
            let next = letters.peek().copied().unwrap_or(' ');
            let between = |kind: fn(char) -> bool| kind(previous) && kind(next);
            let joins = letter.is_alphanumeric()
                || letter == '_'
                || is_combining(letter)
                || (matches!(letter, '\'' | '.' | '\u{2019}' | ':' | '\u{b7}') && between(char::is_alphabetic))
                || (matches!(letter, '\'' | '.' | '\u{2019}' | ',' | ';') && between(char::is_numeric));
            is_titled &= joins;
            out.push(letter);
        }
        previous = letter;
    }
    out
}

/// Marks that belong to the letter before them.
fn is_combining(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

fn trim_space(_: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(mismatch()) };
    let trimmed = text.trim();
    Ok(if trimmed.len() == text.len() { Value::String(Arc::clone(text)) } else { Value::from(trimmed) })
}

/// The text without what `trim` takes from its ends.
fn trimmed(call: &mut Call<'_>, arguments: &[Value], trim: fn(&str, &str) -> (usize, usize)) -> Outcome {
    let [Value::String(what), Value::String(text)] = arguments else { return Err(mismatch()) };
    call.spend((what.len() as u64).saturating_mul(text.len() as u64) >> 12)?;
    let (start, end) = trim(what, text);
    call.build(end - start)?;
    Ok(Value::from(&text[start..end]))
}

fn trim(letters: &str, text: &str) -> (usize, usize) {
    let rest = text.trim_start_matches(|letter| letters.contains(letter));
    let start = text.len() - rest.len();
    (start, start + rest.trim_end_matches(|letter| letters.contains(letter)).len())
}

fn trim_prefix(prefix: &str, text: &str) -> (usize, usize) {
    (if text.starts_with(prefix) { prefix.len() } else { 0 }, text.len())
}

fn trim_suffix(suffix: &str, text: &str) -> (usize, usize) {
    (0, text.len() - if text.ends_with(suffix) { suffix.len() } else { 0 })
}

/// `splitToMap BETWEEN_ENTRIES BETWEEN_KEY_AND_VALUE TEXT`; entries that are no pair are left out.
fn split_to_map(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(outer), Value::String(inner), Value::String(text)] = arguments else { return Err(mismatch()) };
    let text = text.trim();
    let count = if outer.is_empty() { text.len() } else { text.matches(&**outer).count() + 1 };
    call.build(text.len() + count * 3 * size_of::<Value>())?;
    let pair = |part: &str| {
        let (key, value) = part.split_once(&**inner)?;
        Some((Arc::from(key), Value::from(value)))
    };
    let pairs: BTreeMap<Arc<str>, Value> = match (text.is_empty(), outer.is_empty()) {
        (true, _) => BTreeMap::new(),
        (false, true) => ordered(text.chars().filter_map(|letter| pair(letter.encode_utf8(&mut [0; 4])))),
        (false, false) => ordered(text.split(&**outer).filter_map(pair)),
    };
    Ok(Value::map(Type::String, pairs))
}

/// `indent SPACES TEXT`: before every line that is not empty.
fn indent(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::Int(spaces), Value::String(text)] = arguments else { return Err(mismatch()) };
    let spaces = usize::try_from(*spaces).map_err(|_| "indent value must be a positive integer")?;
    let lines = text.split_inclusive('\n').filter(|line| *line != "\n").count();
    call.build(text.len().saturating_add(lines.saturating_mul(spaces)))?;
    let mut out = String::with_capacity(text.len() + lines * spaces);
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            out.extend(core::iter::repeat_n(' ', spaces));
        }
        out.push_str(line);
    }
    Ok(Value::from(out))
}

/// `loop STOP` or `loop START STOP`: the numbers from the start up to, but without, the stop. It does not count down.
fn numbers(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let (start, stop) = match arguments {
        [stop] => (0, bound(stop)?),
        [start, stop] => (bound(start)?, bound(stop)?),
        _ => {
            let got = arguments.len();
            return Err(format!("loop: wrong number of arguments, expected 1 or 2, but got {got}").into());
        }
    };
    let count = if stop > start { usize::try_from(stop.abs_diff(start)).unwrap_or(usize::MAX) } else { 0 };
    call.build(count.saturating_mul(size_of::<Value>()))?;
    let numbers: Vec<Value> = (start..stop).map(Value::Int).collect();
    Ok(Value::list(Type::Int, numbers))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is refused alike")]
fn bound(value: &Value) -> Result<i64, FunctionError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => Ok(*number as i64),
        Value::Byte(number) => Ok(i64::from(*number)),
        Value::String(text) if text.is_empty() => Ok(0),
        Value::String(text) => text.parse().map_err(|error| integer_error("parseInt: strconv.ParseInt", text, &error)),
        other => Err(format!("loop: bad argument type: {}", other.type_name()).into()),
    }
}
