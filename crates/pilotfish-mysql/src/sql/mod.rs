//! Statements: what a server of either flavour is asked and told.
//!
//! `mod.rs` knows when, `mariadb.rs` and `mysql.rs` know how. Three connections, opened when they are needed: for probes, for looks, and for
//! acts, so that a statement that waits never delays a probe.

mod accounts;
mod connection;
mod history;
mod mariadb;
mod mysql;
mod peer;
mod relay_log;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard};
use std::time::Duration;

use pilotfish_autopilot::{Access, Applier, Flavour, GtidSet, MemberId, Mode, Receiver, Term};
use tokio::sync::Mutex;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::error::Error;
use crate::launch::Launcher;
use crate::settings::{Credentials, Secret, Settings};
use crate::task::beside;
pub(crate) use accounts::{OPERATOR, derived, provision};
pub(crate) use connection::{Connection, Place, Target, quote};
pub(crate) use peer::Peer;

/// Set in a server's number while it takes writes; members have numbers below it.
const WRITING: u32 = 1 << 31;
/// How long a connection to the own server may take; on a machine of tests as long as it likes.
const CONNECT_LIMIT: Duration = Duration::from_secs(if cfg!(test) { 60 } else { 2 });

/// Who we are to our own server, and who replicas are to it.
#[derive(Clone, Debug)]
pub(crate) struct LocalAccess {
    pub(crate) socket: PathBuf,
    pub(crate) operator_password: Secret,
    pub(crate) replication_user: String,
    pub(crate) replication_password: Secret,
    pub(crate) me: MemberId,
}

impl LocalAccess {
    pub(crate) fn of(settings: &Settings, credentials: &Credentials, me: MemberId) -> LocalAccess {
        LocalAccess {
            socket: settings.socket(),
            operator_password: derived(&credentials.replication_password, "pilotfish operator"),
            replication_user: credentials.replication_user.clone(),
            replication_password: credentials.replication_password.clone(),
            me,
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            at: Place::Socket(self.socket.clone()),
            user: OPERATOR.into(),
            password: self.operator_password.clone(),
        }
    }

    /// The server's number while it receives.
    fn receiving_id(&self) -> u32 {
        self.me.0
    }

    /// The server's number while it takes writes. A receiver throws away transactions with its server's own number, also those that it has lost
    /// or never had: a primary whose last transactions were not recovered would silently stay without them. So nobody receives under the
    /// number with which it has written.
    fn writing_id(&self) -> u32 {
        self.me.0 | WRITING
    }

    /// The account of an acknowledging replica.
    fn acking_account(&self, member: MemberId) -> String {
        format!("{}_ack_{}", self.replication_user, member.0)
    }

    /// Whose acknowledging account this is.
    fn member_of(&self, account: &str) -> Option<MemberId> {
        account.strip_prefix(&self.replication_user)?.strip_prefix("_ack_")?.parse().ok().map(MemberId)
    }
}

/// Programs that read relay logs.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) launcher: Launcher,
    pub(crate) data: PathBuf,
    /// `mariadb-binlog`.
    pub(crate) binlog: Vec<String>,
    /// `mariadb`.
    pub(crate) client: Vec<String>,
}

/// A server to receive from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) member: MemberId,
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What one look at the server says.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) access: Access,
    pub(crate) executed: GtidSet,
    pub(crate) received: GtidSet,
    pub(crate) receiver: Receiver,
    pub(crate) applier: Applier,
    pub(crate) acks: u8,
    pub(crate) gate: BTreeSet<MemberId>,
    /// Members with a connection of their acknowledging account.
    pub(crate) acking: BTreeSet<MemberId>,
    /// Commits that wait for acknowledgement, if there are any.
    pub(crate) waiting: Option<Waiting>,
    pub(crate) lag: Option<Duration>,
    pub(crate) replication_error: Option<String>,
}

/// Commits that wait for acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// For how long the oldest of their statements has been at work.
    pub(crate) oldest: Duration,
    /// Counts acknowledgements. Each is for all that came before, so while this changes nobody waits in vain.
    pub(crate) acknowledged: u64,
}

/// Our own server.
#[derive(Clone)]
pub(crate) struct Database {
    flavour: Flavour,
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) access: LocalAccess,
    pub(crate) tools: Tools,
    probe: Mutex<Option<Connection>>,
    look: Mutex<Option<Connection>>,
    act: Mutex<Option<Connection>>,
    run: StdMutex<RunState>,
}

/// What is known of this run of the server, and ends with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunState {
    /// Whom it was told to follow.
    pub(crate) attached: Option<(MemberId, Mode)>,
    /// It is being told to follow another: its relay log comes and goes.
    pub(crate) attaching: bool,
    /// MariaDB: what its relay log held when it was started.
    pub(crate) relay_log: RelayLog,
    /// Counts the runs.
    pub(crate) number: u64,
}

