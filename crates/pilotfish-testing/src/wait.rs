//! Waiting for a condition, generously: a test fails on what is wrong, not on what is slow.

use std::time::{Duration, Instant};

/// Longest time that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(10);

/// Looks until `condition` gives a value.
///
/// # Panics
/// When it gives none within [`PATIENCE`]; `what` then says what was waited for.
#[track_caller]
pub fn wait_until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, condition)
}

/// The same for what takes longer than anything else.
#[track_caller]
pub(crate) fn wait_within<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain for {what}");
        std::thread::sleep(INTERVAL);
    }
}
