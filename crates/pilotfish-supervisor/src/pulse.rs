//! Whether the agents that answer watches and the questions of templates still live.
//!
//! An agent that hangs holds a query like one that has no news. So whoever follows something there counts on the agent only as long as
//! something was heard of that: any answer to a watch, a question or a heartbeat. When nothing was heard for as long as one of them bears, the
//! agent is asked whether it lives, once for all of them; in a supervisor whose heartbeats go there often enough that never happens. When
//! the agent does not answer, all that is followed there is asked again at once, wherever somebody answers; and all that is followed anywhere when
//! a heartbeat or a registration fails.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    event::{CallId, CallOutcome, Effect, Followed, Request},
    supervisor::Supervisor,
    time::Time,
};

/// The shortest silence for which an agent is asked whether it lives: shorter intervals would cost more than they tell.
pub const SHORTEST_SILENCE: Duration = Duration::from_secs(6);

/// The shortest time for which an agent is asked to hold the query of a watch. Watches of longer intervals hear from it that often anyway.
pub const SHORTEST_HOLD: Duration = Duration::from_secs(10);

/// The silence for which an agent is asked that answers questions of templates. They have no interval of their own, and their queries
/// are held for long; the heartbeats of a service with a TTL of up to twenty seconds come more often.
pub const FACT_SILENCE: Duration = Duration::from_secs(10);

/// What is known of the agent that answers one thing that is followed. While that fails it is asked again anyway, and has no pulse.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    followed: Followed,
    /// The agent that answered last.
    agent: String,
    heard: Time,
    /// The silence that is borne; `None`: the query is answered often enough.
    borne: Option<Duration>,
    asking: Option<CallId>,
    /// It was told to ask again, and has found nothing yet.
    suspected: bool,
}

impl Pulse {
    /// There is an answer of this agent, of which nothing need be heard for as long as it is `borne`.
    pub(crate) fn of(followed: Followed, agent: String, borne: Option<Duration>, now: Time) -> Pulse {
        Pulse { followed, agent, heard: now, borne, asking: None, suspected: false }
    }

    /// How long a watch of this interval bears it that nothing is heard of its agent.
    pub(crate) fn borne_by_watch(interval: Duration) -> Option<Duration> {
        (interval < SHORTEST_HOLD).then_some(interval.max(SHORTEST_SILENCE))
    }

    /// When the agent has been silent for too long.
    fn silence(&self) -> Option<Time> {
        let borne = self.borne.filter(|_| self.asking.is_none() && !self.suspected)?;
        Some(self.heard.after(borne))
    }
}

impl Supervisor {
    /// When an agent has been silent for too long.
    pub(crate) fn silence(&self) -> Option<Time> {
        self.pulses().filter_map(Pulse::silence).min()
    }

    /// Asks the agents that have been silent for too long.
    pub(crate) fn listen(&mut self) {
        while let Some(agent) = self.silent() {
            let call = self.out.call(Request::Ping { home: agent.clone() });
            self.pulses_at(&agent).for_each(|pulse| pulse.asking = Some(call));
        }
    }

    /// What an answer of the catalog, or its absence, says of agents.
    pub(crate) fn heard(&mut self, call: CallId, outcome: &CallOutcome) {
        if let CallOutcome::Done { address } = outcome {
            self.lives(address);
        }
        // Whoever still waits for this answer was not answered by its own agent.
        let suspect = self.pulses().find(|pulse| pulse.asking == Some(call)).map(|pulse| Some(pulse.agent.clone()));
        self.out.suspects.extend(suspect);
    }

    /// An agent has answered, to whomever: that is a proof for everything that is followed there.
    pub(crate) fn lives(&mut self, agent: &str) {
        let now = self.out.now;
        for pulse in self.pulses_at(agent) {
            pulse.heard = now;
            pulse.asking = None;
            pulse.suspected = false;
        }
    }

    /// Has everything be asked again that is followed at agents that did not answer.
    pub(crate) fn suspect(&mut self) {
        for agent in core::mem::take(&mut self.out.suspects) {
            let mut again = Vec::new();
            let is_suspect = |pulse: &&mut Pulse| agent.as_ref().is_none_or(|agent| pulse.agent == *agent);
            for pulse in self.pulses_mut().filter(is_suspect) {
                pulse.asking = None;
                if !core::mem::replace(&mut pulse.suspected, true) {
                    again.push(Effect::AskAgain(pulse.followed.clone()));
                }
            }
            self.out.effects.append(&mut again);
        }
    }

    fn silent(&self) -> Option<String> {
        let mut late = self.pulses().filter(|pulse| pulse.silence().is_some_and(|at| at <= self.out.now));
        late.next().map(|pulse| pulse.agent.clone())
    }

    fn pulses(&self) -> impl Iterator<Item = &Pulse> {
        self.watches.iter().filter_map(|watching| watching.pulse.as_ref()).chain(self.facts.pulses())
    }

    fn pulses_mut(&mut self) -> impl Iterator<Item = &mut Pulse> {
        let of_watches = self.watches.iter_mut().filter_map(|watching| watching.pulse.as_mut());
        of_watches.chain(self.facts.pulses_mut())
    }

    fn pulses_at<'a>(&'a mut self, agent: &'a str) -> impl Iterator<Item = &'a mut Pulse> {
        self.pulses_mut().filter(move |pulse| pulse.agent == agent)
    }
}
