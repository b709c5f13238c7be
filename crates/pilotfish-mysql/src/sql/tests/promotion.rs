//! A primary dies, and another takes over with everything that was acknowledged.

use std::time::Duration;

use pilotfish_autopilot::{Access, Applier, Flavour, MemberId, Mode, Receiver, Term};
use tokio::time::Instant;

use super::{LIMIT, on_both, three};

on_both!(what_was_acknowledged_survives_the_primary, a_primary_can_be_opened_twice);

async fn what_was_acknowledged_survives_the_primary(flavour: Flavour) {
    let [mut one, two, three] = three(flavour).await;
    for key in 0..20 {
        one.write(key).await.expect("it is acknowledged");
    }
    one.server.kill();
    let start = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let (a, b) = tokio::join!(two.database.stop_receiver(LIMIT), three.database.stop_receiver(LIMIT));
    a.and(b).expect("they stop to receive");
    times.push(("stopped", start.elapsed()));
    let (a, b) = tokio::join!(two.look(), three.look());
    times.push(("looked", start.elapsed()));
    assert_eq!((a.receiver, b.receiver), (Receiver::Stopped, Receiver::Stopped));
    let (new, other) = if b.received.contains(&a.received) { (&three, &two) } else { (&two, &three) };
    let everything = a.received.union(&b.received).expect("one flavour");
    new.database.drain(LIMIT).await.expect("it drains");
    times.push(("drained", start.elapsed()));
    let settled = new.database.set_gate(&[other.id()].into(), LIMIT).await.expect("the gate");
    times.push(("gate", start.elapsed()));
    assert!(settled.contains(&everything), "{settled} is less than {everything}");
    new.database.set_acks(1, LIMIT).await.expect("acknowledgements");
    times.push(("acks", start.elapsed()));
    new.database.open(Term(2), LIMIT).await.expect("it opens");
    times.push(("open", start.elapsed()));
    other.attach(new, Mode::Acking).await;
    times.push(("attached", start.elapsed()));
    new.write(100).await.expect("it is acknowledged");
    times.push(("written", start.elapsed()));
    eprintln!("{flavour:?} promotion: {times:?}");
    assert_eq!(new.keys().await, (0..20).chain([100]).collect::<Vec<u32>>());
    let seen = new.look().await;
    assert_eq!((seen.access, seen.acks, seen.gate), (Access::Writable, 1, [other.id()].into()));
    let follower = other.until_executed(&seen.executed).await;
    assert_eq!(follower.executed, seen.executed);
    assert_eq!((follower.access, follower.applier), (Access::ReadOnly, Applier::Running));
    assert_eq!(follower.receiver, Receiver::Running { to: new.id(), mode: Mode::Acking, connected: true });
    assert_eq!(new.executed_by_others().await, seen.executed);
}

async fn a_primary_can_be_opened_twice(flavour: Flavour) {
    let one = super::Member::new(flavour, 1).await;
    one.lead_alone(1).await;
    one.make_table().await;
    let before = one.look().await.executed;
    one.database.open(Term(1), LIMIT).await.expect("it opens again");
    let after = one.look().await;
    assert_eq!((before, after.access), (after.executed, Access::Writable));
    assert!(one.database.probe(LIMIT).await.is_ok());
    assert_eq!(one.id(), MemberId(1));
}
