//! The model of mysqld: start, crash, commits that wait for acks, and the statements of acts.

use pilotfish_autopilot::{Act, Condemnation, Data, Epoch, Flavour, Identity, LeaseState, Mode, Start};

use crate::database::{Database, Gtid, Txn};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::world::{Event, Index, Process, Receiving, Waiting, World};

/// How long a drain may take, in µs.
const DRAIN_LIMIT: u64 = 2_000_000;
/// How long `read_only` may wait for commits, in µs.
const CLOSE_LIMIT: u64 = 20_000_000;
/// MariaDB's numbers rise with the term by so many bits. Fewer than on real servers, because terms are few here.
const TERM_SHIFT: u64 = 20;
/// Added to a member's number while it receives, in MariaDB's GTIDs.
const RECEIVING: u32 = 100;

impl World {
    /// An act takes effect: `operation` is the supervisor's, `server_run` the run of the server that it was meant for.
    pub(crate) fn effect(&mut self, m: Index, run: u64, operation: u64, server_run: u64, act: Act) {
        let supervisor = &self.members[m].supervisor;
        if !supervisor.up || supervisor.run != run {
            return;
        }
        if self.is_process(&act) {
            // Processes are the supervisor's own doing: they wait while it is stopped.
            let resumes = supervisor.paused_until;
            if resumes > self.now {
                return self.at(resumes + 100, Event::Effect(m, run, operation, server_run, Box::new(act)));
            }
            if supervisor.operation != operation {
                return;
            }
        } else {
            let server = &self.members[m].server;
            if server.process != Process::Up || server.run != server_run {
                return self.after(200, Event::Done(m, run, operation));
            }
            if server.paused_until > self.now {
                let resumes = server.paused_until;
                return self.at(resumes + 100, Event::Effect(m, run, operation, server_run, Box::new(act)));
            }
        }
        if self.carry_out(m, run, operation, act) {
            self.after(300, Event::Done(m, run, operation));
        }
    }

    fn is_process(&self, act: &Act) -> bool {
        matches!(
            act,
            Act::StartServer { .. }
                | Act::FenceServer
                | Act::StopServer
                | Act::InitialiseCluster { .. }
                | Act::Rebuild { .. }
                | Act::Condemn { .. }
        )
    }

    /// True if the act is over at once.
    fn carry_out(&mut self, m: Index, run: u64, operation: u64, act: Act) -> bool {
        match act {
            Act::StartServer { start } => {
                let ready = self.members[m].server.process == Process::Stopped;
                if ready && self.members[m].disk.database.is_some() {
                    let server = &mut self.members[m].server;
                    server.process = Process::Starting;
                    server.run += 1;
                    let server_run = server.run;
                    let recovery = self.rng.range(30_000, 300_000) + self.disk_delay(m);
                    self.after(recovery, Event::ServerUp(m, server_run, start));
                }
            }
            Act::FenceServer => self.kill_server(m),
            Act::StopServer => self.stop_server(m),
            Act::InitialiseCluster { cluster, data, .. } => {
                let identity = Identity { cluster, data, promise: Default::default(), seen: Epoch::default() };
                self.new_data(m, Database::new(self.flavour, u128::from(data.0)), identity);
            }
            Act::Condemn { reason } => self.condemn(m, &reason),
            Act::Rebuild { from, cluster, data, seen } => {
                let donor = &self.members[from.0 as usize - 1];
                let reachable = self.network.connects(m, from.0 as usize - 1, self.now);
                let usable = donor.server.process == Process::Up && donor.server.paused_until <= self.now && reachable;
                let source = donor.disk.database.as_ref().filter(|_| usable);
                let copy = source.map(|database| database.copy(u128::from(data.0), &self.gtids));
                self.members[m].disk.data = Data::Partial;
                if let Some(copy) = copy {
                    let promise = self.members[m].supervisor.view.lease().map(|(lease, _)| lease.epoch.term);
                    let promise = promise.unwrap_or_default().max(seen.term);
                    self.new_data(m, copy, Identity { cluster, data, promise, seen });
                }
            }
            Act::StopReceiver { .. } => self.stop_receiver(m),
            Act::Drain { .. } => {
                if self.flaw == Flaw::ForgetsSalvage
                    && !self.members[m].server.applier_on
                    && let Some(database) = &mut self.members[m].disk.database
                {
                    database.discard_relay();
                }
                self.members[m].server.applier_on = true;
                self.apply(m);
                self.drain_check(m, run, operation, self.now + DRAIN_LIMIT);
                return false;
            }
            Act::Attach { to, term, mode } => self.attach(m, to.0 as usize - 1, term, mode),
            Act::SetGate { admit, .. } => {
                self.set_gate(m, admit);
                self.settle(m);
            }
            Act::SetAcks { acks, .. } => {
                self.members[m].server.acks = acks;
                self.commit(m);
                self.settle(m);
            }
            Act::Open { term } => self.open(m, term),
            Act::Close { .. } => {
                let server = &mut self.members[m].server;
                server.closing = server.writable && !server.waiting.is_empty();
                server.writable &= server.closing;
                self.drain_check(m, run, operation, self.now + CLOSE_LIMIT);
                return false;
            }
            _catalog_or_nothing => {}
        }
        true
    }

