//! The state machine: events in, effects out, one occurrence at a time in between.

use alloc::{string::String, vec::Vec};

use crate::{
    condition::History,
    event::{CallId, CallOutcome, Effect, Event, Exit, Notice, RunId, RunKind, Signal, StopReason, Ticket},
    facts::Facts,
    job::{Activity, Consequence, Job},
    output::Output,
    registration::Registration,
    reload::Reload,
    spec::{HangupMeaning, Occurrence, OnFailure, Spec, User1Meaning, Watch},
    startup::Held,
    stopping::{self, Shutdown},
    templating::Templating,
    time::Time,
    watching::Watching,
};

/// Most registrations of removed jobs that are still to be withdrawn; the oldest is given up, its TTL expires.
const LEAVING_MAX: usize = 64;

/// The exit code when somebody else is there already, as for a config that cannot work.
const EXIT_CONFLICT: u8 = 2;

/// Decides everything for one container; see the crate's documentation for the flow.
#[derive(Clone, Debug)]
pub struct Supervisor {
    pub(crate) spec: Spec,
    pub(crate) jobs: Vec<Job>,
    pub(crate) watches: Vec<Watching>,
    pub(crate) templates: Vec<Templating>,
    /// What the templates ask.
    pub(crate) facts: Facts,
    /// The startup has not come yet.
    pub(crate) held: Option<Held>,
    pub(crate) history: History,
    pub(crate) maintenance: bool,
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) reload: Reload,
    /// Registrations of jobs that exist no more, until the catalog has let them go.
    pub(crate) leaving: Vec<Registration>,
    pub(crate) out: Output,
    pub(crate) booted: bool,
    finished: bool,
}

impl Supervisor {
    /// A supervisor of `spec`; `seed` drives the jitter of its retries.
    pub fn new(spec: Spec, seed: u64) -> Supervisor {
        Supervisor {
            jobs: Vec::new(),
            watches: Vec::new(),
            templates: Vec::new(),
            facts: Facts::default(),
            held: None,
            history: History::default(),
            maintenance: false,
            shutdown: None,
            reload: Reload::default(),
            leaving: Vec::new(),
            out: Output::new(seed),
            booted: false,
            finished: false,
            spec,
        }
    }

