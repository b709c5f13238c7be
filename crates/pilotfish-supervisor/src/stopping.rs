//! How jobs end: one alone (it is complete, or a reload removed it), or all of them.
//!
//! ```text
//! No --asked--> Requested --its turn--> Stopping --hooks done--> Deregistering --done--> Terminating --gone--> Ended
//!  '--complete--> Complete ------------------------------------------^
//! ```
//!
//! When everything stops, jobs go in waves: whatever needs another job goes before it, and helpers (neither main nor advertised, and in need of
//! nobody) go last. Within a wave nobody is deregistered before all `stopping` hooks are done, and nobody gets SIGTERM before all are
//! deregistered: traffic ends first. Only a service whose process is gone already is withdrawn without waiting for anybody.
//!
//! Stop hooks, jobs with a process that wait for somebody's end, are outside the waves: they run to their own end, which only their `timeout`
//! limits.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::time::Duration;

use crate::{
    event::StopReason,
    execution::KILL_LIMIT,
    job::{Activity, Job},
    output::Output,
    registration::Registration,
    spec::{JobOccurrence, Spec},
    time::Time,
};

/// How long a stop waits for the catalog: a hung one must not keep the application from its SIGTERM.
pub const DEREGISTER_LIMIT: Duration = Duration::from_millis(500);

/// What is left to all later waves together when the first ones have used up the stop timeout.
const LATE_GRACE: Duration = Duration::from_millis(500);

/// How far a job's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It goes on.
    No,
    /// It was asked to stop and waits for its turn; a stop hook still waits for its occasion.
    Requested,
    /// Hooks on its `stopping` run; at most until then.
    Stopping { until: Option<Time> },
    /// It is over by itself.
    Complete,
    /// The catalog is told; at most until then.
    Deregistering { until: Time },
    /// The process was asked to end.
    Terminating,
    /// It is over.
    Ended,
}

impl Ending {
    pub(crate) fn is_asked(self) -> bool {
        self != Ending::No
    }

    pub(crate) fn is_ended(self) -> bool {
        self == Ending::Ended
    }

    /// Nothing can start it any more.
    pub(crate) fn is_closed(self) -> bool {
        !matches!(self, Ending::No | Ending::Requested)
    }

    pub(crate) fn complete(&mut self) {
        if *self == Ending::No {
            *self = Ending::Complete;
        }
    }

    pub(crate) fn deadline(self) -> Option<Time> {
        match self {
            Ending::Stopping { until } => until,
            Ending::Deregistering { until } => Some(until),
            Ending::No | Ending::Requested | Ending::Complete | Ending::Terminating | Ending::Ended => None,
        }
    }

    fn rank(self) -> u8 {
        match self {
            Ending::No => 0,
            Ending::Requested => 1,
            Ending::Stopping { .. } | Ending::Complete => 2,
            Ending::Deregistering { .. } => 3,
            Ending::Terminating => 4,
            Ending::Ended => 5,
        }
    }
}

/// The stop of everything.
#[derive(Clone, Debug)]
pub(crate) struct Shutdown {
    pub(crate) reason: StopReason,
    /// The exit code of a job that speaks for the container.
    pub(crate) code: Option<u8>,
    /// How long the catalog may still be waited for, in all waves together.
    deregistering_left: Duration,
    terminating_since: Option<Time>,
    waves: Vec<usize>,
}

impl Shutdown {
    pub(crate) fn new(reason: StopReason, code: Option<u8>, jobs: &[Job]) -> Shutdown {
        Shutdown { reason, code, deregistering_left: DEREGISTER_LIMIT, terminating_since: None, waves: waves(jobs) }
    }
}

/// Asks a job to stop.
pub(crate) fn request(out: &mut Output, job: &mut Job, stop_timeout: Duration) {
    if job.ending != Ending::No {
        return;
    }
    job.ending = Ending::Requested;
    if let Some(registration) = &mut job.registration {
        registration.close();
    }
    let is_hook = job.is_stop_hook();
    let Some(progress) = &mut job.progress else { return };
    if !is_hook {
        return progress.close();
    }
    progress.last_starts();
    // What runs already began before this stop and is not part of it: unless it has a limit of its own it could keep the stop waiting for ever.
    if job.spec.timeout.is_none()
        && let Activity::Running(execution) = &mut job.activity
    {
        execution.terminate(out, stop_timeout);
    }
}

