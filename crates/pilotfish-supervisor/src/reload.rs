//! Putting a new specification in force while everything runs: only what changed is touched, and it is taken back if it does not work.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    event::{Effect, Exit, Notice, Ticket},
    job::{Activity, Job},
    registration::Registration,
    spec::{self, Check, JobOccurrence, Occurrence, Spec},
    stopping,
    supervisor::Supervisor,
    templating::Templating,
    time::Time,
    watching::Watching,
};

/// The state of reloading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reload {
    /// A load is under way, and these wait for it.
    loading: Option<Vec<Ticket>>,
    /// Another was asked for meanwhile: exactly one more follows.
    again: Option<Vec<Ticket>>,
    trial: Option<Trial>,
}

/// A new specification that still has to prove itself.
#[derive(Clone, Debug)]
struct Trial {
    previous: Spec,
    tickets: Vec<Ticket>,
    touched: Vec<String>,
    /// Jobs that must become healthy (or start, without a health check).
    awaited: Vec<Awaited>,
    deadline: Time,
}

/// What one job must show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Awaited {
    job: String,
    proof: JobOccurrence,
}

impl Reload {
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.trial.as_ref().map(|trial| trial.deadline)
    }

    /// A job that is on trial does not stop the container by its failure; it makes the reload fail.
    pub(crate) fn blames(&self, job: &str) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.touched.iter().any(|name| name == job))
    }

    pub(crate) fn observe(&mut self, occurrence: &Occurrence, of_predecessor: impl Fn(&str) -> bool) {
        if let (Some(trial), Occurrence::Job(job, what)) = (&mut self.trial, occurrence)
            && !of_predecessor(job)
        {
            trial.awaited.retain(|awaited| !(awaited.job == *job && awaited.proof == *what));
        }
    }
}

impl Supervisor {
    /// Whether a new specification still has to prove itself: until then the one before it may come back.
    pub fn is_on_trial(&self) -> bool {
        self.reload.trial.is_some()
    }

    pub(crate) fn request_reload(&mut self, ticket: Option<Ticket>) {
        if self.shutdown.is_some() {
            let refused = Err("the supervisor stops".to_string());
            return self.settle_tickets(ticket.into_iter().collect(), refused);
        }
        if self.reload.loading.is_some() {
            self.reload.again.get_or_insert_default().extend(ticket);
        } else {
            self.reload.loading = Some(ticket.into_iter().collect());
            self.out.push(Effect::Load);
        }
    }

    pub(crate) fn loaded(&mut self, result: Result<Spec, String>) {
        let Some(tickets) = self.reload.loading.take() else { return };
        match result {
            Err(reason) => {
                self.out.notice(Notice::ReloadRefused { reason: reason.clone() });
                self.settle_tickets(tickets, Err(reason));
            }
            Ok(_) if self.shutdown.is_some() => self.settle_tickets(tickets, Err("the supervisor stops".into())),
            Ok(spec) => self.put_on_trial(spec, tickets),
        }
        if let Some(again) = self.reload.again.take() {
            self.reload.loading = Some(again);
            self.out.push(Effect::Load);
        }
    }

    fn put_on_trial(&mut self, spec: Spec, tickets: Vec<Ticket>) {
        match &mut self.reload.trial {
            // What is on trial already stays on trial.
            Some(trial) if self.spec == spec => return trial.tickets.extend(tickets),
            Some(_) | None => {}
        }
        let deadline = self.out.now.after(spec.reload_timeout);
        let before = self.spec.clone();
        let touched = self.put_in_force(spec);
        let awaited = touched.iter().filter_map(|name| self.proof_of(name, &before)).collect();
        self.out.notice(Notice::Reloaded { touched: touched.clone() });
        let mut trial = Trial { previous: before, tickets, touched, awaited, deadline };
        if let Some(overtaken) = self.reload.trial.take() {
            self.settle_tickets(overtaken.tickets, Err("overtaken by a later reload".into()));
            // What a trial would go back to is the last specification that has proved itself; what that one still had to show is still owed.
            trial.previous = overtaken.previous;
            trial.touched.extend(overtaken.touched);
            let owed = overtaken.awaited.into_iter().filter(|old| trial.awaited.iter().all(|new| new.job != old.job));
            trial.awaited = owed.collect::<Vec<_>>().into_iter().chain(trial.awaited).collect();
        }
        self.reload.trial = Some(trial);
    }

    /// What a touched job must show before the reload counts as good: that it starts, and that what is checked anew passes.
    fn proof_of(&self, name: &str, before: &Spec) -> Option<Awaited> {
        let job = self.jobs.iter().find(|job| job.name() == name && !job.removed)?;
        let fresh = job.replacement.is_some() || job.runs == 0 || job.is_unconfirmed();
        let spec = job.replacement.as_deref().unwrap_or(&job.spec);
        let asks = spec.health.as_ref().is_some_and(|health| health.check != Check::Running);
        let old_health = before.jobs.iter().find(|old| old.name == name).and_then(|old| old.health.as_ref());
        let proof = match asks && !self.maintenance && (fresh || old_health != spec.health.as_ref()) {
            true => JobOccurrence::Healthy,
            false if fresh => JobOccurrence::Started,
            false => return None,
        };
        Some(Awaited { job: name.to_string(), proof })
    }

