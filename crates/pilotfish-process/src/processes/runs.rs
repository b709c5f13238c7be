//! Which runs there are: those of which a process may still be there.

use crate::cgroups::Cgroup;
use std::collections::BTreeMap;

/// A run whose processes are not all gone.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) pid: libc::pid_t,
    /// Its first process is not reaped: so the number is its own, and so is the group's.
    pub(super) led: bool,
    /// Everything of it is to be killed, also what is found later.
    pub(super) doomed: bool,
    pub(super) foreground: bool,
    /// The control group that it was started in.
    pub(super) cgroup: Option<Cgroup>,
}

/// The runs by number and by first process.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(super) by_id: BTreeMap<u64, Run>,
    pub(super) by_leader: BTreeMap<libc::pid_t, u64>,
}

impl Runs {
    /// The run whose first process this is, if it is not reaped yet.
    pub(crate) fn led_by(&self, pid: libc::pid_t) -> Option<u64> {
        self.by_leader.get(&pid).copied()
    }

    /// The first process of a run, if it is not reaped yet.
    pub(crate) fn leader(&self, run: u64) -> Option<libc::pid_t> {
        self.by_id.get(&run).filter(|run| run.led).map(|run| run.pid)
    }

    /// The run that was started with this number, also when that first process is gone. A group or a session keeps its
    /// number from being given away; where two runs had the same, the later one is the one that can still be meant.
    pub(crate) fn started_as(&self, pid: libc::pid_t) -> Option<u64> {
        self.led_by(pid).or_else(|| self.by_id.iter().rev().find(|(_, run)| run.pid == pid).map(|(&id, _)| id))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u64> {
        self.by_id.keys().copied()
    }

    pub(crate) fn is_doomed(&self, run: u64) -> bool {
        self.by_id.get(&run).is_some_and(|run| run.doomed)
    }

    pub(super) fn cgroups(&self) -> impl Iterator<Item = &Cgroup> {
        self.by_id.values().filter_map(|run| run.cgroup.as_ref())
    }

    /// Whether there is a run whose first process is reaped.
    pub(super) fn leaderless(&self) -> bool {
        self.by_id.len() > self.by_leader.len()
    }
}
