//! One connection to a server: statements as text, answers as text, and a limit on everything.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow, MySqlSslMode};
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Row as _};
use tokio::time::timeout;

use crate::error::Error;
use crate::settings::Secret;

/// Where a server is, and as whom to speak to it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) at: Place,
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A unix socket.
    Socket(PathBuf),
    /// A host and a port.
    Tcp(String, u16),
}

/// A connection.
pub(crate) struct Connection {
    inner: MySqlConnection,
    /// The number under which the server knows it, for `KILL`.
    pub(crate) id: u64,
}

/// One row: the columns by their names in lower case.
pub(crate) struct Fields(Vec<(String, Option<String>)>);

impl Fields {
    /// A column's text; `None` if it is NULL or not there.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        let column = column.to_ascii_lowercase();
        self.0.iter().find(|(name, _)| *name == column).and_then(|(_, value)| value.as_deref())
    }

    /// A column's number.
    pub(crate) fn number<T: std::str::FromStr>(&self, column: &str) -> Option<T> {
        self.text(column).and_then(|text| text.parse().ok())
    }

    /// Whether a column says yes, in any of the words that servers use.
    pub(crate) fn is_on(&self, column: &str) -> bool {
        matches!(self.text(column), Some("1" | "ON" | "Yes" | "YES"))
    }
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(target: &Target, limit: Duration) -> Result<Connection, Error> {
        const DOING: &str = "connecting to the server";
        let options = MySqlConnectOptions::new()
            .username(&target.user)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        let options = match target.password.expose() {
            // An empty password is not the same as none.
            "" => options,
            password => options.password(password),
        };
        let options = match &target.at {
            Place::Socket(path) => options.socket(path).ssl_mode(MySqlSslMode::Preferred),
            Place::Tcp(host, port) => options.host(host).port(*port).ssl_mode(MySqlSslMode::Preferred),
        };
        let open = async {
            let inner = options.connect().await.map_err(|error| convert(DOING, &error))?;
            let mut connection = Connection { inner, id: 0 };
            // What waits for acknowledgement is in the binary log, and is to be seen in the tables as well.
            connection.run(DOING, "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED").await?;
            let row = connection.rows(DOING, "SELECT CONNECTION_ID() AS id").await?;
            connection.id = row.first().and_then(|row| row.number("id")).unwrap_or(0);
            Ok(connection)
        };
        timeout(limit, open).await.unwrap_or(Err(Error::TooSlow { doing: DOING, limit }))
    }

    /// Says good-bye, so that the server does not complain of a connection that was aborted.
    pub(crate) async fn close(self) {
        let _ = self.inner.close().await;
    }

    /// Runs a statement whose rows are of no interest.
    pub(crate) async fn run(&mut self, doing: &'static str, statement: &str) -> Result<(), Error> {
        self.rows(doing, statement).await.map(drop)
    }

    /// Runs one statement after the other.
    pub(crate) async fn run_all(&mut self, doing: &'static str, statements: &[String]) -> Result<(), Error> {
        for statement in statements {
            self.run(doing, statement).await?;
        }
        Ok(())
    }

    /// Runs a statement, and reads all its rows as text.
    pub(crate) async fn rows(&mut self, doing: &'static str, statement: &str) -> Result<Vec<Fields>, Error> {
        // Statements are made of constants, numbers, and texts that `quote` has quoted.
        let mut stream = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).fetch(&mut self.inner);
        let mut rows = Vec::new();
        while let Some(row) = stream.try_next().await.map_err(|error| convert(doing, &error))? {
            rows.push(fields(&row));
        }
        Ok(rows)
    }
}

fn fields(row: &MySqlRow) -> Fields {
    let column = |index: usize| {
        let value = row.try_get_unchecked::<Option<String>, _>(index);
        (row.column(index).name().to_ascii_lowercase(), value.unwrap_or(None))
    };
    Fields((0..row.len()).map(column).collect())
}

fn convert(doing: &'static str, error: &sqlx::Error) -> Error {
    if let sqlx::Error::Database(error) = error {
        let code = error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map_or(0, |error| error.number());
        return Error::Refused { doing, code, text: error.message().to_owned() };
    }
    Error::Unreachable { doing, text: error.to_string() }
}

/// A text as a literal.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as an identifier.
pub(crate) fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_names_cannot_be_left() {
        assert_eq!(quote("it's \\"), "'it''s \\\\'");
        assert_eq!(name("a`b"), "`a``b`");
    }
}
