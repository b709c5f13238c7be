//! One request to the catalog, carried out.

use std::{collections::BTreeMap, sync::Arc};

use pilotfish_consul::{
    CatalogService, CheckStatus, Client, Endpoint, Error, Fault, Read, ServiceRegistration, TtlCheck,
};
use pilotfish_supervisor::{CallOutcome, Other, Request, Service, ServiceStatus};

use super::{Homes, known, lock};
use crate::supervise::{
    holders,
    owner::{self, Owner},
};

/// Most pairs of metadata that Consul takes (`structs.metaMaxKeyPairs`): a document that needs them all gets no owner beside them.
const META_PAIRS: usize = 64;

/// Who asks, for what is learnt from the answer.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) client: Client,
    pub(super) owner: Arc<Owner>,
    pub(super) homes: Homes,
    pub(super) settings: u32,
}

impl Asker {
    /// Remembers which agent holds a service, unless the settings have changed since it was asked.
    fn holds(&self, service: String, home: Endpoint) {
        let mut homes = lock(&self.homes);
        if homes.settings == self.settings {
            homes.by_service.insert(service, home);
        }
    }

    fn home_of(&self, service: &str) -> Option<Endpoint> {
        lock(&self.homes).by_service.get(service).cloned()
    }
}

/// What a request that the catalog took has led to.
pub(super) enum Taken {
    /// This agent did it.
    By(Endpoint),
    /// It told who has registered a service.
    Seen { ours: bool, others: Vec<Other> },
}

/// Carries it out; to `asked` are added the agents that may have taken a registration, whatever the outcome.
pub(super) async fn carry_out(asker: &Asker, request: Request, asked: &mut Vec<Endpoint>) -> Result<Taken, Error> {
    let client = &asker.client;
    let endpoint = match request {
        Request::Look { service, name } => {
            let (ours, others) = holders::look(client, &asker.owner, &service, &name).await?;
            return Ok(Taken::Seen { ours, others });
        }
        Request::Ping { home } => {
            let home = lock(&asker.homes).by_address.get(&home).cloned().ok_or_else(never_asked)?;
            client.pinned(&home).status_leader().await?.endpoint
        }
        Request::Register { service, status } => {
            let endpoint = client.agent_register(&registration(&service, status, &asker.owner), asked).await?.endpoint;
            asker.holds(service.id, endpoint.clone());
            endpoint
        }
        Request::Heartbeat { service, status } => heartbeat(asker, &service, check_status(status)).await?,
        Request::Deregister { service } => {
            let home = asker.home_of(&service);
            let asked = home.as_ref().map_or_else(|| client.clone(), |home| client.pinned(home));
            asked.agent_deregister(&service).await?;
            lock(&asker.homes).by_service.remove(&service);
            asked.preferred().ok_or_else(|| Error::Config { text: "no consul server is known".into() })?
        }
        Request::RemoveTwin { service, name, home } => {
            let home = lock(&asker.homes).by_address.get(&home).cloned().ok_or_else(never_asked)?;
            remove_twin(asker, &client.pinned(&home), &service, &name).await?;
            home
        }
    };
    Ok(Taken::By(endpoint))
}

/// A heartbeat is for the agent that holds the service; another does not know it. Only if that agent cannot be asked is another one,
/// whose answer that it knows nothing makes the service be registered there.
async fn heartbeat(asker: &Asker, service: &str, status: CheckStatus) -> Result<Endpoint, Error> {
    let check = check_id(service);
    if let Some(home) = asker.home_of(service) {
        match asker.client.pinned(&home).check_update(&check, status, "").await {
            Err(Error::Unreachable { .. } | Error::Lost { .. } | Error::Timeout { .. } | Error::Tls { .. }) => {}
            answered => return Ok(answered?.endpoint),
        }
    }
    let endpoint = asker.client.check_update(&check, status, "").await?.endpoint;
    asker.holds(service.to_owned(), endpoint.clone());
    Ok(endpoint)
}

/// An agent that never answered us holds nothing of ours.
fn never_asked() -> Error {
    Error::NotFound { address: String::new(), text: "no registration was made there".into() }
}

