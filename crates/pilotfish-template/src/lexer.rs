//! Text into tokens: everything between `{{` and `}}`, the text around it, trim markers and comments.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use crate::quote::{is_printable, quote_with, quoted};

/// What surrounds an action.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delimiters<'t> {
    pub(crate) left: &'t str,
    pub(crate) right: &'t str,
}

impl Delimiters<'_> {
    pub(crate) const USUAL: Delimiters<'static> = Delimiters { left: "{{", right: "}}" };
}

/// The length of a trim marker with its space, `- ` or ` -`, in bytes.
const MARKER: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    Character,
    CharacterConstant,
    Complex,
    Assign,
    Declare,
    End,
    Field,
    Identifier,
    LeftDelimiter,
    LeftParenthesis,
    Number,
    Pipe,
    RawString,
    RightDelimiter,
    RightParenthesis,
    Space,
    String,
    Text,
    Variable,
    Keyword(Keyword),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Dot,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

fn keyword(word: &str) -> Option<Keyword> {
    Some(match word {
        "block" => Keyword::Block,
        "break" => Keyword::Break,
        "continue" => Keyword::Continue,
        "define" => Keyword::Define,
        "else" => Keyword::Else,
        "end" => Keyword::End,
        "if" => Keyword::If,
        "nil" => Keyword::Nil,
        "range" => Keyword::Range,
        "template" => Keyword::Template,
        "with" => Keyword::With,
        _ => return None,
    })
}

/// A piece of the text. An error token holds the message instead of a piece.
#[derive(Clone, Debug)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind,
    pub(crate) text: Cow<'t, str>,
    /// Where the token starts, in bytes.
    pub(crate) position: usize,
    /// The line that the token starts on, from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    /// How Go names the token in an error.
    pub(crate) fn describe(&self) -> String {
        if self.kind == Kind::End {
            String::from("EOF")
        } else if self.kind == Kind::Error {
            self.text.clone().into_owned()
        } else if let Kind::Keyword(_) = self.kind {
            format!("<{}>", self.text)
        } else if self.text.len() > 10 {
            format!("{}...", quoted(&self.text.chars().take(10).collect::<String>()))
        } else {
            quoted(&self.text)
        }
    }
}

enum State {
    Text,
    LeftDelimiter,
    Action,
    Done,
}

/// The scanner. It reads on demand: [`Lexer::next_token`] until an `End` or `Error` token.
pub(crate) struct Lexer<'t> {
    input: &'t str,
    delimiters: Delimiters<'t>,
    position: usize,
    start: usize,
    start_line: usize,
    parentheses: usize,
    state: State,
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

