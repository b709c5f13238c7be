//! The values that templates work on, and the names that Go gives their types.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::functions::Function;

/// A value. Cloning is cheap: text, lists, maps and structs are shared.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Go's nil: no value at all.
    #[default]
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `uint`.
    Uint(u64),
    /// `uint8`: what indexing a string gives.
    Byte(u8),
    /// `float64`.
    Float(f64),
    /// `complex128`: real and imaginary part.
    Complex(f64, f64),
    /// `string`.
    String(Arc<str>),
    /// A slice.
    List(Arc<List>),
    /// A map with strings as keys; it is always walked in their order.
    Map(Arc<Map>),
    /// A struct: a field that it does not have is an error, where a missing key of a map is `<no value>`.
    Struct(Arc<Struct>),
    /// A function, for `call`.
    Function(Arc<Function>),
}

/// A list whose elements are of one type, or of any.
#[derive(Debug)]
pub struct List {
    /// The type of the elements; [`Type::Any`] for mixed ones.
    pub element: Type,
    /// The elements.
    pub items: Vec<Value>,
}

/// A map whose values are of one type, or of any.
#[derive(Debug)]
pub struct Map {
    /// The type of the values; [`Type::Any`] for mixed ones.
    pub element: Type,
    /// The values by their keys.
    pub entries: BTreeMap<Arc<str>, Value>,
}

/// A struct value.
#[derive(Debug)]
pub struct Struct {
    /// What the struct is, shared by all values of its kind.
    pub kind: Arc<StructType>,
    /// The values of the fields, in the order of [`StructType::fields`].
    pub fields: Vec<Value>,
}

/// The name, the fields and the methods of a kind of struct.
#[derive(Debug)]
pub struct StructType {
    /// The type's name in errors, such as `*dep.HealthService`.
    pub name: Arc<str>,
    /// The names of the fields, in the order in which the struct is printed.
    pub fields: Vec<Arc<str>>,
    /// Methods by name. Each receives the struct as its first argument, before those that the template gives.
    pub methods: BTreeMap<Arc<str>, Function>,
}

impl StructType {
    /// A kind of struct without methods.
    pub fn new(name: &str, fields: &[&str]) -> Arc<StructType> {
        let fields = fields.iter().map(|&field| Arc::from(field)).collect();
        Arc::new(StructType { name: Arc::from(name), fields, methods: BTreeMap::new() })
    }
}

impl Struct {
    /// The value of the field `name`, or `None` if the struct has no such field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let at = self.kind.fields.iter().position(|field| &**field == name)?;
        self.fields.get(at)
    }
}

/// A type: of a value, of the elements of a list or map, or of the parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`: any value, and nil.
    Any,
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `uint`.
    Uint,
    /// `uint8`.
    Byte,
    /// `float64`.
    Float,
    /// `complex128`.
    Complex,
    /// `string`.
    String,
    /// A slice of the given type.
    List(Arc<Type>),
    /// A map from strings to the given type.
    Map(Arc<Type>),
    /// A struct, by its name.
    Struct(Arc<str>),
    /// A function.
    Function,
}

impl Type {
    /// A list of `element`s.
    pub fn list(element: Type) -> Type {
        Type::List(Arc::new(element))
    }

    /// A map from strings to `element`s.
    pub fn map(element: Type) -> Type {
        Type::Map(Arc::new(element))
    }

    /// What a variable of this type holds before anything is put into it.
    pub fn zero(&self) -> Value {
        match self {
            Type::Any | Type::Struct(_) | Type::Function => Value::Nil,
            Type::Bool => Value::Bool(false),
            Type::Int => Value::Int(0),
            Type::Uint => Value::Uint(0),
            Type::Byte => Value::Byte(0),
            Type::Float => Value::Float(0.0),
            Type::Complex => Value::Complex(0.0, 0.0),
            Type::String => Value::from(""),
            Type::List(element) => Value::list((**element).clone(), Vec::new()),
            Type::Map(element) => Value::map((**element).clone(), BTreeMap::new()),
        }
    }

    /// Whether nil can stand for a value of this type.
    pub(crate) fn can_be_nil(&self) -> bool {
        matches!(self, Type::Any | Type::List(_) | Type::Map(_) | Type::Function)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Any => "interface {}",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Byte => "uint8",
            Type::Float => "float64",
            Type::Complex => "complex128",
            Type::String => "string",
            Type::List(element) => return write!(f, "[]{element}"),
            Type::Map(element) => return write!(f, "map[string]{element}"),
            Type::Struct(name) => name,
            Type::Function => "func()",
        })
    }
}

impl Value {
    /// A list of elements of the type `element`.
    pub fn list(element: Type, items: Vec<Value>) -> Value {
        Value::List(Arc::new(List { element, items }))
    }

    /// A list of strings.
    pub fn strings<'a>(items: impl IntoIterator<Item = &'a str>) -> Value {
        Value::list(Type::String, items.into_iter().map(Value::from).collect())
    }

    /// A map from strings to values of the type `element`.
    pub fn map(element: Type, entries: BTreeMap<Arc<str>, Value>) -> Value {
        Value::Map(Arc::new(Map { element, entries }))
    }

    /// A map from strings to strings, such as an environment.
    pub fn string_map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
        let entries = entries.into_iter().map(|(key, value)| (Arc::from(key), Value::from(value)));
        Value::map(Type::String, ordered(entries))
    }

    /// A struct of the given kind; the fields that `fields` leaves out are nil.
    pub fn structure(kind: &Arc<StructType>, mut fields: Vec<Value>) -> Value {
        fields.resize(kind.fields.len(), Value::Nil);
        Value::Struct(Arc::new(Struct { kind: Arc::clone(kind), fields }))
    }

    /// The type of the value, or `None` for nil.
    pub fn type_of(&self) -> Option<Type> {
        Some(match self {
            Value::Nil => return None,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Uint(_) => Type::Uint,
            Value::Byte(_) => Type::Byte,
            Value::Float(_) => Type::Float,
            Value::Complex(..) => Type::Complex,
            Value::String(_) => Type::String,
            Value::List(list) => Type::list(list.element.clone()),
            Value::Map(map) => Type::map(map.element.clone()),
            Value::Struct(structure) => Type::Struct(Arc::clone(&structure.kind.name)),
            Value::Function(_) => Type::Function,
        })
    }

    /// The name of the value's type, as `%T` prints it.
    pub(crate) fn type_name(&self) -> String {
        self.type_of().map_or_else(|| String::from("<nil>"), |kind| alloc::format!("{kind}"))
    }

    /// What `if` makes of the value: false for nil, zero and whatever is empty.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != 0,
            Value::Uint(number) => *number != 0,
            Value::Byte(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::List(list) => !list.items.is_empty(),
            Value::Map(map) => !map.entries.is_empty(),
            Value::Struct(_) | Value::Function(_) => true,
        }
    }

    /// The bytes that reading the value at its top level costs; what is nested in it is not followed.
    pub(crate) fn size(&self) -> usize {
        match self {
            Value::String(text) => text.len(),
            Value::List(list) => list.items.len() * size_of::<Value>(),
            Value::Map(_)
            | Value::Nil
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Byte(_)
            | Value::Float(_)
            | Value::Complex(..)
            | Value::Struct(_)
            | Value::Function(_) => 0,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Arc::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(Arc::from(text))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Float(number)
    }
}

/// A map of entries in any order. `collect` would do, but it sorts them in a list first, which is 5 KB of code for each of its callers.
pub(crate) fn ordered<K: Ord, V>(entries: impl Iterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}
