//! MySQL's statements.

use std::time::Duration;

use pilotfish_autopilot::{Access, Applier, Flavour, GtidSet, MemberId, Mode, Receiver};
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, Fields, quote};
use super::{Seen, Shared, Source, accounts};
use crate::error::Error;

/// The source no longer has what is asked for (ER_SERVER_SOURCE_FATAL_ERROR_READING_BINLOG).
const PURGED: u32 = 1236;
const CONNECT_PATIENCE: Duration = Duration::from_millis(600);
const CONNECT_EVERY: Duration = Duration::from_millis(15);
/// How long threads may take to stop before an applier that keeps them is ended (Y3).
const STOP_PATIENCE: Duration = Duration::from_millis(500);
/// How long one wait for the applier lasts, in seconds, before it is asked whether it is still there.
const DRAIN_SLICE: f64 = 0.5;
/// How long semi-synchronous replication waits before it gives up, in milliseconds: the longest that can be said.
const NEVER_MS: u32 = u32::MAX;

fn gtids(doing: &'static str, text: &str) -> Result<GtidSet, Error> {
    GtidSet::parse(Flavour::MySql, text).map_err(|error| Error::Answer { doing, text: error.to_string() })
}

/// What it has executed, or has in its binary log: `gtid_executed` alone leaves out what waits for acknowledgement, and a replica may have
/// applied that already. While it takes writes, whoever owns a GTID is a client whose transaction is in the binary log, or will be in a moment.
pub(super) async fn executed(connection: &mut Connection) -> Result<GtidSet, Error> {
    const DOING: &str = "reading the position";
    let owned = "SELECT @@global.read_only AS read_only, @@global.gtid_owned AS owned";
    let owned = connection.rows(DOING, owned).await?;
    let rows = connection.rows(DOING, "SELECT @@global.gtid_executed AS executed").await?;
    let executed = gtids(DOING, rows.first().and_then(|row| row.text("executed")).unwrap_or_default())?;
    let Some(row) = owned.first().filter(|row| !row.is_on("read_only")) else { return Ok(executed) };
    let owned = gtids(DOING, &without_owners(row.text("owned").unwrap_or_default()))?;
    Ok(executed.union(&owned).unwrap_or(executed))
}

/// `UUID:5#13:6#14` says that connection 13 owns transaction 5, and 14 owns 6.
fn without_owners(owned: &str) -> String {
    let piece = |piece: &str| piece.split_once('#').map_or(piece, |(number, _)| number).to_owned();
    let part = |part: &str| part.split(':').map(piece).collect::<Vec<_>>().join(":");
    owned.split(',').map(part).collect::<Vec<_>>().join(",")
}

/// Looks at everything: connections before positions, and what was received before what was executed.
pub(super) async fn look(connection: &mut Connection, shared: &Shared) -> Result<Seen, Error> {
    const DOING: &str = "looking at the server";
    let connections = accounts::connections(connection, Flavour::MySql, &shared.access).await?;
    let gate = accounts::gate(connection, Flavour::MySql, &shared.access).await?;
    let variables = "SELECT @@global.read_only AS read_only, @@global.rpl_semi_sync_source_enabled AS semi_sync, \
                     @@global.rpl_semi_sync_source_wait_for_replica_count AS acks";
    let variables = connection.rows(DOING, variables).await?;
    let variables = variables.first().ok_or(Error::Answer { doing: DOING, text: "no variables".into() })?;
    let status = connection.rows(DOING, "SHOW REPLICA STATUS").await?;
    let status = status.first();
    let retrieved = gtids(DOING, status.and_then(|status| status.text("Retrieved_Gtid_Set")).unwrap_or_default())?;
    let executed = executed(connection).await?;
    let waiting = connections.waiting.is_some();
    let attached = shared.run().attached;
    Ok(Seen {
        access: if variables.is_on("read_only") && !waiting { Access::ReadOnly } else { Access::Writable },
        receiver: receiver(status, attached),
        applier: applier(status),
        acks: if variables.is_on("semi_sync") { variables.number("acks").unwrap_or(0) } else { 0 },
        gate,
        acking: connections.acking,
        waiting: connections.waiting,
        lag: status.and_then(|status| status.number("Seconds_Behind_Source")).map(Duration::from_secs),
        replication_error: status.and_then(error_text),
        received: executed.union(&retrieved).unwrap_or_else(|| executed.clone()),
        executed,
    })
}

