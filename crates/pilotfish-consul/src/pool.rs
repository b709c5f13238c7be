//! Idle connections, kept warm between calls.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::endpoints::Endpoint;

/// Idle connections kept for each server. Heartbeats need one, bursts of reads a few.
const IDLE_CONNECTIONS: usize = 4;
/// Age at which an idle connection is not used any more: firewalls forget connections without a word.
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// Idle connections of all servers; few enough for a plain list.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    endpoint: Endpoint,
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// The connection that was used last, which is the least likely to have been closed by the server.
    pub(crate) fn take(&self, endpoint: &Endpoint) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|idle| idle.since.elapsed() < IDLE_LIMIT);
        let position = idle.iter().rposition(|idle| idle.endpoint == *endpoint)?;
        Some(idle.remove(position).connection)
    }

    /// Keeps a connection for later, unless it has ended; the oldest makes room.
    pub(crate) fn put(&self, endpoint: &Endpoint, connection: Connection) {
        if !connection.is_open() {
            return;
        }
        let mut idle = self.lock();
        let kept = idle.iter().filter(|idle| idle.endpoint == *endpoint).count();
        if kept >= IDLE_CONNECTIONS {
            let oldest = idle.iter().position(|idle| idle.endpoint == *endpoint);
            oldest.map(|oldest| idle.remove(oldest));
        }
        idle.push(Idle { endpoint: endpoint.clone(), connection, since: Instant::now() });
    }

    /// Drops the idle connections of a server that has failed.
    pub(crate) fn forget(&self, endpoint: &Endpoint) {
        self.lock().retain(|idle| idle.endpoint != *endpoint);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
