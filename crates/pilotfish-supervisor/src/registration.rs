//! Keeping one service registered: what is wanted, what the catalog is known to hold, and the next request that closes the gap.
//!
//! At most one request per service is under way, so that a slow catalog sees no pile of heartbeats. The catalog may be away, come back
//! empty, or a different agent may answer: each answer only changes what is known, and the gap is closed again. Before a service is registered
//! for the first time its place is looked at, see [`crate::claim`].

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use crate::{
    claim::{self, CONFIRM_AFTER, Claim, LOOK_AGAIN},
    event::{CallId, CallOutcome, Effect, Notice, Other, Request},
    output::Output,
    retry::{RETRY_MAX, RETRY_MAX_REFUSED, Retry},
    spec::{Service, ServiceStatus},
    time::Time,
    twins::Twins,
};

/// The registration of one service.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub(crate) service: Service,
    wanted: Option<ServiceStatus>,
    known: Known,
    pub(crate) claim: Claim,
    /// When it is to be looked whether somebody else has registered the same.
    confirm_at: Option<Time>,
    /// The status is to be sent although the service is registered.
    beat_due: bool,
    in_flight: Option<(CallId, Kind)>,
    retry: Retry,
    /// How often in a row the catalog has forgotten the service, without a heartbeat that it took in between.
    forgotten: u32,
    /// What was told of the catalog's failure: it is not told again with every retry.
    complaint: Option<String>,
    /// The agent that holds the registration.
    pub(crate) home: Option<String>,
    twins: Twins,
    pub(crate) last_beat: Option<Time>,
    /// The definition has changed since the last `Register` was sent.
    redefined: bool,
    /// The last request was not answered.
    silent: bool,
    /// The job ends: what is registered is kept alive until it is withdrawn, but nothing is registered any more.
    closed: bool,
}

/// What the catalog holds, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Absent,
    Present,
    /// A request has failed half-way, or the definition has changed since.
    Unsure,
}

/// Which request is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Whether the place is free.
    Look,
    /// Whether it is still ours alone.
    Confirm,
    Register,
    Heartbeat,
    Deregister,
}

impl Registration {
    pub(crate) fn new(service: Service) -> Registration {
        Registration {
            service,
            wanted: None,
            known: Known::Absent,
            claim: Claim::Unasked,
            confirm_at: None,
            beat_due: false,
            in_flight: None,
            retry: Retry::default(),
            forgotten: 0,
            complaint: None,
            home: None,
            twins: Twins::default(),
            last_beat: None,
            redefined: false,
            silent: false,
            closed: false,
        }
    }

    /// Another service in the place of `old`, with the status that was wanted for that.
    pub(crate) fn in_place_of(old: &Registration, service: Service) -> Registration {
        Registration { wanted: old.wanted, ..Registration::new(service) }
    }

    /// The service shall be registered with this status, and the catalog be told so again even if it knows.
    pub(crate) fn beat(&mut self, out: &mut Output, status: ServiceStatus) {
        self.wanted = Some(status);
        self.beat_due = true;
        self.advance(out);
    }

    /// Its job ends: the service shall not be registered anew.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// The service shall be kept by another job.
    pub(crate) fn reopen(&mut self) {
        self.closed = false;
    }

    /// The service went down: if it is registered, the catalog is told at once instead of when the TTL has passed.
    pub(crate) fn fail(&mut self, out: &mut Output) {
        if self.wanted.is_some() {
            self.beat(out, ServiceStatus::Critical);
        }
    }

    /// A health check failed. That sends nothing, the TTL expires by itself; but what could not be sent yet is not sent any more, and a catalog
    /// that has to be told anew is not told that the service is well.
    pub(crate) fn doubt(&mut self) {
        self.beat_due = false;
        self.wanted = self.wanted.map(|_| ServiceStatus::Critical);
    }

    /// The service shall not be registered any more. That is tried at once, whatever failed before: there may be no time to wait.
    pub(crate) fn withdraw(&mut self, out: &mut Output) {
        if self.wanted.take().is_some() {
            self.retry.at = None;
            self.twins.hurry();
        }
        self.beat_due = false;
        // An answer about the place is not waited for: there may be no time.
        self.in_flight = self.in_flight.filter(|(_, kind)| !matches!(kind, Kind::Look | Kind::Confirm));
        if self.claim.contested_by().is_some() {
            self.claim = Claim::Unasked;
        }
        self.advance(out);
    }

