//! Accounts: who may connect, who may acknowledge, and whose connections are ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use pilotfish_autopilot::{Flavour, MemberId, set_of};
use sha2::Sha256;
use tokio::time::sleep;

use super::connection::{Connection, Fields, Place, Target, name, quote};
use super::{LocalAccess, Waiting};
use crate::error::Error;
use crate::settings::{Credentials, Secret};

/// The operator's own account, of the local socket only.
pub(crate) const OPERATOR: &str = "pilotfish";

/// The user of the threads that apply what was received. MySQL's enter the state of waiting with every commit, also when they need not wait.
const APPLIER: &str = "system user";

/// The user of a connection that has not said yet whose it is.
const NOBODY_YET: &str = "unauthenticated user";

/// The pause between two looks at connections that are being ended.
const AGAIN: Duration = Duration::from_millis(2);
/// What follows is each server's own, and is in nobody's binary log.
const LOCAL: &str = "SET SESSION sql_log_bin = 0";
/// What follows is replicated.
const REPLICATED: &str = "SET SESSION sql_log_bin = 1";
/// How long clients' statements have to end by themselves when a server closes.
const CLOSE_GRACE: Duration = Duration::from_millis(30);

/// A password that all members can derive from the one for replication, and nobody else.
pub(crate) fn derived(secret: &Secret, what: &str) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("any key will do");
    mac.update(what.as_bytes());
    let digest = mac.finalize().into_bytes();
    Secret::new(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// What the list of connections says.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) acking: BTreeSet<MemberId>,
    pub(super) waiting: Option<Waiting>,
}

/// All connections. On MariaDB not by `information_schema.PROCESSLIST`: 10.11.19 was seen to crash in it (signal 11 in `free_tmp_table`).
fn processes(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MariaDb => "SHOW FULL PROCESSLIST",
        Flavour::MySql => "SELECT ID, USER, COMMAND, TIME, STATE FROM performance_schema.processlist",
    }
}

/// Who acknowledges, and how long commits wait for that.
pub(super) async fn connections(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
) -> Result<Connections, Error> {
    const DOING: &str = "listing connections";
    let mut found = Connections::default();
    let mut oldest = None;
    for row in connection.rows(DOING, processes(flavour)).await? {
        if row.text("command").is_some_and(|command| command.starts_with("Binlog Dump")) {
            found.acking.extend(row.text("user").and_then(|user| access.member_of(user)));
        } else if row.text("user") != Some(APPLIER)
            && row.text("state").is_some_and(|state| state.starts_with("Waiting for semi-sync ACK"))
        {
            // In whole seconds: neither server tells it better.
            let wait = Duration::from_secs(row.number("time").unwrap_or(0));
            oldest = oldest.max(Some(wait));
        }
    }
    if let Some(oldest) = oldest {
        // MariaDB counts acknowledgements themselves, MySQL only the commits that had theirs.
        let counter = match flavour {
            Flavour::MariaDb => "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_get_ack'",
            Flavour::MySql => "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_yes_tx'",
        };
        let counter = connection.rows(DOING, counter).await?;
        let acknowledged = counter.first().and_then(|row| row.number("value")).unwrap_or(0);
        found.waiting = Some(Waiting { oldest, acknowledged });
    }
    Ok(found)
}

/// The acknowledging accounts that there are, and whether each is locked.
async fn accounts(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
) -> Result<BTreeMap<MemberId, bool>, Error> {
    const DOING: &str = "listing accounts";
    let prefix = quote(&format!("{}_ack_", access.replication_user));
    let statement = match flavour {
        Flavour::MariaDb => format!(
            "SELECT User AS user, IF(JSON_VALUE(Priv, '$.account_locked') = 1, 'Y', 'N') AS locked \
             FROM mysql.global_priv WHERE LEFT(User, CHAR_LENGTH({prefix})) = {prefix}"
        ),
        Flavour::MySql => format!(
            "SELECT User AS user, account_locked AS locked FROM mysql.user WHERE LEFT(User, CHAR_LENGTH({prefix})) = {prefix}"
        ),
    };
    let rows = connection.rows(DOING, &statement).await?;
    let account = |row: &Fields| {
        let member = access.member_of(row.text("user")?)?;
        Some((member, row.text("locked") == Some("Y")))
    };
    let mut accounts = BTreeMap::new();
    accounts.extend(rows.iter().filter_map(account));
    Ok(accounts)
}

