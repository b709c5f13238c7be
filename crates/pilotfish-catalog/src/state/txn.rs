//! Transactions: several operations at one index, all or none.

use serde::{Deserialize, Serialize};

use super::command::KvWrite;
use super::tables::{Indexes, Tables};
use super::types::{Check, Entry, Node, Service};
use super::{Answer, Refused, State, quote};

/// What is done with a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvVerb {
    /// A write.
    Write(KvWrite),
    /// Reads one.
    Get,
    /// Reads all that begin so.
    GetTree,
    /// Fails unless the index is this one.
    CheckIndex(u64),
    /// Fails unless this session holds it.
    CheckSession(String),
    /// Fails if it is there.
    CheckNotExists,
}

/// What is done with a node, service or check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    /// Writes it.
    Set,
    /// Writes it if its index is still the given one.
    Cas,
    /// Deletes it.
    Delete,
    /// Deletes it if its index is still the given one.
    DeleteCas,
    /// Reads it.
    Get,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// On a key.
    Kv {
        /// What is done.
        verb: KvVerb,
        /// The key.
        key: Vec<u8>,
        /// Value and flags of a write.
        entry: Entry,
    },
    /// On a node.
    Node(Verb, Box<Node>),
    /// On a service of a node.
    Service(Verb, String, Box<Service>),
    /// On a check of a node.
    Check(Verb, String, Box<Check>),
    /// A verb that is not known: what Consul says of it.
    Unknown(String),
}

impl Operation {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Operation::Kv { verb, .. } => !matches!(verb, KvVerb::Write(_)),
            Operation::Node(verb, _) | Operation::Service(verb, ..) | Operation::Check(verb, ..) => *verb == Verb::Get,
            Operation::Unknown(_) => true,
        }
    }
}

/// What an operation brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An entry; with its value only where it was read.
    Kv(Vec<u8>, Entry, bool),
    /// A node.
    Node(Box<Node>),
    /// A service.
    Service(Box<Service>),
    /// A check and its node.
    Check(String, Box<Check>),
}

/// What a transaction brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// What was read or written, if all went well.
    pub results: Vec<Outcome>,
    /// The operations that failed, by position.
    pub errors: Vec<(usize, String)>,
}

/// What a transaction on the tables may have to bring back.
type Saved = Option<Box<Tables>>;

impl State {
    pub(super) fn transact(&mut self, operations: &[Operation]) -> Result<Answer, Refused> {
        if !operations.iter().all(Operation::is_read) {
            self.index += 1;
        }
        let indexes: Indexes = self.indexes;
        let touches_tables =
            operations.iter().any(|operation| !matches!(operation, Operation::Kv { .. }) && !operation.is_read());
        let saved: Saved = touches_tables.then(|| Box::new(self.tables.clone()));
        self.kv.begin();
        let mut outcomes = Outcomes::default();
        let (mut broken, mut gone) = (Vec::new(), Vec::new());
        for (position, operation) in operations.iter().enumerate() {
            match self.operate(operation, &mut broken, &mut gone) {
                Ok(results) => outcomes.results.extend(results),
                Err(text) => outcomes.errors.push((position, text)),
            }
        }
        let failed = !outcomes.errors.is_empty();
        self.kv.end(failed);
        if failed {
            outcomes.results.clear();
            self.indexes = indexes;
            self.changes.clear();
            if let Some(saved) = saved {
                self.tables = *saved;
            }
        } else {
            self.invalidate_dependents(&broken, &gone);
        }
        Ok(Answer::Transaction(outcomes))
    }

    fn operate(
        &mut self,
        operation: &Operation,
        broken: &mut Vec<(String, String)>,
        gone: &mut Vec<String>,
    ) -> Result<Vec<Outcome>, String> {
        match operation {
            Operation::Kv { verb, key, entry } => self.operate_kv(verb, key, entry),
            Operation::Unknown(text) => Err(text.clone()),
            Operation::Node(..) | Operation::Service(..) | Operation::Check(..) => {
                let (result, mut more, mut nodes) = self.operate_tables(operation);
                broken.append(&mut more);
                gone.append(&mut nodes);
                result.map(|outcome| outcome.into_iter().collect())
            }
        }
    }

