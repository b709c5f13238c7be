//! One execution of a process, from the request to spawn it until nothing of it is left.
//!
//! ```text
//! spawn -> running --exited, nobody left------------------> over
//!             |   \--exited, survivors--> vacating --------> over
//!             |--time-out: SIGKILL to the tree
//!             '--terminate: SIGTERM --grace--> SIGKILL to the tree --> over, or abandoned
//! ```

use core::time::Duration;

use crate::{
    event::{Effect, Exit, Label, Notice, RunId},
    output::Output,
    spec::Process,
    time::Time,
};

/// How long to wait for processes that were sent SIGKILL: only uninterruptible I/O makes them last (signal(7), proc(5) state D).
pub(crate) const KILL_LIMIT: Duration = Duration::from_secs(1);

const SIGTERM: i32 = 15;

/// A process that was asked for and has not ended yet.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) run: RunId,
    pub(crate) label: Label,
    pub(crate) started: Time,
    pub(crate) pid: Option<u32>,
    stop_signal: Option<i32>,
    limit: Option<Duration>,
    timed_out: bool,
    ending: Ending,
    exit: Option<Exit>,
}

/// How far the end of an execution has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nobody asked for it.
    NotAsked,
    /// SIGTERM was sent; SIGKILL follows then.
    Terminating { kill_at: Time },
    /// SIGKILL was sent; then nothing is waited for any more.
    Killed { abandon_at: Time },
}

impl Execution {
    pub(crate) fn spawn(out: &mut Output, label: Label, process: &Process, limit: Option<Duration>) -> Execution {
        let run = out.next_run();
        out.push(Effect::Spawn { run, label: label.clone(), process: process.clone() });
        Execution {
            run,
            label,
            started: out.now,
            pid: None,
            stop_signal: process.stop_signal,
            limit,
            timed_out: false,
            ending: Ending::NotAsked,
            exit: None,
        }
    }

    /// Asks the process to end, once; a grace of zero kills at once.
    pub(crate) fn terminate(&mut self, out: &mut Output, grace: Duration) {
        self.ask_to_end(out, None, grace);
    }

    /// The same with another signal than its own.
    pub(crate) fn ask_to_end(&mut self, out: &mut Output, signal: Option<i32>, grace: Duration) {
        if self.ending != Ending::NotAsked {
            return;
        }
        if grace.is_zero() {
            return self.kill(out);
        }
        out.push(Effect::Signal { run: self.run, signal: signal.or(self.stop_signal).unwrap_or(SIGTERM) });
        self.ending = Ending::Terminating { kill_at: out.now.after(grace) };
    }

    /// Kills everything that the process started, once.
    pub(crate) fn kill(&mut self, out: &mut Output) {
        if let Ending::NotAsked | Ending::Terminating { .. } = self.ending {
            out.push(Effect::KillTree { run: self.run });
            self.ending = Ending::Killed { abandon_at: out.now.after(KILL_LIMIT) };
        }
    }

    /// The leader has exited: how the execution ended, if nothing of it is left.
    ///
    /// After SIGTERM survivors keep their grace (a shell that wraps an application goes first); otherwise nothing that a job started outlives it.
    pub(crate) fn exited(&mut self, out: &mut Output, exit: Exit, survivors: bool) -> Option<Exit> {
        self.exit = Some(exit);
        if !survivors {
            return Some(exit);
        }
        if self.ending == Ending::NotAsked {
            out.notice(Notice::SurvivorsKilled { label: self.label.clone() });
            self.kill(out);
        }
        None
    }

    /// Nothing of it is left: how it ended, if its leader's exit is known.
    pub(crate) fn vacated(&self) -> Option<Exit> {
        self.exit
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.ending {
            Ending::NotAsked => self.limit.map(|limit| self.started.after(limit)),
            Ending::Terminating { kill_at } => Some(kill_at),
            Ending::Killed { abandon_at } => Some(abandon_at),
        }
    }

    /// Does what is due; says how the execution ended if it has to be given up.
    ///
    /// A leader that outlives SIGKILL is given up only when `abandon` allows it: otherwise a second instance could be started beside it.
    pub(crate) fn time_passed(&mut self, out: &mut Output, abandon: bool) -> Option<Exit> {
        if self.deadline().is_none_or(|deadline| deadline > out.now) {
            return None;
        }
        match self.ending {
            Ending::NotAsked => {
                self.timed_out = true;
                let limit = self.limit.unwrap_or_default();
                out.notice(Notice::TimedOut { label: self.label.clone(), limit });
                self.kill(out);
                None
            }
            Ending::Terminating { .. } => {
                out.notice(Notice::KilledAfterGrace { label: self.label.clone() });
                self.kill(out);
                None
            }
            Ending::Killed { .. } if abandon || self.exit.is_some() => {
                out.notice(Notice::Abandoned { label: self.label.clone() });
                Some(self.exit.unwrap_or(Exit::Signal(9)))
            }
            Ending::Killed { .. } => {
                self.ending = Ending::Killed { abandon_at: out.now.after(KILL_LIMIT) };
                None
            }
        }
    }

    /// Tells how it ended. A time-out is a failure even if the process managed to exit with 0.
    pub(crate) fn report(&self, out: &mut Output, exit: Exit) -> Exit {
        let exit = if self.timed_out && exit.is_success() { Exit::Signal(9) } else { exit };
        out.notice(Notice::Ended {
            label: self.label.clone(),
            pid: self.pid,
            exit,
            lasted: out.now.since(self.started),
        });
        exit
    }
}