fn error_text(status: &Fields) -> Option<String> {
    let texts = ["Last_SQL_Error", "Last_IO_Error"].map(|column| status.text(column).unwrap_or_default());
    texts.into_iter().find(|text| !text.is_empty()).map(str::to_owned)
}

fn receiver(status: Option<&Fields>, attached: Option<(MemberId, Mode)>) -> Receiver {
    let Some(status) = status else { return Receiver::Stopped };
    let connected = match status.text("Replica_IO_Running") {
        Some("Yes") => true,
        Some("Connecting") => false,
        _ if is_purged(status) => return Receiver::Purged,
        _ => return Receiver::Stopped,
    };
    match attached {
        Some((to, mode)) => Receiver::Running { to, mode, connected },
        None => Receiver::Unknown,
    }
}

fn is_purged(status: &Fields) -> bool {
    // MySQL 8.0.32 and later find out themselves, and say 13114.
    matches!(status.number("Last_IO_Errno"), Some(PURGED | 13_114))
}

fn applier(status: Option<&Fields>) -> Applier {
    let Some(status) = status else { return Applier::Stopped };
    match (status.is_on("Replica_SQL_Running"), status.number("Last_SQL_Errno").unwrap_or(0_u32)) {
        (true, _) => Applier::Running,
        (false, 0) => Applier::Stopped,
        (false, _) => Applier::Failed,
    }
}

/// Stops the receiver; the applier goes on.
pub(super) async fn stop_receiver(connection: &mut Connection, shared: &Shared) -> Result<(), Error> {
    stop(connection, shared, "stopping to receive", "STOP REPLICA IO_THREAD").await
}

/// Stops threads. Where the relay log ends in the middle of a transaction, because its source died while it sent that, the applier waits a whole
/// minute for the rest, which will never come, and whoever stops it waits as long (Y3). So it is ended: what it has of that transaction counts for
/// nothing, and what is whole stays in the relay log, or is fetched again.
async fn stop(connection: &mut Connection, shared: &Shared, doing: &'static str, statement: &str) -> Result<(), Error> {
    let statement = connection.run(doing, statement);
    tokio::pin!(statement);
    loop {
        if let Ok(outcome) = timeout(STOP_PATIENCE, &mut statement).await {
            return outcome;
        }
        // More than once: it may have begun to wait only now.
        accounts::end_stuck_appliers(&shared.access.target()).await?;
    }
}

/// Applies what the relay log holds; it survives restarts, because it is not recovered from the source (`relay_log_recovery = OFF`).
pub(super) async fn drain(connection: &mut Connection, limit: Duration) -> Result<(), Error> {
    const DOING: &str = "applying the relay log";
    let status = connection.rows(DOING, "SHOW REPLICA STATUS").await?;
    let Some(status) = status.first() else { return Ok(()) };
    if !status.is_on("Replica_SQL_Running") {
        connection.run(DOING, "START REPLICA SQL_THREAD").await?;
    }
    if status.text("Replica_IO_Running") != Some("No") {
        return Ok(());
    }
    let retrieved = status.text("Retrieved_Gtid_Set").unwrap_or_default();
    if retrieved.is_empty() {
        return Ok(());
    }
    let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({}, {DRAIN_SLICE}) AS missed", quote(retrieved));
    let end = Instant::now() + limit;
    while Instant::now() < end {
        let missed = connection.rows(DOING, &wait).await?;
        if missed.first().and_then(|row| row.text("missed")) == Some("0") {
            return Ok(());
        }
        // It would wait as patiently for an applier that has failed (Y5).
        let status = connection.rows(DOING, "SHOW REPLICA STATUS").await?;
        if let Some(status) = status.first().filter(|status| !status.is_on("Replica_SQL_Running")) {
            let text = error_text(status).unwrap_or_else(|| "the applier has stopped".into());
            return Err(Error::Unfit(format!("{DOING}: {text}")));
        }
    }
    Err(Error::TooSlow { doing: DOING, limit })
}

