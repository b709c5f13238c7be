//! Go's built-in functions, except `and` and `or`, which the executor evaluates itself because they stop early.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::compare::{equal, less};
use crate::datum::Datum;
use crate::escape;
use crate::format::{print, print_line};
use crate::functions::{Call, FunctionError};
use crate::limits::Limit;
use crate::printf::print_formatted;
use crate::text::Text;
use crate::value::{List, Value};

/// A built-in function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Call,
    Equal,
    GreaterOrEqual,
    Greater,
    Html,
    Index,
    JavaScript,
    Length,
    LessOrEqual,
    Less,
    NotEqual,
    Not,
    Or,
    Print,
    PrintFormatted,
    PrintLine,
    Slice,
    UrlQuery,
}

/// What a built-in function wants of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The argument as it is: Go's `reflect.Value`.
    Raw,
    /// Any value: Go's `interface {}`.
    Any,
    /// A string.
    String,
}

type Outcome = Result<Value, FunctionError>;

impl Builtin {
    pub(crate) fn find(name: &str) -> Option<Builtin> {
        Some(match name {
            "and" => Builtin::And,
            "call" => Builtin::Call,
            "eq" => Builtin::Equal,
            "ge" => Builtin::GreaterOrEqual,
            "gt" => Builtin::Greater,
            "html" => Builtin::Html,
            "index" => Builtin::Index,
            "js" => Builtin::JavaScript,
            "le" => Builtin::LessOrEqual,
            "len" => Builtin::Length,
            "lt" => Builtin::Less,
            "ne" => Builtin::NotEqual,
            "not" => Builtin::Not,
            "or" => Builtin::Or,
            "print" => Builtin::Print,
            "printf" => Builtin::PrintFormatted,
            "println" => Builtin::PrintLine,
            "slice" => Builtin::Slice,
            "urlquery" => Builtin::UrlQuery,
            _ => return None,
        })
    }

    /// How many arguments there must be, and whether there may be more.
    pub(crate) fn arity(self) -> (usize, bool) {
        match self {
            Builtin::And | Builtin::Or | Builtin::Call | Builtin::Equal | Builtin::Index | Builtin::Slice => (1, true),
            Builtin::PrintFormatted => (1, true),
            Builtin::Html | Builtin::JavaScript | Builtin::Print | Builtin::PrintLine | Builtin::UrlQuery => (0, true),
            Builtin::Length | Builtin::Not => (1, false),
            Builtin::GreaterOrEqual | Builtin::Greater | Builtin::LessOrEqual | Builtin::Less | Builtin::NotEqual => {
                (2, false)
            }
        }
    }

    /// What the function wants of its argument at `index`.
    pub(crate) fn wanted(self, index: usize) -> Wanted {
        match self {
            Builtin::PrintFormatted if index == 0 => Wanted::String,
            Builtin::Html
            | Builtin::JavaScript
            | Builtin::Print
            | Builtin::PrintFormatted
            | Builtin::PrintLine
            | Builtin::UrlQuery => Wanted::Any,
            Builtin::And
            | Builtin::Call
            | Builtin::Equal
            | Builtin::GreaterOrEqual
            | Builtin::Greater
            | Builtin::Index
            | Builtin::Length
            | Builtin::LessOrEqual
            | Builtin::Less
            | Builtin::NotEqual
            | Builtin::Not
            | Builtin::Or
            | Builtin::Slice => Wanted::Raw,
        }
    }

