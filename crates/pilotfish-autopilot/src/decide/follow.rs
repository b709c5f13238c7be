//! Another holds the lease: receive from it, in the mode that the in-sync set asks for.

use super::{Mind, QUIET, Step, can_apply, is_drained};
use crate::act::{Act, Condemnation};
use crate::gtid::{Flavour, GtidSet};
use crate::lease::{Lease, Seat};
use crate::record::Mode;
use crate::view::{Applier, Catalog, Identity, Receiver, ServerFacts, SourceFacts, Unanswered};
use crate::why::Why;

impl Mind<'_> {
    pub(super) fn follow(&self, lease: &Lease, facts: &ServerFacts, identity: Identity) -> Step {
        let term = lease.epoch.term;
        if term < identity.promise {
            return Step::Wait(Why::PromisedMore { promise: identity.promise, term }, None);
        }
        let in_sync = self.is_in_sync(&lease.config);
        let mode = if in_sync { Mode::Acking } else { Mode::Plain };
        if let Some(step) = self.unusable(lease, facts, in_sync) {
            return step;
        }
        if let Some(step) = self.leave_hanging(lease, facts, in_sync) {
            return step;
        }
        match facts.receiver {
            Receiver::Running { to, mode: as_is, .. } if to == lease.holder && as_is == mode => {
                self.attached(lease, facts)
            }
            // Nobody has counted on what a receiver holds that did not acknowledge: it may be fetched again.
            Receiver::Running { to, mode: Mode::Plain, .. } if to == lease.holder => self.connect(lease, facts, mode),
            Receiver::Running { .. } if in_sync => Step::Do(Act::StopReceiver { term }, Why::Reattaching { mode }),
            // None of us has started it.
            Receiver::Unknown => Step::Do(Act::StopReceiver { term }, Why::Reattaching { mode }),
            Receiver::Running { .. } | Receiver::Stopped | Receiver::Purged => self.attach(lease, facts, mode),
        }
    }

    /// The lease is about to lapse, and its holder's server is silent: who will have to vote stops to receive now, because MariaDB needs a second for
    /// that while the source hangs. If the lease is renewed after all, it attaches again, for which all that it received must be applied. What
    /// keeps the lease and only cannot reach the catalog goes on being acknowledged: nobody can vote then.
    fn leave_hanging(&self, lease: &Lease, facts: &ServerFacts, in_sync: bool) -> Option<Step> {
        let votes = in_sync && lease.config.can_elect() && !self.is_async();
        let late = self.view.lease_clock.unchanged() >= self.policy.late();
        if self.view.flavour != Flavour::MariaDb || !votes || !late {
            return None;
        }
        let asked = |unanswered: &Unanswered| unanswered.member == lease.holder && unanswered.term == lease.epoch.term;
        let silent = self.now.since(self.view.unanswered.filter(asked)?.since);
        if silent < self.policy.request_limit {
            return None;
        }
        let why = Why::SourceHangs { source: lease.holder, silent };
        match (facts.receiver, self.view.catalog) {
            (Receiver::Running { .. } | Receiver::Unknown, Catalog::Answers) if is_drained(facts) => {
                Some(Step::Do(Act::StopReceiver { term: lease.epoch.term }, why))
            }
            (Receiver::Running { .. } | Receiver::Unknown, _) => None,
            // One request that fails is no reason to go back.
            (_, Catalog::Unknown(since)) if self.now.since(since) >= self.policy.renew_every => None,
            (Receiver::Stopped | Receiver::Purged, _) => Some(Step::Wait(why, None)),
        }
    }

    fn attached(&self, lease: &Lease, facts: &ServerFacts) -> Step {
        match facts.applier {
            Applier::Stopped => Step::Do(Act::Drain { term: lease.epoch.term }, Why::ApplierStopped),
            Applier::Unknown | Applier::Running | Applier::Failed => self.let_in(lease, facts),
        }
    }

    /// What to say of a source that has not let us in.
    fn let_in(&self, lease: &Lease, facts: &ServerFacts) -> Step {
        match facts.receiver {
            Receiver::Running { to, connected: false, .. } if self.source(lease).is_none() => {
                Step::Wait(Why::SourceSilent { source: to }, None)
            }
            Receiver::Running { to, mode, connected: false } => Step::Wait(Why::Attaching { to, mode }, None),
            Receiver::Running { .. } | Receiver::Unknown | Receiver::Stopped | Receiver::Purged => Step::Pass(None),
        }
    }

    /// Connects, once it is sure that our history is part of the source's, and that nothing that others count on is thrown away with the relay
    /// log.
    fn attach(&self, lease: &Lease, facts: &ServerFacts, mode: Mode) -> Step {
        let term = lease.epoch.term;
        if mode == Mode::Acking && !is_drained(facts) {
            return if can_apply(facts) {
                Step::Do(Act::Drain { term }, Why::RelayLogNotApplied)
            } else {
                Step::Wait(Why::ApplierStopped, None)
            };
        }
        self.connect(lease, facts, mode)
    }

    fn connect(&self, lease: &Lease, facts: &ServerFacts, mode: Mode) -> Step {
        let (term, to) = (lease.epoch.term, lease.holder);
        // Writes wait for others than us: the new primary lets those in first.
        let needed = lease.config.in_sync.len() < self.floor(lease);
        let calm = self.view.lease_changed.after(QUIET);
        if mode == Mode::Plain && lease.is_established() && !needed && calm > self.now {
            return Step::Wait(Why::Attaching { to, mode }, Some(calm));
        }
        if !self.published(lease).is_some_and(|executed| executed.contains(&facts.executed)) {
            let Some(source) = self.source(lease) else {
                return Step::Wait(Why::SourceSilent { source: to }, None);
            };
            if !source.executed.contains(&facts.executed) {
                return Step::Wait(Why::SourceBehind { source: to }, None);
            }
        }
        Step::Do(Act::Attach { to, term, mode }, Why::Attaching { to, mode })
    }

    /// Data that cannot follow: it is condemned, unless others still count on it.
    fn unusable(&self, lease: &Lease, facts: &ServerFacts, in_sync: bool) -> Option<Step> {
        let reason = if let Some(errant) = self.errant(lease) {
            Condemnation::Errant(errant)
        } else if facts.receiver == Receiver::Purged {
            Condemnation::Purged
        } else if facts.applier == Applier::Failed {
            Condemnation::ApplierStopped
        } else {
            return None;
        };
        let why = match &reason {
            Condemnation::Errant(gtids) => Why::Errant { gtids: gtids.clone() },
            Condemnation::Purged => Why::Purged,
            Condemnation::ApplierStopped | Condemnation::NeverUsed => Why::ApplierStopped,
        };
        if in_sync || !lease.is_established() {
            return Some(Step::Wait(why, None));
        }
        Some(Step::Do(Act::Condemn { reason }, why))
    }

    /// What the holder has published that it has executed. That stays, so it may be old; but it is of no use when it is of other data than
    /// those with which the holder was chosen.
    fn published(&self, lease: &Lease) -> Option<&GtidSet> {
        let primary = lease.config.primary;
        let data = if primary.member == lease.holder {
            Some(primary.data)
        } else {
            lease.config.in_sync.get(&lease.holder).copied()
        };
        self.record_of(Seat { member: lease.holder, data: data? })?.executed.as_ref()
    }

    /// What the holder of this lease answered about this copy of our data.
    fn source(&self, lease: &Lease) -> Option<&SourceFacts> {
        let data = self.view.identity().map(|identity| identity.data);
        self.view.source.as_ref().filter(|source| {
            source.member == lease.holder && source.term == lease.epoch.term && Some(source.data) == data
        })
    }

    /// What we have executed and an established primary has not. An answer about what we do not have any more says nothing: a server that has
    /// dropped its tail is a new one.
    pub(super) fn errant(&self, lease: &Lease) -> Option<GtidSet> {
        let source = self.source(lease).filter(|_| lease.is_established())?;
        let still_ours = self.view.facts().is_some_and(|facts| facts.executed.contains(&source.ours));
        (still_ours && !source.executed.contains(&source.ours)).then(|| source.ours.subtract(&source.executed))
    }
}
