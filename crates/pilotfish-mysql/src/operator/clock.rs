//! The operator's clock: `CLOCK_BOOTTIME`, which nobody sets and which also counts while the machine sleeps (clock_gettime(2)).

use std::time::Duration;

use pilotfish_autopilot::Time;
use rustix::time::{ClockId, clock_gettime};

/// The time now.
pub(super) fn now() -> Time {
    let time = clock_gettime(ClockId::Boottime);
    Time::from_start(Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0)))
}

/// Seconds since the Unix epoch, for people only.
pub(super) fn wall() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// A random number for identities and jitter.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    // Each RandomState has keys of its own, seeded by the system.
    RandomState::new().hash_one(now().since_start())
}