/// Moves every ending on by what is possible now; true if anything moved.
pub(crate) fn advance(out: &mut Output, spec: &Spec, jobs: &mut [Job], shutdown: &mut Option<Shutdown>) -> bool {
    let mut moved = false;
    let wave = shutdown.as_ref().and_then(|shutdown| Wave::current(out.now, jobs, &shutdown.waves));
    for index in 0..jobs.len() {
        // A hook hears first of what has just ended, and may start then.
        if jobs[index].is_stop_hook() && !out.bus.is_empty() {
            continue;
        }
        if jobs[index].ending.is_asked() && may_leave(out.now, jobs, index, shutdown.as_ref(), wave) {
            leave(out, spec, &mut jobs[index], shutdown);
            moved = true;
        }
    }
    moved || end_deadlocked_hooks(jobs)
}

/// The first wave that has not ended, and how far it may go: traffic ends for all of it before a process does.
#[derive(Clone, Copy, Debug)]
struct Wave {
    number: usize,
    /// The last stage that its jobs may leave now.
    leaves: u8,
}

impl Wave {
    fn current(now: Time, jobs: &[Job], waves: &[usize]) -> Option<Wave> {
        let peers =
            || jobs.iter().enumerate().zip(waves).filter(|((_, job), _)| !job.is_stop_hook() && !job.ending.is_ended());
        let number = peers().map(|(_, wave)| *wave).min()?;
        let members = || peers().filter(|(_, wave)| **wave == number).map(|(member, _)| member);
        let slowest = members().map(|(_, job)| job.ending.rank()).min()?;
        let level = members().filter(|(_, job)| job.ending.rank() == slowest);
        let done = level.into_iter().all(|(index, _)| stage_is_done(now, jobs, index, true));
        Some(Wave { number, leaves: if done { slowest } else { slowest - 1 } })
    }
}

/// Whether the job's present stage is done, and those that it goes together with are as far.
fn may_leave(now: Time, jobs: &[Job], index: usize, shutdown: Option<&Shutdown>, wave: Option<Wave>) -> bool {
    let job = &jobs[index];
    let turn = match (shutdown, wave) {
        (Some(_), _) if job.is_stop_hook() => true,
        (Some(shutdown), Some(wave)) => {
            // The last stage is each job's own: nobody waits for another's process.
            shutdown.waves.get(index) == Some(&wave.number)
                && (job.ending.rank() >= 4 || job.ending.rank() <= wave.leaves)
        }
        (Some(_), None) => false,
        (None, _) => true,
    };
    turn && stage_is_done(now, jobs, index, shutdown.is_some())
}

fn stage_is_done(now: Time, jobs: &[Job], index: usize, everything_stops: bool) -> bool {
    let job = &jobs[index];
    match job.ending {
        Ending::No | Ending::Ended => false,
        Ending::Requested if job.is_stop_hook() => hook_is_exhausted(jobs, job, everything_stops),
        Ending::Requested | Ending::Complete => true,
        Ending::Stopping { until } => until.is_some_and(|until| until <= now) || hooks_are_done(jobs, job),
        Ending::Deregistering { until } => {
            until <= now || job.registration.as_ref().is_none_or(Registration::is_withdrawn)
        }
        Ending::Terminating => matches!(job.activity, Activity::Idle),
    }
}

fn leave(out: &mut Output, spec: &Spec, job: &mut Job, shutdown: &mut Option<Shutdown>) {
    match job.ending {
        Ending::No | Ending::Ended => {}
        Ending::Requested if !job.engaged => job.ending = Ending::Ended,
        Ending::Requested if job.activity.is_active() && !job.is_stop_hook() => {
            out.publish(job.occurrence(JobOccurrence::Stopping));
            job.ending = Ending::Stopping { until: job.spec.stopping_timeout.map(|limit| out.now.after(limit)) };
        }
        Ending::Requested | Ending::Stopping { .. } | Ending::Complete => {
            job.withdraw(out);
            let limit = shutdown.as_ref().map_or(DEREGISTER_LIMIT, |shutdown| shutdown.deregistering_left);
            job.ending = Ending::Deregistering { until: out.now.after(limit) };
        }
        Ending::Deregistering { until } => {
            if let Some(shutdown) = shutdown {
                shutdown.deregistering_left = shutdown.deregistering_left.min(until.since(out.now));
            }
            terminate(out, spec, job, shutdown);
            job.ending = Ending::Terminating;
        }
        Ending::Terminating => {
            job.ending = Ending::Ended;
            out.publish(job.occurrence(JobOccurrence::Stopped));
        }
    }
}

