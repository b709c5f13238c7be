//! The key-value store, with its tombstones: what was deleted counts for the index of a prefix until it is forgotten.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use super::changes::{Changes, Key};
use super::tables::Indexes;
use super::types::{Entry, Stamp, Time};

/// How long the index of a deletion is remembered, as Consul does (`tombstone_ttl`).
const TOMBSTONE_TIME: Duration = Duration::from_secs(15 * 60);

/// How many deletions are remembered: a memory limit that Consul does not need.
const TOMBSTONES: usize = 100_000;

/// The store.
#[derive(Debug, Default)]
pub(crate) struct KvStore {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// The index of each deletion, of keys and of whole trees.
    tombstones: BTreeMap<Vec<u8>, u64>,
    /// The same for trees alone.
    trees: BTreeMap<Vec<u8>, u64>,
    /// When each deletion was, with its index.
    buried: VecDeque<(Time, Vec<u8>, u64)>,
    /// The keys that each session holds.
    held: BTreeMap<String, BTreeSet<Vec<u8>>>,
    /// Until when keys of invalidated sessions cannot be locked.
    delays: BTreeMap<Vec<u8>, Time>,
    /// What there was before a transaction, the oldest first.
    undo: Option<Undo>,
}

/// What the store remembers beside its entries: deletions, and keys that cannot be locked yet.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Memory {
    tombstones: Vec<(Vec<u8>, u64)>,
    trees: Vec<(Vec<u8>, u64)>,
    pub(crate) buried: Vec<(Time, Vec<u8>, u64)>,
    pub(crate) delays: Vec<(Vec<u8>, Time)>,
}

/// What a transaction has changed so far: what there was before.
#[derive(Debug, Default)]
struct Undo {
    entries: Vec<(Vec<u8>, Option<Entry>)>,
    graves: Vec<(Vec<u8>, Option<u64>, Option<u64>)>,
}

/// One write of the store: its index and time, and what it has to mark.
pub(crate) struct Writing<'a> {
    pub(crate) index: u64,
    pub(crate) now: Time,
    pub(crate) indexes: &'a mut Indexes,
    pub(crate) changes: &'a mut Changes,
}

impl KvStore {
    /// One entry.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The entries that begin so, in order.
    pub(crate) fn list<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = (&'a Vec<u8>, &'a Entry)> {
        self.entries
            .range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
    }

    /// The index of the last deletion of a tree that a prefix was part of; 0 if none is remembered.
    pub(crate) fn tree(&self, prefix: &[u8]) -> u64 {
        if self.trees.is_empty() {
            return 0;
        }
        (0..=prefix.len()).filter_map(|end| self.trees.get(&prefix[..end])).max().copied().unwrap_or(0)
    }

    /// The index of the last deletion under a prefix; 0 if none is remembered.
    pub(crate) fn tombstone(&self, prefix: &[u8]) -> u64 {
        let range = self.tombstones.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        range.take_while(|(key, _)| key.starts_with(prefix)).map(|(_, index)| *index).max().unwrap_or(0)
    }

    /// The keys that a session holds.
    pub(crate) fn held_by(&self, session: &str) -> Vec<Vec<u8>> {
        self.held.get(session).into_iter().flatten().cloned().collect()
    }

    /// Whether a key cannot be locked yet, because the session that held it was invalidated.
    pub(crate) fn is_delayed(&self, key: &[u8], now: Time) -> bool {
        self.delays.get(key).is_some_and(|until| now < *until)
    }

    /// Keeps a key from being locked.
    pub(crate) fn delay(&mut self, key: Vec<u8>, until: Time, now: Time) {
        self.delays.retain(|_, until| now < *until);
        self.delays.insert(key, until);
    }

    /// Writes an entry; one that says the same already stays as it is, with its index. Returns what is there then.
    pub(crate) fn put(&mut self, key: &[u8], entry: Entry, writing: &mut Writing<'_>) -> Entry {
        let before = self.entries.get(key);
        let created = before.map_or(writing.index, |before| before.stamp.created);
        let stamp = before.map_or(Stamp::default(), |before| before.stamp);
        let mut entry = Entry { stamp, ..entry };
        if before == Some(&entry) {
            return entry;
        }
        entry.stamp = Stamp { created, modified: writing.index };
        self.replace(key, Some(entry.clone()));
        writing.indexes.kvs = writing.index;
        writing.changes.add(Key::Kv(key.to_vec()));
        entry
    }

    /// Deletes an entry, if it is there.
    pub(crate) fn remove(&mut self, key: &[u8], writing: &mut Writing<'_>) {
        if !self.entries.contains_key(key) {
            return;
        }
        self.unlink(key, writing);
        self.bury(key.to_vec(), false, writing);
    }

