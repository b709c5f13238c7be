//! Reading: what answers are made of, with the index that belongs to each (Consul's state store, one rule for each query).

use super::agent::Local;
use super::command::{AgentCheck, Means};
use super::due::Due;
use super::snapshot::Snapshot;
use super::{Answer, Check, Entry, Host, Identity, Key, Node, Probe, Service, State, UserEvent, kv};

impl State {
    /// Who this catalog is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The index of the last write.
    pub fn index(&self) -> u64 {
        self.index
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.tables.hosts.values()
    }

    pub(crate) fn host(&self, node: &str) -> Option<&Host> {
        self.tables.hosts.get(node)
    }

    pub(crate) fn instances<'a>(&'a self, service: &str) -> impl Iterator<Item = (&'a Host, &'a Service)> {
        self.tables.instances(service)
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.hosts().map(|host| &host.node)
    }

    /// The names of the services, in order.
    pub fn service_names(&self) -> impl Iterator<Item = &str> {
        self.tables.instances.keys().map(String::as_str)
    }

    /// The instances of a service with their nodes.
    pub fn service_instances<'a>(&'a self, service: &str) -> impl Iterator<Item = (&'a Node, &'a Service)> {
        self.instances(service).map(|(host, service)| (&host.node, service))
    }

    /// All checks with their nodes, by node and identity.
    pub fn checks(&self) -> impl Iterator<Item = (&str, &Check)> {
        self.hosts().flat_map(|host| host.checks.values().map(|check| (host.node.name.as_str(), check)))
    }

    /// The checks that decide over an instance: those of its node, then its own.
    pub fn instance_checks<'a>(&'a self, node: &str, service: &'a str) -> impl Iterator<Item = &'a Check> {
        let host = self.host(node);
        host.into_iter().flat_map(move |host| host.checks_of("").chain(host.checks_of(service)))
    }

    /// The index of what is asked of the instances of a service; `with_checks` where their checks are part of the answer.
    pub fn service_index(&self, service: &str, with_checks: bool) -> u64 {
        if let Some(index) = self.tables.service_indexes.get(service) {
            return *index;
        }
        match self.indexes.extinction {
            0 if with_checks => self.indexes.nodes.max(self.indexes.services).max(self.indexes.checks),
            0 => self.indexes.nodes.max(self.indexes.services),
            index => index,
        }
    }

    /// The index of the nodes.
    pub fn nodes_index(&self) -> u64 {
        self.indexes.nodes
    }

    /// The index of the services.
    pub fn services_index(&self) -> u64 {
        self.indexes.services
    }

    /// The index of the checks.
    pub fn checks_index(&self) -> u64 {
        self.indexes.checks
    }

    /// The index of the sessions.
    pub fn sessions_index(&self) -> u64 {
        self.indexes.sessions
    }

    /// A key.
    pub fn kv(&self, key: &[u8]) -> Option<&Entry> {
        self.kv.get(key)
    }

    /// The index of a key: its own, or the store's where it is not there.
    pub fn kv_index(&self, key: &[u8]) -> u64 {
        self.kv.get(key).map_or_else(|| self.kv_table_index(), |entry| entry.stamp.modified)
    }

    fn kv_table_index(&self) -> u64 {
        self.indexes.kvs.max(self.indexes.tombstones)
    }

    /// The keys that begin so.
    pub fn kv_list<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Entry)> {
        self.kv.list(prefix)
    }

    /// The index of the keys that begin so: of their last change or deletion, else the store's.
    pub fn kv_list_index(&self, prefix: &[u8]) -> u64 {
        let own = self.kv.list(prefix).map(|(_, entry)| entry.stamp.modified).max().unwrap_or(0);
        match own.max(self.kv.tombstone(prefix)) {
            0 => self.kv_table_index(),
            index => index,
        }
    }

    /// The events, the oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &UserEvent> {
        self.events.iter()
    }

    /// The services of the agent, by identity.
    pub fn agent_services(&self) -> impl Iterator<Item = &Service> {
        self.agent.services.values()
    }

    /// A service of the agent.
    pub fn agent_service(&self, id: &str) -> Option<&Service> {
        self.agent.services.get(id)
    }

    /// The checks of the agent, by identity.
    pub fn agent_checks(&self) -> impl Iterator<Item = &Check> {
        self.agent.checks.values().map(|local| &local.spec.check)
    }

    /// The checks of one service of the agent; of its node for the empty name.
    pub fn agent_checks_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Check> {
        self.agent.checks_of(service)
    }

    /// What the catalog itself has to probe: identity of the check, and how.
    pub fn probes(&self) -> impl Iterator<Item = (&str, &Probe)> {
        self.agent.checks.iter().filter_map(|(id, Local { spec: AgentCheck { means, .. }, .. })| match means {
            Means::Probe(probe) => Some((id.as_str(), &**probe)),
            Means::Ttl(_) | Means::Alias { .. } | Means::Fixed => None,
        })
    }

    /// The whole state.
    pub fn snapshot(&self) -> Snapshot {
        let named = |host: &Host| host.node.name.clone();
        Snapshot {
            index: self.index,
            indexes: self.indexes,
            nodes: self.nodes().cloned().collect(),
            services: self
                .hosts()
                .flat_map(|host| host.services.values().map(move |service| (named(host), service.clone())))
                .collect(),
            checks: self
                .hosts()
                .flat_map(|host| host.checks.values().map(move |check| (named(host), check.clone())))
                .collect(),
            service_indexes: self.tables.service_indexes.iter().map(|(name, index)| (name.clone(), *index)).collect(),
            kv: self.kv.all().map(|(key, entry)| (key.clone(), entry.clone())).collect(),
            sessions: self.sessions().cloned().collect(),
            agent_services: self.agent_services().cloned().collect(),
            agent_checks: self.agent.checks.values().map(|local| local.spec.clone()).collect(),
        }
    }

    /// Replaces everything; all deadlines begin anew, and everybody who waits is woken. The index never goes back.
    pub(super) fn restore(&mut self, snapshot: Snapshot) -> Answer {
        let events = std::mem::take(&mut self.events);
        let waiting = self.everything();
        *self = State { events, index: self.index, ..State::new(self.identity.clone(), self.now) };
        self.tables = super::Tables::default();
        self.index = self.index.max(snapshot.index) + 1;
        self.indexes = snapshot.indexes;
        for node in snapshot.nodes {
            self.tables.hosts.insert(node.name.clone(), Host { node, ..Host::default() });
        }
        for (node, service) in snapshot.services {
            let Some(host) = self.tables.hosts.get_mut(&node) else { continue };
            self.tables.instances.entry(service.name.clone()).or_default().insert((node, service.id.clone()));
            host.services.insert(service.id.clone(), service);
        }
        for (node, check) in snapshot.checks {
            let Some(host) = self.tables.hosts.get_mut(&node) else { continue };
            host.checks_of.entry(check.service_id.clone()).or_default().insert(check.id.clone());
            host.checks.insert(check.id.clone(), check);
        }
        self.tables.service_indexes = snapshot.service_indexes.into_iter().collect();
        self.kv = kv::KvStore::default();
        for (key, entry) in snapshot.kv {
            self.kv.restore(key, entry);
        }
        for session in snapshot.sessions {
            self.admit(session);
        }
        for service in snapshot.agent_services {
            self.agent.services.insert(service.id.clone(), service);
        }
        for spec in snapshot.agent_checks {
            self.keep_check(spec, false);
        }
        for key in waiting.into_iter().chain(self.everything()) {
            self.changes.add(key);
        }
        Answer::Done
    }

    /// Every key that somebody may wait for.
    fn everything(&self) -> Vec<Key> {
        let mut keys = vec![Key::Services, Key::Nodes, Key::Checks, Key::Sessions, Key::Events, Key::Probes];
        keys.extend(self.kv.all().map(|(key, _)| Key::Kv(key.clone())));
        keys.extend(self.service_names().map(|name| Key::Service(name.to_owned())));
        for node in self.nodes() {
            keys.push(Key::Node(node.name.clone()));
            keys.push(Key::NodeChecks(node.name.clone()));
        }
        keys.extend(self.agent.services.keys().map(|id| Key::Agent(id.clone())));
        keys
    }

    /// Begins all deadlines anew, after a log was replayed with the times of an earlier process.
    pub fn rebase(&mut self, now: super::Time) {
        let snapshot = self.snapshot();
        let index = self.index;
        self.now = now;
        self.restore(snapshot);
        self.index = index;
        self.changes.clear();
        let mut slot = self.agent.compare_at;
        self.deadlines.set(Due::Agent, &mut slot, Some(now));
        self.agent.compare_at = slot;
    }
}
