//! Evaluates pipelines, commands and their arguments: fields, variables and function calls.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::builtins::{Builtin, Wanted};
use crate::datum::Datum;
use crate::error::{ErrorKind, Result};
use crate::execute::{At, Execution};
use crate::functions::{Call, Callable, Function};
use crate::quote::quoted;
use crate::template::MissingKey;
use crate::tree::{Command, Operand, Path, Pipeline, Term};
use crate::value::{List, Type, Value};

/// A call as the template writes it: the function's name and arguments, and what the pipeline hands on to it.
struct Invocation<'t> {
    name: &'t str,
    arguments: &'t [Operand],
    last: Option<Datum>,
    /// What an error of the function itself names.
    at: At<'t>,
}

impl Invocation<'_> {
    fn has_arguments(&self) -> bool {
        !self.arguments.is_empty() || self.last.is_some()
    }
}

/// What the keys and fields of a path lead to, if they do.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing else has keys or fields")]
fn walk(from: &Datum, path: &Path) -> Option<Datum> {
    let (mut value, mut boxed) = (&from.value, from.boxed);
    for name in path {
        (value, boxed) = match value {
            Value::Map(map) => (map.entries.get(&**name)?, map.element == Type::Any),
            Value::Struct(structure) if structure.kind.methods.is_empty() => {
                let field = structure.field(name)?;
                (field, matches!(field, Value::Nil))
            }
            _ => return None,
        };
    }
    Some(Datum { value: value.clone(), boxed })
}