    /// The service's definition has changed.
    pub(crate) fn redefine(&mut self, out: &mut Output, service: Service) {
        if self.service != service {
            self.service = service;
            self.redefined = true;
            if self.known == Known::Present {
                self.known = Known::Unsure;
            }
            self.advance(out);
        }
    }

    /// The catalog has lost the service. One that was not healthy is left alone until it is: the catalog may have removed it for that.
    pub(crate) fn missing(&mut self, out: &mut Output) {
        // One that is being withdrawn is missed by nobody.
        if self.known != Known::Present || self.wanted.is_none() {
            return;
        }
        self.known = Known::Absent;
        out.notice(Notice::RegistrationLost { service: self.service.id.clone() });
        if self.wanted == Some(ServiceStatus::Critical) {
            self.wanted = None;
        }
        self.advance(out);
    }

    /// Another supervisor has registered the service in our place.
    pub(crate) fn taken(&mut self, out: &mut Output, by: &str) {
        // A registration that is under way takes it back, and who was last is told anew.
        let registering = self.in_flight.is_some_and(|(_, kind)| kind == Kind::Register);
        if self.known == Known::Absent || registering || self.wanted.is_none() {
            return;
        }
        self.known = Known::Absent;
        self.home = None;
        out.push(Effect::Unguard { service: self.service.id.clone() });
        if self.wanted == Some(ServiceStatus::Critical) {
            self.wanted = None;
        }
        self.contest(out, by);
    }

    /// Who else holds the place of the service, if that keeps it from being registered.
    pub(crate) fn contested_by(&self) -> Option<&str> {
        self.claim.contested_by()
    }