    fn operate_kv(&mut self, verb: &KvVerb, key: &[u8], entry: &Entry) -> Result<Vec<Outcome>, String> {
        let name = quote(&String::from_utf8_lossy(key));
        let found = self.kv.get(key).cloned();
        let told = |entry: Entry, value: bool| vec![Outcome::Kv(key.to_vec(), entry, value)];
        match verb {
            KvVerb::Write(write) if key.is_empty() && *write != KvWrite::DeleteTree => {
                Err("Must provide key".to_owned())
            }
            KvVerb::Write(write) => {
                if let KvWrite::Lock(session) = write
                    && self.kv.is_delayed(key, self.now)
                    && !session.is_empty()
                {
                    return Err(format!("failed to lock key {name}, lock is already held"));
                }
                let written = self.write_entry(key, entry.clone(), write).map_err(|refusal| refusal.text)?;
                let failure = match write {
                    KvWrite::Lock(_) => format!("failed to lock key {name}, lock is already held"),
                    KvWrite::Unlock(_) => {
                        format!("failed to unlock key {name}, lock isn't held, or is held by another session")
                    }
                    KvWrite::DeleteCas(_) => format!("failed to delete key {name}, index is stale"),
                    KvWrite::Set | KvWrite::Cas(_) | KvWrite::Delete | KvWrite::DeleteTree => {
                        format!("failed to set key {name}, index is stale")
                    }
                };
                let entry = written.ok_or(failure)?;
                Ok(entry.map_or_else(Vec::new, |entry| told(entry, false)))
            }
            KvVerb::GetTree => {
                Ok(self.kv.list(key).map(|(key, entry)| Outcome::Kv(key.clone(), entry.clone(), true)).collect())
            }
            KvVerb::CheckNotExists if found.is_some() => Err(format!("key {name} exists")),
            KvVerb::CheckNotExists => Ok(Vec::new()),
            KvVerb::Get | KvVerb::CheckIndex(_) | KvVerb::CheckSession(_) => {
                let doing = match verb {
                    KvVerb::CheckIndex(_) => "failed to check index, ",
                    KvVerb::CheckSession(_) => "failed to check session, ",
                    KvVerb::Write(_) | KvVerb::Get | KvVerb::GetTree | KvVerb::CheckNotExists => "",
                };
                let entry = found.ok_or_else(|| format!("{doing}key {name} doesn't exist"))?;
                check_entry(&name, &entry, verb)?;
                Ok(told(entry, *verb == KvVerb::Get))
            }
        }
    }

    /// What it brought; the checks that broke and the nodes that went with it.
    #[expect(clippy::type_complexity, reason = "the three have no name of their own")]
    fn operate_tables(
        &mut self,
        operation: &Operation,
    ) -> (Result<Option<Outcome>, String>, Vec<(String, String)>, Vec<String>) {
        let mut writing = super::tables::Writing {
            index: self.index,
            indexes: &mut self.indexes,
            changes: &mut self.changes,
            broken: Vec::new(),
            gone: Vec::new(),
        };
        let result = match operation {
            Operation::Node(verb, node) => on_node(&mut self.tables, *verb, node, &mut writing),
            Operation::Service(verb, node, service) => on_service(&mut self.tables, *verb, node, service, &mut writing),
            Operation::Check(verb, node, check) => on_check(&mut self.tables, *verb, node, check, &mut writing),
            Operation::Kv { .. } | Operation::Unknown(_) => Ok(None),
        };
        (result, writing.broken, writing.gone)
    }
}

/// Refuses an entry that is not as the verb wants it.
fn check_entry(name: &str, entry: &Entry, verb: &KvVerb) -> Result<(), String> {
    if let KvVerb::CheckIndex(index) = verb
        && entry.stamp.modified != *index
    {
        let current = entry.stamp.modified;
        return Err(format!("failed index check for key {name}, current modify index {current} != {index}"));
    }
    if let KvVerb::CheckSession(session) = verb
        && entry.session != *session
    {
        return Err(format!(
            "failed session check for key {name}, current session {} != {}",
            quote(&entry.session),
            quote(session)
        ));
    }
    Ok(())
}

