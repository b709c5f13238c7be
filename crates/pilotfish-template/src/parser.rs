//! Tokens into the syntax tree, with Go's checks and Go's words for what is wrong.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::Functions;
use crate::lexer::{Delimiters, Keyword, Kind, Lexer, Token};
use crate::limits::{MAX_PIPELINE_COMMANDS, MAX_SYNTAX_NESTING};
use crate::number::Number;
use crate::quote::{quoted, unquote};
use crate::tree::{Branch, Command, Loop, Node, Operand, Path, Pipeline, TemplateCall, Term};

/// The bodies of a text: its own under its name, and those of its `define`s and `block`s.
pub(crate) type Definitions = BTreeMap<Box<str>, Vec<Node>>;

/// Parses `text` and returns all its definitions, the text's own under `name`.
pub(crate) fn parse(name: &str, text: &str, delimiters: Delimiters<'_>, functions: &Functions) -> Result<Definitions> {
    let mut parser = Parser {
        name,
        text,
        functions,
        lexer: Lexer::new(text, delimiters),
        pending: Vec::new(),
        line: 1,
        action_line: None,
        scope: Scope::new(),
        nesting: 0,
        definitions: Definitions::new(),
    };
    let root = parser.root()?;
    parser.define(name, root)?;
    Ok(parser.definitions)
}

struct Parser<'t> {
    name: &'t str,
    text: &'t str,
    functions: &'t Functions,
    lexer: Lexer<'t>,
    /// Tokens that were read ahead and given back, the next one last.
    pending: Vec<Token<'t>>,
    /// The line of the token that was read last, which is where Go places errors.
    line: usize,
    /// The line that the current action starts on.
    action_line: Option<usize>,
    scope: Scope,
    nesting: usize,
    definitions: Definitions,
}

/// The variables that are visible in one definition, and whether it is inside a `range`.
struct Scope {
    stack: Vec<Arc<str>>,
    visible: BTreeMap<Arc<str>, usize>,
    loops: usize,
}

impl Scope {
    fn new() -> Self {
        let mut scope = Scope { stack: Vec::new(), visible: BTreeMap::new(), loops: 0 };
        scope.declare("$");
        scope
    }

    fn declare(&mut self, name: &str) -> Arc<str> {
        let name: Arc<str> = Arc::from(name);
        self.stack.push(Arc::clone(&name));
        *self.visible.entry(Arc::clone(&name)).or_default() += 1;
        name
    }

    fn leave(&mut self, mark: usize) {
        for name in self.stack.drain(mark..) {
            if let Some(count) = self.visible.get_mut(&name) {
                *count -= 1;
            }
        }
    }

    fn find(&self, name: &str) -> Option<Arc<str>> {
        let (name, count) = self.visible.get_key_value(name)?;
        (*count > 0).then(|| Arc::clone(name))
    }
}

/// What ended a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    End,
    Else,
}

impl Stop {
    fn describe(self) -> &'static str {
        match self {
            Stop::End => "{{end}}",
            Stop::Else => "{{else}}",
        }
    }
}

enum Item {
    Node(Node),
    Stop(Stop),
}