    pub(crate) fn drain_check(&mut self, m: Index, run: u64, operation: u64, until: u64) {
        let member = &self.members[m];
        let applied =
            member.disk.database.as_ref().is_none_or(|database| database.relay.is_empty() || database.applier_broken);
        let drained = applied && !member.server.closing;
        if drained || self.now >= until || member.server.process != Process::Up {
            // What was given up must not happen later.
            self.members[m].server.closing = false;
            return self.after(300, Event::Done(m, run, operation));
        }
        self.after(4_000, Event::DrainCheck(m, run, operation, until));
    }

    /// Reads the position after a change of who must acknowledge.
    fn settle(&mut self, m: Index) {
        let member = &mut self.members[m];
        member.server.settled = member.disk.database.as_ref().map(|database| database.executed.clone());
    }

    fn new_data(&mut self, m: Index, database: Database, identity: Identity) {
        self.members[m].disk.database = Some(database);
        self.members[m].disk.data = Data::Present(identity);
        let member = &mut self.members[m];
        member.supervisor.view.nonce = self.rng.next();
        member.supervisor.view.data = member.disk.data;
    }

    fn condemn(&mut self, m: Index, _reason: &Condemnation) {
        let disk = &mut self.members[m].disk;
        if let Data::Present(identity) = disk.data {
            disk.data = Data::Condemned(identity);
        }
        self.members[m].supervisor.view.data = self.members[m].disk.data;
    }

    pub(crate) fn server_up(&mut self, m: Index, run: u64, start: Start) {
        if self.members[m].server.run != run || self.members[m].server.process != Process::Starting {
            return;
        }
        // What was committed last may not be durable in the engine: dropping the tail drops it too, acknowledged or not.
        let soft = self.rng.below(3) as usize;
        let gtids = core::mem::take(&mut self.gtids);
        if let Some(database) = &mut self.members[m].disk.database {
            match start {
                Start::DropTail => database.drop_tail(database.committed.saturating_sub(soft), &gtids),
                Start::Plain => database.committed = database.log.len(),
            }
        }
        self.gtids = gtids;
        let flaw = self.flaw;
        let server = &mut self.members[m].server;
        server.process = Process::Up;
        server.writable = flaw == Flaw::WritableOnStart;
        server.closing = false;
        server.receiver = None;
        server.applier_on = false;
        server.applying = false;
        server.acks = 0;
        server.settled = None;
        server.dumps.clear();
        server.waiting.clear();
        self.look_soon(m);
    }

    /// Kill -9, or an exit by itself.
    pub(crate) fn kill_server(&mut self, m: Index) {
        if self.members[m].server.process == Process::Stopped {
            return self.tell_exit(m);
        }
        let dumps: Vec<_> =
            self.members[m].server.dumps.iter().map(|(replica, dump)| (*replica, dump.connection)).collect();
        for (replica, connection) in dumps {
            // A reset arrives if the network carries it; otherwise the heartbeat has to notice.
            let delay = if self.network.carries(m, replica, self.now) { 500 } else { 4_000_000 };
            self.after(delay, Event::Broken(replica, connection));
        }
        self.leave_source(m);
        let beats: Vec<_> = self.members[m].server.waiting.iter().filter_map(|waiting| waiting.beat).collect();
        beats.into_iter().for_each(|run| self.after(300, Event::BeatOver(m, run)));
        let server = &mut self.members[m].server;
        server.process = Process::Stopped;
        server.run += 1;
        server.paused_until = 0;
        server.writable = false;
        server.closing = false;
        server.receiver = None;
        server.dumps.clear();
        server.waiting.clear();
        server.jammed = false;
        self.tell_exit(m);
    }

    fn tell_exit(&mut self, m: Index) {
        let (run, server_run) = (self.members[m].supervisor.run, self.members[m].server.run);
        let delay = self.rng.range(200, 3_000);
        self.after(delay, Event::Exited(m, run, server_run));
    }

    fn stop_server(&mut self, m: Index) {
        // Y1: a polite stop with waiting commits would acknowledge them.
        while !self.members[m].server.waiting.is_empty() {
            let waiting = self.members[m].server.waiting.remove(0);
            self.acknowledged(m, waiting.txn, waiting.beat);
        }
        self.kill_server(m);
    }

