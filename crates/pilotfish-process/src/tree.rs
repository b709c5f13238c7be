//! Whose is an orphan? What a job started must be found again after it left the job's group, session and ancestry.
//!
//! Every run's processes carry a mark that is inherited over `fork` and `execve`, whatever becomes of the environment, the
//! session or the user: the soft limit `RLIMIT_RTTIME`. It bounds the CPU time of real-time processes only, in
//! microseconds; the marks lie above 2^62 of those, 146,000 years, so nothing ever runs into it. Any process may read it.
//!
//! An escaped process becomes a child of ours when its parent ends (we are PID 1 or a subreaper), and then stays one
//! until we reap it: its number cannot be given to another process meanwhile.

use crate::cgroups::Cgroups;
use crate::hierarchies::Hierarchies;
use crate::processes::Runs;
use crate::procfs::{self, OwnChildren};
use std::collections::{BTreeMap, BTreeSet};

/// Every mark has this bit; its value as a limit is beyond reach.
const MARK_BIT: u64 = 1 << 62;

/// A mark ends with so many bits of the run's number.
const RUN_BITS: u32 = 32;

/// Our children are listed so often in one look at the most; more than once is rare, more than this would be hostile.
const LISTS: usize = 1000;

/// How the runs of this supervisor are told from those of another one, nested or around us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    nonce: u64,
}

impl Marks {
    pub(crate) fn new() -> Self {
        let mut random = [0; 8];
        // Without random numbers all supervisors share one nonce, which matters to nested ones only.
        // SAFETY: the pointer and the length are those of `random`.
        unsafe { libc::getrandom(random.as_mut_ptr().cast(), random.len(), libc::GRND_NONBLOCK) };
        Marks { nonce: (u64::from_ne_bytes(random) & (MARK_BIT - 1)) >> RUN_BITS }
    }

    pub(crate) fn of(self, run: u64) -> u64 {
        MARK_BIT | self.nonce << RUN_BITS | low_bits(run)
    }
}

fn low_bits(run: u64) -> u64 {
    run & ((1 << RUN_BITS) - 1)
}

/// Our direct children that are no run's first process, each with the run that it belongs to.
#[derive(Debug)]
pub(crate) struct Orphans {
    children: OwnChildren,
    owners: BTreeMap<libc::pid_t, Option<u64>>,
    /// Our children that were killed with all that they had started, and are not reaped yet.
    killed: BTreeSet<libc::pid_t>,
    pub(crate) marks: Marks,
    pub(crate) cgroups: Cgroups,
}

impl Orphans {
    pub(crate) fn new(hierarchies: &Hierarchies) -> Self {
        let marks = Marks::new();
        Orphans {
            children: OwnChildren::new(),
            owners: BTreeMap::new(),
            killed: BTreeSet::new(),
            marks,
            cgroups: Cgroups::new(hierarchies, marks.nonce),
        }
    }

    /// Looks for orphans that are not known yet.
    ///
    /// A process that ended between the list and the look at it has left its children to us first, so only a list that is
    /// read afterwards is sure to name them: it is read again until nothing on it has newly ended.
    pub(crate) fn look(&mut self, runs: &Runs) {
        let mut ended = BTreeSet::new();
        for _ in 0..LISTS {
            let known = ended.len();
            for pid in self.children.list() {
                if runs.led_by(pid).is_some() || self.owners.contains_key(&pid) || ended.contains(&pid) {
                    continue;
                }
                // The mark first: a process that has not ended after this had one that could be read.
                let mark = procfs::mark(pid);
                match procfs::stat(pid).filter(|stat| !stat.ended) {
                    Some(stat) => {
                        let owner = self.owner(pid, mark, stat, runs);
                        self.owners.insert(pid, owner);
                        if owner.is_some_and(|run| runs.is_doomed(run)) {
                            freeze(pid);
                        }
                    }
                    None => {
                        ended.insert(pid);
                    }
                }
            }
            if ended.len() == known {
                return;
            }
        }
    }

    fn owner(&self, pid: libc::pid_t, mark: Option<u64>, stat: procfs::Stat, runs: &Runs) -> Option<u64> {
        let marked = runs.ids().find(|&run| mark == Some(self.marks.of(run)));
        let related = || runs.started_as(stat.group).or_else(|| runs.started_as(stat.session));
        // Last, because it costs another read: a process can lose all of the above, but it needs root to leave its group.
        let grouped = || self.cgroups.run_of(pid).filter(|&run| runs.ids().any(|known| known == run));
        marked.or_else(related).or_else(grouped)
    }

