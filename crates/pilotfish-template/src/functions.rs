//! The functions that a template may call: their registry, their signatures, and what they may reach.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::builtins::Builtin;
use crate::facts::{Facts, Query};
use crate::limits::{Budget, Limit};
use crate::template::{MissingKey, RenderOptions, Template};
use crate::value::{Type, Value};

/// Why a function gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// The function refuses its arguments; the template's error says `error calling NAME: ` and this text.
    Failed(String),
    /// The rendering is over one of its limits.
    Exceeded(Limit),
}

impl From<String> for FunctionError {
    fn from(message: String) -> Self {
        FunctionError::Failed(message)
    }
}

impl From<&str> for FunctionError {
    fn from(message: &str) -> Self {
        FunctionError::Failed(message.to_owned())
    }
}

impl From<Limit> for FunctionError {
    fn from(limit: Limit) -> Self {
        FunctionError::Exceeded(limit)
    }
}

/// What a function may reach while it is called, besides its arguments.
pub struct Call<'c> {
    pub(crate) facts: &'c mut Facts,
    pub(crate) scratch: &'c mut BTreeMap<String, Value>,
    pub(crate) budget: &'c mut Budget,
}

impl Call<'_> {
    /// Asks for a fact; the question is recorded either way. Missing data is an answer: a function that gets `None`
    /// returns what is empty of its kind.
    pub fn fact(&mut self, source: &str, name: &str) -> Option<Value> {
        self.facts.lookup(source, name)
    }

    /// Records that the answer to a question, though known, is one to wait for a better of; see [`Facts::blocking`].
    pub fn block(&mut self, query: Query) {
        self.facts.block(query);
    }

    /// Prints beside the rendered text; see [`Facts::printed`].
    ///
    /// # Errors
    /// `Exceeded` when the rendering's [`Limits`](crate::Limits) do not allow it.
    pub fn print(&mut self, text: &str) -> Result<(), FunctionError> {
        self.budget.build(text.len())?;
        self.facts.print(text);
        Ok(())
    }

    /// Values that functions keep for later calls in the same rendering.
    pub fn scratch(&mut self) -> &mut BTreeMap<String, Value> {
        self.scratch
    }

    /// Pays for text or lists of `bytes` bytes, before they are built. Reading arguments and returning a short string
    /// is paid for by the engine.
    ///
    /// # Errors
    /// `Exceeded` when the rendering's [`Limits`](crate::Limits) do not allow it.
    pub fn build(&mut self, bytes: usize) -> Result<(), FunctionError> {
        self.budget.build(bytes)
    }

    /// Pays for work beyond reading arguments and building results, in steps.
    ///
    /// # Errors
    /// `Exceeded` when the rendering's [`Limits`](crate::Limits) do not allow it.
    pub fn spend(&mut self, steps: u64) -> Result<(), FunctionError> {
        self.budget.spend(steps)
    }

    /// Renders another template, a short one, over the same facts and without data. It costs all that it may use.
    ///
    /// # Errors
    /// What the template's own error says, or `Exceeded`.
    pub(crate) fn render(&mut self, name: &str, text: &str, functions: &Functions) -> Result<String, FunctionError> {
        self.build(text.len())?;
        let failed = |error: crate::Error| FunctionError::Failed(alloc::format!("{error}"));
        let template = Template::parse(name, text, functions).map_err(failed)?;
        let limits = self.budget.inner();
        self.spend(limits.steps)?;
        let options = RenderOptions { missing_key: MissingKey::Zero, limits };
        let output = template.render(&Value::Nil, self.facts, &options).map_err(failed)?;
        self.build(output.text.len())?;
        Ok(output.text)
    }

    /// The bytes that may still be built.
    pub(crate) fn room(&self) -> usize {
        self.budget.working_bytes()
    }
}

type Implementation = dyn Fn(&mut Call<'_>, &[Value]) -> Result<Value, FunctionError> + Send + Sync;

/// A function: the types that its arguments must have, and what it does with them.
#[derive(Clone)]
pub struct Function {
    parameters: Vec<Type>,
    variadic: Option<Type>,
    implementation: Arc<Implementation>,
}

impl Function {
    /// A function of exactly as many arguments as there are `parameters`. The implementation may rely on their types.
    pub fn new<I>(parameters: impl Into<Vec<Type>>, implementation: I) -> Function
    where
        I: Fn(&mut Call<'_>, &[Value]) -> Result<Value, FunctionError> + Send + Sync + 'static,
    {
        Function { parameters: parameters.into(), variadic: None, implementation: Arc::new(implementation) }
    }

    /// The same function with any number of further arguments of the type `element`.
    #[must_use]
    pub fn variadic(self, element: Type) -> Function {
        Function { variadic: Some(element), ..self }
    }

    pub(crate) fn signature(&self) -> Signature<'_> {
        Signature { parameters: &self.parameters, variadic: self.variadic.as_ref() }
    }

    pub(crate) fn call(&self, call: &mut Call<'_>, arguments: &[Value]) -> Result<Value, FunctionError> {
        (self.implementation)(call, arguments)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("parameters", &self.parameters).field("variadic", &self.variadic).finish()
    }
}

/// The parameters of a function, for checking a call.
#[derive(Clone, Copy)]
pub(crate) struct Signature<'s> {
    pub(crate) parameters: &'s [Type],
    pub(crate) variadic: Option<&'s Type>,
}

impl<'s> Signature<'s> {
    /// The type of the argument at `index`.
    pub(crate) fn parameter(&self, index: usize) -> Option<&'s Type> {
        self.parameters.get(index).or(self.variadic)
    }
}

/// The functions that templates are parsed with, by name, besides Go's built-in ones.
#[derive(Clone, Debug, Default)]
pub struct Functions {
    custom: BTreeMap<String, Callable>,
    /// Why functions are refused, by the beginning of their names.
    refused: Vec<(String, String)>,
}

impl Functions {
    /// No functions but the built-in ones.
    pub fn new() -> Functions {
        Functions::default()
    }

    /// Adds a function; it hides one of the same name, also a built-in one.
    pub fn insert(&mut self, name: &str, function: Function) -> &mut Functions {
        self.custom.insert(name.to_owned(), Callable::Custom(Arc::new(function)));
        self
    }

    /// Adds the function `executeTemplate NAME [DOT]`, which gives the text of a definition.
    pub fn insert_execute_template(&mut self) -> &mut Functions {
        self.custom.insert("executeTemplate".to_owned(), Callable::ExecuteTemplate);
        self
    }

    /// Refuses a function, or all whose names begin with `name` if it ends with an asterisk: a template that calls it does
    /// not parse, and the error gives the reason.
    pub fn refuse(&mut self, name: &str, reason: &str) -> &mut Functions {
        self.refused.push((name.to_owned(), reason.to_owned()));
        self
    }

    /// The names of the functions that were added, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.custom.keys().map(String::as_str)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Callable> {
        self.custom.get(name).cloned().or_else(|| Builtin::find(name).map(Callable::Builtin))
    }

    /// Why the function of this name is refused, if it is.
    pub(crate) fn refusal(&self, name: &str) -> Option<&str> {
        let is_meant = |pattern: &str| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        self.refused.iter().find(|(pattern, _)| is_meant(pattern)).map(|(_, reason)| &**reason)
    }
}

/// A function as the syntax tree holds it: found once, when the template is parsed.
#[derive(Clone, Debug)]
pub(crate) enum Callable {
    Builtin(Builtin),
    Custom(Arc<Function>),
    ExecuteTemplate,
}
