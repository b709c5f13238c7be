//! Go's text/template, without Go: the language of ContainerPilot's configuration and of consul-template's templates.
//!
//! ```text
//!  text --lexer--> tokens --parser--> tree --execute/evaluate--> text
//!                              ^                  ^    |
//!                          Functions      Value, Facts |  (what was asked, what is missing)
//!                                                      v
//!                                          Output or Error in Go's words
//! ```
//!
//! The crate is pure. It reads no file, no clock and no environment: what functions may know of the outside is given to
//! them as [`Facts`], and missing data is an answer, not an error. Every input ends within its [`Limits`]; none panics.
//!
//! What differs from Go: text is always UTF-8 (bytes that are not, from `"\xff"` or a `slice` through a character,
//! become U+FFFD), maps have strings as keys, and blocks may nest [`MAX_SYNTAX_NESTING`] levels deep.
#![no_std]

extern crate alloc;

mod error;
mod limits;
mod template;

mod facts;
mod functions;
mod value;

mod lexer;
mod number;
mod parser;
mod quote;
mod tree;

mod datum;
mod evaluate;
mod execute;

mod builtins;
mod compare;
mod config;
mod escape;
mod float;
mod format;
mod printf;
mod regular;
mod text;

pub mod catalog;

pub use catalog::catalog_functions;
pub use config::{config_functions, render_config};
pub use error::{Error, ErrorKind, Executing};
pub use facts::{Facts, Query};
pub use functions::{Call, Function, FunctionError, Functions};
pub use limits::{Limit, Limits, MAX_PIPELINE_COMMANDS, MAX_SYNTAX_NESTING, MAX_VALUE_NESTING};
pub use template::{MissingKey, Output, RenderOptions, Template};
pub use value::{List, Map, Struct, StructType, Type, Value};
