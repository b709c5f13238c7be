//! The world: members, their servers and disks, the catalog, the network, and one queue of what happens next.
//!
//! Everything runs in one thread, and every choice comes from one generator: the same seed gives the same history, to the microsecond.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::rc::Rc;

use pilotfish_autopilot::{
    Act, ClusterId, Data, Flavour, GtidSet, MemberId, Policy, Seat, SourceFacts, Start, Term, Time, View,
};

use crate::catalog::{Catalog, Snapshot, Write};
use crate::database::{Bits, Database, Gtid, Txn};
use crate::fault::Fault;
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::network::Network;
use crate::rng::Rng;

/// A member by its place; its id is one more.
pub(crate) type Index = usize;

/// One member: what survives, its server, its supervisor.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its id.
    pub id: MemberId,
    /// What survives a crash.
    pub disk: Disk,
    /// Its mysqld.
    pub server: Mysqld,
    /// Its supervisor.
    pub supervisor: Supervisor,
}

/// The data directory.
#[derive(Debug)]
pub(crate) struct Disk {
    /// What it is, as the supervisor finds it.
    pub data: Data,
    /// The database, if there is one.
    pub database: Option<Database>,
    /// Until when it is slow, in µs.
    pub slow_until: u64,
    /// The cluster that was ever seen, beside the data directory.
    pub known_cluster: Option<ClusterId>,
    /// How often it was lost.
    pub rebuilt: u32,
}

/// Whether mysqld runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// No.
    Stopped,
    /// It recovers.
    Starting,
    /// It answers.
    Up,
}

/// A mysqld and its memory.
#[derive(Debug)]
pub(crate) struct Mysqld {
    /// Whether it runs.
    pub process: Process,
    /// Counts its runs: what belongs to a former one is void.
    pub run: u64,
    /// Until when it is stopped by SIGSTOP, in µs.
    pub paused_until: u64,
    /// `read_only` is off.
    pub writable: bool,
    /// `read_only` was asked for, and waits for commits.
    pub closing: bool,
    /// The term in which it was last opened.
    pub open_term: Term,
    /// Its receiver, if started.
    pub receiver: Option<Receiving>,
    /// Its applier is on.
    pub applier_on: bool,
    /// A transaction is being applied.
    pub applying: bool,
    /// How slow the applier is, until when, in µs.
    pub lag_until: u64,
    /// How many acks a commit waits for.
    pub acks: u8,
    /// Whose acking accounts are not locked. On disk, in truth.
    pub gate: BTreeSet<MemberId>,
    /// What was in the binary log when the gate or the acks last changed.
    pub settled: Option<GtidSet>,
    /// Connections of replicas.
    pub dumps: BTreeMap<Index, Dump>,
    /// Commits that wait for acks, oldest first.
    pub waiting: Vec<Waiting>,
    /// Until when acks to it are lost, in µs.
    pub deaf_until: u64,
    /// MariaDB: what waits keeps everybody else from the binary log.
    pub jammed: bool,
}

/// A receiver thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiving {
    /// Whom it receives from.
    pub to: Index,
    /// Whether it acknowledges.
    pub acking: bool,
    /// Its connection.
    pub connection: Option<u64>,
    /// The source no longer has what it needs.
    pub purged: bool,
}

/// A source's end of a replica's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dump {
    /// The connection.
    pub connection: u64,
    /// Whether it acknowledges.
    pub acking: bool,
    /// How much of the binary log was sent.
    pub sent: usize,
    /// Something is on its way.
    pub in_flight: bool,
    /// Since when nothing gets through, in µs.
    pub stalled: Option<u64>,
}

/// A commit that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Its transaction.
    pub txn: Txn,
    /// Its place in the binary log.
    pub place: usize,
    /// Who has acknowledged.
    pub by: BTreeSet<Index>,
    /// Which run of the supervisor wrote it to help others on; a client's if none did.
    pub beat: Option<u64>,
    /// Since when, in µs.
    pub since: u64,
}

