//! A client of one server: what a test asks and does behind the cluster's back.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _};
use tokio::net::{TcpStream, UnixListener};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::wait::wait_until;

/// The application's account.
pub(super) const USER: &str = "app";
pub(super) const PASSWORD: &str = "secret of the application";
/// Where the operator's own account is written down.
pub(super) const OPERATOR_FILE: &str = "client.cnf";
/// The application's table.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS promises (id BIGINT UNSIGNED PRIMARY KEY)";
/// How long one statement may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A client of one server.
pub struct Client {
    address: IpAddr,
    port: u16,
    operator: PathBuf,
}

/// Connects as the application.
///
/// Through a relay, because sqlx leaves `TCP_NODELAY` off: a handshake over TLS then waits 40 ms for an acknowledgement that the other side puts off,
/// as with no other driver, and that would count as the cluster's time. A Unix socket delays nothing.
pub(super) async fn connect(address: IpAddr, port: u16, limit: Duration) -> Option<MySqlConnection> {
    let directory = tempfile::tempdir().ok()?;
    let path = directory.path().join("relay.sock");
    let listener = UnixListener::bind(&path).ok()?;
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await?;
        let mut far = timeout(limit, TcpStream::connect((address, port))).await??;
        far.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    });
    let options = MySqlConnectOptions::new().socket(&path).username(USER).password(PASSWORD).database("app");
    timeout(limit, options.disable_statement_logging().connect()).await.ok()?.ok()
}

/// A connection.
pub struct Session {
    runtime: Runtime,
    connection: MySqlConnection,
}

impl Session {
    /// The first column of all rows that a statement gives; `None` if it fails.
    pub fn query(&mut self, statement: &str) -> Option<Vec<String>> {
        let work = texts(&mut self.connection, statement);
        self.runtime.block_on(async { timeout(LIMIT, work).await.ok()? })
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

impl Client {
    pub(super) fn new(address: IpAddr, port: u16, operator: PathBuf) -> Client {
        Client { address, port, operator }
    }

    fn run<T>(&self, work: impl Future<Output = Option<T>>) -> Option<T> {
        runtime().block_on(async { timeout(LIMIT, work).await.ok()? })
    }

    /// A connection as the application that stays open, as those of a pool do.
    ///
    /// # Panics
    /// When the server refuses it.
    pub fn session(&self) -> Session {
        let runtime = runtime();
        let connection = runtime.block_on(connect(self.address, self.port, LIMIT));
        Session { runtime, connection: connection.expect("the server takes connections") }
    }

    /// The first column of all rows that a statement gives, as the application; `None` if it fails.
    pub fn query(&self, statement: &str) -> Option<Vec<String>> {
        self.run(async {
            let mut connection = connect(self.address, self.port, LIMIT).await?;
            texts(&mut connection, statement).await
        })
    }

    /// The same as the operator's own account, over the socket: it may do everything, also what breaks things.
    ///
    /// # Panics
    /// When the account is not written down where it should be.
    pub fn as_operator(&self, statement: &str) -> Option<Vec<String>> {
        let file = std::fs::read_to_string(&self.operator).expect("the operator has written its account down");
        let value = |key: &str| {
            let line = file.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
            line.map(|value| value.trim().to_owned()).unwrap_or_default()
        };
        self.run(async {
            let options = MySqlConnectOptions::new().socket(value("socket")).username(&value("user"));
            let options = options.password(&value("password")).disable_statement_logging();
            let mut connection = options.connect().await.ok()?;
            texts(&mut connection, statement).await
        })
    }

    /// All keys of the table of promises.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn keys(&self) -> HashSet<u64> {
        let keys = wait_until("the keys of the promises", || self.query("SELECT id FROM promises"));
        keys.iter().map(|key| key.parse().expect("a key is a number")).collect()
    }

    /// A sum over all data, and the exact position.
    pub fn checksum(&self) -> Option<String> {
        let sum = self.as_operator("SELECT CONCAT(COUNT(*), ':', COALESCE(SUM(CRC32(id)), 0)) FROM app.promises")?;
        let term =
            self.as_operator("SELECT CONCAT_WS(' ', term, server_id, start_seq, before_set) FROM pilotfish.term")?;
        let beat = self.as_operator("SELECT CONCAT(id, ':', number) FROM pilotfish.beat ORDER BY id")?;
        let maria = self.as_operator("SELECT @@global.gtid_binlog_pos");
        let position = maria.or_else(|| self.as_operator("SELECT @@global.gtid_executed"))?;
        Some(format!("{sum:?} {term:?} {beat:?} {position:?}"))
    }
}

async fn texts(connection: &mut MySqlConnection, statement: &str) -> Option<Vec<String>> {
    let rows = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await.ok()?;
    Some(rows.iter().filter(|row| !row.is_empty()).map(|row| row.try_get_unchecked(0).unwrap_or_default()).collect())
}