impl<'t> Parser<'t> {
    fn next(&mut self) -> Token<'t> {
        self.pending.pop().unwrap_or_else(|| {
            let token = self.lexer.next_token();
            self.line = token.line;
            token
        })
    }

    fn give_back(&mut self, token: Token<'t>) {
        self.pending.push(token);
    }

    fn peek(&mut self) -> Kind {
        if self.pending.is_empty() {
            let token = self.next();
            self.give_back(token);
        }
        self.pending.last().map_or(Kind::End, |token| token.kind)
    }

    fn next_non_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> &Token<'t> {
        let token = self.next_non_space();
        self.give_back(token);
        self.pending.last().expect("a token was just given back")
    }

    fn error(&self, message: impl Into<String>) -> Box<Error> {
        Box::new(Error {
            kind: ErrorKind::Syntax,
            name: String::from(self.name),
            line: self.line,
            column: None,
            executing: None,
            message: message.into(),
        })
    }

    fn unexpected(&self, token: &Token<'t>, context: &str) -> Box<Error> {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {} in {context}", token.describe()));
        }
        let started = match self.action_line {
            Some(line) if line != token.line => {
                let action = if token.text.ends_with(" action") { "" } else { " in action" };
                format!("{action} started at {}:{line}", self.name)
            }
            Some(_) | None => String::new(),
        };
        self.error(format!("{}{started}", token.text))
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'t>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }

    /// Runs `parse` one level deeper; a text that nests too deeply is refused before the stack can overflow.
    fn nested<T>(&mut self, message: &str, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting >= MAX_SYNTAX_NESTING {
            return Err(Box::new(Error { kind: ErrorKind::Limit, ..*self.error(message) }));
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    fn root(&mut self) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        while self.peek() != Kind::End {
            if self.peek() == Kind::LeftDelimiter {
                let delimiter = self.next();
                let token = self.next_non_space();
                if token.kind == Kind::Keyword(Keyword::Define) {
                    self.definition()?;
                    continue;
                }
                self.give_back(token);
                self.give_back(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Stop(stop) => return Err(self.error(format!("unexpected {}", stop.describe()))),
            }
        }
        Ok(nodes)
    }

    fn definition(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelimiter, CONTEXT)?;
        let body = self.separate_body(CONTEXT)?;
        self.define(&name, body)
    }

    /// A body that sees no variable of the text around it and may not break out of its loops.
    fn separate_body(&mut self, context: &str) -> Result<Vec<Node>> {
        let outer = core::mem::replace(&mut self.scope, Scope::new());
        let (body, stop) = self.nested("max block depth exceeded", Self::body)?;
        self.scope = outer;
        if stop != Stop::End {
            return Err(self.error(format!("unexpected {} in {context}", stop.describe())));
        }
        Ok(body)
    }

    /// Records a definition. An empty one gives way to one of the same name; two others are a mistake.
    fn define(&mut self, name: &str, body: Vec<Node>) -> Result<()> {
        if self.definitions.get(name).is_none_or(|known| self.is_empty(known)) {
            self.definitions.insert(Box::from(name), body);
        } else if !self.is_empty(&body) {
            return Err(self.error(format!("template: multiple definition of template {}", quoted(name))));
        }
        Ok(())
    }

    fn is_empty(&self, body: &[Node]) -> bool {
        body.iter().all(|node| match node {
            Node::Text(range) => self.text[range.clone()].trim().is_empty(),
            Node::Action(_) | Node::Branch(_) | Node::Loop(_) | Node::Call(_) | Node::Break | Node::Continue => false,
        })
    }

    /// Everything up to the `end` or `else` that belongs to the block around it.
    fn body(&mut self) -> Result<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        while self.peek_non_space().kind != Kind::End {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Stop(stop) => return Ok((nodes, stop)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn text_or_action(&mut self) -> Result<Item> {
        let token = self.next_non_space();
        if token.kind == Kind::Text {
            return Ok(Item::Node(Node::Text(token.position..token.position + token.text.len())));
        }
        if token.kind != Kind::LeftDelimiter {
            return Err(self.unexpected(&token, "input"));
        }
        self.action_line = Some(token.line);
        let item = self.action();
        self.action_line = None;
        item
    }

    fn action(&mut self) -> Result<Item> {
        let token = self.next_non_space();
        let Kind::Keyword(keyword) = token.kind else {
            self.give_back(token);
            return Ok(Item::Node(Node::Action(self.pipeline("command", Kind::RightDelimiter)?)));
        };
        Ok(match keyword {
            Keyword::Block => Item::Node(self.block()?),
            Keyword::Break => Item::Node(self.leave_loop("{{break}}", Node::Break)?),
            Keyword::Continue => Item::Node(self.leave_loop("{{continue}}", Node::Continue)?),
            Keyword::Else => Item::Stop(self.otherwise()?),
            Keyword::End => {
                self.expect(Kind::RightDelimiter, "end")?;
                Item::Stop(Stop::End)
            }
            Keyword::If => Item::Node(self.branch("if", Keyword::If)?),
            Keyword::With => Item::Node(self.branch("with", Keyword::With)?),
            Keyword::Range => Item::Node(self.range()?),
            Keyword::Template => Item::Node(self.template_call()?),
            Keyword::Define | Keyword::Dot | Keyword::Nil => {
                self.give_back(token);
                Item::Node(Node::Action(self.pipeline("command", Kind::RightDelimiter)?))
            }
        })
    }

    fn leave_loop(&mut self, context: &str, node: Node) -> Result<Node> {
        self.expect(Kind::RightDelimiter, context)?;
        if self.scope.loops == 0 {
            return Err(self.error(format!("{context} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    /// After `else`. The `if` or `with` of an `else if` is left for [`Parser::branch`].
    fn otherwise(&mut self) -> Result<Stop> {
        if !matches!(self.peek_non_space().kind, Kind::Keyword(Keyword::If | Keyword::With)) {
            self.expect(Kind::RightDelimiter, "else")?;
        }
        Ok(Stop::Else)
    }

    fn branch(&mut self, context: &str, keyword: Keyword) -> Result<Node> {
        let mark = self.scope.stack.len();
        let mut arms = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            let condition = self.pipeline(context, Kind::RightDelimiter)?;
            let (body, stop) = self.nested("max block depth exceeded", Self::body)?;
            arms.push((condition, body));
            if stop == Stop::End {
                break;
            }
            if self.peek() == Kind::Keyword(keyword) {
                self.next();
                continue;
            }
            otherwise = self.last_body()?;
            break;
        }
        self.scope.leave(mark);
        Ok(Node::Branch(Box::new(Branch { sets_dot: keyword == Keyword::With, arms, otherwise })))
    }

    /// The body after an `else`, which only an `end` may close.
    fn last_body(&mut self) -> Result<Vec<Node>> {
        let (body, stop) = self.nested("max block depth exceeded", Self::body)?;
        if stop != Stop::End {
            return Err(self.error(format!("expected end; found {}", stop.describe())));
        }
        Ok(body)
    }

    fn range(&mut self) -> Result<Node> {
        let mark = self.scope.stack.len();
        let over = self.pipeline("range", Kind::RightDelimiter)?;
        self.scope.loops += 1;
        let (body, stop) = self.nested("max block depth exceeded", Self::body)?;
        self.scope.loops -= 1;
        let otherwise = if stop == Stop::Else { self.last_body()? } else { Vec::new() };
        self.scope.leave(mark);
        Ok(Node::Loop(Box::new(Loop { over, body, otherwise })))
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let argument = self.pipeline(CONTEXT, Kind::RightDelimiter)?;
        let body = self.separate_body(CONTEXT)?;
        self.define(&name, body)?;
        let name = name.into_boxed_str();
        Ok(Node::Call(Box::new(TemplateCall { position: token.position, name, argument: Some(argument) })))
    }

    fn template_call(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?.into_boxed_str();
        let next = self.next_non_space();
        let argument = if next.kind == Kind::RightDelimiter {
            None
        } else {
            self.give_back(next);
            Some(self.pipeline(CONTEXT, Kind::RightDelimiter)?)
        };
        Ok(Node::Call(Box::new(TemplateCall { position: token.position, name, argument })))
    }

    fn template_name(&mut self, token: &Token<'t>, context: &str) -> Result<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return Err(self.unexpected(token, context));
        }
        unquote(&token.text).ok_or_else(|| self.error("invalid syntax"))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipeline> {
        let position = self.peek_non_space().position;
        let mut pipeline = Pipeline { position, assigns: false, variables: Vec::new(), commands: Vec::new() };
        self.declarations(&mut pipeline, context)?;
        loop {
            let token = self.next_non_space();
            if token.kind == end {
                break;
            }
            if !starts_operand(token.kind) {
                return Err(self.unexpected(&token, context));
            }
            self.give_back(token);
            let command = self.command()?;
            pipeline.commands.push(command);
            if pipeline.commands.len() > MAX_PIPELINE_COMMANDS {
                return Err(self.error("pipeline too long"));
            }
        }
        if pipeline.commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        let constant = pipeline.commands.iter().skip(1).position(|command| command.first.term.is_constant());
        match constant {
            Some(at) => Err(self.error(format!("non executable command in pipeline stage {}", at + 2))),
            None => Ok(pipeline),
        }
    }

    /// `$x :=`, `$x =`, and in a `range` also `$i, $x :=`.
    fn declarations(&mut self, pipeline: &mut Pipeline, context: &str) -> Result<()> {
        while self.peek_non_space().kind == Kind::Variable {
            let variable = self.next_non_space();
            let after = self.next();
            let next = if after.kind == Kind::Space { self.next_non_space() } else { after.clone() };
            let separator = next.kind == Kind::Character && next.text == ",";
            if !separator && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                // An argument after all. The space is given back too, because it separates arguments.
                self.give_back(next);
                if after.kind == Kind::Space {
                    self.give_back(after);
                }
                self.give_back(variable);
                return Ok(());
            }
            pipeline.variables.push(self.scope.declare(&variable.text));
            if !separator {
                pipeline.assigns = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipeline.variables.len() > 1 {
                return Err(self.error(format!("too many declarations in {context}")));
            }
            let next = self.peek_non_space().kind;
            if !matches!(next, Kind::Variable | Kind::RightDelimiter | Kind::RightParenthesis) {
                return Err(self.error("range can only initialize variables"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command> {
        let position = self.peek_non_space().position;
        let mut words = Vec::new();
        loop {
            self.peek_non_space();
            words.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => {}
                Kind::Pipe => break,
                Kind::RightDelimiter | Kind::RightParenthesis => {
                    self.give_back(token);
                    break;
                }
                Kind::Error
                | Kind::Bool
                | Kind::Character
                | Kind::CharacterConstant
                | Kind::Complex
                | Kind::Assign
                | Kind::Declare
                | Kind::End
                | Kind::Field
                | Kind::Identifier
                | Kind::LeftDelimiter
                | Kind::LeftParenthesis
                | Kind::Number
                | Kind::RawString
                | Kind::String
                | Kind::Text
                | Kind::Variable
                | Kind::Keyword(_) => return Err(self.unexpected(&token, "operand")),
            }
        }
        let mut words = words.into_iter();
        let first = words.next().ok_or_else(|| self.error("empty command"))?;
        Ok(Command { position, first, arguments: words.collect() })
    }

    /// A term and the fields that follow it without a space.
    fn operand(&mut self) -> Result<Option<Operand>> {
        let Some(Operand { mut position, mut term }) = self.term()? else { return Ok(None) };
        if self.peek() != Kind::Field {
            return Ok(Some(Operand { position, term }));
        }
        let base_position = position;
        let mut fields: Vec<Box<str>> = Vec::new();
        while self.peek() == Kind::Field {
            let token = self.next();
            if fields.is_empty() {
                position = token.position;
            }
            fields.push(Box::from(&token.text[1..]));
        }
        if term.is_constant() {
            let text = format!("{}", Operand { position, term });
            return Err(self.error(format!("unexpected . after term {}", quoted(&text))));
        }
        if let Term::Field(path) | Term::Variable { path, .. } = &mut term {
            *path = core::mem::take(path).into_iter().chain(fields).collect();
        } else {
            let base = Box::new(Operand { position: base_position, term });
            term = Term::Chain { base, path: fields.into_boxed_slice() };
        }
        Ok(Some(Operand { position, term }))
    }

    fn unknown_function(&self, name: &str) -> Box<Error> {
        self.error(match self.functions.refusal(name) {
            Some(reason) => format!("function {} is not supported: {reason}", quoted(name)),
            None => format!("function {} not defined", quoted(name)),
        })
    }

    fn term(&mut self) -> Result<Option<Operand>> {
        let token = self.next_non_space();
        let position = token.position;
        let text = &*token.text;
        let term = match token.kind {
            Kind::Identifier => match self.functions.find(text) {
                Some(callable) => Term::Function { name: Box::from(text), callable },
                None => return Err(self.unknown_function(text)),
            },
            Kind::Keyword(Keyword::Dot) => Term::Dot,
            Kind::Keyword(Keyword::Nil) => Term::Nil,
            Kind::Variable => match self.scope.find(text) {
                Some(name) => Term::Variable { name, path: Path::default() },
                None => return Err(self.error(format!("undefined variable {}", quoted(text)))),
            },
            Kind::Field => Term::Field([Box::from(&text[1..])].into()),
            Kind::Bool => Term::Bool(text == "true"),
            Kind::CharacterConstant | Kind::Complex | Kind::Number => {
                let number = Number::parse(text, token.kind == Kind::Complex);
                Term::Number(Box::new(number.map_err(|message| self.error(message))?))
            }
            Kind::LeftParenthesis => Term::Pipeline(self.nested("max expression depth exceeded", |parser| {
                parser.pipeline("parenthesized pipeline", Kind::RightParenthesis)
            })?),
            Kind::String | Kind::RawString => match unquote(text) {
                Some(value) => Term::String { literal: Box::from(text), value: Arc::from(value) },
                None => return Err(self.error("invalid syntax")),
            },
            Kind::Error
            | Kind::Character
            | Kind::Assign
            | Kind::Declare
            | Kind::End
            | Kind::LeftDelimiter
            | Kind::Pipe
            | Kind::RightDelimiter
            | Kind::RightParenthesis
            | Kind::Space
            | Kind::Text
            | Kind::Keyword(_) => {
                self.give_back(token);
                return Ok(None);
            }
        };
        // A parenthesized pipeline stands at its first word, as in Go.
        let position = if let Term::Pipeline(pipeline) = &term { pipeline.position } else { position };
        Ok(Some(Operand { position, term }))
    }
}

fn starts_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::CharacterConstant
            | Kind::Complex
            | Kind::Keyword(Keyword::Dot | Keyword::Nil)
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParenthesis
    )
}
