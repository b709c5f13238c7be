//! When to ask again: pauses after faults, and a brake for servers that answer a blocking query at once.
//!
//! Both are values without a clock: time passed and randomness are arguments.

use std::time::Duration;

use crate::cursor::Step;

/// Longest pause when nobody listens: short, so that a server that returns is noticed within a second. Nobody is there whom
/// it could burden.
const REFUSED_CEILING: Duration = Duration::from_millis(700);
/// Shortest pause when nobody listens.
const REFUSED_FLOOR: Duration = Duration::from_millis(50);
/// Longest pause after any other fault.
const FAULT_CEILING: Duration = Duration::from_secs(5);
/// Shortest pause after any other fault, and shortest time between two requests that brought no change.
const FAULT_FLOOR: Duration = Duration::from_secs(1);
/// Changes that a watch takes at full speed before it is slowed down.
const CHANGE_BURST: u32 = 32;
/// Pace of changes after a burst: one in this time. Several changes then arrive as one, the last.
const CHANGE_INTERVAL: Duration = Duration::from_millis(50);

/// Kinds of faults that pauses differ by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The host says that nobody listens.
    Refused,
    /// Anything else.
    Other,
}

/// Growing pauses with full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015), above a floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new() -> Backoff {
        Backoff::default()
    }

    /// Failures in a row so far.
    pub fn failures(self) -> u32 {
        self.failures
    }

    /// Counts a failure and returns how long to pause. `random` is uniform over all its values.
    ///
    /// The pause is at most 0.7 s after [`Fault::Refused`], and from 1 s to 5 s after any other.
    pub fn pause(&mut self, fault: Fault, random: u32) -> Duration {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let (floor, ceiling) = match fault {
            Fault::Refused => (REFUSED_FLOOR, (REFUSED_FLOOR * 2u32.pow(doublings + 1)).min(REFUSED_CEILING)),
            Fault::Other => (FAULT_FLOOR, (FAULT_FLOOR * 2u32.pow(doublings + 1)).min(FAULT_CEILING)),
        };
        let span = ceiling.saturating_sub(floor).as_nanos() as u64;
        floor + Duration::from_nanos(((u128::from(span) * u128::from(random)) >> 32) as u64)
    }

    /// Success: the next failure starts small again.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }
}

/// The brake of one blocking query: how long to wait before the next one is sent.
///
/// A sound server makes it return zero: it holds a query until there is a change. A server that answers at once without one
/// (index 0, an index that jumps back and forth, an ignored `wait`) is asked at most once a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// What is left of the burst, in time: every change costs [`CHANGE_INTERVAL`].
    credit: Duration,
    /// The last answer was a reset, so the coming first answer is the same fault and not news.
    after_reset: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { credit: CHANGE_INTERVAL * CHANGE_BURST, after_reset: false }
    }
}

impl Pace {
    /// A full burst.
    pub fn new() -> Pace {
        Pace::default()
    }

    /// How long to wait before the next query; `took` is the time from sending the last one to its answer.
    pub fn wait(&mut self, step: Step, took: Duration) -> Duration {
        self.credit = (self.credit + took).min(CHANGE_INTERVAL * CHANGE_BURST);
        let after_reset = std::mem::replace(&mut self.after_reset, step == Step::Reset);
        match step {
            Step::Unchanged | Step::Reset => FAULT_FLOOR.saturating_sub(took),
            Step::First if after_reset => FAULT_FLOOR.saturating_sub(took),
            Step::First | Step::Changed => {
                let wait = CHANGE_INTERVAL.saturating_sub(self.credit);
                self.credit = self.credit.saturating_sub(CHANGE_INTERVAL);
                wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses_grow_to_their_ceiling() {
        let check = |fault, random, expected: [u64; 4]| {
            let mut backoff = Backoff::new();
            let pauses = [(); 4].map(|()| backoff.pause(fault, random).as_millis() as u64);
            assert_eq!(pauses, expected, "{fault:?}");
        };
        check(Fault::Other, 0, [1000; 4]);
        check(Fault::Other, u32::MAX, [1999, 3999, 4999, 4999]);
        check(Fault::Refused, 0, [50; 4]);
        check(Fault::Refused, u32::MAX, [99, 199, 399, 699]);
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::new();
        for _ in 0..10 {
            backoff.pause(Fault::Other, 0);
        }
        backoff.succeed();
        assert!(backoff.pause(Fault::Other, u32::MAX) < Duration::from_secs(2));
    }

    #[test]
    fn a_sound_server_is_never_braked() {
        let mut pace = Pace::new();
        assert_eq!(pace.wait(Step::First, Duration::from_millis(1)), Duration::ZERO);
        assert_eq!(pace.wait(Step::Unchanged, Duration::from_secs(300)), Duration::ZERO);
        assert_eq!(pace.wait(Step::Changed, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn an_early_answer_without_change_costs_the_rest_of_a_second() {
        let mut pace = Pace::new();
        assert_eq!(pace.wait(Step::Unchanged, Duration::from_millis(1)), Duration::from_millis(999));
        assert_eq!(pace.wait(Step::Reset, Duration::ZERO), Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn pauses_stay_within_their_limits(randoms in prop::collection::vec((any::<bool>(), any::<u32>()), 1..100)) {
            let mut backoff = Backoff::new();
            for (refused, random) in randoms {
                let fault = if refused { Fault::Refused } else { Fault::Other };
                let pause = backoff.pause(fault, random);
                if refused {
                    prop_assert!((REFUSED_FLOOR..=REFUSED_CEILING).contains(&pause));
                } else {
                    prop_assert!((FAULT_FLOOR..=FAULT_CEILING).contains(&pause));
                }
            }
        }

        /// However fast a server answers, a watch sends no more than a burst and then 20 requests a second.
        #[test]
        fn no_busy_loop(answers in prop::collection::vec((0..4u8, 0..100u64), 100..400)) {
            let mut pace = Pace::new();
            let mut elapsed = Duration::ZERO;
            let count = answers.len() as u32;
            for (step, took) in answers {
                let step = [Step::First, Step::Changed, Step::Unchanged, Step::Reset][usize::from(step)];
                let took = Duration::from_millis(took);
                elapsed += took + pace.wait(step, took);
            }
            prop_assert!(elapsed + CHANGE_INTERVAL * CHANGE_BURST >= CHANGE_INTERVAL * count);
        }

        /// A server whose index is stuck, or jumps back and forth, is asked once a second.
        #[test]
        fn faulty_indexes_cost_a_second_each(answers in prop::collection::vec(0..2u64, 10..100)) {
            let (mut cursor, mut pace) = (crate::Cursor::new(), Pace::new());
            let mut elapsed = Duration::ZERO;
            let mut rises = 0;
            for answer in &answers {
                let step = cursor.advance(10 - answer);
                rises += u32::from(step == Step::Changed);
                elapsed += pace.wait(step, Duration::ZERO);
            }
            prop_assert!(elapsed >= Duration::from_secs(1) * (answers.len() as u32 - rises - 1));
        }
    }
}
