//! The model of replication: connections, what flows over them, acks, appliers.

use std::collections::BTreeSet;
use std::rc::Rc;

use pilotfish_autopilot::MemberId;

use crate::database::Txn;
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::network::SLOWEST;
use crate::world::{Dump, Event, Index, Process, World};

/// A silent connection is given up after so long, in µs (`slave_net_timeout`).
const NET_TIMEOUT: u64 = 4_000_000;
/// Time between two attempts to connect, in µs.
const CONNECT_RETRY: u64 = 200_000;

impl World {
    pub(crate) fn connect(&mut self, m: Index, run: u64) {
        let member = &self.members[m];
        let Some(receiver) = member.server.receiver else { return };
        if member.server.run != run || receiver.connection.is_some() || receiver.purged {
            return;
        }
        if member.server.paused_until > self.now || !self.admits(receiver.to, m, receiver.acking) {
            return self.after(CONNECT_RETRY, Event::Connect(m, run));
        }
        let (Some(ours), Some(theirs)) = (&self.members[m].disk.database, &self.members[receiver.to].disk.database)
        else {
            return;
        };
        if theirs.in_log.lacks(&ours.in_any).is_some() && self.flaw != Flaw::JoinsErrant {
            // The source says that we have more than it has.
            return self.after(CONNECT_RETRY, Event::Connect(m, run));
        }
        // What it has is not sent again, and so never acknowledged on this connection.
        let first_missing = theirs.log.iter().position(|txn| !ours.in_any.has(*txn)).unwrap_or(theirs.log.len());
        let nothing_new = first_missing == theirs.log.len();
        let purged = first_missing < theirs.purged;
        let connection = self.rng.next();
        let Some(receiver) = &mut self.members[m].server.receiver else { return };
        receiver.purged = purged;
        let (to, acking) = (receiver.to, receiver.acking || self.flaw == Flaw::AcksAlways);
        if !purged {
            receiver.connection = Some(connection);
            self.happenings.push(Happening::Connected { source: to, replica: m });
            let dump = Dump { connection, acking, sent: first_missing, in_flight: false, stalled: None };
            self.members[to].server.dumps.insert(m, dump);
            if acking && nothing_new {
                self.ack_lost(to);
            }
            self.look_soon(to);
            self.pump(to, m);
        }
        self.look_soon(m);
    }

    fn admits(&self, source: Index, replica: Index, acking: bool) -> bool {
        let server = &self.members[source].server;
        let id = MemberId(replica as u32 + 1);
        server.process == Process::Up
            && server.paused_until <= self.now
            && self.network.connects(source, replica, self.now)
            && (!acking || server.gate.contains(&id) || self.flaw == Flaw::AcksAlways)
    }

    /// Sends what is new to every replica.
    pub(crate) fn pump_all(&mut self, source: Index) {
        let replicas: Vec<_> = self.members[source].server.dumps.keys().copied().collect();
        for replica in replicas {
            self.pump(source, replica);
        }
    }

    fn pump(&mut self, source: Index, replica: Index) {
        let member = &mut self.members[source];
        let (Some(dump), Some(database)) = (member.server.dumps.get_mut(&replica), &member.disk.database) else {
            return;
        };
        if dump.in_flight || database.log.len() <= dump.sent {
            return;
        }
        let txns: Vec<Txn> = database.log[dump.sent.min(database.log.len())..].to_vec();
        dump.in_flight = true;
        let (connection, sent) = (dump.connection, database.log.len());
        let delay = self.latency();
        self.after(delay, Event::Deliver(source, replica, connection, sent, Rc::new(txns)));
    }

    pub(crate) fn deliver(&mut self, source: Index, replica: Index, connection: u64, sent: usize, txns: Rc<Vec<Txn>>) {
        let Some(receiver) = self.members[replica].server.receiver else { return };
        if receiver.connection != Some(connection) {
            return;
        }
        let paused = self.members[replica].server.paused_until;
        if paused > self.now {
            return self.at(paused + 50, Event::Deliver(source, replica, connection, sent, txns));
        }
        if !self.network.carries(source, replica, self.now) {
            return self.stall(source, replica, connection, Event::Deliver(source, replica, connection, sent, txns));
        }
        let gtids = core::mem::take(&mut self.gtids);
        if let Some(database) = &mut self.members[replica].disk.database {
            for txn in txns.iter() {
                database.receive(*txn, gtids[*txn as usize]);
            }
        }
        self.gtids = gtids;
        if !txns.is_empty() {
            self.happenings.push(Happening::Received { source, replica });
        }
        if (receiver.acking || self.flaw == Flaw::AcksAlways) && sent > 0 {
            let run = self.members[source].server.run;
            let delay = self.latency() + self.disk_delay(replica);
            self.after(delay, Event::Ack(source, run, replica, connection, sent));
        }
        if let Some(dump) = self.members[source].server.dumps.get_mut(&replica)
            && dump.connection == connection
        {
            dump.in_flight = false;
            dump.sent = sent;
            dump.stalled = None;
            if sent > 0 {
                self.pump_unless_idle(source, replica);
            }
        }
        self.apply(replica);
        self.look_soon(replica);
    }

    fn pump_unless_idle(&mut self, source: Index, replica: Index) {
        let behind = self.members[source].disk.database.as_ref().is_some_and(|database| {
            self.members[source].server.dumps.get(&replica).is_some_and(|dump| dump.sent < database.log.len())
        });
        if behind && self.members[source].server.process == Process::Up {
            self.pump(source, replica);
        }
    }