    /// Takes one event and says what is to be done. Never fails: what makes no sense any more is ignored.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        self.out.now = self.out.now.max(now);
        if !self.finished {
            self.take(event);
            self.time_passed();
            self.settle();
        }
        core::mem::take(&mut self.out.effects)
    }

    /// When [`Event::TimePassed`] is due at the latest, if nothing else happens.
    pub fn deadline(&self) -> Option<Time> {
        if self.finished {
            return None;
        }
        let jobs = self.jobs.iter().filter_map(|job| job.deadline(self.out.now));
        let watches = self.watches.iter().filter_map(Watching::deadline);
        let leaving = self.leaving.iter().filter_map(Registration::deadline);
        let templates = self.templates.iter().filter_map(Templating::deadline).chain(self.facts.deadline());
        let rest = templates.chain(self.startup_deadline()).chain(self.reload.deadline()).chain(self.silence());
        jobs.chain(watches).chain(leaving).chain(rest).min()
    }

    /// The specification in force.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Everything has ended and [`Effect::Finish`] was given.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Booted => self.boot(),
            Event::TimePassed => {}
            Event::Spawned { run, pid } => self.spawned(run, pid),
            Event::SpawnFailed { run, code, reason } => self.not_spawned(run, code, reason),
            Event::Exited { run, exit, survivors } => self.exited(run, exit, survivors),
            Event::Vacated { run } => self.vacated(run),
            Event::Probed { run, result } => self.probed(run, result),
            Event::CalendarDue { job } => self.calendar_due(&job),
            Event::Signalled(signal) => self.signalled(signal),
            Event::ReloadRequested { ticket } => self.request_reload(ticket),
            Event::Loaded(result) => self.loaded(result.map(|spec| *spec)),
            Event::MaintenanceRequested(on) => self.set_maintenance(on),
            Event::CatalogAnswered { call, outcome, may_hold } => self.catalog_answered(call, outcome, may_hold),
            Event::ServiceMissing { service } => self.of_service(&service, Registration::missing),
            Event::ServiceTaken { service, by } => {
                self.of_service(&service, |registration, out| registration.taken(out, &by));
            }
            Event::Viewed { watch, view, agent } => {
                if let Some(watching) = self.watches.iter_mut().find(|watching| watching.spec.name == watch) {
                    watching.viewed(&mut self.out, view, agent.clone());
                }
                self.lives(&agent);
            }
            Event::ViewFailed { watch, reason } => {
                if let Some(watching) = self.watches.iter_mut().find(|watching| watching.spec.name == watch) {
                    watching.failed(&mut self.out, reason);
                }
            }
            Event::FactAnswered { fact, agent, news } => self.fact_answered(&fact, agent, news),
            Event::FactFailed { fact, reason } => self.facts.failed(&mut self.out, &fact, reason),
            Event::Rendered { render, asked, outcome } => self.rendered(render, asked, outcome),
            Event::Committed { render, result } => self.committed(render, &result),
        }
    }

    pub(crate) fn watch(&mut self, watch: Watch) {
        self.out.push(Effect::Watch(watch.clone()));
        self.watches.push(Watching::new(watch));
    }

    /// The job or template that a run belongs to, and what the run is to it.
    fn owner(&self, run: RunId) -> Option<(usize, RunKind)> {
        let of_jobs = || self.jobs.iter().enumerate().find_map(|(index, job)| job.owns(run).map(|kind| (index, kind)));
        let of_templates = || self.templates.iter().position(|template| template.owns(run));
        of_jobs().or_else(|| of_templates().map(|index| (index, RunKind::TemplateCheck)))
    }

    fn spawned(&mut self, run: RunId, pid: u32) {
        let Some((index, kind)) = self.owner(run) else { return };
        match kind {
            RunKind::Job => self.jobs[index].spawned(&mut self.out, pid),
            RunKind::Check => {
                if let Some(checking) = &mut self.jobs[index].checking {
                    checking.spawned(pid);
                }
            }
            RunKind::TemplateCheck => self.templates[index].check_spawned(pid),
        }
    }

    fn not_spawned(&mut self, run: RunId, code: u8, reason: String) {
        let Some((index, kind)) = self.owner(run) else { return };
        match kind {
            RunKind::Job => {
                let consequence = self.jobs[index].not_spawned(&mut self.out, code, reason);
                self.follow(index, consequence);
            }
            RunKind::Check => {
                let finding = self.jobs[index].checking.as_mut().and_then(|checking| checking.not_spawned(reason));
                self.found(index, finding);
            }
            RunKind::TemplateCheck => self.templates[index].check_not_spawned(&mut self.out, reason),
        }
    }

    fn exited(&mut self, run: RunId, exit: Exit, survivors: bool) {
        let Some((index, kind)) = self.owner(run) else { return };
        match kind {
            RunKind::Job => {
                let consequence = self.jobs[index].exited(&mut self.out, exit, survivors);
                self.follow(index, consequence);
            }
            RunKind::Check => {
                let checking = self.jobs[index].checking.as_mut();
                let finding = checking.and_then(|checking| checking.exited(&mut self.out, exit, survivors));
                self.found(index, finding);
            }
            RunKind::TemplateCheck => self.templates[index].check_exited(&mut self.out, exit, survivors),
        }
    }

    fn vacated(&mut self, run: RunId) {
        let Some((index, kind)) = self.owner(run) else { return };
        match kind {
            RunKind::Job => {
                let consequence = self.jobs[index].vacated(&mut self.out);
                self.follow(index, consequence);
            }
            RunKind::Check => {
                let checking = self.jobs[index].checking.as_mut();
                let finding = checking.and_then(|checking| checking.vacated(&mut self.out));
                self.found(index, finding);
            }
            RunKind::TemplateCheck => self.templates[index].check_vacated(&mut self.out),
        }
    }

    fn probed(&mut self, run: RunId, result: Result<(), String>) {
        let Some((index, RunKind::Check)) = self.owner(run) else { return };
        let finding = self.jobs[index].checking.as_mut().and_then(|checking| checking.probed(result));
        self.found(index, finding);
    }

    fn found(&mut self, index: usize, finding: Option<Result<(), String>>) {
        if let Some(finding) = finding {
            self.jobs[index].found(&mut self.out, finding);
        }
    }

    fn calendar_due(&mut self, name: &str) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.name() == name && self.held.is_none()) {
            job.period(&mut self.out);
        }
    }

    fn signalled(&mut self, signal: Signal) {
        match signal {
            Signal::Stop => self.stop(StopReason::Signal, None),
            Signal::Hangup => match self.spec.signals.hangup {
                HangupMeaning::Event => self.out.publish(Occurrence::Hangup),
                HangupMeaning::Reload => self.request_reload(None),
            },
            Signal::User1 => match self.spec.signals.user1 {
                User1Meaning::ReopenLog => self.out.push(Effect::ReopenLog),
                User1Meaning::ToggleMaintenance => self.set_maintenance(!self.maintenance),
            },
            Signal::User2 => self.out.publish(Occurrence::User2),
            Signal::Other(signal) => self.forward(signal),
        }
    }

    /// Any other signal is for the main application; without one, for every job.
    fn forward(&mut self, signal: i32) {
        let has_main = self.jobs.iter().any(|job| job.spec.main);
        for job in self.jobs.iter().filter(|job| job.spec.main || !has_main) {
            if let Activity::Running(execution) = &job.activity {
                self.out.effects.push(Effect::Signal { run: execution.run, signal });
            }
        }
    }

    fn set_maintenance(&mut self, on: bool) {
        if self.maintenance == on || self.shutdown.is_some() {
            return;
        }
        self.maintenance = on;
        self.out.notice(Notice::Maintenance(on));
        for job in &mut self.jobs {
            job.set_maintenance(&mut self.out, on);
        }
        self.out.publish(if on { Occurrence::EnterMaintenance } else { Occurrence::ExitMaintenance });
    }

    fn catalog_answered(&mut self, call: CallId, outcome: CallOutcome, may_hold: Vec<String>) {
        self.heard(call, &outcome);
        let registrations = self.jobs.iter_mut().filter_map(|job| job.registration.as_mut());
        if let Some(registration) = registrations.chain(&mut self.leaving).find(|registration| registration.owns(call))
        {
            registration.answered(&mut self.out, call, outcome, may_hold);
        }
        self.leaving.retain(|registration| !registration.is_gone());
    }

    /// A registration whose job exists no more is withdrawn all the same, however long the catalog is away.
    pub(crate) fn let_go(&mut self, mut registration: Registration) {
        registration.withdraw(&mut self.out);
        if registration.is_gone() {
            return;
        }
        if self.leaving.len() == LEAVING_MAX {
            self.leaving.remove(0);
        }
        self.leaving.push(registration);
    }

    /// What a guard found of a service.
    fn of_service(&mut self, service: &str, found: impl FnOnce(&mut Registration, &mut Output)) {
        let mut registrations = self.jobs.iter_mut().filter_map(|job| job.registration.as_mut());
        if let Some(registration) = registrations.find(|registration| registration.service.id == service) {
            found(registration, &mut self.out);
        }
    }

    fn time_passed(&mut self) {
        for index in 0..self.jobs.len() {
            let consequence = self.jobs[index].time_passed(&mut self.out);
            self.follow(index, consequence);
        }
        for watching in &mut self.watches {
            watching.time_passed(&mut self.out);
        }
        for registration in &mut self.leaving {
            registration.time_passed(&mut self.out);
        }
        self.suspect();
        self.listen();
        self.templates_time_passed();
        self.startup_time_passed();
    }

    /// What the end of a job's process means for everything.
    fn follow(&mut self, index: usize, consequence: Consequence) {
        if consequence == Consequence::None {
            return;
        }
        let job = &self.jobs[index];
        let name = job.spec.name.clone();
        let code = job.last_exit.map(Exit::code);
        if self.reload.blames(&name) && self.shutdown.is_none() {
            return self.roll_back(alloc::format!("job {name} failed"));
        }
        match &mut self.shutdown {
            Some(shutdown) => shutdown.code = code.or(shutdown.code),
            None => self.stop(StopReason::JobFailed(name), code),
        }
    }

    pub(crate) fn stop(&mut self, reason: StopReason, code: Option<u8>) {
        if self.shutdown.is_some() {
            return;
        }
        self.out.notice(Notice::StopBegun { reason: reason.clone() });
        self.reload_overtaken("the supervisor stops");
        for watching in self.watches.drain(..) {
            self.out.effects.push(Effect::Unwatch { watch: watching.spec.name });
        }
        self.stop_templates();
        self.shutdown = Some(Shutdown::new(reason, code, &self.jobs));
        for job in &mut self.jobs {
            job.replacement = None;
            stopping::request(&mut self.out, job, self.spec.stop_timeout);
        }
        // Where nothing was started there is nothing that a hook could follow.
        if self.held.take().is_none() {
            self.out.publish(Occurrence::Shutdown);
        }
    }

    /// Lets what happened have its consequences, until nothing moves any more.
    fn settle(&mut self) {
        loop {
            while let Some(occurrence) = self.out.bus.pop_front() {
                if !self.keep_for_startup(&occurrence) {
                    self.occurred(&occurrence);
                }
            }
            // The stop begins before its reason has ended, so that what follows that end belongs to the stop.
            let moved = self.start_up()
                || self.stop_when_complete()
                || self.stop_when_contested()
                || stopping::advance(&mut self.out, &self.spec, &mut self.jobs, &mut self.shutdown)
                || self.replace_ended()
                || self.judge_reload();
            if !moved && self.out.bus.is_empty() {
                break;
            }
        }
        if self.shutdown.is_some() && self.jobs.iter().all(|job| job.ending.is_ended()) {
            self.finished = true;
            self.out.push(Effect::Finish { code: self.exit_code() });
        }
    }

    fn occurred(&mut self, occurrence: &Occurrence) {
        self.out.notice(Notice::Occurred(occurrence.clone()));
        self.history.record(occurrence);
        // What a process says that is about to be replaced proves nothing about its successor.
        let of_predecessor = |name: &str| self.jobs.iter().any(|job| job.name() == name && job.replacement.is_some());
        self.reload.observe(occurrence, of_predecessor);
        for job in &mut self.jobs {
            job.observe(&mut self.out, occurrence);
        }
    }

    /// A second one of what must be there once refuses to run, where the config says so.
    fn stop_when_contested(&mut self) -> bool {
        let mut registrations = self.jobs.iter().filter_map(|job| job.registration.as_ref());
        let hopeless = registrations.find(|registration| registration.is_hopeless());
        let Some(service) = hopeless.map(|registration| registration.service.id.clone()) else { return false };
        if self.shutdown.is_some() {
            return false;
        }
        self.stop(StopReason::Contested(service), Some(EXIT_CONFLICT));
        true
    }

    /// The container is over when the main application is, or when nothing is left to run.
    fn stop_when_complete(&mut self) -> bool {
        if self.shutdown.is_some() || !self.booted {
            return false;
        }
        let complete = |job: &Job| job.ending.is_asked() && job.replacement.is_none() && !job.removed;
        if let Some(main) = self.jobs.iter().find(|job| job.spec.main && complete(job)) {
            let name = main.spec.name.clone();
            self.stop(StopReason::MainComplete(name), None);
            return true;
        }
        if self.spec.once {
            if let Some(failed) = self.templates.iter().find(|template| template.failing.is_some()) {
                let name = failed.spec.name.clone();
                self.stop(StopReason::TemplateFailed(name), Some(1));
                return true;
            }
            let done = |template: &Templating| template.in_place.is_some() && template.is_at_rest();
            if self.held.is_none() && self.templates.iter().all(done) && self.jobs.iter().all(Job::is_at_rest) {
                self.stop(StopReason::AllComplete, None);
                return true;
            }
        }
        // A job that has followed another's end and still runs is work like any other.
        let counts = |job: &&Job| job.is_work() && (!job.is_stop_hook() || !matches!(job.activity, Activity::Idle));
        let mut work = self.jobs.iter().filter(counts).peekable();
        if work.peek().is_some() && work.all(|job| job.ending.is_ended() && job.replacement.is_none()) {
            self.stop(StopReason::AllComplete, None);
            return true;
        }
        false
    }

    /// A job that failed for good speaks first, then the main application, then whichever job answers for the container.
    fn exit_code(&self) -> u8 {
        let spoken = self.shutdown.as_ref().and_then(|shutdown| shutdown.code);
        let exit_of = |job: &Job| job.last_exit.map(Exit::code);
        let main = self.jobs.iter().find(|job| job.spec.main);
        let own = match main {
            Some(main) => exit_of(main).or_else(|| self.failed_before()),
            None => self.responsible_job().and_then(exit_of),
        };
        spoken.or(own).unwrap_or(0)
    }

    /// Where the main application has never run: what was to come before it, and did not succeed, has the word.
    fn failed_before(&self) -> Option<u8> {
        let mut decisive = self.jobs.iter().filter(|job| job.spec.on_failure == OnFailure::Exit);
        decisive.find_map(|job| job.last_exit.map(Exit::code).filter(|code| *code != 0))
    }

    /// Without a main application the first advertised job with a process answers for the container, or the only one with a process.
    fn responsible_job(&self) -> Option<&Job> {
        let mut with_process = self.jobs.iter().filter(|job| job.spec.process.is_some() && !job.is_stop_hook());
        if self.jobs.iter().any(|job| job.spec.main) {
            return None;
        }
        if let Some(advertised) = with_process.clone().find(|job| job.spec.service.is_some()) {
            return Some(advertised);
        }
        with_process.next().filter(|_| with_process.next().is_none())
    }

    /// Reloads that nobody will carry out any more are answered.
    pub(crate) fn settle_tickets(&mut self, tickets: Vec<Ticket>, result: Result<(), String>) {
        if !tickets.is_empty() {
            self.out.push(Effect::ReloadSettled { tickets, result });
        }
    }
}
