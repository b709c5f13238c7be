//! A model of everything around the supervisor: it performs effects in a world of scripted processes, a catalog and a clock that jumps, and
//! holds every step to the invariants.

mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use pilotfish_supervisor::*;

use crate::desk::Desk;

/// How a process of the model behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// It exits by itself after that long.
    pub(crate) exits: Option<(Duration, Exit)>,
    /// How it answers SIGTERM; `None`: not at all.
    pub(crate) on_term: Option<(Duration, Exit)>,
    /// It cannot be started; the code says why.
    pub(crate) unspawnable: Option<u8>,
    /// What it started lives on for that long after it.
    pub(crate) survivors: Option<Duration>,
    /// Not even SIGKILL ends it (uninterruptible I/O).
    pub(crate) unkillable: bool,
}

impl Script {
    /// Runs until SIGTERM, which kills it at once.
    pub(crate) const DAEMON: Script = Script {
        exits: None,
        on_term: Some((Duration::ZERO, Exit::Signal(15))),
        unspawnable: None,
        survivors: None,
        unkillable: false,
    };
    /// Runs until SIGKILL.
    pub(crate) const STUBBORN: Script = Script { on_term: None, ..Script::DAEMON };

    /// Exits with a code after that many milliseconds.
    pub(crate) const fn task(after: u64, code: u8) -> Script {
        Script { exits: Some((Duration::from_millis(after), Exit::Code(code))), ..Script::DAEMON }
    }
}

/// How the catalog of the model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Catalog {
    Up,
    Silent,
    Away {
        refused: bool,
    },
    Denies,
    /// The agent takes registrations, but has no leader to tell of them, and is too slow to say so.
    Leaderless,
}

#[derive(Clone)]
struct Living {
    label: Label,
    script: Script,
    leader: bool,
}

/// The supervisor in its world.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) supervisor: Supervisor,
    pub(crate) scripts: BTreeMap<String, Script>,
    pub(crate) checks: BTreeMap<String, Script>,
    pub(crate) probes: BTreeMap<String, bool>,
    pub(crate) catalog: Catalog,
    pub(crate) agent: &'static str,
    pub(crate) held: BTreeMap<&'static str, BTreeMap<String, ServiceStatus>>,
    /// Other supervisors that have registered the same.
    pub(crate) others: Vec<Other>,
    pub(crate) latency: Duration,
    pub(crate) next_config: Option<Result<Spec, String>>,
    /// Facts and files.
    pub(crate) desk: Desk,
    /// What happened, one word a line; tests read this.
    pub(crate) story: Vec<(Duration, String)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) finished: Option<u8>,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) settled: BTreeMap<Ticket, Result<(), String>>,
    pub(crate) calls: Vec<(Time, CallId, Request)>,
    answered: BTreeSet<CallId>,
    /// Jobs that were hooks on an end in any config so far.
    hooks: BTreeSet<String>,
    living: BTreeMap<RunId, Living>,
    runs: BTreeSet<RunId>,
    queue: BTreeMap<(Time, u64), Event>,
    sequence: u64,
    stopping: bool,
    spawned: usize,
    ended: usize,
}

impl World {
    pub(crate) fn new(spec: Spec) -> World {
        World {
            now: Time::START,
            supervisor: Supervisor::new(spec.clone(), 7),
            scripts: BTreeMap::new(),
            checks: BTreeMap::new(),
            probes: BTreeMap::new(),
            catalog: Catalog::Up,
            agent: "10.0.0.1:8500",
            held: BTreeMap::new(),
            others: Vec::new(),
            latency: Duration::from_millis(2),
            next_config: None,
            desk: Desk::new(),
            story: Vec::new(),
            effects: Vec::new(),
            finished: None,
            tickets: Vec::new(),
            settled: BTreeMap::new(),
            calls: Vec::new(),
            answered: BTreeSet::new(),
            hooks: hooks(&spec).collect(),
            living: BTreeMap::new(),
            runs: BTreeSet::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            stopping: false,
            spawned: 0,
            ended: 0,
        }
    }

    /// A world whose processes behave like this, booted.
    pub(crate) fn booted(spec: Spec, scripts: &[(&str, Script)]) -> World {
        let mut world = World::new(spec);
        world.scripts = scripts.iter().map(|(name, script)| (name.to_string(), *script)).collect();
        world.event(Event::Booted);
        world
    }

