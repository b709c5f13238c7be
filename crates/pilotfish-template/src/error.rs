//! Errors in Go's own words, with the place in the template they belong to.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::quote::quoted;

/// What kind of failure an [`Error`] is, which is what a caller can act upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no template: correct it.
    Syntax,
    /// The template met a value it cannot use: correct it, or the data.
    Execution,
    /// The rendering went over one of its [`Limits`](crate::Limits): simplify the template, or allow more.
    Limit,
}

/// Why a template could not be parsed or rendered.
///
/// `Display` is the text that Go's text/template prints for the same mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure this is.
    pub kind: ErrorKind,
    /// The name that the whole text was parsed under.
    pub name: String,
    /// The line of the failure, counted from 1.
    pub line: usize,
    /// The column in bytes, counted from 0 as Go does; only known while a template is executed.
    pub column: Option<usize>,
    /// Where the execution was; absent for mistakes that are found while parsing.
    pub executing: Option<Box<Executing>>,
    /// What went wrong, without the place.
    pub message: String,
}

/// Which part of a template was being executed when an [`Error`] occurred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executing {
    /// The name of the definition: that of the whole text, or one given by `define` or `block`.
    pub definition: String,
    /// The expression, as it reads in the syntax tree.
    pub expression: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}:{}:", self.name, self.line)?;
        if let Some(column) = self.column {
            write!(f, "{column}:")?;
        }
        if let Some(executing) = &self.executing {
            write!(f, " executing {} at <{}>:", quoted(&executing.definition), executing.expression)?;
        }
        write!(f, " {}", self.message)
    }
}

impl core::error::Error for Error {}

/// The engine's internal result: the error is boxed because it is rare and much larger than any value.
pub(crate) type Result<T> = core::result::Result<T, Box<Error>>;
