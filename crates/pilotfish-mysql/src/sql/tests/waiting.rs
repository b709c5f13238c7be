//! Commits that wait for an acknowledgement which does not come.

use std::time::Duration;

use pilotfish_autopilot::{Access, Flavour, Mode};

use super::{LIMIT, Member, end, on_both, waiting_write};

on_both!(
    m4_y2_a_server_closes_behind_a_waiting_commit,
    what_waits_is_part_of_the_position,
    an_applier_that_waits_is_no_client,
    what_is_acknowledged_is_counted,
    who_helps_a_second_time_does_not_wait_for_the_first,
    a_client_that_comes_again_and_again_keeps_nobody_from_closing,
    e3_a_commit_waits_for_ever,
    e11_e12_a_server_closes_whatever_its_clients_do,
);

/// A primary that waits for nobody, and a replica that has everything and does not acknowledge.
async fn pair(flavour: Flavour) -> (Member, Member) {
    let (one, two) = (Member::new(flavour, 1).await, Member::new(flavour, 2).await);
    one.lead_alone(1).await;
    one.make_table().await;
    two.attach(&one, Mode::Plain).await;
    two.until_connected().await;
    two.until_executed(&one.look().await.executed).await;
    (one, two)
}

async fn m4_y2_a_server_closes_behind_a_waiting_commit(flavour: Flavour) {
    let one = Member::new(flavour, 1).await;
    one.lead_alone(1).await;
    one.make_table().await;
    one.ask(&[]).await;
    let write = waiting_write(&one, 1).await;
    // One that can close has time to; one that cannot need not be waited for.
    let limit = if flavour == Flavour::MySql { Duration::from_secs(10) } else { LIMIT };
    let closed = one.database.close(limit).await;
    // M5: its client is not told that all is well.
    assert!(end(write).await.expect("no panic").is_err());
    match flavour {
        Flavour::MariaDb => {
            closed.expect("it closes");
            assert_eq!(one.look().await.access, Access::ReadOnly);
            assert!(one.write(2).await.is_err());
        }
        // MySQL ends the connection, and not the wait: it cannot close, and must not do so later when nobody expects it.
        Flavour::MySql => assert!(matches!(closed, Err(crate::error::Error::TooSlow { .. })), "{closed:?}"),
    }
    one.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    one.database.open(pilotfish_autopilot::Term(2), LIMIT).await.expect("it opens");
    one.write(3).await.expect("it writes");
    assert_eq!(one.look().await.access, Access::Writable);
}

async fn what_waits_is_part_of_the_position(flavour: Flavour) {
    let (one, two) = pair(flavour).await;
    one.ask(&[]).await;
    let before = two.look().await.executed;
    let write = waiting_write(&one, 1).await;
    // The replica applies what still waits on the primary; it must not be taken for errant.
    let ours = two.until("what waits", |seen| seen.executed != before).await.executed;
    let theirs = one.executed_by_others().await;
    assert!(theirs.contains(&ours), "{theirs} does not contain {ours}");
    assert!(one.look().await.executed.contains(&ours));
    one.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    end(write).await.expect("no panic").expect("it is told that all is well");
}

/// MySQL's appliers enter this state for a moment with every commit, also when they need not wait.
async fn an_applier_that_waits_is_no_client(flavour: Flavour) {
    let (one, two) = pair(flavour).await;
    two.database.set_acks(1, LIMIT).await.expect("acknowledgements");
    one.write(1).await.expect("it writes");
    let mut operator = two.operator().await;
    let waits = async {
        let waits = |row: &crate::sql::connection::Fields| {
            row.text("state").is_some_and(|state| state.starts_with("Waiting for semi-sync ACK"))
        };
        while !operator.rows("reading", "SHOW FULL PROCESSLIST").await.expect("rows").iter().any(waits) {
            tokio::task::yield_now().await;
        }
    };
    end(waits).await;
    let seen = two.look().await;
    assert_eq!((seen.access, seen.waiting), (Access::ReadOnly, None));
    two.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    two.until_executed(&one.look().await.executed).await;
}

/// Who waits behind others that are acknowledged does not wait in vain; only a count of those tells.
async fn what_is_acknowledged_is_counted(flavour: Flavour) {
    let (one, two) = pair(flavour).await;
    one.ask(&[2]).await;
    let mut write = waiting_write(&one, 1).await;
    let count = |seen: &super::Seen| seen.waiting.map(|waiting| waiting.acknowledged);
    let before = count(&one.look().await).expect("it waits");
    assert_eq!(count(&one.look().await), Some(before), "nothing is acknowledged");
    if flavour == Flavour::MariaDb {
        // Nor by the end of a statement that waits.
        let held = one.look().await.executed;
        assert!(one.database.release(&held, LIMIT).await.expect("it is done") > 0);
        let _ = end(write).await.expect("no panic");
        write = waiting_write(&one, 9).await;
        assert_eq!(count(&one.look().await), Some(before), "nothing is acknowledged");
    }
    two.attach(&one, Mode::Acking).await;
    one.write(2).await.expect("it is acknowledged, and all before it");
    end(write).await.expect("no panic").expect("it is told that all is well");
    two.attach(&one, Mode::Plain).await;
    two.until_connected().await;
    let write = waiting_write(&one, 3).await;
    assert!(count(&one.look().await) > Some(before));
    one.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    end(write).await.expect("no panic").expect("it is told now");
}

