//! The catalog as a value: it is asked, it is given commands, and it says what changed and when it wants to be woken. It does no I/O, reads
//! no clock and knows no chance: time and identities are arguments, so a log of commands replayed gives the same state.
//!
//! ```text
//! Command, time --> State::apply --> Answer        for who sent it
//!                        |  '-----> Changes       for who waits (see Interest)
//! time --> due() --> commands     deadline()      for who drives it
//! ```

mod agent;
mod changes;
mod command;
mod due;
mod keeping;
mod kv;
mod reading;
mod sessions;
mod snapshot;
mod tables;
mod txn;
mod types;

use std::collections::VecDeque;

pub use changes::{Changes, Interest, Key};
pub use command::{AgentCheck, Command, KvWrite, Means, Probe, Registration};
pub use keeping::{Kept, Weight};
pub(crate) use sessions::well_formed;
pub use snapshot::Snapshot;
pub(crate) use tables::Host;
pub use txn::{KvVerb, Operation, Outcome, Outcomes, Verb};
pub use types::{
    Behavior, CRITICAL, Check, Definition, Entry, Node, PASSING, Service, ServiceAddress, Session, Stamp, Texts, Time,
    UserEvent, WARNING, Weights,
};

use agent::{Agent, COMPARE_INTERVAL};
use due::{Deadlines, Due};
use kv::KvStore;
use sessions::Sessions;
use tables::{Indexes, Tables};

/// Events that are remembered (Consul's `UserEvent` ring).
const EVENTS: usize = 256;

/// The index that a new catalog begins with: a Consul server has written about as much before it answers anybody.
const FIRST_INDEX: u64 = 10;

/// Who this catalog is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Name of the only node.
    pub node: String,
    /// Its UUID.
    pub node_id: String,
    /// Its address.
    pub address: String,
    /// Name of the only datacenter.
    pub datacenter: String,
    /// The port that a Consul server would have for others; nobody listens there.
    pub server_port: u16,
}

/// Why a command was refused: the HTTP status, and the text as Consul writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status code.
    pub status: u16,
    /// The reason.
    pub text: String,
}

/// The error of everything that can be refused.
pub type Refused = Refusal;

impl Refusal {
    /// What Consul answers with status 500.
    pub fn internal(text: impl Into<String>) -> Refusal {
        Refusal { status: 500, text: text.into() }
    }

    /// What Consul answers with status 400.
    pub fn bad(text: impl Into<String>) -> Refusal {
        Refusal { status: 400, text: text.into() }
    }
}

/// What a command brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It was done.
    Done,
    /// Whether it was done, as with compare-and-set.
    Flag(bool),
    /// The identity of what was created.
    Created(String),
    /// A session.
    Session(Box<Session>),
    /// The outcome of a transaction.
    Transaction(Outcomes),
    /// The event that was fired.
    Event(Box<UserEvent>),
}

/// Text in quotes as Go's `%q` writes it.
pub(crate) fn quote(text: &str) -> String {
    format!("{text:?}")
}

/// A name without its case, by which nodes and services are found, as in Consul.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// The catalog.
#[derive(Debug)]
pub struct State {
    identity: Identity,
    now: Time,
    index: u64,
    indexes: Indexes,
    tables: Tables,
    kv: KvStore,
    sessions: Sessions,
    agent: Agent,
    events: VecDeque<UserEvent>,
    /// Lamport time of the last event.
    lamport: u64,
    deadlines: Deadlines,
    changes: Changes,
}

impl State {
    /// A catalog in which only this agent is.
    pub fn new(identity: Identity, now: Time) -> State {
        let mut state = State {
            identity,
            now,
            index: FIRST_INDEX - 1,
            indexes: Indexes::default(),
            tables: Tables::default(),
            kv: KvStore::default(),
            sessions: Sessions::default(),
            agent: Agent::default(),
            events: VecDeque::new(),
            lamport: 1,
            deadlines: Deadlines::default(),
            changes: Changes::default(),
        };
        state.register_self();
        let mut slot = None;
        state.deadlines.set(Due::Agent, &mut slot, Some(now + COMPARE_INTERVAL));
        state.agent.compare_at = slot;
        state.changes.clear();
        state
    }

    /// Applies a command. What changed is in [`State::changes`] until the next one.
    ///
    /// # Errors
    /// When it is refused; what a refused command changed is the index at most.
    pub fn apply(&mut self, command: Command, now: Time) -> Result<Answer, Refused> {
        self.now = self.now.max(now);
        self.changes.clear();
        self.kv.forget(self.now);
        let answer = self.carry_out(command);
        self.follow_aliases();
        answer
    }

    fn carry_out(&mut self, command: Command) -> Result<Answer, Refused> {
        match command {
            Command::RegisterService { service, checks, replace_checks } => {
                self.register_service(*service, checks, replace_checks)
            }
            Command::DeregisterService { id } => self.deregister_service(&id),
            Command::RegisterCheck(spec) => self.register_check(*spec),
            Command::DeregisterCheck { id } => self.deregister_check(&id),
            Command::Beat { id, status, output } => self.beat(&id, &status, output),
            Command::Probed { id, status, output } => self.probed(&id, &status, output),
            Command::ServiceMaintenance { id, enable, reason } => self.service_maintenance(&id, enable, &reason),
            Command::NodeMaintenance { enable, reason } => self.node_maintenance(enable, &reason),
            Command::Register(registration) => self.register(&registration),
            Command::Deregister { node, service, check } => Ok(self.deregister(&node, &service, &check)),
            Command::Kv { key, entry, write } => self.write_kv(&key, entry, &write),
            Command::CreateSession(session) => self.create_session(*session),
            Command::DestroySession { id } => self.destroy_session(&id),
            Command::RenewSession { id } => self.renew_session(&id),
            Command::Transaction(operations) => self.transact(&operations),
            Command::Fire(event) => Ok(self.fire(event)),
            Command::ExpireCheck { id } => self.expire_check(&id),
            Command::ExpireSession { id } => self.expire_session(&id),
            Command::ReapService { check } => self.reap_service(&check),
            Command::SyncCheck { id } => self.sync_output(&id),
            Command::SyncAgent => self.sync_agent(),
            Command::Restore(snapshot) => Ok(self.restore(*snapshot)),
        }
    }

