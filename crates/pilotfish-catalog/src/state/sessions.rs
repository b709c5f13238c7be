//! Sessions, and the locks of the key-value store that they hold.

use std::collections::BTreeMap;
use std::time::Duration;

use super::changes::Key;
use super::command::KvWrite;
use super::due::Due;
use super::kv;
use super::tables::Broken;
use super::types::{Behavior, CRITICAL, Entry, Session, Stamp, Time};
use super::{Answer, Refusal, Refused, State, fold, quote};

/// The longest lock-delay (Consul documentation, sessions).
const LOCK_DELAY_MAX: Duration = Duration::from_secs(60);

/// A session is invalidated after its TTL times this, as Consul does (`sessionTTLMultiplier`).
const TTL_FACTOR: u32 = 2;

/// A session with its deadline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) session: Session,
    expires_at: Option<Time>,
}

/// All sessions by identity.
pub(crate) type Sessions = BTreeMap<String, Live>;

impl Session {
    /// The checks that must not be critical.
    fn needs(&self) -> impl Iterator<Item = &String> {
        let lists = [&self.node_checks, &self.service_checks, &self.checks];
        lists.into_iter().flatten().flatten()
    }

    fn depends_on(&self, (node, check): &Broken) -> bool {
        fold(&self.node) == fold(node) && self.needs().any(|id| id == check)
    }
}

/// Refuses what cannot be the identity of a session.
pub(crate) fn well_formed(id: &str) -> Result<(), Refused> {
    let text = "failed session lookup: index error: ";
    if id.len() != 36 {
        return Err(Refusal::internal(format!("{text}UUID must be 36 characters")));
    }
    let dashes = id.bytes().filter(|byte| *byte == b'-').count();
    if dashes != 4 {
        return Err(Refusal::internal(format!("{text}UUID should have 4 hyphens; got {dashes}")));
    }
    Ok(())
}

