//! The network: links that can be cut in one direction, and be slow.

use std::collections::BTreeMap;

/// The catalog as an end of links.
pub(crate) const CATALOG: usize = 100;
/// How long a message takes over a slow network at most, in µs.
pub(crate) const SLOWEST: u64 = 600_000;

/// Which links are cut until when, in µs.
#[derive(Debug, Default)]
pub(crate) struct Network {
    cut: BTreeMap<(usize, usize), u64>,
    /// Everything is slow until then, in µs.
    pub slow_until: u64,
}

impl Network {
    /// Cuts what goes from one end to another.
    pub(crate) fn cut(&mut self, from: usize, to: usize, until: u64) {
        let end = self.cut.entry((from, to)).or_default();
        *end = until.max(*end);
    }

    /// Whether something sent now arrives.
    pub(crate) fn carries(&self, from: usize, to: usize, now: u64) -> bool {
        self.cut.is_empty() || self.cut.get(&(from, to)).is_none_or(|until| *until <= now)
    }

    /// Whether a connection can be made.
    pub(crate) fn connects(&self, a: usize, b: usize, now: u64) -> bool {
        self.carries(a, b, now) && self.carries(b, a, now)
    }

    /// Everything works again.
    pub(crate) fn heal(&mut self, now: u64) {
        self.cut.clear();
        self.slow_until = self.slow_until.min(now);
    }
}
