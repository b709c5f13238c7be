//! `eq` and `lt`, from which the other comparisons are made.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use crate::format::print_value;
use crate::functions::FunctionError;
use crate::limits::Limit;
use crate::text::Text;
use crate::value::Value;

/// The longest value that an error shows, in bytes.
const MAX_SHOWN: usize = 4_096;

/// The kinds of values that can be ordered or compared with each other.
#[derive(Clone, Copy, PartialEq)]
enum Basic<'v> {
    Bool(bool),
    Integer(i128),
    Float(f64),
    Complex(f64, f64),
    String(&'v str),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(truth) => Basic::Bool(*truth),
        Value::Int(number) => Basic::Integer(i128::from(*number)),
        Value::Uint(number) => Basic::Integer(i128::from(*number)),
        Value::Byte(number) => Basic::Integer(i128::from(*number)),
        Value::Float(number) => Basic::Float(*number),
        Value::Complex(real, imaginary) => Basic::Complex(*real, *imaginary),
        Value::String(text) => Basic::String(text),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Struct(_) | Value::Function(_) => return None,
    })
}

/// Whether `first` equals one of `others`.
pub(crate) fn equal(first: &Value, others: &[Value]) -> Result<bool, FunctionError> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        let same = match (basic(first), basic(other)) {
            (Some(one), Some(two)) if core::mem::discriminant(&one) == core::mem::discriminant(&two) => one == two,
            (None, None) => equal_composites(first, other)?,
            _ if matches!(first, Value::Nil) || matches!(other, Value::Nil) => false,
            _ => return Err("incompatible types for comparison".into()),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_composites(first: &Value, other: &Value) -> Result<bool, FunctionError> {
    match (first, other) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Struct(one), Value::Struct(two)) => Ok(equal_structs(one, two)),
        _ if core::mem::discriminant(first) == core::mem::discriminant(other) => {
            Err(format!("non-comparable type {}: {}", shown(other), other.type_name()).into())
        }
        _ => {
            let (one, two) = (first.type_name(), other.type_name());
            Err(format!("non-comparable types {}: {one}, {two}: {}", shown(first), shown(other)).into())
        }
    }
}

fn equal_structs(one: &Arc<crate::value::Struct>, two: &Arc<crate::value::Struct>) -> bool {
    Arc::ptr_eq(one, two)
        || (Arc::ptr_eq(&one.kind, &two.kind)
            && one
                .fields
                .iter()
                .zip(&two.fields)
                .all(|(a, b)| matches!((basic(a), basic(b)), (Some(a), Some(b)) if a == b)))
}

/// A value in an error, cut at [`MAX_SHOWN`].
pub(crate) fn shown(value: &Value) -> String {
    let mut text = Text::new(MAX_SHOWN, Limit::OutputBytes);
    print_value(&mut text, value);
    text.into_string()
}

/// Whether `first` is less than `second`.
pub(crate) fn less(first: &Value, second: &Value) -> Result<bool, FunctionError> {
    let invalid = "invalid type for comparison";
    let (first, second) = (basic(first).ok_or(invalid)?, basic(second).ok_or(invalid)?);
    match (first, second) {
        (Basic::Integer(first), Basic::Integer(second)) => Ok(first < second),
        (Basic::Float(first), Basic::Float(second)) => Ok(first < second),
        (Basic::String(first), Basic::String(second)) => Ok(first < second),
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Complex(..), Basic::Complex(..)) => Err(invalid.into()),
        _ => Err("incompatible types for comparison".into()),
    }
}
