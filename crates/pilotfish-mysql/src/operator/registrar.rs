//! The registration in the catalog, kept by a task of its own: it says what is wanted as soon as that changes, and beats in between.

use std::time::Duration;

use pilotfish_autopilot::{MemberId, Policy, Role};
use pilotfish_consul::{CheckStatus, Client};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::catalog::{Health, Registration};
use crate::settings::Settings;
use crate::task::beside;

/// How long the end may take.
const END_LIMIT: Duration = Duration::from_secs(2);
/// For how long a former primary is registered as nothing: the catalog and clients are busy with the new one, and it follows nobody yet.
const BETWEEN_ROLES: Duration = Duration::from_millis(200);
/// The pause after a call that failed.
const RETRY: Duration = Duration::from_millis(200);

/// What the catalog should say of this member.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// The role under which it is registered; not at all if absent.
    pub(super) role: Option<Role>,
    /// Whether it can be used, or why not.
    pub(super) health: Health,
    /// The term, for the registration's metadata.
    pub(super) term: u64,
}

/// The task that registers.
pub(super) struct Registrar {
    wanted: watch::Sender<Wanted>,
    end: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl Registrar {
    pub(super) fn start(
        client: Client,
        settings: &Settings,
        me: MemberId,
        version: String,
        policy: &Policy,
    ) -> Registrar {
        let health = Err((CheckStatus::Critical, "the server was not looked at yet".into()));
        let initial = Wanted { role: None, health, term: 0 };
        let (wanted, changes) = watch::channel(initial);
        let (end, ending) = oneshot::channel();
        let registration = Registration::new(client, settings, me, version, policy.ttl, policy.request_limit);
        beside(keep(registration, changes, ending, policy.ttl / 3));
        Registrar { wanted, end: Some(end) }
    }

    /// Says what is wanted.
    pub(super) fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|current| {
            let differs = *current != wanted;
            *current = wanted;
            differs
        });
    }

    /// Takes the registration back.
    pub(super) async fn end(&mut self) {
        let (reply, ended) = oneshot::channel();
        if let Some(end) = self.end.take()
            && end.send(reply).is_ok()
        {
            let _ = timeout(END_LIMIT, ended).await;
        }
    }
}

async fn keep(
    mut registration: Registration,
    mut changes: watch::Receiver<Wanted>,
    mut ending: oneshot::Receiver<oneshot::Sender<()>>,
    every: Duration,
) {
    let mut next = Instant::now();
    let mut calm_until = next;
    loop {
        tokio::select! {
            end = &mut ending => {
                let _ = registration.remove().await;
                if let Ok(end) = end {
                    let _ = end.send(());
                }
                return;
            }
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep_until(next) => {}
        }
        let wanted = changes.borrow_and_update().clone();
        if wanted.role == Some(Role::Replica) {
            if registration.withdraw().await {
                calm_until = Instant::now() + BETWEEN_ROLES;
            }
            if Instant::now() < calm_until {
                next = calm_until;
                continue;
            }
        }
        let done = registration.set(wanted.role, &wanted.health, wanted.term).await;
        next = Instant::now() + if done.is_ok() { every } else { RETRY };
    }
}
