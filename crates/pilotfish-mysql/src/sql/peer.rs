//! Another member's server, asked over the network with the account for replication, on a connection that stays.

use std::sync::Arc;
use std::time::Duration;

use pilotfish_autopilot::{Flavour, GtidSet, MemberId};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connection::{Connection, Place, Target};
use super::{Source, WRITING, Work, position};
use crate::error::Error;
use crate::settings::Secret;
use crate::task::beside;

/// How long a good-bye may take.
const GOOD_BYE_LIMIT: Duration = Duration::from_millis(100);

/// Another member's server.
#[derive(Clone)]
pub(crate) struct Peer {
    flavour: Flavour,
    source: Source,
    user: String,
    password: Secret,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Peer {
    /// Opens nothing yet.
    pub(crate) fn new(flavour: Flavour, source: Source, user: &str, password: &Secret) -> Peer {
        Peer { flavour, source, user: user.into(), password: password.clone(), connection: Arc::default() }
    }

    /// Whether this is the server that is meant.
    pub(crate) fn is(&self, source: &Source) -> bool {
        self.source == *source
    }

    /// Whose it is.
    pub(crate) fn member(&self) -> MemberId {
        self.source.member
    }

    /// Makes sure that there is a connection, unless somebody is asking at this moment.
    pub(crate) async fn meet(&self, limit: Duration) {
        if self.connection.try_lock().is_ok() {
            // Who cannot be asked now may be later.
            let _ = self.executed(limit).await;
        }
    }

    /// Says good-bye, so that the server does not complain of a connection that was aborted.
    pub(crate) fn leave(&self) {
        if let Some(connection) = self.connection.try_lock().ok().and_then(|mut slot| slot.take()) {
            beside(async move {
                let _ = timeout(GOOD_BYE_LIMIT, connection.close()).await;
            });
        }
    }

    /// What it has executed. If the connection that was there is no more, on a new one.
    pub(crate) async fn executed(&self, limit: Duration) -> Result<GtidSet, Error> {
        const DOING: &str = "asking another member for its position";
        let ask: Work<'_, GtidSet> = Box::pin(async {
            let mut slot = self.connection.lock().await;
            // Taken out, so that one on which a question is left unanswered is not used again. One that is dead without a word must not take all the
            // time.
            if let Some(mut connection) = slot.take()
                && let Ok(Ok(executed)) = timeout(limit / 4, self.position(&mut connection)).await
            {
                *slot = Some(connection);
                return Ok(executed);
            }
            let mut connection = self.open(limit).await?;
            let executed = self.position(&mut connection).await?;
            *slot = Some(connection);
            Ok(executed)
        });
        timeout(limit, ask).await.unwrap_or(Err(Error::TooSlow { doing: DOING, limit }))
    }

    fn position<'a>(&self, connection: &'a mut Connection) -> Work<'a, GtidSet> {
        Box::pin(position(connection, self.flavour))
    }

    /// Connects, and makes sure that it is this member's server: addresses are given to others.
    async fn open(&self, limit: Duration) -> Result<Connection, Error> {
        const DOING: &str = "asking another member who it is";
        let at = Place::Tcp(self.source.host.clone(), self.source.port);
        let target = Target { at, user: self.user.clone(), password: self.password.clone() };
        let mut connection = Connection::open(&target, limit).await?;
        let rows = connection.rows(DOING, "SELECT @@global.server_id AS id").await?;
        let id = rows.first().and_then(|row| row.number::<u32>("id")).map(|id| MemberId(id & !WRITING));
        if id != Some(self.source.member) {
            let found = id.map_or("nobody".to_owned(), |id| id.to_string());
            let text = format!("{}:{} is {found}, not {}", self.source.host, self.source.port, self.source.member);
            return Err(Error::Answer { doing: DOING, text });
        }
        Ok(connection)
    }
}
