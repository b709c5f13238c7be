//! The one map of processes and the one reaper.

mod runs;
mod spawning;
mod waiting;

use crate::cgroups::Cgroup;
use crate::child::Stack;
use crate::error::Error;
use crate::hierarchies::Hierarchies;
use crate::oom::{self, OomKills};
use crate::procfs;
use crate::signals::{self, Signals};
use crate::terminal::Terminal;
use crate::tree::Orphans;
pub(crate) use runs::Runs;
pub use spawning::Spawned;
use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::os::raw::c_int;
use std::time::{Duration, Instant};
use waiting::{Waited, wait_any};

/// So many ended processes are reaped before signals are looked at again.
const REAP_BATCH: usize = 4096;

/// [`Processes::kill_all`] gives up after this: a process in an uninterruptible wait ends when that wait does.
const KILL_ALL_LIMIT: Duration = Duration::from_secs(2);

/// How long [`Processes::kill_all`] waits for an exit before it looks again, in milliseconds.
const KILL_ALL_LOOK_MS: i32 = 20;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

impl Exit {
    /// As a shell tells it: the code, or 128 + the signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// What the system has told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// We received a signal, to act on or to forward. Never SIGCHLD.
    Signal(i32),
    /// The process that was started as this run has ended; told exactly once for each start.
    Exited {
        /// The number that the run was started under.
        run: u64,
        /// How it ended.
        status: Exit,
        /// The kernel killed it, or a process of our control group at that time, because memory ran out.
        oom: bool,
        /// Processes that it started are still there; [`Happening::Vacated`] will follow.
        survivors: bool,
    },
    /// The last process of a run that had survivors is gone.
    Vacated {
        /// The number that the run was started under.
        run: u64,
    },
}

/// All processes of the supervisor. There is one in a program, and nothing else in it may wait for children.
///
/// It stays on the thread that made it: the parent-death signal of a child tells of the end of a thread (prctl(2)).
#[derive(Debug)]
pub struct Processes {
    runs: Runs,
    orphans: Orphans,
    signals: Signals,
    happenings: VecDeque<Happening>,
    /// Runs whose first process was reaped, not told yet.
    exits: Vec<(u64, Exit)>,
    /// There may be ended children that are not reaped.
    unreaped: bool,
    oom_kills: OomKills,
    /// What our children's `oom_score_adj` must become again.
    oom_score: Option<CString>,
    reaped_orphans: u64,
    stack: Stack,
    null: File,
    terminal: Terminal,
    ignored: Vec<c_int>,
    pid: libc::pid_t,
}