/// Who may acknowledge.
pub(super) async fn gate(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
) -> Result<BTreeSet<MemberId>, Error> {
    let accounts = accounts(connection, flavour, access).await?;
    Ok(set_of(accounts.into_iter().filter(|(_, locked)| !locked).map(|(member, _)| member)))
}

fn create(access: &LocalAccess, member: MemberId) -> [String; 2] {
    let account = access.acking_account(member);
    let user = format!("{}@'%'", quote(&account));
    let password = quote(access.replication_password.expose());
    [
        format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY {password} ACCOUNT LOCK"),
        format!("GRANT REPLICATION SLAVE ON *.* TO {user}"),
    ]
}

/// Makes locked accounts for members that have none. Accounts are each server's own: nothing of this is in the binary log.
pub(super) async fn prepare(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
    members: &BTreeSet<MemberId>,
) -> Result<(), Error> {
    const DOING: &str = "making accounts for replicas";
    let known = accounts(connection, flavour, access).await?;
    let mut statements = vec![LOCAL.to_owned()];
    statements.extend(members.iter().filter(|member| !known.contains_key(member)).flat_map(|it| create(access, *it)));
    if statements.len() > 1 {
        let locked = unlock_accounts(connection, flavour).await?;
        let made = connection.run_all(DOING, &statements).await;
        lock_accounts(connection, locked).await?;
        made?;
    }
    Ok(())
}

/// MySQL lets nobody change accounts while it is `super_read_only`, not even local ones: it is merely `read_only` for that long. Says whether it
/// must be locked again.
async fn unlock_accounts(connection: &mut Connection, flavour: Flavour) -> Result<bool, Error> {
    const DOING: &str = "making accounts changeable";
    if flavour == Flavour::MariaDb {
        return Ok(false);
    }
    let rows = connection.rows(DOING, "SELECT @@global.super_read_only AS locked").await?;
    let locked = rows.first().is_some_and(|row| row.is_on("locked"));
    if locked {
        connection.run(DOING, "SET GLOBAL super_read_only = 0").await?;
    }
    Ok(locked)
}

async fn lock_accounts(connection: &mut Connection, locked: bool) -> Result<(), Error> {
    const DOING: &str = "making accounts unchangeable";
    connection.run(DOING, REPLICATED).await?;
    if locked {
        connection.run(DOING, "SET GLOBAL super_read_only = 1").await?;
    }
    Ok(())
}

/// Unlocks the accounts of these members, locks all others, and ends the others' connections. It is over when none of them is left.
pub(super) async fn set_gate(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
    admit: &BTreeSet<MemberId>,
) -> Result<(), Error> {
    const DOING: &str = "setting who may acknowledge";
    let locked = unlock_accounts(connection, flavour).await?;
    connection.run(DOING, LOCAL).await?;
    let set = lock_and_unlock(connection, flavour, access, admit).await;
    lock_accounts(connection, locked).await?;
    set?;
    let statement = processes(flavour);
    loop {
        // Who had just been let in when the account was locked shows up in the next list.
        let rows = connection.rows(DOING, statement).await?;
        let cut = |row: &&Fields| {
            row.text("user").and_then(|user| access.member_of(user)).is_some_and(|member| !admit.contains(&member))
        };
        let cut: Vec<u64> = rows.iter().filter(cut).filter_map(|row| row.number("id")).collect();
        if cut.is_empty() {
            return Ok(());
        }
        for id in cut {
            kill(connection, id).await?;
        }
        sleep(AGAIN).await;
    }
}

async fn lock_and_unlock(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
    admit: &BTreeSet<MemberId>,
) -> Result<(), Error> {
    const DOING: &str = "setting who may acknowledge";
    let known = accounts(connection, flavour, access).await?;
    let alter = |member: &MemberId, what: &str| {
        format!("ALTER USER {}@'%' ACCOUNT {what}", quote(&access.acking_account(*member)))
    };
    for (member, locked) in &known {
        if !admit.contains(member) && !locked {
            connection.run(DOING, &alter(member, "LOCK")).await?;
        }
    }
    for member in admit {
        match known.get(member) {
            Some(false) => {}
            Some(true) => connection.run(DOING, &alter(member, "UNLOCK")).await?,
            None => {
                connection.run_all(DOING, &create(access, *member)).await?;
                connection.run(DOING, &alter(member, "UNLOCK")).await?;
            }
        }
    }
    Ok(())
}

