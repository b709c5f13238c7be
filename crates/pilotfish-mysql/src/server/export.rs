//! Errant transactions, written down before their data directory is set aside: what nobody else has may still be somebody's work.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use pilotfish_autopilot::{Flavour, GtidSet};
use pilotfish_process::Exit;

use super::{Server, failed};
use crate::error::Error;
use crate::launch::read_all;

impl Server {
    /// Writes the list of transactions, and what they did, as the server's own tool prints it.
    pub(crate) async fn export_errant(&self, directory: &Path, gtids: &GtidSet) -> Result<PathBuf, Error> {
        let list = directory.join("gtids.txt");
        std::fs::write(&list, format!("{gtids}\n")).map_err(|source| failed("write", &list, source))?;
        let mut options = vec!["--no-defaults".to_owned()];
        if self.flavour() == Flavour::MySql {
            options.push(format!("--include-gtids={}", gtids.to_string().replace(char::is_whitespace, "")));
        }
        options.extend(self.binary_logs()?.iter().map(|path| path.display().to_string()));
        let tool = if self.flavour() == Flavour::MariaDb { "mariadb-binlog" } else { "mysqlbinlog" };
        let started = self.shared.launcher.start(self.command(self.tool(tool, &options)?)).await?;
        let path = directory.join("transactions.sql");
        let file = File::create(&path).map_err(|source| failed("create", &path, source))?;
        let mut file = BufWriter::new(file);
        let mut written = Ok(());
        let mut wanted = true;
        let (exit, output) = read_all(started, |line| {
            if let Some(gtid) = line.split_once("\tGTID ").and_then(|(_, rest)| rest.split_whitespace().next()) {
                wanted = is_in(gtids, gtid);
            }
            if wanted && written.is_ok() {
                written = writeln!(file, "{line}");
            }
        })
        .await?;
        written.and_then(|()| file.flush()).map_err(|source| failed("write", &path, source))?;
        // The log that is being written has no end yet.
        if exit != Exit::Code(0) && std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            return Err(Error::Failed { program: tool.into(), exit, output });
        }
        Ok(directory.to_owned())
    }

    fn binary_logs(&self) -> Result<Vec<PathBuf>, Error> {
        let index = self.data().join("binlog.index");
        let text = std::fs::read_to_string(&index).map_err(|source| failed("read", &index, source))?;
        Ok(text.lines().map(|line| self.data().join(line.trim().trim_start_matches("./"))).collect())
    }
}

/// Whether a GTID as MariaDB's tool prints it is in a set. MySQL's tool has chosen already.
fn is_in(gtids: &GtidSet, gtid: &str) -> bool {
    let numbers: Option<Vec<&str>> = Some(gtid.split('-').collect()).filter(|pieces: &Vec<&str>| pieces.len() == 3);
    let Some(numbers) = numbers else { return true };
    let exact = format!("{}-{}:{}", numbers[0], numbers[1], numbers[2]);
    GtidSet::parse(Flavour::MariaDb, &exact).is_ok_and(|one| gtids.contains(&one))
}
