//! The statements, on real servers of both flavours. Traps of `M` and `Y` are tested under the numbers that the design gives them.

mod former;
mod gate;
mod peers;
mod positions;
mod promotion;
mod relay_logs;
mod torn;
mod waiting;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use pilotfish_autopilot::{Flavour, GtidSet, MemberId, Mode, Receiver, Term};
use pilotfish_testing::{Database as Kind, DatabaseServer, PATIENCE};
use tokio::time::{Instant, timeout};

use super::connection::{Connection, Place, Target};
use super::{Database, LocalAccess, Peer, Seen, Source, Tools, derived, provision};
use crate::error::Error;
use crate::launch::Launcher;
use crate::settings::{Credentials, Secret};

/// Long enough for anything.
const LIMIT: Duration = PATIENCE;

/// Makes a test of each flavour of an asynchronous function.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mariadb {
            $(#[test] fn $name() { super::super::run(super::$name(pilotfish_autopilot::Flavour::MariaDb)); })+
        }
        mod mysql {
            $(#[test] fn $name() { super::super::run(super::$name(pilotfish_autopilot::Flavour::MySql)); })+
        }
    };
}
use on_both;

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

fn kind(flavour: Flavour) -> Kind {
    match flavour {
        Flavour::MariaDb => Kind::MariaDb,
        Flavour::MySql => Kind::MySql,
    }
}

fn credentials() -> Credentials {
    Credentials {
        root_password: None,
        database: Some("app".into()),
        application: Some(("app".into(), Secret::new("app's"))),
        replication_user: "repl".into(),
        replication_password: Secret::new("repl's"),
    }
}

/// A server, and our hands on it.
struct Member {
    flavour: Flavour,
    server: DatabaseServer,
    database: Database,
}

impl Member {
    /// A new member: read-only, and follows nobody.
    async fn new(flavour: Flavour, id: u32) -> Member {
        Member::with(flavour, id, Launcher::deaf()).await
    }

    async fn with(flavour: Flavour, id: u32, launcher: Launcher) -> Member {
        let server = DatabaseServer::start(kind(flavour), id);
        let credentials = credentials();
        provision(flavour, &server.socket(), &credentials, &Secret::new("root's")).await.expect("accounts");
        let access = LocalAccess {
            socket: server.socket(),
            operator_password: derived(&credentials.replication_password, "pilotfish operator"),
            replication_user: credentials.replication_user,
            replication_password: credentials.replication_password,
            me: MemberId(id),
        };
        let (binlog, client) = match flavour {
            Flavour::MariaDb => ("mariadb-binlog", "mariadb"),
            Flavour::MySql => ("bin/mysqlbinlog", "bin/mysql"),
        };
        let tools = Tools {
            launcher,
            data: server.data(),
            binlog: kind(flavour).program(binlog),
            client: kind(flavour).program(client),
        };
        let member = Member { flavour, server, database: Database::new(flavour, access, tools) };
        let all: BTreeSet<MemberId> = (1..=3).map(MemberId).filter(|other| other.0 != id).collect();
        member.database.prepare(&all, LIMIT).await.expect("accounts of replicas");
        member.operator().await.run("closing", member.read_only()).await.expect("read-only");
        member
    }

