//! The syntax tree. Its `Display` is the normal form in which Go's errors quote an expression.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::functions::Callable;
use crate::number::Number;
use crate::quote::quoted;

/// What stands in a body: text, or an action.
#[derive(Debug)]
pub(crate) enum Node {
    /// Literal text, as a range of the template's text.
    Text(Range<usize>),
    Action(Pipeline),
    Branch(Box<Branch>),
    Loop(Box<Loop>),
    Call(Box<TemplateCall>),
    Break,
    Continue,
}

/// `if` or `with`, with the whole chain of `else if` or `else with` that follows, so that a long chain is not deep.
#[derive(Debug)]
pub(crate) struct Branch {
    /// `with`: the body's dot is the value of the condition.
    pub(crate) sets_dot: bool,
    pub(crate) arms: Vec<(Pipeline, Vec<Node>)>,
    pub(crate) otherwise: Vec<Node>,
}

/// `range`.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) over: Pipeline,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `template` or `block`.
#[derive(Debug)]
pub(crate) struct TemplateCall {
    pub(crate) position: usize,
    pub(crate) name: Box<str>,
    pub(crate) argument: Option<Pipeline>,
}

/// Commands that hand their value on, and the variables that receive the last one.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) position: usize,
    pub(crate) assigns: bool,
    pub(crate) variables: Vec<Arc<str>>,
    pub(crate) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) position: usize,
    pub(crate) first: Operand,
    pub(crate) arguments: Vec<Operand>,
}

/// A value in the text, with its place.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) position: usize,
    pub(crate) term: Term,
}

pub(crate) type Path = Box<[Box<str>]>;

#[derive(Debug)]
pub(crate) enum Term {
    Bool(bool),
    Dot,
    Nil,
    Number(Box<Number>),
    String {
        literal: Box<str>,
        value: Arc<str>,
    },
    Field(Path),
    Variable {
        name: Arc<str>,
        path: Path,
    },
    Function {
        name: Box<str>,
        callable: Callable,
    },
    Pipeline(Pipeline),
    /// Fields of a function's result, or of a pipeline in parentheses.
    Chain {
        base: Box<Operand>,
        path: Path,
    },
}

impl Term {
    /// Whether the term is no command by itself, and thus may only start a pipeline.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::String { .. })
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    path.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Bool(truth) => write!(f, "{truth}"),
            Term::Dot => f.write_str("."),
            Term::Nil => f.write_str("nil"),
            Term::Number(number) => f.write_str(&number.text),
            Term::String { literal, .. } => f.write_str(literal),
            Term::Field(path) => write_path(f, path),
            Term::Variable { name, path } => {
                f.write_str(name)?;
                write_path(f, path)
            }
            Term::Function { name, .. } => f.write_str(name),
            Term::Pipeline(pipeline) => write!(f, "({pipeline})"),
            Term::Chain { base, path } => {
                write!(f, "{base}")?;
                write_path(f, path)
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.variables.iter().enumerate() {
            write!(f, "{}{name}", if at > 0 { ", " } else { "" })?;
        }
        if !self.variables.is_empty() {
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (at, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if at > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for TemplateCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quoted(&self.name))?;
        if let Some(argument) = &self.argument {
            write!(f, " {argument}")?;
        }
        f.write_str("}}")
    }
}
