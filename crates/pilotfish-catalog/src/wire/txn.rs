//! The body of a transaction.

use super::base64;
use super::catalog::{read_check, read_node, read_service};
use super::fields::{Fields, Read};
use super::json::{self, Value};
use crate::state::{Entry, KvVerb, KvWrite, Operation, Refusal, Verb, quote};

/// Most operations of a transaction (Consul documentation, transactions).
const OPERATIONS: usize = 64;

/// Largest value of a key in bytes (Consul's `kv_max_value_size`).
pub(crate) const VALUE_LIMIT: usize = 512 * 1024;

/// Reads the body of `txn`.
///
/// # Errors
/// As Consul refuses it.
pub(crate) fn operations(body: &[u8]) -> Result<Vec<Operation>, Refusal> {
    let failed = |text| Refusal::bad(format!("Failed to parse body: {text}"));
    let items = match json::parse(body).map_err(failed)? {
        Value::List(items) => items,
        Value::Null => Vec::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Object(_)) => {
            return Err(failed(format!("json: cannot unmarshal {} into Go value of type api.TxnOps", other.kind())));
        }
    };
    if items.len() > OPERATIONS {
        let text = format!("Transaction contains too many operations ({} > {OPERATIONS})", items.len());
        return Err(Refusal { status: 413, text });
    }
    let mut operations = Vec::new();
    for item in items {
        operations.extend(operation(item).map_err(failed)?);
    }
    let size: usize = operations.iter().map(size).sum();
    if size > VALUE_LIMIT {
        let text = format!("Cumulative size of key data is too large ({size} > {VALUE_LIMIT} bytes)");
        return Err(Refusal { status: 413, text });
    }
    Ok(operations)
}

fn size(operation: &Operation) -> usize {
    match operation {
        Operation::Kv { entry, .. } => entry.value.len(),
        Operation::Node(..) | Operation::Service(..) | Operation::Check(..) | Operation::Unknown(_) => 0,
    }
}

fn operation(item: Value) -> Read<Option<Operation>> {
    let mut fields = Fields::new(item, "TxnOp", "api.TxnOp")?;
    let mut found = None;
    if let Some(kv) = fields.object("KV", "KVTxnOp", "api.KVTxnOp")? {
        found = Some(kv_operation(kv.under("KV."))?);
    }
    if let Some(mut node) = fields.object("Node", "NodeTxnOp", "api.NodeTxnOp")? {
        let (verb, value) = (node.text("Verb")?, node.take("Node").unwrap_or(Value::Null));
        let of = read_node(value)?;
        found = Some(match verb_of(&verb) {
            Some(verb) => Operation::Node(verb, Box::new(of)),
            None => Operation::Unknown(format!("unknown Node verb {}", quote(&verb))),
        });
    }
    if let Some(mut service) = fields.object("Service", "ServiceTxnOp", "api.ServiceTxnOp")? {
        let (verb, node) = (service.text("Verb")?, service.text("Node")?);
        let mut of = match service.object("Service", "AgentService", "api.AgentService")? {
            Some(mut fields) => {
                fields.take("ContentHash");
                read_service(fields)?
            }
            None => Default::default(),
        };
        if of.id.is_empty() {
            of.id.clone_from(&of.name);
        }
        found = Some(match verb_of(&verb) {
            Some(verb) => Operation::Service(verb, node, Box::new(of)),
            None => Operation::Unknown(format!("unknown Service verb {}", quote(&verb))),
        });
    }
    if let Some(mut check) = fields.object("Check", "CheckTxnOp", "api.CheckTxnOp")? {
        let verb = check.text("Verb")?;
        let (node, mut of) = match check.object("Check", "HealthCheck", "api.HealthCheck")? {
            Some(fields) => read_check(fields)?,
            None => Default::default(),
        };
        if of.id.is_empty() {
            of.id.clone_from(&of.name);
        }
        found = Some(match verb_of(&verb) {
            Some(verb) => Operation::Check(verb, node, Box::new(of)),
            None => Operation::Unknown(format!("unknown Check verb {}", quote(&verb))),
        });
    }
    fields.take("Intention");
    fields.finish()?;
    Ok(found)
}

fn verb_of(text: &str) -> Option<Verb> {
    Some(match text {
        "set" => Verb::Set,
        "cas" => Verb::Cas,
        "delete" => Verb::Delete,
        "delete-cas" => Verb::DeleteCas,
        "get" => Verb::Get,
        _ => return None,
    })
}

fn kv_operation(mut fields: Fields) -> Read<Operation> {
    let verb = fields.text("Verb")?;
    let key = fields.text("Key")?;
    let value = fields.text_of("Value", "[]uint8")?;
    let value = base64::decode(&value).map_err(|position| format!("illegal base64 data at input byte {position}"))?;
    let flags = fields.unsigned("Flags")?;
    let index = fields.unsigned("Index")?;
    let session = fields.text("Session")?;
    fields.take("Namespace");
    fields.finish()?;
    let verb = match verb.as_str() {
        "set" => KvVerb::Write(KvWrite::Set),
        "cas" => KvVerb::Write(KvWrite::Cas(index)),
        "lock" => KvVerb::Write(KvWrite::Lock(session)),
        "unlock" => KvVerb::Write(KvWrite::Unlock(session)),
        "delete" => KvVerb::Write(KvWrite::Delete),
        "delete-cas" => KvVerb::Write(KvWrite::DeleteCas(index)),
        "delete-tree" => KvVerb::Write(KvWrite::DeleteTree),
        "get" => KvVerb::Get,
        "get-tree" => KvVerb::GetTree,
        "check-index" => KvVerb::CheckIndex(index),
        "check-session" => KvVerb::CheckSession(session),
        "check-not-exists" => KvVerb::CheckNotExists,
        _ if key.is_empty() => return Ok(Operation::Unknown("Must provide key".to_owned())),
        other => return Ok(Operation::Unknown(format!("unknown KV verb {}", quote(other)))),
    };
    Ok(Operation::Kv { verb, key: key.into_bytes(), entry: Entry { value, flags, ..Entry::default() } })
}
