//! Whether an expression holds for a value.

use serde_json::Value;

use super::expression::{Expression, Operator};
use super::schema::truth;

/// Whether it holds.
pub(crate) fn holds(expression: &Expression, value: &Value) -> bool {
    match expression {
        Expression::And(left, right) => holds(left, value) && holds(right, value),
        Expression::Or(left, right) => holds(left, value) || holds(right, value),
        Expression::Not(inner) => !holds(inner, value),
        Expression::Match { selector, operator, value: wanted } => {
            let (operator, negated) = match operator {
                Operator::NotEqual => (Operator::Equal, true),
                Operator::NotIn => (Operator::In, true),
                Operator::NotEmpty => (Operator::Empty, true),
                Operator::NotMatches => (Operator::Matches, true),
                Operator::Equal | Operator::In | Operator::Empty | Operator::Matches => (*operator, false),
            };
            matches(selector, operator, wanted, value, negated)
        }
    }
}

/// A field of each item of a list is asked for each; what a map does not have is nothing, which only `!=` admits.
fn matches(selector: &[String], operator: Operator, wanted: &str, value: &Value, negated: bool) -> bool {
    let Some((first, rest)) = selector.split_first() else {
        return compare(operator, wanted, value) != negated;
    };
    match value {
        Value::Object(fields) => match fields.get(first) {
            Some(field) => matches(rest, operator, wanted, field, negated),
            None => operator == Operator::Empty && !negated || operator != Operator::Empty && negated,
        },
        Value::Array(items) => items.iter().any(|item| matches(selector, operator, wanted, item, negated)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            operator == Operator::Empty && !negated || operator != Operator::Empty && negated
        }
    }
}

fn compare(operator: Operator, wanted: &str, value: &Value) -> bool {
    match (operator, value) {
        (Operator::Equal, Value::String(text)) => text == wanted,
        (Operator::Equal, Value::Bool(own)) => truth(wanted) == Some(*own),
        (Operator::Equal, Value::Number(number)) => {
            wanted.parse().is_ok_and(|wanted: i64| number.as_i64() == Some(wanted))
        }
        (Operator::In, Value::String(text)) => text.contains(wanted),
        (Operator::In, Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(wanted)),
        (Operator::In, Value::Object(fields)) => fields.contains_key(wanted),
        (Operator::Empty, Value::Array(items)) => items.is_empty(),
        (Operator::Empty, Value::Object(fields)) => fields.is_empty(),
        (Operator::Empty, Value::Null) => true,
        (Operator::Matches, Value::String(text)) => {
            regex_lite::Regex::new(wanted).is_ok_and(|pattern| pattern.is_match(text))
        }
        _ => false,
    }
}