    fn read_only(&self) -> &'static str {
        match self.flavour {
            Flavour::MariaDb => "SET GLOBAL read_only = 1",
            Flavour::MySql => "SET GLOBAL super_read_only = 1",
        }
    }

    fn restart_options(&self) -> &'static [&'static str] {
        match self.flavour {
            Flavour::MariaDb => &["--read-only=1"],
            Flavour::MySql => &["--super-read-only=1"],
        }
    }

    fn restart(&mut self) {
        self.restart_with(&[]);
    }

    fn restart_with(&mut self, options: &[&str]) {
        self.database.forget();
        self.server.start_again(&[self.restart_options(), options].concat());
    }

    fn id(&self) -> MemberId {
        MemberId(self.server.id())
    }

    fn source(&self) -> Source {
        Source { member: self.id(), host: "127.0.0.1".into(), port: self.server.port() }
    }

    async fn operator(&self) -> Connection {
        let target = self.database.shared.access.target();
        Connection::open(&target, LIMIT).await.expect("the operator's connection")
    }

    /// A connection of the application.
    async fn client(&self) -> Connection {
        let at = Place::Tcp("127.0.0.1".into(), self.server.port());
        let target = Target { at, user: "app".into(), password: Secret::new("app's") };
        Connection::open(&target, LIMIT).await.expect("the application's connection")
    }

    async fn look(&self) -> Seen {
        let start = Instant::now();
        loop {
            match self.database.look(LIMIT).await {
                Ok(seen) => return seen,
                // Nobody can say what it has received until its relay log has been read.
                Err(error) if error.to_string().contains("is being read") => {
                    assert!(start.elapsed() < PATIENCE, "{error}");
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("a look: {error}"),
            }
        }
    }

    async fn attach(&self, source: &Member, mode: Mode) {
        self.database.attach(&source.source(), mode, LIMIT).await.expect("it attaches");
    }

    async fn executed_by_others(&self) -> GtidSet {
        let password = Secret::new("repl's");
        Peer::new(self.flavour, self.source(), "repl", &password).executed(LIMIT).await.expect("a position")
    }

    /// Becomes the primary of a term, and waits for nobody.
    async fn lead_alone(&self, term: u64) {
        self.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
        self.database.open(Term(term), LIMIT).await.expect("it opens");
    }

    /// Asks for one acknowledgement, of any of these.
    async fn ask(&self, admit: &[u32]) {
        let admit = admit.iter().copied().map(MemberId).collect();
        self.database.set_gate(&admit, LIMIT).await.expect("the gate");
        self.database.set_acks(1, LIMIT).await.expect("acknowledgements");
    }

    async fn make_table(&self) {
        let mut client = self.client().await;
        client.run("making a table", "CREATE TABLE app.t (k INT PRIMARY KEY, v LONGBLOB)").await.expect("a table");
    }

    async fn write(&self, key: u32) -> Result<(), Error> {
        self.client().await.run("writing", &insert(key)).await
    }

    async fn keys(&self) -> Vec<u32> {
        let rows = self.operator().await.rows("reading", "SELECT k FROM app.t ORDER BY k").await.expect("rows");
        rows.iter().filter_map(|row| row.number("k")).collect()
    }

    /// Looks until it is so.
    async fn until(&self, what: &str, mut so: impl FnMut(&Seen) -> bool) -> Seen {
        let start = Instant::now();
        loop {
            let seen = self.look().await;
            if so(&seen) {
                return seen;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}; {:?} says {seen:?}", self.id());
            tokio::task::yield_now().await;
        }
    }

    async fn until_executed(&self, position: &GtidSet) -> Seen {
        self.until("the position", |seen| seen.executed.contains(position)).await
    }

    async fn until_connected(&self) {
        let connected = |seen: &Seen| matches!(seen.receiver, Receiver::Running { connected: true, .. });
        self.until("the connection", connected).await;
    }
}

fn insert(key: u32) -> String {
    format!("INSERT INTO app.t VALUES ({key}, '')")
}

/// A commit that waits for its acknowledgement.
async fn waiting_write(member: &Member, key: u32) -> tokio::task::JoinHandle<Result<(), Error>> {
    let mut client = member.client().await;
    let write = tokio::spawn(async move { client.run("writing", &insert(key)).await });
    member.until("a commit that waits", |seen| seen.waiting.is_some()).await;
    write
}

/// What has been promised to end, ends.
async fn end<T>(work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.expect("it ends")
}

/// A primary, and two replicas that acknowledge.
async fn three(flavour: Flavour) -> [Member; 3] {
    let [one, two, three] =
        [Member::new(flavour, 1).await, Member::new(flavour, 2).await, Member::new(flavour, 3).await];
    one.lead_alone(1).await;
    one.make_table().await;
    one.database.set_gate(&[MemberId(2), MemberId(3)].into(), LIMIT).await.expect("the gate");
    two.attach(&one, Mode::Acking).await;
    three.attach(&one, Mode::Acking).await;
    one.until("acknowledging replicas", |seen| seen.acking.len() == 2).await;
    for replica in [&two, &three] {
        replica.until_executed(&one.look().await.executed).await;
    }
    one.database.set_acks(1, LIMIT).await.expect("acknowledgements");
    [one, two, three]
}

/// Runs a test in a process of its own, because it starts programs: there can be only one owner of a process's children.
fn alone<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Launcher) -> F) {
    const ALONE: &str = "PILOTFISH_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let program = std::env::current_exe().expect("our own program");
        // Every thread must block SIGCHLD, or the kernel throws it away; the test's own is not the first one.
        let mut command = pilotfish_testing::mortal("env");
        command.arg("--block-signal=CHLD").arg(program);
        command.args(["--exact", name, "--test-threads=1", "--nocapture"]).env(ALONE, "1");
        let status = pilotfish_testing::spawn(command).and_then(|mut child| child.wait());
        assert!(status.expect("a process").success(), "see above");
        return;
    }
    run(async {
        let (mut host, launcher) = crate::launch::Host::new().expect("a host");
        tokio::select! {
            () = test(launcher) => {}
            signal = host.drive() => panic!("signal {signal}"),
        }
    });
}
