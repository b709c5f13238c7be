//! The functions of consul-template, over facts that the caller fetches.
//!
//! ```text
//!  Template::render ──asks──► Facts ──missing(), blocking()──► Question::from_query ──► who fetches
//!                              ▲                                                            │
//!                              └───────── Facts::answer ◄──── Answers::health_services… ◄───┘
//! ```
//!
//! Whoever fetches renders first with no facts at all: every question is then missing. It answers them and renders again,
//! until [`Facts::is_complete`](crate::Facts::is_complete): a template can ask more once it knows more. What it must watch
//! from then on is [`Facts::used`](crate::Facts::used).
//!
//! Templates of consul-template expect [`MissingKey::Zero`](crate::MissingKey::Zero), no name and no data. What differs: a
//! number is an `int` where Go would have an `int64`, so that it fits more parameters; what only prints addresses in memory
//! (a struct, a channel) prints its contents.

mod answers;
mod asking;
mod base64;
mod digest;
mod explode;
mod grouping;
mod json_read;
mod json_write;
mod lists;
mod numbers;
mod question;
mod refused;
mod scratch;
mod sockaddr;
mod spew;
mod strings;
mod syntax;
mod timestamp;
mod toml_write;
mod yaml_read;
mod yaml_scalar;
mod yaml_write;

pub use answers::{Answers, HealthCheck, HealthService, KeyPair, Node, NodeService};
pub use question::{
    DatacentersQuery, KeyQuery, NodeQuery, NodesQuery, Question, QuestionError, ServiceQuery, ServicesQuery, Status,
    TreeQuery,
};
pub use sockaddr::Interface;

use crate::config::{environment, join, replace_all, split};
use crate::functions::{Function, Functions};
use crate::regular::{regex_match, regex_replace_all};
use crate::value::Type;

/// The functions of consul-template: the catalog's, and all that work on texts, lists, numbers and documents. Those that
/// would run programs, write files or ask Vault or Nomad are refused by name.
pub fn catalog_functions() -> Functions {
    let mut functions = Functions::new();
    let strings = |count: usize| alloc::vec![Type::String; count];
    functions
        .insert("env", Function::new(strings(1), environment))
        .insert("join", Function::new([Type::String, Type::list(Type::String)], join))
        .insert("split", Function::new(strings(2), split))
        .insert("replaceAll", Function::new(strings(3), replace_all))
        .insert("regexReplaceAll", Function::new(strings(3), regex_replace_all))
        .insert("regexMatch", Function::new(strings(2), regex_match))
        .insert_execute_template();
    asking::add(&mut functions);
    base64::add(&mut functions);
    digest::add(&mut functions);
    explode::add(&mut functions);
    grouping::add(&mut functions);
    json_read::add(&mut functions);
    json_write::add(&mut functions);
    lists::add(&mut functions);
    numbers::add(&mut functions);
    refused::add(&mut functions);
    scratch::add(&mut functions);
    sockaddr::add(&mut functions);
    spew::add(&mut functions);
    strings::add(&mut functions);
    timestamp::add(&mut functions);
    toml_write::add(&mut functions);
    yaml_read::add(&mut functions);
    yaml_write::add(&mut functions);
    functions
}
