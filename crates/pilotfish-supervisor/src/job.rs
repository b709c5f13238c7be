//! One job: its process, its health, its registration.
//!
//! ```text
//!           start            exit                    restart due
//!   Idle ----------> Running ----> (restart?) Backoff ----------> Running
//!    ^                  |   \---> (pending start) Running
//!    |                  '-------> Idle, waiting for its condition, or complete -> ending
//!    '-- without a process: Advertising instead of Running
//! ```

mod reaction;
mod redefine;

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    condition::Progress,
    event::{Effect, Exit, Label, Notice, RunId, RunKind},
    execution::Execution,
    health::{Checking, Finding},
    output::Output,
    registration::Registration,
    spec::{self, JobOccurrence, Occurrence, OnFailure, Restarts, ServiceStatus, Start},
    stopping::Ending,
    time::Time,
};
use reaction::WaitingSignal;

/// What a job is doing.
#[derive(Clone, Debug)]
pub(crate) enum Activity {
    /// Nothing: it waits for its condition, or is complete.
    Idle,
    /// Its process runs.
    Running(Execution),
    /// It has no process and is checked and advertised.
    Advertising { since: Time },
    /// Its process will be started again.
    Backoff { until: Time },
}

impl Activity {
    /// Its process runs, or it is advertised without one.
    pub(crate) fn is_active(&self) -> bool {
        match self {
            Activity::Running(_) | Activity::Advertising { .. } => true,
            Activity::Idle | Activity::Backoff { .. } => false,
        }
    }
}

/// A job and everything known of it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) spec: spec::Job,
    pub(crate) activity: Activity,
    pub(crate) progress: Option<Progress>,
    next_period: Option<Time>,
    /// The condition was met while the job still ran: exactly one more run follows.
    pending: bool,
    /// What must occur before the job may start at all, and whether its start was due meanwhile.
    gate: Option<Occurrence>,
    due_early: bool,
    restarts_left: Restarts,
    short_runs_in_row: u32,
    failures_in_row: u32,
    pub(crate) checking: Option<Checking>,
    pub(crate) registration: Option<Registration>,
    pub(crate) ending: Ending,
    /// It has been started at least once.
    pub(crate) engaged: bool,
    /// It is neither asked for its health nor advertised.
    maintenance: bool,
    /// Its process ends to be started again, because a file has changed that it reads.
    restart_asked: bool,
    waiting_signal: Option<WaitingSignal>,
    pub(crate) last_exit: Option<Exit>,
    pub(crate) runs: u64,
    pub(crate) restarts: u64,
    /// Takes its place when it has ended (a reload).
    pub(crate) replacement: Option<alloc::boxed::Box<spec::Job>>,
    /// Goes away when it has ended (a reload).
    pub(crate) removed: bool,
}

/// What the end of a process means beyond the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    None,
    /// The job failed for good and its policy is to stop the container.
    StopContainer,
}

