//! Ends the operator if it hangs: a server whose operator cannot kill it any more would outlive its lease. It dies with the operator, which
//! the supervisor starts again.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use pilotfish_mysql::Handle;

/// How many looks fit into the time that the operator may hang. Only so many in a row are believed: after the whole machine stood still, one
/// look comes before the operator had its turn.
const LOOKS: u32 = 6;

/// What the watchdog has seen.
#[derive(Debug, Default)]
struct Watch {
    seen: u64,
    missed: u32,
}

impl Watch {
    /// Takes the operator's count of turns; whether it hangs.
    fn looks_at(&mut self, turns: u64) -> bool {
        self.missed = if turns == self.seen { self.missed + 1 } else { 0 };
        self.seen = turns;
        self.missed >= LOOKS
    }
}

/// What the operator tells its watchdog.
#[derive(Debug, Default)]
struct Told {
    turns: AtomicU64,
    /// There is a server: without one a hang does no harm, and may be the removal of a large directory.
    serving: AtomicBool,
}

/// Begins to watch the event loop that this is called in. The process has taken over its signals by then, so the thread gets none.
pub(super) fn begin(limit: Duration, handle: Handle) {
    let told = Arc::new(Told::default());
    let pause = limit / LOOKS;
    let tells = told.clone();
    tokio::spawn(async move {
        loop {
            let server = handle.report().server;
            tells.serving.store(server.is_some_and(|server| server.state == "running"), Ordering::Relaxed);
            tells.turns.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause / 2).await;
        }
    });
    std::thread::spawn(move || {
        let mut watch = Watch::default();
        loop {
            std::thread::sleep(pause);
            if watch.looks_at(told.turns.load(Ordering::Relaxed)) && told.serving.load(Ordering::Relaxed) {
                let text = format!(
                    "error: the operator has hung for {limit:?}; if no disk stands still, it is a mistake of ours: it ends, and the server with it"
                );
                let _ = writeln!(std::io::stderr(), "{text}");
                std::process::abort();
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hang_that_lasts_is_one() {
        let mut watch = Watch::default();
        let turns = [1, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5];
        assert!(turns.iter().all(|count| !watch.looks_at(*count)));
        let more: Vec<bool> = (0..LOOKS).map(|_| watch.looks_at(5)).collect();
        assert_eq!(more, [false, false, false, false, false, true]);
    }
}