/// Removes what an agent holds that is not the service's present one by another address, and first what the catalog says that it does: nobody
/// shall be sent there while that agent is away. One of the two may be possible without the other.
async fn remove_twin(asker: &Asker, agent: &Client, service: &str, name: &str) -> Result<(), Error> {
    let own = match asker.home_of(service) {
        Some(home) => Some(asker.client.pinned(&home).agent_self().await?.value.node),
        None => None,
    };
    let removed = remove_from_catalog(asker, own.as_ref(), service, name).await;
    if own.is_none() || Some(agent.agent_self().await?.value.node) != own {
        remove_from_agent(asker, agent, service).await?;
    }
    removed
}

/// Removes what other nodes than our own are said to serve under our id. The agent that is asked may be a third one.
async fn remove_from_catalog(asker: &Asker, own: Option<&String>, service: &str, name: &str) -> Result<(), Error> {
    let client = &asker.client;
    let instances = client.catalog_service(name, &Read::default()).await?.value;
    let is_twin = |instance: &&CatalogService| {
        instance.id == service && Some(&instance.node) != own && asker.owner.other(&instance.meta).is_none()
    };
    for twin in instances.iter().filter(is_twin) {
        client.catalog_deregister(&twin.node, Some(service)).await?;
    }
    Ok(())
}

/// Removes what an agent holds, unless another supervisor has registered there since.
async fn remove_from_agent(asker: &Asker, agent: &Client, service: &str) -> Result<(), Error> {
    match agent.agent_service(service).await {
        Ok(found) if asker.owner.other(&found.value.meta).is_some() => Ok(()),
        Ok(_) => agent.agent_deregister(service).await,
        Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn outcome(result: Result<Taken, Error>, homes: &Homes) -> CallOutcome {
    match result {
        Ok(Taken::Seen { ours, others }) => CallOutcome::Seen { ours, others },
        Ok(Taken::By(endpoint)) => CallOutcome::Done { address: known(homes, endpoint) },
        Err(Error::NotFound { .. }) => CallOutcome::Unknown,
        Err(
            error @ (Error::Unreachable { .. }
            | Error::Tls { .. }
            | Error::Lost { .. }
            | Error::Timeout { .. }
            | Error::NoLeader { .. }
            | Error::Unavailable { .. }
            | Error::Garbled { .. }),
        ) => CallOutcome::Unreachable { refused: error.fault() == Fault::Refused, reason: error.to_string() },
        Err(error @ (Error::Config { .. } | Error::Denied { .. } | Error::Conflict { .. } | Error::Invalid { .. })) => {
            CallOutcome::Refused { reason: error.to_string() }
        }
    }
}

/// A TTL check that belongs to a service has this id (Consul docs, agent API, "Register Service").
pub(in crate::supervise) fn check_id(service: &str) -> String {
    format!("service:{service}")
}

fn registration(service: &Service, status: ServiceStatus, owner: &Owner) -> ServiceRegistration {
    let mut meta = BTreeMap::new();
    meta.extend(service.meta.iter().cloned());
    if meta.len() < META_PAIRS {
        meta.insert(owner::KEY.to_owned(), owner.text().to_owned());
    }
    ServiceRegistration {
        id: service.id.clone(),
        name: service.name.clone(),
        address: Some(service.address.clone()),
        port: service.port,
        tags: service.tags.clone(),
        meta,
        tagged_addresses: BTreeMap::new(),
        enable_tag_override: service.enable_tag_override,
        check: Some(TtlCheck {
            id: None,
            name: None,
            notes: Some(format!("TTL for {} set by pilotfish", service.name)),
            ttl: service.ttl,
            deregister_after: service.deregister_critical_after,
            initial: check_status(status),
        }),
    }
}

fn check_status(status: ServiceStatus) -> CheckStatus {
    match status {
        ServiceStatus::Passing => CheckStatus::Passing,
        ServiceStatus::Warning => CheckStatus::Warning,
        ServiceStatus::Critical => CheckStatus::Critical,
    }
}
