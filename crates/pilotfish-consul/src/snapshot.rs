//! `/v1/snapshot`: the state of the whole cluster as one archive.

use bytes::Bytes;

use crate::call::Call;
use crate::{Answer, Client, Error};

/// Largest snapshot that is read, in bytes. It is held in memory: meant for tests and small clusters.
pub const SNAPSHOT_LIMIT: usize = 512 * 1024 * 1024;

impl Client {
    /// Reads a snapshot, a gzip archive.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn snapshot_save(&self) -> Result<Answer<Bytes>, Error> {
        let mut call = Call::get("/v1/snapshot").query_some("dc", self.datacenter());
        call.response_limit = SNAPSHOT_LIMIT;
        let reply = self.call(call).await?;
        Ok(reply.answer(reply.body.clone()))
    }

    /// Replaces the cluster's state by a snapshot. Indexes go back; blocking queries see [`crate::Step::Reset`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn snapshot_restore(&self, snapshot: Bytes) -> Result<(), Error> {
        let call = Call::put("/v1/snapshot").query_some("dc", self.datacenter()).body(snapshot).once();
        self.call(call).await.map(|_| ())
    }
}