    fn open(&mut self, m: Index, term: pilotfish_autopilot::Term) {
        let view = &self.members[m].supervisor.view;
        // The shell refuses what is stale by what it knows now.
        let held = view.lease().is_some_and(|(lease, _)| {
            lease.holder == view.me && lease.epoch.term == term && lease.state == LeaseState::Held
        });
        if !held {
            return;
        }
        if self.flavour == Flavour::MariaDb
            && let Some(database) = &mut self.members[m].disk.database
        {
            database.next = database.next.max(term.0 << TERM_SHIFT);
        }
        // The holder may have begun a newer term while the statement was under way.
        let id = self.members[m].id;
        let held =
            self.catalog.now.lease.as_ref().filter(|(lease, _)| lease.holder == id).map(|(lease, _)| lease.epoch.term);
        let term = term.max(held.unwrap_or_default());
        let server = &mut self.members[m].server;
        let was = server.writable && server.open_term == term;
        server.writable = true;
        server.closing = false;
        server.open_term = term;
        if !was {
            self.happenings.push(Happening::Opened { member: m, term });
        }
    }

    /// A client writes to every server that would take it: the worst of clients.
    pub(crate) fn client_writes(&mut self) {
        for m in 0..self.members.len() {
            let server = &self.members[m].server;
            let takes = server.process == Process::Up && server.writable && !server.closing && !server.jammed;
            if takes && server.paused_until <= self.now && self.members[m].disk.slow_until <= self.now {
                self.write(m, None);
            }
        }
        if self.writing {
            let pause = self.rng.range(20_000, 100_000);
            self.after(pause, Event::Write);
        }
    }

    /// Writes, for a client, or for a run of the supervisor that helps others on.
    pub(crate) fn write(&mut self, m: Index, beat: Option<u64>) {
        let Some(txn) = self.new_txn(m) else { return };
        let place = self.members[m].disk.database.as_ref().map_or(0, |database| database.log.len() - 1);
        let server = &mut self.members[m].server;
        if server.acks == 0 && server.waiting.is_empty() {
            if let Some(database) = &mut self.members[m].disk.database {
                database.committed = place + 1;
            }
            self.acknowledged(m, txn, beat);
        } else {
            let waiting = Waiting { txn, place, by: Default::default(), beat, since: self.now };
            server.waiting.push(waiting);
        }
        self.pump_all(m);
    }

    /// Appends a new transaction to a binary log.
    pub(crate) fn new_txn(&mut self, m: Index) -> Option<Txn> {
        // Nobody receives under the number with which it writes as primary.
        let own = m as u32 + 1;
        let server = if self.members[m].server.writable { own } else { own + RECEIVING };
        let database = self.members[m].disk.database.as_mut()?;
        let gtid = Gtid { server, uuid: database.uuid, number: database.next };
        let txn = self.gtids.len() as Txn;
        self.gtids.push(gtid);
        database.execute(txn, gtid);
        Some(txn)
    }

    /// Commits what has its acks, in order.
    pub(crate) fn commit(&mut self, m: Index) {
        let acks = usize::from(self.members[m].server.acks);
        self.commit_while(m, |first| first.by.len() >= acks);
    }

    /// Commits the first of those that wait, as long as that is so.
    pub(crate) fn commit_while(&mut self, m: Index, may: impl Fn(&Waiting) -> bool) {
        while self.members[m].server.waiting.first().is_some_and(&may) {
            let done = self.members[m].server.waiting.remove(0);
            if let Some(database) = &mut self.members[m].disk.database {
                database.committed = done.place + 1;
            }
            self.acknowledged(m, done.txn, done.beat);
        }
        let server = &mut self.members[m].server;
        server.jammed &= !server.waiting.is_empty();
        if server.closing && server.waiting.is_empty() {
            server.closing = false;
            server.writable = false;
            self.look_soon(m);
        }
    }

    fn acknowledged(&mut self, m: Index, txn: Txn, beat: Option<u64>) {
        if let Some(run) = beat {
            self.after(300, Event::BeatOver(m, run));
        }
        self.acked.add(txn);
        self.acked_count += 1;
        self.happenings.push(Happening::Acknowledged { by: m, txn });
    }

    fn attach(&mut self, m: Index, to: Index, term: pilotfish_autopilot::Term, mode: Mode) {
        let promise = match self.members[m].disk.data {
            Data::Present(identity) => identity.promise,
            Data::Unknown | Data::Empty | Data::Partial | Data::Condemned(_) => return,
        };
        if term < promise && self.flaw != Flaw::ForgetsPromise {
            return;
        }
        self.leave_source(m);
        if let Some(database) = &mut self.members[m].disk.database {
            database.discard_relay();
        }
        let server = &mut self.members[m].server;
        server.receiver = Some(Receiving { to, acking: mode == Mode::Acking, connection: None, purged: false });
        server.applier_on = true;
        let run = server.run;
        self.happenings.push(Happening::Attached);
        let delay = self.rng.range(2_000, 12_000);
        self.after(delay, Event::Connect(m, run));
    }
}