/// Receives from a source.
pub(super) async fn attach(
    connection: &mut Connection,
    shared: &Shared,
    source: &Source,
    mode: Mode,
) -> Result<(), Error> {
    const DOING: &str = "following another member";
    let access = &shared.access;
    let user = match mode {
        Mode::Acking => access.acking_account(access.me),
        Mode::Plain => access.replication_user.clone(),
    };
    stop(connection, shared, DOING, "STOP REPLICA").await?;
    shared.run().attached = None;
    let settings = format!(
        "SET GLOBAL super_read_only = 1, GLOBAL rpl_semi_sync_source_enabled = 0, \
         GLOBAL rpl_semi_sync_replica_enabled = {}, GLOBAL server_id = {}",
        u8::from(mode == Mode::Acking),
        access.receiving_id(),
    );
    connection.run(DOING, &settings).await?;
    // It throws the relay log away, and what is known of it.
    let change = format!(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = {}, SOURCE_PORT = {}, SOURCE_USER = {}, SOURCE_PASSWORD = {}, \
         SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, \
         SOURCE_RETRY_COUNT = 0, SOURCE_HEARTBEAT_PERIOD = 1",
        quote(&source.host),
        source.port,
        quote(&user),
        quote(access.replication_password.expose()),
    );
    if let Err(Error::Refused { .. }) = connection.run(DOING, &change).await {
        // What is left of the relay log cannot be read.
        connection.run(DOING, "RESET REPLICA").await?;
        connection.run(DOING, &change).await?;
    }
    // From here on it follows: an applier that does not start is started by the next act.
    shared.run().attached = Some((source.member, mode));
    // What is received is acknowledged before it is applied.
    connection.run(DOING, "START REPLICA IO_THREAD").await?;
    connection.run(DOING, "START REPLICA SQL_THREAD").await?;
    let end = Instant::now() + CONNECT_PATIENCE;
    while Instant::now() < end {
        let status = connection.rows(DOING, "SHOW REPLICA STATUS").await?;
        match status.first().and_then(|status| status.text("Replica_IO_Running")) {
            Some("Yes" | "No") | None => break,
            Some(_) => {}
        }
        if status.first().and_then(|status| status.number("Last_IO_Errno")).unwrap_or(0_u32) != 0 {
            connection.run(DOING, "STOP REPLICA IO_THREAD").await?;
            connection.run(DOING, "START REPLICA IO_THREAD").await?;
        }
        sleep(CONNECT_EVERY).await;
    }
    Ok(())
}

/// How many acknowledgements a commit waits for.
pub(super) fn set_acks(acks: u8) -> Vec<String> {
    if acks == 0 {
        return vec!["SET GLOBAL rpl_semi_sync_source_enabled = 0".into()];
    }
    vec![
        format!("SET GLOBAL rpl_semi_sync_source_timeout = {NEVER_MS}"),
        "SET GLOBAL rpl_semi_sync_source_wait_no_replica = 1".into(),
        "SET GLOBAL rpl_semi_sync_source_wait_point = AFTER_SYNC".into(),
        format!("SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = {acks}"),
        "SET GLOBAL rpl_semi_sync_source_enabled = 1".into(),
    ]
}

/// Takes writes.
pub(super) async fn open(connection: &mut Connection, shared: &Shared) -> Result<(), Error> {
    const DOING: &str = "opening for writes";
    stop(connection, shared, DOING, "STOP REPLICA").await?;
    connection.run(DOING, "RESET REPLICA ALL").await?;
    connection.run(DOING, "SET GLOBAL rpl_semi_sync_replica_enabled = 0").await?;
    connection.run(DOING, &format!("SET GLOBAL server_id = {}", shared.access.writing_id())).await?;
    shared.run().attached = None;
    connection.run(DOING, "SET GLOBAL super_read_only = 0").await?;
    connection.run(DOING, "SET GLOBAL read_only = 0").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_left_out() {
        let one = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let owned = without_owners(&format!("{one}:5#13:7#14:tag:2#9,\n{one}:9#1"));
        assert_eq!(gtids("testing", &owned).unwrap(), gtids("testing", &format!("{one}:5:7:9:tag:2")).unwrap());
        assert!(gtids("testing", &without_owners("")).unwrap().is_empty());
    }
}
