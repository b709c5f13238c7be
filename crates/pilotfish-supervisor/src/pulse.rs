//! Whether the agents that answer the watches still live.
//!
//! An agent that hangs holds a query like one that has no news. So a watch counts on its agent only as long as something was heard of that:
//! an answer to a watch or to a heartbeat. When nothing was heard for the watch's interval the agent is asked whether it lives, once for all
//! its watches; in a supervisor whose heartbeats go there that never happens. When the agent does not answer, or a heartbeat fails, its watches
//! are asked again at once, wherever somebody answers.

use alloc::string::String;
use core::time::Duration;

use crate::{
    event::{CallId, CallOutcome, Effect, Request},
    output::Output,
    supervisor::Supervisor,
    time::Time,
    watching::Watching,
};

/// The shortest silence for which an agent is asked whether it lives: shorter intervals would cost more than they tell.
pub const SHORTEST_SILENCE: Duration = Duration::from_secs(6);

/// The shortest time for which an agent is asked to hold a query. Watches of longer intervals hear from it that often anyway.
pub const SHORTEST_HOLD: Duration = Duration::from_secs(10);

/// What is known of the agent of one watch.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    /// The agent that answered last.
    agent: String,
    heard: Time,
    asking: Option<CallId>,
    /// The watch was told to ask again, and has found nothing yet.
    suspected: bool,
}

impl Pulse {
    /// The watch has an answer of this agent.
    pub(crate) fn of(agent: String, now: Time) -> Pulse {
        Pulse { agent, heard: now, asking: None, suspected: false }
    }
}

impl Watching {
    /// When its agent has been silent for too long. A watch that fails asks again and again by itself.
    pub(crate) fn silence(&self) -> Option<Time> {
        let interval =
            Some(self.spec.interval).filter(|interval| *interval < SHORTEST_HOLD && self.failing.is_none())?;
        let pulse = self.pulse.as_ref().filter(|pulse| pulse.asking.is_none() && !pulse.suspected)?;
        Some(pulse.heard.after(interval.max(SHORTEST_SILENCE)))
    }

    fn is_at(&self, agent: &str) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.agent == agent)
    }
}

impl Supervisor {
    /// Asks the agents that have been silent for too long.
    pub(crate) fn listen(&mut self) {
        let now = self.out.now;
        while let Some(agent) = silent(&self.watches, now) {
            let call = self.out.call(Request::Ping { home: agent.clone() });
            for watching in self.watches.iter_mut().filter(|watching| watching.is_at(&agent)) {
                if let Some(pulse) = &mut watching.pulse {
                    pulse.asking = Some(call);
                }
            }
        }
    }

    /// What an answer of the catalog, or its absence, says of agents.
    pub(crate) fn heard(&mut self, call: CallId, outcome: &CallOutcome) {
        if let CallOutcome::Done { address } = outcome {
            self.lives(address);
        }
        // Whoever still waits for this answer was not answered by its own agent.
        let mut pulses = self.watches.iter().filter_map(|watching| watching.pulse.as_ref());
        self.out.suspects.extend(pulses.find(|pulse| pulse.asking == Some(call)).map(|pulse| pulse.agent.clone()));
    }

    /// An agent has answered, to whomever: that is a proof for all of its watches.
    pub(crate) fn lives(&mut self, agent: &str) {
        let now = self.out.now;
        for watching in self.watches.iter_mut().filter(|watching| watching.is_at(agent)) {
            watching.pulse = Some(Pulse::of(agent.into(), now));
        }
    }

    /// Has the watches of agents that did not answer ask again.
    pub(crate) fn suspect(&mut self) {
        for agent in core::mem::take(&mut self.out.suspects) {
            for watching in self.watches.iter_mut().filter(|watching| watching.is_at(&agent)) {
                ask_again(&mut self.out, watching);
            }
        }
    }
}

fn silent(watches: &[Watching], now: Time) -> Option<String> {
    let late = |watching: &&Watching| watching.silence().is_some_and(|at| at <= now);
    watches.iter().find(late).and_then(|watching| watching.pulse.as_ref()).map(|pulse| pulse.agent.clone())
}

fn ask_again(out: &mut Output, watching: &mut Watching) {
    let Some(pulse) = &mut watching.pulse else { return };
    pulse.asking = None;
    if watching.failing.is_none() && !pulse.suspected {
        pulse.suspected = true;
        out.push(Effect::AskAgain { watch: watching.spec.name.clone() });
    }
}
