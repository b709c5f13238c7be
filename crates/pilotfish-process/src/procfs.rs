//! The few facts about other processes that only `/proc` knows. Where it is not mounted, everything is simply not found.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

/// What `/proc/PID/stat` says of a process, as far as we ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// It has ended and only waits to be reaped.
    pub(crate) ended: bool,
    pub(crate) parent: libc::pid_t,
    pub(crate) group: libc::pid_t,
    pub(crate) session: libc::pid_t,
}

/// Our own number, in the type that system calls use.
pub(crate) fn own_pid() -> libc::pid_t {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::getpid() }
}

pub(crate) fn stat(pid: libc::pid_t) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The name, in parentheses, may hold anything; so the fields are counted from its end. Source: proc(5).
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let mut fields = std::str::from_utf8(text.get(name_end + 2..)?).ok()?.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let threads: i32 = fields.nth(13)?.parse().ok()?;
    // The first thread may end before the others: then it looks like a zombie, but the process lives.
    let ended = matches!(state, "Z" | "X" | "x") && threads <= 1;
    Some(Stat { ended, parent, group, session })
}

/// The soft limit that carries the mark (see `tree.rs`). The file is readable whoever the process runs as.
pub(crate) fn mark(pid: libc::pid_t) -> Option<u64> {
    parse_mark(&std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

fn parse_mark(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("Max realtime timeout")?.split_whitespace().next()?.parse().ok())
}

/// The children of any process, of all its threads.
pub(crate) fn children(pid: libc::pid_t) -> Vec<libc::pid_t> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut text = String::new();
    for thread in threads.flatten() {
        if let Ok(mut file) = File::open(thread.path().join("children")) {
            // A thread that ends meanwhile has handed its children to another one, which a later look finds.
            let _ = file.read_to_string(&mut text);
        }
    }
    parse_pids(&text)
}

fn parse_pids(text: &str) -> Vec<libc::pid_t> {
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Our own direct children, from a file that stays open: one read, unless there are very many.
#[derive(Debug)]
pub(crate) struct OwnChildren {
    /// Absent where the kernel was built without it (CONFIG_PROC_CHILDREN): then all of `/proc` is searched.
    list: Option<File>,
    buffer: Vec<u8>,
}

impl OwnChildren {
    pub(crate) fn new() -> Self {
        // Orphans come to the first thread of a process, whose number is the process's own.
        let pid = own_pid();
        OwnChildren { list: File::open(format!("/proc/self/task/{pid}/children")).ok(), buffer: vec![0; 1024] }
    }

    pub(crate) fn list(&mut self) -> Vec<libc::pid_t> {
        let Some(list) = &self.list else { return search(own_pid()) };
        let mut length = 0;
        loop {
            match list.read_at(&mut self.buffer[length..], length as u64) {
                Ok(0) | Err(_) => break,
                Ok(count) => length += count,
            }
            if length == self.buffer.len() {
                self.buffer.resize(2 * length, 0);
            }
        }
        parse_pids(&String::from_utf8_lossy(&self.buffer[..length]))
    }
}

fn search(parent: libc::pid_t) -> Vec<libc::pid_t> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| stat(pid).is_some_and(|stat| stat.parent == parent)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let rest = "0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 55";
        let expect = |ended| Some(Stat { ended, parent: 7, group: 8, session: 9 });
        assert_eq!(parse_stat(format!("5 (sh) S 7 8 9 {rest}").as_bytes()), expect(false));
        assert_eq!(parse_stat(format!("5 (a) Z 1 (\n) Z 7 8 9 {rest}").as_bytes()), expect(true));
        assert_eq!(parse_stat(b"5 (sh) S 7"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn limits() {
        let text = "Limit Soft Hard Units\nMax realtime timeout      4611686018427387904  unlimited  us\n";
        assert_eq!(parse_mark(text), Some(1 << 62));
        assert_eq!(parse_mark("Max realtime timeout      unlimited  unlimited  us\n"), None);
    }
}