    /// Tries again later; after the time-out both ends give the connection up.
    fn stall(&mut self, source: Index, replica: Index, connection: u64, again: Event) {
        let now = self.now;
        let dump = self.members[source].server.dumps.get_mut(&replica).filter(|dump| dump.connection == connection);
        let since = dump.map_or(now, |dump| *dump.stalled.get_or_insert(now));
        if now.saturating_sub(since) > NET_TIMEOUT {
            self.connection_broken(replica, connection);
            return self.dump_gone(source, replica, connection);
        }
        self.after(40_000, again);
    }

    pub(crate) fn ack(&mut self, source: Index, run: u64, replica: Index, connection: u64, place: usize) {
        let server = &self.members[source].server;
        let alive = server.dumps.get(&replica).is_some_and(|dump| dump.connection == connection && dump.acking);
        if server.run != run || !alive {
            return;
        }
        if server.paused_until > self.now {
            let resumes = server.paused_until;
            return self.at(resumes + 50, Event::Ack(source, run, replica, connection, place));
        }
        if !self.network.carries(replica, source, self.now) {
            return self.stall(source, replica, connection, Event::Ack(source, run, replica, connection, place));
        }
        if self.members[source].server.deaf_until > self.now {
            return self.ack_lost(source);
        }
        let mut counted = false;
        for waiting in self.members[source].server.waiting.iter_mut().filter(|waiting| waiting.place < place) {
            counted |= waiting.by.insert(replica);
        }
        if counted {
            // An ack that was on its way when its sender lost its disk says nothing about the copy that it has now.
            let same = self.members[replica].server.receiver.is_some_and(|now| now.connection == Some(connection));
            if same {
                self.happenings.push(Happening::AckCounted { source, replica });
            }
            self.commit(source);
        }
    }

    /// The applier takes what the relay log holds: all of it, or one at a time when it lags.
    pub(crate) fn apply(&mut self, m: Index) {
        let member = &self.members[m];
        let Some(database) = &member.disk.database else { return };
        let ready = member.server.process == Process::Up && member.server.applier_on && !member.server.applying;
        if !ready || database.relay.is_empty() || database.applier_broken {
            return;
        }
        let run = member.server.run;
        let lags = member.server.lag_until > self.now;
        self.members[m].server.applying = true;
        let delay = if lags { self.rng.range(50_000, 200_000) } else { self.rng.range(500, 2_500) };
        self.after(delay, Event::Applied(m, run));
    }

    pub(crate) fn applied(&mut self, m: Index, run: u64) {
        let server = &mut self.members[m].server;
        if server.run != run {
            return;
        }
        if server.paused_until > self.now {
            let resumes = server.paused_until;
            return self.at(resumes + 50, Event::Applied(m, run));
        }
        server.applying = false;
        let lags = server.lag_until > self.now;
        if let Some(database) = &mut self.members[m].disk.database
            && !database.applier_broken
        {
            let count = if lags { 1.min(database.relay.len()) } else { database.relay.len() };
            let txns: Vec<_> = database.relay.drain(..count).collect();
            for txn in txns {
                database.execute(txn, self.gtids[txn as usize]);
            }
            database.committed = database.log.len();
        }
        self.apply(m);
        self.pump_all(m);
        self.look_soon(m);
    }

    /// A replica closes its end; the source learns of it if the network carries that.
    pub(crate) fn leave_source(&mut self, m: Index) {
        let Some(receiver) = self.members[m].server.receiver else { return };
        if let Some(connection) = receiver.connection {
            let delay = if self.network.carries(m, receiver.to, self.now) { 500 } else { NET_TIMEOUT };
            self.after(delay, Event::DumpGone(receiver.to, m, connection));
        }
    }

    pub(crate) fn stop_receiver(&mut self, m: Index) {
        self.leave_source(m);
        self.members[m].server.receiver = None;
    }

    pub(crate) fn connection_broken(&mut self, m: Index, connection: u64) {
        let server = &mut self.members[m].server;
        let run = server.run;
        if let Some(receiver) = &mut server.receiver
            && receiver.connection == Some(connection)
        {
            receiver.connection = None;
            let retry = self.rng.range(10_000, CONNECT_RETRY);
            self.after(retry, Event::Connect(m, run));
            self.look_soon(m);
        }
    }

    pub(crate) fn dump_gone(&mut self, source: Index, replica: Index, connection: u64) {
        let dumps = &mut self.members[source].server.dumps;
        if dumps.get(&replica).is_some_and(|dump| dump.connection == connection) {
            dumps.remove(&replica);
            self.look_soon(source);
        }
    }

    /// Locks and unlocks acking accounts, and cuts the connections of those that are locked.
    pub(crate) fn set_gate(&mut self, m: Index, admit: BTreeSet<MemberId>) {
        let always = self.flaw == Flaw::AcksAlways;
        let cut: Vec<_> = self.members[m]
            .server
            .dumps
            .iter()
            .filter(|(replica, dump)| dump.acking && !always && !admit.contains(&MemberId(**replica as u32 + 1)))
            .map(|(replica, dump)| (*replica, dump.connection))
            .collect();
        for (replica, connection) in cut {
            self.members[m].server.dumps.remove(&replica);
            let delay = if self.network.carries(m, replica, self.now) { 500 } else { NET_TIMEOUT };
            self.after(delay, Event::Broken(replica, connection));
        }
        self.members[m].server.gate = admit;
    }

    /// The time of one message, in µs.
    pub(crate) fn latency(&mut self) -> u64 {
        if self.network.slow_until > self.now && self.rng.chance(50) {
            self.rng.range(20_000, SLOWEST)
        } else {
            self.rng.range(300, 2_500)
        }
    }
}