impl State {
    /// A session.
    pub fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id).map(|live| &live.session)
    }

    /// All sessions, in order of identity.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(|live| &live.session)
    }

    pub(super) fn create_session(&mut self, mut session: Session) -> Result<Answer, Refused> {
        self.index += 1;
        let Some(host) = self.tables.host(&session.node) else {
            return Err(Refusal::internal("Missing node registration"));
        };
        for id in session.needs() {
            match host.checks.get(id) {
                None => return Err(Refusal::internal(format!("Missing check '{id}' registration"))),
                Some(check) if check.status == CRITICAL => {
                    return Err(Refusal::internal(format!("Check '{id}' is in critical state")));
                }
                Some(_) => {}
            }
        }
        session.lock_delay = session.lock_delay.min(Duration::MAX);
        session.stamp = Stamp { created: self.index, modified: self.index };
        self.indexes.sessions = self.index;
        self.changes.add(Key::Sessions);
        let id = session.id.clone();
        self.admit(session);
        Ok(Answer::Created(id))
    }

    /// Takes a session in, with its deadline.
    pub(super) fn admit(&mut self, session: Session) {
        let id = session.id.clone();
        let mut live = Live { expires_at: None, session };
        let expires = live.session.ttl_time.map(|ttl| self.now + ttl * TTL_FACTOR);
        self.deadlines.set(Due::Session(id.clone()), &mut live.expires_at, expires);
        self.sessions.insert(id, live);
    }

    pub(super) fn destroy_session(&mut self, id: &str) -> Result<Answer, Refused> {
        self.index += 1;
        well_formed(id)?;
        self.invalidate(id);
        Ok(Answer::Flag(true))
    }

    pub(super) fn renew_session(&mut self, id: &str) -> Result<Answer, Refused> {
        well_formed(id)?;
        let Some(live) = self.sessions.get_mut(id) else {
            return Err(Refusal { status: 404, text: format!("Session id '{id}' not found") });
        };
        let expires = live.session.ttl_time.map(|ttl| self.now + ttl * TTL_FACTOR);
        self.deadlines.set(Due::Session(id.to_owned()), &mut live.expires_at, expires);
        Ok(Answer::Session(Box::new(live.session.clone())))
    }

    pub(super) fn expire_session(&mut self, id: &str) -> Result<Answer, Refused> {
        self.index += 1;
        self.invalidate(id);
        Ok(Answer::Done)
    }

    /// Ends a session at the present index: its keys are released or deleted, and cannot be locked for its lock-delay.
    fn invalidate(&mut self, id: &str) {
        let Some(mut live) = self.sessions.remove(id) else { return };
        self.deadlines.set(Due::Session(id.to_owned()), &mut live.expires_at, None);
        self.indexes.sessions = self.index;
        self.changes.add(Key::Sessions);
        let delay = live.session.lock_delay.min(LOCK_DELAY_MAX);
        let now = self.now;
        for key in self.kv.held_by(id) {
            let mut writing =
                kv::Writing { index: self.index, now, indexes: &mut self.indexes, changes: &mut self.changes };
            match live.session.behavior {
                Behavior::Release => {
                    if let Some(entry) = self.kv.get(&key).cloned() {
                        self.kv.put(&key, Entry { session: String::new(), ..entry }, &mut writing);
                    }
                }
                Behavior::Delete => self.kv.remove(&key, &mut writing),
            }
            if !delay.is_zero() {
                self.kv.delay(key, now + delay, now);
            }
        }
    }

    /// Ends the sessions that depend on what broke.
    pub(super) fn invalidate_dependents(&mut self, broken: &[Broken], gone: &[String]) {
        if self.sessions.is_empty() {
            return;
        }
        let hit = |session: &Session| {
            gone.contains(&fold(&session.node)) || broken.iter().any(|broken| session.depends_on(broken))
        };
        let ids: Vec<String> =
            self.sessions().filter(|session| hit(session)).map(|session| session.id.clone()).collect();
        for id in ids {
            self.invalidate(&id);
        }
    }

    pub(super) fn write_kv(&mut self, key: &[u8], entry: Entry, write: &KvWrite) -> Result<Answer, Refused> {
        if matches!(write, KvWrite::Lock(_)) && self.kv.is_delayed(key, self.now) {
            return Ok(Answer::Flag(false));
        }
        self.index += 1;
        self.write_entry(key, entry, write).map(|written| Answer::Flag(written.is_some()))
    }

    /// One write at the present index. What is there afterwards (nothing after a deletion), or `None` where it was refused.
    pub(super) fn write_entry(
        &mut self,
        key: &[u8],
        mut entry: Entry,
        write: &KvWrite,
    ) -> Result<Option<Option<Entry>>, Refused> {
        let before = self.kv.get(key);
        let modified = before.map_or(0, |before| before.stamp.modified);
        // A write that is none of a lock forgets how often there was one, as in Consul.
        entry.lock_index = match write {
            KvWrite::Lock(_) | KvWrite::Unlock(_) => before.map_or(0, |before| before.lock_index),
            KvWrite::Set | KvWrite::Cas(_) | KvWrite::Delete | KvWrite::DeleteCas(_) | KvWrite::DeleteTree => 0,
        };
        entry.session = before.map_or(String::new(), |before| before.session.clone());
        let holder = entry.session.clone();
        let admitted = match write {
            KvWrite::Set | KvWrite::Delete | KvWrite::DeleteTree => true,
            KvWrite::Cas(index) => modified == *index,
            KvWrite::DeleteCas(index) => before.is_none() || modified == *index,
            KvWrite::Lock(session) => {
                self.check_session(session)?;
                if holder.is_empty() {
                    entry.lock_index += 1;
                }
                entry.session.clone_from(session);
                holder.is_empty() || holder == *session
            }
            KvWrite::Unlock(session) => {
                if session.is_empty() {
                    return Err(Refusal::internal("missing session"));
                }
                entry.session.clear();
                before.is_some() && holder == *session
            }
        };
        if !admitted {
            return Ok(None);
        }
        let index = self.index;
        let mut writing = kv::Writing { index, now: self.now, indexes: &mut self.indexes, changes: &mut self.changes };
        Ok(Some(match write {
            KvWrite::Set | KvWrite::Cas(_) | KvWrite::Lock(_) | KvWrite::Unlock(_) => {
                Some(self.kv.put(key, entry, &mut writing))
            }
            KvWrite::Delete | KvWrite::DeleteCas(_) => {
                self.kv.remove(key, &mut writing);
                None
            }
            KvWrite::DeleteTree => {
                self.kv.remove_tree(key, &mut writing);
                None
            }
        }))
    }

    fn check_session(&self, session: &str) -> Result<(), Refused> {
        if session.is_empty() {
            return Err(Refusal::internal("missing session"));
        }
        well_formed(session)?;
        if !self.sessions.contains_key(session) {
            return Err(Refusal::internal(format!("invalid session {}", quote(session))));
        }
        Ok(())
    }
}
