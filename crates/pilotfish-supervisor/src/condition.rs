//! How far a job's start condition has come.

use alloc::{vec, vec::Vec};

use crate::{
    spec::{Condition, JobOccurrence, Occurrence, Quantifier, Times, WatchOccurrence},
    time::Time,
};

/// The progress of one [`Condition`].
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    condition: Condition,
    seen: Vec<bool>,
    ready: Vec<bool>,
    /// A start that is held back: since when.
    held_since: Option<Time>,
    /// The condition cannot start the job (again).
    spent: bool,
    /// Everything stops: only so many starts are left, so that hooks that trigger one another come to an end.
    starts_left: Option<usize>,
    gives_up_at: Option<Time>,
}

impl Progress {
    pub(crate) fn new(condition: &Condition, now: Time) -> Progress {
        let ready = condition.hold_back.as_ref().map_or(0, |hold| hold.until.len());
        Progress {
            seen: vec![false; condition.triggers.len()],
            ready: vec![false; ready],
            held_since: None,
            spent: false,
            starts_left: None,
            gives_up_at: condition.timeout.map(|timeout| now.after(timeout)),
            condition: condition.clone(),
        }
    }

    /// The time for which it waits does not begin before everything else does.
    pub(crate) fn await_startup(&mut self) {
        self.gives_up_at = None;
    }

    /// That time begins.
    pub(crate) fn begin_waiting(&mut self, now: Time) {
        self.gives_up_at = self.condition.timeout.map(|timeout| now.after(timeout));
    }

    /// Takes note of an occurrence; true when the job is to start now.
    pub(crate) fn observe(&mut self, now: Time, occurrence: &Occurrence) -> bool {
        if self.spent {
            return false;
        }
        if let Some(hold) = &self.condition.hold_back {
            mark(&hold.until, &mut self.ready, occurrence);
        }
        if mark(&self.condition.triggers, &mut self.seen, occurrence) && self.is_met() {
            self.seen.fill(false);
            self.held_since.get_or_insert(now);
            self.gives_up_at = None;
        }
        self.release(now)
    }

    /// True when a start that was held back is to happen now.
    pub(crate) fn release(&mut self, now: Time) -> bool {
        let due = self.held_since.is_some() && (self.is_ready() || self.hold_deadline().is_some_and(|at| at <= now));
        if due {
            self.held_since = None;
            self.starts_left = self.starts_left.map(|left| left.saturating_sub(1));
            self.spent = self.condition.times == Times::Once || self.starts_left == Some(0);
        }
        due
    }

    /// True, once, when the condition has not been met in time.
    pub(crate) fn gives_up(&mut self, now: Time) -> bool {
        let due = self.gives_up_at.is_some_and(|at| at <= now);
        if due {
            self.gives_up_at = None;
            self.spent = true;
        }
        due
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.hold_deadline().into_iter().chain(self.gives_up_at).min()
    }

    /// Whether the condition can start the job (again).
    pub(crate) fn is_open(&self) -> bool {
        !self.spent
    }

    /// The condition shall not start the job any more.
    pub(crate) fn close(&mut self) {
        self.spent = true;
        self.held_since = None;
        self.gives_up_at = None;
    }

    /// The job has been started already, and the condition is a new one: readiness that was shown is known.
    pub(crate) fn resume<'a>(&mut self, history: impl Iterator<Item = &'a Occurrence>) {
        self.gives_up_at = None;
        if let Some(hold) = &self.condition.hold_back {
            for occurrence in history {
                mark(&hold.until, &mut self.ready, occurrence);
            }
        }
    }

    /// The job shall stop, too, and goes on only for the ends that it waits for: each comes once.
    pub(crate) fn last_starts(&mut self) {
        let ends = self.condition.triggers.iter().filter(|trigger| is_end(trigger)).count();
        self.starts_left = Some(ends);
    }

    /// Whether it waits for the end of a job, or for the end of everything.
    pub(crate) fn waits_for_end(&self) -> bool {
        self.condition.triggers.iter().any(is_end)
    }

    /// The jobs whose end it waits for, and whether before it (`Stopping`) or after it (`Stopped`).
    pub(crate) fn awaited_ends(&self) -> impl Iterator<Item = (&str, JobOccurrence)> {
        self.condition.triggers.iter().filter_map(|trigger| match trigger {
            Occurrence::Job(source, end @ (JobOccurrence::Stopping | JobOccurrence::Stopped)) => {
                Some((source.as_str(), *end))
            }
            Occurrence::Job(..)
            | Occurrence::Startup
            | Occurrence::Shutdown
            | Occurrence::EnterMaintenance
            | Occurrence::ExitMaintenance
            | Occurrence::Hangup
            | Occurrence::User2
            | Occurrence::Watch(..)
            | Occurrence::TemplateChanged(_) => None,
        })
    }

    fn is_met(&self) -> bool {
        match self.condition.quantifier {
            Quantifier::Any => true,
            Quantifier::All => self.seen.iter().all(|seen| *seen),
        }
    }

    fn is_ready(&self) -> bool {
        self.ready.iter().all(|ready| *ready)
    }

    fn hold_deadline(&self) -> Option<Time> {
        let hold = self.condition.hold_back.as_ref()?;
        self.held_since.map(|since| since.after(hold.at_most))
    }
}

