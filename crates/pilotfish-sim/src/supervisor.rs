//! The model of a supervisor: observes its server, decides, has the decision judged, and carries it out.

use std::rc::Rc;
use std::time::Duration;

use pilotfish_autopilot::{
    Access, Acking, Act, Applier, Catalog, Data, Flavour, GtidSet, Lane, LeaseChange, LeaseState, MemberId, Mode,
    PendingWrite, Receiver, Seat, Server, ServerFacts, SourceFacts, Time, Unanswered, View, awaited, decide, lint,
};

use crate::catalog::Write;
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::world::{Event, Index, Process, World};

/// A supervisor that finds more than this many acts in one moment has lost its way.
const ACTS_AT_ONCE: usize = 12;

impl World {
    pub(crate) fn supervisor_starts(&mut self, m: Index) {
        if self.members[m].supervisor.up {
            return;
        }
        let now = self.local(m);
        let nonce = self.rng.next();
        let flavour = self.flavour;
        let member = &mut self.members[m];
        let supervisor = &mut member.supervisor;
        supervisor.up = true;
        supervisor.run += 1;
        supervisor.paused_until = 0;
        supervisor.view = View::new(member.id, flavour, nonce, now);
        supervisor.view.data = member.disk.data;
        supervisor.view.known_cluster = member.disk.known_cluster;
        supervisor.view.server = Server::Stopped;
        supervisor.requests.clear();
        supervisor.known = Default::default();
        supervisor.record_index = 0;
        supervisor.missing.clear();
        supervisor.wake = u64::MAX;
        supervisor.observing = false;
        supervisor.asking = false;
        supervisor.members_asked.clear();
        supervisor.order_seen = None;
        supervisor.stopping = false;
        let run = supervisor.run;
        self.after(200, Event::Poll(m, run));
        self.after(300, Event::Probe(m, run));
    }

    /// The container is gone: supervisor and server at once.
    pub(crate) fn kill_supervisor(&mut self, m: Index) {
        self.kill_server(m);
        let supervisor = &mut self.members[m].supervisor;
        supervisor.up = false;
        supervisor.run += 1;
    }

    /// An observation soon, because something changed.
    pub(crate) fn look_soon(&mut self, m: Index) {
        let supervisor = &mut self.members[m].supervisor;
        if supervisor.up && !supervisor.observing {
            supervisor.observing = true;
            let run = supervisor.run;
            let delay = self.rng.range(300, 2_000);
            self.after(delay, Event::Observe(m, run));
        }
    }

    pub(crate) fn probe(&mut self, m: Index) {
        self.observe(m);
        if !self.answers(m) {
            let now = self.local(m);
            if let Server::Running(facts) = &mut self.members[m].supervisor.view.server {
                facts.silent_since.get_or_insert(now);
            }
        }
        self.ask_source(m);
        let run = self.members[m].supervisor.run;
        let every = self.members[m].supervisor.policy.probe_every.as_micros() as u64;
        self.after(every, Event::Probe(m, run));
    }

    /// Looks at the own server, if it answers.
    pub(crate) fn observe(&mut self, m: Index) {
        self.members[m].supervisor.observing = false;
        let now = self.local(m);
        if !self.answers(m) {
            return;
        }
        self.note_missing(m, now);
        let member = &self.members[m];
        let Some(database) = &member.disk.database else { return };
        let server = &member.server;
        let facts = ServerFacts {
            silent_since: None,
            access: match server.writable || !server.waiting.is_empty() {
                true => Access::Writable,
                false => Access::ReadOnly,
            },
            executed: database.executed.clone(),
            received: database.received.clone(),
            settled: server.settled.clone().unwrap_or_else(|| database.executed.clone()),
            receiver: match server.receiver {
                None => Receiver::Stopped,
                Some(receiver) if receiver.purged => Receiver::Purged,
                Some(receiver) => Receiver::Running {
                    to: MemberId(receiver.to as u32 + 1),
                    mode: if receiver.acking { Mode::Acking } else { Mode::Plain },
                    connected: receiver.connection.is_some(),
                },
            },
            applier: match (server.applier_on, database.applier_broken) {
                (true, true) => Applier::Failed,
                (true, false) => Applier::Running,
                (false, _) => Applier::Stopped,
            },
            acks: server.acks,
            gate: server.gate.clone(),
            acking: self.acking(m),
            waiting_since: server.waiting.first().map(|waiting| {
                now.since(Time::START)
                    .checked_sub(Duration::from_micros(self.now - waiting.since))
                    .map_or(Time::START, Time::from_start)
            }),
        };
        self.members[m].supervisor.view.server = Server::Running(facts);
        self.happenings.push(Happening::Looked { member: m });
    }