fn left_trim_marker(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

fn right_trim_marker(text: &str) -> bool {
    text.strip_prefix(is_space).is_some_and(|rest| rest.starts_with('-'))
}

/// A character in the form `U+003D '='`.
pub(crate) fn unicode_name(character: char) -> String {
    let mut name = format!("U+{:04X}", u32::from(character));
    if is_printable(character) {
        name.push_str(&format!(" '{character}'"));
    }
    name
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(input: &'t str, delimiters: Delimiters<'t>) -> Self {
        Lexer { input, delimiters, position: 0, start: 0, start_line: 1, parentheses: 0, state: State::Text }
    }

    pub(crate) fn next_token(&mut self) -> Token<'t> {
        loop {
            let token = match self.state {
                State::Text => self.text(),
                State::LeftDelimiter => self.left_delimiter(),
                State::Action => Some(self.action()),
                State::Done => Some(self.emit(Kind::End)),
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    fn rest(&self) -> &'t str {
        &self.input[self.position..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += character.len_utf8();
        Some(character)
    }

    fn emit(&mut self, kind: Kind) -> Token<'t> {
        let text = &self.input[self.start..self.position];
        let token = Token { kind, text: Cow::Borrowed(text), position: self.start, line: self.start_line };
        self.ignore();
        token
    }

    fn ignore(&mut self) {
        let skipped = &self.input.as_bytes()[self.start..self.position];
        self.start_line += skipped.iter().filter(|&&byte| byte == b'\n').count();
        self.start = self.position;
    }

    fn fail(&mut self, message: impl Into<String>) -> Token<'t> {
        self.state = State::Done;
        let text = Cow::Owned(message.into());
        let token = Token { kind: Kind::Error, text, position: self.start, line: self.start_line };
        self.position = self.input.len();
        self.start = self.position;
        token
    }

    /// The text up to the next action, without the spaces that its trim marker takes away.
    fn text(&mut self) -> Option<Token<'t>> {
        let rest = self.rest();
        let Some(found) = rest.find(self.delimiters.left) else {
            self.position = self.input.len();
            self.state = State::Done;
            return (self.position > self.start).then(|| self.emit(Kind::Text));
        };
        let mut text = &rest[..found];
        if left_trim_marker(&rest[found + self.delimiters.left.len()..]) {
            text = text.trim_end_matches(is_space);
        }
        self.state = State::LeftDelimiter;
        self.position = self.start + text.len();
        let token = (!text.is_empty()).then(|| self.emit(Kind::Text));
        self.position += found - text.len();
        self.ignore();
        token
    }

    fn left_delimiter(&mut self) -> Option<Token<'t>> {
        self.position += self.delimiters.left.len();
        let marker = if left_trim_marker(self.rest()) { MARKER } else { 0 };
        if self.rest()[marker..].starts_with("/*") {
            self.position += marker;
            self.ignore();
            return self.comment();
        }
        let token = self.emit(Kind::LeftDelimiter);
        self.position += marker;
        self.ignore();
        self.parentheses = 0;
        self.state = State::Action;
        Some(token)
    }

    fn comment(&mut self) -> Option<Token<'t>> {
        let Some(length) = self.rest()[2..].find("*/") else {
            return Some(self.fail("unclosed comment"));
        };
        self.position += 2 + length + 2;
        let Some(trim) = self.right_delimiter_ahead() else {
            return Some(self.fail("comment ends before closing delimiter"));
        };
        self.position += self.delimiters.right.len() + if trim { MARKER } else { 0 };
        self.trim_left(trim);
        self.state = State::Text;
        None
    }

    /// Whether a right delimiter follows, and if so, whether it has a trim marker.
    fn right_delimiter_ahead(&self) -> Option<bool> {
        let rest = self.rest();
        if right_trim_marker(rest) && rest[MARKER..].starts_with(self.delimiters.right) {
            return Some(true);
        }
        rest.starts_with(self.delimiters.right).then_some(false)
    }

    fn trim_left(&mut self, trim: bool) {
        if trim {
            let rest = self.rest();
            self.position += rest.len() - rest.trim_start_matches(is_space).len();
        }
        self.ignore();
    }

    fn right_delimiter(&mut self, trim: bool) -> Token<'t> {
        if trim {
            self.position += MARKER;
            self.ignore();
        }
        self.position += self.delimiters.right.len();
        let token = self.emit(Kind::RightDelimiter);
        self.trim_left(trim);
        self.state = State::Text;
        token
    }

    fn action(&mut self) -> Token<'t> {
        if let Some(trim) = self.right_delimiter_ahead() {
            if self.parentheses > 0 {
                return self.fail("unclosed left paren");
            }
            return self.right_delimiter(trim);
        }
        let Some(character) = self.next() else {
            return self.fail("unclosed action");
        };
        match character {
            space if is_space(space) => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => self.fail("expected :="),
            '|' => self.emit(Kind::Pipe),
            '"' => self.delimited('"', Kind::String, "unterminated quoted string"),
            '\'' => self.delimited('\'', Kind::CharacterConstant, "unterminated character constant"),
            '`' => self.raw_string(),
            '$' => self.field_or_variable(Kind::Variable),
            // A dot starts a number only before a digit, or at the very end, where Go makes the same mistake.
            '.' if self.peek().is_some_and(|next| !next.is_ascii_digit()) => self.field_or_variable(Kind::Field),
            '.' | '+' | '-' | '0'..='9' => {
                self.position = self.start;
                self.number()
            }
            word if is_word(word) => self.identifier(),
            '(' => {
                self.parentheses += 1;
                self.emit(Kind::LeftParenthesis)
            }
            ')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.emit(Kind::RightParenthesis)
            }
            ' '..='~' => self.emit(Kind::Character),
            other => self.fail(format!("unrecognized character in action: {}", unicode_name(other))),
        }
    }

    /// A run of spaces. The last one may belong to a trim marker, and is then left for the right delimiter.
    fn space(&mut self) -> Token<'t> {
        while self.peek().is_some_and(is_space) {
            self.position += 1;
        }
        let last = &self.input[self.position - 1..];
        if right_trim_marker(last) && last[MARKER..].starts_with(self.delimiters.right) {
            self.position -= 1;
            if self.position == self.start {
                return self.action();
            }
        }
        self.emit(Kind::Space)
    }

    fn take_word(&mut self) {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
    }

    /// Whether what follows may end a word. `$x+2` is refused, as in Go.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(self.delimiters.right),
        }
    }

    fn word(&mut self, kind: Kind) -> Token<'t> {
        match self.peek() {
            Some(character) if !self.at_terminator() => self.fail(format!("bad character {}", unicode_name(character))),
            Some(_) | None => self.emit(kind),
        }
    }

    fn identifier(&mut self) -> Token<'t> {
        self.take_word();
        let word = &self.input[self.start..self.position];
        let kind = match keyword(word) {
            Some(keyword) => Kind::Keyword(keyword),
            None if word == "true" || word == "false" => Kind::Bool,
            None => Kind::Identifier,
        };
        self.word(kind)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Token<'t> {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Keyword(Keyword::Dot) });
        }
        self.take_word();
        self.word(kind)
    }

    fn delimited(&mut self, mark: char, kind: Kind, unterminated: &str) -> Token<'t> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.peek(), None | Some('\n')) => {
                    self.next();
                }
                None | Some('\n' | '\\') => return self.fail(unterminated),
                Some(character) if character == mark => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Token<'t> {
        match self.rest().find('`') {
            Some(length) => {
                self.position += length + 1;
                self.emit(Kind::RawString)
            }
            None => self.fail("unterminated raw quoted string"),
        }
    }

    fn number(&mut self) -> Token<'t> {
        let mut good = self.scan_number();
        let complex = good && matches!(self.peek(), Some('+' | '-'));
        if complex {
            good = self.scan_number() && self.input[..self.position].ends_with('i');
        }
        if !good {
            let text = quote_with(&self.input[self.start..self.position], '"', false);
            return self.fail(format!("bad number syntax: {text}"));
        }
        self.emit(if complex { Kind::Complex } else { Kind::Number })
    }

    fn accept(&mut self, allowed: &str) -> bool {
        let found = self.peek().is_some_and(|character| allowed.contains(character));
        if found {
            self.position += 1;
        }
        found
    }

    fn accept_run(&mut self, allowed: &str) {
        while self.accept(allowed) {}
    }

    /// Takes what looks like a number; whether it is one is decided when it is parsed.
    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        self.accept("+-");
        let (mut digits, mut exponent) = (DECIMAL, "eE");
        if self.accept("0") {
            if self.accept("xX") {
                (digits, exponent) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.accept("oO") {
                (digits, exponent) = ("01234567_", "");
            } else if self.accept("bB") {
                (digits, exponent) = ("01_", "");
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }
}