fn on_node(
    tables: &mut Tables,
    verb: Verb,
    node: &Node,
    writing: &mut super::tables::Writing<'_>,
) -> Result<Option<Outcome>, String> {
    let found = tables.host(&node.name).map(|host| host.node.clone());
    let modified = found.as_ref().map_or(0, |found| found.stamp.modified);
    let name = quote(&node.name);
    match verb {
        Verb::Get => {
            let found = found.ok_or_else(|| format!("node {name} doesn't exist"))?;
            return Ok(Some(Outcome::Node(Box::new(found))));
        }
        Verb::Cas if modified != node.stamp.modified => {
            return Err(format!("failed to set node {name}, index is stale"));
        }
        Verb::DeleteCas if modified != node.stamp.modified => {
            return Err(format!("failed to delete node {name}, index is stale"));
        }
        Verb::Delete | Verb::DeleteCas => {
            tables.remove_node(&node.name, writing);
            return Ok(None);
        }
        Verb::Set | Verb::Cas => tables.put_node(node, writing).map_err(|refusal| refusal.text)?,
    }
    Ok(tables.host(&node.name).map(|host| Outcome::Node(Box::new(host.node.clone()))))
}

fn on_service(
    tables: &mut Tables,
    verb: Verb,
    node: &str,
    service: &Service,
    writing: &mut super::tables::Writing<'_>,
) -> Result<Option<Outcome>, String> {
    let found = tables.service(node, &service.id).cloned();
    let modified = found.as_ref().map_or(0, |found| found.stamp.modified);
    let (id, node_name) = (quote(&service.id), quote(node));
    if verb != Verb::Get && service.name.is_empty() && !service.id.is_empty() {
        return Err("Must provide service name with ID".to_owned());
    }
    match verb {
        Verb::Get => {
            let found = found.ok_or_else(|| format!("service {id} on node {node_name} doesn't exist"))?;
            return Ok(Some(Outcome::Service(Box::new(found))));
        }
        Verb::Cas if modified != service.stamp.modified => {
            return Err(format!("failed to set service {id} on node {node_name}, index is stale"));
        }
        Verb::DeleteCas if modified != service.stamp.modified => {
            return Err(format!("failed to delete service {id} on node {node_name}, index is stale"));
        }
        Verb::Delete | Verb::DeleteCas => {
            tables.remove_service(node, &service.id, writing);
            return Ok(None);
        }
        Verb::Set | Verb::Cas => {
            if tables.host(node).is_none() {
                return Err("Missing node registration".to_owned());
            }
            tables.put_service(node, service, writing);
        }
    }
    Ok(tables.service(node, &service.id).map(|found| Outcome::Service(Box::new(found.clone()))))
}

fn on_check(
    tables: &mut Tables,
    verb: Verb,
    node: &str,
    check: &Check,
    writing: &mut super::tables::Writing<'_>,
) -> Result<Option<Outcome>, String> {
    let find = |tables: &Tables| tables.host(node).and_then(|host| host.checks.get(&check.id)).cloned();
    let found = find(tables);
    let modified = found.as_ref().map_or(0, |found| found.stamp.modified);
    let (id, node_name) = (quote(&check.id), quote(node));
    match verb {
        Verb::Get => {
            let found = found.ok_or_else(|| format!("check {id} on node {node_name} doesn't exist"))?;
            return Ok(Some(Outcome::Check(node.to_owned(), Box::new(found))));
        }
        Verb::Cas if modified != check.stamp.modified => {
            return Err(format!("failed to set check {id} on node {node_name}, index is stale"));
        }
        Verb::DeleteCas if modified != check.stamp.modified => {
            return Err(format!("failed to delete check {id} on node {node_name}, index is stale"));
        }
        Verb::Delete | Verb::DeleteCas => {
            tables.remove_check(node, &check.id, writing);
            return Ok(None);
        }
        Verb::Set | Verb::Cas => tables
            .put_check(node, check, writing)
            .map_err(|refusal| refusal.text.trim_start_matches("failed inserting check: ").to_owned())?,
    }
    Ok(find(tables).map(|found| Outcome::Check(node.to_owned(), Box::new(found))))
}
