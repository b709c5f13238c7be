//! What other agents than a service's home may hold of it: stale registrations, which nobody keeps alive and nobody else would ever remove.
//!
//! An agent is left behind with one when another becomes the home. And an agent takes a registration before it tells the catalog: one that did
//! not answer in time may have taken it, or still take it when it goes on.

use alloc::{string::String, vec::Vec};

use crate::{
    claim::CONFIRM_AFTER,
    event::{CallId, CallOutcome, Notice, Request},
    output::Output,
    retry::{RETRY_MAX, Retry},
    spec::Service,
    time::Time,
};

/// Most stale registrations that are remembered for removal; more agents than this do not die in a row.
const TWINS_MAX: usize = 16;

/// The stale registrations of one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Twins(Vec<Twin>);

#[derive(Clone, Debug)]
struct Twin {
    home: String,
    /// A request that nobody answered may still arrive there: what is removed is looked for once more.
    doubtful: bool,
    in_flight: Option<CallId>,
    retry: Retry,
}

impl Twins {
    /// What this agent holds is to be removed.
    pub(crate) fn leave(&mut self, home: String) {
        self.remember(home, false);
    }

    /// The same, if it holds anything, now or soon.
    pub(crate) fn doubt(&mut self, home: String) {
        self.remember(home, true);
    }

    fn remember(&mut self, home: String, doubtful: bool) {
        if let Some(known) = self.0.iter_mut().find(|twin| twin.home == home) {
            known.doubtful |= doubtful;
        } else if self.0.len() < TWINS_MAX {
            self.0.push(Twin { home, doubtful, in_flight: None, retry: Retry::default() });
        }
    }

    /// This agent is the home now: what it holds is no twin.
    pub(crate) fn settle(&mut self, home: &str) {
        self.0.retain(|twin| twin.home != home || twin.in_flight.is_some());
    }

    /// There may be no time to wait.
    pub(crate) fn hurry(&mut self) {
        for twin in &mut self.0 {
            twin.retry.at = None;
        }
    }

    pub(crate) fn are_asked(&self) -> bool {
        self.0.iter().any(|twin| twin.in_flight.is_some())
    }

    pub(crate) fn are_gone(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn own(&self, call: CallId) -> bool {
        self.0.iter().any(|twin| twin.in_flight == Some(call))
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.iter().filter(|twin| twin.in_flight.is_none()).filter_map(|twin| twin.retry.at).min()
    }

    /// Asks for the removal of all whose time has come.
    pub(crate) fn advance(&mut self, out: &mut Output, service: &Service) {
        for twin in &mut self.0 {
            if twin.in_flight.is_none() && !twin.retry.is_waiting(out.now) {
                twin.in_flight = Some(out.call(Request::RemoveTwin {
                    service: service.id.clone(),
                    name: service.name.clone(),
                    home: twin.home.clone(),
                }));
            }
        }
    }

    /// Whether the removal was one at the present home: the service has come back to that agent while it was under way, and it may have hit
    /// what is wanted there.
    pub(crate) fn answered(
        &mut self,
        out: &mut Output,
        service: &Service,
        home: Option<&str>,
        call: CallId,
        outcome: CallOutcome,
    ) -> bool {
        let Some(index) = self.0.iter().position(|twin| twin.in_flight == Some(call)) else { return false };
        let twin = &mut self.0[index];
        if home == Some(twin.home.as_str()) {
            self.0.remove(index);
            return true;
        }
        twin.in_flight = None;
        match outcome {
            CallOutcome::Done { .. } | CallOutcome::Unknown if twin.doubtful => {
                twin.doubtful = false;
                twin.retry = Retry { failures: 0, at: Some(out.now.after(CONFIRM_AFTER)) };
            }
            CallOutcome::Done { .. } | CallOutcome::Unknown => {
                let twin = self.0.remove(index);
                out.notice(Notice::TwinRemoved { service: service.id.clone(), home: twin.home });
            }
            CallOutcome::Unreachable { .. } | CallOutcome::Refused { .. } | CallOutcome::Seen { .. } => {
                twin.retry.failures = twin.retry.failures.saturating_add(1);
                twin.retry.at = Some(twin.retry.next(out, RETRY_MAX));
            }
        }
        false
    }
}