    /// Calls the function. The number of arguments has been checked against [`Builtin::arity`]; `callee` is how the
    /// template spells the first one, for the errors of `call`.
    pub(crate) fn call(self, call: &mut Call<'_>, arguments: &[Datum], callee: &str) -> Outcome {
        match (self, arguments) {
            (Builtin::Length, [item]) => length(item).map(Value::Int),
            (Builtin::Not, [item]) => Ok(Value::Bool(!item.value.is_true())),
            (Builtin::Index, [item, indexes @ ..]) => index(item, indexes),
            (Builtin::Slice, [item, indexes @ ..]) => slice(call, &item.value, indexes),
            (Builtin::Call, [function, arguments @ ..]) => call_value(call, callee, &function.value, arguments),
            (Builtin::Equal | Builtin::NotEqual, [first, other]) => {
                call.budget.read(first.value.size())?;
                call.budget.read(other.value.size())?;
                let equal = equal(&first.value, core::slice::from_ref(&other.value))?;
                Ok(Value::Bool(equal == (self == Builtin::Equal)))
            }
            _ => {
                for argument in arguments {
                    call.budget.read(argument.value.size())?;
                }
                let values: Vec<Value> = arguments.iter().map(|argument| argument.value.clone()).collect();
                self.call_with_values(call, &values)
            }
        }
    }

    fn call_with_values(self, call: &mut Call<'_>, values: &[Value]) -> Outcome {
        match (self, values) {
            (Builtin::Equal, [first, others @ ..]) => equal(first, others).map(Value::Bool),
            (Builtin::NotEqual, [first, others @ ..]) => equal(first, others).map(|equal| Value::Bool(!equal)),
            (Builtin::Less, [first, second]) => less(first, second).map(Value::Bool),
            (Builtin::LessOrEqual, [first, second]) => less_or_equal(first, second).map(Value::Bool),
            (Builtin::Greater, [first, second]) => less_or_equal(first, second).map(|less| Value::Bool(!less)),
            (Builtin::GreaterOrEqual, [first, second]) => less(first, second).map(|less| Value::Bool(!less)),
            (Builtin::Print, _) => text(call, |out| print(out, values)),
            (Builtin::PrintLine, _) => text(call, |out| print_line(out, values)),
            (Builtin::PrintFormatted, [Value::String(format), values @ ..]) => {
                text(call, |out| print_formatted(out, format, values))
            }
            (Builtin::Html, _) => escaped(call, values, escape::html),
            (Builtin::JavaScript, _) => escaped(call, values, escape::javascript),
            (Builtin::UrlQuery, _) => escaped(call, values, escape::url_query),
            _ => Err(FunctionError::from("wrong arguments for a built-in function")),
        }
    }
}

/// Builds a string within what the rendering may still build.
fn text(call: &mut Call<'_>, write: impl FnOnce(&mut Text)) -> Outcome {
    let mut out = Text::new(call.room(), Limit::WorkingBytes);
    write(&mut out);
    let text = out.finish()?;
    call.build(text.len())?;
    Ok(Value::from(text))
}

/// Escapes the text of all arguments, which are joined as `print` does.
fn escaped(call: &mut Call<'_>, values: &[Value], escape: fn(&mut Text, &str)) -> Outcome {
    if let [Value::String(single)] = values {
        return text(call, |out| escape(out, single));
    }
    let printable = |value: &Value| if let Value::Nil = value { Value::from("<no value>") } else { value.clone() };
    let values: Vec<Value> = values.iter().map(printable).collect();
    let joined = text(call, |out| print(out, &values))?;
    let Value::String(joined) = joined else { return Ok(joined) };
    text(call, |out| escape(out, &joined))
}

