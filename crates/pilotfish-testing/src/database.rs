//! A MariaDB or MySQL server of a test: its own data directory and socket, a free port on loopback, and faults on demand.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use crate::{free_port, mortal, spawn, wait_until};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// `mariadbd` from PATH.
    MariaDb,
    /// MySQL as `PILOTFISH_TEST_MYSQLD` names it.
    MySql,
}

/// The options of every server: as the product's own my.cnf, except that it takes writes at first.
const COMMON: &[&str] = &[
    "--skip-name-resolve",
    "--bind-address=127.0.0.1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--relay-log=relay-bin",
    "--sync-binlog=1",
    "--sync-relay-log=1",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=64M",
];
const MARIADB: &[&str] = &[
    "--skip-slave-start",
    "--log-slave-updates=1",
    "--gtid-domain-id=0",
    "--gtid-strict-mode=1",
    "--slave-net-timeout=4",
    "--slave-parallel-threads=4",
    "--slave-parallel-mode=optimistic",
    "--rpl-semi-sync-slave-kill-conn-timeout=1",
    "--rpl-semi-sync-master-timeout=10000000000000",
    "--rpl-semi-sync-master-wait-no-slave=1",
    "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
];
const MYSQL: &[&str] = &[
    "--skip-replica-start=1",
    "--log-replica-updates=1",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--replica-net-timeout=4",
    "--relay-log-recovery=0",
    "--secure-file-priv=NULL",
    "--mysqlx=0",
    "--plugin-load-add=semisync_source.so",
    "--plugin-load-add=semisync_replica.so",
    "--plugin-load-add=mysql_clone.so",
    "--rpl-semi-sync-source-timeout=4294967295",
    "--rpl-semi-sync-source-wait-no-replica=1",
    "--rpl-semi-sync-source-wait-point=AFTER_SYNC",
];

impl Database {
    fn options(self) -> impl Iterator<Item = &'static &'static str> {
        COMMON.iter().chain(if self == Database::MariaDb { MARIADB } else { MYSQL })
    }

    /// A program that belongs to this server, with what comes before it: `mariadbd` or `sbin/mysqld`, `mariadb-binlog` or `bin/mysqlbinlog`.
    ///
    /// # Panics
    /// For MySQL, if `PILOTFISH_TEST_MYSQLD` does not name it.
    pub fn program(self, name: &str) -> Vec<String> {
        match self {
            Database::MariaDb => vec![name.to_owned()],
            Database::MySql => {
                let mut words = crate::mysql::mysqld();
                // `mysqld` is in `sbin`, whatever belongs to it in `sbin` or `bin` beside it.
                if let Some(server) = words.pop() {
                    words.push(server.replace("sbin/mysqld", name));
                }
                words
            }
        }
    }

    fn command(self, name: &str) -> Command {
        let argv = self.program(name);
        let mut command = mortal(&argv[0]);
        command.args(&argv[1..]).stdin(Stdio::null());
        command
    }

    fn server(self) -> Command {
        let mut command = self.command(if self == Database::MariaDb { "mariadbd" } else { "sbin/mysqld" });
        command.args(["--no-defaults", "--user=root"]);
        command
    }

    /// An initialised data directory, made once in the life of the test process: `root` without a password, and nothing else.
    fn template(self) -> &'static Path {
        static MADE: [OnceLock<TempDir>; 2] = [const { OnceLock::new() }; 2];
        let made = MADE[usize::from(self == Database::MySql)].get_or_init(|| {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let data = format!("--datadir={}", directory.path().join("data").display());
            let mut command = match self {
                Database::MariaDb => {
                    let mut command = mortal("mariadb-install-db");
                    command.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal"]);
                    command.args(["--skip-test-db", "--skip-name-resolve"]);
                    command
                }
                Database::MySql => {
                    let mut command = self.server();
                    command.arg("--initialize-insecure");
                    command
                }
            };
            let log = std::fs::File::create(directory.path().join("log")).expect("a log");
            own_temporary_files(&mut command, directory.path());
            command.arg(data).stdout(log.try_clone().expect("a log")).stderr(log);
            let mut child = spawn(command).expect("the program that initialises a data directory can be started");
            // Whoever owns all children of this process may have waited for it already.
            let succeeded = child.wait().map_or(true, |status| status.success());
            let log = || std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            assert!(succeeded, "{self:?} cannot be initialised:\n{}", log());
            directory
        });
        made.path()
    }
}

/// MariaDB removes all temporary tables at its start that it finds where it puts its own: others' too, who may be at work.
fn own_temporary_files(command: &mut Command, directory: &Path) {
    let own = directory.join("tmp");
    std::fs::create_dir_all(&own).expect("a directory for temporary files");
    command.env("TMPDIR", own);
}

/// A server.
pub struct DatabaseServer {
    database: Database,
    id: u32,
    port: u16,
    directory: TempDir,
    child: Option<Child>,
}

impl DatabaseServer {
    /// Starts a new server with an empty history; `id` is its `server_id`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(database: Database, id: u32) -> DatabaseServer {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let from = database.template().join("data");
        let mut copy = mortal("cp");
        copy.arg("-a").arg(from).arg(directory.path().join("data"));
        let mut copy = spawn(copy).expect("cp can be started");
        assert!(copy.wait().map_or(true, |status| status.success()), "the data directory cannot be copied");
        // A copied server must not have the identity of the one that it is a copy of.
        let _ = std::fs::remove_file(directory.path().join("data/auto.cnf"));
        let port = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut server = DatabaseServer { database, id, port, directory, child: None };
        server.start_again(&[]);
        server
    }

    /// Starts it again, with more options, and waits until it answers on its socket.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_again(&mut self, options: &[&str]) {
        assert!(self.child.is_none(), "the server runs already");
        let mut command = self.database.server();
        own_temporary_files(&mut command, self.directory.path());
        command.args(self.database.options());
        command.args([
            format!("--datadir={}", self.data().display()),
            format!("--socket={}", self.socket().display()),
            format!("--pid-file={}", self.directory.path().join("pid").display()),
            format!("--port={}", self.port),
            format!("--server-id={}", self.id),
        ]);
        command.args(options);
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let child = spawn(command).expect("the server can be started");
        let pid = pid_of(&child);
        self.child = Some(child);
        wait_until("the database server to answer", || {
            assert!(test_kill_process(pid).is_ok(), "the server has ended:\n{}", self.log_text());
            UnixStream::connect(self.socket()).ok()
        });
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its `server_id`.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// What it has written to its log.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // If it is gone, it needs no signal.
            let _ = kill_process(pid_of(child), signal);
        }
    }

    /// SIGKILL, and waits until nothing of it is left.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// SIGTERM, and waits until nothing of it is left.
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        self.wait();
    }

    /// SIGTERM alone.
    pub fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    fn wait(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Whoever owns all children of this process may have waited for it already; then it is gone as well.
            if child.wait().is_err() {
                let pid = pid_of(&child);
                wait_until("the database server to end", || test_kill_process(pid).is_err().then_some(()));
            }
        }
    }

    /// SIGSTOP: it hangs.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        self.kill();
    }
}
