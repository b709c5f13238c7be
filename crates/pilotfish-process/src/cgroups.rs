//! A control group for each run that asks for one, where we are allowed to make some: then a kill is one write to the
//! kernel, which nothing in the group escapes or outgrows, and whose an orphan is can be read from its group.
//!
//! Only the unified hierarchy is used (cgroup v2, with `cgroup.kill`, Linux 5.14), and no controller is enabled, so limits and
//! accounts stay those of the group that we are in. Everything here may fail at any time: then the walk of `tree.rs`, which
//! follows every kill anyway because root may move itself to another group, does all of the work.

use crate::hierarchies::Hierarchies;
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How the names of our groups begin.
const PREFIX: &str = "pilotfish-";

/// So many groups that could not be removed are tried again; more than a few would mean that others put processes there.
const STALE_LIMIT: usize = 64;

/// Where groups for runs are made.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    /// Our own group; absent where groups cannot be made or used.
    own: Option<PathBuf>,
    /// What our own groups are called before the run's number.
    prefix: String,
    /// Groups that still had processes when their run was over.
    stale: Vec<Cgroup>,
}

/// The group of one run.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroups {
    /// Finds out whether our own group is ours to divide, and removes what an earlier supervisor left in it.
    ///
    /// The root of all groups has no `cgroup.kill`: it is nobody's to divide, and so left alone.
    pub(crate) fn new(hierarchies: &Hierarchies, nonce: u64) -> Self {
        let own = if hierarchies.is_closed() { None } else { hierarchies.own_directory() };
        let own = own.filter(|own| accessible(own, libc::W_OK) && accessible(&own.join("cgroup.kill"), libc::F_OK));
        if let Some(own) = &own {
            remove_left_overs(own);
        }
        Cgroups { own, prefix: format!("{PREFIX}{nonce:x}-"), stale: Vec::new() }
    }

    /// Makes the group of a run and opens it for a child to be started in; `None` where that is not possible.
    pub(crate) fn make(&self, run: u64) -> Option<(Cgroup, OwnedFd)> {
        let path = self.own.as_ref()?.join(format!("{}{run}", self.prefix));
        fs::create_dir(&path).ok()?;
        let cgroup = Cgroup { path };
        let flags = libc::O_PATH | libc::O_DIRECTORY;
        match OpenOptions::new().read(true).custom_flags(flags).open(&cgroup.path) {
            Ok(directory) => Some((cgroup, directory.into())),
            Err(_) => {
                cgroup.remove();
                None
            }
        }
    }

    /// No child could be started in a group: none is made any more.
    pub(crate) fn give_up(&mut self) {
        self.own = None;
    }

    /// The run whose group a process is in, by `/proc/PID/cgroup`.
    pub(crate) fn run_of(&self, pid: libc::pid_t) -> Option<u64> {
        self.own.as_ref()?;
        self.named_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
    }

    /// A job may have divided its group further, so the name may stand anywhere in the path.
    fn named_in(&self, groups: &str) -> Option<u64> {
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        path.split('/').find_map(|name| name.strip_prefix(&self.prefix)?.parse().ok())
    }

    /// Removes the group of a run that is over, and tries those again that were not empty before.
    pub(crate) fn remove(&mut self, cgroup: Cgroup) {
        self.stale.push(cgroup);
        self.stale.retain(|cgroup| !cgroup.remove());
        // The oldest are left to the next supervisor.
        let excess = self.stale.len().saturating_sub(STALE_LIMIT);
        self.stale.drain(..excess);
    }
}

impl Cgroup {
    /// Kills everything in the group and below it at once, also what is being forked.
    pub(crate) fn kill(&self) {
        // Failure means that the group is gone, and all others are found by the walk.
        let _ = OpenOptions::new()
            .write(true)
            .open(self.path.join("cgroup.kill"))
            .and_then(|mut file| io::Write::write_all(&mut file, b"1"));
    }

    /// Removes the group; whether it is gone.
    pub(crate) fn remove(&self) -> bool {
        match fs::remove_dir(&self.path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(_) => {
                // A job that divided its group has left us the parts; one with processes cannot be removed.
                let parts = fs::read_dir(&self.path).into_iter().flatten().flatten();
                let parts = parts.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                let removed = parts.map(|entry| Cgroup { path: entry.path() }.remove()).filter(|&gone| gone).count();
                removed > 0 && fs::remove_dir(&self.path).is_ok()
            }
        }
    }

    /// Whether a process is in the group or below it.
    fn populated(&self) -> bool {
        let events = fs::read_to_string(self.path.join("cgroup.events"));
        events.is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
    }
}

fn accessible(path: &Path, mode: libc::c_int) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path is a terminated string; nothing is written.
    unsafe { libc::access(path.as_ptr(), mode) == 0 }
}

fn remove_left_overs(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let left_over = Cgroup { path: entry.path() };
        // Another supervisor may work in the same group: what is in use, or below something in use, is left alone.
        if entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) && !left_over.populated() {
            left_over.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_from_groups() {
        let cgroups = Cgroups { prefix: format!("{PREFIX}ab-"), ..Cgroups::default() };
        assert_eq!(cgroups.named_in("3:cpu:/pilotfish-ab-1\n0::/x/pilotfish-ab-7\n"), Some(7));
        assert_eq!(cgroups.named_in("0::/pilotfish-ab-7/pilotfish-cd-9\n"), Some(7));
        assert_eq!(cgroups.named_in("0::/pilotfish-abc-7\n"), None);
        assert_eq!(cgroups.named_in("0::/pilotfish-ab-\n"), None);
        assert_eq!(cgroups.named_in(""), None);
    }
}