/// A supervisor and its memory.
#[derive(Debug)]
pub(crate) struct Supervisor {
    /// Whether it runs.
    pub up: bool,
    /// Counts its runs.
    pub run: u64,
    /// Until when it is stopped by SIGSTOP, in µs.
    pub paused_until: u64,
    /// What it knows.
    pub view: View,
    /// Its settings.
    pub policy: Policy,
    /// How much faster than true its clock is, in millionths.
    pub drift: i64,
    /// What its clock showed at the beginning, in µs.
    pub offset: u64,
    /// When it wants to decide again, in µs.
    pub wake: u64,
    /// The act in the server lane.
    pub operation: u64,
    /// Requests to the catalog without an answer.
    pub requests: BTreeMap<u64, Request>,
    /// The query whose answer counts, and when it was sent.
    pub poll: (u64, u64),
    /// What the last answer showed.
    pub known: Snapshot,
    /// When the last write of the lease was answered, in µs.
    pub lease_answered: u64,
    /// When the query under way was sent, on its own clock.
    pub asked: Time,
    /// When the one was sent whose answer was taken last.
    pub lease_asked: Time,
    /// The index of the own record.
    pub record_index: u64,
    /// In-sync members that are not connected, since when (own clock).
    pub missing: BTreeMap<MemberId, Time>,
    /// The last reason told, so that the narrative has no repetitions.
    pub told: String,
    /// An observation is due soon.
    pub observing: bool,
    /// A question to the source is under way.
    pub asking: bool,
    /// Members whose answer about their position is under way.
    pub members_asked: BTreeSet<MemberId>,
    /// When an operator's orders were first seen (own clock), by their number.
    pub order_seen: Option<(u64, Time)>,
    /// It was asked to stop, and will be started again.
    pub stopping: bool,
}

/// A request to the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What it writes.
    pub write: Write,
    /// When it was sent (own clock).
    pub sent: Time,
}

/// What can happen next.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A supervisor's own deadline.
    Wake(Index, u64),
    /// A supervisor looks at its server.
    Observe(Index, u64),
    /// The regular observation.
    Probe(Index, u64),
    /// A supervisor asks for changes.
    Poll(Index, u64),
    /// The question arrives at the catalog; up to when it may wait.
    PollArrives(Index, u64, u64, u64, u64),
    /// A waiting question's time is up.
    PollOver(Index, u64, u64),
    /// The answer, or an error.
    PollAnswer(Index, u64, u64, Option<Rc<Snapshot>>),
    /// A write arrives at the catalog; in which of its lives it was sent.
    Arrives(Index, u64, u64, Write, u32),
    /// Its answer: whether it was done and at which index; or an error.
    Answer(Index, u64, u64, Option<(bool, u64)>),
    /// No answer came.
    TimedOut(Index, u64, u64),
    /// A statement or a process of an act takes effect.
    Effect(Index, u64, u64, u64, Box<Act>),
    /// An act in the server lane is over.
    Done(Index, u64, u64),
    /// A transaction that says nothing is written: supervisor's run, server's run.
    Beat(Index, u64, u64),
    /// It is over.
    BeatOver(Index, u64),
    /// Commits that wait are released, if all that is in the binary log is in this set: supervisor's run, server's run.
    Release(Index, u64, u64, Box<GtidSet>),
    /// That is over.
    ReleaseOver(Index, u64),
    /// A drain is looked at.
    DrainCheck(Index, u64, u64, u64),
    /// A supervisor starts.
    SupervisorStarts(Index),
    /// A supervisor learns that its server has exited.
    Exited(Index, u64, u64),
    /// A server has recovered.
    ServerUp(Index, u64, Start),
    /// A receiver tries to connect.
    Connect(Index, u64),
    /// A replica notices that its connection is gone.
    Broken(Index, u64),
    /// A source notices that a replica's connection is gone.
    DumpGone(Index, Index, u64),
    /// Transactions arrive: source, replica, connection, how much of the log that is.
    Deliver(Index, Index, u64, usize, Rc<Vec<Txn>>),
    /// An ack arrives: source and its run, replica, connection, up to which place.
    Ack(Index, u64, Index, u64, usize),
    /// The applier has applied.
    Applied(Index, u64),
    /// The source's answer arrives.
    SourceAnswer(Index, u64, Option<Box<SourceFacts>>),
    /// A member's answer arrives to the question for its position.
    Position(Index, u64, Seat, Option<Box<GtidSet>>),
    /// A client writes.
    Write,
    /// Something breaks.
    Fault(Fault),
    /// The catalog has a leader, or is there, again.
    CatalogBack(u64),
    /// An operator's pause ends.
    Unpause,
}

