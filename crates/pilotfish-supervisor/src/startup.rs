//! Nothing is started before the required files are there.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use crate::{
    event::{Effect, Notice},
    job::Job,
    spec::Occurrence,
    supervisor::Supervisor,
    templating::Templating,
    time::Time,
};

/// How long a startup is held back before that is told; from then on it is told again and again.
const TELL_AFTER: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A startup that is held back.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    tell_at: Time,
    /// What has occurred meanwhile, each once; it is seen after the startup.
    early: Vec<Occurrence>,
}

impl Supervisor {
    /// Everything is in place: jobs start, at once or when the required files are there.
    pub(crate) fn boot(&mut self) {
        if self.booted {
            return;
        }
        self.booted = true;
        let now = self.out.now;
        self.held = Some(Held { tell_at: now.after(TELL_AFTER), early: Vec::new() });
        self.jobs = self.spec.jobs.iter().map(|job| Job::new(job.clone(), now)).collect();
        for job in &mut self.jobs {
            job.await_startup();
            job.set_maintenance(&mut self.out, self.maintenance);
        }
        self.templates = self.spec.templates.iter().map(|spec| Templating::new(spec.clone(), now)).collect();
    }

    /// Lets the startup happen if nothing holds it back any more; true if it did.
    pub(crate) fn start_up(&mut self) -> bool {
        let lacking = |template: &Templating| template.spec.required && template.in_place.is_none();
        if self.held.is_none() || self.templates.iter().any(lacking) {
            return false;
        }
        let Some(held) = self.held.take() else { return false };
        for job in &mut self.jobs {
            job.begin_waiting(self.out.now);
        }
        // A reload may have begun some already.
        for watch in self.spec.watches.clone() {
            if self.watches.iter().all(|watching| watching.spec != watch) {
                self.watch(watch);
            }
        }
        self.out.publish(Occurrence::Startup);
        for occurrence in held.early {
            self.out.publish(occurrence);
        }
        true
    }

    /// Keeps what occurs before the startup for later; true if it did.
    pub(crate) fn keep_for_startup(&mut self, occurrence: &Occurrence) -> bool {
        let Some(held) = &mut self.held else { return false };
        if !held.early.contains(occurrence) {
            held.early.push(occurrence.clone());
        }
        true
    }

    pub(crate) fn startup_deadline(&self) -> Option<Time> {
        self.held.as_ref().map(|held| held.tell_at)
    }

    /// Tells what a startup waits for that takes long.
    pub(crate) fn startup_time_passed(&mut self) {
        let now = self.out.now;
        let Some(held) = self.held.as_mut().filter(|held| held.tell_at <= now) else { return };
        held.tell_at = now.after(TELL_EVERY);
        let lacking = self.templates.iter().filter(|template| template.spec.required && template.in_place.is_none());
        let templates: Vec<(String, String)> =
            lacking.map(|template| (template.spec.name.clone(), template.obstacle(&self.facts))).collect();
        self.out.push(Effect::Notice(Notice::StartupHeld { templates }));
    }
}