    /// Whether a job still has to show something: not if it waits for its condition, or has done its work, or is not asked in maintenance.
    fn owes(&self, awaited: &Awaited) -> bool {
        self.jobs.iter().filter(|job| job.name() == awaited.job && !job.removed).any(|job| {
            let waits = matches!(job.activity, Activity::Idle)
                && !job.ending.is_asked()
                && job.last_exit.is_none_or(Exit::is_success);
            let unasked = self.maintenance && awaited.proof == JobOccurrence::Healthy && job.activity.is_active();
            job.replacement.is_some() || !(waits || unasked)
        })
    }

    /// Whether the trial has its verdict; true if anything moved.
    pub(crate) fn judge_reload(&mut self) -> bool {
        let Some(trial) = &self.reload.trial else { return false };
        let verdict = match (self.verdict_of_jobs(trial), self.verdict_of_templates(trial)) {
            (Some(Err(reason)), _) | (_, Some(Err(reason))) => Err(reason),
            (Some(Ok(())), Some(Ok(()))) => Ok(()),
            (None, _) | (_, None) => return false,
        };
        match verdict {
            Ok(()) => {
                if let Some(trial) = self.reload.trial.take() {
                    self.settle_tickets(trial.tickets, Ok(()));
                }
            }
            Err(reason) => self.roll_back(reason),
        }
        true
    }

    fn verdict_of_jobs(&self, trial: &Trial) -> Option<Result<(), String>> {
        let failed = trial.awaited.iter().find(|awaited| {
            let is_over = |job: &Job| job.ending.is_ended() && job.replacement.is_none() && !job.removed;
            self.jobs.iter().any(|job| job.name() == awaited.job && is_over(job))
        });
        let owing: Vec<&Awaited> = trial.awaited.iter().filter(|awaited| self.owes(awaited)).collect();
        match (failed, owing.first()) {
            (Some(awaited), _) => {
                Some(Err(format!("job {} ended before it was {}", awaited.job, adjective(awaited.proof))))
            }
            (None, None) => Some(Ok(())),
            (None, Some(first)) if trial.deadline <= self.out.now => {
                let names: Vec<&str> = owing.iter().map(|awaited| awaited.job.as_str()).collect();
                Some(Err(format!("not {} in time: {}", adjective(first.proof), names.join(", "))))
            }
            (None, Some(_)) => None,
        }
    }

    /// A touched template must be in place. Before the startup nothing depends on it yet, and the startup itself waits for it.
    fn verdict_of_templates(&self, trial: &Trial) -> Option<Result<(), String>> {
        let touched = |template: &&Templating| trial.touched.contains(&format!("template.{}", template.spec.name));
        let mut owing = self.templates.iter().filter(touched).filter(|template| template.in_place.is_none());
        let complaint = |template: &Templating| {
            Some(Err(format!("template {}: {}", template.spec.name, template.obstacle(&self.facts))))
        };
        if self.held.is_some() {
            return Some(Ok(()));
        }
        match (owing.clone().find(|template| template.failing.is_some()), owing.next()) {
            (Some(failing), _) => complaint(failing),
            (None, Some(first)) if trial.deadline <= self.out.now => complaint(first),
            (None, Some(_)) => None,
            (None, None) => Some(Ok(())),
        }
    }

    /// Puts the specification before the trial in force again.
    pub(crate) fn roll_back(&mut self, reason: String) {
        let Some(trial) = self.reload.trial.take() else { return };
        self.out.notice(Notice::RolledBack { reason: reason.clone() });
        self.put_in_force(trial.previous);
        self.settle_tickets(trial.tickets, Err(format!("rolled back: {reason}")));
    }

    /// Nothing is reloaded any more.
    pub(crate) fn reload_overtaken(&mut self, reason: &str) {
        let trial = self.reload.trial.take().map(|trial| trial.tickets);
        let waiting = [trial, self.reload.loading.take(), self.reload.again.take()];
        let tickets = waiting.into_iter().flatten().flatten().collect();
        self.settle_tickets(tickets, Err(reason.to_string()));
    }

    /// Touches what differs, and says what that was.
    fn put_in_force(&mut self, spec: Spec) -> Vec<String> {
        let mut touched = Vec::new();
        self.change_watches(&spec, &mut touched);
        self.change_templates(&spec, &mut touched);
        let mut places = BTreeMap::new();
        places.extend(spec.jobs.iter().enumerate().map(|(place, job)| (job.name.clone(), place)));
        for index in 0..self.jobs.len() {
            match places.get(self.jobs[index].name()) {
                Some(place) => self.change_job(index, &spec.jobs[*place], &mut touched),
                None => self.remove_job(index, &mut touched),
            }
        }
        // Jobs are added last: what they are told has occurred is not what a job said that goes away with this reload.
        let mut present = BTreeSet::new();
        present.extend(self.jobs.iter().map(|job| job.spec.name.clone()));
        for new in spec.jobs.iter().filter(|new| !present.contains(&new.name)) {
            touched.push(new.name.clone());
            let added = self.new_job(new.clone(), None);
            self.jobs.push(added);
        }
        self.jobs.sort_unstable_by_key(|job| places.get(job.name()).copied().unwrap_or(usize::MAX));
        self.spec = spec;
        touched
    }

