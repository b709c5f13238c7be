//! The model of acknowledgements that are lost, and of what helps commits on that wait for one.
//!
//! A replica acknowledges what it receives on a connection: what it had before, or what was acknowledged when nobody heard it, is acknowledged only
//! with the next commit. While two groups of commits wait, MariaDB lets no third into its binary log: the model takes any that wait for such groups.

use pilotfish_autopilot::{Flavour, GtidSet};

use crate::world::{Event, Index, Process, World};

/// Time between two looks whether the binary log is free, in µs.
const JAM_LOOK: u64 = 10_000;

impl World {
    /// An acknowledgement that commits of this server wait for will never come.
    pub(crate) fn ack_lost(&mut self, source: Index) {
        let server = &mut self.members[source].server;
        server.jammed |= self.flavour == Flavour::MariaDb && !server.waiting.is_empty();
    }

    /// A transaction that says nothing, by an account that `read_only` does not bind. It gets its turn when the binary log is free.
    pub(crate) fn beat(&mut self, m: Index, run: u64, server_run: u64) {
        let server = &self.members[m].server;
        if server.run != server_run || server.process != Process::Up {
            return self.after(300, Event::BeatOver(m, run));
        }
        if server.paused_until > self.now {
            let resumes = server.paused_until;
            return self.at(resumes + 100, Event::Beat(m, run, server_run));
        }
        if server.jammed {
            return self.after(JAM_LOOK, Event::Beat(m, run, server_run));
        }
        self.write(m, Some(run));
    }

    /// Statements of MariaDB that wait are ended: the worst of clients takes that for an OK.
    pub(crate) fn release(&mut self, m: Index, run: u64, server_run: u64, held: Box<GtidSet>) {
        let server = &self.members[m].server;
        if server.run == server_run && server.process == Process::Up {
            if server.paused_until > self.now {
                let resumes = server.paused_until;
                return self.at(resumes + 100, Event::Release(m, run, server_run, held));
            }
            match self.flavour {
                Flavour::MySql => self.write(m, None),
                Flavour::MariaDb => {
                    let held = self.members[m].disk.database.as_ref().is_some_and(|it| held.contains(&it.executed));
                    self.commit_while(m, |_| held);
                }
            }
        }
        self.after(300, Event::ReleaseOver(m, run));
    }
}
