//! Carries out what the state machine asks of the catalog. It chooses nothing: outcomes go back as events.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pilotfish_config::{CatalogAddress, CatalogSettings, Scheme as ConfigScheme};
use pilotfish_consul::{
    Address, Backoff, CheckStatus, Client, Config, Endpoint, Error, Fault, Read, Scheme, Secret, ServiceRegistration,
    TlsConfig, TtlCheck,
};
use pilotfish_supervisor::{CallId, CallOutcome, Event, Request, Service, ServiceStatus, Watch};
use tokio::{sync::Semaphore, task::AbortHandle};

use super::{
    inbox::{Message, Sender},
    jitter,
    panics::caught,
    watching::{self, Told, Watching},
};

/// Deadline of a request to the catalog: short, so that another server gets its chance before a TTL has passed.
const CALL_LIMIT: Duration = Duration::from_secs(2);

/// How long the agent holds a query that looks out for the disappearance of a service.
const GUARD_WAIT: Duration = Duration::from_secs(300);

/// Services that are looked out for at one time; the loss of another one is found by its next heartbeat. Each guard holds a connection, and an
/// agent takes 200 from one address (Consul documentation, agent configuration, `http_max_conns_per_client`), which all the supervisors of a
/// host may share.
const GUARDS: usize = 16;

/// Requests that are under way at one time, for the same reason; further ones wait.
const CALLS: usize = 32;

/// Which agents have answered, by the name that the state machine knows them by; and which holds which service.
#[derive(Debug, Default)]
struct Agents {
    by_address: HashMap<String, Endpoint>,
    by_service: HashMap<String, Endpoint>,
    /// How often the settings have changed: what was asked under earlier ones says nothing of where a service is now.
    settings: u32,
}

type Homes = Arc<Mutex<Agents>>;

fn lock(homes: &Homes) -> MutexGuard<'_, Agents> {
    homes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The catalog of one config, with everything that is under way there.
pub(crate) struct Catalog {
    client: Option<Client>,
    inbox: Sender,
    homes: Homes,
    /// The services that are registered. Without a catalog nobody looks out for them, nor for those beyond [`GUARDS`].
    guards: BTreeMap<String, Option<AbortHandle>>,
    calls: Arc<Semaphore>,
    watches: BTreeMap<String, Following>,
    next_term: u64,
}

/// A watch that is followed; without a catalog by nobody.
struct Following {
    watch: Watch,
    term: u64,
    task: Option<AbortHandle>,
}

/// Who asks, for what is learnt from the answer.
#[derive(Clone)]
struct Asker {
    client: Client,
    homes: Homes,
    settings: u32,
}

impl Catalog {
    /// Speaks to the catalog that the settings name; without settings there is none.
    pub(crate) fn new(settings: Option<&CatalogSettings>, inbox: Sender) -> Result<Catalog, Error> {
        Ok(Catalog {
            client: settings.map(client).transpose()?,
            inbox,
            homes: Homes::default(),
            guards: BTreeMap::new(),
            calls: Arc::new(Semaphore::new(CALLS)),
            watches: BTreeMap::new(),
            next_term: 0,
        })
    }

    /// Speaks to the catalog of new settings from now on. Watches are asked there again; the services that are registered with agents
    /// which the settings do not name any more come back as missing, so that the state machine registers them anew.
    ///
    /// # Errors
    /// When the settings cannot be used; the old ones stay in force.
    pub(crate) fn change(&mut self, settings: Option<&CatalogSettings>) -> Result<Vec<Event>, Error> {
        let client = settings.map(client).transpose()?;
        let named = settings.map(addresses).transpose()?.unwrap_or_default();
        let left = std::mem::replace(&mut self.client, client);
        let abandoned: HashMap<String, Endpoint> = {
            let mut homes = lock(&self.homes);
            homes.settings += 1;
            let (kept, left) =
                std::mem::take(&mut homes.by_service).into_iter().partition(|(_, home)| named.contains(home.address()));
            homes.by_service = kept;
            left
        };
        if let (Some(left), None) = (left, &self.client) {
            self.take_leave(&left, abandoned);
        }
        let missing = self.guard_again();
        for name in self.watches.keys().cloned().collect::<Vec<_>>() {
            self.follow(&name);
        }
        Ok(missing)
    }

    /// Looks out for services where they still are, and says which are not.
    fn guard_again(&mut self) -> Vec<Event> {
        let mut missing = Vec::new();
        for (service, task) in std::mem::take(&mut self.guards) {
            task.inspect(AbortHandle::abort);
            if lock(&self.homes).by_service.contains_key(&service) {
                self.guard(service);
            } else {
                missing.push(Event::ServiceMissing { service });
            }
        }
        missing
    }