fn length(item: &Datum) -> Result<i64, FunctionError> {
    let length = match &item.value {
        Value::Nil if item.boxed => return Err("len of nil pointer".into()),
        // Go's reflection panics here, and the template reports its words.
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::String(text) => text.len(),
        Value::List(list) => list.items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Byte(_)
        | Value::Float(_)
        | Value::Complex(..)
        | Value::Struct(_)
        | Value::Function(_) => return Err(format!("len of type {}", item.value.type_name()).into()),
    };
    Ok(i64::try_from(length).expect("what is in memory is shorter than 2^63"))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is refused alike")]
fn index(item: &Datum, indexes: &[Datum]) -> Outcome {
    if let Value::Nil = item.value {
        return Err("index of untyped nil".into());
    }
    let mut item = item.value.clone();
    for Datum { value: index, .. } in indexes {
        item = match &item {
            Value::Nil => return Err("index of nil pointer".into()),
            Value::List(list) => {
                let at = position(index, list.items.len())?;
                list.items.get(at).ok_or("reflect: slice index out of range")?.clone()
            }
            Value::String(text) => {
                let at = position(index, text.len())?;
                Value::Byte(*text.as_bytes().get(at).ok_or("reflect: string index out of range")?)
            }
            Value::Map(map) => match index {
                Value::String(key) => map.entries.get(key).cloned().unwrap_or_else(|| map.element.zero()),
                Value::Nil => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name()).into()),
            },
            Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Byte(_)
            | Value::Float(_)
            | Value::Complex(..)
            | Value::Struct(_)
            | Value::Function(_) => return Err(format!("can't index item of type {}", item.type_name()).into()),
        };
    }
    Ok(item)
}

/// A position of at most `length`; one that equals it is for the caller to refuse or to allow.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is refused alike")]
fn position(index: &Value, length: usize) -> Result<usize, FunctionError> {
    let number = match index {
        Value::Int(number) => *number,
        Value::Uint(number) => *number as i64,
        Value::Byte(number) => i64::from(*number),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    };
    let at = usize::try_from(number).ok().filter(|&at| at <= length);
    at.ok_or_else(|| format!("index out of range: {number}").into())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is refused alike")]
fn slice(call: &mut Call<'_>, item: &Value, indexes: &[Datum]) -> Outcome {
    if let Value::Nil = item {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let length = match item {
        Value::String(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::String(text) => text.len(),
        Value::List(list) => list.items.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = position(&index.value, length)?;
    }
    let [start, end, capacity] = bounds;
    for (low, high) in [(start, end), (end, capacity)] {
        if low > high {
            return Err(format!("invalid slice index: {low} > {high}").into());
        }
    }
    call.build(item.size().min((end - start) * size_of::<Value>()))?;
    Ok(match item {
        Value::List(list) => sublist(list, start, end),
        Value::String(text) => Value::from(String::from_utf8_lossy(&text.as_bytes()[start..end]).as_ref()),
        _ => Value::Nil,
    })
}

fn sublist(list: &List, start: usize, end: usize) -> Value {
    Value::list(list.element.clone(), list.items[start..end].to_vec())
}

fn less_or_equal(first: &Value, second: &Value) -> Result<bool, FunctionError> {
    Ok(less(first, second)? || equal(first, core::slice::from_ref(second))?)
}

/// `call`: a function that the data holds.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind of value is refused alike")]
fn call_value(call: &mut Call<'_>, callee: &str, function: &Value, arguments: &[Datum]) -> Outcome {
    let function = match function {
        Value::Function(function) => function,
        Value::Nil => return Err("call of nil".into()),
        other => return Err(format!("non-function {callee} of type {}", other.type_name()).into()),
    };
    let signature = function.signature();
    let (wanted, got) = (signature.parameters.len(), arguments.len());
    if got < wanted || (got > wanted && signature.variadic.is_none()) {
        let least = if signature.variadic.is_some() { "at least " } else { "" };
        return Err(format!("wrong number of args for {callee}: got {got} want {least}{wanted}").into());
    }
    let mut values = Vec::with_capacity(got);
    for (at, argument) in arguments.iter().enumerate() {
        call.budget.read(argument.value.size())?;
        let Some(parameter) = signature.parameter(at) else { break };
        values.push(argument.assign(parameter).map_err(|kind| match kind {
            None => format!("arg {at}: value is nil; should be of type {parameter}"),
            Some(kind) => format!("arg {at}: value has type {kind}; should be {parameter}"),
        })?);
    }
    function.call(call, &values)
}
