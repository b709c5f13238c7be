//! A process that reads a file is told that the file has changed.

use core::time::Duration;

use super::{Activity, Job};
use crate::{
    event::Effect,
    health::{Checking, FIRST_CHECKS},
    output::Output,
    template::Reaction,
    time::Time,
};

/// A signal that waits for its target to be ready: one that arrives before its handler is installed kills.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingSignal {
    signal: i32,
    /// Then it is sent all the same.
    at: Time,
}

impl Job {
    /// Does to the running process what the change of a file asks for. One that does not run will read the file when it starts.
    pub(crate) fn react(&mut self, out: &mut Output, reaction: Reaction, grace: Duration) {
        if self.ending.is_asked() {
            return;
        }
        let Activity::Running(execution) = &mut self.activity else { return };
        match reaction {
            Reaction::Restart { signal } => {
                execution.ask_to_end(out, signal, grace);
                self.restart_asked = true;
            }
            Reaction::Signal(signal) => {
                let ready_at = match &self.checking {
                    Some(checking) if checking.has_passed() => out.now,
                    Some(checking) => execution.started.after(patience(checking)),
                    // Nobody can say when it is ready.
                    None => execution.started.after(FIRST_CHECKS),
                };
                self.waiting_signal = Some(WaitingSignal { signal, at: ready_at });
                self.send_waiting_signal(out);
            }
        }
    }

    /// Sends a signal whose time has come.
    pub(super) fn send_waiting_signal(&mut self, out: &mut Output) {
        let Activity::Running(execution) = &self.activity else {
            self.waiting_signal = None;
            return;
        };
        let ready = self.checking.as_ref().is_some_and(Checking::has_passed);
        if let Some(waiting) = self.waiting_signal.filter(|waiting| ready || waiting.at <= out.now) {
            self.waiting_signal = None;
            out.push(Effect::Signal { run: execution.run, signal: waiting.signal });
        }
    }

    pub(super) fn waiting_signal_deadline(&self) -> Option<Time> {
        self.waiting_signal.map(|waiting| waiting.at)
    }
}

/// How long a process may need until its check passes: its grace, and a check that just misses it.
fn patience(checking: &Checking) -> Duration {
    let health = &checking.spec;
    health.grace.saturating_add(health.interval).saturating_add(health.timeout)
}
