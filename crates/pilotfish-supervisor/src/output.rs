//! What one step produces: effects for the shell, occurrences for the jobs.

use alloc::{collections::VecDeque, string::String, vec::Vec};

use crate::{
    event::{CallId, Effect, Notice, Request, RunId},
    spec::Occurrence,
    time::Time,
};

/// Collects the effects of a step and queues what happened for every job to see, in one order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    pub(crate) now: Time,
    pub(crate) effects: Vec<Effect>,
    pub(crate) bus: VecDeque<Occurrence>,
    /// Agents that did not answer; `None`: one of them, and it is not known which.
    pub(crate) suspects: Vec<Option<String>>,
    ids: u64,
    random: u64,
}

impl Output {
    pub(crate) fn new(seed: u64) -> Output {
        Output { random: seed, ..Output::default() }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.effects.push(Effect::Notice(notice));
    }

    pub(crate) fn publish(&mut self, occurrence: Occurrence) {
        self.bus.push_back(occurrence);
    }

    pub(crate) fn next_run(&mut self) -> RunId {
        self.ids += 1;
        self.ids
    }

    pub(crate) fn call(&mut self, request: Request) -> CallId {
        self.ids += 1;
        self.push(Effect::Call { call: self.ids, request });
        self.ids
    }

    /// A pseudo-random number (SplitMix64): randomness is a value here, so that a seed repeats a run.
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
