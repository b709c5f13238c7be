//! What is kept on disk: the whole state with its clocks, so that a log of the commands that followed gives the same state again, and what
//! becomes of it when the process was away in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::agent::Local;
use super::command::{AgentCheck, Command, Means};
use super::due::Due;
use super::kv::Memory;
use super::snapshot::Snapshot;
use super::types::{CRITICAL, Node, Stamp, Time};
use super::{Identity, State};

/// The state with everything that decides over what later commands do to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    snapshot: Snapshot,
    now: Time,
    lamport: u64,
    memory: Memory,
    checks: Vec<(String, Clock)>,
}

/// The times of a check of the agent, and what came with its last heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Clock {
    beat_at: Option<Time>,
    reap_at: Option<Time>,
    output_at: Option<Time>,
    said: String,
}

/// How much it matters that a command is on disk before whoever sent it hears that it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It changes nothing that outlives the process.
    None,
    /// It must be in the log, in its place, but nobody was promised that it is: a heartbeat that changes no status.
    Light,
    /// It must be there.
    Full,
}

impl State {
    /// How much it matters that a command is kept.
    pub fn weight(&self, command: &Command) -> Weight {
        match command {
            // Sessions have their whole time after a restart, and events are forgotten, as in Consul.
            Command::RenewSession { .. } | Command::Fire(_) => Weight::None,
            Command::Transaction(operations) if operations.iter().all(super::Operation::is_read) => Weight::None,
            Command::Beat { id, status, .. } | Command::Probed { id, status, .. } => {
                let same = self.agent.checks.get(id).is_none_or(|local| local.spec.check.status == *status);
                if same { Weight::Light } else { Weight::Full }
            }
            Command::RegisterService { .. }
            | Command::DeregisterService { .. }
            | Command::RegisterCheck(_)
            | Command::DeregisterCheck { .. }
            | Command::ServiceMaintenance { .. }
            | Command::NodeMaintenance { .. }
            | Command::Register(_)
            | Command::Deregister { .. }
            | Command::Kv { .. }
            | Command::CreateSession(_)
            | Command::DestroySession { .. }
            | Command::Transaction(_)
            | Command::ExpireCheck { .. }
            | Command::ExpireSession { .. }
            | Command::ReapService { .. }
            | Command::SyncCheck { .. }
            | Command::SyncAgent
            | Command::Restore(_) => Weight::Full,
        }
    }

    /// The state as it can be kept.
    pub fn keep(&self) -> Kept {
        let clock = |local: &Local| Clock {
            beat_at: local.beat_at,
            reap_at: local.reap_at,
            output_at: local.output_at,
            said: local.said.clone(),
        };
        Kept {
            snapshot: self.snapshot(),
            now: self.now,
            lamport: self.lamport,
            memory: self.kv.memory(),
            checks: self.agent.checks.iter().map(|(id, local)| (id.clone(), clock(local))).collect(),
        }
    }

    /// The state that was kept, exactly as it was, for the commands that followed to be applied to it; with the identity that it had, because
    /// what commands do depends on that as well.
    pub fn resume(identity: Identity, kept: Kept) -> State {
        let mut state = State::new(identity, kept.now);
        state.index = kept.snapshot.index;
        let specs = kept.snapshot.agent_checks.clone();
        state.restore(kept.snapshot);
        // That it was restored is no change by itself.
        state.index -= 1;
        state.lamport = kept.lamport;
        state.kv.remember(kept.memory);
        for spec in specs {
            // A check that is registered takes the tags that its service has then; here it has those that it took.
            if let Some(local) = state.agent.checks.get_mut(&spec.check.id) {
                local.spec = spec;
            }
        }
        for (id, clock) in kept.checks {
            if let Some(local) = state.agent.checks.get_mut(&id) {
                state.deadlines.set(Due::Beat(id.clone()), &mut local.beat_at, clock.beat_at);
                state.deadlines.set(Due::Reap(id.clone()), &mut local.reap_at, clock.reap_at);
                state.deadlines.set(Due::Output(id.clone()), &mut local.output_at, clock.output_at);
                local.said = clock.said;
            }
        }
        state.changes.clear();
        state
    }

    /// The state of a process that begins with what another one left, which was away for so long: its clock begins with zero.
    ///
    /// As a Consul that is restarted with its data: checks with heartbeats keep their status unless their time has passed meanwhile, what the
    /// catalog probes is critical until it was, sessions have their whole time again, nobody waits for a lock any longer, and what the agent
    /// holds is told to the catalog. A node that has another name now takes what the agent holds with it, and the sessions of the old one end.
    #[must_use]
    pub fn restarted(self, identity: Identity, away: Duration) -> State {
        let then = self.now + away;
        let mut kept = self.keep();
        let overdue = |id: &str| {
            self.agent.checks.get(id).is_some_and(|local| local.beat_at.is_some_and(|beat_at| beat_at <= then))
        };
        for AgentCheck { check, means, .. } in &mut kept.snapshot.agent_checks {
            let unknown = match means {
                Means::Ttl(_) => overdue(&check.id),
                Means::Probe(_) => true,
                Means::Alias { .. } | Means::Fixed => false,
            };
            if unknown {
                CRITICAL.clone_into(&mut check.status);
                check.output.clear();
            }
        }
        let mut memory = kept.memory;
        memory.delays.clear();
        memory.buried.iter_mut().for_each(|(at, ..)| *at = Time::ZERO);
        kept = Kept { now: Time::ZERO, memory, checks: Vec::new(), ..kept };
        let mut state = State::resume(identity, kept);
        let own = state.own_node();
        let known = state.tables.host(&own.name).map(|host| Node { stamp: Stamp::default(), ..host.node.clone() });
        if known != Some(own) {
            state.register_self();
        }
        // It cannot be refused.
        let _ = state.apply(Command::SyncAgent, Time::ZERO);
        state.changes.clear();
        state
    }
}