    /// Without a catalog nobody will ask for the removal of what the old one holds: it is tried once.
    fn take_leave(&self, left: &Client, abandoned: HashMap<String, Endpoint>) {
        for (service, home) in abandoned {
            let left = left.pinned(&home);
            tokio::spawn(async move {
                // If it fails, the TTL tells that the service is gone.
                let _ = left.agent_deregister(&service).await;
            });
        }
    }

    /// Who is asked, if there is anybody.
    pub(crate) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Sends a request; its outcome becomes a message.
    pub(crate) fn call(&mut self, call: CallId, request: Request) {
        let (asker, inbox, calls) = (self.asker(), self.inbox.clone(), self.calls.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let _permit = calls.acquire().await;
            let begun = Instant::now();
            let outcome = match asker {
                Some(asker) => caught(carry_out(&asker, request)).await.map_or_else(
                    |panicked| CallOutcome::Refused { reason: panicked.to_string() },
                    |result| outcome(result, &asker.homes),
                ),
                // Nobody is there to be told.
                None => CallOutcome::Done { address: String::new() },
            };
            // The loop is gone only when the supervisor ends.
            let _ = inbox.send(Message::Answered { call, outcome, took: begun.elapsed() }).await;
        });
    }

    fn asker(&self) -> Option<Asker> {
        let client = self.client.clone()?;
        Some(Asker { client, homes: self.homes.clone(), settings: lock(&self.homes).settings })
    }

    /// Looks out for the disappearance of a service from its agent.
    pub(crate) fn guard(&mut self, service: String) {
        self.unguard(&service);
        let guarding = self.guards.values().flatten().count();
        let task = self.client.as_ref().filter(|_| guarding < GUARDS).map(|client| {
            let home = lock(&self.homes).by_service.get(&service).cloned();
            let client = home.map_or_else(|| client.clone(), |home| client.pinned(&home));
            tokio::spawn(guard(client, service.clone(), self.inbox.clone())).abort_handle()
        });
        self.guards.insert(service, task);
    }

    /// Looks out no longer.
    pub(crate) fn unguard(&mut self, service: &str) {
        self.guards.remove(service).flatten().inspect(AbortHandle::abort);
    }

    /// Begins to watch, or begins anew.
    pub(crate) fn watch(&mut self, watch: Watch) {
        let name = watch.name.clone();
        self.unwatch(&name);
        self.watches.insert(name.clone(), Following { watch, term: 0, task: None });
        self.follow(&name);
    }

    fn follow(&mut self, name: &str) {
        let Some(following) = self.watches.get_mut(name) else { return };
        following.task.take().inspect(AbortHandle::abort);
        self.next_term += 1;
        following.term = self.next_term;
        if let Some(client) = self.client.clone() {
            let told = Told { watch: name.to_owned(), term: following.term, inbox: self.inbox.clone() };
            let watching = Watching { client, watch: following.watch.clone(), told };
            following.task = Some(tokio::spawn(watching::follow(watching)).abort_handle());
        }
    }

    /// Whether the state machine still wants to hear of what this asking of a watch found.
    pub(crate) fn follows(&self, watch: &str, term: u64) -> bool {
        self.watches.get(watch).is_some_and(|following| following.term == term)
    }

    /// Watches no longer.
    pub(crate) fn unwatch(&mut self, watch: &str) {
        self.watches.remove(watch).and_then(|following| following.task).inspect(AbortHandle::abort);
    }
}

fn addresses(settings: &CatalogSettings) -> Result<Vec<Address>, Error> {
    let parse = |address: &CatalogAddress| {
        let scheme = match address.scheme {
            ConfigScheme::Http => "http",
            ConfigScheme::Https => "https",
            ConfigScheme::Unix => "unix",
        };
        Address::parse(&format!("{scheme}://{}", address.authority), Scheme::Http)
    };
    settings.addresses.iter().map(parse).collect()
}