    /// The process was reaped; its number may be another's from now on.
    pub(crate) fn forget(&mut self, pid: libc::pid_t) {
        self.owners.remove(&pid);
        self.killed.remove(&pid);
    }

    pub(crate) fn any_of(&self, run: u64) -> bool {
        self.owners.values().any(|&owner| owner == Some(run))
    }

    /// The known orphans of one run.
    fn of(&self, run: u64) -> Vec<libc::pid_t> {
        self.owners.iter().filter(|&(_, &owner)| owner == Some(run)).map(|(&pid, _)| pid).collect()
    }

    /// Sends a signal to every process of a run that has left its group, or whose group has lost its leader.
    pub(crate) fn signal(&mut self, runs: &Runs, run: u64, signal: i32) {
        self.look(runs);
        visit(self.of(run), signal);
    }

    /// Kills every process of a run that can be found now; to be repeated whenever a child of ours was reaped.
    ///
    /// One look may miss a process: its parent may have started it, or ended and left it to us, in that moment. But that
    /// parent is killed or gone, and so are all between it and us; the last of those ends is told to us, and then the
    /// process is our own child. So repetition finds everything, and each look is as cheap as what is left.
    pub(crate) fn kill(&mut self, runs: &Runs, run: u64) {
        self.look(runs);
        let mut roots = self.of(run);
        roots.extend(runs.leader(run));
        roots.retain(|&pid| self.killed.insert(pid));
        visit(roots, libc::SIGKILL);
    }

    /// Kills every descendant of ours that there is now.
    pub(crate) fn kill_everything(&mut self) {
        visit(self.children.list(), libc::SIGKILL);
    }
}

/// Stops a child of ours until it is killed: so a bomb cannot grow faster than we find its parts.
fn freeze(pid: libc::pid_t) {
    // SAFETY: no memory is involved. The process is our unreaped child, so its number is its own.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
}

/// Signals these children of ours and all their descendants.
///
/// A process is signalled only after its children were listed: what it starts in between still carries its mark.
fn visit(roots: Vec<libc::pid_t>, signal: i32) {
    let mut met = BTreeSet::new();
    let ours = procfs::own_pid();
    let mut open: Vec<(libc::pid_t, libc::pid_t)> = roots.into_iter().map(|pid| (pid, ours)).collect();
    while let Some((pid, parent)) = open.pop() {
        open.extend(procfs::children(pid).into_iter().map(|child| (child, pid)));
        if met.insert(pid) {
            send(pid, parent, signal);
        }
    }
}

/// Signals one process if it still is the child of `parent`, or has become ours.
///
/// The number of somebody else's child may be given to a new process at any moment, so a descriptor pins the process
/// first (pidfd_open(2)), and only then its parent is compared. Our own children need no pin: only we reap them.
fn send(pid: libc::pid_t, parent: libc::pid_t, signal: i32) {
    let ours = procfs::own_pid();
    if parent == ours {
        let leads_group = procfs::stat(pid).is_some_and(|stat| stat.group == pid);
        // SAFETY: no memory is involved. The process is our unreaped child, so its number and its group's are its own.
        unsafe {
            if leads_group {
                libc::kill(-pid, signal);
            }
            libc::kill(pid, signal);
        }
        return;
    }
    // SAFETY: no memory is involved.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if let Some(stat) = procfs::stat(pid).filter(|stat| stat.parent == parent || stat.parent == ours) {
        // SAFETY: no memory is involved but the absent siginfo, for which null is allowed.
        unsafe {
            if stat.group == pid {
                libc::kill(-pid, signal);
            }
            if descriptor < 0 {
                // Before Linux 5.3, or where a sandbox forbids it.
                libc::kill(pid, signal);
            } else {
                let information = std::ptr::null::<libc::siginfo_t>();
                libc::syscall(libc::SYS_pidfd_send_signal, descriptor, signal, information, 0);
            }
        }
    }
    close(descriptor);
}

fn close(descriptor: libc::c_long) {
    if descriptor >= 0 {
        // SAFETY: the descriptor was opened by the caller for itself alone.
        unsafe { libc::syscall(libc::SYS_close, descriptor) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_by_run_and_are_no_reachable_limit() {
        let marks = Marks::new();
        assert_ne!(marks.of(1), marks.of(2));
        for run in [0, 1, u64::from(u32::MAX), u64::MAX] {
            assert!((MARK_BIT..MARK_BIT << 1).contains(&marks.of(run)));
        }
    }
}
