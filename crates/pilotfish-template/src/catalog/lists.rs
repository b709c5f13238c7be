//! Whether lists and texts contain something.

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::value::{Type, Value};

type Outcome = Result<Value, FunctionError>;

const NO_TYPE: &str = "reflect: call of reflect.Value.Type on zero Value";

pub(super) fn add(functions: &mut Functions) {
    functions
        .insert(
            "in",
            Function::new([Type::Any, Type::Any], |call, arguments| match arguments {
                [list, item] => contains(call, list, item).map(Value::Bool),
                _ => Err(mismatch()),
            }),
        )
        .insert(
            "contains",
            Function::new([Type::Any, Type::Any], |call, arguments| match arguments {
                [item, list] => contains(call, list, item).map(Value::Bool),
                _ => Err(mismatch()),
            }),
        );
    // What decides before the last item, and what it then decides.
    for (name, deciding, result) in [
        ("containsAll", false, false),
        ("containsAny", true, true),
        ("containsNone", true, false),
        ("containsNotAll", false, true),
    ] {
        let some = move |call: &mut Call<'_>, arguments: &[Value]| contains_some(call, arguments, deciding, result);
        functions.insert(name, Function::new([Type::list(Type::Any), Type::Any], some));
    }
}

/// Whether one of the items is, or is not, in the list.
fn contains_some(call: &mut Call<'_>, arguments: &[Value], deciding: bool, result: bool) -> Outcome {
    let [Value::List(items), list] = arguments else { return Err(mismatch()) };
    for item in &items.items {
        if contains(call, list, item)? == deciding {
            return Ok(Value::Bool(result));
        }
    }
    Ok(Value::Bool(!result))
}

/// Whether a list has an item of the same kind and value, or a text has a part.
fn contains(call: &mut Call<'_>, list: &Value, item: &Value) -> Result<bool, FunctionError> {
    call.spend(1 + list_cost(list, item))?;
    let is_text = |value: &Value| matches!(value, Value::String(_));
    match (list, item) {
        // Go asks for the type of what has none.
        (Value::List(list), Value::Nil) if list.items.iter().any(is_text) => Err(NO_TYPE.into()),
        (Value::String(_), Value::Nil) => Err(NO_TYPE.into()),
        (Value::List(list), _) => Ok(list.items.iter().any(|one| match (one, item) {
            (Value::Int(one), Value::Int(two)) => one == two,
            (Value::Float(one), Value::Float(two)) => one == two,
            (Value::String(one), Value::String(two)) => one == two,
            _ => false,
        })),
        (Value::String(text), Value::String(part)) => Ok(text.contains(&**part)),
        _ => Ok(false),
    }
}

/// What looking through a list or text costs, in steps.
fn list_cost(list: &Value, item: &Value) -> u64 {
    (list.size() / 256 + item.size() / 64) as u64
}
