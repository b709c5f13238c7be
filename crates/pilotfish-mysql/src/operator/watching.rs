//! Watching the own server: probes on a connection of their own, looks at its state, and the file system below it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pilotfish_autopilot::{
    Access, Acking, Data, GtidSet, MemberId, Policy, Receiver, Server as ServerState, ServerFacts, Time, set_of,
};

use super::fact::Fact;
use super::{Level, Operator, clock};
use crate::error::Error;
use crate::sql::{Seen, Waiting};
use crate::task::beside;

/// How often the server is looked at while something changes, and while it starts.
const HOT_EVERY: Duration = Duration::from_millis(20);
/// For how long after a change that is.
const HOT_FOR: Duration = Duration::from_secs(3);
/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// How often the file system is written to while the server takes writes.
const STORAGE_EVERY: Duration = Duration::from_millis(500);

/// Where watching stands.
#[derive(Default)]
pub(super) struct Watching {
    /// Until when something changes, so that looks are frequent.
    hot_until: Time,
    /// When the loop woke up last.
    woken: Time,
    probe_at: Time,
    probing: bool,
    /// When the first probe was sent that the server has not answered.
    unanswered: Option<Time>,
    storage_at: Time,
    storage_probing: bool,
    /// When the first write to the file system was begun that has not succeeded.
    unwritten: Option<Time>,
    look_at: Time,
    /// When a disk that could not be read is read again.
    disk_at: Time,
    looking: bool,
    /// Why the last look failed, if that was told.
    look_error: Option<String>,
    /// Since when in-sync members have no acking connection.
    missing: BTreeMap<MemberId, Time>,
    /// When a transaction that says nothing was over; the next may be written after a look that began later.
    beaten: Option<Time>,
    /// When commits that waited were let go, likewise.
    released: Option<Time>,
    /// Since when each look has found a commit that waits, and none that was acknowledged since: how many were before.
    waits: Option<(Time, u64)>,
    /// Members for whom this server has an account to acknowledge with, locked or not.
    prepared: BTreeSet<MemberId>,
    /// What the server said last, for reports.
    pub(super) seen: Option<Box<Seen>>,
}

impl Watching {
    /// Something changes: look often for a while.
    pub(super) fn heat(&mut self, now: Time) {
        self.hot_until = now.after(HOT_FOR);
        self.look_at = self.look_at.min(now);
    }

    pub(super) fn is_hot(&self, now: Time) -> bool {
        self.hot_until > now
    }

    /// The loop woke up. If that took much longer than it ever sleeps, this process was itself stopped: then it is not the server that has been
    /// silent, who was connected may have left, and what waited may have ended. Says whether that is so.
    pub(super) fn woke(&mut self, now: Time, policy: &Policy) -> bool {
        let stopped = now.since(self.woken) > policy.probe_every * 2;
        if stopped {
            self.unanswered = self.unanswered.map(|_| now);
            self.unwritten = self.unwritten.map(|_| now);
            self.waits = self.waits.map(|(_, acknowledged)| (now, acknowledged));
        }
        self.woken = now;
        stopped
    }

    /// Looks at the server at this time, and not later.
    pub(super) fn look_after(&mut self, at: Time) {
        self.look_at = at;
    }

    /// Since when the server has been silent, if it is.
    pub(super) fn silent_since(&self) -> Option<Time> {
        self.unanswered.into_iter().chain(self.unwritten).min()
    }

    /// A new run of the server: what was known of the last does not count.
    pub(super) fn forget(&mut self) {
        *self = Watching { hot_until: self.hot_until, woken: self.woken, ..Watching::default() };
    }

    fn next(&self) -> impl Iterator<Item = Time> {
        let probe = (!self.probing).then_some(self.probe_at);
        let look = (!self.looking).then_some(self.look_at);
        probe.into_iter().chain(look)
    }
}

impl Operator {
    /// Begins what is due.
    pub(super) fn tick(&mut self) {
        let now = clock::now();
        if self.reading.again.is_some_and(|at| at <= now) {
            self.read_catalog();
        }
        if self.run.is_some() {
            if !self.watching.looking && self.watching.look_at <= now {
                self.look(now);
            }
            if self.view.facts().is_some() {
                if !self.watching.probing && self.watching.probe_at <= now {
                    self.probe(now);
                }
                self.probe_storage(now);
                self.prepare_accounts();
            }
        }
        if self.asking.source_at <= now {
            self.ask_source();
        }
        self.meet_members(now);
        if self.view.data == Data::Unknown && self.watching.disk_at <= now {
            self.watching.disk_at = now.after(self.policy.probe_every);
            self.read_disk();
        }
        self.release_lane();
        self.view.unanswered = self.asking.unheard;
        let silent = self.watching.silent_since();
        if let ServerState::Running(facts) = &mut self.view.server {
            facts.silent_since = silent;
        }
    }

