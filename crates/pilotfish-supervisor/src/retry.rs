//! When a failed request to the catalog is repeated.

use core::time::Duration;

use crate::{output::Output, time::Time};

/// First wait after a failed request.
const RETRY_FIRST: Duration = Duration::from_millis(100);

/// Longest wait when nobody listens: asking again costs next to nothing, and a catalog that returns is noticed within a second.
pub(crate) const RETRY_MAX_REFUSED: Duration = Duration::from_millis(700);

/// Longest wait when the catalog suffers, so that it is not made worse.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(5);

/// How often a request has failed, and when it is repeated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retry {
    pub(crate) failures: u32,
    pub(crate) at: Option<Time>,
}

impl Retry {
    pub(crate) fn is_waiting(&self, now: Time) -> bool {
        self.at.is_some_and(|at| at > now)
    }

    /// Doubling up to `max`, and of that a random part between a half and the whole: many supervisors must not return in step.
    pub(crate) fn next(&self, out: &mut Output, max: Duration) -> Time {
        let doublings = self.failures.saturating_sub(1).min(16);
        let whole = RETRY_FIRST.saturating_mul(1 << doublings).min(max);
        let permille = 500 + (out.random() % 501) as u32;
        out.now.after(whole * permille / 1000)
    }
}
