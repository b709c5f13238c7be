//! A value while it is evaluated, with the little of Go's reflection that shows in results and errors.

use crate::value::{Type, Value};

/// A value, and whether Go would still see the interface around it.
///
/// What is taken out of a list or map of any type is *boxed*: `len` of a boxed nil is an error of its own, and errors
/// name its type `interface {}`. A pipeline takes the box off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Datum {
    pub(crate) value: Value,
    pub(crate) boxed: bool,
}

impl Datum {
    pub(crate) fn plain(value: Value) -> Datum {
        Datum { value, boxed: false }
    }

    /// An element of a list or map of the given element type.
    pub(crate) fn element(value: Value, kind: &Type) -> Datum {
        Datum { value, boxed: *kind == Type::Any }
    }

    pub(crate) fn unboxed(self) -> Datum {
        Datum::plain(self.value)
    }

    /// Whether there is no value at all, not even a nil one.
    pub(crate) fn is_invalid(&self) -> bool {
        !self.boxed && matches!(self.value, Value::Nil)
    }

    /// The type that errors name.
    pub(crate) fn static_type(&self) -> Option<Type> {
        if self.boxed { Some(Type::Any) } else { self.value.type_of() }
    }

    /// The value as a parameter of type `wanted`, or the type that does not fit; `None` if there is no value at all.
    pub(crate) fn assign(&self, wanted: &Type) -> Result<Value, Option<Type>> {
        if *wanted == Type::Any {
            return Ok(self.value.clone());
        }
        if self.is_invalid() {
            return if wanted.can_be_nil() { Ok(wanted.zero()) } else { Err(None) };
        }
        match self.value.type_of() {
            Some(kind) if kind == *wanted => Ok(self.value.clone()),
            Some(kind) => Err(Some(kind)),
            None => Err(Some(Type::Any)),
        }
    }
}