    /// Whether the server answers a probe.
    fn answers(&self, m: Index) -> bool {
        let member = &self.members[m];
        let stalled = member.disk.slow_until > self.now + 500_000 && member.server.writable;
        member.server.process == Process::Up && member.server.paused_until <= self.now && !stalled
    }

    fn note_missing(&mut self, m: Index, now: Time) {
        let member = &mut self.members[m];
        let holding = member.supervisor.view.holding.as_ref();
        let set: Vec<_> =
            holding.map(|holding| holding.lease.config.members().into_iter().collect()).unwrap_or_default();
        member.supervisor.missing.retain(|id, _| set.contains(id));
        for id in set {
            let connected = member.server.dumps.get(&(id.0 as usize - 1)).is_some_and(|dump| dump.acking);
            if connected {
                member.supervisor.missing.remove(&id);
            } else {
                member.supervisor.missing.entry(id).or_insert(now);
            }
        }
    }

    fn acking(&self, m: Index) -> std::collections::BTreeMap<MemberId, Acking> {
        let supervisor = &self.members[m].supervisor;
        let Some(holding) = &supervisor.view.holding else { return Default::default() };
        let of = |id: MemberId| match supervisor.missing.get(&id) {
            Some(since) => (id, Acking::Missing { since: *since }),
            None => (id, Acking::Connected),
        };
        holding.lease.config.members().into_iter().map(of).collect()
    }

    /// Asks the lease's holder what it has executed.
    pub(crate) fn ask_source(&mut self, m: Index) {
        let member = &self.members[m];
        let view = &member.supervisor.view;
        let Some((lease, _)) = view.lease() else { return };
        let (Some(facts), false) = (view.facts(), member.supervisor.asking) else { return };
        if lease.holder == view.me || lease.state != LeaseState::Held {
            return;
        }
        let (to, term, id) = (lease.holder.0 as usize - 1, lease.epoch.term, lease.holder);
        let ours =
            member.disk.database.as_ref().map_or_else(|| facts.executed.clone(), |database| database.executed.clone());
        let Some(data) = view.identity().map(|identity| identity.data) else { return };
        let run = member.supervisor.run;
        let source = &self.members[to];
        let answers = source.server.process == Process::Up
            && source.server.paused_until <= self.now
            && self.network.connects(m, to, self.now);
        let executed = source.disk.database.as_ref().filter(|_| answers).map(|database| database.executed.clone());
        let delay = self.latency() * 2;
        // Some questions are lost on the way to a source that is well.
        let executed = executed.filter(|_| !delay.is_multiple_of(32));
        let answer = executed.map(|executed| Box::new(SourceFacts { member: id, term, executed, ours, data }));
        let since = self.local(m);
        let supervisor = &mut self.members[m].supervisor;
        supervisor.asking = true;
        if supervisor.view.unanswered.is_none_or(|before| (before.member, before.term) != (id, term)) {
            supervisor.view.unanswered = Some(Unanswered { member: id, term, since });
        }
        self.after(delay, Event::SourceAnswer(m, run, answer));
    }

    pub(crate) fn source_answer(&mut self, m: Index, answer: Option<Box<SourceFacts>>) {
        let supervisor = &mut self.members[m].supervisor;
        supervisor.asking = false;
        if let Some(facts) = answer {
            supervisor.view.unanswered = None;
            supervisor.view.source = Some(*facts);
        }
    }

    /// Asks those whose position a hand-over waits for. Whatever copy of the data is there answers.
    pub(crate) fn ask_members(&mut self, m: Index) {
        for seat in awaited(&self.members[m].supervisor.view) {
            if !self.members[m].supervisor.members_asked.insert(seat.member) {
                continue;
            }
            let to = seat.member.0 as usize - 1;
            let server = &self.members[to].server;
            let answers = server.process == Process::Up
                && server.paused_until <= self.now
                && self.network.connects(m, to, self.now);
            let delay = self.latency() * 2;
            let database = self.members[to].disk.database.as_ref();
            let database = database.filter(|_| answers && !delay.is_multiple_of(32));
            let executed = database.map(|database| Box::new(database.executed.clone()));
            let run = self.members[m].supervisor.run;
            let delay = if executed.is_some() { delay } else { 500_000 };
            self.after(delay, Event::Position(m, run, seat, executed));
        }
    }

    pub(crate) fn position_answer(&mut self, m: Index, seat: Seat, executed: Option<Box<GtidSet>>) {
        let supervisor = &mut self.members[m].supervisor;
        supervisor.members_asked.remove(&seat.member);
        if let Some(executed) = executed {
            supervisor.view.hear(seat, &executed);
        }
    }

