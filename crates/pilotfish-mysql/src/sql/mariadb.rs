//! MariaDB's statements.

use std::sync::Arc;
use std::time::Duration;

use pilotfish_autopilot::{Access, Applier, Flavour, GtidSet, Mode, Receiver, Term};
use tokio::time::{Instant, sleep};

use super::connection::{Connection, Fields, quote};
use super::history::{self, TermRow};
use super::{RelayLog, Seen, Shared, Source, accounts, relay_log};
use crate::error::Error;
use crate::task::beside;

/// The source no longer has what is asked for (ER_MASTER_FATAL_ERROR_READING_BINLOG).
const PURGED: u32 = 1236;
/// How long attaching waits for the connection: the server itself would try again after a whole second.
const CONNECT_PATIENCE: Duration = Duration::from_millis(600);
/// The pause between two attempts to connect.
const CONNECT_EVERY: Duration = Duration::from_millis(15);
/// How long one wait for the applier lasts, in seconds, before it is asked whether it is still there.
const DRAIN_SLICE: f64 = 0.5;
/// How long semi-synchronous replication waits before it gives up, in milliseconds: never, as far as it can be said.
const NEVER_MS: u64 = 10_000_000_000_000;

const TERM: &str = "SELECT term, start_seq, before_set FROM pilotfish.term";

fn term_row(rows: &[Fields]) -> Option<TermRow> {
    let row = rows.first()?;
    Some(TermRow {
        term: row.number("term")?,
        start: row.number("start_seq")?,
        before: row.text("before_set").unwrap_or_default().to_owned(),
    })
}

async fn history(connection: &mut Connection) -> Result<(Option<TermRow>, GtidSet), Error> {
    const DOING: &str = "reading the position";
    loop {
        let row = term_row(&connection.rows(DOING, TERM).await?);
        let state = connection.rows(DOING, "SELECT @@global.gtid_binlog_state AS state").await?;
        // A new term may have begun between the two: then the row is of the one before.
        let again = term_row(&connection.rows(DOING, TERM).await?);
        if row == again {
            let state = state.first().and_then(|row| row.text("state")).unwrap_or_default();
            let executed = history::executed(row.as_ref(), state)?;
            return Ok((row, executed));
        }
    }
}

/// What it has executed, exactly.
pub(super) async fn executed(connection: &mut Connection) -> Result<GtidSet, Error> {
    history(connection).await.map(|(_, executed)| executed)
}

/// Looks at everything: connections before positions, and what was received before what was executed.
pub(super) async fn look(connection: &mut Connection, shared: &Arc<Shared>) -> Result<Seen, Error> {
    const DOING: &str = "looking at the server";
    let connections = accounts::connections(connection, Flavour::MariaDb, &shared.access).await?;
    let gate = accounts::gate(connection, Flavour::MariaDb, &shared.access).await?;
    let variables = "SELECT @@global.read_only AS read_only, @@global.rpl_semi_sync_master_enabled AS semi_sync";
    let variables = connection.rows(DOING, variables).await?;
    let variables = variables.first().ok_or(Error::Answer { doing: DOING, text: "no variables".into() })?;
    let status = connection.rows(DOING, "SHOW SLAVE STATUS").await?;
    let status = status.first();
    let (row, executed) = history(connection).await?;
    let received = received(shared, status, row.as_ref(), &executed)?;
    let waiting = connections.waiting.is_some();
    let read_only = variables.is_on("read_only");
    let attached = shared.run().attached;
    Ok(Seen {
        access: if read_only && !waiting { Access::ReadOnly } else { Access::Writable },
        receiver: receiver(status, attached),
        applier: applier(status),
        acks: u8::from(variables.is_on("semi_sync")),
        gate,
        acking: connections.acking,
        waiting: connections.waiting,
        lag: status.and_then(|status| status.number("Seconds_Behind_Master")).map(Duration::from_secs),
        replication_error: status.and_then(error_text),
        executed,
        received,
    })
}