fn client(settings: &CatalogSettings) -> Result<Client, Error> {
    Client::new(Config {
        addresses: addresses(settings)?,
        token: settings.token.as_ref().map(|token| Secret::new(token.reveal())),
        token_file: settings.token_file.as_ref().map(Into::into),
        credentials: settings.credentials.as_ref().map(|credentials| Secret::new(credentials.reveal())),
        datacenter: settings.datacenter.clone(),
        tls: TlsConfig {
            ca_file: settings.tls.ca_file.as_ref().map(Into::into),
            ca_path: settings.tls.ca_path.as_ref().map(Into::into),
            client_certificate: settings.tls.client_cert.as_ref().map(Into::into),
            client_key: settings.tls.client_key.as_ref().map(Into::into),
            server_name: settings.tls.server_name.clone(),
            verify: settings.tls.verify,
        },
        deadline: CALL_LIMIT,
    })
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

async fn carry_out(asker: &Asker, request: Request) -> Result<Endpoint, Error> {
    let client = &asker.client;
    match request {
        Request::Register { service, status } => {
            let endpoint = client.agent_register(&registration(&service, status)).await?.endpoint;
            asker.holds(service.id, endpoint.clone());
            Ok(endpoint)
        }
        Request::Heartbeat { service, status } => heartbeat(asker, &service, check_status(status)).await,
        Request::Deregister { service } => {
            let home = asker.home_of(&service);
            let asked = home.as_ref().map_or_else(|| client.clone(), |home| client.pinned(home));
            asked.agent_deregister(&service).await?;
            lock(&asker.homes).by_service.remove(&service);
            asked.preferred().ok_or_else(|| Error::Config { text: "no consul server is known".into() })
        }
        Request::RemoveTwin { service, name, home } => {
            let home = lock(&asker.homes).by_address.get(&home).cloned();
            let Some(home) = home else { return Err(nothing_to_remove()) };
            remove_from_catalog(asker, &service, &name).await?;
            client.pinned(&home).agent_deregister(&service).await?;
            Ok(home)
        }
    }
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
fn nothing_to_remove() -> Error {
    Error::NotFound { address: String::new(), text: "no registration was made there".into() }
}

/// Removes what other nodes than that of our present agent are said to serve under our id, so that nobody is sent there while their agent
/// is away. The agent that is asked may be a third one.
async fn remove_from_catalog(asker: &Asker, service: &str, name: &str) -> Result<(), Error> {
    let client = &asker.client;
    let own = match asker.home_of(service) {
        Some(home) => Some(client.pinned(&home).agent_self().await?.value.node),
        None => None,
    };
    let instances = client.catalog_service(name, &Read::default()).await?.value;
    for twin in instances.iter().filter(|instance| instance.id == service && Some(&instance.node) != own.as_ref()) {
        client.catalog_deregister(&twin.node, Some(service)).await?;
    }
    Ok(())
}

fn outcome(result: Result<Endpoint, Error>, homes: &Homes) -> CallOutcome {
    match result {
        Ok(endpoint) => {
            let address = endpoint.to_string();
            lock(homes).by_address.entry(address.clone()).or_insert(endpoint);
            CallOutcome::Done { address }
        }
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
fn check_id(service: &str) -> String {
    format!("service:{service}")
}

fn registration(service: &Service, status: ServiceStatus) -> ServiceRegistration {
    ServiceRegistration {
        id: service.id.clone(),
        name: service.name.clone(),
        address: Some(service.address.clone()),
        port: service.port,
        tags: service.tags.clone(),
        meta: service.meta.iter().cloned().collect(),
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

/// Holds a query that the agent answers when the service changes or goes, and that breaks when the agent does.
async fn guard(client: Client, service: String, inbox: Sender) {
    let mut hash = String::new();
    let mut backoff = Backoff::new();
    loop {
        match client.agent_service_blocking(&service, &hash, GUARD_WAIT).await {
            Ok(answer) => {
                backoff.succeed();
                if answer.value.content_hash == hash || answer.value.content_hash.is_empty() {
                    // The wait has passed, or the agent is too old to hold the query: never ask in a tight loop.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                hash = answer.value.content_hash;
            }
            Err(Error::NotFound { .. }) => {
                let _ = inbox.send(Message::Event(Event::ServiceMissing { service })).await;
                return;
            }
            Err(error) => tokio::time::sleep(backoff.pause(error.fault(), jitter())).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use pilotfish_config::CatalogTls;
    use pilotfish_supervisor::WatchTarget;
    use tokio::sync::mpsc;

    use super::*;

    fn at(authority: &str) -> CatalogSettings {
        CatalogSettings {
            addresses: vec![CatalogAddress { scheme: ConfigScheme::Http, authority: authority.into() }],
            token: None,
            token_file: None,
            credentials: None,
            datacenter: None,
            tls: CatalogTls {
                ca_file: None,
                ca_path: None,
                client_cert: None,
                client_key: None,
                server_name: None,
                verify: true,
            },
        }
    }

    fn watch(name: &str) -> Watch {
        let target = WatchTarget::Key("k".into());
        Watch { name: name.into(), target, datacenter: None, interval: Duration::from_secs(1) }
    }

    #[test]
    fn other_settings_make_watches_begin_anew_and_services_be_missing() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (inbox, _receiver) = mpsc::channel(1);
            let mut catalog = Catalog::new(None, inbox).unwrap();
            catalog.watch(watch("db"));
            catalog.guard("app-host".into());
            assert!(catalog.follows("db", 1) && catalog.watches["db"].task.is_none());
            let missing = catalog.change(Some(&at("127.0.0.1:1"))).unwrap();
            assert_eq!(missing, [Event::ServiceMissing { service: "app-host".into() }]);
            assert!(catalog.follows("db", 2) && !catalog.follows("db", 1));
            assert!(catalog.watches["db"].task.is_some());
            assert!(catalog.change(None).unwrap().is_empty(), "nothing was registered since");
            assert!(catalog.follows("db", 3) && catalog.watches["db"].task.is_none());
            catalog.unwatch("db");
            assert!(!catalog.follows("db", 3));
        });
    }
}