impl Processes {
    /// Takes over signals and children of this process.
    ///
    /// To be called once, within the tokio runtime and before any other thread exists: signals are blocked in the calling
    /// thread and in those that it starts later. Lowers the chance that the kernel picks us when memory runs out.
    ///
    /// # Errors
    /// [`Error::Setup`] when the descriptor for signals, the children's stack or `/dev/null` cannot be had.
    pub fn new() -> Result<Self, Error> {
        let signals = Signals::new()?;
        let pid = procfs::own_pid();
        if pid != 1 {
            // SAFETY: sets a flag of this process. Without it (before Linux 3.4) escaped processes are not found.
            unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1 as libc::c_ulong, 0, 0, 0) };
        }
        let hierarchies = Hierarchies::read();
        let null = File::options().read(true).write(true).open("/dev/null");
        Ok(Processes {
            runs: Runs::default(),
            orphans: Orphans::new(&hierarchies),
            signals,
            happenings: VecDeque::new(),
            exits: Vec::new(),
            // A program that became us by exec may have left children, whose SIGCHLD is gone.
            unreaped: true,
            oom_kills: OomKills::new(hierarchies),
            oom_score: oom::protect_ourselves().and_then(|score| CString::new(score.to_string()).ok()),
            reaped_orphans: 0,
            stack: Stack::new()?,
            null: null.map_err(|source| Error::Setup { doing: "open /dev/null", source })?,
            terminal: Terminal::of_stdin(),
            ignored: signals::ignored(),
            pid,
        })
    }

    /// How many processes were reaped that were no run's first process.
    pub fn reaped_orphans(&self) -> u64 {
        self.reaped_orphans
    }

    /// The next thing that happened. Cancel-safe: what is not returned is still there for the next call.
    pub async fn next(&mut self) -> Happening {
        self.oom_kills.seek();
        loop {
            if let Some(happening) = self.happenings.pop_front() {
                return happening;
            }
            // Not before all are told: the kernel remembers a signal once, but here a storm of them would pile up.
            self.take_signals();
            if self.unreaped {
                self.reap();
                if self.unreaped {
                    // Endless orphans must not keep the loop from its other inputs.
                    tokio::task::yield_now().await;
                }
            } else if self.happenings.is_empty() {
                let Processes { signals, happenings, unreaped, .. } = self;
                signals.wait(|signal| take(signal, happenings, unreaped)).await;
            }
        }
    }

    /// Sends a signal to the group of a run, or to what is left of it; does nothing when nothing is left.
    pub fn signal(&mut self, run: u64, signal: i32) {
        match self.runs.leader(run) {
            // SAFETY: no memory is involved. The leader is not reaped, so the number is that of its group and no other.
            Some(leader) => unsafe {
                if libc::kill(-leader, signal) < 0 {
                    libc::kill(leader, signal);
                }
            },
            None => self.orphans.signal(&self.runs, run, signal),
        }
    }

    /// Kills everything that a run started, wherever it went, and what of it comes to light later.
    pub fn kill_tree(&mut self, run: u64) {
        if let Some(entry) = self.runs.by_id.get_mut(&run) {
            entry.doomed = true;
            if let Some(cgroup) = &entry.cgroup {
                cgroup.kill();
            }
            self.orphans.kill(&self.runs, run);
        }
    }

    /// Kills every descendant of this process and waits for their ends, which are not told any more.
    ///
    /// For the very end of the supervisor. Blocks the calling thread, for 2 seconds at most.
    pub fn kill_all(&mut self) {
        let end = Instant::now() + KILL_ALL_LIMIT;
        loop {
            let left = loop {
                match wait_any() {
                    Waited::Ended(..) | Waited::Stopped(..) => {}
                    Waited::Nothing => break true,
                    Waited::Childless => break false,
                }
            };
            if !left || Instant::now() >= end {
                break;
            }
            self.runs.cgroups().for_each(Cgroup::kill);
            self.orphans.kill_everything();
            self.signals.poll(|_| {});
            self.signals.block(KILL_ALL_LOOK_MS);
        }
        for run in self.runs.ids().collect::<Vec<_>>() {
            self.over(run);
        }
        self.runs = Runs::default();
        self.terminal.give_to(None);
    }

    fn take_signals(&mut self) {
        let Processes { signals, happenings, unreaped, .. } = self;
        signals.take_known(|signal| take(signal, happenings, unreaped));
    }

    fn reap(&mut self) {
        self.unreaped = true;
        for _ in 0..REAP_BATCH {
            match wait_any() {
                Waited::Ended(pid, status) => {
                    self.orphans.forget(pid);
                    match self.runs.by_leader.remove(&pid) {
                        Some(run) => self.exits.push((run, status)),
                        None => self.reaped_orphans += 1,
                    }
                }
                Waited::Stopped(pid) => self.stopped(pid),
                Waited::Nothing | Waited::Childless => {
                    self.unreaped = false;
                    break;
                }
            }
        }
        if self.unreaped {
            // Who survives is told when all that have ended are reaped: to look at each of them would be too slow.
            return;
        }
        let exits = std::mem::take(&mut self.exits);
        for (run, _) in &exits {
            if let Some(run) = self.runs.by_id.get_mut(run) {
                run.led = false;
                if run.foreground {
                    self.terminal.give_to(None);
                }
            }
        }
        if self.runs.leaderless() {
            self.orphans.look(&self.runs);
            self.tell_vacated(&exits);
            self.tell_exits(&exits);
        }
        self.kill_doomed();
    }

    fn tell_exits(&mut self, exits: &[(u64, Exit)]) {
        for &(run, status) in exits {
            let doomed = self.runs.is_doomed(run);
            // A shell tells with its own exit code that the kernel has killed its child.
            let oom = !doomed && status.code() == 128 + libc::SIGKILL && self.oom_kills.take();
            let survivors = self.orphans.any_of(run);
            self.happenings.push_back(Happening::Exited { run, status, oom, survivors });
            if !survivors {
                self.over(run);
            }
        }
    }

    /// The last process of a run is gone.
    fn over(&mut self, run: u64) {
        let run = self.runs.by_id.remove(&run);
        if let Some(cgroup) = run.and_then(|run| run.cgroup) {
            self.orphans.cgroups.remove(cgroup);
        }
    }

    /// Tells which runs have lost their last process, those aside whose exit is still to be told.
    fn tell_vacated(&mut self, exits: &[(u64, Exit)]) {
        let untold = |id: u64| exits.iter().any(|&(run, _)| run == id);
        let leaderless = self.runs.by_id.iter().filter(|(_, run)| !run.led).map(|(&id, _)| id);
        let vacated: Vec<u64> = leaderless.filter(|&id| !untold(id) && !self.orphans.any_of(id)).collect();
        for run in vacated {
            self.over(run);
            self.happenings.push_back(Happening::Vacated { run });
        }
    }

    fn kill_doomed(&mut self) {
        let doomed: Vec<u64> = self.runs.by_id.iter().filter(|(_, run)| run.doomed).map(|(&id, _)| id).collect();
        for run in doomed {
            self.orphans.kill(&self.runs, run);
        }
    }

    /// Ctrl-Z in the main application. A shell that started us waits for us, so we stop too and hand the terminal over;
    /// as PID 1 there is nobody who could continue it.
    fn stopped(&mut self, pid: libc::pid_t) {
        let foreground = self.runs.led_by(pid).is_some_and(|run| self.runs.by_id[&run].foreground);
        let Terminal::Ours { foreground: true } = self.terminal else { return };
        if !foreground {
            return;
        }
        // SAFETY: no memory is involved; the process is our unreaped child.
        unsafe {
            if self.pid != 1 {
                self.terminal.give_to(None);
                libc::raise(libc::SIGSTOP);
                if libc::tcgetpgrp(0) == libc::getpgrp() {
                    self.terminal.give_to(Some(pid));
                }
            }
            libc::kill(-pid, libc::SIGCONT);
        }
    }
}

/// A signal that is not told yet is not queued once more, as the kernel has it, so that no storm of them grows the queue.
fn take(signal: i32, happenings: &mut VecDeque<Happening>, unreaped: &mut bool) {
    if signal == libc::SIGCHLD {
        *unreaped = true;
    } else if !happenings.contains(&Happening::Signal(signal)) {
        happenings.push_back(Happening::Signal(signal));
    }
}
