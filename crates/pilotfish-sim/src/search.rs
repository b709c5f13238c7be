//! Trying many seeds, on as many threads as there are processors, until one fails or the time is up.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::flaw::Flaw;
use crate::run::{Schedule, Violation};

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// How many schedules were run to their end.
    pub schedules: u64,
    /// How many writes were acknowledged in them.
    pub acknowledged: u64,
    /// The first failure that was met, made small.
    pub failure: Option<Failure>,
}

/// A schedule that failed, and how to see it again.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What went wrong.
    pub violation: Violation,
    /// The smallest schedule with which something goes wrong.
    pub smallest: Schedule,
    /// The end of its story.
    pub story: Vec<String>,
}

/// How many lines of a story are shown.
const STORY: usize = 60;

/// Runs the seeds until one fails or it is `until`.
pub fn search(seeds: Range<u64>, flaw: Flaw, until: Instant) -> Found {
    let (next, acknowledged, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0), AtomicU64::new(0));
    let failed: Mutex<Option<(u64, Violation)>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || Instant::now() >= until {
                        return;
                    }
                    let outcome = Schedule::draw(seed).run(flaw, false);
                    acknowledged.fetch_add(outcome.acknowledged, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                    if let Some(violation) = outcome.violation {
                        next.store(seeds.end, Ordering::Relaxed);
                        failed
                            .lock()
                            .expect("no thread panics while it holds the lock")
                            .get_or_insert((seed, violation));
                        return;
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no thread panics while it holds the lock");
    Found {
        schedules: done.into_inner(),
        acknowledged: acknowledged.into_inner(),
        failure: failed.map(|(seed, violation)| explain(seed, violation, flaw)),
    }
}

fn explain(seed: u64, violation: Violation, flaw: Flaw) -> Failure {
    let smallest = Schedule::draw(seed).shrink(flaw);
    let mut story = smallest.run(flaw, true).narrative;
    story.drain(..story.len().saturating_sub(STORY));
    Failure { seed, violation, smallest, story }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}: {}", self.seed, self.violation.invariant, self.violation.text)?;
        writeln!(f, "replay it: cargo run -p pilotfish-sim -- replay {}", self.seed)?;
        writeln!(f, "smallest schedule that fails:\n\n{}\nthe end of its story:\n", self.smallest)?;
        self.story.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
