//! Reading: what answers are made of, with the index that belongs to each (Consul's state store, one rule for each query).

use std::collections::BTreeSet;

use super::agent::Local;
use super::command::{AgentCheck, Means};
use super::snapshot::Snapshot;
use super::{Answer, Check, Entry, Host, Identity, Node, Probe, Service, State, UserEvent, fold, kv};

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
        self.tables.host(node)
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
        let instances = self.tables.instances.keys().flat_map(|name| self.tables.instances(name));
        let mut names = BTreeSet::new();
        names.extend(instances.map(|(_, service)| service.name.as_str()));
        names.into_iter()
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
        if let Some(index) = self.tables.service_indexes.get(&fold(service)) {
            return *index;
        }
        match self.indexes.extinction {
            0 if with_checks => self.indexes.nodes.max(self.indexes.services).max(self.indexes.checks),
            0 => self.indexes.nodes.max(self.indexes.services),
            index => index,
        }
    }

    /// The index of what is asked of a service of which nothing is found, though it may be there.
    pub(crate) fn missing_index(&self, service: &str) -> u64 {
        if self.indexes.extinction > 0 { self.indexes.extinction } else { self.service_index(service, true) }
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
    ///
    /// Consul forgets the deletion of a tree that they were part of, and then leaves those who wait for them without an answer.
    pub fn kv_list_index(&self, prefix: &[u8]) -> u64 {
        let own = self.kv.list(prefix).map(|(_, entry)| entry.stamp.modified).max().unwrap_or(0);
        match own.max(self.kv.tombstone(prefix)) {
            0 => self.kv_table_index(),
            index => index.max(self.kv.tree(prefix)),
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

    /// Replaces everything; all deadlines begin anew. The index never goes back.
    /// What changed is not told key by key: everybody who waits has to look again.
    pub(super) fn restore(&mut self, snapshot: Snapshot) -> Answer {
        let events = std::mem::take(&mut self.events);
        *self =
            State { events, lamport: self.lamport, index: self.index, ..State::new(self.identity.clone(), self.now) };
        self.tables = super::Tables::default();
        self.index = self.index.max(snapshot.index) + 1;
        self.indexes = snapshot.indexes;
        for node in snapshot.nodes {
            self.tables.hosts.insert(fold(&node.name), Host { node, ..Host::default() });
        }
        for (node, service) in snapshot.services {
            let Some(host) = self.tables.hosts.get_mut(&fold(&node)) else { continue };
            self.tables.instances.entry(fold(&service.name)).or_default().insert((fold(&node), service.id.clone()));
            host.services.insert(service.id.clone(), service);
        }
        for (node, check) in snapshot.checks {
            let Some(host) = self.tables.hosts.get_mut(&fold(&node)) else { continue };
            host.checks_of.entry(check.service_id.clone()).or_default().insert(check.id.clone());
            host.checks.insert(check.id.clone(), check);
        }
        self.tables.service_indexes.clear();
        self.tables.service_indexes.extend(snapshot.service_indexes);
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
            self.keep_check(spec);
        }
        Answer::Done
    }
}