    fn remove_job(&mut self, index: usize, touched: &mut Vec<String>) {
        let job = &mut self.jobs[index];
        if job.removed {
            return;
        }
        if job.spec.main && job.engaged {
            return self.out.notice(Notice::MainUnchanged { job: job.spec.name.clone() });
        }
        touched.push(job.spec.name.clone());
        job.removed = true;
        job.replacement = None;
        stopping::request(&mut self.out, job, self.spec.stop_timeout);
        self.history.forget_job(&job.spec.name);
    }

    fn change_job(&mut self, index: usize, new: &spec::Job, touched: &mut Vec<String>) {
        let job = &mut self.jobs[index];
        let in_force = job.replacement.as_deref().unwrap_or(&job.spec);
        if in_force == new && !job.removed {
            return;
        }
        touched.push(new.name.clone());
        let same_process = job.spec.process == new.process && job.spec.main == new.main;
        let stays = !job.removed && job.replacement.is_none() && !job.ending.is_asked();
        if stays && job.engaged && (same_process || job.spec.main) {
            let mut kept = new.clone();
            if !same_process {
                self.out.notice(Notice::MainUnchanged { job: new.name.clone() });
                kept.process.clone_from(&job.spec.process);
                kept.main = true;
            }
            if let Some(left) = job.redefine(&mut self.out, kept, self.history.iter()) {
                self.let_go(left);
            }
            return;
        }
        job.removed = false;
        job.replacement = Some(Box::new(new.clone()));
        stopping::request(&mut self.out, job, self.spec.stop_timeout);
        self.history.forget_job(&job.spec.name);
    }

    /// A job that a reload adds sees what has happened and still holds, as if it had been there, and takes over what is registered.
    fn new_job(&mut self, spec: spec::Job, registration: Option<Registration>) -> Job {
        let mut job = Job::new(spec, self.out.now);
        let service = job.spec.service.as_ref().map(|service| service.id.clone());
        let left = self.leaving.iter().position(|left| Some(&left.service.id) == service.as_ref());
        let registration = registration.or_else(|| left.map(|index| self.leaving.remove(index)));
        if let Some(registration) = registration
            && let Some(left) = job.inherit(&mut self.out, registration)
        {
            self.let_go(left);
        }
        job.set_maintenance(&mut self.out, self.maintenance);
        if self.held.is_some() {
            job.await_startup();
        }
        job.catch_up(&mut self.out, self.history.iter());
        job
    }

    /// Jobs that ended for a reload make room; true if any did.
    pub(crate) fn replace_ended(&mut self) -> bool {
        if self.shutdown.is_some() {
            return false;
        }
        let makes_room = |job: &Job| job.ending.is_ended() && (job.removed || job.replacement.is_some());
        let Some(index) = self.jobs.iter().position(makes_room) else { return false };
        let job = self.jobs.remove(index);
        if matches!(job.spec.start, spec::Start::At(_)) {
            self.out.push(Effect::DisarmCalendar { job: job.spec.name.clone() });
        }
        self.history.forget_job(&job.spec.name);
        match (job.replacement, job.registration) {
            (Some(spec), registration) => {
                let added = self.new_job(*spec, registration);
                self.jobs.insert(index, added);
            }
            (None, Some(registration)) => self.let_go(registration),
            (None, None) => {}
        }
        true
    }

    fn change_watches(&mut self, spec: &Spec, touched: &mut Vec<String>) {
        let mut kept = Vec::new();
        for watching in core::mem::take(&mut self.watches) {
            if spec.watches.contains(&watching.spec) {
                kept.push(watching);
            } else {
                touched.push(format!("watch.{}", watching.spec.name));
                self.history.forget_watch(&watching.spec.name);
                self.out.push(Effect::Unwatch { watch: watching.spec.name });
            }
        }
        for watch in &spec.watches {
            if !kept.iter().any(|watching| watching.spec == *watch) {
                let name = format!("watch.{}", watch.name);
                if !touched.contains(&name) {
                    touched.push(name);
                }
                kept.push(Watching::new(watch.clone()));
                self.out.push(Effect::Watch(watch.clone()));
            }
        }
        self.watches = kept;
    }
}

fn adjective(proof: JobOccurrence) -> &'static str {
    match proof {
        JobOccurrence::Started => "started",
        JobOccurrence::Healthy => "healthy",
        JobOccurrence::Unhealthy
        | JobOccurrence::ExitSuccess
        | JobOccurrence::ExitFailed
        | JobOccurrence::Stopping
        | JobOccurrence::Stopped
        | JobOccurrence::TimedOut => "done",
    }
}
