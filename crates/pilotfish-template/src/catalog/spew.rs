//! `spew_dump` and its like: values with their types, for looking into a template's data.

use alloc::format;

use crate::config::mismatch;
use crate::format::print_value;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::{Limit, MAX_VALUE_NESTING};
use crate::printf::print_formatted;
use crate::quote::quoted;
use crate::text::Text;
use crate::value::{Type, Value};

type Outcome = Result<Value, FunctionError>;

/// Those with `s` give the text; the others print it (see [`Facts::printed`](crate::Facts::printed)). The formats are those
/// of `printf`.
pub(super) fn add(functions: &mut Functions) {
    let printed = |call: &mut Call<'_>, text: Outcome| {
        let Value::String(text) = text? else { return Err(mismatch()) };
        call.print(&text).map(|()| Value::from(""))
    };
    functions
        .insert("spew_sdump", Function::new([], dump).variadic(Type::Any))
        .insert("spew_sprintf", Function::new([Type::String], formatted).variadic(Type::Any))
        .insert(
            "spew_dump",
            Function::new([], move |call, arguments| {
                let text = dump(call, arguments);
                printed(call, text)
            })
            .variadic(Type::Any),
        )
        .insert(
            "spew_printf",
            Function::new([Type::String], move |call, arguments| {
                let text = formatted(call, arguments);
                printed(call, text)
            })
            .variadic(Type::Any),
        );
}

fn formatted(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(format), values @ ..] = arguments else { return Err(mismatch()) };
    let mut out = Text::new(call.room(), Limit::WorkingBytes);
    print_formatted(&mut out, format, values);
    finished(call, out)
}

fn dump(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let mut out = Text::new(call.room(), Limit::WorkingBytes);
    for value in arguments {
        dump_value(&mut out, value, 0);
        out.push('\n');
    }
    finished(call, out)
}

fn finished(call: &mut Call<'_>, out: Text) -> Outcome {
    let text = out.finish()?;
    call.build(text.len())?;
    Ok(Value::from(text))
}

fn dump_value(out: &mut Text, value: &Value, depth: usize) {
    if depth > MAX_VALUE_NESTING {
        out.exceed(Limit::ValueNesting);
    }
    if out.exceeded().is_some() {
        return;
    }
    if let Value::Nil = value {
        out.push_str("(interface {}) <nil>");
        return;
    }
    out.push_str(&format!("({}) ", value.type_name()));
    match value {
        Value::String(text) => {
            if !text.is_empty() {
                out.push_str(&format!("(len={}) ", text.len()));
            }
            out.push_str(&quoted(text));
        }
        Value::List(list) => {
            if !list.items.is_empty() {
                out.push_str(&format!("(len={0} cap={0}) ", list.items.len()));
            }
            entries(out, depth, list.items.iter(), |out, item| {
                out.fill(' ', depth + 1);
                dump_value(out, item, depth + 1);
            });
        }
        Value::Map(map) => {
            if !map.entries.is_empty() {
                out.push_str(&format!("(len={}) ", map.entries.len()));
            }
            entries(out, depth, map.entries.iter(), |out, (key, value)| {
                out.fill(' ', depth + 1);
                out.push_str(&format!("(string) (len={}) {}: ", key.len(), quoted(key)));
                dump_value(out, value, depth + 1);
            });
        }
        Value::Struct(structure) => {
            let fields = structure.kind.fields.iter().zip(&structure.fields);
            entries(out, depth, fields, |out, (name, value)| {
                out.fill(' ', depth + 1);
                out.push_str(&format!("{name}: "));
                dump_value(out, value, depth + 1);
            });
        }
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Byte(_)
        | Value::Float(_)
        | Value::Complex(..)
        | Value::Function(_) => print_value(out, value),
    }
}

fn entries<I>(
    out: &mut Text,
    depth: usize,
    items: impl ExactSizeIterator<Item = I>,
    mut write: impl FnMut(&mut Text, I),
) {
    let count = items.len();
    out.push_str("{\n");
    for (at, item) in items.enumerate() {
        if out.exceeded().is_some() {
            return;
        }
        write(out, item);
        out.push_str(if at + 1 < count { ",\n" } else { "\n" });
    }
    out.fill(' ', depth);
    out.push('}');
}
