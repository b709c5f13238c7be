//! Where a blocking query stands: Consul's index rules, as a value.
//!
//! Source: Consul documentation, API, "Blocking Queries", section "Implementation Details".

/// The index of the last answer of one blocking query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Index to wait on; 0 asks for an answer at once.
    index: u64,
}

/// What an answer means for a blocking query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first answer, or the first after a reset: the value is news to the caller.
    First,
    /// The index moved on. The value may have changed, and Consul allows that it has not.
    Changed,
    /// The same index: nothing has changed, the wait has passed.
    Unchanged,
    /// The index went backwards (the server was restored or wiped): the next query asks from the beginning. The value of
    /// this answer is valid all the same.
    Reset,
}

impl Cursor {
    /// A query that has not been asked yet.
    pub fn new() -> Cursor {
        Cursor::default()
    }

    /// The index to send, or nothing when the next query should be answered at once.
    pub fn index(self) -> Option<u64> {
        (self.index > 0).then_some(self.index)
    }

    /// Takes the index of an answer (0 when it carried none).
    ///
    /// An index of 0 would make every following query return at once, so it counts as 1: it is always safe to wait on 1.
    pub fn advance(&mut self, answered: u64) -> Step {
        let answered = answered.max(1);
        let before = self.index;
        if before == 0 {
            self.index = answered;
            return Step::First;
        }
        if answered < before {
            self.index = 0;
            return Step::Reset;
        }
        self.index = answered;
        if answered > before { Step::Changed } else { Step::Unchanged }
    }

    /// Forgets the index: the next query is answered at once. For a query that moves to another server.
    pub fn reset(&mut self) {
        self.index = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(answers: &[u64], steps: &[Step], sent: &[Option<u64>]) {
        let mut cursor = Cursor::new();
        for ((answer, step), sent) in answers.iter().zip(steps).zip(sent) {
            assert_eq!(cursor.index(), *sent);
            assert_eq!(cursor.advance(*answer), *step);
        }
    }

    #[test]
    fn documented_rules() {
        use Step::{Changed, First, Reset, Unchanged};
        check(&[5, 5, 9], &[First, Unchanged, Changed], &[None, Some(5), Some(5)]);
        // Backwards: ask from the beginning, then go on.
        check(&[9, 4, 4, 6], &[First, Reset, First, Changed], &[None, Some(9), None, Some(4)]);
        // Zero is one, and never means "return at once for ever".
        check(&[0, 0, 3], &[First, Unchanged, Changed], &[None, Some(1), Some(1)]);
        check(&[7, 0, 0], &[First, Reset, First], &[None, Some(7), None]);
    }

    proptest! {
        #[test]
        fn an_index_sent_is_never_zero_nor_beyond_the_last_answer(answers in prop::collection::vec(any::<u64>(), 0..50)) {
            let mut cursor = Cursor::new();
            for answer in answers {
                cursor.advance(answer);
                prop_assert!(cursor.index() != Some(0));
                prop_assert!(cursor.index().unwrap_or(0) <= answer.max(1));
            }
        }

        #[test]
        fn no_two_queries_in_a_row_are_immediate_unless_the_first_was_a_reset(answers in prop::collection::vec(0u64..5, 1..50)) {
            let mut cursor = Cursor::new();
            for answer in answers {
                let immediate = cursor.index().is_none();
                let step = cursor.advance(answer);
                if immediate { prop_assert_eq!(step, Step::First); }
                prop_assert_eq!(cursor.index().is_none(), step == Step::Reset);
            }
        }
    }
}
