//! What templates ask: which questions are followed, and whether a new answer is to be believed.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use crate::{
    event::{Effect, FactNews, Followed, Notice},
    output::Output,
    pulse::{FACT_SILENCE, Pulse},
    template::RenderId,
    time::Time,
    watching::HOLD_AFTER_RESTART,
};

/// All questions that are followed, each once however many templates ask it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts(BTreeMap<String, Fact>);

/// What is known of one question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fact {
    /// When the answer in force was last known to be right; `None`: there is no answer yet.
    pub(crate) confirmed: Option<Time>,
    pub(crate) failing: Option<String>,
    /// The agent that answers, once one has.
    pulse: Option<Pulse>,
    /// When the answer in force came, in the order of everything that has a number: a rendering of a lower number does not know it.
    taken: u64,
    /// A smaller answer is kept back until then.
    held: Option<Time>,
    /// The catalog has lost its state; until then a smaller answer is not believed.
    distrust_until: Option<Time>,
}

impl Fact {
    fn take(&mut self, out: &mut Output, name: &str) {
        self.taken = out.next_run();
        out.push(Effect::TakeFact { fact: name.into() });
    }
}

impl Facts {
    /// Follows exactly these questions.
    pub(crate) fn follow(&mut self, out: &mut Output, asked: &BTreeSet<&str>) {
        self.0.retain(|fact, _| {
            let stays = asked.contains(fact.as_str());
            if !stays {
                out.push(Effect::Unfollow { fact: fact.clone() });
            }
            stays
        });
        for fact in asked.iter().copied().filter(|fact| !self.0.contains_key(*fact)).collect::<Vec<_>>() {
            self.0.insert(fact.into(), Fact::default());
            out.push(Effect::Follow { fact: fact.into() });
        }
    }

    /// A question was answered; true if another answer is in force now.
    pub(crate) fn answered(
        &mut self,
        out: &mut Output,
        name: &str,
        agent: Option<String>,
        FactNews { changed, loses, restarted }: FactNews,
    ) -> bool {
        let Some(fact) = self.0.get_mut(name) else { return false };
        fact.pulse = agent.map(|agent| Pulse::of(Followed::Fact(name.into()), agent, Some(FACT_SILENCE), out.now));
        if fact.failing.take().is_some() {
            out.notice(Notice::FactRecovered { fact: name.into() });
        }
        if restarted {
            fact.distrust_until = Some(out.now.after(HOLD_AFTER_RESTART));
        }
        match fact.distrust_until {
            Some(until) if until > out.now && loses && fact.confirmed.is_some() => {
                if fact.held.is_none() {
                    out.notice(Notice::FactHeld { fact: name.into() });
                }
                fact.held = Some(until);
                return false;
            }
            Some(_) | None => {}
        }
        fact.held = None;
        let first = fact.confirmed.replace(out.now).is_none();
        let taken = changed || first;
        if taken {
            fact.take(out, name);
        }
        taken
    }

    /// No answer says nothing of what was asked for: the last one stays, and one that was held back is too old to be believed now.
    pub(crate) fn failed(&mut self, out: &mut Output, name: &str, reason: String) {
        let Some(fact) = self.0.get_mut(name) else { return };
        fact.held = None;
        fact.pulse = None;
        if fact.failing.is_none() {
            out.notice(Notice::FactFailed { fact: name.into(), reason: reason.clone() });
        }
        fact.failing = Some(reason);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.values().filter_map(|fact| fact.held).min()
    }

    /// Answers that were held back long enough are in force now: which.
    pub(crate) fn time_passed(&mut self, out: &mut Output) -> Vec<String> {
        let now = out.now;
        let mut taken = Vec::new();
        for (name, fact) in self.0.iter_mut().filter(|(_, fact)| fact.held.is_some_and(|until| until <= now)) {
            fact.held = None;
            fact.confirmed = Some(now);
            fact.take(out, name);
            taken.push(name.clone());
        }
        taken
    }

    /// Whether one of these has another answer than the one that a rendering knew.
    pub(crate) fn changed_since<'a>(&self, render: RenderId, mut asked: impl Iterator<Item = &'a String>) -> bool {
        asked.any(|fact| self.0.get(fact).is_some_and(|fact| fact.taken > render))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    pub(crate) fn pulses(&self) -> impl Iterator<Item = &Pulse> {
        self.0.values().filter_map(|fact| fact.pulse.as_ref())
    }

    pub(crate) fn pulses_mut(&mut self) -> impl Iterator<Item = &mut Pulse> {
        self.0.values_mut().filter_map(|fact| fact.pulse.as_mut())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Fact)> {
        self.0.iter()
    }
}
