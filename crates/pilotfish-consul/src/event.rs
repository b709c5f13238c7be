//! `/v1/event`: user events, which spread by gossip and are kept only for a while.

use bytes::Bytes;
use serde::Deserialize;

use crate::call::Call;
use crate::read::Read;
use crate::wire;
use crate::{Answer, Client, Error};

/// One user event.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserEvent {
    /// Identity.
    #[serde(rename = "ID")]
    pub id: String,
    /// Name.
    pub name: String,
    /// What it carries; Consul takes about 100 bytes.
    #[serde(deserialize_with = "wire::bytes")]
    pub payload: Vec<u8>,
}

impl Client {
    /// Fires an event and returns it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn event_fire(&self, name: &str, payload: Bytes) -> Result<Answer<UserEvent>, Error> {
        let call = Call::put("/v1/event/fire/").push(name).query_some("dc", self.datacenter()).body(payload).once();
        self.call(call).await?.read(|event| event)
    }

    /// The events that the agent still remembers (at most 256), the oldest first. With [`Read::after`], a blocking query; the
    /// index of this call is a hash and does not grow, so every other index means a change.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn event_list(&self, name: Option<&str>, read: &Read) -> Result<Answer<Vec<UserEvent>>, Error> {
        let call = Call::get("/v1/event/list").query_some("name", name);
        self.call(read.apply(call, None)).await?.read(|events| events)
    }
}