    /// When something is due after `tried`. What was due by then was begun, or cannot be before something happens.
    pub(super) fn next_deadline(&self, tried: Time) -> Option<Time> {
        let watching = self.run.as_ref().into_iter().flat_map(|_| self.watching.next());
        let ask = self.view.facts().map(|_| self.asking.source_at);
        let lane = self.finished.filter(|_| self.view.facts().is_none());
        let due = watching.chain(ask).chain(lane).chain(self.wake).chain(self.reading.again);
        due.filter(|at| *at > tried).min()
    }

    /// Makes accounts for other members as soon as they are known: then there is nothing to make when this one is to lead.
    fn prepare_accounts(&mut self) {
        let members = set_of(self.reading.contacts.keys().copied().filter(|member| *member != self.view.me));
        if self.view.busy.server.is_some() || members.is_subset(&self.watching.prepared) {
            return;
        }
        self.watching.prepared = members.clone();
        let database = self.database.clone();
        beside(async move {
            // Whoever is not made now is made when it is let in.
            let _ = database.prepare(&members, LOOK_LIMIT).await;
        });
    }

    /// Writes a transaction that says nothing, which may wait as long as what it is to help.
    pub(super) fn beat(&mut self, now: Time) {
        self.view.busy.beat = true;
        self.view.beat_tried = Some(now);
        let (database, facts) = (self.database.clone(), self.facts.clone());
        beside(async move {
            let _ = facts.send(Fact::Beaten(database.beat().await));
        });
    }

    pub(super) fn has_beaten(&mut self, outcome: &Result<(), Error>) {
        let now = clock::now();
        self.watching.beaten = Some(now);
        self.watching.look_after(now);
        if let Err(error) = outcome {
            (self.log)(Level::Debug, &error.to_string());
        }
    }

    /// Lets go of the commits that wait for an acknowledgement, while all that is in the binary log is in `held`.
    pub(super) fn release(&mut self, now: Time, held: GtidSet) {
        self.view.busy.release = true;
        self.view.release_tried = Some(now);
        let (database, facts) = (self.database.clone(), self.facts.clone());
        beside(async move {
            let _ = facts.send(Fact::Released(database.release(&held, LOOK_LIMIT).await));
        });
    }

    pub(super) fn has_released(&mut self, outcome: &Result<usize, Error>) {
        let now = clock::now();
        self.watching.released = Some(now);
        self.watching.look_after(now);
        match outcome {
            Ok(0) => {}
            Ok(ended) => (self.log)(Level::Warn, &format!("statements that waited were ended: {ended}")),
            Err(error) => (self.log)(Level::Warn, &error.to_string()),
        }
    }

    fn probe(&mut self, now: Time) {
        let Some(run) = &self.run else { return };
        self.watching.probing = true;
        self.watching.probe_at = now.after(self.policy.probe_every);
        self.watching.unanswered.get_or_insert(now);
        let (database, facts, run, limit) =
            (self.database.clone(), self.facts.clone(), run.number, self.policy.hang_limit);
        beside(async move {
            let answer = database.probe(limit).await;
            let _ = facts.send(Fact::Probed { run, answer });
        });
    }

    pub(super) fn was_probed(&mut self, run: u64, answer: Result<(), Error>) {
        if self.run.as_ref().is_none_or(|ours| ours.number != run) {
            return;
        }
        self.watching.probing = false;
        match answer {
            Ok(()) => self.watching.unanswered = None,
            Err(error) => (self.log)(Level::Debug, &format!("probe: {error}")),
        }
    }

    /// A disk that hangs does not keep a server from answering `SELECT 1`: so we write to its file system ourselves. A write by the server
    /// would wait for replicas.
    fn probe_storage(&mut self, now: Time) {
        let writable = self.view.facts().is_some_and(|facts| facts.access == Access::Writable);
        if !writable {
            self.watching.unwritten = None;
            return;
        }
        if self.watching.storage_probing || self.watching.storage_at > now {
            return;
        }
        self.watching.storage_probing = true;
        self.watching.storage_at = now.after(STORAGE_EVERY);
        self.watching.unwritten.get_or_insert(now);
        let (path, facts) = (self.disk.probe_file(), self.facts.clone());
        let as_root = self.settings.user.as_deref() == Some("root");
        tokio::task::spawn_blocking(move || {
            let check = || if as_root { Ok(()) } else { has_room(&path) };
            let _ = facts.send(Fact::StorageProbed(write_a_block(&path).and_then(|()| check())));
        });
    }

    pub(super) fn storage_was_probed(&mut self, answer: std::io::Result<()>) {
        self.watching.storage_probing = false;
        let elsewhere = self.view.holding.as_ref().is_some_and(|holding| holding.lease.config.can_elect());
        match answer {
            Ok(()) => self.watching.unwritten = None,
            // Somebody with space left can lead. If there is nobody, a server that at least answers is better than none.
            Err(_) if elsewhere => {}
            Err(error) => {
                (self.log)(Level::Warn, &format!("cannot write to {}: {error}", self.settings.directory.display()));
                self.watching.unwritten = None;
            }
        }
    }

