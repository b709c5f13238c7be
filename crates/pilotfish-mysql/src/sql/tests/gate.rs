//! Who may acknowledge.

use pilotfish_autopilot::{Flavour, Mode, Receiver};

use super::{LIMIT, Seen, end, on_both, three, waiting_write};

on_both!(who_is_not_admitted_does_not_acknowledge);

async fn who_is_not_admitted_does_not_acknowledge(flavour: Flavour) {
    let [one, two, three] = three(flavour).await;
    one.write(1).await.expect("it is acknowledged");
    one.database.set_gate(&[three.id()].into(), LIMIT).await.expect("the gate");
    let only = |seen: &Seen| (&seen.gate, &seen.acking) == (&[three.id()].into(), &[three.id()].into());
    one.until("only one to be let in", only).await;
    three.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    // The one that may is away, the other one tries again and again.
    let write = waiting_write(&one, 2).await;
    two.until("the cut", |seen| !matches!(seen.receiver, Receiver::Running { connected: true, .. })).await;
    assert!(!write.is_finished());
    three.attach(&one, Mode::Acking).await;
    end(write).await.expect("no panic").expect("it is acknowledged");
    // And back in.
    one.database.set_gate(&[two.id(), three.id()].into(), LIMIT).await.expect("the gate");
    two.attach(&one, Mode::Acking).await;
    one.until("both", |seen| seen.acking.len() == 2).await;
}
