//! What this process itself costs, for its own metrics.

use std::time::Duration;

/// The cost of this process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Resident memory in bytes; 0 where `/proc` is not mounted.
    pub resident_bytes: u64,
    /// User and system time of all its threads since it started.
    pub cpu: Duration,
    /// Open descriptors; 0 where `/proc` is not mounted.
    pub descriptors: u64,
}

/// Measures this process.
pub fn figures() -> Figures {
    Figures { resident_bytes: resident_bytes().unwrap_or(0), cpu: cpu(), descriptors: descriptors() }
}

fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: `sysconf` only reads a constant of the system.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page_bytes).ok()?)
}

fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the one value that is written.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn descriptors() -> u64 {
    // The directory that is being read is itself one of the entries.
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| (entries.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    #[test]
    fn figures_are_plausible() {
        let figures = super::figures();
        assert!(figures.resident_bytes > 100_000);
        assert!(figures.descriptors >= 3);
        assert!(figures.cpu.as_secs() < 3600);
    }
}