fn terminate(out: &mut Output, spec: &Spec, job: &mut Job, shutdown: &mut Option<Shutdown>) {
    let grace = match shutdown {
        Some(shutdown) => {
            let since = *shutdown.terminating_since.get_or_insert(out.now);
            let late_grace = LATE_GRACE.min(spec.stop_timeout);
            let all = since.after(spec.stop_timeout);
            all.since(out.now).max(all.after(late_grace).since(out.now).min(late_grace))
        }
        None => spec.stop_timeout,
    };
    match &mut job.activity {
        Activity::Running(execution) => execution.terminate(out, grace),
        Activity::Advertising { .. } | Activity::Backoff { .. } => job.activity = Activity::Idle,
        Activity::Idle => {}
    }
}

/// Whether nothing is left that waits for this job's `stopping`. The queue of occurrences is empty here, so every hook had its chance to start.
fn hooks_are_done(jobs: &[Job], job: &Job) -> bool {
    jobs.iter().all(|hook| {
        let waits = hook.progress.as_ref().is_some_and(|progress| {
            progress.awaited_ends().any(|(source, end)| source == job.name() && end == JobOccurrence::Stopping)
        });
        !waits || hook.ending.is_ended() || !matches!(hook.activity, Activity::Running(_))
    })
}

/// Whether nothing that a stop hook waits for can still come.
fn hook_is_exhausted(jobs: &[Job], hook: &Job, everything_stops: bool) -> bool {
    if !matches!(hook.activity, Activity::Idle) {
        return false;
    }
    let Some(progress) = &hook.progress else { return true };
    progress.awaited_ends().all(|(name, end)| match jobs.iter().find(|job| job.name() == name) {
        None => true,
        Some(source) => match source.ending {
            Ending::No => !everything_stops,
            Ending::Ended => true,
            Ending::Deregistering { .. } | Ending::Terminating => end == JobOccurrence::Stopping,
            Ending::Requested | Ending::Stopping { .. } | Ending::Complete => false,
        },
    })
}

/// Stop hooks that wait for one another in a circle would never end.
fn end_deadlocked_hooks(jobs: &mut [Job]) -> bool {
    let waiting =
        |job: &Job| job.ending == Ending::Requested && job.is_stop_hook() && matches!(job.activity, Activity::Idle);
    let asked = || jobs.iter().filter(|job| job.ending.is_asked() && !job.ending.is_ended());
    if !asked().all(waiting) {
        return false;
    }
    let mut moved = false;
    for job in jobs.iter_mut().filter(|job| job.ending.is_asked() && !job.ending.is_ended()) {
        job.ending = Ending::Ended;
        moved = true;
    }
    moved
}

/// Which wave each job belongs to: after everything that needs it, and a helper that needs nothing after everything else.
fn waves(jobs: &[Job]) -> Vec<usize> {
    let mut index_of = BTreeMap::new();
    index_of.extend(jobs.iter().enumerate().map(|(index, job)| (job.name(), index)));
    let mut needs = Vec::new();
    for (dependent, job) in jobs.iter().enumerate().filter(|(_, job)| job.spec.process.is_some()) {
        let sources = job.prerequisites().into_iter().filter_map(|name| index_of.get(name).copied());
        needs.extend(sources.filter(|source| *source != dependent).map(|source| (dependent, source)));
    }
    let mut waves = vec![0; jobs.len()];
    // Each round settles at least one more job; only a circle still moves after as many rounds as there are jobs.
    for round in 0..=jobs.len() {
        let mut moved = false;
        for &(dependent, source) in &needs {
            if waves[source] <= waves[dependent] {
                waves[source] = waves[dependent] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
        if round == jobs.len() {
            waves.fill(0);
        }
    }
    let is_helper = |index: usize| {
        let job = &jobs[index];
        !job.spec.main && job.spec.service.is_none() && needs.iter().all(|(dependent, _)| *dependent != index)
    };
    let helpers: Vec<usize> = (0..jobs.len()).filter(|index| is_helper(*index)).collect();
    let others = (0..jobs.len()).filter(|index| helpers.binary_search(index).is_err());
    let last = others.map(|index| waves[index] + 1).max().unwrap_or(0);
    for index in helpers {
        waves[index] = waves[index].max(last);
    }
    waves
}

/// The longest that a stop of everything takes once hooks are done, for the shell's last resort. Only if processes of several waves outlive
/// SIGKILL (uninterruptible I/O) does it take a second more for each such wave.
pub const fn longest_stop(stop_timeout: Duration) -> Duration {
    stop_timeout.saturating_add(DEREGISTER_LIMIT).saturating_add(LATE_GRACE).saturating_add(KILL_LIMIT)
}
