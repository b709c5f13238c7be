//! What a reload may change of a job while it goes on, and what a job takes over from its predecessor.

use super::{Activity, Job};
use crate::{
    condition::Progress,
    event::Effect,
    health::Checking,
    output::Output,
    registration::Registration,
    spec::{self, Occurrence, Start, Times},
};

impl Job {
    /// What the reload of an unchanged process may change while it runs; returns a registration that is left to be withdrawn.
    pub(crate) fn redefine<'a>(
        &mut self,
        out: &mut Output,
        spec: spec::Job,
        history: impl Iterator<Item = &'a Occurrence>,
    ) -> Option<Registration> {
        if self.spec.start != spec.start {
            self.restart_condition(out, &spec.start, history);
        }
        match (&mut self.checking, spec.health.clone()) {
            (Some(checking), Some(health)) => checking.redefine(out, health),
            (Some(checking), None) => {
                checking.pause(out);
                self.checking = None;
            }
            (None, Some(health)) => {
                let mut checking = Checking::new(health);
                if self.activity.is_active() && !self.maintenance {
                    checking.begin(out.now);
                }
                self.checking = Some(checking);
            }
            (None, None) => {}
        }
        if self.spec.restarts != spec.restarts {
            self.restarts_left = spec.restarts;
        }
        let service = spec.service.clone();
        self.spec = spec;
        let left = service.and_then(|service| self.redefine_service(out, service));
        if self.spec.service.is_none()
            && let Some(registration) = &mut self.registration
        {
            registration.withdraw(out);
        }
        left
    }

    /// The service's definition has changed; another id is another service, and the old one is left to be withdrawn.
    fn redefine_service(&mut self, out: &mut Output, service: spec::Service) -> Option<Registration> {
        match &mut self.registration {
            Some(registration) if registration.service.id == service.id => {
                registration.redefine(out, service);
                None
            }
            registration => {
                let fresh = match &registration {
                    Some(old) => Registration::in_place_of(old, service),
                    None => Registration::new(service),
                };
                let left = registration.replace(fresh);
                if self.activity.is_active() && !self.maintenance {
                    self.advertise_at_once(out);
                }
                left
            }
        }
    }

    /// Takes over the registration of its predecessor, so that requests under way are not lost; returns what is not its own.
    pub(crate) fn inherit(&mut self, out: &mut Output, mut old: Registration) -> Option<Registration> {
        match &self.registration {
            Some(own) if own.service.id == old.service.id => {
                old.reopen();
                old.redefine(out, own.service.clone());
                self.registration = Some(old);
                None
            }
            Some(_) | None => Some(old),
        }
    }

    fn restart_condition<'a>(
        &mut self,
        out: &mut Output,
        start: &Start,
        history: impl Iterator<Item = &'a Occurrence>,
    ) {
        if matches!(self.spec.start, Start::At(_)) {
            out.push(Effect::DisarmCalendar { job: self.spec.name.clone() });
        }
        self.next_period = None;
        self.progress = None;
        match start {
            Start::On(condition) => {
                let mut progress = Progress::new(condition, out.now);
                progress.resume(history);
                if condition.times == Times::Once {
                    progress.close();
                    if matches!(self.activity, Activity::Idle) {
                        self.ending.complete();
                    }
                }
                self.progress = Some(progress);
            }
            Start::Every(period) => self.next_period = Some(out.now.after(*period)),
            Start::At(calendar) => {
                out.push(Effect::ArmCalendar { job: self.spec.name.clone(), calendar: calendar.clone() });
            }
        }
    }
}
