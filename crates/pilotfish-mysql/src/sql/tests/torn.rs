//! A source that dies in the middle of sending a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pilotfish_autopilot::{Access, Applier, Flavour, Mode, Receiver, Term};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::{LIMIT, Member, Source, on_both};

on_both!(y3_half_a_transaction_keeps_nobody_from_leading, y3_half_a_transaction_keeps_nobody_from_following_another,);

/// What of a transaction of several megabytes arrives.
const ARRIVES: usize = 3 << 20;

/// Passes on what a source sends, up to an amount that is set while it runs; then nothing more, as from a source that died.
struct Torn {
    port: u16,
    left: Arc<AtomicUsize>,
    used_up: Arc<Notify>,
}

impl Torn {
    async fn start(target: u16) -> Torn {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (left, used_up) = (Arc::new(AtomicUsize::new(usize::MAX)), Arc::new(Notify::new()));
        let torn = Torn { port, left: left.clone(), used_up: used_up.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { continue };
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                tokio::spawn(pass(from_server, to_client, left.clone(), used_up.clone()));
            }
        });
        torn
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    left: Arc<AtomicUsize>,
    used_up: Arc<Notify>,
) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let most = left.load(Ordering::SeqCst);
        let length = length.min(most);
        if most != usize::MAX {
            left.fetch_sub(length, Ordering::SeqCst);
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
        if left.load(Ordering::SeqCst) == 0 {
            used_up.notify_one();
            return;
        }
    }
}

/// A replica that acknowledged one write, and has received half of the next transaction of a source that is no more.
async fn half_received(flavour: Flavour) -> (Member, Member) {
    let (mut one, two) = (Member::new(flavour, 1).await, Member::new(flavour, 2).await);
    one.lead_alone(1).await;
    one.make_table().await;
    one.database.set_gate(&[two.id()].into(), LIMIT).await.expect("the gate");
    let torn = Torn::start(one.server.port()).await;
    let source = Source { port: torn.port, ..one.source() };
    two.database.attach(&source, Mode::Acking, LIMIT).await.expect("it attaches");
    one.until("an acknowledging replica", |seen| seen.acking.len() == 1).await;
    one.database.set_acks(1, LIMIT).await.expect("acknowledgements");
    one.write(1).await.expect("it is acknowledged");
    two.until_executed(&one.look().await.executed).await;
    torn.left.store(ARRIVES, Ordering::SeqCst);
    let mut client = one.client().await;
    let write = tokio::spawn(async move {
        client.run("writing", "BEGIN").await?;
        for key in 10..18 {
            client.run("writing", &format!("INSERT INTO app.t VALUES ({key}, REPEAT('x', 1000000))")).await?;
        }
        client.run("writing", "COMMIT").await
    });
    super::end(torn.used_up.notified()).await;
    // The half that arrived is in the relay log, and the applier waits for the rest of it.
    two.until("what arrived", |_| relay_log_size(&two) > ARRIVES as u64 / 2).await;
    one.server.kill();
    super::end(write).await.expect("no panic").expect_err("nobody acknowledged it");
    (one, two)
}

fn relay_log_size(member: &Member) -> u64 {
    let files = std::fs::read_dir(member.server.data()).expect("a data directory").flatten();
    let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("relay-bin."));
    logs.filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum()
}

async fn y3_half_a_transaction_keeps_nobody_from_leading(flavour: Flavour) {
    let (_one, two) = half_received(flavour).await;
    // MySQL would wait for the rest for a whole minute: longer than this limit.
    two.database.stop_receiver(LIMIT / 2).await.expect("it stops to receive");
    let stopped = two.look().await;
    assert_eq!(stopped.receiver, Receiver::Stopped);
    assert_eq!(stopped.received, stopped.executed, "half a transaction was not received");
    two.database.drain(LIMIT / 2).await.expect("it drains");
    two.database.set_acks(0, LIMIT).await.expect("no acknowledgements");
    two.database.open(Term(2), LIMIT / 2).await.expect("it opens");
    assert_eq!(two.look().await.access, Access::Writable);
    two.write(2).await.expect("it writes");
    assert_eq!(two.keys().await, [1, 2]);
}

async fn y3_half_a_transaction_keeps_nobody_from_following_another(flavour: Flavour) {
    let (_one, two) = half_received(flavour).await;
    two.database.stop_receiver(LIMIT / 2).await.expect("it stops to receive");
    two.database.drain(LIMIT / 2).await.expect("it drains");
    // Another that has all that was acknowledged.
    let three = Member::new(flavour, 3).await;
    three.attach(&two, Mode::Plain).await;
    three.until_executed(&two.look().await.executed).await;
    three.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    three.lead_alone(2).await;
    two.database.attach(&three.source(), Mode::Plain, LIMIT / 2).await.expect("it attaches");
    three.write(2).await.expect("it writes");
    let follower = two.until_executed(&three.look().await.executed).await;
    assert_eq!(follower.applier, Applier::Running);
    assert_eq!(two.keys().await, [1, 2]);
}
