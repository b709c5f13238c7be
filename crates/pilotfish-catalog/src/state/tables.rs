//! Nodes, services and checks, and the indexes of Consul's state store for them: one for each table, one for each service
//! (changed with its instances, their checks and nodes), and the index at which the last instance of any service went.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{Changes, Key};
use super::types::{CRITICAL, Check, Node, Service, Stamp};
use super::{Refusal, Refused, fold, quote};

/// The index of the last change of each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Indexes {
    pub(crate) nodes: u64,
    pub(crate) services: u64,
    pub(crate) checks: u64,
    pub(crate) kvs: u64,
    pub(crate) tombstones: u64,
    pub(crate) sessions: u64,
    /// When the last instance of a service went; 0 if none ever did.
    pub(crate) extinction: u64,
}

/// A node with what is on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) checks: BTreeMap<String, Check>,
    /// The checks by the service that they are about; those of the node itself under the empty name.
    pub(crate) checks_of: BTreeMap<String, BTreeSet<String>>,
}

impl Host {
    /// The checks of a service, or of the node itself for the empty name, in the order of their identities.
    pub(crate) fn checks_of<'a>(&'a self, service: &str) -> impl Iterator<Item = &'a Check> {
        self.checks_of.get(service).into_iter().flatten().filter_map(|id| self.checks.get(id))
    }
}

/// The tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) hosts: BTreeMap<String, Host>,
    /// Instances by service: node and identity.
    pub(crate) instances: BTreeMap<String, BTreeSet<(String, String)>>,
    pub(crate) service_indexes: BTreeMap<String, u64>,
}

/// A check of a node that sessions may depend on: it has become critical, or is gone.
pub(crate) type Broken = (String, String);

/// One write of the tables: its index, and what it has to mark.
pub(crate) struct Writing<'a> {
    pub(crate) index: u64,
    pub(crate) indexes: &'a mut Indexes,
    pub(crate) changes: &'a mut Changes,
    /// Checks that sessions may have depended on.
    pub(crate) broken: Vec<Broken>,
    /// Nodes that are gone.
    pub(crate) gone: Vec<String>,
}

impl Tables {
    /// A node with what is on it; names count without their case.
    pub(crate) fn host(&self, node: &str) -> Option<&Host> {
        self.hosts.get(&fold(node))
    }

    /// A service of a node.
    pub(crate) fn service(&self, node: &str, id: &str) -> Option<&Service> {
        self.host(node)?.services.get(id)
    }

