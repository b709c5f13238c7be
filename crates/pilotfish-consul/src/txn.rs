//! `/v1/txn`: several operations on keys, all of them or none.

use serde::{Deserialize, Serialize};

use crate::base64;
use crate::call::Call;
use crate::wire::null_is_empty;
use crate::{Answer, Client, Error, KvPair};

/// Most operations of one transaction (`maxTxnOps` in Consul).
pub const TRANSACTION_OPERATIONS: usize = 64;

/// One operation on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnOperation {
    /// Writes a value.
    Set(String, Vec<u8>),
    /// Writes a value if the key's modify index is still this one; 0: if the key does not exist.
    Cas(String, Vec<u8>, u64),
    /// Writes a value and locks the key for a session.
    Lock(String, Vec<u8>, String),
    /// Writes a value and releases the session's lock.
    Unlock(String, Vec<u8>, String),
    /// Reads a key; fails when it does not exist.
    Get(String),
    /// Reads all keys under a prefix.
    GetTree(String),
    /// Fails unless the key's modify index is this one.
    CheckIndex(String, u64),
    /// Fails unless this session holds the key's lock.
    CheckSession(String, String),
    /// Fails when the key exists.
    CheckNotExists(String),
    /// Removes a key.
    Delete(String),
    /// Removes all keys under a prefix.
    DeleteTree(String),
    /// Removes a key if its modify index is still this one.
    DeleteCas(String, u64),
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnOutcome {
    /// All operations were carried out. The pairs they wrote (without values) and read, in order.
    Committed(Vec<KvPair>),
    /// Nothing was changed, because of these.
    RolledBack(Vec<TxnFailure>),
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TxnFailure {
    /// Position of the operation.
    #[serde(rename = "OpIndex")]
    pub operation: usize,
    /// Consul's own text.
    #[serde(rename = "What")]
    pub text: String,
}

impl Client {
    /// Carries out up to [`TRANSACTION_OPERATIONS`] operations, all or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are too many. After an error with [`Error::may_have_been_done`] the keys must be read back.
    pub async fn txn(&self, operations: &[TxnOperation]) -> Result<Answer<TxnOutcome>, Error> {
        if operations.len() > TRANSACTION_OPERATIONS {
            let text = format!("{} operations in one transaction; at most {TRANSACTION_OPERATIONS}", operations.len());
            return Err(Error::Invalid { address: "any address".into(), status: 413, text });
        }
        let wire: Vec<WireOperation<'_>> =
            operations.iter().map(|operation| WireOperation { kv: operation.into() }).collect();
        let call = Call::put("/v1/txn").query_some("dc", self.datacenter()).json(&wire).once().accepting(409);
        let reply = self.call(call).await?;
        let WireOutcome { results, errors } = reply.parse()?;
        match (reply.status, errors.is_empty()) {
            (409, true) => Err(reply.garbled("a transaction was rolled back for no reason".into())),
            (_, false) => Ok(reply.answer(TxnOutcome::RolledBack(errors))),
            (_, true) => Ok(reply.answer(TxnOutcome::Committed(results.into_iter().map(|result| result.kv).collect()))),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
struct WireOperation<'a> {
    kv: WireKv<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct WireKv<'a> {
    verb: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
}

impl<'a> From<&'a TxnOperation> for WireKv<'a> {
    fn from(operation: &'a TxnOperation) -> WireKv<'a> {
        let bare = |verb, key| WireKv { verb, key, value: None, index: None, session: None };
        match operation {
            TxnOperation::Set(key, value) => WireKv { value: Some(base64::encode(value)), ..bare("set", key) },
            TxnOperation::Cas(key, value, index) => {
                WireKv { value: Some(base64::encode(value)), index: Some(*index), ..bare("cas", key) }
            }
            TxnOperation::Lock(key, value, session) => {
                WireKv { value: Some(base64::encode(value)), session: Some(session), ..bare("lock", key) }
            }
            TxnOperation::Unlock(key, value, session) => {
                WireKv { value: Some(base64::encode(value)), session: Some(session), ..bare("unlock", key) }
            }
            TxnOperation::Get(key) => bare("get", key),
            TxnOperation::GetTree(prefix) => bare("get-tree", prefix),
            TxnOperation::CheckIndex(key, index) => WireKv { index: Some(*index), ..bare("check-index", key) },
            TxnOperation::CheckSession(key, session) => WireKv { session: Some(session), ..bare("check-session", key) },
            TxnOperation::CheckNotExists(key) => bare("check-not-exists", key),
            TxnOperation::Delete(key) => bare("delete", key),
            TxnOperation::DeleteTree(prefix) => bare("delete-tree", prefix),
            TxnOperation::DeleteCas(key, index) => WireKv { index: Some(*index), ..bare("delete-cas", key) },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireOutcome {
    #[serde(default, deserialize_with = "null_is_empty")]
    results: Vec<WireResult>,
    #[serde(default, deserialize_with = "null_is_empty")]
    errors: Vec<TxnFailure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct WireResult {
    kv: KvPair,
}
