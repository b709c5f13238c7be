//! MariaDB's relay log after a restart: the server would throw it away, and with it what was acknowledged (M1, M2). So its files are read, and
//! applied, with `mariadb-binlog`.

use std::path::PathBuf;

use pilotfish_process::{Command, Exit, Stdio};

use super::connection::Connection;
use super::{OPERATOR, Shared, Tools};
use crate::error::Error;
use crate::launch::{inherited_environment, pipeline, read_all};

/// The relay log's files, in order.
fn files(tools: &Tools) -> Result<Vec<PathBuf>, Error> {
    let index = tools.data.join("relay-bin.index");
    let text = match std::fs::read_to_string(&index) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            return Err(Error::File { doing: "read", path: index.display().to_string(), source });
        }
    };
    let named = text.lines().map(|line| tools.data.join(line.trim().trim_start_matches("./")));
    Ok(named.filter(|path| path.is_file()).collect())
}

fn command(argv: Vec<String>) -> Command {
    Command {
        argv: argv.into_iter().map(Into::into).collect(),
        env: inherited_environment(),
        stdio: Stdio::Wrapped,
        ..Command::default()
    }
}

/// The GTID of the last transaction that is whole, as MariaDB writes it; empty if there is none.
pub(super) async fn last_position(tools: &Tools) -> Result<String, Error> {
    let files = files(tools)?;
    if files.is_empty() {
        return Ok(String::new());
    }
    let mut argv = tools.binlog.clone();
    argv.extend(["--no-defaults".into(), "--base64-output=DECODE-ROWS".into()]);
    argv.extend(files.iter().map(|path| path.display().to_string()));
    let started = tools.launcher.start(command(argv)).await?;
    let mut last = Position::default();
    let (exit, complaint) = read_all(started, |line| last.take(line)).await?;
    // A torn tail is an event that was not received; what is before it counts.
    if exit != Exit::Code(0) && last.whole.is_none() && last.begun.is_none() && !complaint.contains("read_log_event") {
        return Err(Error::Failed { program: "mariadb-binlog".into(), exit, output: complaint });
    }
    Ok(last.whole.unwrap_or_default())
}

/// Where reading stands.
#[derive(Default)]
struct Position {
    begun: Option<String>,
    whole: Option<String>,
}

impl Position {
    fn take(&mut self, line: &str) {
        if let Some(gtid) = line.strip_prefix('#').and_then(gtid_of) {
            // Whatever was begun before has ended, or the next could not begin.
            self.whole = self.begun.take().or(self.whole.take());
            self.begun = Some(gtid);
        } else if line.starts_with("COMMIT") || line.contains("\tXid = ") {
            self.whole = self.begun.take().or(self.whole.take());
        }
    }
}

/// `#250101 10:00:00 server id 1  end_log_pos 400 CRC32 0x..  GTID 0-1-15 trans`
fn gtid_of(line: &str) -> Option<String> {
    let (_, after) = line.split_once("\tGTID ")?;
    after.split_whitespace().next().map(str::to_owned)
}

/// Applies what the relay log holds beyond what the server has, keeping the GTIDs: what comes out of it goes to the server as a client's.
pub(super) async fn salvage(connection: &mut Connection, shared: &Shared) -> Result<(), Error> {
    const DOING: &str = "applying the relay log's files";
    let tools = &shared.tools;
    let files = files(tools)?;
    if files.is_empty() {
        return Ok(());
    }
    let rows = connection.rows(DOING, "SELECT @@global.gtid_binlog_pos AS position").await?;
    let position = rows.first().and_then(|row| row.text("position")).unwrap_or_default().to_owned();
    let mut reader = tools.binlog.clone();
    reader.push("--no-defaults".into());
    if !position.is_empty() {
        reader.push(format!("--start-position={position}"));
    }
    reader.extend(files.iter().map(|path| path.display().to_string()));
    let mut client = tools.client.clone();
    client.extend([
        "--no-defaults".into(),
        "--binary-mode".into(),
        format!("--socket={}", shared.access.socket.display()),
        format!("--user={OPERATOR}"),
    ]);
    let mut client = command(client);
    client.env.push(("MYSQL_PWD".into(), shared.access.operator_password.expose().into()));
    let (reader, complaint) = pipeline(&tools.launcher, command(reader), client).await?;
    match reader {
        [_, Exit::Code(0)] => Ok(()),
        [_, exit] => Err(Error::Failed { program: "mariadb".into(), exit, output: complaint }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_transactions_were_received() {
        let mut position = Position::default();
        let gtid = |gtid: &str| format!("#250101 10:00:00 server id 1  end_log_pos 400 CRC32 0x0 \tGTID {gtid} trans");
        for line in [&gtid("0-1-5"), "BEGIN", "COMMIT/*!*/;", &gtid("0-1-6"), "BEGIN"] {
            position.take(line);
        }
        assert_eq!(position.whole.as_deref(), Some("0-1-5"));
        position.take(&gtid("0-1-7"));
        assert_eq!(position.whole.as_deref(), Some("0-1-6"));
    }
}