impl<'t> Execution<'t, '_> {
    /// The value of a pipeline, after its variables have been declared or assigned.
    pub(crate) fn pipeline(&mut self, dot: &Datum, pipeline: &'t Pipeline) -> Result<Datum> {
        self.at = At::Pipeline(pipeline);
        let mut value = None;
        for command in &pipeline.commands {
            self.spend(1)?;
            value = Some(self.command(dot, command, value)?.unboxed());
        }
        let value = value.unwrap_or_default();
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.declare(name, value.clone());
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Datum, command: &'t Command, last: Option<Datum>) -> Result<Datum> {
        let first = &command.first;
        let invocation = |name| Invocation { name, arguments: &command.arguments, last, at: At::Command(command) };
        match &first.term {
            Term::Function { name, callable } => {
                self.at = At::Operand(first);
                self.call(dot, callable, invocation(name))
            }
            Term::Field(_) | Term::Chain { .. } => self.operand(dot, first, invocation("")),
            Term::Variable { path, .. } if !path.is_empty() => self.operand(dot, first, invocation("")),
            Term::Variable { .. }
            | Term::Pipeline(_)
            | Term::Bool(_)
            | Term::Dot
            | Term::Nil
            | Term::Number(_)
            | Term::String { .. } => {
                let invocation = invocation("");
                if !matches!(first.term, Term::Pipeline(_)) {
                    self.at = At::Operand(first);
                }
                if invocation.has_arguments() {
                    let shown = if let Term::Pipeline(pipeline) = &first.term {
                        pipeline.to_string()
                    } else {
                        first.to_string()
                    };
                    return Err(self.fail(format!("can't give argument to non-function {shown}")));
                }
                self.operand(dot, first, invocation)
            }
        }
    }

    /// The value of an operand. Only a method at the end of its path can use the arguments.
    fn operand(&mut self, dot: &Datum, operand: &'t Operand, invocation: Invocation<'t>) -> Result<Datum> {
        if !matches!(operand.term, Term::Pipeline(_)) {
            self.at = At::Operand(operand);
        }
        if !invocation.has_arguments()
            && let Some(found) = self.plain_field(dot, &operand.term)?
        {
            return Ok(found);
        }
        let (receiver, path) = match &operand.term {
            Term::Bool(truth) => (Datum::plain(Value::Bool(*truth)), None),
            Term::Dot => (dot.clone(), None),
            Term::Nil => return Err(self.fail("nil is not a command")),
            Term::Number(number) => (Datum::plain(number.ideal().map_err(|message| self.fail(message))?), None),
            Term::String { value, .. } => (Datum::plain(Value::String(Arc::clone(value))), None),
            Term::Field(path) => (dot.clone(), Some(path)),
            Term::Variable { name, path } => (self.variable(name)?, Some(path)),
            Term::Pipeline(pipeline) => (self.nested(|execution| execution.pipeline(dot, pipeline))?, None),
            Term::Function { name, callable } => {
                let at = At::Operand(operand);
                (self.call(dot, callable, Invocation { name, arguments: &[], last: None, at })?, None)
            }
            Term::Chain { base, path } => {
                let none = Invocation { name: "", arguments: &[], last: None, at: At::Operand(base) };
                (self.operand(dot, base, none)?, Some(path))
            }
        };
        match path.and_then(|path| path.split_last()) {
            None => Ok(receiver),
            Some((name, before)) => {
                let mut receiver = receiver;
                for name in before {
                    let none = Invocation { name, arguments: &[], last: None, at: At::Operand(operand) };
                    receiver = self.field(dot, &receiver, none)?;
                }
                self.field(dot, &receiver, Invocation { name, at: At::Operand(operand), ..invocation })
            }
        }
    }

    /// The end of a path that leads through keys and fields only, found without holding what lies between; `None` if it is
    /// another term, or if there is more to it: a method, a key that is missing, an error.
    fn plain_field(&mut self, dot: &Datum, term: &Term) -> Result<Option<Datum>> {
        match term {
            Term::Field(path) => Ok(walk(dot, path)),
            Term::Variable { name, path } => Ok(walk(self.slot(name)?, path)),
            Term::Bool(_)
            | Term::Dot
            | Term::Nil
            | Term::Number(_)
            | Term::String { .. }
            | Term::Function { .. }
            | Term::Pipeline(_)
            | Term::Chain { .. } => Ok(None),
        }
    }

    /// A field of a struct, a method of it, or the value of a map's key.
    fn field(&mut self, dot: &Datum, receiver: &Datum, invocation: Invocation<'t>) -> Result<Datum> {
        let name = invocation.name;
        match &receiver.value {
            Value::Nil if receiver.boxed => Err(self.fail(format!("nil pointer evaluating interface {{}}.{name}"))),
            Value::Nil if self.options.missing_key == MissingKey::Error => {
                Err(self.fail(format!("nil data; no entry for key \"{name}\"")))
            }
            Value::Nil => Ok(Datum::default()),
            Value::Struct(structure) => {
                if let Some(method) = structure.kind.methods.get(name) {
                    return self.call_function(dot, method, Some(&receiver.value), invocation);
                }
                match structure.field(name) {
                    None => Err(self.no_field(receiver, name)),
                    Some(_) if invocation.has_arguments() => {
                        Err(self.fail(format!("{name} has arguments but cannot be invoked as function")))
                    }
                    Some(value) => Ok(Datum { value: value.clone(), boxed: matches!(value, Value::Nil) }),
                }
            }
            Value::Map(_) if invocation.has_arguments() => {
                Err(self.fail(format!("{name} is not a method but has arguments")))
            }
            Value::Map(map) => match (map.entries.get(name), self.options.missing_key) {
                (Some(value), _) => Ok(Datum::element(value.clone(), &map.element)),
                (None, MissingKey::Invalid) => Ok(Datum::default()),
                (None, MissingKey::Zero) => Ok(Datum::element(map.element.zero(), &map.element)),
                (None, MissingKey::Error) => Err(self.fail(format!("map has no entry for key \"{name}\""))),
            },
            Value::List(list) if name == "Contains" && list.element == Type::String => {
                self.contains(dot, list, invocation)
            }
            Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Byte(_)
            | Value::Float(_)
            | Value::Complex(..)
            | Value::String(_)
            | Value::List(_)
            | Value::Function(_) => Err(self.no_field(receiver, name)),
        }
    }

    /// `.Tags.Contains TEXT`: the one method that a list of strings has, because consul-template's tags have it.
    fn contains(&mut self, dot: &Datum, list: &List, invocation: Invocation<'t>) -> Result<Datum> {
        self.check_arity(&invocation, 1, false)?;
        let wanted = match (invocation.arguments, &invocation.last) {
            ([argument], _) => self.argument(dot, argument, &Type::String)?,
            (_, Some(last)) => self.fit(last, &Type::String)?,
            (_, None) => Value::Nil,
        };
        self.spend(list.items.len() as u64 / 16)?;
        let found = list
            .items
            .iter()
            .any(|item| matches!((item, &wanted), (Value::String(one), Value::String(two)) if one == two));
        Ok(Datum::plain(Value::Bool(found)))
    }

    fn no_field(&self, receiver: &Datum, name: &str) -> Box<crate::Error> {
        let kind = receiver.static_type().map_or_else(|| String::from("<nil>"), |kind| kind.to_string());
        self.fail(format!("can't evaluate field {name} in type {kind}"))
    }

    fn call(&mut self, dot: &Datum, callable: &'t Callable, invocation: Invocation<'t>) -> Result<Datum> {
        match callable {
            Callable::Custom(function) => self.call_function(dot, function, None, invocation),
            Callable::Builtin(builtin) => self.call_builtin(dot, *builtin, invocation),
            Callable::ExecuteTemplate => self.call_execute_template(dot, invocation),
        }
    }

    /// `executeTemplate NAME [DOT]`: the text that a definition renders.
    fn call_execute_template(&mut self, dot: &Datum, invocation: Invocation<'t>) -> Result<Datum> {
        self.check_arity(&invocation, 1, true)?;
        let mut arguments = Vec::with_capacity(2);
        for argument in invocation.arguments {
            let wanted = if arguments.is_empty() { Type::String } else { Type::Any };
            arguments.push(self.argument(dot, argument, &wanted)?);
        }
        if let Some(last) = &invocation.last {
            let wanted = if arguments.is_empty() { Type::String } else { Type::Any };
            arguments.push(self.fit(last, &wanted)?);
        }
        let (name, data) = match &arguments[..] {
            [Value::String(name)] => (name, Value::Nil),
            [Value::String(name), data] => (name, data.clone()),
            _ => {
                self.at = invocation.at;
                let got = arguments.len();
                let name = invocation.name;
                let message = format!("{name}: wrong number of arguments, expected 1 or 2, but got {got}");
                return Err(self.function_failure(name, message.into()));
            }
        };
        let message = match self.rendered_definition(name, Datum::plain(data)) {
            Ok(Some(text)) => return Ok(Datum::plain(Value::from(text))),
            Err(error) if error.kind == ErrorKind::Limit => return Err(error),
            Err(error) => error.to_string(),
            Ok(None) => {
                let (name, template) = (quoted(name), quoted(&self.template.name));
                format!("template: no template {name} associated with template {template}")
            }
        };
        self.at = invocation.at;
        Err(self.function_failure(invocation.name, message.into()))
    }

    fn check_arity(&self, invocation: &Invocation<'t>, fixed: usize, more: bool) -> Result<()> {
        let (name, written) = (invocation.name, invocation.arguments.len());
        let got = written + usize::from(invocation.last.is_some());
        if more && got < fixed {
            return Err(self.fail(format!("wrong number of args for {name}: want at least {fixed} got {written}")));
        }
        if !more && got != fixed {
            return Err(self.fail(format!("wrong number of args for {name}: want {fixed} got {got}")));
        }
        Ok(())
    }

    fn call_builtin(&mut self, dot: &Datum, builtin: Builtin, invocation: Invocation<'t>) -> Result<Datum> {
        let (fixed, more) = builtin.arity();
        self.check_arity(&invocation, fixed, more)?;
        if matches!(builtin, Builtin::And | Builtin::Or) {
            return self.first_decisive(dot, builtin == Builtin::Or, invocation);
        }
        let mark = self.arguments.len();
        for (at, argument) in invocation.arguments.iter().enumerate() {
            let value = match builtin.wanted(at) {
                Wanted::Raw => self.raw_argument(dot, argument)?,
                Wanted::Any => Datum::plain(self.argument(dot, argument, &Type::Any)?),
                Wanted::String => Datum::plain(self.argument(dot, argument, &Type::String)?),
            };
            self.arguments.push(value);
        }
        let callee = invocation.arguments.first();
        if let Some(last) = invocation.last {
            let last = match builtin.wanted(self.arguments.len() - mark) {
                Wanted::Raw => last,
                Wanted::Any => Datum::plain(self.fit(&last, &Type::Any)?),
                Wanted::String => Datum::plain(self.fit(&last, &Type::String)?),
            };
            self.arguments.push(last);
        }
        let callee = callee.filter(|_| builtin == Builtin::Call).map(ToString::to_string).unwrap_or_default();
        let mut call = Call { facts: self.facts, scratch: &mut self.scratch, budget: &mut self.budget };
        let outcome = builtin.call(&mut call, &self.arguments[mark..], &callee);
        self.arguments.truncate(mark);
        outcome.map(Datum::plain).map_err(|error| {
            self.at = invocation.at;
            self.function_failure(invocation.name, error)
        })
    }

    /// `and` and `or`: the first argument that decides, or the last one. What follows it is not evaluated.
    fn first_decisive(&mut self, dot: &Datum, deciding: bool, invocation: Invocation<'t>) -> Result<Datum> {
        let mut value = Datum::default();
        for argument in invocation.arguments {
            value = self.raw_argument(dot, argument)?;
            if value.value.is_true() == deciding {
                return Ok(value);
            }
        }
        Ok(invocation.last.unwrap_or(value))
    }

    fn call_function(
        &mut self,
        dot: &Datum,
        function: &Function,
        receiver: Option<&Value>,
        invocation: Invocation<'t>,
    ) -> Result<Datum> {
        let signature = function.signature();
        self.check_arity(&invocation, signature.parameters.len(), signature.variadic.is_some())?;
        let mut arguments: Vec<Value> = receiver.into_iter().cloned().collect();
        for (at, argument) in invocation.arguments.iter().enumerate() {
            let parameter = signature.parameter(at).unwrap_or(&Type::Any);
            arguments.push(self.argument(dot, argument, parameter)?);
        }
        if let Some(last) = &invocation.last {
            let parameter = signature.parameter(invocation.arguments.len()).unwrap_or(&Type::Any);
            arguments.push(self.fit(last, parameter)?);
        }
        let read = arguments.iter().map(Value::size).sum();
        let mut call = Call { facts: self.facts, scratch: &mut self.scratch, budget: &mut self.budget };
        let outcome = call.budget.read(read).and_then(|()| function.call(&mut call, &arguments));
        let outcome = outcome.and_then(|value| call.budget.read(value.size()).map(|()| value));
        outcome.map(Datum::plain).map_err(|error| {
            self.at = invocation.at;
            self.function_failure(invocation.name, error)
        })
    }

    /// A value that must be of the type `wanted`.
    fn fit(&self, datum: &Datum, wanted: &Type) -> Result<Value> {
        datum.assign(wanted).map_err(|kind| match kind {
            None => self.fail(format!("invalid value; expected {wanted}")),
            Some(kind) => self.fail(format!("wrong type for value; expected {wanted}; got {kind}")),
        })
    }

    fn raw_argument(&mut self, dot: &Datum, argument: &'t Operand) -> Result<Datum> {
        self.spend(1)?;
        self.at = At::Operand(argument);
        match &argument.term {
            Term::Nil => Ok(Datum::default()),
            Term::Bool(_)
            | Term::Dot
            | Term::Number(_)
            | Term::String { .. }
            | Term::Field(_)
            | Term::Variable { .. }
            | Term::Function { .. }
            | Term::Pipeline(_)
            | Term::Chain { .. } => {
                let none = Invocation { name: "", arguments: &[], last: None, at: At::Operand(argument) };
                self.operand(dot, argument, none)
            }
        }
    }

    /// An argument for a parameter of the type `wanted`; literals take on the type if they can.
    fn argument(&mut self, dot: &Datum, argument: &'t Operand, wanted: &Type) -> Result<Value> {
        self.at = At::Operand(argument);
        let expected = match (&argument.term, wanted) {
            (Term::Nil, _) if wanted.can_be_nil() => return Ok(wanted.zero()),
            (Term::Nil, _) => return Err(self.fail(format!("cannot assign nil to {wanted}"))),
            (Term::Bool(_) | Term::Number(_) | Term::String { .. }, Type::Any)
            | (Term::Bool(_), Type::Bool)
            | (Term::String { .. }, Type::String)
            | (
                Term::Dot
                | Term::Field(_)
                | Term::Variable { .. }
                | Term::Function { .. }
                | Term::Pipeline(_)
                | Term::Chain { .. },
                _,
            ) => {
                let datum = self.raw_argument(dot, argument)?;
                return self.fit(&datum, wanted);
            }
            (Term::Number(number), Type::Int | Type::Uint | Type::Byte | Type::Float | Type::Complex) => {
                if let Some(value) = number.convert(wanted) {
                    return Ok(value);
                }
                wanted
            }
            (Term::Bool(_) | Term::Number(_) | Term::String { .. }, _) => wanted,
        };
        let expected = match expected {
            Type::Bool => "bool",
            Type::Int => "integer",
            Type::Uint | Type::Byte => "unsigned integer",
            Type::Float => "float",
            Type::Complex => "complex",
            Type::String => "string",
            Type::Any | Type::List(_) | Type::Map(_) | Type::Struct(_) | Type::Function => {
                return Err(self.fail(format!("can't handle {argument} for arg of type {wanted}")));
            }
        };
        Err(self.fail(format!("expected {expected}; found {argument}")))
    }
}