    /// The instances of a service, ordered by node and identity.
    pub(crate) fn instances<'a>(&'a self, service: &str) -> impl Iterator<Item = (&'a Host, &'a Service)> {
        self.instances.get(&fold(service)).into_iter().flatten().filter_map(|(node, id)| {
            let host = self.hosts.get(node)?;
            Some((host, host.services.get(id)?))
        })
    }

    /// Registers a node; a node of the same identity and another name is renamed.
    pub(crate) fn put_node(&mut self, node: &Node, writing: &mut Writing<'_>) -> Result<(), Refused> {
        if !node.id.is_empty() {
            let renamed = self.hosts.values().find(|host| host.node.id == node.id && host.node.name != node.name);
            if let Some(name) = renamed.map(|host| host.node.name.clone()) {
                self.rename(&name, node, writing)?;
            }
        }
        let host = self.hosts.entry(fold(&node.name)).or_default();
        let fresh = host.node.stamp.created == 0;
        let stamp = Stamp { created: if fresh { writing.index } else { host.node.stamp.created }, ..host.node.stamp };
        let mut node = Node { stamp, ..node.clone() };
        if node == host.node {
            return Ok(());
        }
        node.stamp.modified = writing.index;
        host.node = node;
        writing.indexes.nodes = writing.index;
        writing.changes.add(Key::Nodes);
        let name = fold(&host.node.name);
        self.touch_services(&name, writing);
        writing.changes.add(Key::Node(name));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &Node, writing: &mut Writing<'_>) -> Result<(), Refused> {
        if self.host(&to.name).is_some_and(|host| host.node.name != from) {
            return Err(Refusal::internal(format!(
                "failed inserting node: Error while renaming Node ID: \"{}\": Node name {} is reserved by node {} with name {}",
                to.id, to.name, to.id, from
            )));
        }
        // What was on the node goes with the old name: the agent that runs under the new one registers it again.
        let created = self.host(from).map_or(0, |host| host.node.stamp.created);
        self.remove_node(from, writing);
        let stamp = Stamp { created, modified: 0 };
        self.hosts.insert(fold(&to.name), Host { node: Node { stamp, ..to.clone() }, ..Host::default() });
        Ok(())
    }

    /// Registers a service on a node that exists.
    pub(crate) fn put_service(&mut self, node: &str, service: &Service, writing: &mut Writing<'_>) {
        let node = &fold(node);
        let Some(host) = self.hosts.get_mut(node) else { return };
        let before = host.services.get(&service.id);
        let stamp = before.map_or(Stamp { created: writing.index, modified: writing.index }, |before| before.stamp);
        let mut service = Service { stamp, ..service.clone() };
        if before == Some(&service) {
            return;
        }
        service.stamp.modified = writing.index;
        let renamed = before.filter(|before| before.name != service.name).map(|before| before.name.clone());
        let (id, name) = (service.id.clone(), service.name.clone());
        host.services.insert(id.clone(), service);
        if let Some(old) = renamed {
            self.unlink(node, &id, &old, writing);
        }
        self.instances.entry(fold(&name)).or_default().insert((node.clone(), id));
        writing.indexes.services = writing.index;
        self.touch_service(&name, writing);
        writing.changes.add(Key::Services);
        writing.changes.add(Key::Node(node.clone()));
    }

    /// Registers a check on a node.
    ///
    /// # Errors
    /// When its node or service is not there.
    pub(crate) fn put_check(&mut self, node: &str, check: &Check, writing: &mut Writing<'_>) -> Result<(), Refused> {
        let shown = quote(node);
        let node = &fold(node);
        let Some(host) = self.hosts.get_mut(node) else {
            return Err(Refusal::internal("failed inserting check: Missing node registration"));
        };
        if check.id.is_empty() {
            return Err(Refusal::internal(format!(
                "failed inserting check: failed inserting check: object missing primary index on node {shown}"
            )));
        }
        let mut check = check.clone();
        if check.status.is_empty() {
            CRITICAL.clone_into(&mut check.status);
        }
        if !check.service_id.is_empty() {
            let Some(service) = host.services.get(&check.service_id) else {
                return Err(Refusal::internal(format!(
                    "failed inserting check: Missing service registration on node {shown}"
                )));
            };
            check.service_name.clone_from(&service.name);
            check.service_tags.clone_from(&service.tags);
        }
        if check.status == CRITICAL {
            writing.broken.push((node.to_owned(), check.id.clone()));
        }
        let before = host.checks.get(&check.id);
        check.stamp = before.map_or(Stamp { created: writing.index, modified: writing.index }, |before| before.stamp);
        if before == Some(&check) {
            return Ok(());
        }
        check.stamp.modified = writing.index;
        let moved =
            before.filter(|before| before.service_id != check.service_id).map(|before| before.service_id.clone());
        if let Some(old) = &moved
            && let Some(ids) = host.checks_of.get_mut(old)
        {
            ids.remove(&check.id);
        }
        host.checks_of.entry(check.service_id.clone()).or_default().insert(check.id.clone());
        let service = check.service_id.clone();
        host.checks.insert(check.id.clone(), check);
        self.touch_check(node, &service, writing);
        if let Some(old) = moved {
            self.touch_check(node, &old, writing);
        }
        Ok(())
    }

    /// Removes a node with everything on it.
    pub(crate) fn remove_node(&mut self, name: &str, writing: &mut Writing<'_>) {
        let name = &fold(name);
        let Some(host) = self.hosts.get(name) else { return };
        let services: Vec<String> = host.services.keys().cloned().collect();
        let checks: Vec<String> = host.checks.keys().cloned().collect();
        for id in services {
            self.remove_service(name, &id, writing);
        }
        for id in checks {
            self.remove_check(name, &id, writing);
        }
        self.hosts.remove(name);
        writing.indexes.nodes = writing.index;
        writing.changes.add(Key::Nodes);
        writing.changes.add(Key::Node(name.to_owned()));
        writing.gone.push(name.to_owned());
    }

    /// Removes a service with its checks.
    pub(crate) fn remove_service(&mut self, node: &str, id: &str, writing: &mut Writing<'_>) {
        let node = &fold(node);
        let Some(host) = self.hosts.get(node) else { return };
        if !host.services.contains_key(id) {
            return;
        }
        for check in host.checks_of.get(id).cloned().unwrap_or_default() {
            self.remove_check(node, &check, writing);
        }
        let Some(service) = self.hosts.get_mut(node).and_then(|host| host.services.remove(id)) else { return };
        self.unlink(node, id, &service.name, writing);
        writing.indexes.services = writing.index;
        // As in Consul, also where it had none.
        writing.indexes.checks = writing.index;
        writing.changes.add(Key::Services);
        writing.changes.add(Key::Node(node.to_owned()));
    }

    /// Removes a check.
    pub(crate) fn remove_check(&mut self, node: &str, id: &str, writing: &mut Writing<'_>) {
        let node = &fold(node);
        let Some(host) = self.hosts.get_mut(node) else { return };
        let Some(check) = host.checks.remove(id) else { return };
        if let Some(ids) = host.checks_of.get_mut(&check.service_id) {
            ids.remove(id);
            if ids.is_empty() {
                host.checks_of.remove(&check.service_id);
            }
        }
        writing.broken.push((node.to_owned(), id.to_owned()));
        self.touch_check(node, &check.service_id, writing);
    }

    /// Takes an instance from its service's list; with the last one, the service is extinct.
    fn unlink(&mut self, node: &str, id: &str, service: &str, writing: &mut Writing<'_>) {
        let service = &fold(service);
        if let Some(instances) = self.instances.get_mut(service) {
            instances.remove(&(node.to_owned(), id.to_owned()));
            if instances.is_empty() {
                self.instances.remove(service);
                self.service_indexes.remove(service);
                writing.indexes.extinction = writing.index;
                writing.changes.add(Key::Service(service.to_owned()));
                return;
            }
        }
        self.touch_service(service, writing);
    }

    fn touch_check(&mut self, node: &str, service: &str, writing: &mut Writing<'_>) {
        writing.indexes.checks = writing.index;
        writing.changes.add(Key::Checks);
        writing.changes.add(Key::NodeChecks(node.to_owned()));
        if service.is_empty() {
            self.touch_services(node, writing);
        } else if let Some(name) = self.service(node, service).map(|service| service.name.clone()) {
            self.touch_service(&name, writing);
        }
    }

    /// A node, or a check of it, is part of the answer for every service on it.
    fn touch_services(&mut self, node: &str, writing: &mut Writing<'_>) {
        let Some(host) = self.hosts.get(node) else { return };
        let mut names = BTreeSet::new();
        names.extend(host.services.values().map(|service| service.name.clone()));
        for name in names {
            self.touch_service(&name, writing);
        }
    }

    fn touch_service(&mut self, name: &str, writing: &mut Writing<'_>) {
        self.service_indexes.insert(fold(name), writing.index);
        writing.changes.add(Key::Service(fold(name)));
    }
}
