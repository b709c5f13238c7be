//! What is installed: asked of the program itself, because versions and flavours are facts and not settings.

use std::path::{Path, PathBuf};

use pilotfish_autopilot::Flavour;
use pilotfish_process::{Command, Exit, Stdio};

use crate::error::Error;
use crate::launch::{Launcher, inherited_environment, read_all};
use crate::settings::Settings;
use crate::sql::Tools;

/// A server's program, and what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) flavour: Flavour,
    pub(crate) version: String,
    /// The program, with what comes before it.
    pub(crate) program: Vec<String>,
}

impl Installation {
    /// Looks for the server, asks it who it is, and looks for the programs that will be needed one day: better now than at the first rebuild.
    pub(crate) async fn find(settings: &Settings, launcher: &Launcher) -> Result<Installation, Error> {
        let program = if settings.program.is_empty() {
            let found = ["mariadbd", "mysqld"].iter().find_map(|name| on_path(name));
            let found = found.ok_or_else(|| {
                Error::Unfit(
                    "neither mariadbd nor mysqld is on PATH; install mariadb-server, or set mysql.program".into(),
                )
            })?;
            vec![found.display().to_string()]
        } else {
            settings.program.clone()
        };
        let mut argv = program.clone();
        argv.push("--version".into());
        let command = Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: inherited_environment(),
            stdio: Stdio::Wrapped,
            ..Command::default()
        };
        let mut said = String::new();
        let (exit, output) = read_all(launcher.start(command).await?, |line| said.push_str(line)).await?;
        if exit != Exit::Code(0) {
            return Err(Error::Failed { program: program.join(" "), exit, output });
        }
        let flavour = if said.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
        let version = said.split_whitespace().skip_while(|word| *word != "Ver").nth(1).unwrap_or("?");
        let version = version.trim_end_matches("-log").to_owned();
        let installation = Installation { flavour, version, program };
        installation.check()?;
        Ok(installation)
    }

    fn check(&self) -> Result<(), Error> {
        let needed: &[(&str, &str)] = match self.flavour {
            Flavour::MariaDb => &[
                ("mariadb-install-db", "mariadb-server"),
                ("mariadb", "mariadb-client"),
                ("mariadb-binlog", "mariadb-client"),
                ("mariadb-backup", "mariadb-backup"),
                ("mbstream", "mariadb-backup"),
                ("zstd", "zstd"),
            ],
            Flavour::MySql => &[("mysql", "mysql-client"), ("mysqlbinlog", "mysql-server")],
        };
        for (name, package) in needed {
            if self.beside(name).is_none() {
                return Err(Error::Unfit(format!(
                    "the program {name} is neither beside {} nor on PATH; install the package {package}",
                    self.program.last().map_or("the server", String::as_str)
                )));
            }
        }
        Ok(())
    }

    /// A program that belongs to the server: in the directories beside it, started as it is, or on PATH.
    pub(crate) fn beside(&self, name: &str) -> Option<Vec<String>> {
        let (server, loader) = self.program.split_last()?;
        let relative = Path::new(server);
        let directory = relative.parent().unwrap_or(Path::new(""));
        let sibling = directory.parent().unwrap_or(Path::new("")).join("bin").join(name);
        for candidate in [directory.join(name), sibling] {
            // Below a loader's own directory, a path is relative to that.
            let base = loader.first().and_then(|loader| Path::new(loader).parent()).unwrap_or(Path::new(""));
            if candidate.is_file() || (!loader.is_empty() && base.join(&candidate).is_file()) {
                let mut argv = loader.to_vec();
                argv.push(candidate.display().to_string());
                return Some(argv);
            }
        }
        on_path(name).map(|path| vec![path.display().to_string()])
    }

    /// The programs that read relay logs.
    pub(crate) fn tools(&self, settings: &Settings, launcher: &Launcher) -> Tools {
        let (binlog, client) = match self.flavour {
            Flavour::MariaDb => ("mariadb-binlog", "mariadb"),
            Flavour::MySql => ("mysqlbinlog", "mysql"),
        };
        Tools {
            launcher: launcher.clone(),
            data: settings.directory.join("data"),
            binlog: self.beside(binlog).unwrap_or_default(),
            client: self.beside(client).unwrap_or_default(),
        }
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")
        .unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    let found = std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|directory| directory.join(name));
    found.into_iter().find(|file| file.is_file())
}