/// What is known of a relay log that was there when the server was started.
#[derive(Clone, Debug, Default)]
pub(crate) enum RelayLog {
    /// Nothing.
    #[default]
    Unknown,
    /// It is being read.
    BeingRead,
    /// The GTID of its last whole transaction; empty if there is none.
    Ends(String),
}

impl Shared {
    pub(crate) fn run(&self) -> MutexGuard<'_, RunState> {
        self.run.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Clone, Copy)]
enum Lane {
    Probe,
    Look,
    Act,
}

/// Runs `$body` with the lane's connection, which is dropped if that fails in any way but a refusal, or takes too long.
macro_rules! on {
    ($self:expr, $lane:expr, $limit:expr, $doing:expr, |$connection:ident| $body:expr) => {{
        let mut slot = $self.lane($lane).lock().await;
        let mut id = None;
        let work: Work<'_, _> = Box::pin(async {
            let $connection = $self.connected(&mut slot, &mut id).await?;
            $body
        });
        let outcome = timeout($limit, work).await;
        $self.settle(outcome, &mut slot, id, $doing, $limit)
    }};
}

/// What is done with a connection, as one type for each outcome: the code around it is not repeated for each statement.
type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl Database {
    /// Opens nothing yet.
    pub(crate) fn new(flavour: Flavour, access: LocalAccess, tools: Tools) -> Database {
        let shared = Shared {
            access,
            tools,
            probe: Mutex::default(),
            look: Mutex::default(),
            act: Mutex::default(),
            run: StdMutex::default(),
        };
        Database { flavour, shared: Arc::new(shared) }
    }

    fn lane(&self, lane: Lane) -> &Mutex<Option<Connection>> {
        match lane {
            Lane::Probe => &self.shared.probe,
            Lane::Look => &self.shared.look,
            Lane::Act => &self.shared.act,
        }
    }

    /// A new run of the server begins: nothing of the last one counts. What is still under way fails with its connections.
    pub(crate) fn forget(&self) {
        {
            let mut run = self.shared.run();
            *run = RunState { number: run.number + 1, ..RunState::default() };
        }
        for lane in [Lane::Probe, Lane::Look, Lane::Act] {
            if let Ok(mut slot) = self.lane(lane).try_lock() {
                *slot = None;
            }
        }
    }

    /// The lane's connection, opened if there is none, and its number.
    async fn connected<'a>(
        &self,
        slot: &'a mut Option<Connection>,
        id: &mut Option<u64>,
    ) -> Result<&'a mut Connection, Error> {
        let connection = match slot.take() {
            Some(connection) => connection,
            None => Connection::open(&self.shared.access.target(), CONNECT_LIMIT).await?,
        };
        *id = Some(connection.id);
        Ok(slot.insert(connection))
    }

    /// What is left of the lane's connection after a statement.
    fn settle<T>(
        &self,
        outcome: Result<Result<T, Error>, Elapsed>,
        slot: &mut Option<Connection>,
        id: Option<u64>,
        doing: &'static str,
        limit: Duration,
    ) -> Result<T, Error> {
        let outcome = outcome.unwrap_or(Err(Error::TooSlow { doing, limit }));
        let broken = outcome.as_ref().is_err_and(|error| !matches!(error, Error::Refused { .. }));
        if broken {
            *slot = None;
            // The statement may still be queued, and take effect when nobody expects it any more (M4).
            if let Some(id) = id.filter(|_| matches!(outcome, Err(Error::TooSlow { .. }))) {
                self.kill_soon(id);
            }
        }
        outcome
    }

    fn kill_soon(&self, id: u64) {
        let target = self.shared.access.target();
        beside(async move {
            let kill = async {
                let mut connection = Connection::open(&target, CONNECT_LIMIT).await?;
                connection.run("ending a statement that took too long", &format!("KILL {id}")).await
            };
            // If the server is gone, so is the statement.
            let _ = timeout(CONNECT_LIMIT, kill).await;
        });
    }

    /// Whether it answers. Never a write: that would wait for replicas.
    pub(crate) async fn probe(&self, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "probing the server";
        on!(self, Lane::Probe, limit, DOING, |connection| connection.run(DOING, "SELECT 1").await)
    }

    /// Looks at everything that a decision needs.
    pub(crate) async fn look(&self, limit: Duration) -> Result<Seen, Error> {
        const DOING: &str = "looking at the server";
        on!(self, Lane::Look, limit, DOING, |connection| match self.flavour {
            Flavour::MariaDb => mariadb::look(connection, &self.shared).await,
            Flavour::MySql => mysql::look(connection, &self.shared).await,
        })
    }

    /// Stops the receiver; the applier goes on.
    pub(crate) async fn stop_receiver(&self, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "stopping to receive";
        on!(self, Lane::Act, limit, DOING, |connection| match self.flavour {
            Flavour::MariaDb => connection.run(DOING, "STOP SLAVE IO_THREAD").await,
            Flavour::MySql => mysql::stop_receiver(connection, &self.shared).await,
        })
    }

    /// Applies all that the relay log holds, without connecting to anybody.
    pub(crate) async fn drain(&self, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "applying the relay log";
        on!(self, Lane::Act, limit, DOING, |connection| match self.flavour {
            Flavour::MariaDb => mariadb::drain(connection, &self.shared, limit).await,
            Flavour::MySql => mysql::drain(connection, limit).await,
        })
    }

    /// Throws the relay log away, and receives from `source`.
    pub(crate) async fn attach(&self, source: &Source, mode: Mode, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "following another member";
        on!(self, Lane::Act, limit, DOING, |connection| match self.flavour {
            Flavour::MariaDb => mariadb::attach(connection, &self.shared, source, mode).await,
            Flavour::MySql => mysql::attach(connection, &self.shared, source, mode).await,
        })
    }

    /// Makes accounts for members that have none yet, locked: so that there is nothing to make when one must be let in quickly.
    pub(crate) async fn prepare(&self, members: &BTreeSet<MemberId>, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "making accounts for replicas";
        on!(self, Lane::Act, limit, DOING, |connection| {
            accounts::prepare(connection, self.flavour, &self.shared.access, members).await
        })
    }

    /// Lets these members acknowledge, and nobody else. The position when that had taken effect.
    pub(crate) async fn set_gate(&self, admit: &BTreeSet<MemberId>, limit: Duration) -> Result<GtidSet, Error> {
        const DOING: &str = "setting who may acknowledge";
        on!(self, Lane::Act, limit, DOING, |connection| {
            accounts::set_gate(connection, self.flavour, &self.shared.access, admit).await?;
            position(connection, self.flavour).await
        })
    }

    /// Sets how many acknowledgements a commit waits for. The position when that had taken effect.
    pub(crate) async fn set_acks(&self, acks: u8, limit: Duration) -> Result<GtidSet, Error> {
        const DOING: &str = "setting how many must acknowledge";
        on!(self, Lane::Act, limit, DOING, |connection| {
            let statements = match self.flavour {
                Flavour::MariaDb => mariadb::set_acks(acks),
                Flavour::MySql => mysql::set_acks(acks),
            };
            connection.run_all(DOING, &statements).await?;
            position(connection, self.flavour).await
        })
    }

    /// Takes writes, as the primary of a term.
    pub(crate) async fn open(&self, term: Term, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "opening for writes";
        on!(self, Lane::Act, limit, DOING, |connection| match self.flavour {
            Flavour::MariaDb => mariadb::open(connection, &self.shared, term).await,
            Flavour::MySql => mysql::open(connection, &self.shared).await,
        })
    }

    /// Writes a transaction that says nothing. A replica that was not yet acknowledging when it received the last one will never acknowledge that; but
    /// with the next one it acknowledges all before it. It waits like any other commit, as long as it takes.
    pub(crate) async fn beat(&self) -> Result<(), Error> {
        self.say_nothing("1").await
    }

    async fn say_nothing(&self, row: &str) -> Result<(), Error> {
        const DOING: &str = "writing a transaction that says nothing";
        let mut connection = Connection::open(&self.shared.access.target(), CONNECT_LIMIT).await?;
        connection.run(DOING, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        let beat = format!("INSERT INTO pilotfish.beat VALUES ({row}, 1) ON DUPLICATE KEY UPDATE number = number + 1");
        connection.run(DOING, &beat).await
    }

    /// Lets go of statements that wait for an acknowledgement that will never come, if all that the binary log has is in `held`, which enough members
    /// have. How many were ended. Those of MySQL cannot be; but they keep nobody from the binary log, so another transaction that says nothing helps.
    pub(crate) async fn release(&self, held: &GtidSet, limit: Duration) -> Result<usize, Error> {
        const DOING: &str = "ending statements that wait for an acknowledgement";
        let work = async {
            if self.flavour == Flavour::MySql {
                // In another row: those that wait keep theirs locked. A few, because connections that wait cannot be ended either.
                return self.say_nothing("CONNECTION_ID() % 32 + 2").await.map(|()| 0);
            }
            let mut connection = Connection::open(&self.shared.access.target(), CONNECT_LIMIT).await?;
            mariadb::release(&mut connection, held).await
        };
        timeout(limit, work).await.unwrap_or(Err(Error::TooSlow { doing: DOING, limit }))
    }

    /// Takes no writes, and ends clients' connections.
    pub(crate) async fn close(&self, limit: Duration) -> Result<(), Error> {
        const DOING: &str = "closing for writes";
        let target = self.shared.access.target();
        on!(self, Lane::Act, limit, DOING, |connection| {
            let statement = match self.flavour {
                Flavour::MariaDb => "SET GLOBAL read_only = 1",
                Flavour::MySql => "SET GLOBAL super_read_only = 1",
            };
            accounts::close(connection, &target, self.flavour, &self.shared.access, statement).await
        })
    }
}

/// What a server has executed, exactly.
async fn position(connection: &mut Connection, flavour: Flavour) -> Result<GtidSet, Error> {
    match flavour {
        Flavour::MariaDb => mariadb::executed(connection).await,
        Flavour::MySql => mysql::executed(connection).await,
    }
}