/// Everything.
pub(crate) struct World {
    /// The true time, in µs.
    pub now: u64,
    /// Chance.
    pub rng: Rng,
    /// The members.
    pub members: Vec<Member>,
    /// The catalog.
    pub catalog: Catalog,
    /// Questions that wait for a change: member, run, number, known index.
    pub waiters: Vec<(Index, u64, u64, u64)>,
    /// The network.
    pub network: Network,
    /// All transactions ever written.
    pub gtids: Vec<Gtid>,
    /// Those that a client got an OK for.
    pub acked: Bits,
    /// Their number.
    pub acked_count: u64,
    /// Which servers.
    pub flavour: Flavour,
    /// The planted bug.
    pub flaw: Flaw,
    /// What happened in this step, for the invariants.
    pub happenings: Vec<Happening>,
    /// The story, if somebody listens.
    pub narrative: Option<Vec<String>>,
    /// Catalogs were wiped or restored so often.
    pub catalog_resets: u32,
    /// An operator accepted a loss.
    pub forced: bool,
    /// Clients write.
    pub writing: bool,
    /// When, in which order, and where in `events`.
    queue: BinaryHeap<Reverse<(u64, u64, usize)>>,
    events: Vec<Option<Event>>,
    vacant: Vec<usize>,
    sequence: u64,
}

impl World {
    /// A world without events.
    pub(crate) fn new(seed: u64, flavour: Flavour, flaw: Flaw, members: Vec<Member>) -> World {
        World {
            now: 0,
            rng: Rng::new(seed),
            network: Network::default(),
            members,
            catalog: Catalog { reachable: true, has_leader: true, ..Catalog::default() },
            waiters: Vec::new(),
            gtids: Vec::new(),
            acked: Bits::default(),
            acked_count: 0,
            flavour,
            flaw,
            happenings: Vec::new(),
            narrative: None,
            catalog_resets: 0,
            forced: false,
            writing: true,
            queue: BinaryHeap::new(),
            events: Vec::new(),
            vacant: Vec::new(),
            sequence: 0,
        }
    }