impl Job {
    pub(crate) fn new(spec: spec::Job, now: Time) -> Job {
        Job {
            activity: Activity::Idle,
            progress: match &spec.start {
                Start::On(condition) => Some(Progress::new(condition, now)),
                Start::Every(_) | Start::At(_) => None,
            },
            next_period: None,
            pending: false,
            gate: spec.after.clone(),
            due_early: false,
            restarts_left: spec.restarts,
            short_runs_in_row: 0,
            failures_in_row: 0,
            checking: spec.health.clone().map(Checking::new),
            registration: spec.service.clone().map(Registration::new),
            ending: Ending::No,
            engaged: false,
            maintenance: false,
            restart_asked: false,
            waiting_signal: None,
            last_exit: None,
            runs: 0,
            restarts: 0,
            replacement: None,
            removed: false,
            spec,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn occurrence(&self, what: JobOccurrence) -> Occurrence {
        Occurrence::Job(self.spec.name.clone(), what)
    }

    /// Its condition's timeout is counted from the startup.
    pub(crate) fn await_startup(&mut self) {
        if let Some(progress) = &mut self.progress {
            progress.await_startup();
        }
    }

    /// The startup is there.
    pub(crate) fn begin_waiting(&mut self, now: Time) {
        if let Some(progress) = &mut self.progress {
            progress.begin_waiting(now);
        }
    }

    /// Takes note of something that happened; starts if that is what it waits for.
    pub(crate) fn observe(&mut self, out: &mut Output, occurrence: &Occurrence) {
        if self.ending.is_closed() || (self.ending.is_asked() && !self.is_stop_hook()) {
            return;
        }
        let opens = self.gate.as_ref() == Some(occurrence);
        if opens {
            self.gate = None;
        }
        let due = match &mut self.progress {
            Some(progress) => progress.observe(out.now, occurrence),
            None => *occurrence == Occurrence::Startup,
        };
        if due && self.waits_after_itself(out, occurrence) {
            return;
        }
        if due || (opens && core::mem::take(&mut self.due_early)) {
            self.due(out);
        }
    }

    /// A job that its own events start again is restarted, and backs off as such.
    fn waits_after_itself(&mut self, out: &mut Output, occurrence: &Occurrence) -> bool {
        let own = matches!(occurrence, Occurrence::Job(job, _) if *job == self.spec.name);
        let wait = self.restart_wait(self.short_runs_in_row);
        let waits = own && !wait.is_zero() && !self.ending.is_asked() && matches!(self.activity, Activity::Idle);
        if waits {
            out.notice(Notice::Restarting { job: self.spec.name.clone(), wait });
            self.activity = Activity::Backoff { until: out.now.after(wait) };
        }
        waits
    }

    /// Its condition is met or its periods begin: at once, or when what it waits for first has occurred.
    fn due(&mut self, out: &mut Output) {
        if self.gate.is_some() {
            self.due_early = true;
        } else if self.progress.is_some() {
            self.start(out);
        } else {
            self.begin_periods(out);
        }
    }

    /// What has occurred before the job was there still counts, for one start in all.
    pub(crate) fn catch_up<'a>(&mut self, out: &mut Output, history: impl Iterator<Item = &'a Occurrence>) {
        for occurrence in history {
            self.observe(out, occurrence);
        }
        self.pending = false;
    }

    fn begin_periods(&mut self, out: &mut Output) {
        match self.spec.start.clone() {
            Start::Every(period) => {
                self.next_period = Some(out.now.after(period));
                self.start(out);
            }
            Start::At(calendar) => out.push(Effect::ArmCalendar { job: self.spec.name.clone(), calendar }),
            Start::On(_) => {}
        }
    }

    /// The condition is met, or the period has come.
    pub(crate) fn start(&mut self, out: &mut Output) {
        match self.activity {
            Activity::Idle => self.begin(out),
            Activity::Running(_) | Activity::Backoff { .. } | Activity::Advertising { .. } => {
                self.pending = self.progress.is_some();
            }
        }
    }

    fn begin(&mut self, out: &mut Output) {
        self.engaged = true;
        self.runs += 1;
        self.pending = false;
        match &self.spec.process {
            Some(process) => {
                let label = Label { job: self.spec.name.clone(), kind: RunKind::Job };
                self.activity = Activity::Running(Execution::spawn(out, label, process, self.spec.timeout));
            }
            None => {
                self.activity = Activity::Advertising { since: out.now };
                self.started(out);
            }
        }
    }

    pub(crate) fn spawned(&mut self, out: &mut Output, pid: u32) {
        if let Activity::Running(execution) = &mut self.activity
            && execution.pid.is_none()
        {
            execution.pid = Some(pid);
            out.notice(Notice::Started { label: execution.label.clone(), pid });
            self.started(out);
        }
    }

    fn started(&mut self, out: &mut Output) {
        out.publish(self.occurrence(JobOccurrence::Started));
        if self.maintenance || self.ending.is_asked() {
            return;
        }
        self.advertise_at_once(out);
        if let Some(checking) = &mut self.checking {
            checking.begin(out.now);
        }
    }

    /// A service with an initial status does not wait for its first passing check.
    fn advertise_at_once(&mut self, out: &mut Output) {
        if let Some(registration) = self.advertised()
            && let Some(status) = registration.service.initial_status
            && !registration.is_registered()
        {
            registration.beat(out, status);
        }
    }

    /// Its registration, if it is to be advertised: after a reload one may be left that is only to be withdrawn.
    fn advertised(&mut self) -> Option<&mut Registration> {
        self.registration.as_mut().filter(|_| self.spec.service.is_some())
    }

    pub(crate) fn not_spawned(&mut self, out: &mut Output, code: u8, reason: String) -> Consequence {
        match &self.activity {
            Activity::Running(execution) if execution.pid.is_none() => {
                out.notice(Notice::NotStarted { label: execution.label.clone(), reason });
            }
            Activity::Running(_) | Activity::Idle | Activity::Advertising { .. } | Activity::Backoff { .. } => {
                return Consequence::None;
            }
        }
        self.over(out, Exit::Code(code))
    }

    pub(crate) fn exited(&mut self, out: &mut Output, exit: Exit, survivors: bool) -> Consequence {
        let Activity::Running(execution) = &mut self.activity else { return Consequence::None };
        match execution.exited(out, exit, survivors) {
            Some(exit) => self.over(out, exit),
            None => Consequence::None,
        }
    }

    pub(crate) fn vacated(&mut self, out: &mut Output) -> Consequence {
        let Activity::Running(execution) = &self.activity else { return Consequence::None };
        match execution.vacated() {
            Some(exit) => self.over(out, exit),
            None => Consequence::None,
        }
    }

    /// Nothing of the process is left: tells the others, and decides what comes next.
    fn over(&mut self, out: &mut Output, exit: Exit) -> Consequence {
        let Activity::Running(execution) = core::mem::replace(&mut self.activity, Activity::Idle) else {
            return Consequence::None;
        };
        let exit = execution.report(out, exit);
        self.last_exit = Some(exit);
        if let Some(checking) = &mut self.checking {
            checking.pause(out);
        }
        let lasted = out.now.since(execution.started);
        let long = lasted >= self.spec.backoff.reset_after;
        self.short_runs_in_row = if long { 0 } else { self.short_runs_in_row.saturating_add(1) };
        self.failures_in_row = if long || exit.is_success() { 0 } else { self.failures_in_row.saturating_add(1) };
        out.publish(self.occurrence(match exit.is_success() {
            true => JobOccurrence::ExitSuccess,
            false => JobOccurrence::ExitFailed,
        }));
        let consequence = self.decide_next(out, exit);
        // Without its process nobody shall be sent to it, whoever else the end of the job still waits for.
        if let Some(registration) = &mut self.registration {
            match self.ending.is_asked() {
                true => registration.withdraw(out),
                false => registration.fail(out),
            }
        }
        consequence
    }

    fn decide_next(&mut self, out: &mut Output, exit: Exit) -> Consequence {
        if self.ending.is_asked() {
            if self.pending && self.is_stop_hook() && !self.ending.is_closed() {
                self.begin(out);
            }
            let speaks = !exit.is_success() && self.spec.on_failure == OnFailure::Exit && self.is_stop_hook();
            return if speaks { Consequence::StopContainer } else { Consequence::None };
        }
        if core::mem::take(&mut self.restart_asked) {
            self.restarts += 1;
            out.notice(Notice::Restarting { job: self.spec.name.clone(), wait: Duration::ZERO });
            self.begin(out);
            return Consequence::None;
        }
        if !matches!(self.spec.start, Start::On(_)) {
            if self.restarts_left == Restarts::Limited(0) && !matches!(self.spec.start, Start::At(_)) {
                return self.complete(exit);
            }
            return Consequence::None;
        }
        let failed = !exit.is_success();
        if failed && self.spec.on_failure == OnFailure::Restart {
            self.restart(out, self.failures_in_row);
        } else if self.restarts_left != Restarts::Limited(0) {
            if let Restarts::Limited(left) = &mut self.restarts_left {
                *left -= 1;
            }
            self.restart(out, self.short_runs_in_row);
        } else if failed && self.spec.on_failure == OnFailure::Exit {
            return self.complete(exit);
        } else if self.pending {
            self.begin(out);
        } else if !self.progress.as_ref().is_some_and(Progress::is_open) {
            return self.complete(exit);
        }
        Consequence::None
    }

    fn restart(&mut self, out: &mut Output, in_row: u32) {
        self.restarts += 1;
        let wait = self.restart_wait(in_row);
        out.notice(Notice::Restarting { job: self.spec.name.clone(), wait });
        if wait.is_zero() {
            self.begin(out);
        } else {
            self.activity = Activity::Backoff { until: out.now.after(wait) };
        }
    }

    /// The first restart after a run that lasted is immediate; each further one in a row waits twice as long.
    fn restart_wait(&self, in_row: u32) -> Duration {
        match in_row {
            0 | 1 => Duration::ZERO,
            row => self.spec.backoff.initial.saturating_mul(1 << (row - 2).min(31)).min(self.spec.backoff.max),
        }
    }

    fn complete(&mut self, exit: Exit) -> Consequence {
        self.ending.complete();
        match !exit.is_success() && self.spec.on_failure == OnFailure::Exit {
            true => Consequence::StopContainer,
            false => Consequence::None,
        }
    }

    /// Does what is due.
    pub(crate) fn time_passed(&mut self, out: &mut Output) -> Consequence {
        let mut consequence = Consequence::None;
        match &mut self.activity {
            Activity::Running(execution) => {
                // Beside a process that cannot be killed no replacement is started.
                let abandon = self.ending.is_asked() && self.replacement.is_none();
                if let Some(exit) = execution.time_passed(out, abandon) {
                    consequence = self.over(out, exit);
                }
            }
            Activity::Backoff { until } if *until <= out.now => {
                self.activity = Activity::Idle;
                if !self.ending.is_asked() {
                    self.begin(out);
                }
            }
            Activity::Backoff { .. } | Activity::Idle | Activity::Advertising { .. } => {}
        }
        self.condition_time_passed(out);
        self.period_passed(out);
        self.send_waiting_signal(out);
        if let Some(checking) = &mut self.checking
            && let Some(finding) = checking.time_passed(out, &self.spec.name)
        {
            self.found(out, finding);
        }
        if let Some(registration) = &mut self.registration {
            registration.time_passed(out);
        }
        consequence
    }

    fn condition_time_passed(&mut self, out: &mut Output) {
        let Some(progress) = &mut self.progress else { return };
        if self.ending.is_closed() {
            return;
        }
        if progress.release(out.now) {
            self.due(out);
        } else if progress.gives_up(out.now) {
            out.publish(self.occurrence(JobOccurrence::TimedOut));
            if matches!(self.activity, Activity::Idle) {
                self.ending.complete();
            }
        }
    }

    fn period_passed(&mut self, out: &mut Output) {
        let (Start::Every(period), Some(next)) = (&self.spec.start, self.next_period) else { return };
        if next > out.now || self.ending.is_asked() {
            return;
        }
        // After a pause of the whole machine the schedule goes on from now, without a burst.
        let following = next.after(*period);
        self.next_period = Some(if following > out.now { following } else { out.now.after(*period) });
        self.period(out);
    }

    /// A period or a calendar's minute has come.
    pub(crate) fn period(&mut self, out: &mut Output) {
        if self.ending.is_asked() || matches!(self.spec.start, Start::On(_)) {
            return;
        }
        if !matches!(self.activity, Activity::Idle) {
            return out.notice(Notice::Overrun { job: self.spec.name.clone() });
        }
        if self.runs > 0
            && let Restarts::Limited(left) = &mut self.restarts_left
        {
            if *left == 0 {
                return self.ending.complete();
            }
            *left -= 1;
        }
        self.start(out);
    }

    /// When something is due. An ending that its peers hold up is looked at with every event, not again and again.
    pub(crate) fn deadline(&self, now: Time) -> Option<Time> {
        let activity = match &self.activity {
            Activity::Running(execution) => execution.deadline(),
            Activity::Backoff { until } => Some(*until),
            Activity::Idle | Activity::Advertising { .. } => None,
        };
        let progress = self.progress.as_ref().filter(|_| !self.ending.is_closed()).and_then(Progress::deadline);
        let period = self.next_period.filter(|_| !self.ending.is_asked());
        let checking = self.checking.as_ref().and_then(Checking::deadline);
        let registration = self.registration.as_ref().and_then(Registration::deadline);
        let ending = self.ending.deadline().filter(|at| *at > now);
        let signal = self.waiting_signal_deadline();
        [activity, progress, period, checking, registration, ending, signal].into_iter().flatten().min()
    }

    /// The health check has found something.
    pub(crate) fn found(&mut self, out: &mut Output, finding: Finding) {
        let Some(checking) = &mut self.checking else { return };
        if !checking.found(out, &self.spec.name, &finding) {
            return;
        }
        let healthy = finding.is_ok();
        self.send_waiting_signal(out);
        out.publish(self.occurrence(if healthy { JobOccurrence::Healthy } else { JobOccurrence::Unhealthy }));
        if let Some(registration) = self.advertised() {
            match healthy {
                true => registration.beat(out, ServiceStatus::Passing),
                false => registration.doubt(),
            }
        }
    }

    /// The process of this run, its own or its check's, belongs to this job.
    pub(crate) fn owns(&self, run: RunId) -> Option<RunKind> {
        match &self.activity {
            Activity::Running(execution) if execution.run == run => Some(RunKind::Job),
            Activity::Running(_) | Activity::Idle | Activity::Advertising { .. } | Activity::Backoff { .. } => {
                self.checking.as_ref().filter(|checking| checking.owns(run)).map(|_| RunKind::Check)
            }
        }
    }

    pub(crate) fn set_maintenance(&mut self, out: &mut Output, maintenance: bool) {
        self.maintenance = maintenance;
        if maintenance {
            self.withdraw(out);
        } else if self.activity.is_active() && !self.ending.is_asked() {
            self.advertise_at_once(out);
            if let Some(checking) = &mut self.checking {
                checking.resume(out.now);
            }
        }
    }

    /// Nobody shall be sent to it any more.
    pub(crate) fn withdraw(&mut self, out: &mut Output) {
        if let Some(checking) = &mut self.checking {
            checking.pause(out);
        }
        if let Some(registration) = &mut self.registration {
            registration.withdraw(out);
        }
    }

    /// It runs only around the end of others, so that a stop waits for it instead of stopping it.
    pub(crate) fn is_stop_hook(&self) -> bool {
        self.spec.process.is_some() && self.progress.as_ref().is_some_and(Progress::waits_for_end)
    }

    /// The jobs whose health or start it waits for: they must outlive it.
    pub(crate) fn prerequisites(&self) -> Vec<&str> {
        let Start::On(condition) = &self.spec.start else { return Vec::new() };
        condition
            .triggers
            .iter()
            .filter_map(|trigger| match trigger {
                Occurrence::Job(source, JobOccurrence::Healthy | JobOccurrence::Started) => Some(source.as_str()),
                Occurrence::Job(..)
                | Occurrence::Watch(..)
                | Occurrence::TemplateChanged(_)
                | Occurrence::Startup
                | Occurrence::Shutdown
                | Occurrence::EnterMaintenance
                | Occurrence::ExitMaintenance
                | Occurrence::Hangup
                | Occurrence::User2 => None,
            })
            .collect()
    }

    /// Its process was asked for, and nobody has said yet that it started.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        matches!(&self.activity, Activity::Running(execution) if execution.pid.is_none())
    }

    /// It neither runs nor is about to.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.activity, Activity::Idle) && !self.pending
    }

    /// It does something: the telemetry's own service, which neither runs nor asks anything, does not keep a container alive.
    pub(crate) fn is_work(&self) -> bool {
        let asks = self.spec.health.as_ref().is_some_and(|health| health.check != spec::Check::Running);
        self.spec.process.is_some() || asks
    }
}
