//! Carries out what the state machine asks of the catalog. It chooses nothing: outcomes go back as events.

mod guard;
mod requests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pilotfish_config::{CatalogAddress, CatalogSettings, Scheme as ConfigScheme};
use pilotfish_consul::{Address, Client, Config, Endpoint, Error, Scheme, Secret, TlsConfig};
use pilotfish_supervisor::{CallId, CallOutcome, Event, Request, Watch};
use tokio::{
    sync::{Notify, Semaphore},
    task::AbortHandle,
};

use self::{
    guard::guard,
    requests::{Asker, carry_out, outcome},
};
use super::{
    inbox::{Message, Sender},
    owner::Owner,
    panics::caught,
    watching::{self, Told, Watching},
};

pub(super) use requests::check_id;

/// Deadline of a request to the catalog: short, so that another server gets its chance before a TTL has passed.
const CALL_LIMIT: Duration = Duration::from_secs(2);

/// Services that are looked out for at one time; the loss of another one is found by its next heartbeat. Each guard holds a connection, and an
/// agent takes 200 from one address (Consul documentation, agent configuration, `http_max_conns_per_client`), which all the supervisors of a
/// host may share.
const GUARDS: usize = 16;

/// Requests that are under way at one time, for the same reason; further ones wait.
const CALLS: usize = 32;

/// Which agents have answered, by the name that the state machine knows them by; and which holds which service.
#[derive(Debug, Default)]
pub(super) struct Agents {
    by_address: HashMap<String, Endpoint>,
    by_service: HashMap<String, Endpoint>,
    /// How often the settings have changed: what was asked under earlier ones says nothing of where a service is now.
    settings: u32,
}

/// What is shared by all who ask.
pub(super) type Homes = Arc<Mutex<Agents>>;

/// Remembers an agent that has answered; the name by which the state machine knows it.
pub(super) fn known(homes: &Homes, endpoint: Endpoint) -> String {
    let address = endpoint.to_string();
    lock(homes).by_address.entry(address.clone()).or_insert(endpoint);
    address
}

fn lock(homes: &Homes) -> MutexGuard<'_, Agents> {
    homes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The catalog of one config, with everything that is under way there.
pub(crate) struct Catalog {
    client: Option<Client>,
    owner: Arc<Owner>,
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
    again: Arc<Notify>,
}

impl Catalog {
    /// Speaks to the catalog that the settings name; without settings there is none.
    pub(crate) fn new(settings: Option<&CatalogSettings>, inbox: Sender) -> Result<Catalog, Error> {
        Ok(Catalog {
            client: settings.map(client).transpose()?,
            owner: Arc::new(Owner::new()),
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

    /// Where agents are remembered that have answered.
    pub(super) fn homes(&self) -> &Homes {
        &self.homes
    }

    /// Sends a request; its outcome becomes a message.
    // Not inlined for the reason given in `shell.rs`.
    #[inline(never)]
    pub(crate) fn call(&mut self, call: CallId, request: Request) {
        let (asker, inbox, calls) = (self.asker(), self.inbox.clone(), self.calls.clone());
        // Boxed, like the others: the runtime moves a future several times on its way to the heap, ten kilobytes each, and every move has a place
        // of its own on the stack.
        tokio::spawn(Box::pin(async move {
            // The semaphore is never closed.
            let _permit = calls.acquire().await;
            let begun = Instant::now();
            let mut may_hold = Vec::new();
            let outcome = match asker {
                Some(asker) => {
                    let mut asked = Vec::new();
                    let result = caught(carry_out(&asker, request, &mut asked)).await;
                    may_hold.extend(asked.into_iter().map(|endpoint| known(&asker.homes, endpoint)));
                    result.map_or_else(
                        |panicked| CallOutcome::Refused { reason: panicked.to_string() },
                        |result| outcome(result, &asker.homes),
                    )
                }
                // Nobody is there to be told.
                None => CallOutcome::Done { address: String::new() },
            };
            // The loop is gone only when the supervisor ends.
            let _ = inbox.send(Message::Answered { call, outcome, may_hold, took: begun.elapsed() }).await;
        }));
    }

    fn asker(&self) -> Option<Asker> {
        let client = self.client.clone()?;
        let settings = lock(&self.homes).settings;
        Some(Asker { client, owner: self.owner.clone(), homes: self.homes.clone(), settings })
    }

    /// Looks out for the disappearance of a service from its agent.
    #[inline(never)]
    pub(crate) fn guard(&mut self, service: String) {
        self.unguard(&service);
        let guarding = self.guards.values().flatten().count();
        let task = self.client.as_ref().filter(|_| guarding < GUARDS).map(|client| {
            let home = lock(&self.homes).by_service.get(&service).cloned();
            let client = home.map_or_else(|| client.clone(), |home| client.pinned(&home));
            tokio::spawn(Box::pin(guard(client, service.clone(), self.owner.clone(), self.inbox.clone())))
                .abort_handle()
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
        self.watches.insert(name.clone(), Following { watch, term: 0, task: None, again: Arc::default() });
        self.follow(&name);
    }

    #[inline(never)]
    fn follow(&mut self, name: &str) {
        let Some(following) = self.watches.get_mut(name) else { return };
        following.task.take().inspect(AbortHandle::abort);
        self.next_term += 1;
        following.term = self.next_term;
        if let Some(client) = self.client.clone() {
            let told = Told {
                watch: name.to_owned(),
                term: following.term,
                inbox: self.inbox.clone(),
                homes: self.homes.clone(),
            };
            // What was asked for before is asked now anyway.
            following.again = Arc::default();
            let watching = Watching { client, watch: following.watch.clone(), told, again: following.again.clone() };
            following.task = Some(tokio::spawn(Box::pin(watching::follow(watching))).abort_handle());
        }
    }

    /// Has a watch ask anew.
    pub(crate) fn ask_again(&mut self, watch: &str) {
        if let Some(following) = self.watches.get(watch) {
            following.again.notify_one();
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

/// A client with these settings.
pub(super) fn client(settings: &CatalogSettings) -> Result<Client, Error> {
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

#[cfg(test)]
mod tests;
