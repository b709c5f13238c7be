//! What happens by itself when its time comes: each becomes a command, so that a log has it as well.

use std::collections::BTreeSet;

use super::command::Command;
use super::types::Time;

/// Something that is due at some time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The heartbeat of a check.
    Beat(String),
    /// The renewal of a session.
    Session(String),
    /// The removal of the service of a check that stayed critical.
    Reap(String),
    /// Telling the catalog an output that changed alone.
    Output(String),
    /// Comparing the agent with the catalog.
    Agent,
}

impl Due {
    fn command(&self) -> Command {
        match self {
            Due::Beat(id) => Command::ExpireCheck { id: id.clone() },
            Due::Session(id) => Command::ExpireSession { id: id.clone() },
            Due::Reap(check) => Command::ReapService { check: check.clone() },
            Due::Output(id) => Command::SyncCheck { id: id.clone() },
            Due::Agent => Command::SyncAgent,
        }
    }
}

/// All deadlines.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(BTreeSet<(Time, Due)>);

impl Deadlines {
    /// Moves a deadline from where it was, if anywhere, to where it shall be, if anywhere.
    pub(crate) fn set(&mut self, due: Due, slot: &mut Option<Time>, at: Option<Time>) {
        if *slot == at {
            return;
        }
        let mut entry = (Time::ZERO, due);
        if let Some(before) = slot.take() {
            entry.0 = before;
            self.0.remove(&entry);
        }
        if let Some(at) = at {
            entry.0 = at;
            self.0.insert(entry);
        }
        *slot = at;
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }

    /// What is due by now, the earliest first.
    pub(crate) fn due(&self, now: Time) -> Vec<Command> {
        self.0.iter().take_while(|(at, _)| *at <= now).map(|(_, due)| due.command()).collect()
    }
}