/// Ends a connection; it may be gone already.
async fn kill(connection: &mut Connection, id: u64) -> Result<(), Error> {
    const GONE: u16 = 1094;
    match connection.run("ending a connection", &format!("KILL {id}")).await {
        Err(Error::Refused { code: GONE, .. }) => Ok(()),
        other => other,
    }
}

/// Takes no writes any more. The statement waits behind commits that wait for acknowledgement (M4, Y2): they have a moment, then their
/// connections are ended, which tells their clients that nobody knows (M5), never that all is well.
pub(super) async fn close(
    connection: &mut Connection,
    target: &Target,
    flavour: Flavour,
    access: &LocalAccess,
    statement: &str,
) -> Result<(), Error> {
    const DOING: &str = "closing for writes";
    let ours = connection.id;
    {
        let closing = connection.run(DOING, statement);
        tokio::pin!(closing);
        let mut killer = None;
        loop {
            tokio::select! {
                outcome = &mut closing => {
                    outcome?;
                    break;
                }
                () = sleep(CLOSE_GRACE) => {}
            }
            if killer.is_none() {
                killer = Connection::open(target, super::CONNECT_LIMIT).await.ok();
            }
            // Perhaps clients have all connections that there are. The statement is under way, and is not let alone.
            let Some(killer) = &mut killer else { continue };
            let other = killer.id;
            if let Ok(clients) = clients(killer, flavour, access, &[ours, other]).await {
                for id in clients {
                    let _ = kill(killer, id).await;
                }
            }
        }
    }
    // Who comes after it was closed writes nothing, and may come again for ever.
    let mut old = clients(connection, flavour, access, &[ours]).await?;
    while !old.is_empty() {
        for id in &old {
            kill(connection, *id).await?;
        }
        sleep(AGAIN).await;
        let left = clients(connection, flavour, access, &[ours]).await?;
        old.retain(|id| left.contains(id));
    }
    Ok(())
}

/// Ends the connections of clients that were there before the one with this number. It is over when none of them is left.
pub(super) async fn end_older(connection: &mut Connection, access: &LocalAccess, newest: u64) -> Result<(), Error> {
    loop {
        let rows = connection.rows("listing connections", processes(Flavour::MariaDb)).await?;
        // Whoever has not said yet who it is has its number all the same.
        let old = rows.iter().filter(|row| is_client(row, access) || is_unknown(row));
        let old: Vec<u64> = old.filter_map(|row| row.number("id")).filter(|id| *id < newest).collect();
        if old.is_empty() {
            return Ok(());
        }
        for id in old {
            kill(connection, id).await?;
        }
        sleep(AGAIN).await;
    }
}

/// Connections of clients: neither the server's own, nor replication, nor ours.
async fn clients(
    connection: &mut Connection,
    flavour: Flavour,
    access: &LocalAccess,
    but: &[u64],
) -> Result<Vec<u64>, Error> {
    let rows = connection.rows("listing connections", processes(flavour)).await?;
    let ids = rows.iter().filter(|row| is_client(row, access)).filter_map(|row| row.number("id"));
    Ok(ids.filter(|id| !but.contains(id)).collect())
}

fn is_unknown(row: &Fields) -> bool {
    row.text("user") == Some(NOBODY_YET) && row.text("command") != Some("Killed")
}

fn is_client(row: &Fields, access: &LocalAccess) -> bool {
    let user = row.text("user").unwrap_or_default();
    let replication = user == access.replication_user || access.member_of(user).is_some();
    let system = matches!(user, APPLIER | "event_scheduler" | NOBODY_YET | OPERATOR | "");
    let daemon = matches!(row.text("command"), Some("Daemon" | "Killed"));
    !replication && !system && !daemon
}