    pub(crate) fn exited(&mut self, m: Index, server_run: u64) {
        let member = &mut self.members[m];
        if member.server.run == server_run && member.server.process == Process::Stopped {
            member.supervisor.view.server = Server::Stopped;
        }
    }

    pub(crate) fn done(&mut self, m: Index, operation: u64) {
        let member = &mut self.members[m];
        if member.supervisor.operation != operation {
            return;
        }
        if member.server.process == Process::Up && !self.answers(m) {
            // The lane stays busy until the server has been looked at.
            let run = self.members[m].supervisor.run;
            return self.after(20_000, Event::Done(m, run, operation));
        }
        let member = &mut self.members[m];
        member.supervisor.view.busy.server = None;
        member.supervisor.view.data = member.disk.data;
        match member.server.process {
            Process::Stopped => member.supervisor.view.server = Server::Stopped,
            Process::Starting => {
                let since = self.local(m);
                self.members[m].supervisor.view.server = Server::Starting { since };
            }
            Process::Up => self.observe(m),
        }
    }

    /// A transaction of ours is over, or will never be written: the next may be once the position was looked at.
    pub(crate) fn help_over(&mut self, m: Index, event: Event) {
        if self.members[m].server.process == Process::Up && !self.answers(m) {
            return self.after(20_000, event);
        }
        self.observe(m);
        let busy = &mut self.members[m].supervisor.view.busy;
        match event {
            Event::BeatOver(..) => busy.beat = false,
            _released => busy.release = false,
        }
    }

    /// Decides until there is nothing more to do at this moment.
    pub(crate) fn think(&mut self, m: Index) {
        for _ in 0..ACTS_AT_ONCE {
            let now = self.local(m);
            let supervisor = &self.members[m].supervisor;
            if !supervisor.up {
                return;
            }
            let flaw = self.flaw;
            let decision = if flaw == Flaw::None {
                decide(&supervisor.view, &supervisor.policy, now)
            } else {
                flaw.decide(&supervisor.view, &supervisor.policy, now)
            };
            for objection in lint(&supervisor.view, &supervisor.policy, now, &decision) {
                let text = objection.to_string();
                self.happenings.push(Happening::Objection { member: m, act: decision.act.clone(), text });
            }
            if self.narrative.is_some() {
                self.tell_decision(m, &decision);
            }
            if decision.act == Act::Wait {
                return self.wake_at(m, now, decision.until);
            }
            self.perform(m, now, decision.act);
        }
    }

    fn tell_decision(&mut self, m: Index, decision: &pilotfish_autopilot::Decision) {
        let line = match &decision.act {
            Act::Wait => format!("waits: {}", decision.why),
            act => format!("{}: {}", crate::narrative::name(act), decision.why),
        };
        let quiet = matches!(decision.act, Act::PublishRecord { .. } | Act::Remember { .. } | Act::Register { .. })
            || matches!(decision.act, Act::WriteLease { change: LeaseChange::Renew, .. });
        let supervisor = &mut self.members[m].supervisor;
        if !quiet && supervisor.told != line {
            supervisor.told = line.clone();
            self.tell(|| format!("member {} {line}", m + 1));
        }
    }

    fn wake_at(&mut self, m: Index, now: Time, until: Option<Time>) {
        let Some(until) = until else { return };
        let delay = until.since(now).as_micros() as u64 + 1_000;
        let at = self.now + delay;
        let supervisor = &mut self.members[m].supervisor;
        if at < supervisor.wake {
            supervisor.wake = at;
            let run = supervisor.run;
            self.at(at, Event::Wake(m, run));
        }
    }

    fn perform(&mut self, m: Index, now: Time, act: Act) {
        let supervisor = &mut self.members[m].supervisor;
        if let Some(class) = act.failure_class() {
            supervisor.view.budget.spend(class, now);
        }
        match act.lane() {
            Lane::None => self.remember(m, &act),
            Lane::Lease => self.write_lease(m, now, act),
            Lane::Catalog => self.write_catalog(m, now, act),
            Lane::Server => {
                supervisor.operation += 1;
                supervisor.view.busy.server = Some(act.clone());
                let (run, operation) = (supervisor.run, supervisor.operation);
                let server_run = self.members[m].server.run;
                let delay = self.statement_time(m, &act);
                self.after(delay, Event::Effect(m, run, operation, server_run, Box::new(act)));
            }
            Lane::Beat => {
                supervisor.view.busy.beat = true;
                supervisor.view.beat_tried = Some(now);
                let (run, server_run) = (supervisor.run, self.members[m].server.run);
                let delay = self.statement_time(m, &act);
                self.after(delay, Event::Beat(m, run, server_run));
            }
            Lane::Release => {
                supervisor.view.busy.release = true;
                supervisor.view.release_tried = Some(now);
                let (run, server_run) = (supervisor.run, self.members[m].server.run);
                // What was true when it was decided may long not be true any more.
                let late = if self.rng.chance(30) { self.rng.range(20_000, 1_500_000) } else { 0 };
                let delay = late + self.statement_time(m, &act);
                if let Act::Release { executed, .. } = act {
                    self.after(delay, Event::Release(m, run, server_run, Box::new(executed)));
                }
            }
        }
    }

