//! How long the hooks of a v3 document get when something stops.
//!
//! ContainerPilot 3 documents a limited window for jobs that react to `stopping` and `stopped`, and kills whatever is left after it. Here every
//! such job has a limit of its own, so that one that hangs cannot keep the container from ending. Hooks of v2 run to their end, by design.

use std::time::Duration;

use pilotfish_supervisor::{Job, JobOccurrence, Occurrence, OnFailure, Quantifier, Restarts, Start};

use crate::service::Draft;
use crate::settings::DEFAULT_STOP_TIMEOUT;
use crate::timing::MIN_TIMEOUT;

/// The window that a document's `stopTimeout` means. A document that kills at once means its applications: a hook that somebody wrote shall
/// still run, for the usual time.
pub(crate) fn window(stop_timeout: Duration) -> Duration {
    if stop_timeout.is_zero() { DEFAULT_STOP_TIMEOUT } else { stop_timeout.max(MIN_TIMEOUT) }
}

/// Gives every hook without a `timeout` the window.
pub(crate) fn limit_hooks(jobs: &mut [Draft], window: Duration) {
    let needs_limit: Vec<bool> = jobs.iter().map(|draft| !draft.timeout_given && is_hook(&draft.job, jobs)).collect();
    for (draft, _) in jobs.iter_mut().zip(needs_limit).filter(|(_, needs_limit)| *needs_limit) {
        draft.job.timeout = Some(window);
    }
}

/// Whether a job runs for nothing but the end of others.
fn is_hook(job: &Job, jobs: &[Draft]) -> bool {
    let Start::On(condition) = &job.start else { return false };
    let ends = |trigger: &Occurrence| is_end(trigger, jobs);
    let triggered_by_ends = match condition.quantifier {
        Quantifier::Any => condition.triggers.iter().all(ends),
        Quantifier::All => condition.triggers.iter().any(ends),
    };
    triggered_by_ends && job.process.is_some() && !lasts(job)
}

/// Whether a trigger belongs to the end of something that should have lasted. A short job is `stopped` in the middle of the container's life,
/// and what follows it there may take its time.
fn is_end(trigger: &Occurrence, jobs: &[Draft]) -> bool {
    match trigger {
        Occurrence::Shutdown | Occurrence::Job(_, JobOccurrence::Stopping) => true,
        Occurrence::Job(name, JobOccurrence::Stopped) => {
            jobs.iter().any(|draft| draft.job.name == *name && lasts(&draft.job))
        }
        Occurrence::Job(..)
        | Occurrence::Watch(..)
        | Occurrence::TemplateChanged(_)
        | Occurrence::Startup
        | Occurrence::EnterMaintenance
        | Occurrence::ExitMaintenance
        | Occurrence::Hangup
        | Occurrence::User2 => false,
    }
}

/// Whether a job is meant to run as long as the container does.
fn lasts(job: &Job) -> bool {
    job.main
        || job.service.is_some()
        || job.health.is_some()
        || job.restarts == Restarts::Unlimited
        || job.on_failure == OnFailure::Restart
}
