//! What the catalog functions ask, as types: read from consul-template's query text, and written back in one canonical form.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::facts::Query;
use crate::quote::quoted;

use super::syntax::{Rest, is_dotted, is_query_option, is_service, is_statuses, is_tag};

/// One question to the outside. [`Question::to_query`] and [`Question::from_query`] are each other's inverse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// `service`: the instances of a service. Answer: [`Answers::health_services`](super::Answers::health_services).
    Service(ServiceQuery),
    /// `services`: the names and tags of all services. Answer: [`Answers::services`](super::Answers::services).
    Services(ServicesQuery),
    /// `node`: a node and its services. Answer: [`Answers::catalog_node`](super::Answers::catalog_node).
    Node(NodeQuery),
    /// `nodes`: all nodes. Answer: [`Answers::nodes`](super::Answers::nodes).
    Nodes(NodesQuery),
    /// `datacenters`: their names. Answer: [`Answers::datacenters`](super::Answers::datacenters).
    Datacenters(DatacentersQuery),
    /// `key`, `keyExists`, `keyOrDefault`: one value. Answer: [`Answers::key`](super::Answers::key).
    Key(KeyQuery),
    /// `ls`, `safeLs`, `tree`, `safeTree`: all pairs below a prefix; the functions pick theirs, so that one request serves
    /// all four. Answer: [`Answers::pairs`](super::Answers::pairs).
    Tree(TreeQuery),
    /// `file`: the text of a file, under its path. Answer: [`Answers::file`](super::Answers::file).
    File(String),
    /// `env`, `mustEnv`, `envOrDefault`: a variable of the environment, under its name. Answer: its text; one that is not
    /// set has none, and that is no reason to wait.
    Environment(String),
    /// `timestamp`: the time of this rendering. Answer: [`Answers::time`](super::Answers::time).
    Time,
    /// `sockaddr`: the addresses of this machine. Answer: [`Answers::interfaces`](super::Answers::interfaces).
    Interfaces,
}

/// A health status that `service` selects by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Whatever the status is.
    Any,
    /// A check is critical.
    Critical,
    /// The node or the service is in maintenance.
    Maintenance,
    /// All checks pass.
    Passing,
    /// A check warns, and none is critical.
    Warning,
}

impl Status {
    /// The word for it in queries and in `.Status`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Any => "any",
            Status::Critical => "critical",
            Status::Maintenance => "maintenance",
            Status::Passing => "passing",
            Status::Warning => "warning",
        }
    }

    fn find(name: &str) -> Option<Status> {
        [Status::Any, Status::Critical, Status::Maintenance, Status::Passing, Status::Warning]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// `TAG.NAME@DATACENTER~NEAR|STATUS,STATUS`: all but the name may be left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceQuery {
    /// The service's name.
    pub name: String,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// The datacenter; the agent's own if there is none.
    pub datacenter: Option<String>,
    /// Sort by the distance to this node (`_agent` is the agent's own); by node and id if there is none.
    pub near: Option<String>,
    /// Instances whose status is one of these, sorted and each once; never empty.
    pub statuses: Vec<Status>,
}

impl ServiceQuery {
    /// Whether an instance of this status is wanted.
    pub fn accepts(&self, status: Status) -> bool {
        self.statuses.iter().any(|&wanted| wanted == Status::Any || wanted == status)
    }

    /// Whether only passing instances are wanted, which Consul can select itself (`?passing`).
    pub fn only_passing(&self) -> bool {
        self.statuses == [Status::Passing]
    }
}

/// `@DATACENTER`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicesQuery {
    /// The datacenter; the agent's own if there is none.
    pub datacenter: Option<String>,
}

/// `NAME@DATACENTER`; without a name it is the agent's own node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeQuery {
    /// The node's name; that of the agent's own node if there is none.
    pub name: Option<String>,
    /// The datacenter; the agent's own if there is none.
    pub datacenter: Option<String>,
}

/// `@DATACENTER~NEAR`: both may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodesQuery {
    /// The datacenter; the agent's own if there is none.
    pub datacenter: Option<String>,
    /// Sort by the distance to this node; by name if there is none.
    pub near: Option<String>,
}