    /// One step, with its effects performed.
    pub(crate) fn event(&mut self, event: Event) {
        let before = self.finished;
        let effects = self.supervisor.step(self.now, event);
        assert!(before.is_none() || effects.is_empty(), "effects after the end: {effects:?}");
        // A new config is in force before anything is done for it.
        let reloads =
            |effect: &Effect| matches!(effect, Effect::Notice(Notice::Reloaded { .. } | Notice::RolledBack { .. }));
        if effects.iter().any(reloads) {
            self.desk.reloaded();
        }
        for effect in effects {
            if reloads(&effect) {
                // What the same step asked for before it went back is forgotten, too.
                self.desk.reloaded();
            }
            self.perform(&effect);
            self.effects.push(effect);
        }
    }

    /// Lets the world run for that many milliseconds.
    pub(crate) fn run(&mut self, millis: u64) {
        self.run_until(self.now.after(Duration::from_millis(millis)));
    }

    /// Lets the world run until the supervisor has finished; how long that took.
    pub(crate) fn run_to_end(&mut self) -> Duration {
        let begun = self.now;
        self.run_until(self.now.after(Duration::from_secs(3600)));
        assert!(
            self.finished.is_some(),
            "not finished after an hour: {:?}\n{}",
            self.supervisor.status(self.now),
            self.told()
        );
        self.now.since(begun)
    }

    pub(crate) fn run_until(&mut self, end: Time) {
        let mut idle = 0;
        while self.finished.is_none() {
            let event_at = self.queue.keys().next().map(|(at, _)| *at);
            let deadline = self.supervisor.deadline();
            let Some(next) = event_at.into_iter().chain(deadline).min().filter(|next| *next <= end) else { break };
            idle = if next > self.now { 0 } else { idle + 1 };
            assert!(idle < 2_000, "busy loop at {:?}: {:?}", self.now, self.supervisor.status(self.now));
            self.now = self.now.max(next);
            if event_at == Some(next) {
                let (_, event) = self.queue.pop_first().expect("it was just seen");
                self.deliver(event);
            } else {
                self.event(Event::TimePassed);
                let after = self.supervisor.deadline();
                assert!(
                    after != deadline || self.finished.is_some(),
                    "time passed at a deadline, and it stays: {after:?}"
                );
            }
        }
        if self.finished.is_none() {
            self.now = self.now.max(end);
        }
    }

    pub(crate) fn deliver(&mut self, event: Event) {
        self.desk.delivered(&event);
        if let Event::Exited { run, survivors, .. } = &event {
            match self.living.get_mut(run) {
                Some(living) if living.leader => living.leader = false,
                Some(_) | None => return,
            }
            if !*survivors {
                self.living.remove(run);
            }
        }
        if let Event::Vacated { run } = &event
            && self.living.remove(run).is_none()
        {
            return;
        }
        self.event(event);
    }

