//! Walks the bodies of a template: text, branches, loops and template calls.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::compare::shown;
use crate::datum::Datum;
use crate::error::{Error, ErrorKind, Executing, Result};
use crate::facts::Facts;
use crate::format::print_value;
use crate::functions::FunctionError;
use crate::limits::{Budget, Limit};
use crate::quote::quoted;
use crate::template::{RenderOptions, Template};
use crate::text::Text;
use crate::tree::{Branch, Command, Loop, Node, Operand, Pipeline, TemplateCall, Term};
use crate::value::Value;

/// One rendering of a template.
pub(crate) struct Execution<'t, 'f> {
    pub(crate) options: &'t RenderOptions,
    pub(crate) facts: &'f mut Facts,
    pub(crate) scratch: BTreeMap<String, Value>,
    pub(crate) budget: Budget,
    pub(crate) at: At<'t>,
    /// The arguments of the built-in functions that are being called, those of the innermost last.
    pub(crate) arguments: Vec<Datum>,
    pub(crate) template: &'t Template,
    definition: &'t str,
    output: Text,
    variables: Vec<(&'t str, Datum)>,
    /// Where the variables of the current definition start; it sees no others.
    frame: usize,
    depth: usize,
}

/// The part of the syntax tree that an error would name. Its text is only made when there is one.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Action(&'t Pipeline),
    Call(&'t TemplateCall),
    Command(&'t Command),
    Nothing,
    Operand(&'t Operand),
    Pipeline(&'t Pipeline),
}

impl At<'_> {
    fn describe(self) -> Option<(usize, String)> {
        Some(match self {
            At::Nothing => return None,
            At::Action(pipeline) => (pipeline.position, format!("{{{{{pipeline}}}}}")),
            At::Call(call) => (call.position, call.to_string()),
            At::Command(command) => (command.position, command.to_string()),
            At::Operand(Operand { term: Term::Pipeline(pipeline), .. }) | At::Pipeline(pipeline) => {
                (pipeline.position, pipeline.to_string())
            }
            At::Operand(operand) => (operand.position, operand.to_string()),
        })
    }
}

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Onward,
    Break,
    Continue,
}

/// Renders the template's own body with `data` as dot.
pub(crate) fn execute<'t>(
    template: &'t Template,
    data: &Value,
    facts: &mut Facts,
    options: &'t RenderOptions,
) -> Result<String> {
    let mut execution = Execution {
        options,
        facts,
        scratch: BTreeMap::new(),
        budget: Budget::new(&options.limits),
        at: At::Nothing,
        arguments: Vec::new(),
        template,
        definition: &template.name,
        output: Text::with_capacity(options.limits.output_bytes, Limit::OutputBytes, template.text.len()),
        variables: Vec::new(),
        frame: 0,
        depth: 0,
    };
    let dot = Datum::plain(data.clone());
    execution.variables.push(("$", dot.clone()));
    if let Some(body) = template.definitions.get(&*template.name) {
        execution.body(&dot, body)?;
    }
    Ok(execution.output.into_string())
}

impl<'t> Execution<'t, '_> {
    pub(crate) fn fail(&self, message: impl Into<String>) -> Box<Error> {
        let mut error = Error {
            kind: ErrorKind::Execution,
            name: self.template.name.to_string(),
            line: 1,
            column: None,
            executing: None,
            message: message.into(),
        };
        if let Some((position, expression)) = self.at.describe() {
            let before = &self.template.text[..position];
            error.line = before.matches('\n').count() + 1;
            error.column = Some(position - before.rfind('\n').map_or(0, |newline| newline + 1));
            error.executing = Some(Box::new(Executing { definition: self.definition.to_string(), expression }));
        }
        Box::new(error)
    }

    fn over_limit(&self, message: impl Into<String>) -> Box<Error> {
        Box::new(Error { kind: ErrorKind::Limit, ..*self.fail(message) })
    }

    /// The error of a function, or of a limit that was met on the way.
    pub(crate) fn function_failure(&self, name: &str, error: FunctionError) -> Box<Error> {
        match error {
            FunctionError::Failed(message) => self.fail(format!("error calling {name}: {message}")),
            FunctionError::Exceeded(limit) => self.over_limit(limit.message()),
        }
    }