/// MySQL: ends applier threads that wait for the rest of a transaction.
pub(super) async fn end_stuck_appliers(target: &Target) -> Result<(), Error> {
    const DOING: &str = "ending an applier that waits";
    let mut connection = Connection::open(target, super::CONNECT_LIMIT).await?;
    let workers = "SELECT t.PROCESSLIST_ID AS id FROM performance_schema.replication_applier_status_by_worker w \
                   JOIN performance_schema.threads t USING (THREAD_ID) WHERE w.APPLYING_TRANSACTION <> ''";
    let mut rows = connection.rows(DOING, workers).await?;
    if rows.is_empty() {
        let coordinator = "SELECT t.PROCESSLIST_ID AS id \
                           FROM performance_schema.replication_applier_status_by_coordinator c \
                           JOIN performance_schema.threads t USING (THREAD_ID)";
        rows = connection.rows(DOING, coordinator).await?;
    }
    for id in rows.iter().filter_map(|row| row.number("id")) {
        kill(&mut connection, id).await?;
    }
    Ok(())
}

/// Makes the accounts of a new cluster on a server that nobody else can reach, without a trace in its binary log.
pub(crate) async fn provision(
    flavour: Flavour,
    socket: &Path,
    credentials: &Credentials,
    root_password: &Secret,
) -> Result<(), Error> {
    const DOING: &str = "making the accounts of a new cluster";
    let target = Target { at: Place::Socket(socket.to_owned()), user: "root".into(), password: Secret::default() };
    let mut connection = Connection::open(&target, super::CONNECT_LIMIT).await?;
    let operator = derived(&credentials.replication_password, "pilotfish operator");
    let replication = format!("{}@'%'", quote(&credentials.replication_user));
    let mut statements = vec![
        "SET SESSION sql_log_bin = 0".to_owned(),
        "CREATE DATABASE pilotfish".into(),
        "CREATE TABLE pilotfish.term (id TINYINT PRIMARY KEY, term BIGINT UNSIGNED NOT NULL, \
         server_id INT UNSIGNED NOT NULL, start_seq BIGINT UNSIGNED NOT NULL, before_set MEDIUMTEXT NOT NULL) \
         ENGINE = InnoDB"
            .into(),
        "CREATE TABLE pilotfish.beat (id TINYINT PRIMARY KEY, number BIGINT UNSIGNED NOT NULL) ENGINE = InnoDB".into(),
        format!("CREATE USER {}@'localhost' IDENTIFIED BY {}", quote(OPERATOR), quote(operator.expose())),
        format!("GRANT ALL PRIVILEGES ON *.* TO {}@'localhost' WITH GRANT OPTION", quote(OPERATOR)),
        format!("CREATE USER {replication} IDENTIFIED BY {}", quote(credentials.replication_password.expose())),
        format!("GRANT REPLICATION SLAVE ON *.* TO {replication}"),
        format!("GRANT SELECT ON pilotfish.term TO {replication}"),
    ];
    if flavour == Flavour::MySql {
        statements.push(format!("GRANT BACKUP_ADMIN ON *.* TO {replication}"));
    }
    if let Some(database) = &credentials.database {
        statements.push(format!("CREATE DATABASE IF NOT EXISTS {}", name(database)));
    }
    if let Some((user, password)) = &credentials.application {
        let account = format!("{}@'%'", quote(user));
        statements.push(format!("CREATE USER IF NOT EXISTS {account} IDENTIFIED BY {}", quote(password.expose())));
        if let Some(database) = &credentials.database {
            let database = name(&database.replace('_', "\\_"));
            statements.push(format!("GRANT ALL PRIVILEGES ON {database}.* TO {account}"));
        }
    }
    statements.push(format!("ALTER USER 'root'@'localhost' IDENTIFIED BY {}", quote(root_password.expose())));
    connection.run_all(DOING, &statements).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_password_is_the_same_everywhere_and_tells_nothing() {
        let one = derived(&Secret::new("secret"), "pilotfish operator");
        assert_eq!(one, derived(&Secret::new("secret"), "pilotfish operator"));
        assert_ne!(one, derived(&Secret::new("secret"), "pilotfish copy"));
        assert_eq!(one.expose().len(), 64);
    }
}