/// Which datacenters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DatacentersQuery {
    /// Leave out those that do not answer.
    pub only_reachable: bool,
}

/// `PATH@DATACENTER`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyQuery {
    /// The key, without a slash before it.
    pub path: String,
    /// The datacenter; the agent's own if there is none.
    pub datacenter: Option<String>,
}

/// `PREFIX@DATACENTER`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeQuery {
    /// What the keys begin with, without a slash before it.
    pub prefix: String,
    /// The datacenter; the agent's own if there is none.
    pub datacenter: Option<String>,
}

/// A query text that cannot be understood, in consul-template's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionError(String);

impl fmt::Display for QuestionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for QuestionError {}

/// The word in errors, and what follows the name of a query in them.
fn invalid(what: &str, text: &str) -> QuestionError {
    if is_query_option(text) {
        return QuestionError(format!(
            "{what}: query options are not supported: {}; remove what follows the question mark \
             (namespaces, partitions, peers and sameness groups)",
            quoted(text)
        ));
    }
    QuestionError(format!("{what}: invalid format: {}", quoted(text)))
}

impl Question {
    /// Reads the text of `service`.
    ///
    /// # Errors
    /// If the text is no query, has an unknown status, or has options after a question mark.
    pub fn service(text: &str) -> Result<Question, QuestionError> {
        let what = "health.service";
        let mut rest = Rest(text);
        let statuses = rest.cut_last('|', is_statuses);
        let near = rest.cut_last('~', is_dotted);
        let datacenter = rest.cut_last('@', is_dotted);
        // The name has no dot, and so the last one ends the tag.
        let (tag, name) = match rest.0.rsplit_once('.') {
            Some((tag, name)) => (Some(tag), name),
            None => (None, rest.0),
        };
        if !is_service(name) || tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid(what, text));
        }
        let mut wanted = Vec::new();
        for status in statuses.as_deref().unwrap_or("passing").split(',').filter(|status| !status.is_empty()) {
            wanted.push(Status::find(status).ok_or_else(|| {
                QuestionError(format!("{what}: invalid filter: {} in {}", quoted(status), quoted(text)))
            })?);
        }
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Err(invalid(what, text));
        }
        let (name, tag) = (name.to_string(), tag.map(ToString::to_string));
        Ok(Question::Service(ServiceQuery { name, tag, datacenter, near, statuses: wanted }))
    }

    /// Reads the text of `services`.
    ///
    /// # Errors
    /// If the text is neither empty nor a datacenter.
    pub fn services(text: &str) -> Result<Question, QuestionError> {
        let mut rest = Rest(text);
        let datacenter = rest.cut_last('@', is_dotted);
        if rest.0.is_empty() {
            Ok(Question::Services(ServicesQuery { datacenter }))
        } else {
            Err(invalid("catalog.services", text))
        }
    }

    /// Reads the text of `node`.
    ///
    /// # Errors
    /// If the text is no name of a node.
    pub fn node(text: &str) -> Result<Question, QuestionError> {
        let mut rest = Rest(text);
        let datacenter = rest.cut_last('@', is_dotted);
        if text.is_empty() || is_dotted(rest.0) {
            let name = Some(rest.0.to_string()).filter(|name| !name.is_empty());
            Ok(Question::Node(NodeQuery { name, datacenter }))
        } else {
            Err(invalid("catalog.node", text))
        }
    }

    /// Reads the text of `nodes`.
    ///
    /// # Errors
    /// If the text is neither empty nor a datacenter or a node to sort by.
    pub fn nodes(text: &str) -> Result<Question, QuestionError> {
        let mut rest = Rest(text);
        let near = rest.cut_last('~', is_dotted);
        let datacenter = rest.cut_last('@', is_dotted);
        if rest.0.is_empty() {
            Ok(Question::Nodes(NodesQuery { datacenter, near }))
        } else {
            Err(invalid("catalog.nodes", text))
        }
    }

    /// Reads the text of `key`.
    ///
    /// # Errors
    /// If the text is no key.
    pub fn key(text: &str) -> Result<Question, QuestionError> {
        let (path, datacenter) = key_and_datacenter("kv.get", text)?;
        Ok(Question::Key(KeyQuery { path, datacenter }))
    }

    /// Reads the text of `ls` and `tree`.
    ///
    /// # Errors
    /// If the text is no prefix of keys.
    pub fn tree(text: &str) -> Result<Question, QuestionError> {
        let (prefix, datacenter) = key_and_datacenter("kv.list", text)?;
        Ok(Question::Tree(TreeQuery { prefix, datacenter }))
    }

    /// Reads a question that a rendering recorded.
    ///
    /// # Errors
    /// If the source is none of these, or the text is no query of its kind; neither happens to what a rendering recorded.
    pub fn from_query(query: &Query) -> Result<Question, QuestionError> {
        match &*query.source {
            "service" => Question::service(&query.name),
            "services" => Question::services(&query.name),
            "node" => Question::node(&query.name),
            "nodes" => Question::nodes(&query.name),
            "datacenters" => {
                Ok(Question::Datacenters(DatacentersQuery { only_reachable: query.name == ONLY_REACHABLE }))
            }
            "key" => Question::key(&query.name),
            "tree" => Question::tree(&query.name),
            "file" => Ok(Question::File(query.name.clone())),
            "env" => Ok(Question::Environment(query.name.clone())),
            "time" => Ok(Question::Time),
            "interfaces" => Ok(Question::Interfaces),
            other => Err(QuestionError(format!("unknown source of facts: {}", quoted(other)))),
        }
    }

    /// The question as a rendering records it: the canonical text under its source.
    pub fn to_query(&self) -> Query {
        let at = |datacenter: &Option<String>| datacenter.as_ref().map_or_else(String::new, |name| format!("@{name}"));
        let near = |near: &Option<String>| near.as_ref().map_or_else(String::new, |name| format!("~{name}"));
        let (source, name) = match self {
            Question::Service(query) => {
                let tag = query.tag.as_ref().map_or_else(String::new, |tag| format!("{tag}."));
                let statuses: Vec<&str> = query.statuses.iter().map(|status| status.name()).collect();
                let (at, near) = (at(&query.datacenter), near(&query.near));
                ("service", format!("{tag}{}{at}{near}|{}", query.name, statuses.join(",")))
            }
            Question::Services(query) => ("services", at(&query.datacenter)),
            Question::Node(query) => ("node", query.name.clone().unwrap_or_default() + &at(&query.datacenter)),
            Question::Nodes(query) => ("nodes", at(&query.datacenter) + &near(&query.near)),
            Question::Datacenters(query) => {
                ("datacenters", String::from(if query.only_reachable { ONLY_REACHABLE } else { "" }))
            }
            Question::Key(query) => ("key", key_text(&query.path, &query.datacenter)),
            Question::Tree(query) => ("tree", key_text(&query.prefix, &query.datacenter)),
            Question::File(path) => ("file", path.clone()),
            Question::Environment(name) => ("env", name.clone()),
            Question::Time => ("time", String::new()),
            Question::Interfaces => ("interfaces", String::new()),
        };
        Query { source: source.to_string(), name }
    }
}

/// The name of the question for the datacenters that answer.
const ONLY_REACHABLE: &str = "reachable";

/// One slash before a key is dropped when it is read, and so one that belongs to the key is doubled here.
fn key_text(path: &str, datacenter: &Option<String>) -> String {
    let slash = if path.starts_with('/') { "/" } else { "" };
    let at = if datacenter.is_some() { "@" } else { "" };
    format!("{slash}{path}{at}{}", datacenter.as_deref().unwrap_or_default())
}

fn key_and_datacenter(what: &str, text: &str) -> Result<(String, Option<String>), QuestionError> {
    let mut rest = Rest(text);
    let datacenter = rest.cut_last('@', is_dotted);
    let path = rest.0.strip_prefix('/').filter(|path| !path.is_empty()).unwrap_or(rest.0);
    if path.is_empty() || path.contains(['@', '?']) {
        return Err(invalid(what, text));
    }
    Ok((path.to_string(), datacenter))
}
