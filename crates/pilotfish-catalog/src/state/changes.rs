//! What changed, in the words of those who wait for it.

use std::collections::BTreeSet;

/// Something that an answer can depend on. A change names every key whose answers may be other ones now, and no more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// One key of the key-value store.
    Kv(Vec<u8>),
    /// The instances of a service, with their nodes and checks.
    Service(String),
    /// Which services there are, with their tags.
    Services,
    /// The nodes.
    Nodes,
    /// One node and its services.
    Node(String),
    /// Any check.
    Checks,
    /// The checks of a node.
    NodeChecks(String),
    /// The sessions.
    Sessions,
    /// The events.
    Events,
    /// A service of the agent.
    Agent(String),
    /// What the catalog itself has to probe.
    Probes,
}

/// What a reader waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interest {
    /// A change of this.
    Key(Key),
    /// A change of any key of the key-value store that begins so.
    Prefix(Vec<u8>),
}

impl Interest {
    /// Whether a change of `key` is what is waited for.
    pub fn covers(&self, key: &Key) -> bool {
        match (self, key) {
            (Interest::Key(own), other) => own == other,
            (Interest::Prefix(prefix), Key::Kv(key)) => key.starts_with(prefix),
            (Interest::Prefix(_), _) => false,
        }
    }
}

/// The keys that a change touched, each once.
#[derive(Debug, Default)]
pub struct Changes(BTreeSet<Key>);

impl Changes {
    pub(super) fn add(&mut self, key: Key) {
        self.0.insert(key);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}