    pub(crate) fn later(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now.after(after), self.sequence), event);
    }

    pub(crate) fn tell(&mut self, text: String) {
        self.story.push((self.now.since_start(), text));
    }

    fn perform(&mut self, effect: &Effect) {
        assert!(self.finished.is_none(), "after the end: {effect:?}");
        match effect {
            Effect::Spawn { run, label, .. } => self.spawn(*run, label),
            Effect::Signal { run, signal } => self.signal(*run, *signal),
            Effect::KillTree { run } => self.kill(*run),
            Effect::Probe { run, job, .. } => {
                let healthy = self.probes.get(job).copied().unwrap_or(true);
                let result = if healthy { Ok(()) } else { Err("no".to_string()) };
                self.later(Duration::from_millis(5), Event::Probed { run: *run, result });
            }
            Effect::Call { call, request } => self.call(*call, request),
            Effect::Load => {
                let config = self.next_config.clone().unwrap_or_else(|| Ok(self.supervisor.spec().clone()));
                self.hooks.extend(config.iter().flat_map(hooks));
                self.later(Duration::from_millis(1), Event::Loaded(config.map(Box::new)));
            }
            Effect::ReloadSettled { tickets, result } => {
                for ticket in tickets {
                    assert!(self.settled.insert(*ticket, result.clone()).is_none(), "ticket {ticket} answered twice");
                }
            }
            Effect::Notice(notice) => self.notice(notice),
            Effect::Finish { code } => {
                self.finished = Some(*code);
                self.tell(format!("finish {code}"));
                let alive: Vec<_> = self.living.values().filter(|living| !living.script.unkillable).collect();
                let jobs: Vec<_> = alive
                    .iter()
                    .filter(|living| living.label.kind == RunKind::Job)
                    .map(|living| &living.label)
                    .collect();
                assert!(jobs.is_empty(), "left behind: {jobs:?}");
                assert_eq!(self.spawned, self.ended, "every run's end is told exactly once\n{}", self.told());
            }
            Effect::ArmCalendar { job, .. } => self.tell(format!("arm {job}")),
            Effect::DisarmCalendar { job } => self.tell(format!("disarm {job}")),
            Effect::Watch(watch) => self.tell(format!("watch {}", watch.name)),
            Effect::AskAgain(followed) => self.ask_again(followed),
            Effect::Unwatch { watch } => self.tell(format!("unwatch {watch}")),
            Effect::ReopenLog => self.tell("reopen log".into()),
            Effect::Guard { .. } | Effect::Unguard { .. } => {}
            Effect::Follow { .. }
            | Effect::Unfollow { .. }
            | Effect::TakeFact { .. }
            | Effect::Render { .. }
            | Effect::Commit { .. }
            | Effect::Discard { .. } => {
                if let Some((after, event)) = self.desk.perform(effect, self.supervisor.spec()) {
                    self.later(after, event);
                }
            }
        }
    }

    fn spawn(&mut self, run: RunId, label: &Label) {
        assert!(self.runs.insert(run), "run {run} used twice");
        let scripts = if label.kind == RunKind::Job { &self.scripts } else { &self.checks };
        let hook = self.hooks.contains(&label.job);
        let default = if label.kind == RunKind::Job && !hook { Script::DAEMON } else { Script::task(5, 0) };
        let script = scripts.get(&label.job).copied().unwrap_or(default);
        if label.kind == RunKind::Job {
            let twice = self.living.values().any(|living| living.label == *label);
            assert!(!twice, "two instances of {} at a time\n{}", label.job, self.told());
            assert!(!self.stopping || hook, "{} started during the stop\n{}", label.job, self.told());
            assert!(self.desk.started, "{} started before the startup\n{}", label.job, self.told());
            self.spawned += 1;
            self.tell(format!("start {}", label.job));
        }
        if let Some(code) = script.unspawnable {
            return self
                .later(Duration::from_millis(1), Event::SpawnFailed { run, code, reason: "no such file".into() });
        }
        self.living.insert(run, Living { label: label.clone(), script, leader: true });
        self.later(Duration::ZERO, Event::Spawned { run, pid: 100 + run as u32 });
        if let Some((after, exit)) = script.exits {
            self.exit(run, after, exit, script.survivors);
        }
    }

    fn exit(&mut self, run: RunId, after: Duration, exit: Exit, survivors: Option<Duration>) {
        self.later(after, Event::Exited { run, exit, survivors: survivors.is_some() });
        if let Some(more) = survivors {
            self.later(after.saturating_add(more), Event::Vacated { run });
        }
    }

    fn signal(&mut self, run: RunId, signal: i32) {
        assert!(self.runs.contains(&run), "signal to the unknown run {run}");
        let Some(living) = self.living.get(&run) else { return };
        let (label, script) = (living.label.clone(), living.script);
        let name = if signal == 15 { "term".to_string() } else { format!("signal {signal}") };
        self.tell(format!("{name} {}", label.job));
        if signal == 15
            && let Some((after, exit)) = script.on_term
        {
            self.exit(run, after, exit, script.survivors);
        }
    }

    fn kill(&mut self, run: RunId) {
        assert!(self.runs.contains(&run), "kill of the unknown run {run}");
        let Some(living) = self.living.get(&run) else { return };
        let (label, script, leader) = (living.label.clone(), living.script, living.leader);
        self.tell(format!("kill {}{}", label.job, if label.kind == RunKind::Check { ".check" } else { "" }));
        if script.unkillable {
            return;
        }
        if leader {
            self.later(Duration::ZERO, Event::Exited { run, exit: Exit::Signal(9), survivors: false });
        } else {
            self.later(Duration::ZERO, Event::Vacated { run });
        }
    }

    fn call(&mut self, call: CallId, request: &Request) {
        assert!(!(self.stopping && matches!(request, Request::Register { .. })), "a registration during the stop");
        self.calls.push((self.now, call, request.clone()));
        let mut may_hold = Vec::new();
        let outcome = match self.catalog {
            Catalog::Silent => return,
            Catalog::Leaderless => {
                if let Request::Register { service, status } = request {
                    self.held.entry(self.agent).or_default().insert(service.id.clone(), *status);
                    self.tell(format!("take {} {status:?} at {}", service.id, self.agent));
                    may_hold.push(self.agent.to_string());
                }
                CallOutcome::Unreachable { refused: false, reason: "no answer".into() }
            }
            Catalog::Away { refused } => CallOutcome::Unreachable { refused, reason: "away".into() },
            Catalog::Denies => CallOutcome::Refused { reason: "permission denied".into() },
            Catalog::Up => self.carry_out(request),
        };
        self.answered.insert(call);
        self.later(self.latency, Event::CatalogAnswered { call, outcome, may_hold });
    }

    fn carry_out(&mut self, request: &Request) -> CallOutcome {
        let agent = self.agent;
        let held = self.held.entry(agent).or_default();
        let done = CallOutcome::Done { address: agent.to_string() };
        let (text, outcome) = match request {
            Request::Look { service, .. } => {
                let ours = held.contains_key(service);
                (format!("look {service}"), CallOutcome::Seen { ours, others: self.others.clone() })
            }
            Request::Ping { home } => (format!("ping {home}"), CallOutcome::Done { address: home.clone() }),
            Request::Register { service, status } => {
                held.insert(service.id.clone(), *status);
                (format!("register {} {status:?}", service.id), done)
            }
            Request::Heartbeat { service, status } => match held.get_mut(service) {
                Some(held) => {
                    *held = *status;
                    (format!("beat {service} {status:?}"), done)
                }
                None => (format!("unknown {service}"), CallOutcome::Unknown),
            },
            Request::Deregister { service } => {
                held.remove(service);
                (format!("deregister {service}"), done)
            }
            Request::RemoveTwin { service, home, .. } => {
                if let Some((_, held)) = self.held.iter_mut().find(|(address, _)| *address == home) {
                    held.remove(service);
                }
                (format!("remove twin {service} at {home}"), done)
            }
        };
        self.tell(text);
        outcome
    }

    fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Ended { label, exit, .. } if label.kind == RunKind::Job => {
                self.ended += 1;
                self.tell(format!("end {} {}", label.job, exit.code()));
            }
            Notice::Occurred(Occurrence::Job(job, what)) => self.tell(format!("{job} {what:?}")),
            Notice::Occurred(Occurrence::Watch(watch, what)) => self.tell(format!("watch.{watch} {what:?}")),
            Notice::Occurred(Occurrence::TemplateChanged(name)) => self.tell(format!("template.{name} changed")),
            Notice::Occurred(Occurrence::Startup) => self.start_up(),
            Notice::Occurred(other) => self.tell(format!("{other:?}")),
            Notice::StopBegun { .. } => {
                assert!(!self.stopping, "the stop began twice");
                self.stopping = true;
                self.tell("stop".into());
            }
            Notice::RolledBack { reason } => self.tell(format!("rolled back: {reason}")),
            Notice::TemplateWritten { template, .. } => self.tell(format!("written {template}")),
            Notice::TemplateFailed { template, reason } => self.tell(format!("failed {template}: {reason}")),
            Notice::StartupHeld { templates } => {
                let each: Vec<_> = templates.iter().map(|(name, why)| format!("{name}: {why}")).collect();
                self.tell(format!("held back by {}", each.join("; ")));
            }
            Notice::FactHeld { fact } => self.tell(format!("held {fact}")),
            Notice::MainUnchanged { .. } => self.tell("main unchanged".into()),
            Notice::SurvivorsKilled { label } => self.tell(format!("survivors of {}", label.job)),
            Notice::Overrun { job } => self.tell(format!("overrun {job}")),
            Notice::RegistrationLost { service } => self.tell(format!("lost {service}")),
            Notice::Registered { service, .. } => self.tell(format!("registered {service}")),
            Notice::CatalogFailed { service, .. } => self.tell(format!("catalog failed {service}")),
            Notice::Contested { service, by, lasting } => {
                self.tell(format!("{service} contested by {by}{}", if *lasting { ", lasting" } else { "" }));
            }
            Notice::ViewHeld { watch } => self.tell(format!("held {watch}")),
            Notice::Abandoned { label } => {
                self.living.retain(|_, living| living.label != *label);
                self.tell(format!("abandoned {}", label.job));
            }
            Notice::Started { .. }
            | Notice::NotStarted { .. }
            | Notice::Ended { .. }
            | Notice::TimedOut { .. }
            | Notice::KilledAfterGrace { .. }
            | Notice::Restarting { .. }
            | Notice::CheckFailed { .. }
            | Notice::Deregistered { .. }
            | Notice::TwinRemoved { .. }
            | Notice::WatchFailed { .. }
            | Notice::WatchRecovered { .. }
            | Notice::Reloaded { .. }
            | Notice::ReloadRefused { .. }
            | Notice::TemplateUnchanged { .. }
            | Notice::FactFailed { .. }
            | Notice::FactRecovered { .. }
            | Notice::Maintenance(_) => {}
        }
    }

    /// Nothing may start before the required files are there.
    fn start_up(&mut self) {
        self.desk.started = true;
        for template in self.supervisor.spec().templates.iter().filter(|template| template.required) {
            let there = self.desk.files.contains_key(&template.destination);
            assert!(there, "startup without {}\n{}", template.destination, self.told());
        }
        self.tell("Startup".into());
    }

    // Faults, and their end.

    /// The runs that are alive, and whether their leaders are.
    pub(crate) fn alive(&self) -> Vec<(RunId, bool)> {
        self.living.iter().map(|(run, living)| (*run, living.leader)).collect()
    }

    /// Requests that a silent catalog has not answered.
    pub(crate) fn open_calls(&self) -> Vec<CallId> {
        let answered = |call: &CallId| self.answered.contains(call);
        self.calls.iter().map(|(_, call, _)| *call).filter(|call| !answered(call)).collect()
    }

    pub(crate) fn answer(&mut self, call: CallId, outcome: CallOutcome) {
        self.answer_of(call, outcome, &[]);
    }

    pub(crate) fn answer_of(&mut self, call: CallId, outcome: CallOutcome, may_hold: &[&str]) {
        self.answered.insert(call);
        let may_hold = may_hold.iter().map(|agent| agent.to_string()).collect();
        self.event(Event::CatalogAnswered { call, outcome, may_hold });
    }

    /// The process of a run exits now.
    pub(crate) fn exit_now(&mut self, run: RunId, exit: Exit, survivors: bool) {
        self.deliver(Event::Exited { run, exit, survivors });
    }

    /// Questions are answered, files are written, and checks pass.
    pub(crate) fn heal_desk(&mut self) {
        self.checks.clear();
        for event in self.desk.heal() {
            self.later(Duration::ZERO, event);
        }
        // What is asked first now is answered, too.
        for fact in ["a", "b"] {
            self.desk.answers.entry(fact.into()).or_insert(1);
        }
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.keys().next().map(|(at, _)| *at).into_iter().chain(self.supervisor.deadline()).min()
    }

    /// From now on processes obey, the catalog answers and everything open is answered.
    pub(crate) fn heal(&mut self) {
        self.heal_desk();
        self.scripts.clear();
        self.catalog = Catalog::Up;
        self.others.clear();
        self.latency = Duration::from_millis(2);
        for call in self.open_calls() {
            self.answer(call, CallOutcome::Unreachable { refused: true, reason: "healed".into() });
        }
        for (run, leader) in self.alive() {
            if let Some(living) = self.living.get_mut(&run) {
                living.script = Script::DAEMON;
            }
            if leader {
                self.exit(run, Duration::from_millis(1), Exit::Code(0), None);
            } else {
                self.later(Duration::from_millis(1), Event::Vacated { run });
            }
        }
    }
}

fn hooks(spec: &Spec) -> impl Iterator<Item = String> {
    spec.jobs.iter().filter(|job| waits_for_end(job)).map(|job| job.name.clone())
}

/// Whether a job may start during a stop.
pub(crate) fn waits_for_end(job: &Job) -> bool {
    let is_end = |trigger: &Occurrence| {
        matches!(trigger, Occurrence::Shutdown | Occurrence::Job(_, JobOccurrence::Stopping | JobOccurrence::Stopped))
    };
    matches!(&job.start, Start::On(condition) if condition.triggers.iter().any(is_end))
}