/// Whether it belongs to the stop of a job, or of everything.
fn is_end(trigger: &Occurrence) -> bool {
    matches!(trigger, Occurrence::Shutdown | Occurrence::Job(_, JobOccurrence::Stopping | JobOccurrence::Stopped))
}

fn mark(list: &[Occurrence], seen: &mut [bool], occurrence: &Occurrence) -> bool {
    let mut found = false;
    for (index, _) in list.iter().enumerate().filter(|(_, entry)| *entry == occurrence) {
        seen[index] = true;
        found = true;
    }
    found
}

/// What has occurred and still holds: a job that a reload adds must not wait for what will not occur again.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Occurrence>);

impl History {
    pub(crate) fn record(&mut self, occurrence: &Occurrence) {
        self.0.retain(|earlier| earlier != occurrence && !excludes(occurrence, earlier));
        if holds_on(occurrence) {
            self.0.push(occurrence.clone());
        }
    }

    /// What holds, in the order in which it occurred.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Occurrence> {
        self.0.iter()
    }

    /// Forgets a job that exists no more.
    pub(crate) fn forget_job(&mut self, name: &str) {
        self.0.retain(|earlier| !matches!(earlier, Occurrence::Job(job, _) if job == name));
    }

    /// Forgets a template that exists no more, or is another one now.
    pub(crate) fn forget_template(&mut self, name: &str) {
        self.0.retain(|earlier| !matches!(earlier, Occurrence::TemplateChanged(template) if template == name));
    }

    /// Forgets a watch that exists no more.
    pub(crate) fn forget_watch(&mut self, name: &str) {
        self.0.retain(|earlier| !matches!(earlier, Occurrence::Watch(watch, _) if watch == name));
    }
}

/// States hold on until their opposite; moments (a signal) do not.
fn holds_on(occurrence: &Occurrence) -> bool {
    match occurrence {
        Occurrence::Startup | Occurrence::Job(..) | Occurrence::Watch(..) | Occurrence::TemplateChanged(_) => true,
        Occurrence::Shutdown
        | Occurrence::EnterMaintenance
        | Occurrence::ExitMaintenance
        | Occurrence::Hangup
        | Occurrence::User2 => false,
    }
}

/// Whether `new` ends what `old` said.
fn excludes(new: &Occurrence, old: &Occurrence) -> bool {
    use JobOccurrence::{ExitFailed, ExitSuccess, Healthy, Started, Stopped, Stopping, TimedOut, Unhealthy};
    match (new, old) {
        (Occurrence::Job(a, new), Occurrence::Job(b, old)) if a == b => match new {
            Started => matches!(old, ExitSuccess | ExitFailed | Stopping | Stopped | TimedOut | Healthy | Unhealthy),
            Healthy => *old == Unhealthy,
            Unhealthy => *old == Healthy,
            ExitSuccess => matches!(old, ExitFailed | Started | Healthy | Unhealthy),
            ExitFailed => matches!(old, ExitSuccess | Started | Healthy | Unhealthy),
            Stopping => false,
            Stopped | TimedOut => matches!(old, Started | Healthy | Unhealthy | Stopping),
        },
        (Occurrence::Watch(a, new), Occurrence::Watch(b, old)) if a == b => match new {
            WatchOccurrence::Changed => false,
            WatchOccurrence::Healthy => *old == WatchOccurrence::Unhealthy,
            WatchOccurrence::Unhealthy => *old == WatchOccurrence::Healthy,
        },
        _ => false,
    }
}