    fn statement_time(&mut self, m: Index, act: &Act) -> u64 {
        let disk = self.disk_delay(m);
        disk + match act {
            // Many a server takes longer to build its first data than a lease lasts.
            Act::InitialiseCluster { .. } if self.rng.chance(20) => self.rng.range(1_000_000, 10_000_000),
            Act::InitialiseCluster { .. } => self.rng.range(100_000, 600_000),
            Act::Rebuild { .. } => self.rng.range(100_000, 800_000),
            // A receiver of a source that hangs takes long to stop.
            Act::StopReceiver { .. } if self.rng.chance(5) => self.rng.range(200_000, 1_000_000),
            Act::StopReceiver { .. } if self.source_hangs(m) => 1_000_000,
            _short => self.rng.range(500, 8_000),
        }
    }

    /// Whether a replica of MariaDB's waits for the end of the connection to its source (M6).
    fn source_hangs(&self, m: Index) -> bool {
        let receiver = self.members[m].server.receiver.filter(|receiver| receiver.connection.is_some());
        self.flavour == Flavour::MariaDb
            && receiver.is_some_and(|receiver| {
                let source = &self.members[receiver.to].server;
                source.paused_until > self.now || !self.network.connects(m, receiver.to, self.now)
            })
    }

    fn remember(&mut self, m: Index, act: &Act) {
        let member = &mut self.members[m];
        if let (Act::Remember { seen }, Data::Present(identity)) = (act, &mut member.disk.data) {
            identity.seen = identity.seen.max(*seen);
        }
        member.supervisor.view.data = member.disk.data;
    }

    fn write_lease(&mut self, m: Index, now: Time, act: Act) {
        let Act::WriteLease { cas, change, value } = act else { return };
        let value = Rc::new(*value);
        let supervisor = &mut self.members[m].supervisor;
        supervisor.view.busy.lease = true;
        supervisor.view.lease_tried = Some(now);
        if change != LeaseChange::Renew {
            supervisor.view.pending = Some(PendingWrite { cas, change, value: (*value).clone() });
        }
        if change == LeaseChange::Create {
            supervisor.view.nonce = self.rng.next();
        }
        self.happenings.push(Happening::Asked { member: m, change });
        self.send(m, now, Write::Lease { cas, value });
    }

    fn write_catalog(&mut self, m: Index, now: Time, act: Act) {
        let write = match act {
            Act::PublishVote { vote } => {
                self.promise(m, &vote);
                Write::Vote(Rc::new(*vote))
            }
            Act::PublishRecord { record } => {
                let supervisor = &mut self.members[m].supervisor;
                supervisor.view.reported = Some(now);
                let cas = supervisor.record_index;
                Write::Record { member: self.members[m].id, cas, record: Rc::new(*record) }
            }
            Act::Answer { order, .. } => Write::Answer(order),
            Act::Register { role } => {
                self.members[m].supervisor.view.registered = Some(role);
                return;
            }
            _not_of_the_catalog => return,
        };
        self.members[m].supervisor.view.busy.catalog = true;
        self.send(m, now, write);
    }

    /// Writes the promise to disk, before the vote is told to anybody.
    fn promise(&mut self, m: Index, vote: &pilotfish_autopilot::Vote) {
        let forgets = self.flaw == Flaw::ForgetsPromise;
        let member = &mut self.members[m];
        let mut before = Default::default();
        if let Data::Present(identity) = &mut member.disk.data {
            before = identity.promise;
            if !forgets {
                identity.promise = identity.promise.max(vote.term);
            }
        }
        member.supervisor.view.data = member.disk.data;
        self.happenings.push(Happening::Promised { member: m, vote: vote.clone(), before });
    }

    /// The catalog did not answer.
    pub(crate) fn catalog_unknown(&mut self, m: Index) {
        let now = self.local(m);
        let view = &mut self.members[m].supervisor.view;
        if view.catalog == Catalog::Answers {
            view.catalog = Catalog::Unknown(now);
        }
        if self.flaw != Flaw::TrustsErrors {
            view.lease_clock.failed();
        }
    }
}
