//! This member in the catalog: as a replica or as the primary, under one id, so that a change of role is one call that replaces the other.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_autopilot::{MemberId, Role};
use pilotfish_consul::{CheckStatus, Client, Endpoint, ServiceRegistration, TtlCheck};

use crate::error::Error;
use crate::settings::Settings;

/// After how long an instance that nobody keeps alive is removed: Consul's least.
const REMOVED_AFTER: Duration = Duration::from_secs(60);
/// The shortest time between heartbeats that a service may need.
const SHORTEST_TTL: Duration = Duration::from_secs(2);

/// The registration of one member.
pub(crate) struct Registration {
    client: Client,
    service: String,
    id: String,
    address: String,
    port: u16,
    version: String,
    ttl: Duration,
    /// What the catalog was told last, and by which agent it knows it.
    told: Option<(Role, u64, Endpoint)>,
}

impl Registration {
    pub(crate) fn new(
        client: Client,
        settings: &Settings,
        me: MemberId,
        version: String,
        ttl: Duration,
        limit: Duration,
    ) -> Registration {
        Registration {
            client: client.with_deadline(limit),
            service: settings.service.clone(),
            id: format!("{}-{}", settings.service, me.0),
            address: settings.address.clone(),
            port: settings.port,
            version,
            ttl: ttl.max(SHORTEST_TTL),
            told: None,
        }
    }

    /// Makes the catalog say this; called again in time, it keeps the registration alive.
    pub(crate) async fn set(
        &mut self,
        role: Option<Role>,
        health: &Result<String, String>,
        term: u64,
    ) -> Result<(), Error> {
        let Some(role) = role else { return Ok(()) };
        let (status, output) = match health {
            Ok(text) => (CheckStatus::Passing, text),
            Err(text) => (CheckStatus::Critical, text),
        };
        if let Some((told, of, endpoint)) = &self.told
            && *told == role
            && *of == term
        {
            let beat = self.client.pinned(endpoint).check_update(&self.check_id(), status, output).await;
            match beat {
                Ok(_) => return Ok(()),
                // The agent was restarted and does not know us, or it is another's turn.
                Err(_) => self.told = None,
            }
        }
        let answer = self.client.agent_register(&self.registration(role, term, status)).await?;
        let former = self.told.replace((role, term, answer.endpoint.clone()));
        if let Some((_, _, endpoint)) = former.filter(|(_, _, endpoint)| *endpoint != answer.endpoint) {
            // Its own twin, left with the agent that was asked before.
            let _ = self.client.pinned(&endpoint).agent_deregister(&self.id).await;
        }
        self.client.pinned(&answer.endpoint).check_update(&self.check_id(), status, output).await?;
        Ok(())
    }

    /// Takes it back.
    pub(crate) async fn remove(&mut self) -> Result<(), Error> {
        if let Some((_, _, endpoint)) = self.told.take() {
            self.client.pinned(&endpoint).agent_deregister(&self.id).await?;
        }
        Ok(())
    }

    fn check_id(&self) -> String {
        format!("service:{}", self.id)
    }

    fn registration(&self, role: Role, term: u64, status: CheckStatus) -> ServiceRegistration {
        let (name, role) = match role {
            Role::Primary => (format!("{}-primary", self.service), "primary"),
            Role::Replica => (self.service.clone(), "replica"),
        };
        let meta = [("role", role.to_owned()), ("term", term.to_string()), ("version", self.version.clone())];
        ServiceRegistration {
            id: self.id.clone(),
            name,
            address: Some(self.address.clone()),
            port: self.port,
            tags: vec![role.into()],
            meta: meta.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>(),
            tagged_addresses: BTreeMap::new(),
            enable_tag_override: false,
            check: Some(TtlCheck {
                id: Some(self.check_id()),
                name: Some(format!("{} as {role}", self.id)),
                notes: None,
                ttl: self.ttl,
                deregister_after: Some(REMOVED_AFTER),
                initial: status,
            }),
        }
    }
}