    /// What the last command changed.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// When the next thing is due.
    pub fn deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// What is due by now, as commands to apply.
    pub fn due(&self, now: Time) -> Vec<Command> {
        self.deadlines.due(now)
    }

    /// One write of the tables at the next index, with what it means for sessions.
    fn write<R>(&mut self, change: impl FnOnce(&mut Tables, &mut tables::Writing<'_>) -> R) -> R {
        self.index += 1;
        let mut writing = tables::Writing {
            index: self.index,
            indexes: &mut self.indexes,
            changes: &mut self.changes,
            broken: Vec::new(),
            gone: Vec::new(),
        };
        let result = change(&mut self.tables, &mut writing);
        let (broken, gone) = (writing.broken, writing.gone);
        self.invalidate_dependents(&broken, &gone);
        result
    }

    /// The node of this agent, as it tells of it.
    fn own_node(&self) -> Node {
        let Identity { node, node_id, address, .. } = self.identity.clone();
        let lan = ["lan", "lan_ipv4", "wan", "wan_ipv4"].map(|name| (name.to_owned(), address.clone()));
        let meta = [("consul-network-segment".to_owned(), String::new())];
        Node {
            id: node_id,
            name: node,
            address,
            tagged_addresses: Some(lan.into()),
            meta: Some(meta.into()),
            stamp: Stamp::default(),
        }
    }

    fn register_self(&mut self) {
        let (node, server_port) = (self.own_node(), self.identity.server_port);
        let facts = [
            ("non_voter", "false"),
            ("raft_version", "3"),
            ("serf_protocol_current", "2"),
            ("serf_protocol_max", "5"),
            ("serf_protocol_min", "1"),
            ("version", crate::CONSUL_VERSION),
        ];
        let service = Service {
            id: "consul".to_owned(),
            name: "consul".to_owned(),
            port: i64::from(server_port),
            meta: Some(facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
            ..Service::default()
        };
        let check = Check {
            id: "serfHealth".to_owned(),
            name: "Serf Health Status".to_owned(),
            status: PASSING.to_owned(),
            output: "Agent alive and reachable".to_owned(),
            ..Check::default()
        };
        // Neither can be refused: the name is this node's own, and the check is about a node that is there.
        self.write(|tables, writing| {
            let _ = tables.put_node(&Node { meta: None, ..node.clone() }, writing);
            tables.put_service(&node.name, &service, writing);
            let _ = tables.put_check(&node.name, &check, writing);
        });
        // An agent tells the rest of its node when it compares itself with the catalog.
        let _ = self.write(|tables, writing| tables.put_node(&node, writing));
    }

    fn register(&mut self, registration: &Registration) -> Result<Answer, Refused> {
        let node = &registration.node;
        self.write(|tables, writing| {
            if !registration.skip_node_update || tables.host(&node.name).is_none() {
                tables.put_node(node, writing)?;
            }
            if let Some(service) = &registration.service {
                if service.id.is_empty() {
                    return Err(Refusal::internal(
                        "failed inserting service: failed inserting service: object missing primary index",
                    ));
                }
                tables.put_service(&node.name, service, writing);
            }
            for (on, check) in &registration.checks {
                if !on.is_empty() && *on != node.name {
                    return Err(Refusal::internal(format!(
                        "check node {} does not match node {}",
                        quote(on),
                        quote(&node.name)
                    )));
                }
                tables.put_check(&node.name, check, writing)?;
            }
            Ok(Answer::Flag(true))
        })
    }

    fn deregister(&mut self, node: &str, service: &str, check: &str) -> Answer {
        self.write(|tables, writing| match (service, check) {
            ("", "") => tables.remove_node(node, writing),
            ("", check) => tables.remove_check(node, check, writing),
            (service, _) => tables.remove_service(node, service, writing),
        });
        Answer::Flag(true)
    }

    fn fire(&mut self, mut event: UserEvent) -> Answer {
        let told = event.clone();
        self.lamport += 1;
        event.lamport = self.lamport;
        if !self.concerns(&event) {
            return Answer::Event(Box::new(told));
        }
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.changes.add(Key::Events);
        Answer::Event(Box::new(told))
    }

    /// Whether an event is for this agent: its node, and a service with its tag, if it asks for them.
    fn concerns(&self, event: &UserEvent) -> bool {
        let matches = |pattern: &str, text: &str| {
            pattern.is_empty() || regex_lite::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
        };
        let service = event.service_filter.is_empty()
            || self.agent.services.values().any(|service| {
                let tags = service.tags.as_deref().unwrap_or(&[]);
                matches(&event.service_filter, &service.name)
                    && (event.tag_filter.is_empty() || tags.iter().any(|tag| matches(&event.tag_filter, tag)))
            });
        matches(&event.node_filter, &self.identity.node) && service
    }
}