    /// Nothing is left to do that a stopping supervisor should wait for.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.wanted.is_none() && self.known == Known::Absent && self.in_flight.is_none() && !self.twins.are_asked()
    }

    /// Nothing is left to do at all.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_withdrawn() && self.twins.are_gone()
    }

    /// Whether the catalog is known to hold the service.
    pub(crate) fn is_registered(&self) -> bool {
        self.known == Known::Present
    }

    pub(crate) fn owns(&self, call: CallId) -> bool {
        self.in_flight.is_some_and(|(id, _)| id == call) || self.twins.own(call)
    }

    /// A request has its outcome; whatever that is, these agents may hold the service now.
    pub(crate) fn answered(&mut self, out: &mut Output, call: CallId, outcome: CallOutcome, may_hold: Vec<String>) {
        match self.in_flight {
            Some((id, kind)) if id == call => {
                self.in_flight = None;
                // If one of them has answered, it is the home, and no twin.
                for agent in may_hold {
                    self.twins.doubt(agent);
                }
                self.own_answered(out, kind, outcome);
            }
            _ => self.twin_answered(out, call, outcome),
        }
        self.advance(out);
    }

    fn twin_answered(&mut self, out: &mut Output, call: CallId, outcome: CallOutcome) {
        let at_home = self.twins.answered(out, &self.service, self.home.as_deref(), call, outcome);
        if at_home && self.known == Known::Present {
            self.known = Known::Unsure;
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let own = self.retry.at.filter(|_| self.in_flight.is_none() && self.next_kind().is_some());
        let confirm = self.confirm_at.filter(|_| self.in_flight.is_none() && self.is_to_confirm());
        let confirm = confirm.map(|at| self.retry.at.map_or(at, |retry| at.max(retry)));
        let twins = self.twins.deadline().filter(|_| self.is_settled());
        own.into_iter().chain(confirm).chain(twins).min()
    }

    pub(crate) fn time_passed(&mut self, out: &mut Output) {
        self.advance(out);
    }

    /// Sends the next request, unless one is under way or its time has not come.
    fn advance(&mut self, out: &mut Output) {
        if self.is_settled() {
            self.twins.advance(out, &self.service);
        }
        if self.in_flight.is_some() || self.retry.is_waiting(out.now) {
            return;
        }
        let confirm =
            || (self.is_to_confirm() && self.confirm_at.is_some_and(|at| at <= out.now)).then_some(Kind::Confirm);
        let Some(kind) = self.next_kind().or_else(confirm) else { return };
        let status = self.wanted.unwrap_or(ServiceStatus::Critical);
        let call = out.call(match kind {
            Kind::Look | Kind::Confirm => {
                Request::Look { service: self.service.id.clone(), name: self.service.name.clone() }
            }
            Kind::Register => Request::Register { service: self.service.clone(), status },
            Kind::Heartbeat => Request::Heartbeat { service: self.service.id.clone(), status },
            Kind::Deregister => Request::Deregister { service: self.service.id.clone() },
        });
        match kind {
            Kind::Register => self.redefined = false,
            Kind::Heartbeat => self.beat_due = false,
            Kind::Confirm => self.confirm_at = None,
            Kind::Look | Kind::Deregister => {}
        }
        self.in_flight = Some((call, kind));
    }

    /// Which request closes the gap between what is wanted and what is known.
    fn next_kind(&self) -> Option<Kind> {
        match (self.wanted, self.known) {
            // Somebody comes before us: what we have registered goes.
            (Some(_), Known::Present | Known::Unsure) if self.contested_by().is_some() => Some(Kind::Deregister),
            (Some(_), Known::Absent | Known::Unsure) if self.closed => None,
            (Some(_), Known::Absent | Known::Unsure) if self.claim == Claim::Ours => Some(Kind::Register),
            (Some(_), Known::Absent | Known::Unsure) => Some(Kind::Look),
            (Some(_), Known::Present) => self.beat_due.then_some(Kind::Heartbeat),
            (None, Known::Present | Known::Unsure) => Some(Kind::Deregister),
            (None, Known::Absent) => None,
        }
    }

    /// No agent is about to become the home: what others hold can be removed without harm to it.
    fn is_settled(&self) -> bool {
        self.wanted.is_none() || self.known == Known::Present || self.contested_by().is_some()
    }

    /// The registration is in force, and nothing about it is under way.
    fn is_to_confirm(&self) -> bool {
        self.wanted.is_some() && self.known == Known::Present && !self.beat_due && self.claim == Claim::Ours
    }

    fn own_answered(&mut self, out: &mut Output, kind: Kind, outcome: CallOutcome) {
        // Who did not answer is not known: not always the home was asked. So what is followed anywhere is asked again, once now, and once when
        // there are answers again, which takes it away from whoever failed meanwhile.
        let silent = matches!(outcome, CallOutcome::Unreachable { .. });
        if core::mem::replace(&mut self.silent, silent) != silent {
            out.suspects.push(None);
        }
        match kind {
            Kind::Look => self.looked(out, outcome),
            Kind::Confirm => self.confirmed(out, outcome),
            Kind::Register | Kind::Heartbeat | Kind::Deregister => self.changed(out, kind, outcome),
        }
    }

    fn looked(&mut self, out: &mut Output, outcome: CallOutcome) {
        match outcome {
            CallOutcome::Seen { others, .. } => match claim::holder(&others) {
                Some(other) => self.contest(out, &other.owner),
                None => self.claim = Claim::Ours,
            },
            // Nobody is there who could be asked, or we may not ask: the registration itself will tell.
            CallOutcome::Done { .. } | CallOutcome::Unknown | CallOutcome::Refused { .. } => self.claim = Claim::Ours,
            CallOutcome::Unreachable { refused, reason } => self.unreachable(out, refused, reason),
        }
    }

    fn confirmed(&mut self, out: &mut Output, outcome: CallOutcome) {
        match outcome {
            CallOutcome::Seen { ours, others } => self.compare(out, ours, &others),
            CallOutcome::Done { .. } | CallOutcome::Unknown | CallOutcome::Refused { .. } => {}
            // Heartbeats tell that the catalog is away.
            CallOutcome::Unreachable { .. } => self.confirm_at = Some(out.now.after(CONFIRM_AFTER)),
        }
    }

    /// Whether a registration of ours may stay beside those of others.
    fn compare(&mut self, out: &mut Output, ours: bool, others: &[Other]) {
        let Some(holder) = claim::holder(others) else { return };
        if !ours {
            self.taken(out, &holder.owner);
        } else if let Some(senior) = claim::senior(others) {
            self.contest(out, &senior.owner);
            self.retry.at = None;
        } else {
            // They have to leave, and are looked at until they have.
            self.confirm_at = Some(out.now.after(CONFIRM_AFTER));
        }
    }

    fn contest(&mut self, out: &mut Output, by: &str) {
        self.claim.contest(out, &self.service.id, self.service.ttl, by);
        self.confirm_at = None;
        self.retry.at = Some(out.now.after(LOOK_AGAIN));
    }

    fn changed(&mut self, out: &mut Output, kind: Kind, outcome: CallOutcome) {
        if kind == Kind::Heartbeat && self.contested_by().is_some() {
            // It was for a registration that is not ours any more.
            return;
        }
        match outcome {
            CallOutcome::Done { address } => self.done(out, kind, address),
            CallOutcome::Unknown => self.unknown(out, kind),
            CallOutcome::Unreachable { refused, reason } => {
                if kind != Kind::Heartbeat {
                    self.known = Known::Unsure;
                }
                self.beat_due |= kind == Kind::Heartbeat && self.wanted.is_some();
                self.unreachable(out, refused, reason);
            }
            CallOutcome::Seen { .. } => self.failed(out, RETRY_MAX, "an answer that nobody asked for".to_string()),
            CallOutcome::Refused { reason } => {
                if kind == Kind::Register && self.known == Known::Absent {
                    // Whoever was refused as he looked looks once more when he is admitted.
                    self.claim = Claim::Unasked;
                }
                self.beat_due |= kind == Kind::Heartbeat && self.wanted.is_some();
                self.failed(out, RETRY_MAX, reason);
            }
        }
    }

    fn unreachable(&mut self, out: &mut Output, refused: bool, reason: String) {
        self.failed(out, if refused { RETRY_MAX_REFUSED } else { RETRY_MAX }, reason);
    }

    fn done(&mut self, out: &mut Output, kind: Kind, address: String) {
        match kind {
            Kind::Look | Kind::Confirm => {}
            Kind::Deregister => {
                self.retry = Retry::default();
                if let Some(home) = self.home.take().filter(|home| *home != address) {
                    self.twins.leave(home);
                }
                self.gone(out);
            }
            Kind::Register => {
                self.complaint = None;
                out.notice(Notice::Registered { service: self.service.id.clone(), address: address.clone() });
                self.known = if self.redefined { Known::Unsure } else { Known::Present };
                // An agent that knew the check already keeps its old status: the status is sent once more.
                self.beat_due = true;
                self.confirm_at = Some(out.now.after(CONFIRM_AFTER));
                self.settle_home(out, address);
            }
            Kind::Heartbeat => {
                self.retry = Retry::default();
                self.forgotten = 0;
                self.last_beat = Some(out.now);
                if self.complaint.take().is_some() {
                    out.notice(Notice::Registered { service: self.service.id.clone(), address: address.clone() });
                }
                if self.home.as_ref() != Some(&address) {
                    self.settle_home(out, address);
                }
            }
        }
    }

    /// The agent that answered is the registration's home now; what another one holds is a stale twin.
    fn settle_home(&mut self, out: &mut Output, address: String) {
        self.twins.settle(&address);
        if let Some(old) = self.home.replace(address.clone()).filter(|old| *old != address) {
            // Another agent is asked only when this one could not be.
            out.suspects.push(Some(old.clone()));
            self.twins.leave(old);
        }
        out.push(Effect::Guard { service: self.service.id.clone() });
    }

    fn unknown(&mut self, out: &mut Output, kind: Kind) {
        if kind == Kind::Deregister {
            return self.gone(out);
        }
        if kind == Kind::Heartbeat {
            out.notice(Notice::RegistrationLost { service: self.service.id.clone() });
        }
        self.known = Known::Absent;
        // The first time the service is registered at once, also when the catalog was away before; one that forgets it again and again is
        // not hammered.
        self.forgotten = self.forgotten.saturating_add(1);
        self.retry.failures = self.forgotten;
        self.retry.at = (self.forgotten > 1).then(|| self.retry.next(out, RETRY_MAX));
    }

    fn gone(&mut self, out: &mut Output) {
        self.complaint = None;
        self.known = Known::Absent;
        self.home = None;
        if self.claim == Claim::Ours {
            self.claim = Claim::Unasked;
        }
        out.push(Effect::Unguard { service: self.service.id.clone() });
        out.notice(Notice::Deregistered { service: self.service.id.clone() });
    }

    fn failed(&mut self, out: &mut Output, max: Duration, reason: String) {
        self.retry.failures = self.retry.failures.saturating_add(1);
        self.retry.at = Some(self.retry.next(out, max));
        if self.complaint.as_ref() != Some(&reason) {
            self.complaint = Some(reason.clone());
            out.notice(Notice::CatalogFailed { service: self.service.id.clone(), reason });
        }
    }
}
