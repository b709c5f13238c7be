//! The loop: facts become a `View`, the autopilot decides, the decision is judged and carried out.
//!
//! ```text
//!  reading.rs   the catalog: one snapshot after the other ──┐
//!  namesake.rs  is another member running as we are?    ────┤
//!  watching.rs  probes, looks at our own server         ────┤
//!  asking.rs    questions to other members' servers     ────┼──► View ──► think(): decide, lint ──► acts.rs, writing.rs
//!  handle.rs    orders, reports, copies  ───────────────────┘      ▲                                     │
//!                                                                 └──────────── fact.rs ◄────────────────┘
//! ```
//!
//! One task owns the view. Everything that takes time runs beside it and ends as a [`Fact`]; nothing is awaited while the view is borrowed, so
//! a renewal never waits for a statement, and a fence for nothing.

mod acts;
mod asking;
mod clock;
mod fact;
mod handle;
mod namesake;
mod reading;
mod registrar;
mod reporting;
mod requests;
mod watching;
mod writing;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use pilotfish_autopilot::{
    Act, Catalog, Decision, Identity, LeaseChange, Policy, Server as ServerState, Time, View, Why, decide, lint,
};
use pilotfish_consul::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::catalog::{Board, Contact};
use crate::disk::Disk;
use crate::error::Error;
use crate::launch::{Host, Launcher};
use crate::report::{Decided, Phase, Report};
use crate::server::{Installation, Server};
use crate::settings::{Credentials, Settings};
use crate::sql::{Database, LocalAccess};
use asking::Asking;
use fact::Fact;
pub use handle::{Handle, Order};
use reading::Reading;
use registrar::Registrar;
use watching::Watching;

/// More acts in one moment than this: the decisions contradict each other, and somebody must be told.
const ACTS_AT_ONCE: usize = 12;
/// How long a decision to which the judge objects is put off, or one that could not be carried out.
const OBJECTION_PAUSE: Duration = Duration::from_millis(100);
/// Decisions that are kept for reports.
const DECISIONS: usize = 40;
/// After how long a reason to wait is told.
const WORTH_TELLING: Duration = Duration::from_secs(1);
/// Time between two reports, at the least.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Every step.
    Debug,
    /// What a person wants to know afterwards.
    Info,
    /// What is not as it should be.
    Warn,
    /// What needs somebody.
    Error,
}

/// Where lines of the log go. It must not wait for a reader.
pub type Log = Box<dyn Fn(Level, &str) + Send>;

/// The operator of one member.
pub struct Operator {
    settings: Settings,
    credentials: Credentials,
    policy: Policy,
    host: Host,
    launcher: Launcher,
    facts: mpsc::UnboundedSender<Fact>,
    inbox: mpsc::UnboundedReceiver<Fact>,
    report: watch::Sender<Report>,
    log: Log,
    view: View,
    /// Names this run of the operator: drawn at random at its start.
    incarnation: String,
    disk: Disk,
    server: Server,
    version: String,
    database: Database,
    board: Board,
    contact: Contact,
    reading: Reading,
    watching: Watching,
    asking: Asking,
    registrar: Registrar,
    /// The run of the server, if there is one.
    run: Option<Run>,
    /// Numbers acts with the server: what an interrupted one reports is not believed.
    operation: u64,
    /// When the act under way had taken effect; the lane is free after a look that began later.
    finished: Option<Time>,
    /// The write of the lease under way.
    writing: Option<writing::Writing>,
    /// The last one, if it was not answered, or came after another of the same value that was not.
    doubtful: Option<writing::Writing>,
    /// What the data directory is to be that is being built.
    building: Option<Identity>,
    /// Failures of the act that failed last, in a row.
    failures: u32,
    /// When to decide again.
    wake: Option<Time>,
    /// Why this member must not run.
    refused: Option<Error>,
    told: Told,
}

