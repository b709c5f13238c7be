//! The public face: parse a text once, render it as often as needed.

use alloc::boxed::Box;
use alloc::string::String;

use crate::error::Error;
use crate::execute::execute;
use crate::facts::Facts;
use crate::functions::Functions;
use crate::lexer::Delimiters;
use crate::limits::Limits;
use crate::parser::{Definitions, parse};
use crate::value::Value;

/// A parsed template with its definitions.
#[derive(Debug)]
pub struct Template {
    pub(crate) name: Box<str>,
    pub(crate) text: Box<str>,
    pub(crate) definitions: Definitions,
}

/// What `.KEY` is when a map does not have the key: Go's option `missingkey`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value; it prints as `<no value>`.
    #[default]
    Invalid,
    /// The zero value of the map's type: the empty string in a map of strings. This is ContainerPilot's choice.
    Zero,
    /// An error.
    Error,
}

/// How a template is rendered.
#[derive(Clone, Debug, Default)]
pub struct RenderOptions {
    /// What a missing key of a map is.
    pub missing_key: MissingKey,
    /// What the rendering may use.
    pub limits: Limits,
}

/// The result of a rendering. What was asked of the facts is recorded in the [`Facts`] themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The rendered text.
    pub text: String,
}

impl Template {
    /// Parses `text`. The `name` stands in errors; `functions` are those that the template may call besides Go's own.
    ///
    /// # Errors
    /// `Syntax` with Go's message, or `Limit` if the text nests deeper than
    /// [`MAX_SYNTAX_NESTING`](crate::MAX_SYNTAX_NESTING).
    pub fn parse(name: &str, text: &str, functions: &Functions) -> Result<Template, Error> {
        Template::parse_between(name, text, ("", ""), functions)
    }

    /// Parses `text` whose actions stand between other delimiters than `{{` and `}}`; one that is empty is the usual one.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_between(
        name: &str,
        text: &str,
        delimiters: (&str, &str),
        functions: &Functions,
    ) -> Result<Template, Error> {
        let or_usual = |delimiter, usual| if str::is_empty(delimiter) { usual } else { delimiter };
        let (left, right) = delimiters;
        let usual = Delimiters::USUAL;
        let delimiters = Delimiters { left: or_usual(left, usual.left), right: or_usual(right, usual.right) };
        let definitions = parse(name, text, delimiters, functions).map_err(|error| *error)?;
        Ok(Template { name: Box::from(name), text: Box::from(text), definitions })
    }

    /// Renders the template with `data` as its dot. It is all or nothing: a failed rendering gives no text.
    ///
    /// # Errors
    /// `Execution` with Go's message, or `Limit` if one of the limits in `options` was exceeded.
    pub fn render(&self, data: &Value, facts: &mut Facts, options: &RenderOptions) -> Result<Output, Error> {
        let text = execute(self, data, facts, options).map_err(|error| *error)?;
        Ok(Output { text })
    }
}
