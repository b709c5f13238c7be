//! The functions that ask the outside: the catalog, its keys, files, the environment.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::value::{Type, Value};

use super::answers::{HEALTH_SERVICE, KEY_PAIR, SNIPPET, type_named};
use super::question::{DatacentersQuery, Question, QuestionError};

type Outcome = Result<Value, FunctionError>;

pub(super) fn add(functions: &mut Functions) {
    let strings = |count: usize| alloc::vec![Type::String; count];
    functions
        .insert("service", Function::new([], service).variadic(Type::String))
        .insert("services", Function::new([], services).variadic(Type::String))
        .insert("node", Function::new([], node).variadic(Type::String))
        .insert("nodes", Function::new([], nodes).variadic(Type::String))
        .insert("datacenters", Function::new([], datacenters).variadic(Type::Bool))
        .insert("key", Function::new(strings(1), key))
        .insert("keyExists", Function::new(strings(1), key_exists))
        .insert("keyOrDefault", Function::new(strings(2), key_or_default))
        .insert("ls", Function::new(strings(1), |call, arguments| pairs(call, arguments, is_leaf, false)))
        .insert("safeLs", Function::new(strings(1), |call, arguments| pairs(call, arguments, is_leaf, true)))
        .insert("tree", Function::new(strings(1), |call, arguments| pairs(call, arguments, is_no_folder, false)))
        .insert("safeTree", Function::new(strings(1), |call, arguments| pairs(call, arguments, is_no_folder, true)))
        .insert("file", Function::new(strings(1), file))
        .insert("mustEnv", Function::new(strings(1), must_env))
        .insert("envOrDefault", Function::new(strings(2), env_or_default));
}

impl From<QuestionError> for FunctionError {
    fn from(error: QuestionError) -> Self {
        FunctionError::Failed(error.to_string())
    }
}

/// Asks, and gives what was answered, if it was.
fn ask(call: &mut Call<'_>, question: &Question) -> Option<Value> {
    let query = question.to_query();
    call.fact(&query.source, &query.name)
}

/// The arguments' texts with `separator` between them.
fn joined(arguments: &[Value], separator: &str) -> Result<String, FunctionError> {
    let mut text = String::new();
    for (at, argument) in arguments.iter().enumerate() {
        let Value::String(part) = argument else { return Err(mismatch()) };
        if at > 0 {
            text.push_str(separator);
        }
        text.push_str(part);
    }
    Ok(text)
}

fn text(arguments: &[Value]) -> Result<&str, FunctionError> {
    match arguments {
        [Value::String(text), ..] => Ok(text),
        _ => Err(mismatch()),
    }
}

fn service(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let empty = || Value::list(type_named(HEALTH_SERVICE), Vec::new());
    if arguments.is_empty() || text(arguments)?.is_empty() {
        return Ok(empty());
    }
    let question = Question::service(&joined(arguments, "|")?)?;
    Ok(ask(call, &question).unwrap_or_else(empty))
}

fn services(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let question = Question::services(&joined(arguments, "")?)?;
    Ok(ask(call, &question).unwrap_or_else(|| Value::list(type_named(SNIPPET), Vec::new())))
}

fn node(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let question = Question::node(&joined(arguments, "")?)?;
    Ok(ask(call, &question).unwrap_or_default())
}

fn nodes(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let question = Question::nodes(&joined(arguments, "")?)?;
    Ok(ask(call, &question).unwrap_or_else(|| Value::list(type_named("*dependency.Node"), Vec::new())))
}

fn datacenters(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let only_reachable = match arguments {
        [] => false,
        [Value::Bool(ignore)] => *ignore,
        _ => {
            let got = arguments.len();
            return Err(format!("datacenters: wrong number of arguments, expected 0 or 1, but got {got}").into());
        }
    };
    let question = Question::Datacenters(DatacentersQuery { only_reachable });
    Ok(ask(call, &question).unwrap_or_else(|| Value::strings([])))
}

/// `key PATH`: waits until the key exists.
fn key(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let path = text(arguments)?;
    if path.is_empty() {
        return Ok(Value::from(""));
    }
    let question = Question::key(path)?;
    match ask(call, &question) {
        Some(Value::Nil) => {
            call.block(question.to_query());
            Ok(Value::from(""))
        }
        Some(value) => Ok(value),
        None => Ok(Value::from("")),
    }
}

fn key_exists(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let path = text(arguments)?;
    if path.is_empty() {
        return Ok(Value::Bool(false));
    }
    let answer = ask(call, &Question::key(path)?);
    Ok(Value::Bool(answer.is_some_and(|value| !matches!(value, Value::Nil))))
}

/// `keyOrDefault PATH DEFAULT`: the default also stands for an empty value.
fn key_or_default(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(path), fallback] = arguments else { return Err(mismatch()) };
    if path.is_empty() {
        return Ok(fallback.clone());
    }
    let answer = ask(call, &Question::key(path)?);
    Ok(answer.filter(Value::is_true).unwrap_or_else(|| fallback.clone()))
}

/// Whether `ls` gives a key: it is directly below the prefix.
fn is_leaf(key: &str) -> bool {
    !key.is_empty() && !key.contains('/')
}

/// Whether `tree` gives a key: it is no folder.
fn is_no_folder(key: &str) -> bool {
    !key.is_empty() && !key.ends_with('/')
}

/// The pairs below a prefix whose keys are `wanted`; if that is none and it `must_exist`, the rendering waits.
fn pairs(call: &mut Call<'_>, arguments: &[Value], wanted: fn(&str) -> bool, must_exist: bool) -> Outcome {
    let prefix = text(arguments)?;
    let list = |items| Value::list(type_named(KEY_PAIR), items);
    if prefix.is_empty() {
        return Ok(list(Vec::new()));
    }
    let question = Question::tree(prefix)?;
    let Some(answer) = ask(call, &question) else { return Ok(list(Vec::new())) };
    let Value::List(all) = answer else { return Err(mismatch()) };
    call.build(all.items.len() * size_of::<Value>())?;
    let is_wanted = |pair: &&Value| {
        let Value::Struct(pair) = pair else { return false };
        matches!(pair.field("Key"), Some(Value::String(key)) if wanted(key))
    };
    let found: Vec<Value> = all.items.iter().filter(is_wanted).cloned().collect();
    if found.is_empty() && must_exist {
        call.block(question.to_query());
    }
    Ok(list(found))
}

/// `file PATH`. Where the path leads, and whether it may be read, is for whoever answers.
fn file(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let path = text(arguments)?.trim();
    if path.is_empty() {
        return Ok(Value::from(""));
    }
    Ok(ask(call, &Question::File(path.to_string())).unwrap_or_else(|| Value::from("")))
}

fn must_env(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let name = text(arguments)?;
    match ask(call, &Question::Environment(name.to_string())) {
        Some(value) if value.is_true() => Ok(value),
        _ => Err(format!("required environment variable {name} is empty").into()),
    }
}

fn env_or_default(call: &mut Call<'_>, arguments: &[Value]) -> Outcome {
    let [Value::String(name), fallback] = arguments else { return Err(mismatch()) };
    Ok(ask(call, &Question::Environment(name.to_string())).unwrap_or_else(|| fallback.clone()))
}
