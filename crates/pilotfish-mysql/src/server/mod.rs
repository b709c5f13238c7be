//! mysqld as a process, and its data directory: start, kill, initialise, copy, set aside.

mod config;
mod copying;
mod export;
mod initialising;
mod installation;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pilotfish_autopilot::{ClusterId, Flavour, MemberId, Start};
use pilotfish_process::{Command, Exit, Output, Stdio};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use crate::error::Error;
use crate::launch::{Launcher, Started, inherited_environment};
use crate::settings::{Credentials, Secret, Settings};
use crate::sql::{Connection, OPERATOR, Place, Target, derived};
pub use copying::CopyStream;
pub(crate) use installation::Installation;

/// The pause between two attempts to connect to a server that starts.
const CONNECT_EVERY: Duration = Duration::from_millis(20);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// One member's server.
#[derive(Clone)]
pub(crate) struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    credentials: Credentials,
    me: MemberId,
    installation: Installation,
    launcher: Launcher,
    /// One copy is given at a time: it reads everything.
    copying: Arc<Semaphore>,
}

/// A run of the server.
pub(crate) struct Running {
    pub(crate) run: u64,
    pub(crate) pid: i32,
    pub(crate) output: Option<Output>,
    pub(crate) gone: oneshot::Receiver<Exit>,
}

/// Who gives a copy.
#[derive(Clone, Debug)]
pub(crate) struct Donor {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) api_port: u16,
    pub(crate) cluster: ClusterId,
}

impl Server {
    /// Makes the directory for sockets; starts nothing.
    pub(crate) fn new(
        settings: &Settings,
        credentials: &Credentials,
        me: MemberId,
        installation: Installation,
        launcher: Launcher,
    ) -> Result<Server, Error> {
        let run = &settings.run_directory;
        std::fs::create_dir_all(run).map_err(|source| failed("make the directory", run, source))?;
        let shared = Shared {
            settings: settings.clone(),
            credentials: credentials.clone(),
            me,
            installation,
            launcher,
            copying: Arc::new(Semaphore::new(1)),
        };
        let server = Server { shared: Arc::new(shared) };
        server.give_to_user(run)?;
        server.write_client_file()?;
        Ok(server)
    }

    fn flavour(&self) -> Flavour {
        self.shared.installation.flavour
    }

    fn data(&self) -> PathBuf {
        self.shared.settings.directory.join("data")
    }

    /// Starts it read-only, with nothing running.
    pub(crate) async fn start(&self, start: Start) -> Result<Running, Error> {
        let options = options(self.flavour(), start, &self.shared.settings.options);
        let started = self.launch(&self.data(), &options, Stdio::Merged).await?;
        Ok(Running { run: started.run, pid: started.pid, output: started.output, gone: started.gone })
    }

