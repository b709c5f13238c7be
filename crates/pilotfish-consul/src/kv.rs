//! `/v1/kv`: keys and values, with check-and-set and locks.

use bytes::Bytes;
use serde::Deserialize;

use crate::call::{Call, Reply};
use crate::read::Read;
use crate::wire;
use crate::{Answer, Client, Error};

/// A key with its value. Values are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KvPair {
    /// Key, without a leading slash.
    pub key: String,
    /// Value; Consul holds at most 512 KiB.
    #[serde(deserialize_with = "wire::bytes")]
    pub value: Vec<u8>,
    /// A number that belongs to the application.
    pub flags: u64,
    /// Index at which the key was created.
    pub create_index: u64,
    /// Index of the last change: what [`KvWrite::Cas`] compares.
    pub modify_index: u64,
    /// How often the key has been locked.
    pub lock_index: u64,
    /// Session that holds the lock.
    #[serde(default)]
    pub session: Option<String>,
}

/// Under what condition a value is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvWrite {
    /// Under none.
    Always,
    /// If the key's modify index is still this one; 0: if the key does not exist.
    Cas(u64),
    /// If this session holds the lock of the key or nobody does; then it holds it.
    Acquire(String),
    /// If this session holds the lock of the key; then it no longer does.
    Release(String),
}

impl Client {
    /// The value of a key; nothing when the key does not exist. With [`Read::after`], a blocking query.
    ///
    /// # Errors
    /// See [`Error`]; none of them means that there is no such key.
    pub async fn kv_get(&self, key: &str, read: &Read) -> Result<Answer<Option<KvPair>>, Error> {
        let reply = self.kv_read(Call::get("/v1/kv/").push(key), read).await?;
        let mut pairs: Vec<KvPair> = list(&reply)?;
        Ok(reply.answer(pairs.pop()))
    }

    /// All keys under a prefix, with values. With [`Read::after`], a blocking query.
    ///
    /// # Errors
    /// As [`Client::kv_get`].
    pub async fn kv_recurse(&self, prefix: &str, read: &Read) -> Result<Answer<Vec<KvPair>>, Error> {
        let reply = self.kv_read(Call::get("/v1/kv/").push(prefix).query("recurse", ""), read).await?;
        Ok(reply.answer(list(&reply)?))
    }

    /// Names of all keys under a prefix; with a separator, only up to its next occurrence.
    ///
    /// # Errors
    /// As [`Client::kv_get`].
    pub async fn kv_keys(
        &self,
        prefix: &str,
        separator: Option<&str>,
        read: &Read,
    ) -> Result<Answer<Vec<String>>, Error> {
        let call = Call::get("/v1/kv/").push(prefix).query("keys", "").query_some("separator", separator);
        let reply = self.kv_read(call, read).await?;
        Ok(reply.answer(list(&reply)?))
    }

    async fn kv_read(&self, call: Call, read: &Read) -> Result<Reply, Error> {
        self.call(read.apply(call.accepting(404), self.datacenter())).await
    }

    /// Writes a value. True when it was written, false when the condition did not hold.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the session does not exist. After an error with [`Error::may_have_been_done`] a conditional
    /// write must be read back.
    pub async fn kv_put(&self, key: &str, value: Bytes, flags: u64, write: &KvWrite) -> Result<Answer<bool>, Error> {
        let mut call = Call::put("/v1/kv/").push(key).query_some("dc", self.datacenter()).body(value);
        if flags != 0 {
            call = call.query("flags", &flags.to_string());
        }
        call = match write {
            KvWrite::Always => call,
            KvWrite::Cas(index) => call.query("cas", &index.to_string()).once(),
            KvWrite::Acquire(session) => call.query("acquire", session),
            KvWrite::Release(session) => call.query("release", session).once(),
        };
        self.call(call).await?.read(|written| written)
    }

    /// Removes a key; with an index, only if its modify index is still that one. True when the key is gone.
    ///
    /// # Errors
    /// As [`Client::kv_put`].
    pub async fn kv_delete(&self, key: &str, cas: Option<u64>) -> Result<Answer<bool>, Error> {
        let mut call = Call::delete("/v1/kv/").push(key).query_some("dc", self.datacenter());
        if let Some(index) = cas {
            call = call.query("cas", &index.to_string()).once();
        }
        self.call(call).await?.read(|removed| removed)
    }

    /// Removes all keys under a prefix.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn kv_delete_recurse(&self, prefix: &str) -> Result<Answer<bool>, Error> {
        let call = Call::delete("/v1/kv/").push(prefix).query_some("dc", self.datacenter()).query("recurse", "");
        self.call(call).await?.read(|removed| removed)
    }
}

/// Consul answers 404 with an empty body when no key matches.
fn list<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<Vec<T>, Error> {
    if reply.status == 404 { Ok(Vec::new()) } else { reply.parse() }
}