/// The acknowledgement of the transaction that is to help is lost as well: the next one must not wait for the first.
async fn who_helps_a_second_time_does_not_wait_for_the_first(flavour: Flavour) {
    let (one, two) = pair(flavour).await;
    one.ask(&[2]).await;
    let write = waiting_write(&one, 1).await;
    let before = one.look().await.executed;
    let first = tokio::spawn({
        let database = one.database.clone();
        async move { database.beat().await }
    });
    let with_first = two.until("the first", |seen| seen.executed != before && seen.executed.contains(&before)).await;
    let second = tokio::spawn({
        let (database, held) = (one.database.clone(), with_first.executed.clone());
        async move { database.release(&held, LIMIT).await }
    });
    match flavour {
        Flavour::MariaDb => {
            // It ends those that wait.
            assert!(end(second).await.expect("no panic").expect("it is done") > 0);
        }
        Flavour::MySql => {
            let position = &with_first.executed;
            two.until("the second", |seen| seen.executed != *position && seen.executed.contains(position)).await;
            one.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
            end(second).await.expect("no panic").expect("it is done");
        }
    }
    one.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    let _ = (end(first).await, end(write).await);
}

async fn a_client_that_comes_again_and_again_keeps_nobody_from_closing(flavour: Flavour) {
    let one = Member::new(flavour, 1).await;
    one.lead_alone(1).await;
    one.make_table().await;
    let target = {
        let at = super::Place::Tcp("127.0.0.1".into(), one.server.port());
        super::Target { at, user: "app".into(), password: super::Secret::new("app's") }
    };
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move {
                loop {
                    if let Ok(mut client) = super::Connection::open(&target, LIMIT).await {
                        while client.run("reading", "SELECT 1").await.is_ok() {}
                    }
                }
            })
        })
        .collect();
    one.database.close(LIMIT).await.expect("it closes");
    assert_eq!(one.look().await.access, Access::ReadOnly);
    clients.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Semi-synchronous replication that gives up tells the client that all is well.
async fn e3_a_commit_waits_for_ever(flavour: Flavour) {
    const YEAR_MS: u64 = 365 * 86_400_000;
    let one = Member::new(flavour, 1).await;
    // As somebody may have left it.
    let (source, names) = match flavour {
        Flavour::MariaDb => ("master", ["timeout", "wait_no_slave", "wait_point"]),
        Flavour::MySql => ("source", ["timeout", "wait_no_replica", "wait_point"]),
    };
    let variable = |name: &str| format!("@@global.rpl_semi_sync_{source}_{name}");
    let mut operator = one.operator().await;
    for (name, value) in names.iter().zip(["100", "0", "AFTER_COMMIT"]) {
        operator.run("setting", &format!("SET {} = {value}", variable(name))).await.expect("it is set");
    }
    one.lead_alone(1).await;
    one.make_table().await;
    one.ask(&[2]).await;
    let [limit, alone, point] = names.map(|name| format!("{} AS {name}", variable(name)));
    let rows = operator.rows("asking", &format!("SELECT {limit}, {alone}, {point}")).await.expect("settings");
    let row = rows.first().expect("a row");
    // MySQL knows no longer time than 32 bits of milliseconds: 49 days.
    let least = if flavour == Flavour::MySql { u64::from(u32::MAX) } else { 300 * YEAR_MS };
    assert!(row.number::<u64>(names[0]).is_some_and(|limit| limit >= least), "{:?}", row.text(names[0]));
    assert_eq!((row.is_on(names[1]), row.text(names[2])), (true, Some("AFTER_SYNC")));
    let write = waiting_write(&one, 1).await;
    one.until("a whole second of waiting", |seen| {
        seen.waiting.is_some_and(|waiting| waiting.oldest >= Duration::from_secs(1))
    })
    .await;
    assert!(!write.is_finished(), "it was told that all is well");
    one.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    end(write).await.expect("no panic").expect("it is told now");
}

async fn e11_e12_a_server_closes_whatever_its_clients_do(flavour: Flavour) {
    let one = Member::new(flavour, 1).await;
    one.lead_alone(1).await;
    one.make_table().await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(one.client().await);
    }
    let busy: [&[&str]; 2] = [
        &["CREATE TABLE app.locked (k INT)", "LOCK TABLES app.locked WRITE"],
        &["SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN", "INSERT INTO app.t VALUES (1, '')"],
    ];
    for (client, statements) in clients.iter_mut().zip(busy) {
        for statement in statements {
            client.run("keeping it busy", statement).await.expect("a statement");
        }
    }
    // Two statements that last: a query, and a change of a table that waits for the open transaction.
    let (mut query, mut change) = (one.client().await, one.client().await);
    let query = tokio::spawn(async move { query.run("asking", "SELECT SLEEP(100000)").await });
    let change = tokio::spawn(async move { change.run("changing", "ALTER TABLE app.t ADD COLUMN w INT").await });
    one.database.close(LIMIT).await.expect("it closes");
    assert_eq!(one.look().await.access, Access::ReadOnly);
    let _ = (end(query).await, end(change).await);
    for client in &mut clients {
        client.run("going on", "SELECT 1").await.expect_err("its connection was ended");
    }
    assert!(one.keys().await.is_empty(), "what was not committed is not there");
    // And behind a lock of everything, as backups take it.
    one.database.open(pilotfish_autopilot::Term(2), LIMIT).await.expect("it opens");
    let at = super::Place::Socket(one.server.socket());
    let root = super::Target { at, user: "root".into(), password: super::Secret::new("root's") };
    let mut backup = super::Connection::open(&root, LIMIT).await.expect("root's connection");
    backup.run("locking", "FLUSH TABLES WITH READ LOCK").await.expect("a lock");
    one.database.close(LIMIT).await.expect("it closes");
    assert_eq!(one.look().await.access, Access::ReadOnly);
    backup.run("going on", "SELECT 1").await.expect_err("its connection was ended");
}
