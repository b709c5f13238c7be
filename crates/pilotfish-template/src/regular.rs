//! Replacing by regular expression, within the rendering's limits.

use alloc::format;
use alloc::string::String;

use regex_lite::{Captures, Regex, RegexBuilder};

use crate::config::mismatch;
use crate::functions::{Call, FunctionError};
use crate::limits::Limit;
use crate::text::Text;
use crate::value::Value;

/// The sizes that a compiled expression may have, in bytes. The smallest that suffices also tells how long the
/// matching can take at worst: every byte of the text may visit every state.
const COMPILED_SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// Bytes of a compiled expression that one step visits for one byte of text, in bytes.
const COMPILED_BYTES_PER_STEP: usize = 1 << 10;

/// What compiling costs for every step that matching one byte of text would cost, in steps.
const STEPS_TO_COMPILE: usize = 4;

/// `regexReplaceAll PATTERN REPLACEMENT TEXT`. The replacement may name groups: `$1`, `${name}`; `$$` is a dollar sign.
pub(crate) fn regex_replace_all(call: &mut Call<'_>, arguments: &[Value]) -> Result<Value, FunctionError> {
    let [Value::String(pattern), Value::String(replacement), Value::String(text)] = arguments else {
        return Err(mismatch());
    };
    let (regex, size) = compile(call, pattern)?;
    let states = size / COMPILED_BYTES_PER_STEP;
    call.spend((text.len() as u64).saturating_mul(states as u64))?;
    let mut out = Text::new(call.room(), Limit::WorkingBytes);
    let mut copied = 0;
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0) else { continue };
        out.push_str(&text[copied..found.start()]);
        expand(&mut out, replacement, &captures);
        copied = found.end();
        if out.exceeded().is_some() {
            break;
        }
    }
    out.push_str(&text[copied..]);
    let out = out.finish()?;
    call.build(out.len())?;
    Ok(Value::from(out))
}

/// `regexMatch PATTERN TEXT`: whether the pattern is found anywhere in the text.
pub(crate) fn regex_match(call: &mut Call<'_>, arguments: &[Value]) -> Result<Value, FunctionError> {
    let [Value::String(pattern), Value::String(text)] = arguments else { return Err(mismatch()) };
    let (regex, size) = compile(call, pattern)?;
    call.spend((text.len() as u64).saturating_mul((size / COMPILED_BYTES_PER_STEP) as u64))?;
    Ok(Value::Bool(regex.is_match(text)))
}

fn compile(call: &mut Call<'_>, pattern: &str) -> Result<(Regex, usize), FunctionError> {
    let mut reason = String::new();
    for size in COMPILED_SIZES {
        call.spend((size / COMPILED_BYTES_PER_STEP * STEPS_TO_COMPILE) as u64)?;
        match RegexBuilder::new(pattern).size_limit(size).build() {
            Ok(regex) => return Ok((regex, size)),
            Err(error) => reason = format!("{error}"),
        }
    }
    Err(format!("error parsing regexp: {reason}: `{pattern}`").into())
}

/// Appends the replacement of one match, by the rules of Go's `Regexp.Expand`: a name is as long as it can be, and one
/// that does not exist is empty.
fn expand(out: &mut Text, replacement: &str, captures: &Captures<'_>) {
    let mut rest = replacement;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if out.exceeded().is_some() {
            return;
        }
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = group_name(rest) {
            let group = match name.parse::<usize>() {
                Ok(number) => captures.get(number),
                Err(_) => captures.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
}

fn group_name(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let body = braced.unwrap_or(text);
    let end = body.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(body.len());
    let (name, after) = body.split_at(end);
    let after = if braced.is_some() { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}
