//! What `/proc` says of a process. Source: proc(5); `schedstat` is from the kernel's Documentation/scheduler/sched-stats.rst.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::Pid;

/// A look at a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Time on a processor since it started, in ms.
    pub(crate) cpu: f64,
    /// Resident memory, in MB (10^6 bytes).
    pub(crate) rss: f64,
    /// Of these, what is its own and not a page of the file of its program, in MB.
    pub(crate) anonymous: f64,
    pub(crate) threads: f64,
    /// How often it was woken: it had given up the processor by itself so many times.
    pub(crate) wakeups: f64,
    pub(crate) descriptors: f64,
}

impl Look {
    pub(crate) fn at(pid: Pid) -> Result<Self> {
        let pid = pid.as_raw_nonzero();
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).context("the process is gone");
        let status = read("status")?;
        let schedstat = read("schedstat")?;
        let nanoseconds = schedstat.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).context("the process is gone")?.count();
        let kib = 1024.0 / 1e6;
        Ok(Self {
            cpu: nanoseconds.context("this kernel keeps no schedstat")? / 1e6,
            rss: field(&status, "VmRSS:")? * kib,
            anonymous: field(&status, "RssAnon:")? * kib,
            threads: field(&status, "Threads:")?,
            wakeups: field(&status, "voluntary_ctxt_switches:")?,
            descriptors: u32::try_from(descriptors)?.into(),
        })
    }
}

fn field(status: &str, name: &str) -> Result<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.with_context(|| format!("/proc/PID/status has no {name}"))
}

/// Children of a process that have ended and were not reaped; and those that have not.
pub(crate) fn children(parent: Pid) -> Result<(usize, usize)> {
    let (mut zombies, mut living) = (0, 0);
    for entry in fs::read_dir("/proc").context("cannot list /proc")?.flatten() {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        // A process may end between the list and the look.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let (state, its_parent) = (fields.next(), fields.next().and_then(|word| word.parse().ok()));
        if is_process && its_parent == Some(parent.as_raw_nonzero().get()) {
            if state == Some("Z") { zombies += 1 } else { living += 1 }
        }
    }
    Ok((zombies, living))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        let look = Look::at(rustix::process::getpid()).expect("it is there");
        assert!(
            look.rss > 0.1 && look.threads >= 1.0 && look.descriptors >= 3.0 && look.anonymous <= look.rss,
            "{look:?}"
        );
    }
}
