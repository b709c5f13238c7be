//! Processes as `/proc` shows them (proc(5)).

use std::path::Path;

use rustix::process::Pid;

/// A process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its pid.
    pub(crate) pid: u32,
    /// Its parent's pid.
    pub(crate) parent: u32,
    /// Its process group.
    pub(crate) group: u32,
    /// Its session.
    pub(crate) session: u32,
    /// `R`, `S`, `Z`...
    pub(crate) state: char,
    /// Its words, separated by spaces; empty for a zombie.
    pub(crate) command_line: String,
}

/// Children of a process, the oldest first.
pub(super) fn children(pid: u32) -> Vec<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// The name of a process's program.
pub(super) fn command_name(pid: u32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

/// All processes of a `/proc`.
pub(super) fn all(folder: &Path) -> Vec<Process> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| process(folder, entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn process(folder: &Path, pid: u32) -> Option<Process> {
    let folder = folder.join(pid.to_string());
    let stat = std::fs::read(folder.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat).into_owned();
    // The name may contain anything, also brackets and spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse().ok();
    let words = std::fs::read(folder.join("cmdline")).unwrap_or_default();
    let command_line = String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " ");
    Some(Process {
        pid,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        state: fields.first()?.chars().next()?,
        command_line,
    })
}
