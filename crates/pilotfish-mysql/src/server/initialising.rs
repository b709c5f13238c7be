//! The first data directory of a cluster: system tables, accounts, time zones, the user's scripts; nothing of it in the binary log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilotfish_autopilot::Flavour;
use pilotfish_process::{Command, Exit};

use super::{Server, failed};
use crate::error::Error;
use crate::launch::{pipeline, read_all, run};
use crate::settings::Secret;
use crate::sql::provision;

const ZONES: &str = "/usr/share/zoneinfo";

impl Server {
    /// Initialises a cluster's data in an empty directory. The password that `root` got, if one was drawn.
    pub(crate) async fn initialise(&self, new: &Path) -> Result<Option<Secret>, Error> {
        self.give_to_user(new)?;
        self.install(new).await?;
        // Whatever is done now was never replicated, and is part of every copy.
        let options: &[&str] = match self.flavour() {
            Flavour::MariaDb => &["--skip-log-bin", "--read-only=0", "--gtid-strict-mode=0"],
            Flavour::MySql => &["--skip-log-bin", "--super-read-only=0", "--read-only=0", "--gtid-mode=OFF"],
        };
        let (started, connection) = self.start_alone(new, options, "root", &Secret::default()).await?;
        drop(connection);
        let (number, launcher) = (started.run, self.shared.launcher.clone());
        let outcome = self.fill().await;
        match outcome {
            Ok(drawn) => self.stop_alone(started).await.map(|()| drawn),
            Err(error) => {
                launcher.kill(number);
                let _ = started.gone.await;
                Err(error)
            }
        }
    }

    async fn install(&self, new: &Path) -> Result<(), Error> {
        let data = format!("--datadir={}", new.display());
        let argv = match self.flavour() {
            Flavour::MariaDb => self.tool(
                "mariadb-install-db",
                &[
                    "--no-defaults".into(),
                    data,
                    "--auth-root-authentication-method=normal".into(),
                    "--skip-test-db".into(),
                    "--skip-name-resolve".into(),
                ],
            )?,
            Flavour::MySql => {
                let mut argv = self.shared.installation.program.clone();
                argv.extend(["--no-defaults".into(), "--initialize-insecure".into(), data]);
                argv
            }
        };
        run(&self.shared.launcher, self.command(argv)).await
    }

    async fn fill(&self) -> Result<Option<Secret>, Error> {
        let settings = &self.shared.settings;
        let credentials = &self.shared.credentials;
        let given = credentials.root_password.clone();
        let password = given.clone().unwrap_or_else(drawn);
        provision(self.flavour(), &settings.socket(), credentials, &password).await?;
        self.load_time_zones().await?;
        for script in scripts(&settings.scripts)? {
            self.run_script(&script, &password).await?;
        }
        Ok(given.is_none().then_some(password))
    }

    async fn load_time_zones(&self) -> Result<(), Error> {
        let (reader, options) = match self.flavour() {
            Flavour::MariaDb => ("mariadb-tzinfo-to-sql", vec!["--skip-write-binlog".to_owned(), ZONES.into()]),
            Flavour::MySql => ("mysql_tzinfo_to_sql", vec![ZONES.to_owned()]),
        };
        // Without the system's files the server still knows numeric zones.
        let Some(mut reader) = self.shared.installation.beside(reader).filter(|_| Path::new(ZONES).is_dir()) else {
            return Ok(());
        };
        reader.extend(options);
        let client = self.client(&["--database=mysql".into()])?;
        let (exits, output) = pipeline(&self.shared.launcher, self.command(reader), client).await?;
        match exits {
            // The reader complains of files that are no zones.
            [_, Exit::Code(0)] => Ok(()),
            [_, exit] => Err(Error::Failed { program: "loading time zones".into(), exit, output }),
        }
    }

    /// A client program as our own account.
    fn client(&self, arguments: &[String]) -> Result<Command, Error> {
        let name = if self.flavour() == Flavour::MariaDb { "mariadb" } else { "mysql" };
        let mut all = vec![format!("--defaults-file={}", self.client_file().display())];
        all.extend_from_slice(arguments);
        let argv = self.tool(name, &all)?;
        // As ourselves: the server's user cannot read the password's file.
        Ok(Command { user: None, ..self.command(argv) })
    }

    async fn run_script(&self, script: &Path, root_password: &Secret) -> Result<(), Error> {
        let file = File::open(script).map_err(|source| failed("open", script, source))?;
        let name = script.display().to_string();
        let input = Some(Arc::new(file.into()));
        let database: Vec<String> =
            self.shared.credentials.database.iter().map(|name| format!("--database={name}")).collect();
        let (exit, output) = match kind(script) {
            Some(Kind::Sql) => {
                let client = Command { input, ..self.client(&database)? };
                read_all(self.shared.launcher.start(client).await?, |_| {}).await?
            }
            Some(Kind::CompressedSql) => {
                let gzip = Command { input, ..self.command(vec!["gzip".into(), "-dc".into()]) };
                let (exits, output) = pipeline(&self.shared.launcher, gzip, self.client(&database)?).await?;
                (exits.into_iter().find(|exit| *exit != Exit::Code(0)).unwrap_or(Exit::Code(0)), output)
            }
            Some(Kind::Shell) => {
                let mut shell = self.command(vec!["/bin/sh".into(), name.clone()]);
                shell.env.push(("MYSQL_SOCKET".into(), self.shared.settings.socket().into()));
                shell.env.push(("MYSQL_ROOT_PASSWORD".into(), root_password.expose().into()));
                read_all(self.shared.launcher.start(shell).await?, |_| {}).await?
            }
            None => return Ok(()),
        };
        if exit == Exit::Code(0) { Ok(()) } else { Err(Error::Failed { program: name, exit, output }) }
    }
}

enum Kind {
    Sql,
    CompressedSql,
    Shell,
}

fn kind(script: &Path) -> Option<Kind> {
    let name = script.file_name()?.to_string_lossy();
    match () {
        () if name.ends_with(".sql") => Some(Kind::Sql),
        () if name.ends_with(".sql.gz") => Some(Kind::CompressedSql),
        () if name.ends_with(".sh") => Some(Kind::Shell),
        () => None,
    }
}

/// The user's scripts in the order of their names; none if there is no such directory.
fn scripts(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("read the directory", directory, source)),
    };
    let mut scripts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    scripts.sort_unstable();
    Ok(scripts)
}

/// A password of 128 random bits.
fn drawn() -> Secret {
    use std::hash::{BuildHasher as _, RandomState};
    let half = || RandomState::new().hash_one(std::process::id());
    Secret::new(format!("{:016x}{:016x}", half(), half()))
}