fn error_text(status: &Fields) -> Option<String> {
    let texts = ["Last_SQL_Error", "Last_IO_Error"].map(|column| status.text(column).unwrap_or_default());
    texts.into_iter().find(|text| !text.is_empty()).map(str::to_owned)
}

fn receiver(status: Option<&Fields>, attached: Option<(pilotfish_autopilot::MemberId, Mode)>) -> Receiver {
    let Some(status) = status else { return Receiver::Stopped };
    let connected = match status.text("Slave_IO_Running") {
        Some("Yes") => true,
        Some("Connecting" | "Preparing") => false,
        _ if status.number("Last_IO_Errno") == Some(PURGED) => return Receiver::Purged,
        _ => return Receiver::Stopped,
    };
    match attached {
        Some((to, mode)) => Receiver::Running { to, mode, connected },
        // Nobody of us has told it to: it must be stopped before anything is known.
        None => Receiver::Unknown,
    }
}

fn applier(status: Option<&Fields>) -> Applier {
    let Some(status) = status else { return Applier::Stopped };
    match (status.is_on("Slave_SQL_Running"), status.number("Last_SQL_Errno").unwrap_or(0_u32)) {
        (true, _) => Applier::Running,
        (false, 0) => Applier::Stopped,
        (false, _) => Applier::Failed,
    }
}

/// What was received: by the running threads, or, after a restart, by the relay log's files, of which the server knows nothing (M2). Until those
/// are read nobody can say, and so there is no answer.
fn received(
    shared: &Arc<Shared>,
    status: Option<&Fields>,
    row: Option<&TermRow>,
    executed: &GtidSet,
) -> Result<GtidSet, Error> {
    let Some(status) = status else { return Ok(executed.clone()) };
    let position = status.text("Gtid_IO_Pos").unwrap_or_default();
    let known = history::received(row, executed, position)?;
    let idle = status.text("Slave_IO_Running") == Some("No") && status.text("Slave_SQL_Running") == Some("No");
    let run = shared.run().clone();
    if run.attached.is_some() || run.attaching || !idle {
        return Ok(known);
    }
    match run.relay_log {
        RelayLog::Ends(last) => {
            let held = history::received(row, executed, &last)?;
            Ok(known.union(&held).unwrap_or(known))
        }
        RelayLog::Unknown => {
            shared.run().relay_log = RelayLog::BeingRead;
            read_relay_log(shared.clone(), run.number);
            Err(being_read())
        }
        RelayLog::BeingRead => Err(being_read()),
    }
}

fn being_read() -> Error {
    Error::Unreachable { doing: "looking at the server", text: "its relay log is being read".into() }
}

/// Reads the relay log's files beside everything else, however long that takes; what is found counts if the server is still the same run.
fn read_relay_log(shared: Arc<Shared>, number: u64) {
    beside(async move {
        let last = relay_log::last_position(&shared.tools).await;
        let mut run = shared.run();
        if run.number == number {
            // If it could not be read, the next look begins anew.
            run.relay_log = last.map_or(RelayLog::Unknown, RelayLog::Ends);
        }
    });
}

/// Applies what the relay log holds.
pub(super) async fn drain(connection: &mut Connection, shared: &Shared, limit: Duration) -> Result<(), Error> {
    const DOING: &str = "applying the relay log";
    let status = connection.rows(DOING, "SHOW SLAVE STATUS").await?;
    let Some(status) = status.first() else { return Ok(()) };
    let receives = status.text("Slave_IO_Running") != Some("No");
    if !status.is_on("Slave_SQL_Running") && !receives {
        // Starting a thread now would throw the relay log away (M1, M2).
        relay_log::salvage(connection, shared).await?;
        let (row, executed) = history(connection).await?;
        let last = relay_log::last_position(&shared.tools).await?;
        let held = history::received(row.as_ref(), &executed, &last)?;
        shared.run().relay_log = RelayLog::Ends(last);
        if !executed.contains(&held) {
            let text = format!("{held} should be there, and {executed} is");
            return Err(Error::Answer { doing: DOING, text });
        }
        return Ok(());
    }
    if !status.is_on("Slave_SQL_Running") {
        connection.run(DOING, "START SLAVE SQL_THREAD").await?;
    }
    if receives {
        return Ok(());
    }
    let position = status.text("Gtid_IO_Pos").unwrap_or_default();
    if position.is_empty() {
        return Ok(());
    }
    let wait = format!("SELECT MASTER_GTID_WAIT({}, {DRAIN_SLICE}) AS reached", quote(position));
    let end = Instant::now() + limit;
    while Instant::now() < end {
        let reached = connection.rows(DOING, &wait).await?;
        if reached.first().and_then(|row| row.text("reached")) == Some("0") {
            return Ok(());
        }
        // It would wait as patiently for an applier that has failed (Y5).
        let status = connection.rows(DOING, "SHOW SLAVE STATUS").await?;
        if let Some(status) = status.first().filter(|status| !status.is_on("Slave_SQL_Running")) {
            let text = error_text(status).unwrap_or_else(|| "the applier has stopped".into());
            return Err(Error::Unfit(format!("{DOING}: {text}")));
        }
    }
    Err(Error::TooSlow { doing: DOING, limit })
}

