//! What is wrong with a document: every error with its place, all in one message.

use std::fmt;

use crate::json5::Position;

/// At most this many errors of a document are shown; a broken template can produce thousands.
pub const MAX_ERRORS_SHOWN: usize = 20;

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the rendered document, from 1; 0 for a problem that has no place in it.
    pub line: usize,
    /// Column in the rendered document, in characters, from 1.
    pub column: usize,
    /// Where in the document, such as `jobs[2].health.interval`; empty for the document as a whole.
    pub path: String,
    /// What was expected, and what to do.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(at: Position, path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { line: at.line, column: at.column, path: path.into(), message: message.into() }
    }

    /// A problem that has no place in a document: what a command line means.
    pub fn nowhere(message: impl Into<String>) -> Problem {
        Problem { line: 0, column: 0, path: String::new(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a document; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// The file, or what the caller calls the text.
    pub source_name: String,
    /// In the order of the document.
    pub problems: Vec<Problem>,
    /// What helps to understand them: variables that are not set, lines that moved.
    pub notes: Vec<String>,
}

impl Errors {
    pub(crate) fn one(source_name: &str, problem: Problem) -> Errors {
        Errors { source_name: source_name.into(), problems: vec![problem], notes: Vec::new() }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problems[..] {
            [problem] => write!(f, "{}: {problem}", self.source_name)?,
            problems => {
                write!(f, "{}: {} errors", self.source_name, problems.len())?;
                for problem in problems.iter().take(MAX_ERRORS_SHOWN) {
                    write!(f, "\n  {problem}")?;
                }
                if problems.len() > MAX_ERRORS_SHOWN {
                    write!(f, "\n  ... and {} more", problems.len() - MAX_ERRORS_SHOWN)?;
                }
            }
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
