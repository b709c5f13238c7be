//! Time as an argument: the core reads no clock, it is told.

use core::time::Duration;

/// A point on one member's own clock (`CLOCK_BOOTTIME`: it also counts while the machine sleeps), from an arbitrary start.
///
/// Clocks of two members are never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The start of the clock.
    pub const START: Time = Time(Duration::ZERO);

    /// The point that lies `elapsed` after the clock's start.
    pub const fn from_start(elapsed: Duration) -> Time {
        Time(elapsed)
    }

    /// How far this point lies from the clock's start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// This point moved by `by` into the future; far beyond any lifetime it stops at the largest value.
    #[must_use]
    pub const fn after(self, by: Duration) -> Time {
        Time(self.0.saturating_add(by))
    }

    /// The time from `earlier` to this point, zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
