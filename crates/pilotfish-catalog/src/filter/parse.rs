//! Text to expression. The grammar is go-bexpr's; its errors tell the place and, for the common mistakes, what would fit there.

use super::expression::{Expression, Operator};

/// How deep parentheses and `not` may be nested.
const DEPTH_LIMIT: usize = 64;

/// Longest expression in bytes.
const LENGTH_LIMIT: usize = 16 * 1024;

/// Understands an expression.
///
/// # Errors
/// Line, column and position, and what is wrong there.
pub(crate) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > LENGTH_LIMIT {
        return Err(format!("the expression is longer than {LENGTH_LIMIT} bytes"));
    }
    let mut parser = Parser { text, at: 0, depth: 0, spaced: false, last: Last::Word };
    let expression = parser.or()?;
    parser.spaced = parser.space();
    if parser.at < text.len() {
        return parser.garbage();
    }
    Ok(expression)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether spaces came before what is left.
    spaced: bool,
    /// What was read last.
    last: Last,
}

/// What was read last: it says what could have gone on there.
#[derive(Clone, Copy)]
enum Last {
    Word,
    Number,
    Quoted,
    Keyword,
}

const OPERATORS: &str = "\"!=\", \"==\", \"contains\", \"in\", \"is\", \"matches\", \"not\" or [ \\t\\r\\n]";
const OPERANDS: &str = "\"(\", \"-\", \"0\", \"\\\"\", \"`\", \"not\", [ \\t\\r\\n], [1-9] or [a-zA-Z]";
const VALUES: &str = "\"-\", \"0\", \"\\\"\", \"`\", [ \\t\\r\\n], [1-9] or [a-zA-Z]";

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn place(&self, at: usize) -> String {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{line}:{column} ({at})")
    }

    fn expected<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{}: no match found, expected: {what}", self.place(self.at)))
    }

    /// Says what could have come where nothing fits any more.
    fn garbage<T>(&self) -> Result<T, String> {
        for word in ["and", "or"] {
            if self.spaced && self.rest().starts_with(word) {
                let at = self.place(self.at + word.len());
                return Err(format!("{at}: no match found, expected: [ \\t\\r\\n]"));
            }
        }
        match (self.spaced, self.last) {
            (true, _) => self.expected("\"and\", \"or\", [ \\t\\r\\n] or EOF"),
            (false, Last::Word) => self.expected("\".\", \"[\", [ \\t\\r\\n], [a-zA-Z0-9_] or EOF"),
            (false, Last::Number) => self.expected("\".\", [ \\t\\r\\n], [0-9] or EOF"),
            (false, Last::Quoted | Last::Keyword) => self.expected("[ \\t\\r\\n] or EOF"),
        }
    }

    /// Passes over spaces; whether there were any.
    fn space(&mut self) -> bool {
        let begin = self.at;
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.at > begin
    }

    fn take(&mut self, word: &str) -> bool {
        let hit = self.rest().starts_with(word);
        if hit {
            self.at += word.len();
        }
        hit
    }

    /// Takes a word that spaces must follow.
    fn word(&mut self, word: &str) -> bool {
        let begin = self.at;
        if self.take(word) && self.space() {
            return true;
        }
        self.at = begin;
        false
    }

    fn or(&mut self) -> Result<Expression, String> {
        let mut left = self.and()?;
        loop {
            let begin = self.at;
            if self.space() && self.word("or") {
                left = Expression::Or(Box::new(left), Box::new(self.and()?));
            } else {
                self.at = begin;
                return Ok(left);
            }
        }
    }

    fn and(&mut self) -> Result<Expression, String> {
        let mut left = self.not()?;
        loop {
            let begin = self.at;
            if self.space() && self.word("and") {
                left = Expression::And(Box::new(left), Box::new(self.not()?));
            } else {
                self.at = begin;
                return Ok(left);
            }
        }
    }

    fn not(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(format!("{}: nested deeper than {DEPTH_LIMIT}", self.place(self.at)));
        }
        self.space();
        let expression = if self.word("not") {
            Expression::Not(Box::new(self.not()?))
        } else if self.take("(") {
            let inner = self.or()?;
            self.space();
            if !self.take(")") {
                return Err(format!("{}: rule \"grouping\": Unmatched parentheses", self.place(self.at)));
            }
            self.last = Last::Keyword;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let begin = self.at;
        let first = self.operand(OPERANDS)?;
        let after = self.at;
        // `value in selector`
        if self.space() {
            let negated = self.word("not");
            if self.word("in") {
                let at = self.at;
                let Operand::Selector(selector) = self.operand(VALUES)? else {
                    return Err(format!("{}: rule \"match\": Invalid selector", self.place(at)));
                };
                let operator = if negated { Operator::NotIn } else { Operator::In };
                return Ok(Expression::Match { selector, operator, value: first.text() });
            }
        }
        self.at = after;
        let Operand::Selector(selector) = first else {
            self.space();
            if self.at == begin || self.rest().is_empty() {
                return self.expected("\"in\", \"not\" or [ \\t\\r\\n]");
            }
            return self.expected("\"in\", \"not\" or [ \\t\\r\\n]");
        };
        self.operator(selector)
    }

    fn operator(&mut self, selector: Vec<String>) -> Result<Expression, String> {
        let spaced = self.space();
        let operator = if self.take("==") {
            Operator::Equal
        } else if self.take("!=") {
            Operator::NotEqual
        } else if !spaced {
            return self.expected("\"!=\", \".\", \"==\", \"[\", [ \\t\\r\\n] or [a-zA-Z0-9_]");
        } else if self.word("is") {
            let negated = self.word("not");
            if !self.take("empty") {
                return self.expected(if negated { "\"empty\"" } else { "\"empty\" or \"not\"" });
            }
            self.last = Last::Keyword;
            let operator = if negated { Operator::NotEmpty } else { Operator::Empty };
            return Ok(Expression::Match { selector, operator, value: String::new() });
        } else if self.word("contains") {
            Operator::In
        } else if self.word("matches") {
            Operator::Matches
        } else if self.word("not") {
            match (self.word("contains"), self.word("matches")) {
                (true, _) => Operator::NotIn,
                (false, true) => Operator::NotMatches,
                (false, false) => return self.expected("\"contains\", \"in\" or \"matches\""),
            }
        } else {
            return self.expected(OPERATORS);
        };
        self.space();
        let value = self.operand(VALUES)?.text();
        Ok(Expression::Match { selector, operator, value })
    }

    fn operand(&mut self, expected: &str) -> Result<Operand, String> {
        match self.rest().as_bytes().first() {
            Some(b'"' | b'`') => {
                self.last = Last::Quoted;
                self.string().map(Operand::Value)
            }
            Some(b'-' | b'0'..=b'9') => {
                self.last = Last::Number;
                self.number().map(Operand::Value)
            }
            Some(b'a'..=b'z' | b'A'..=b'Z') => {
                self.last = Last::Word;
                self.selector().map(Operand::Selector)
            }
            Some(_) | None => self.expected(expected),
        }
    }

    fn number(&mut self) -> Result<String, String> {
        let begin = self.at;
        self.take("-");
        let digits = self.rest().len()
            - self.rest().trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.').len();
        if digits == 0 {
            return self.expected("\"0\" or [1-9]");
        }
        self.at += digits;
        Ok(self.text[begin..self.at].to_owned())
    }

    fn string(&mut self) -> Result<String, String> {
        let begin = self.at;
        let quote = if self.take("`") { '`' } else { '"' };
        self.at = begin + 1;
        let Some(end) = self.rest().find(quote) else {
            self.at = self.text.len();
            return Err(format!("{}: rule \"string\": Unterminated string literal", self.place(self.at)));
        };
        let value = self.rest()[..end].to_owned();
        self.at += end + 1;
        // Go's `strconv.Unquote`: within double quotes, escapes are understood, and the first quote ends the text.
        if quote == '"' && value.contains('\\') {
            return unescaped(&value).ok_or_else(|| format!("{}: rule \"string\": invalid syntax", self.place(begin)));
        }
        Ok(value)
    }

    fn name(&mut self) -> String {
        let length = self.rest().find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let name = &self.rest()[..length.unwrap_or(self.rest().len())];
        self.at += name.len();
        name.to_owned()
    }

    fn selector(&mut self) -> Result<Vec<String>, String> {
        let mut names = vec![self.name()];
        loop {
            if self.take(".") {
                let name = self.name();
                if name.is_empty() {
                    return self.expected("[a-zA-Z]");
                }
                names.push(name);
            } else if self.take("[") {
                self.space();
                if !self.rest().starts_with(['"', '`']) {
                    return self.expected("\"\\\"\", \"`\" or [ \\t\\r\\n]");
                }
                names.push(self.string()?);
                self.space();
                if !self.take("]") {
                    return self.expected("\"]\" or [ \\t\\r\\n]");
                }
            } else {
                return Ok(names);
            }
        }
    }
}

/// The text with its escapes understood, if they are well-formed.
fn unescaped(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        out.push(match letters.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '\\' => '\\',
            _ => return None,
        });
    }
    Some(out)
}

/// A part of a comparison: a word may be the name of a field or a value without quotes.
enum Operand {
    Selector(Vec<String>),
    Value(String),
}

impl Operand {
    fn text(self) -> String {
        match self {
            Operand::Selector(names) => names.join("."),
            Operand::Value(value) => value,
        }
    }
}
