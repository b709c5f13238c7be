//! Filter expressions (go-bexpr, the subset of Consul 1.8): `Service.Tags contains "a" and Node.Meta.rack != "7"`.
//!
//! An expression is checked against what the answer looks like before anything is read, and the errors are Consul's.

mod evaluate;
mod expression;
mod parse;
mod schema;

use serde::Serialize;

use expression::Expression;
pub(crate) use schema::{AGENT_SERVICE, CHECK, HEALTH_SERVICE, NODE, NODE_SERVICE, SERVICE_NODE, Schema};

/// The beginning of every error.
pub(crate) const FAILED: &str = "Failed to create boolean expression evaluator: ";

/// A filter; without an expression it admits everything.
#[derive(Debug)]
pub(crate) struct Filter(Option<Expression>);

impl Filter {
    /// Understands an expression.
    ///
    /// # Errors
    /// In Consul's words.
    pub(crate) fn parse(text: &str, schema: &'static Schema) -> Result<Filter, String> {
        if text.is_empty() {
            return Ok(Filter(None));
        }
        let failed = |text: String| format!("{FAILED}{text}");
        let expression = parse::parse(text).map_err(failed)?;
        schema::check(&expression, schema).map_err(failed)?;
        Ok(Filter(Some(expression)))
    }

    /// Whether an item of the answer passes.
    pub(crate) fn admits(&self, item: &impl Serialize) -> bool {
        let Some(expression) = &self.0 else { return true };
        // What is told is made of names and values that JSON has.
        serde_json::to_value(item).is_ok_and(|value| evaluate::holds(expression, &value))
    }
}

#[cfg(test)]
mod tests;
