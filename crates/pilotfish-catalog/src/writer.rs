//! The one writer: every change passes here, in one order.
//!
//! With a data directory, what was taken is written down before it is applied, with one fsync for all that came meanwhile; what was written
//! down can be applied again, because a command and its time are all that the state depends on. Nobody hears of a change before it was applied.
//!
//! When nothing can be written, writes are refused, and health goes on in memory: what a heartbeat, a probe or the clock changes was promised
//! to nobody. The log then begins anew with everything as it is, as soon as a write finds space for it.

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::catalog::{Catalog, QUEUE, Submission};
use crate::state::{Answer, Command, Refusal, Refused, Time, Weight};
use crate::store::Journal;

/// Commands that are applied in one go, before readers and connections have their turn.
const BATCH: usize = 64;

/// The same where they wait for the disk together.
const BATCH_ON_DISK: usize = 512;

/// What is told to whoever reads the log of the process.
pub(crate) type Notice = fn(&str);

/// Applies what is submitted, and what is due by itself, until nobody can submit any more.
pub(crate) async fn write(
    catalog: &Catalog,
    mut submissions: mpsc::Receiver<Submission>,
    mut journal: Option<Journal>,
    notice: Notice,
) {
    const _: () = assert!(BATCH <= QUEUE && BATCH_ON_DISK <= QUEUE, "a batch is taken out of the queue");
    let most = if journal.is_some() { BATCH_ON_DISK } else { BATCH };
    let mut batch = Vec::with_capacity(most);
    loop {
        let deadline = catalog.state().deadline().map(|at| catalog.instant(at));
        tokio::select! {
            biased;
            count = submissions.recv_many(&mut batch, most) => {
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
        let now = catalog.now();
        // What is due comes first: a heartbeat that came too late finds the check expired.
        let due = catalog.state().due(now);
        let refusal = match &mut journal {
            Some(journal) => write_down(catalog, journal, &due, &batch, now, notice).await,
            None => None,
        };
        for command in due {
            // What is due by itself has nobody to tell.
            let _ = apply(catalog, command, now);
        }
        for (command, answer) in batch.drain(..) {
            let result = match &refusal {
                Some(text) if catalog.state().weight(&command) == Weight::Full && !is_health(&command) => {
                    Err(Refusal::internal(text.clone()))
                }
                Some(_) | None => apply(catalog, command, now),
            };
            // Whoever asked may be gone; it was done all the same.
            let _ = answer.send(result);
        }
        tokio::task::yield_now().await;
    }
}

/// Writes down what is about to be applied; why its writes must be refused, if they must.
async fn write_down(
    catalog: &Catalog,
    journal: &mut Journal,
    due: &[Command],
    batch: &[Submission],
    now: Time,
    notice: Notice,
) -> Option<String> {
    let keep = || catalog.state().keep();
    if let Err(reason) = journal.compact(keep).await {
        notice(&reason);
    }
    let (commands, durable) = {
        let state = catalog.state();
        let asked = batch.iter().map(|(command, _)| (command, state.weight(command)));
        let asked: Vec<_> = asked.filter(|(_, weight)| *weight != Weight::None).collect();
        let durable = asked.iter().any(|(_, weight)| *weight == Weight::Full);
        let asked = asked.into_iter().map(|(command, _)| command);
        (due.iter().chain(asked).collect::<Vec<_>>(), durable)
    };
    if commands.is_empty() {
        return None;
    }
    let was_whole = journal.is_whole();
    let written = journal.write(&commands, now, durable, keep).await;
    if was_whole != written.is_ok() {
        match &written {
            Ok(()) => notice("the data directory can be written to again"),
            Err(reason) => notice(reason),
        }
    }
    written.err()
}

/// What goes on without a disk.
fn is_health(command: &Command) -> bool {
    matches!(command, Command::Beat { .. } | Command::Probed { .. })
}

fn apply(catalog: &Catalog, command: Command, now: Time) -> Result<Answer, Refused> {
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