/// A run of the server.
struct Run {
    /// Its number; also the launcher's.
    number: u64,
    /// What was in its binary log when the last change of gate or acks had taken effect.
    settled: Option<pilotfish_autopilot::GtidSet>,
}

/// What was told of decisions, and is kept for reports.
#[derive(Default)]
struct Told {
    /// The reason of the last decision.
    why: Option<Why>,
    /// Why nothing is done, since when, and whether that was told.
    waiting: Option<(&'static str, Time, bool)>,
    until: Option<Time>,
    doing: Option<String>,
    /// Why what was seen of the lease cannot be written down.
    unwritten: Option<String>,
    /// Why the disk cannot be read.
    unread: Option<String>,
    /// The change of the lease that was tried last, and why: it is tried again and again while the catalog does not answer.
    tried: Option<(LeaseChange, &'static str)>,
    decisions: VecDeque<Decided>,
    counters: BTreeMap<&'static str, u64>,
    promotion: Vec<Phase>,
    promotion_began: Option<Time>,
    reported: Option<Time>,
}

impl Told {
    /// Whether the same change was tried last for the same reason, and nobody knows yet what became of it.
    fn is_repetition(&mut self, change: LeaseChange, why: &Why) -> bool {
        self.tried.replace((change, why.code())) == Some((change, why.code()))
    }
}

impl Operator {
    /// Looks at what is installed and at what is on disk; starts nothing.
    ///
    /// # Errors
    /// Whatever keeps it from starting, with what to do about it.
    pub async fn new(
        settings: Settings,
        credentials: Credentials,
        client: Client,
        log: Log,
    ) -> Result<(Operator, Handle), Error> {
        let (mut host, launcher) = Host::new()?;
        let disk = Disk::open(&settings.directory, settings.id, clock::random())?;
        let me = disk.id();
        let installation = tokio::select! {
            found = Installation::find(&settings, &launcher) => found?,
            _ = host.drive() => return Err(Error::Ending),
        };
        let (flavour, version) = (installation.flavour, installation.version.clone());
        let policy = settings.policy.clone();
        let access = LocalAccess::of(&settings, &credentials, me);
        let database = Database::new(flavour, access, installation.tools(&settings, &launcher));
        let server = Server::new(&settings, &credentials, me, installation, launcher.clone())?;
        let board = Board::new(client.clone(), &settings.service, flavour, policy.request_limit);
        let contact = Contact {
            name: settings.name.clone(),
            address: settings.address.clone(),
            port: settings.port,
            api_port: settings.api_port,
        };
        let mut view = View::new(me, flavour, clock::random(), clock::now());
        view.data = disk.data()?;
        view.known_cluster = disk.known_cluster();
        view.server = ServerState::Stopped;
        let (facts, inbox) = mpsc::unbounded_channel();
        let (report, reports) = watch::channel(Report::default());
        let registrar = Registrar::start(client, &settings, me, version.clone(), &policy);
        let handle = Handle { facts: facts.clone(), report: reports };
        let operator = Operator {
            settings,
            credentials,
            policy,
            host,
            launcher,
            facts,
            inbox,
            report,
            log,
            view,
            incarnation: format!("{:016x}", clock::random()),
            disk,
            server,
            version,
            database,
            board,
            contact,
            reading: Reading::default(),
            watching: Watching::default(),
            asking: Asking::default(),
            registrar,
            run: None,
            operation: 0,
            finished: None,
            writing: None,
            doubtful: None,
            building: None,
            failures: 0,
            wake: None,
            refused: None,
            told: Told::default(),
        };
        Ok((operator, handle))
    }

    /// Runs until SIGTERM or SIGINT: then the role is handed over if somebody can take it, the server is stopped, and nothing is left.
    ///
    /// # Errors
    /// [`Error::Unfit`] if another member runs with the same number. None that it could live with: those are told to the log, and tried again.
    pub async fn run(mut self) -> Result<u8, Error> {
        (self.log)(Level::Info, &format!("{} {}, {}", self.view.me, self.version, self.settings.directory.display()));
        self.read_catalog();
        while self.refused.is_none() && !self.is_over() {
            let tried = clock::now();
            self.tick();
            self.think();
            self.tell_health();
            self.publish_report();
            let now = clock::now();
            let nap = self.next_deadline(tried).map(|at| at.since(now));
            let fact = tokio::select! {
                signal = self.host.drive() => Some(Fact::Signal(signal)),
                // We hold a sender ourselves: there is always a next fact.
                fact = self.inbox.recv() => fact,
                () = sleep(nap.unwrap_or(REPORT_EVERY)) => None,
            };
            let now = clock::now();
            if self.watching.woke(now, &self.policy) {
                self.asking.was_stopped(now);
            }
            if let Some(fact) = fact {
                self.take(fact);
            }
            // What is known already is known before the next decision.
            while let Ok(fact) = self.inbox.try_recv() {
                self.take(fact);
            }
        }
        self.end().await;
        self.refused.map_or(Ok(0), Err)
    }

    async fn end(&mut self) {
        self.leave_members();
        // What another has registered under our number stays.
        if self.refused.is_none() {
            let leave = self.registrar.end();
            tokio::select! {
                () = leave => {}
                _ = self.host.drive() => {}
            }
        }
        self.host.finish();
        (self.log)(Level::Info, "stopped");
    }

    /// Asked to stop, the server is stopped, and the lease is not ours any more, or cannot be given back.
    fn is_over(&self) -> bool {
        let Some(since) = self.view.orders.stop else { return false };
        let busy = self.view.busy.server.as_ref().is_some_and(acts::needs_a_server);
        let stopped = matches!(self.view.server, ServerState::Stopped) && !busy;
        if !stopped {
            return false;
        }
        let released = matches!(self.told.why, Some(Why::StoppedAsAsked));
        let unreachable =
            self.view.catalog != Catalog::Answers && clock::now().since(since) > self.policy.request_limit * 4;
        released || unreachable
    }

    /// Decides until there is nothing more to do at this moment.
    fn think(&mut self) {
        for _ in 0..ACTS_AT_ONCE {
            let now = clock::now();
            let decision = decide(&self.view, &self.policy, now);
            let objections = lint(&self.view, &self.policy, now, &decision);
            if !objections.is_empty() {
                let objections: Vec<String> = objections.iter().map(ToString::to_string).collect();
                let (act, objections) = (reporting::act_name(&decision.act), objections.join("; "));
                let text = format!("not done, a mistake of ours: {act} ({}): {objections}", decision.why);
                (self.log)(Level::Error, &text);
                self.count("objections");
                self.wake = Some(now.after(OBJECTION_PAUSE));
                return;
            }
            self.note(&decision);
            if decision.act == Act::Wait {
                self.wake = decision.until;
                return;
            }
            if !self.perform(now, decision.act) {
                self.wake = Some(now.after(OBJECTION_PAUSE));
                return;
            }
        }
        (self.log)(Level::Error, "too many acts at once, a mistake of ours; going on in a moment");
        self.wake = Some(clock::now().after(OBJECTION_PAUSE));
    }

    /// Tells a decision, unless it is one of those that come every second.
    fn note(&mut self, decision: &Decision) {
        self.told.until = decision.until;
        let name = reporting::act_name(&decision.act);
        match &decision.act {
            Act::Wait => {
                self.note_waiting(&decision.why);
                return;
            }
            Act::WriteLease { change: LeaseChange::Renew, .. }
            | Act::PublishRecord { .. }
            | Act::Remember { .. }
            | Act::Beat { .. } => {
                (self.log)(Level::Debug, &format!("{name}: {} [{}]", decision.why, decision.why.code()));
                return;
            }
            Act::WriteLease { change, .. } if self.told.is_repetition(*change, &decision.why) => {
                (self.log)(Level::Debug, &format!("{name}, again: {} [{}]", decision.why, decision.why.code()));
                self.told.why = Some(decision.why.clone());
                return;
            }
            Act::StartServer { .. }
            | Act::FenceServer
            | Act::StopServer
            | Act::InitialiseCluster { .. }
            | Act::Condemn { .. }
            | Act::Rebuild { .. }
            | Act::WriteLease { .. }
            | Act::PublishVote { .. }
            | Act::Register { .. }
            | Act::Answer { .. }
            | Act::StopReceiver { .. }
            | Act::Drain { .. }
            | Act::Attach { .. }
            | Act::SetGate { .. }
            | Act::SetAcks { .. }
            | Act::Open { .. }
            | Act::Close { .. }
            | Act::Release { .. } => {}
        }
        (self.log)(Level::Info, &format!("{name}: {} [{}]", decision.why, decision.why.code()));
        self.told.why = Some(decision.why.clone());
        self.told.decisions.push_back(Decided {
            at: clock::wall(),
            act: name,
            code: decision.why.code().into(),
            why: decision.why.to_string(),
        });
        if self.told.decisions.len() > DECISIONS {
            self.told.decisions.pop_front();
        }
    }

    /// A reason to wait is told when it has lasted: most are over in a moment.
    fn note_waiting(&mut self, why: &Why) {
        let now = clock::now();
        let same = self.told.waiting.as_ref().filter(|(code, ..)| *code == why.code());
        let (since, told) = same.map_or((now, false), |(_, since, told)| (*since, *told));
        // What is tried again and again for this reason was told when it was tried first.
        let known = self.told.tried.is_some_and(|(_, code)| code == why.code());
        let tell = !told && !known && now.since(since) >= WORTH_TELLING && why.code() != Why::Settled.code();
        if tell {
            (self.log)(Level::Info, &format!("waiting: {why} [{}]", why.code()));
        }
        self.told.waiting = Some((why.code(), since, told || tell));
        self.told.why = Some(why.clone());
    }

    fn count(&mut self, what: &'static str) {
        *self.told.counters.entry(what).or_default() += 1;
    }

    /// Takes a fact into the view.
    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Read { number, sent, found } => self.was_read(number, sent, found),
            Fact::Namesake { contact, holds_lease } => self.namesake_answered(&contact, holds_lease),
            Fact::LeaseWritten { sent, outcome } => self.lease_was_written(sent, outcome),
            Fact::RecordWritten { record, outcome } => self.record_was_written(*record, outcome),
            Fact::VoteWritten { vote, outcome } => self.vote_was_written(*vote, outcome),
            Fact::OrderRemoved { key, outcome } => self.order_was_removed(key, outcome),
            Fact::Probed { run, answer } => self.was_probed(run, answer),
            Fact::Beaten(outcome) => self.has_beaten(&outcome),
            Fact::Released(outcome) => self.has_released(&outcome),
            Fact::StorageProbed(answer) => self.storage_was_probed(answer),
            Fact::Looked { run, began, seen } => self.was_looked_at(run, began, seen),
            Fact::Source(answer) => self.source_answered(answer),
            Fact::Position { seat, executed } => self.position_answered(seat, executed),
            Fact::ActDone { operation, outcome } => self.act_is_done(operation, outcome),
            Fact::Said(line) => (self.log)(Level::Info, &line),
            Fact::Gone { run, exit } => self.server_is_gone(run, exit),
            Fact::Asked(request) => self.asked(request),
            Fact::Signal(signal) => self.signalled(signal),
        }
    }

    fn signalled(&mut self, signal: i32) {
        const SIGINT: i32 = 2;
        const SIGTERM: i32 = 15;
        if (signal == SIGTERM || signal == SIGINT) && self.view.orders.stop.is_none() {
            (self.log)(Level::Info, "asked to stop");
            self.view.orders.stop = Some(clock::now());
            self.watching.heat(clock::now());
        }
    }
}