    pub(crate) fn spend(&mut self, steps: u64) -> Result<()> {
        match self.budget.spend(steps) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.function_failure("", error)),
        }
    }

    /// Runs `work` one level deeper.
    pub(crate) fn nested<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= self.options.limits.nesting {
            return Err(self.over_limit(format!("exceeded maximum template depth ({})", self.depth)));
        }
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    pub(crate) fn declare(&mut self, name: &'t str, value: Datum) {
        self.variables.push((name, value));
    }

    pub(crate) fn slot(&mut self, name: &str) -> Result<&mut Datum> {
        let found = self.variables[self.frame..].iter().rposition(|(known, _)| *known == name);
        let Some(found) = found else { return Err(self.fail(format!("undefined variable: {name}"))) };
        let at = self.frame + found;
        // Looking through many variables takes time too.
        self.spend((self.variables.len() - at) as u64 / 16)?;
        Ok(&mut self.variables[at].1)
    }

    pub(crate) fn variable(&mut self, name: &str) -> Result<Datum> {
        Ok(self.slot(name)?.clone())
    }

    pub(crate) fn assign(&mut self, name: &str, value: Datum) -> Result<()> {
        *self.slot(name)? = value;
        Ok(())
    }

    fn body(&mut self, dot: &Datum, nodes: &'t [Node]) -> Result<Flow> {
        self.nested(|execution| {
            for node in nodes {
                let flow = execution.node(dot, node)?;
                if flow != Flow::Onward {
                    return Ok(flow);
                }
            }
            Ok(Flow::Onward)
        })
    }

    fn node(&mut self, dot: &Datum, node: &'t Node) -> Result<Flow> {
        self.spend(1)?;
        match node {
            Node::Text(range) => {
                self.output.push_str(&self.template.text[range.clone()]);
                self.check_output(range.len())?;
            }
            Node::Action(pipeline) => {
                let value = self.pipeline(dot, pipeline)?;
                if pipeline.variables.is_empty() {
                    self.print(pipeline, &value)?;
                }
            }
            Node::Branch(branch) => return self.branch(dot, branch),
            Node::Loop(repeat) => return self.repeat(dot, repeat),
            Node::Call(call) => self.call_template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Onward)
    }

    fn print(&mut self, pipeline: &'t Pipeline, datum: &Datum) -> Result<()> {
        self.at = At::Action(pipeline);
        let before = self.output.len();
        if let Value::Function(_) = datum.value {
            return Err(self.fail(format!("can't print {{{{{pipeline}}}}} of type func()")));
        } else if let Value::String(text) = &datum.value {
            self.output.push_str(text);
        } else if let Value::Nil = datum.value {
            self.output.push_str("<no value>");
        } else if let Value::Int(number) = datum.value {
            self.output.push_number(number);
        } else {
            print_value(&mut self.output, &datum.value);
        }
        self.check_output(self.output.len() - before)
    }

    fn check_output(&mut self, written: usize) -> Result<()> {
        let read = self.budget.read(written).err();
        match self.output.exceeded().map(FunctionError::Exceeded).or(read) {
            None => Ok(()),
            Some(error) => Err(self.function_failure("", error)),
        }
    }

    fn branch(&mut self, dot: &Datum, branch: &'t Branch) -> Result<Flow> {
        let mark = self.variables.len();
        let flow = self.chosen_arm(dot, branch)?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    fn chosen_arm(&mut self, dot: &Datum, branch: &'t Branch) -> Result<Flow> {
        for (condition, body) in &branch.arms {
            self.spend(1)?;
            let value = self.pipeline(dot, condition)?;
            if value.value.is_true() {
                return self.body(if branch.sets_dot { &value } else { dot }, body);
            }
        }
        self.body(dot, &branch.otherwise)
    }

    fn repeat(&mut self, dot: &Datum, repeat: &'t Loop) -> Result<Flow> {
        let mark = self.variables.len();
        let over = self.pipeline(dot, &repeat.over)?.value;
        let ran = match &over {
            Value::Nil => false,
            Value::List(list) => {
                let items = list.items.iter().zip(0_i64..);
                self.rounds(
                    repeat,
                    items.map(|(item, at)| (Value::Int(at), Datum::element(item.clone(), &list.element))),
                )?
            }
            Value::Map(map) => {
                let entries = map.entries.iter();
                self.rounds(
                    repeat,
                    entries.map(|(key, value)| {
                        (Value::String(Arc::clone(key)), Datum::element(value.clone(), &map.element))
                    }),
                )?
            }
            Value::Int(count) => self.count(repeat, 0..*count, &over, Value::Int)?,
            Value::Uint(count) => self.count(repeat, 0..*count, &over, Value::Uint)?,
            Value::Byte(count) => self.count(repeat, 0..*count, &over, Value::Byte)?,
            Value::Bool(_)
            | Value::Float(_)
            | Value::Complex(..)
            | Value::String(_)
            | Value::Struct(_)
            | Value::Function(_) => return Err(self.fail(format!("range can't iterate over {}", shown(&over)))),
        };
        let flow = if ran { Flow::Onward } else { self.body(dot, &repeat.otherwise)? };
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// `range` over a number.
    fn count<N>(
        &mut self,
        repeat: &'t Loop,
        numbers: impl Iterator<Item = N>,
        over: &Value,
        value: fn(N) -> Value,
    ) -> Result<bool> {
        if repeat.over.variables.len() > 1 {
            return Err(self.fail(format!("can't use {} to iterate over more than one variable", shown(over))));
        }
        self.rounds(repeat, numbers.map(|number| (Value::Nil, Datum::plain(value(number)))))
    }

    /// Runs the body once for every index and element; whether there was any.
    fn rounds(&mut self, repeat: &'t Loop, items: impl Iterator<Item = (Value, Datum)>) -> Result<bool> {
        let mark = self.variables.len();
        let mut ran = false;
        for (index, element) in items {
            ran = true;
            self.spend(1)?;
            let elements = match &repeat.over.variables[..] {
                [index_name, element_name] => {
                    self.set_loop_variable(repeat, index_name, 2, Datum::plain(index))?;
                    Some(element_name)
                }
                names => names.first(),
            };
            if let Some(name) = elements {
                self.set_loop_variable(repeat, name, 1, element.clone())?;
            }
            let flow = self.body(&element, &repeat.body)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    /// Gives a loop's variable its next value: `from_top` counts the variables that the loop declared, last one first.
    fn set_loop_variable(&mut self, repeat: &'t Loop, name: &str, from_top: usize, value: Datum) -> Result<()> {
        if repeat.over.assigns {
            return self.assign(name, value);
        }
        let at = self.variables.len() - from_top;
        self.variables[at].1 = value;
        Ok(())
    }

    fn call_template(&mut self, dot: &Datum, call: &'t TemplateCall) -> Result<()> {
        self.at = At::Call(call);
        let template = self.template;
        let Some((name, body)) = template.definitions.get_key_value(&call.name) else {
            return Err(self.fail(format!("template {} not defined", quoted(&call.name))));
        };
        let argument = match &call.argument {
            Some(pipeline) => self.pipeline(dot, pipeline)?,
            None => Datum::default(),
        };
        self.definition(name, body, &argument)
    }

    /// Walks a definition, which sees no variables but its own.
    fn definition(&mut self, name: &'t str, body: &'t [Node], dot: &Datum) -> Result<()> {
        let outer = (self.definition, self.frame, self.at);
        let mark = self.variables.len();
        self.definition = name;
        self.frame = mark;
        self.variables.push(("$", dot.clone()));
        self.body(dot, body)?;
        self.variables.truncate(mark);
        (self.definition, self.frame, self.at) = outer;
        Ok(())
    }

    /// The text of the definition `name`, for `executeTemplate`, or `None` if there is no such definition. It counts as a
    /// working value while it is made.
    pub(crate) fn rendered_definition(&mut self, name: &str, dot: Datum) -> Result<Option<String>> {
        let Some((name, body)) = self.template.definitions.get_key_value(name) else { return Ok(None) };
        let inner = Text::new(self.budget.working_bytes(), Limit::WorkingBytes);
        let output = core::mem::replace(&mut self.output, inner);
        let outer = (self.definition, self.frame, self.variables.len(), self.arguments.len());
        let result = self.definition(name, body, &dot);
        // A failure leaves in the middle, and the error is told from where the call stands.
        (self.definition, self.frame) = (outer.0, outer.1);
        self.variables.truncate(outer.2);
        self.arguments.truncate(outer.3);
        let inner = core::mem::replace(&mut self.output, output);
        result?;
        let text = inner.into_string();
        match self.budget.build(text.len()) {
            Ok(()) => Ok(Some(text)),
            Err(error) => Err(self.function_failure("", error)),
        }
    }
}
