//! What can be filtered by: the fields of each answer and their kinds.

use super::expression::{Expression, Operator};
use crate::{patterns, state::quote};

/// The kind of a field.
#[derive(Debug)]
pub(crate) enum Schema {
    Text,
    Integer,
    Truth,
    Texts,
    /// Values by name.
    Map(&'static Schema),
    /// A list of structs: a selector goes on into each of them.
    Each(&'static Schema),
    Struct(&'static [(&'static str, Schema)]),
}

const TEXT_MAP: Schema = Schema::Map(&Schema::Text);

const ADDRESSES: Schema = Schema::Map(&Schema::Struct(&[("Address", Schema::Text), ("Port", Schema::Integer)]));

const WEIGHTS: Schema = Schema::Struct(&[("Passing", Schema::Integer), ("Warning", Schema::Integer)]);

/// A node.
pub(crate) const NODE: Schema = Schema::Struct(&[
    ("ID", Schema::Text),
    ("Node", Schema::Text),
    ("Address", Schema::Text),
    ("Datacenter", Schema::Text),
    ("TaggedAddresses", TEXT_MAP),
    ("Meta", TEXT_MAP),
]);

/// A service on a node.
pub(crate) const NODE_SERVICE: Schema = Schema::Struct(&[
    ("Kind", Schema::Text),
    ("ID", Schema::Text),
    ("Service", Schema::Text),
    ("Tags", Schema::Texts),
    ("Address", Schema::Text),
    ("TaggedAddresses", ADDRESSES),
    ("Meta", TEXT_MAP),
    ("Port", Schema::Integer),
    ("Weights", WEIGHTS),
    ("EnableTagOverride", Schema::Truth),
]);

/// A service of the agent.
pub(crate) const AGENT_SERVICE: Schema = NODE_SERVICE;

/// A check.
pub(crate) const CHECK: Schema = Schema::Struct(&[
    ("Node", Schema::Text),
    ("CheckID", Schema::Text),
    ("Name", Schema::Text),
    ("Status", Schema::Text),
    ("Notes", Schema::Text),
    ("Output", Schema::Text),
    ("ServiceID", Schema::Text),
    ("ServiceName", Schema::Text),
    ("ServiceTags", Schema::Texts),
    ("Type", Schema::Text),
]);

/// An instance of `health/service`.
pub(crate) const HEALTH_SERVICE: Schema =
    Schema::Struct(&[("Node", NODE), ("Service", NODE_SERVICE), ("Checks", Schema::Each(&CHECK))]);

/// An instance of `catalog/service`.
pub(crate) const SERVICE_NODE: Schema = Schema::Struct(&[
    ("ID", Schema::Text),
    ("Node", Schema::Text),
    ("Address", Schema::Text),
    ("Datacenter", Schema::Text),
    ("TaggedAddresses", TEXT_MAP),
    ("NodeMeta", TEXT_MAP),
    ("ServiceKind", Schema::Text),
    ("ServiceID", Schema::Text),
    ("ServiceName", Schema::Text),
    ("ServiceTags", Schema::Texts),
    ("ServiceAddress", Schema::Text),
    ("ServiceTaggedAddresses", ADDRESSES),
    ("ServiceWeights", WEIGHTS),
    ("ServiceMeta", TEXT_MAP),
    ("ServicePort", Schema::Integer),
    ("ServiceEnableTagOverride", Schema::Truth),
]);

/// Refuses an expression that asks for what is not there, or for what cannot be asked of it.
pub(crate) fn check(expression: &Expression, schema: &Schema) -> Result<(), String> {
    match expression {
        Expression::And(left, right) | Expression::Or(left, right) => {
            check(left, schema)?;
            check(right, schema)
        }
        Expression::Not(inner) => check(inner, schema),
        Expression::Match { selector, operator, value } => check_match(selector, *operator, value, schema),
    }
}

fn check_match(selector: &[String], operator: Operator, value: &str, schema: &Schema) -> Result<(), String> {
    let name = quote(&selector.join("."));
    let Some(field) = find(selector, schema) else { return Err(format!("Selector {name} is not valid")) };
    let fits = match operator {
        Operator::Equal | Operator::NotEqual => matches!(field, Schema::Text | Schema::Integer | Schema::Truth),
        Operator::In | Operator::NotIn => matches!(field, Schema::Text | Schema::Texts | Schema::Map(_)),
        Operator::Empty | Operator::NotEmpty => matches!(field, Schema::Texts | Schema::Map(_) | Schema::Each(_)),
        Operator::Matches | Operator::NotMatches => matches!(field, Schema::Text),
    };
    if !fits {
        return Err(format!("Invalid match operator {} for selector {name}", quote(operator.name())));
    }
    let coercion = |function: &str| {
        Err(format!(
            "Failed to coerce value {} for selector {name}: strconv.{function}: parsing {}: invalid syntax",
            quote(value),
            quote(value)
        ))
    };
    match (field, operator) {
        (Schema::Integer, _) if value.parse::<i64>().is_err() => coercion("ParseInt"),
        (Schema::Truth, _) if truth(value).is_none() => coercion("ParseBool"),
        (_, Operator::Matches | Operator::NotMatches) => match patterns::compile(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("Failed to compile regular expression {}: {error}", quote(value))),
        },
        _ => Ok(()),
    }
}

/// A truth as Go reads it.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn find<'a>(selector: &[String], schema: &'a Schema) -> Option<&'a Schema> {
    let Some((first, rest)) = selector.split_first() else { return Some(schema) };
    match schema {
        Schema::Struct(fields) => {
            let (_, field) = fields.iter().find(|(name, _)| name == first)?;
            find(rest, field)
        }
        Schema::Map(values) => find(rest, values),
        Schema::Each(item) => find(selector, item),
        Schema::Text | Schema::Integer | Schema::Truth | Schema::Texts => None,
    }
}