    /// Puts an event into the queue.
    pub(crate) fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        let place = match self.vacant.pop() {
            Some(place) => {
                self.events[place] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                self.events.len() - 1
            }
        };
        self.queue.push(Reverse((time.max(self.now), self.sequence, place)));
    }

    /// Puts an event into the queue, so many µs from now.
    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    /// When the next event happens, in µs.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((time, ..))| *time)
    }

    /// Lets the next event happen.
    pub(crate) fn step(&mut self) {
        let Some(Reverse((time, _, place))) = self.queue.pop() else { return };
        self.now = time;
        self.vacant.push(place);
        if let Some(event) = self.events[place].take() {
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(m, run)
            | Event::Observe(m, run)
            | Event::Probe(m, run)
            | Event::Poll(m, run)
            | Event::PollAnswer(m, run, ..)
            | Event::Answer(m, run, ..)
            | Event::TimedOut(m, run, _)
            | Event::Done(m, run, _)
            | Event::BeatOver(m, run)
            | Event::ReleaseOver(m, run)
            | Event::Exited(m, run, _)
            | Event::SourceAnswer(m, run, _)
            | Event::Position(m, run, ..) => self.for_supervisor(m, run, event),
            Event::PollArrives(m, run, number, known, until) => self.poll_arrives(m, run, number, known, until),
            Event::PollOver(m, run, number) => self.poll_over(m, run, number),
            Event::Arrives(m, run, number, write, life) => self.write_arrives(m, run, number, &write, life),
            Event::SupervisorStarts(m) => self.supervisor_starts(m),
            Event::ServerUp(m, run, start) => self.server_up(m, run, start),
            Event::Effect(m, run, operation, server_run, act) => self.effect(m, run, operation, server_run, *act),
            Event::Beat(m, run, server_run) => self.beat(m, run, server_run),
            Event::Release(m, run, server_run, held) => self.release(m, run, server_run, held),
            Event::DrainCheck(m, run, operation, until) => self.drain_check(m, run, operation, until),
            Event::Connect(m, run) => self.connect(m, run),
            Event::Broken(m, connection) => self.connection_broken(m, connection),
            Event::DumpGone(source, replica, connection) => self.dump_gone(source, replica, connection),
            Event::Deliver(source, replica, connection, sent, txns) => {
                self.deliver(source, replica, connection, sent, txns);
            }
            Event::Ack(source, run, replica, connection, place) => self.ack(source, run, replica, connection, place),
            Event::Applied(m, run) => self.applied(m, run),
            Event::Write => self.client_writes(),
            Event::Fault(fault) => self.fault(fault),
            Event::CatalogBack(since) => self.catalog_back(since),
            Event::Unpause => self.catalog_order(|orders| orders.paused = false),
        }
    }

    fn for_supervisor(&mut self, m: Index, run: u64, event: Event) {
        let supervisor = &self.members[m].supervisor;
        if !supervisor.up || supervisor.run != run {
            return;
        }
        if supervisor.paused_until > self.now {
            let resumes = supervisor.paused_until;
            let jitter = self.rng.below(2_000);
            return self.at(resumes + jitter, event);
        }
        match event {
            Event::Wake(..) => self.members[m].supervisor.wake = u64::MAX,
            Event::Observe(..) => self.observe(m),
            Event::Probe(..) => self.probe(m),
            Event::Poll(..) => return self.poll(m),
            Event::PollAnswer(_, _, number, snapshot) => self.poll_answer(m, number, snapshot),
            Event::Answer(_, _, number, outcome) => self.answer(m, number, outcome),
            Event::TimedOut(_, _, number) => self.timed_out(m, number),
            Event::Done(_, _, operation) => self.done(m, operation),
            Event::BeatOver(..) | Event::ReleaseOver(..) => self.help_over(m, event),
            Event::Exited(_, _, server_run) => self.exited(m, server_run),
            Event::SourceAnswer(_, _, facts) => self.source_answer(m, facts),
            Event::Position(_, _, seat, executed) => self.position_answer(m, seat, executed),
            _not_for_a_supervisor => {}
        }
        self.think(m);
        self.ask_members(m);
    }

    /// A line of the story.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(narrative) = &mut self.narrative {
            narrative.push(format!("{:>8.3} {}", now as f64 / 1e6, line()));
        }
    }

    /// The disk's delay of one write, in µs.
    pub(crate) fn disk_delay(&mut self, m: Index) -> u64 {
        if self.members[m].disk.slow_until > self.now {
            self.rng.range(100_000, 800_000)
        } else {
            self.rng.range(50, 400)
        }
    }

    /// A member's own clock.
    pub(crate) fn local(&self, m: Index) -> Time {
        let supervisor = &self.members[m].supervisor;
        let drifted = self.now as i64
            + self.now as i64 / 1_000_000 * supervisor.drift
            + self.now as i64 % 1_000_000 * supervisor.drift / 1_000_000;
        Time::from_start(std::time::Duration::from_micros(supervisor.offset + drifted as u64))
    }

    /// The member that takes writes, if one does; the newest term if several think so.
    pub(crate) fn primary(&self) -> Option<Index> {
        let open = self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.server.process == Process::Up && member.server.writable);
        open.max_by_key(|(_, member)| member.server.open_term).map(|(index, _)| index)
    }
}
