//! The one writer: every change passes here, in one order.
//!
//! A journal belongs between taking a batch and applying it: what was written down there can be applied again, because a command and its time
//! are all that the state depends on. Nobody hears of a change before it was applied.

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::catalog::{Catalog, QUEUE, Submission};
use crate::state::Command;

/// Commands that are applied in one go, before readers and connections have their turn.
const BATCH: usize = 64;

/// Applies what is submitted, and what is due by itself, until nobody can submit any more.
pub(crate) async fn write(catalog: &Catalog, mut submissions: mpsc::Receiver<Submission>) {
    const _: () = assert!(BATCH <= QUEUE, "a batch is taken out of the queue");
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let deadline = catalog.state().deadline().map(|at| catalog.instant(at));
        tokio::select! {
            biased;
            count = submissions.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return;
                }
            }
            () = async {
                match deadline {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
        apply_due(catalog);
        for (command, answer) in batch.drain(..) {
            let result = apply(catalog, command);
            // Whoever asked may be gone; it was done all the same.
            let _ = answer.send(result);
        }
        tokio::task::yield_now().await;
    }
}

fn apply(catalog: &Catalog, command: Command) -> Result<crate::state::Answer, crate::state::Refused> {
    let now = catalog.now();
    let mut state = catalog.state();
    let replaces = matches!(command, Command::Restore(_));
    let result = state.apply(command, now);
    if replaces && result.is_ok() {
        catalog.replaced();
    } else {
        catalog.wake(&state);
    }
    result
}

/// What is due comes first: a heartbeat that came too late finds the check expired.
fn apply_due(catalog: &Catalog) {
    let due = catalog.state().due(catalog.now());
    for command in due {
        // What is due by itself has nobody to tell.
        let _ = apply(catalog, command);
    }
}