/// Receives from a source. The position is what is in the binary log: `gtid_slave_pos` is empty on a former primary (M8).
pub(super) async fn attach(
    connection: &mut Connection,
    shared: &Shared,
    source: &Source,
    mode: Mode,
) -> Result<(), Error> {
    let access = &shared.access;
    let user = match mode {
        Mode::Acking => access.acking_account(access.me),
        Mode::Plain => access.replication_user.clone(),
    };
    let acking = u8::from(mode == Mode::Acking);
    shared.run().attaching = true;
    let attached = follow(connection, shared, source, &user, acking).await;
    shared.run().attaching = false;
    attached?;
    {
        let mut run = shared.run();
        run.attached = Some((source.member, mode));
        run.relay_log = RelayLog::Unknown;
    }
    wait_for_connection(connection).await
}

async fn follow(
    connection: &mut Connection,
    shared: &Shared,
    source: &Source,
    user: &str,
    acking: u8,
) -> Result<(), Error> {
    const DOING: &str = "following another member";
    connection.run(DOING, "STOP SLAVE").await?;
    shared.run().attached = None;
    let statements = [
        format!("SET GLOBAL server_id = {}", shared.access.receiving_id()),
        "SET GLOBAL rpl_semi_sync_master_enabled = 0".to_owned(),
        format!("SET GLOBAL rpl_semi_sync_slave_enabled = {acking}"),
        "SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos".to_owned(),
        format!(
            "CHANGE MASTER TO MASTER_HOST = {}, MASTER_PORT = {}, MASTER_USER = {}, MASTER_PASSWORD = {}, \
             MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1",
            quote(&source.host),
            source.port,
            quote(user),
            quote(shared.access.replication_password.expose()),
        ),
        "START SLAVE".to_owned(),
    ];
    connection.run_all(DOING, &statements).await
}

async fn wait_for_connection(connection: &mut Connection) -> Result<(), Error> {
    const DOING: &str = "following another member";
    let end = Instant::now() + CONNECT_PATIENCE;
    while Instant::now() < end {
        let status = connection.rows(DOING, "SHOW SLAVE STATUS").await?;
        match status.first().and_then(|status| status.text("Slave_IO_Running")) {
            Some("Yes" | "No") | None => break,
            Some(_) => {}
        }
        // Refused because the source has not let us in yet: it will in a moment. Its own pause would be a second.
        if status.first().and_then(|status| status.number("Last_IO_Errno")).unwrap_or(0_u32) != 0 {
            connection.run(DOING, "STOP SLAVE IO_THREAD").await?;
            connection.run(DOING, "START SLAVE IO_THREAD").await?;
        }
        sleep(CONNECT_EVERY).await;
    }
    Ok(())
}

/// MariaDB waits for one acknowledgement or for none.
pub(super) fn set_acks(acks: u8) -> Vec<String> {
    if acks == 0 {
        return vec!["SET GLOBAL rpl_semi_sync_master_enabled = 0".into()];
    }
    vec![
        format!("SET GLOBAL rpl_semi_sync_master_timeout = {NEVER_MS}"),
        "SET GLOBAL rpl_semi_sync_master_wait_no_slave = 1".into(),
        "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC".into(),
        "SET GLOBAL rpl_semi_sync_master_enabled = 1".into(),
    ]
}