    pub(super) fn look(&mut self, now: Time) {
        let Some(run) = &self.run else { return };
        self.watching.looking = true;
        // Acts are over sooner when nobody asks meanwhile, and there is a look after each.
        let acting = self.view.busy.server.is_some();
        let hot = self.watching.is_hot(now) && !acting || self.view.facts().is_none();
        let every = if hot { HOT_EVERY } else { self.policy.probe_every };
        self.watching.look_at = now.after(every);
        let (database, facts, run) = (self.database.clone(), self.facts.clone(), run.number);
        beside(async move {
            let seen = database.look(LOOK_LIMIT).await.map(Box::new);
            let _ = facts.send(Fact::Looked { run, began: now, seen });
        });
    }

    pub(super) fn was_looked_at(&mut self, run: u64, began: Time, seen: Result<Box<Seen>, Error>) {
        if self.run.as_ref().is_none_or(|ours| ours.number != run) {
            return;
        }
        self.watching.looking = false;
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) => {
                self.look_failed(&error);
                return;
            }
        };
        if !matches!(self.view.server, ServerState::Running(_)) {
            (self.log)(Level::Info, "the server answers");
            self.watching.heat(clock::now());
        }
        self.take_seen(&seen);
        self.watching.seen = Some(seen);
        let busy = &mut self.view.busy;
        busy.beat &= self.watching.beaten.take_if(|beaten| began >= *beaten).is_none();
        busy.release &= self.watching.released.take_if(|released| began >= *released).is_none();
        match self.finished {
            Some(finished) if began >= finished => {
                self.finished = None;
                self.view.busy.server = None;
                self.told.doing = None;
            }
            // It began before the act had taken effect: once more.
            Some(finished) => self.watching.look_at = finished,
            None => {}
        }
        self.ask_source();
        self.ask_members();
    }

    /// A server that starts cannot be reached for a while; anything else that keeps us from looking is told once.
    fn look_failed(&mut self, error: &Error) {
        let text = error.to_string();
        let starts = matches!(error, Error::Unreachable { .. }) && self.view.facts().is_none();
        if !starts && self.watching.look_error.as_ref() != Some(&text) {
            (self.log)(Level::Warn, &text);
            self.watching.look_error = Some(text);
        }
    }

    fn take_seen(&mut self, seen: &Seen) {
        let now = clock::now();
        let set: Vec<MemberId> =
            self.view.holding.iter().flat_map(|holding| holding.lease.config.in_sync.keys().copied()).collect();
        self.watching.missing.retain(|member, _| set.contains(member));
        let mut acking = BTreeMap::new();
        for member in set {
            let state = if seen.acking.contains(&member) {
                self.watching.missing.remove(&member);
                Acking::Connected
            } else {
                Acking::Missing { since: *self.watching.missing.entry(member).or_insert(now) }
            };
            acking.insert(member, state);
        }
        let settled = self.run.as_ref().and_then(|run| run.settled.clone());
        let before = self.view.facts().map(|facts| (facts.receiver, facts.applier, facts.access));
        if before != Some((seen.receiver, seen.applier, seen.access)) {
            self.watching.heat(now);
        }
        self.hear_source(now, seen);
        let waiting_since = self.waiting_since(now, seen.waiting);
        self.view.server = ServerState::Running(ServerFacts {
            silent_since: self.watching.silent_since(),
            access: seen.access,
            executed: seen.executed.clone(),
            received: seen.received.clone(),
            settled: settled.unwrap_or_else(|| seen.executed.clone()),
            receiver: seen.receiver,
            applier: seen.applier,
            acks: seen.acks,
            gate: seen.gate.clone(),
            acking,
            waiting_since,
        });
    }

    /// Who sends is not silent, whatever becomes of our questions.
    fn hear_source(&mut self, now: Time, seen: &Seen) {
        let Receiver::Running { to, connected: true, .. } = seen.receiver else { return };
        let received = self.view.facts().is_some_and(|facts| facts.received != seen.received);
        if let Some(unanswered) = self.asking.unheard.as_mut().filter(|it| received && it.member == to) {
            unanswered.since = now;
        }
    }

    /// Since when a commit waits, and none was acknowledged. The server counts from the beginning of a statement, which may have lasted before it
    /// committed: it has not waited for longer than somebody has.
    fn waiting_since(&mut self, now: Time, waiting: Option<Waiting>) -> Option<Time> {
        let before = self.watching.waits.take();
        let Waiting { oldest, acknowledged } = waiting?;
        let same = before.filter(|(_, then)| *then == acknowledged);
        let (since, _) = *self.watching.waits.insert(same.unwrap_or((now, acknowledged)));
        Some(since.max(Time::from_start(now.since_start().saturating_sub(oldest))))
    }
}

/// What is left on a disk is often for root alone: then we can still write, and the server cannot.
fn has_room(path: &std::path::Path) -> std::io::Result<()> {
    let space = rustix::fs::statvfs(path)?;
    match (space.f_blocks, space.f_bavail) {
        // Some file systems do not know their size.
        (0, _) | (_, 1..) => Ok(()),
        (1.., 0) => Err(std::io::ErrorKind::StorageFull.into()),
    }
}

fn write_a_block(path: &std::path::Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    file.write_all(&[0; 4096])?;
    file.sync_data()
}
