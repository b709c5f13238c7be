//! This member in the catalog: as a replica or as the primary, each under an id of its own.
//!
//! One id whose service gets another name would be one call less. But Consul (1.8.7) does not wake who waits for a change of the old name, and
//! answers later with what was before: a primary that is none would stay one for all who watch. So the new one is registered and the old one
//! removed; a new primary is there at once and a replica as well for a moment, a former primary is first removed.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use pilotfish_autopilot::{MemberId, Role};
use pilotfish_consul::{CheckStatus, Client, Endpoint, ServiceRegistration, TtlCheck};

use tokio::task::JoinHandle;

use crate::error::Error;
use crate::settings::Settings;

/// After how long an instance that nobody keeps alive is removed: Consul's least.
const REMOVED_AFTER: Duration = Duration::from_secs(60);
/// The shortest time between heartbeats that a service may need.
const SHORTEST_TTL: Duration = Duration::from_secs(2);

/// Whether a member can be used for what its role promises, or in which state it is and why.
pub(crate) type Health = Result<String, (CheckStatus, String)>;

/// The registration of one member.
pub(crate) struct Registration {
    client: Client,
    service: String,
    member: u32,
    address: String,
    port: u16,
    version: String,
    ttl: Duration,
    /// What the catalog was told last, and by which agent it knows it.
    told: Option<(Role, u64, Endpoint)>,
    /// Agents that were asked before and may still hold our twin: one that returns with its data tells the catalog of it again.
    former: Vec<Endpoint>,
    /// Removes the twin from one of them, so that nobody waits for an agent that does not answer.
    removing: Option<(Endpoint, JoinHandle<bool>)>,
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
            member: me.0,
            address: settings.address.clone(),
            port: settings.port,
            version,
            ttl: ttl.max(SHORTEST_TTL),
            told: None,
            former: Vec::new(),
            removing: None,
        }
    }

    /// It leads no more: nobody is to be sent to a primary that is none. False if that is not what the catalog was told last, or if it fails:
    /// then the next registration does it.
    pub(crate) async fn withdraw(&mut self) -> bool {
        let Some((_, _, endpoint)) = self.told.take_if(|(role, ..)| *role == Role::Primary) else { return false };
        let done = deregister(&self.client.pinned(&endpoint), &self.id(Role::Primary)).await;
        self.former.push(endpoint);
        done.is_ok()
    }

    /// Makes the catalog say this; called again in time, it keeps the registration alive.
    pub(crate) async fn set(&mut self, role: Option<Role>, health: &Health, term: u64) -> Result<(), Error> {
        let Some(role) = role else { return Ok(()) };
        let (status, output) = match health {
            Ok(text) => (CheckStatus::Passing, text),
            Err((status, text)) => (*status, text),
        };
        let id = self.id(role);
        if let Some((told, of, endpoint)) = &self.told
            && *told == role
            && *of == term
        {
            let beat = self.client.pinned(endpoint).check_update(&check_id(&id), status, output).await;
            if beat.is_ok() {
                self.remove_twin().await;
                return Ok(());
            }
            // The agent was restarted and does not know us, or it is another's turn.
        }
        self.former.extend(self.told.take().map(|(_, _, endpoint)| endpoint));
        let mut asked = Vec::new();
        let outcome = self.client.agent_register(&self.registration(role, term, status), &mut asked).await;
        // Whoever did not answer may have taken it.
        asked.retain(|endpoint| !self.former.contains(endpoint));
        self.former.append(&mut asked);
        let home = outcome?.endpoint;
        if let Some((former, removing)) = self.removing.take() {
            removing.abort();
            self.former.push(former);
        }
        self.former.retain(|former| *former != home);
        // Until all is done, it is a place that something may be left at.
        self.former.push(home.clone());
        let agent = self.client.pinned(&home);
        agent.check_update(&check_id(&id), status, output).await?;
        deregister(&agent, &self.id(other(role))).await?;
        self.former.pop();
        self.told = Some((role, term, home));
        Ok(())
    }

    /// Takes it back, also from agents that were asked before.
    pub(crate) async fn remove(&mut self) -> Result<(), Error> {
        let told = self.told.take().map(|(_, _, endpoint)| endpoint);
        let removing = self.removing.take().map(|(endpoint, _)| endpoint);
        let places: Vec<Endpoint> = told.into_iter().chain(removing).chain(self.former.drain(..)).collect();
        let mut outcome = Ok(());
        for endpoint in places {
            outcome = outcome.and(remove_both(&self.client.pinned(&endpoint), &self.ids()).await);
        }
        Ok(outcome?)
    }

    /// Goes on with the removal of twins, one at a time.
    async fn remove_twin(&mut self) {
        if let Some((endpoint, removing)) = self.removing.take_if(|(_, removing)| removing.is_finished())
            && !removing.await.unwrap_or(false)
        {
            self.former.push(endpoint);
        }
        if self.removing.is_none()
            && !self.former.is_empty()
            && let Some((_, _, home)) = &self.told
        {
            let former = self.former.remove(0);
            let task = remove_from(self.client.pinned(&former), self.client.pinned(home), self.ids());
            self.removing = Some((former, tokio::spawn(task)));
        }
    }

    fn id(&self, role: Role) -> String {
        format!("{}-{}", self.name(role), self.member)
    }

    fn ids(&self) -> [String; 2] {
        [Role::Primary, Role::Replica].map(|role| self.id(role))
    }

    fn name(&self, role: Role) -> String {
        match role {
            Role::Primary => format!("{}-primary", self.service),
            Role::Replica => self.service.clone(),
        }
    }

    fn registration(&self, role: Role, term: u64, status: CheckStatus) -> ServiceRegistration {
        let (id, name) = (self.id(role), self.name(role));
        let role = match role {
            Role::Primary => "primary",
            Role::Replica => "replica",
        };
        let mut meta = BTreeMap::new();
        meta.insert("role".to_owned(), role.to_owned());
        meta.insert("term".to_owned(), term.to_string());
        meta.insert("version".to_owned(), self.version.clone());
        let check = TtlCheck {
            id: Some(check_id(&id)),
            name: Some(format!("{id} as {role}")),
            notes: None,
            ttl: self.ttl,
            deregister_after: Some(REMOVED_AFTER),
            initial: status,
        };
        ServiceRegistration {
            id,
            name,
            address: Some(self.address.clone()),
            port: self.port,
            tags: vec![role.into()],
            meta,
            tagged_addresses: BTreeMap::new(),
            enable_tag_override: false,
            check: Some(check),
        }
    }
}

/// Removes a service from an agent, unless it is our present one by another address; false if that agent could not be asked.
async fn remove_from(former: Client, home: Client, ids: [String; 2]) -> bool {
    let (Ok(there), Ok(here)) = (former.agent_self().await, home.agent_self().await) else { return false };
    there.value.node_id == here.value.node_id || remove_both(&former, &ids).await.is_ok()
}

async fn remove_both(agent: &Client, [first, second]: &[String; 2]) -> Result<(), pilotfish_consul::Error> {
    deregister(agent, first).await?;
    deregister(agent, second).await
}

/// In a box: it is called at several places, and each would have a copy of it.
fn deregister<'a>(
    agent: &'a Client,
    id: &'a str,
) -> Pin<Box<dyn Future<Output = Result<(), pilotfish_consul::Error>> + Send + 'a>> {
    Box::pin(agent.agent_deregister(id))
}

fn other(role: Role) -> Role {
    match role {
        Role::Primary => Role::Replica,
        Role::Replica => Role::Primary,
    }
}

fn check_id(service: &str) -> String {
    format!("service:{service}")
}