    fn unlink(&mut self, key: &[u8], writing: &mut Writing<'_>) {
        self.replace(key, None);
        writing.indexes.kvs = writing.index;
        writing.indexes.tombstones = writing.index;
        writing.changes.add(Key::Kv(key.to_vec()));
    }

    /// Deletes all entries that begin so.
    pub(crate) fn remove_tree(&mut self, prefix: &[u8], writing: &mut Writing<'_>) {
        let keys: Vec<Vec<u8>> = self.list(prefix).map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.unlink(key, writing);
        }
        if !keys.is_empty() {
            self.bury(prefix.to_vec(), true, writing);
        }
    }

    /// Forgets deletions of long ago.
    pub(crate) fn forget(&mut self, now: Time) {
        while let Some((at, ..)) = self.buried.front() {
            if now < *at + TOMBSTONE_TIME && self.buried.len() <= TOMBSTONES {
                break;
            }
            let Some((_, key, index)) = self.buried.pop_front() else { break };
            // A key that was deleted again since is remembered for its younger deletion.
            if self.tombstones.get(&key) == Some(&index) {
                self.tombstones.remove(&key);
                self.trees.remove(&key);
            }
        }
    }

    /// Remembers from now on what there was.
    pub(crate) fn begin(&mut self) {
        self.undo = Some(Undo::default());
    }

    /// Ends a transaction, undoing it if it failed.
    pub(crate) fn end(&mut self, failed: bool) {
        let undo = self.undo.take().unwrap_or_default();
        if failed {
            for (key, entry) in undo.entries.into_iter().rev() {
                self.replace(&key, entry);
            }
            for (key, tombstone, tree) in undo.graves.into_iter().rev() {
                set(&mut self.tombstones, &key, tombstone);
                set(&mut self.trees, &key, tree);
            }
        }
    }

    /// All entries, for a snapshot.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Vec<u8>, &Entry)> {
        self.entries.iter()
    }

    /// Puts an entry of a snapshot in its place.
    pub(crate) fn restore(&mut self, key: Vec<u8>, entry: Entry) {
        self.replace(&key, Some(entry));
    }

    /// What is remembered beside the entries.
    pub(crate) fn memory(&self) -> Memory {
        let pairs = |graves: &BTreeMap<Vec<u8>, u64>| graves.iter().map(|(key, index)| (key.clone(), *index)).collect();
        Memory {
            tombstones: pairs(&self.tombstones),
            trees: pairs(&self.trees),
            buried: self.buried.iter().cloned().collect(),
            delays: self.delays.iter().map(|(key, until)| (key.clone(), *until)).collect(),
        }
    }

    /// Remembers what another store did.
    pub(crate) fn remember(&mut self, memory: Memory) {
        self.tombstones.clear();
        self.tombstones.extend(memory.tombstones);
        self.trees.clear();
        self.trees.extend(memory.trees);
        self.buried = memory.buried.into();
        self.delays.clear();
        self.delays.extend(memory.delays);
    }

    fn bury(&mut self, key: Vec<u8>, tree: bool, writing: &Writing<'_>) {
        if let Some(undo) = &mut self.undo {
            undo.graves.push((key.clone(), self.tombstones.get(&key).copied(), self.trees.get(&key).copied()));
        }
        self.buried.push_back((writing.now, key.clone(), writing.index));
        if tree {
            self.trees.insert(key.clone(), writing.index);
        }
        self.tombstones.insert(key, writing.index);
    }

    fn replace(&mut self, key: &[u8], entry: Option<Entry>) {
        let holder =
            |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.session.clone()).filter(|id| !id.is_empty());
        let after = holder(&entry);
        let before = match entry {
            Some(entry) => self.entries.insert(key.to_vec(), entry),
            None => self.entries.remove(key),
        };
        let held = holder(&before);
        if held != after {
            if let Some(session) = held
                && let Some(keys) = self.held.get_mut(&session)
            {
                keys.remove(key);
                if keys.is_empty() {
                    self.held.remove(&session);
                }
            }
            if let Some(session) = after {
                self.held.entry(session).or_default().insert(key.to_vec());
            }
        }
        if let Some(undo) = &mut self.undo {
            undo.entries.push((key.to_vec(), before));
        }
    }
}

fn set(graves: &mut BTreeMap<Vec<u8>, u64>, key: &[u8], index: Option<u64>) {
    match index {
        Some(index) => _ = graves.insert(key.to_vec(), index),
        None => _ = graves.remove(key),
    }
}
