//! What was received and not applied.

use pilotfish_autopilot::{Applier, Flavour, Mode, Receiver};
use tokio::time::Instant;

use super::{LIMIT, Member, on_both, three};

on_both!(
    m1_the_relay_log_outlives_both_threads,
    m6_a_source_that_hangs,
    m9_y5_an_applier_that_failed_is_seen_and_not_waited_for,
    e16_what_is_purged_is_seen,
);

fn stop_applier(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MariaDb => "STOP SLAVE SQL_THREAD",
        Flavour::MySql => "STOP REPLICA SQL_THREAD",
    }
}

async fn m1_the_relay_log_outlives_both_threads(flavour: Flavour) {
    let [one, two, three] = three(flavour).await;
    three.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    // The applier is slow: it waits for a lock of ours.
    let mut lock = two.operator().await;
    if flavour == Flavour::MySql {
        lock.run("locking", "SET GLOBAL super_read_only = 0").await.expect("locks are possible");
    }
    // Where nothing is yet, only this level locks what comes.
    lock.run("locking", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.expect("a level");
    lock.run("locking", "BEGIN").await.expect("a transaction");
    lock.run("locking", "SELECT * FROM app.t FOR UPDATE").await.expect("a lock");
    for key in 0..5 {
        one.write(key).await.expect("it is acknowledged");
    }
    two.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    let seen = two.look().await;
    assert!(seen.received.contains(&one.look().await.executed));
    assert!(!seen.executed.contains(&seen.received));
    assert_eq!(seen.receiver, Receiver::Stopped);
    lock.run("unlocking", "ROLLBACK").await.expect("no lock");
    two.database.drain(LIMIT).await.expect("it drains");
    let drained = two.look().await;
    assert!(drained.executed.contains(&seen.received));
    assert_eq!(two.keys().await, [0, 1, 2, 3, 4]);
}

async fn m6_a_source_that_hangs(flavour: Flavour) {
    let [one, two, three] = three(flavour).await;
    one.write(1).await.expect("it is acknowledged");
    one.server.pause();
    let start = Instant::now();
    let (a, b) = tokio::join!(two.database.stop_receiver(LIMIT), three.database.stop_receiver(LIMIT));
    eprintln!("{flavour:?}: stopped to receive from a source that hangs after {:?}", start.elapsed());
    a.and(b).expect("they stop to receive");
    assert_eq!(two.look().await.receiver, Receiver::Stopped);
    two.database.drain(LIMIT).await.expect("it drains");
    one.server.resume();
}

async fn m9_y5_an_applier_that_failed_is_seen_and_not_waited_for(flavour: Flavour) {
    let [one, two, _three] = three(flavour).await;
    one.write(1).await.expect("it is acknowledged");
    two.until_executed(&one.look().await.executed).await;
    let mut stray = two.operator().await;
    if flavour == Flavour::MySql {
        stray.run("opening", "SET GLOBAL super_read_only = 0").await.expect("writable");
    }
    stray.run("straying", "SET SESSION sql_log_bin = 0").await.expect("no binary log");
    stray.run("straying", &super::insert(2)).await.expect("a stray row");
    one.write(2).await.expect("it is acknowledged");
    let seen = two.until("the failure", |seen| seen.applier == Applier::Failed).await;
    assert!(seen.replication_error.is_some());
    assert!(!seen.executed.contains(&seen.received));
    two.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    let start = Instant::now();
    two.database.drain(LIMIT).await.expect_err("it cannot apply what it has");
    assert!(start.elapsed() < LIMIT / 2, "it waited for an applier that had failed");
}

async fn e16_what_is_purged_is_seen(flavour: Flavour) {
    let (one, two) = (Member::new(flavour, 1).await, Member::new(flavour, 2).await);
    one.lead_alone(1).await;
    one.make_table().await;
    let mut operator = one.operator().await;
    let (flush, list) = ("FLUSH BINARY LOGS", "SHOW BINARY LOGS");
    operator.run("rotating", flush).await.expect("a new file");
    let files = operator.rows("listing", list).await.expect("files");
    let last = files.last().and_then(|row| row.text("log_name")).expect("a file").to_owned();
    // An older one stays as long as the engines have not written down what is in it.
    let start = Instant::now();
    while operator.rows("listing", list).await.expect("files").len() > 1 {
        assert!(start.elapsed() < LIMIT, "the older files stay");
        operator.run("purging", &format!("PURGE BINARY LOGS TO '{last}'")).await.expect("older ones may go");
    }
    two.attach(&one, Mode::Plain).await;
    two.until("the failure", |seen| seen.receiver == Receiver::Purged).await;
}

/// Somebody has stopped both threads, with writes that were acknowledged and not applied: a thread that is started now throws them away.
async fn both_threads_stopped(one: &Member, two: &Member) {
    two.operator().await.run("stopping", stop_applier(two.flavour)).await.expect("the applier stops");
    for key in 0..5 {
        one.write(key).await.expect("it is acknowledged");
    }
    let all = one.look().await.executed;
    two.until("what was acknowledged", |seen| seen.received.contains(&all)).await;
    two.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    let seen = two.look().await;
    assert_eq!((seen.receiver, seen.applier), (Receiver::Stopped, Applier::Stopped));
    assert!(seen.received.contains(&all) && !seen.executed.contains(&all), "{seen:?}");
    two.database.drain(LIMIT).await.expect("it drains");
    assert_eq!(two.look().await.executed, all);
    assert_eq!(two.keys().await, [0, 1, 2, 3, 4]);
    two.attach(one, Mode::Acking).await;
    one.write(5).await.expect("it is acknowledged");
    two.until_executed(&one.look().await.executed).await;
}

/// A replica is killed with what it has acknowledged and not applied.
async fn killed_before_it_applied(one: &Member, two: &mut Member) {
    two.operator().await.run("stopping", stop_applier(two.flavour)).await.expect("the applier stops");
    for key in 0..5 {
        one.write(key).await.expect("it is acknowledged");
    }
    let all = one.look().await.executed;
    two.until("what was acknowledged", |seen| seen.received.contains(&all)).await;
    two.server.kill();
    two.restart();
    let start = Instant::now();
    let seen = two.look().await;
    eprintln!("{:?}: looked at a relay log of before in {:?}", two.flavour, start.elapsed());
    assert!(seen.received.contains(&all), "{} is less than {all}", seen.received);
    assert!(!seen.executed.contains(&all));
    assert_eq!((seen.receiver, seen.applier), (Receiver::Stopped, Applier::Stopped));
    let start = Instant::now();
    two.database.drain(LIMIT).await.expect("it drains");
    eprintln!("{:?}: drained a relay log of before in {:?}", two.flavour, start.elapsed());
    let drained = two.look().await;
    assert_eq!((&drained.executed, &drained.received), (&all, &all));
    assert_eq!(two.keys().await, [0, 1, 2, 3, 4]);
    // And it can go on from there, also as a source for others.
    two.attach(one, Mode::Acking).await;
    one.write(5).await.expect("it is acknowledged");
    two.until_executed(&one.look().await.executed).await;
}

#[test]
fn y_the_relay_log_outlives_the_server() {
    super::run(async {
        let (one, mut two) = pair(Flavour::MySql, crate::launch::Launcher::deaf()).await;
        killed_before_it_applied(&one, &mut two).await;
    });
}

#[test]
fn m1_the_relay_log_outlives_both_threads_stopped() {
    super::alone("sql::tests::relay_logs::m1_the_relay_log_outlives_both_threads_stopped", |launcher| async {
        let (one, two) = pair(Flavour::MariaDb, launcher).await;
        both_threads_stopped(&one, &two).await;
    });
}

#[test]
fn m1_the_same_on_mysql() {
    super::run(async {
        let (one, two) = pair(Flavour::MySql, crate::launch::Launcher::deaf()).await;
        both_threads_stopped(&one, &two).await;
    });
}

#[test]
fn m2_the_relay_log_outlives_the_server() {
    super::alone("sql::tests::relay_logs::m2_the_relay_log_outlives_the_server", |launcher| async {
        let (one, mut two) = pair(Flavour::MariaDb, launcher).await;
        killed_before_it_applied(&one, &mut two).await;
    });
}

pub(super) async fn pair(flavour: Flavour, launcher: crate::launch::Launcher) -> (Member, Member) {
    let (one, two) = (Member::new(flavour, 1).await, Member::with(flavour, 2, launcher).await);
    one.lead_alone(1).await;
    one.make_table().await;
    one.database.set_gate(&[two.id()].into(), LIMIT).await.expect("the gate");
    two.attach(&one, Mode::Acking).await;
    one.until("an acknowledging replica", |seen| seen.acking.len() == 1).await;
    two.until_executed(&one.look().await.executed).await;
    one.database.set_acks(1, LIMIT).await.expect("acknowledgements");
    (one, two)
}
