//! Commits that wait for an acknowledgement which does not come.

use std::time::Duration;

use pilotfish_autopilot::{Access, Flavour, Mode};

use super::{LIMIT, Member, end, on_both, waiting_write};

on_both!(
    m4_y2_a_server_closes_behind_a_waiting_commit,
    what_waits_is_part_of_the_position,
    a_client_that_comes_again_and_again_keeps_nobody_from_closing,
);

async fn m4_y2_a_server_closes_behind_a_waiting_commit(flavour: Flavour) {
    let one = Member::new(flavour, 1).await;
    one.lead_alone(1).await;
    one.make_table().await;
    one.ask(&[]).await;
    let write = waiting_write(&one, 1).await;
    // One that can close has time to; one that cannot need not be waited for.
    let limit = if flavour == Flavour::MySql { Duration::from_secs(2) } else { LIMIT };
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
    let (one, two) = (Member::new(flavour, 1).await, Member::new(flavour, 2).await);
    one.lead_alone(1).await;
    one.make_table().await;
    two.attach(&one, Mode::Plain).await;
    two.until_connected().await;
    two.until_executed(&one.look().await.executed).await;
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
