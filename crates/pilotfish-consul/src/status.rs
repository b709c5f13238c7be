//! `/v1/status`: the servers' own view of their cluster.

use crate::call::Call;
use crate::{Answer, Client, Error};

impl Client {
    /// Address of the leader, for Consul's own protocol; nothing while there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status_leader(&self) -> Result<Answer<Option<String>>, Error> {
        let known = |leader: String| (!leader.is_empty()).then_some(leader);
        self.call(Call::get("/v1/status/leader")).await?.read(known)
    }

    /// Addresses of the servers that vote, for Consul's own protocol.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status_peers(&self) -> Result<Answer<Vec<String>>, Error> {
        self.call(Call::get("/v1/status/peers")).await?.read(|peers| peers)
    }
}