/// Ends statements that wait for an acknowledgement, once nothing is in the binary log that is not held. While one group of transactions waits, and
/// the next is written, nobody else can write (the server's own order of commits), so a transaction that says nothing cannot help them on.
///
/// By the number of the statement: one that was acknowledged meanwhile, and another that its session runs now, are let alone. The list is not
/// looked at otherwise because of what `accounts` says of it; this is seldom.
pub(super) async fn release(connection: &mut Connection, held: &GtidSet) -> Result<usize, Error> {
    const DOING: &str = "ending statements that wait for an acknowledgement";
    const GONE: [u16; 2] = [1094, 1957];
    let waiting =
        "SELECT QUERY_ID AS id FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for semi-sync ACK%'";
    let waiting = connection.rows(DOING, waiting).await?;
    // Looked at after the list: what waits was in the binary log before it waited.
    if !held.contains(&executed(connection).await?) {
        return Ok(0);
    }
    let mut ended = 0;
    for statement in waiting.iter().filter_map(|row| row.number::<u64>("id")) {
        match connection.run(DOING, &format!("KILL QUERY ID {statement}")).await {
            Ok(()) => ended += 1,
            Err(Error::Refused { code, .. }) if GONE.contains(&code) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}

/// Takes writes. The first transaction of the term says so; it waits for its acknowledgement like any other, and nothing waits for it: a replica
/// that is to acknowledge may have to be let in first.
pub(super) async fn open(connection: &mut Connection, shared: &Shared, term: Term) -> Result<(), Error> {
    const DOING: &str = "opening for writes";
    connection.run(DOING, "STOP SLAVE").await?;
    connection.run(DOING, "RESET SLAVE ALL").await?;
    connection.run(DOING, "SET GLOBAL rpl_semi_sync_slave_enabled = 0").await?;
    connection.run(DOING, &format!("SET GLOBAL server_id = {}", shared.access.writing_id())).await?;
    shared.run().attached = None;
    // A session has the server's number of the moment at which it began, and would go on writing under that. This one has the new number, so all
    // older ones end; and once more, because one that had just begun may have been in no list.
    let writer = Connection::open(&shared.access.target(), super::CONNECT_LIMIT).await?;
    let newest = writer.id;
    accounts::end_older(connection, &shared.access, newest).await?;
    let (row, executed) = history(connection).await?;
    if row.is_none_or(|row| row.term < term.0) {
        begin_term(connection, writer, term, &executed).await?;
    }
    accounts::end_older(connection, &shared.access, newest).await?;
    connection.run(DOING, "SET GLOBAL read_only = 0").await
}

/// Writes the first transaction of a term; it is over when that is in the binary log.
async fn begin_term(
    connection: &mut Connection,
    mut writer: Connection,
    term: Term,
    executed: &GtidSet,
) -> Result<(), Error> {
    const DOING: &str = "beginning a term";
    let first = history::first_number(term, executed);
    let before = quote(&executed.to_string());
    writer.run(DOING, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    writer.run(DOING, &format!("SET SESSION gtid_domain_id = 0, SESSION gtid_seq_no = {first}")).await?;
    let row = format!(
        "REPLACE INTO pilotfish.term (id, term, server_id, start_seq, before_set) \
         VALUES (1, {}, @@server_id, {first}, {before})",
        term.0
    );
    let mut written = tokio::spawn(async move { writer.run(DOING, &row).await });
    loop {
        if written.is_finished() {
            return (&mut written).await.unwrap_or(Err(Error::Ending));
        }
        let state = connection.rows(DOING, "SELECT @@global.gtid_binlog_pos AS position").await?;
        let position = state.first().and_then(|row| row.text("position")).unwrap_or_default();
        if history::reaches(position, first)? {
            return Ok(());
        }
        sleep(Duration::from_millis(1)).await;
    }
}
