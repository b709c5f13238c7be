//! Patience with failures: a token bucket for each class, so that a flapping server cannot wear out a cluster, and a second, different failure
//! is handled at once. A bucket refills by itself: it never disarms, and nobody needs to acknowledge anything.

use core::fmt;
use core::time::Duration;

use crate::time::Time;

/// What a class of failures costs patience with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// The server exited and is started again.
    ServerExit,
    /// The server did not answer and was killed.
    ServerHang,
    /// The data is of no use and is built again.
    Rebuild,
    /// The lease is taken from another.
    TakeOver,
    /// The role is handed over on purpose.
    Switchover,
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureClass::ServerExit => "the server was started",
            FailureClass::ServerHang => "the server was killed because it did not answer",
            FailureClass::Rebuild => "the data was copied anew",
            FailureClass::TakeOver => "the lease was taken",
            FailureClass::Switchover => "the server was closed to hand over",
        })
    }
}

/// How many of a class may happen at once.
pub const BURST: u32 = 4;
/// After how long one more may happen.
pub const REFILL: Duration = Duration::from_secs(10);

/// The buckets of one supervisor. They start full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget([Bucket; 5]);

/// A bucket as the time at which it will be full again; so an untouched one needs no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    full: Time,
}

impl Budget {
    /// Whether one more failure of the class is handled now; otherwise from when on.
    pub fn check(&self, class: FailureClass, now: Time) -> Result<(), Time> {
        let full = self.0[class as usize].full;
        let missing = full.since(now);
        let limit = REFILL * (BURST - 1);
        if missing <= limit { Ok(()) } else { Err(now.after(missing - limit)) }
    }

    /// One of the class is handled now.
    pub fn spend(&mut self, class: FailureClass, now: Time) {
        let bucket = &mut self.0[class as usize];
        bucket.full = bucket.full.max(now).after(REFILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_one_for_each_refill() {
        let mut budget = Budget::default();
        let now = Time::from_start(Duration::from_secs(100));
        for _ in 0..BURST {
            assert_eq!(budget.check(FailureClass::ServerExit, now), Ok(()));
            budget.spend(FailureClass::ServerExit, now);
        }
        let later = now.after(REFILL);
        assert_eq!(budget.check(FailureClass::ServerExit, now), Err(later));
        assert_eq!(budget.check(FailureClass::ServerExit, later), Ok(()));
    }

    #[test]
    fn e7_another_class_is_not_affected() {
        let mut budget = Budget::default();
        for _ in 0..2 * BURST {
            budget.spend(FailureClass::Rebuild, Time::START);
        }
        assert!(budget.check(FailureClass::Rebuild, Time::START).is_err());
        assert_eq!(budget.check(FailureClass::TakeOver, Time::START), Ok(()));
    }
}