    /// Starts a server on a data directory. As its user from the beginning: one that changed its user itself would not die with us, because
    /// the kernel forgets the parent-death signal then (prctl(2)).
    async fn launch(&self, data: &Path, options: &[String], stdio: Stdio) -> Result<Started, Error> {
        let settings = &self.shared.settings;
        let text = config::render(settings, self.flavour(), self.shared.me, data)?;
        let file = settings.run_directory.join("my.cnf");
        std::fs::write(&file, text).map_err(|source| failed("write", &file, source))?;
        let mut argv = self.shared.installation.program.clone();
        argv.push(format!("--defaults-file={}", file.display()));
        argv.extend_from_slice(options);
        let command = Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: inherited_environment(),
            user: settings.user.clone(),
            stdio,
            confined: true,
            ..Command::default()
        };
        self.shared.launcher.start(command).await
    }

    /// A command that runs as the server's user.
    fn command(&self, argv: Vec<String>) -> Command {
        Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: inherited_environment(),
            user: self.shared.settings.user.clone(),
            stdio: Stdio::Wrapped,
            ..Command::default()
        }
    }

    /// A program of the installation with its arguments.
    fn tool(&self, name: &str, arguments: &[String]) -> Result<Vec<String>, Error> {
        let found = self.shared.installation.beside(name);
        let mut argv = found.ok_or_else(|| Error::Unfit(format!("the program {name} is not installed any more")))?;
        argv.extend_from_slice(arguments);
        Ok(argv)
    }

    fn client_file(&self) -> PathBuf {
        self.shared.settings.run_directory.join("client.cnf")
    }

    /// How client programs reach the server: in a file that only we can read, because everybody sees command lines.
    fn write_client_file(&self) -> Result<(), Error> {
        let path = self.client_file();
        let password = derived(&self.shared.credentials.replication_password, "pilotfish operator");
        let text = format!(
            "[client]\nuser = {OPERATOR}\npassword = {}\nsocket = {}\n",
            password.expose(),
            self.shared.settings.socket().display()
        );
        let write = || {
            std::fs::write(&path, "")?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
            std::fs::write(&path, text)
        };
        write().map_err(|source| failed("write", &path, source))
    }

    /// Starts a server that is only for us, on a data directory that is being built, and waits until it answers.
    async fn start_alone(
        &self,
        data: &Path,
        options: &[&str],
        user: &str,
        password: &Secret,
    ) -> Result<(Started, Connection), Error> {
        let log = self.shared.settings.run_directory.join("building.log");
        let _ = std::fs::remove_file(&log);
        let mut all: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        all.push("--skip-networking".into());
        all.push(format!("--log-error={}", log.display()));
        let mut started = self.launch(data, &all, Stdio::Null).await?;
        let target =
            Target { at: Place::Socket(self.shared.settings.socket()), user: user.into(), password: password.clone() };
        loop {
            if let Ok(exit) = started.gone.try_recv() {
                let text = std::fs::read(&log).unwrap_or_default();
                let output = tail(&String::from_utf8_lossy(&text));
                return Err(Error::Failed { program: self.shared.installation.program.join(" "), exit, output });
            }
            if let Ok(connection) = Connection::open(&target, CONNECT_LIMIT).await {
                return Ok((started, connection));
            }
            sleep(CONNECT_EVERY).await;
        }
    }

    /// Stops a server that is only for us, politely: its data must be whole.
    async fn stop_alone(&self, started: Started) -> Result<(), Error> {
        const SIGTERM: i32 = 15;
        self.shared.launcher.signal(started.run, SIGTERM);
        let exit = started.gone.await.map_err(|_| Error::Ending)?;
        if exit == Exit::Code(0) {
            return Ok(());
        }
        Err(Error::Failed { program: self.shared.installation.program.join(" "), exit, output: String::new() })
    }

    /// Gives a file or directory to the server's user.
    fn give_to_user(&self, path: &Path) -> Result<(), Error> {
        let Some(user) = &self.shared.settings.user else { return Ok(()) };
        let owner = pilotfish_process::owner(Some(user), None);
        let (uid, gid) = owner.map_err(|source| Error::Start { program: format!("a program as {user}"), source })?;
        std::os::unix::fs::chown(path, uid, gid).map_err(|source| failed("give away", path, source))
    }

    /// Free space where the data is, in bytes.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let space = rustix::fs::statvfs(&self.shared.settings.directory).ok()?;
        Some(space.f_bavail * space.f_frsize)
    }
}

/// The command line's options. What keeps a server from taking writes, or from following anybody, before the catalog was asked comes last, and so
/// wins over options and templates of users: until the first look at it nobody would know.
fn options(flavour: Flavour, start: Start, given: &[String]) -> Vec<String> {
    let (first, last): (&[&str], &[&str]) = match (flavour, start) {
        (Flavour::MariaDb, Start::DropTail) => (&["--init-rpl-role=SLAVE"], &["--read-only=1", "--skip-slave-start"]),
        (Flavour::MariaDb, Start::Plain) => (&[], &["--read-only=1", "--skip-slave-start"]),
        (Flavour::MySql, _) => (&[], &["--read-only=1", "--super-read-only=1", "--skip-replica-start"]),
    };
    let own = |options: &[&str]| options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>();
    [own(first), given.to_vec(), own(last)].concat()
}

/// The end of a log.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File { doing, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e11_a_server_starts_without_taking_writes_whatever_else_it_is_told() {
        for flavour in [Flavour::MariaDb, Flavour::MySql] {
            for start in [Start::Plain, Start::DropTail] {
                let given = ["--read-only=0", "--super-read-only=OFF", "--skip-slave-start=0"].map(str::to_owned);
                let options = options(flavour, start, &given);
                // The last one counts.
                for name in
                    ["read-only", "super-read-only"].into_iter().take(1 + usize::from(flavour == Flavour::MySql))
                {
                    let prefix = format!("--{name}=");
                    let last = options.iter().filter_map(|option| option.strip_prefix(&prefix)).next_back();
                    assert_eq!(last, Some("1"), "{flavour:?} {options:?}");
                }
                let dropped = options.iter().any(|option| option.starts_with("--init-rpl-role"));
                assert_eq!(dropped, (flavour, start) == (Flavour::MariaDb, Start::DropTail), "{options:?}");
            }
        }
    }
}
