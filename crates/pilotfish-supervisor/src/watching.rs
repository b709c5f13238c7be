//! What a watch has seen, and whether a new answer is a change to be believed.

use alloc::string::String;
use core::time::Duration;

use crate::{
    event::{Followed, Notice, View},
    output::Output,
    pulse::Pulse,
    spec::{Occurrence, Watch, WatchOccurrence, WatchTarget},
    time::Time,
};

/// How long a view is kept when a catalog that lost its state shows less: long enough for others to register again after its restart.
pub const HOLD_AFTER_RESTART: Duration = Duration::from_secs(10);

/// The state of one watch.
#[derive(Clone, Debug)]
pub(crate) struct Watching {
    pub(crate) spec: Watch,
    /// The view in force and since when it is known to be right.
    pub(crate) view: Option<View>,
    pub(crate) confirmed: Option<Time>,
    pub(crate) failing: Option<String>,
    /// The agent that answers, once one has.
    pub(crate) pulse: Option<Pulse>,
    held: Option<(View, Time)>,
    /// The catalog has lost its state; until then a smaller view is not believed.
    distrust_until: Option<Time>,
}

impl Watching {
    pub(crate) fn new(spec: Watch) -> Watching {
        Watching { spec, view: None, confirmed: None, failing: None, pulse: None, held: None, distrust_until: None }
    }

    pub(crate) fn viewed(&mut self, out: &mut Output, view: View, agent: String) {
        let followed = Followed::Watch(self.spec.name.clone());
        self.pulse = Some(Pulse::of(followed, agent, Pulse::borne_by_watch(self.spec.interval), out.now));
        if self.failing.take().is_some() {
            out.notice(Notice::WatchRecovered { watch: self.spec.name.clone() });
        }
        if view.restarted {
            self.distrust_until = Some(out.now.after(HOLD_AFTER_RESTART));
        }
        match self.distrust_until {
            Some(until) if until > out.now && self.loses_members(&view) => {
                if self.held.is_none() {
                    out.notice(Notice::ViewHeld { watch: self.spec.name.clone() });
                }
                self.held = Some((view, until));
            }
            _ => {
                self.held = None;
                self.accept(out, view);
            }
        }
    }

    /// A query without a believable answer says nothing about the instances: the last view stays.
    ///
    /// Nor is a view believed that was held back: it is too old to speak for a catalog that fails now.
    pub(crate) fn failed(&mut self, out: &mut Output, reason: String) {
        self.held = None;
        self.pulse = None;
        if self.failing.is_none() {
            out.notice(Notice::WatchFailed { watch: self.spec.name.clone(), reason: reason.clone() });
        }
        self.failing = Some(reason);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.held.as_ref().map(|(_, until)| *until)
    }

    pub(crate) fn time_passed(&mut self, out: &mut Output) {
        if let Some((view, until)) = self.held.take() {
            if until <= out.now {
                self.accept(out, view);
            } else {
                self.held = Some((view, until));
            }
        }
    }

    fn accept(&mut self, out: &mut Output, view: View) {
        self.confirmed = Some(out.now);
        let changed = match &self.view {
            // An empty first view is what everybody starts from.
            None => !view.members.is_empty(),
            Some(old) => self.differs(old, &view),
        };
        let healthy = !view.members.is_empty();
        let first = self.view.is_none();
        self.view = Some(view);
        let mut publish = |what| out.publish(Occurrence::Watch(self.spec.name.clone(), what));
        if changed {
            publish(WatchOccurrence::Changed);
        }
        if changed || first {
            publish(if healthy { WatchOccurrence::Healthy } else { WatchOccurrence::Unhealthy });
        }
    }

    fn differs(&self, old: &View, new: &View) -> bool {
        let names = || !old.members.iter().map(|member| &member.name).eq(new.members.iter().map(|member| &member.name));
        match self.spec.target {
            WatchTarget::Service { definitions: false, .. } => names(),
            WatchTarget::Service { definitions: true, .. } | WatchTarget::Key(_) | WatchTarget::KeyPrefix(_) => {
                old.members != new.members
            }
        }
    }

    fn loses_members(&self, new: &View) -> bool {
        self.view.as_ref().is_some_and(|old| {
            old.members.iter().any(|member| new.members.iter().all(|other| other.name != member.name))
        })
    }
}
