//! The client: one request function, through which every call of every API goes.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use tokio::time::{Instant, timeout, timeout_at};

use crate::call::{Call, Reply};
use crate::connection::{Connection, Failure};
use crate::elements::Sink;
use crate::endpoints::{Endpoint, Endpoints, expand, known_records, unresolved};
use crate::error::judge;
use crate::pool::Pool;
use crate::stream::Stream;
use crate::tls::Tls;
use crate::token::TokenSource;
use crate::{Address, Config, Error, Leader, Secret};

/// Longest time for one connection, TLS included, so that a dead host leaves time to ask the next one; half of the deadline if that is less.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Longest time for a name lookup while servers of an earlier lookup are still known; a quarter of the deadline if that is less.
const REFRESH_LIMIT: Duration = Duration::from_secs(1);

/// A client of one Consul cluster. Clones share connections, token and preferred server.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    pin: Option<Endpoint>,
    /// Ask for the agent's own datacenter, whatever is configured.
    local: bool,
    deadline: Duration,
}

struct Shared {
    addresses: Vec<Arc<Address>>,
    /// Whether an address has a name that needs a resolver.
    has_names: bool,
    datacenter: Option<String>,
    token: TokenSource,
    /// The value of the header `Authorization`.
    authorization: Option<HeaderValue>,
    tls: Tls,
    pool: Pool,
    endpoints: Mutex<Endpoints>,
}

impl Client {
    /// Makes a client. Nothing is opened, resolved or read before the first call.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no address.
    pub fn new(config: Config) -> Result<Client, Error> {
        if config.addresses.is_empty() {
            return Err(Error::Config { text: "no consul address is configured; set CONSUL_HTTP_ADDR".into() });
        }
        let needs_lookup = |address: &Address| match address {
            Address::Tcp { host, .. } => known_records(host).is_none(),
            Address::Unix(_) => false,
        };
        let has_names = config.addresses.iter().any(needs_lookup);
        let authorization = config.credentials.as_ref().map(|credentials| {
            let text = format!("Basic {}", crate::base64::encode(credentials.expose().as_bytes()));
            let mut value = HeaderValue::from_str(&text).expect("base64 is made of letters");
            value.set_sensitive(true);
            value
        });
        let shared = Shared {
            authorization,
            addresses: config.addresses.into_iter().map(Arc::new).collect(),
            has_names,
            datacenter: config.datacenter,
            token: TokenSource::new(config.token, config.token_file),
            tls: Tls::new(config.tls),
            pool: Pool::default(),
            endpoints: Mutex::default(),
        };
        Ok(Client { shared: Arc::new(shared), pin: None, local: false, deadline: config.deadline })
    }

    /// A client that speaks to this server only, without fail-over. To remove a registration from a server that has returned.
    pub fn pinned(&self, endpoint: &Endpoint) -> Client {
        Client { pin: Some(endpoint.clone()), ..self.clone() }
    }

    /// A client that asks for the agent's own datacenter, where its registrations are, also when another one is configured.
    pub fn local(&self) -> Client {
        Client { local: true, ..self.clone() }
    }

    /// A client whose calls have this much time, instead of the configured [`Config::deadline`]. For long answers that can wait.
    pub fn with_deadline(&self, deadline: Duration) -> Client {
        Client { deadline, ..self.clone() }
    }

    /// The server that the next call asks first; nothing before the first call.
    pub fn preferred(&self) -> Option<Endpoint> {
        self.pin.clone().or_else(|| self.endpoints().preferred().cloned())
    }

    pub(crate) fn datacenter(&self) -> Option<&str> {
        self.shared.datacenter.as_deref().filter(|_| !self.local)
    }

    /// Carries out one call within its deadline: on the preferred server, and on the others where that can do no harm.
    pub(crate) async fn call(&self, call: Call) -> Result<Reply, Error> {
        self.call_into(call, None).await
    }

    /// The same; the body goes into the sink if there is one and the status is 200, else into the reply.
    pub(crate) async fn call_into(&self, call: Call, sink: Option<&mut dyn Sink>) -> Result<Reply, Error> {
        self.call_telling(call, sink, &mut Vec::new()).await
    }

    /// The same; to `asked` is added who may have carried it out: who answered, who failed in a way that says nothing of that, and who was being
    /// asked when the deadline passed.
    pub(crate) async fn call_telling(
        &self,
        call: Call,
        sink: Option<&mut dyn Sink>,
        asked: &mut Vec<Endpoint>,
    ) -> Result<Reply, Error> {
        let after = self.deadline + call.hold;
        let outcome = timeout_at(Instant::now() + after, self.call_with_token(&call, sink, asked)).await;
        outcome.unwrap_or_else(|_| {
            let address = asked.last().map_or_else(|| "any address".to_owned(), Endpoint::to_string);
            if let Some(endpoint) = asked.last() {
                self.fault(endpoint);
            }
            let path = call.target.split('?').next().unwrap_or_default();
            Err(Error::Timeout { address, target: format!("{} {path}", call.method), after })
        })
    }

    /// A token that was refused is tried once more if the token file holds another one by now.
    async fn call_with_token(
        &self,
        call: &Call,
        mut sink: Option<&mut dyn Sink>,
        asked: &mut Vec<Endpoint>,
    ) -> Result<Reply, Error> {
        let token = self.shared.token.current()?;
        match self.ask_around(call, token.as_ref(), reborrow(&mut sink), asked).await {
            Err(Error::Denied { .. }) if self.shared.token.changed_since(token.as_ref()) => {
                let token = self.shared.token.current()?;
                self.ask_around(call, token.as_ref(), sink, asked).await
            }
            outcome => outcome,
        }
    }

    async fn ask_around(
        &self,
        call: &Call,
        token: Option<&Secret>,
        mut sink: Option<&mut dyn Sink>,
        asked: &mut Vec<Endpoint>,
    ) -> Result<Reply, Error> {
        if let Some(endpoint) = &self.pin {
            let outcome = self.ask(endpoint, call, token, sink, asked).await;
            if outcome.as_ref().is_err_and(Error::is_about_the_server) {
                self.fault(endpoint);
            }
            return outcome;
        }
        let (list, start) = self.servers().await?;
        let mut failures: Vec<(usize, Error)> = Vec::new();
        for offset in 0..list.len() {
            let position = (start + offset) % list.len();
            let endpoint = &list[position];
            match self.ask(endpoint, call, token, reborrow(&mut sink), asked).await {
                Ok(reply) => {
                    if !failures.is_empty() {
                        self.endpoints().answered(endpoint);
                    }
                    return Ok(reply);
                }
                Err(error) if error.is_about_the_server() => {
                    self.fault(endpoint);
                    if !call.idempotent && error.may_have_been_done() {
                        return Err(error);
                    }
                    failures.push((position, error));
                }
                Err(error) => return Err(error),
            }
        }
        // In the order of the list, wherever the first question went: the same fault has the same text.
        let (later, first): (Vec<_>, Vec<_>) = failures.into_iter().partition(|(position, _)| *position >= start);
        let failure = first.into_iter().chain(later).map(|(_, error)| error).reduce(Error::and);
        Err(failure.unwrap_or_else(|| unresolved(&self.shared.addresses, "no server is known")))
    }

    /// Asks one server, which stays among those that were asked unless it has certainly not done it.
    async fn ask(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        token: Option<&Secret>,
        sink: Option<&mut dyn Sink>,
        asked: &mut Vec<Endpoint>,
    ) -> Result<Reply, Error> {
        asked.push(endpoint.clone());
        let outcome = self.transfer(endpoint, call, token, sink, asked).await;
        let outcome = outcome.and_then(|reply| accept(call, endpoint, reply));
        if outcome.as_ref().is_err_and(|error| !error.may_have_been_done()) {
            asked.pop();
        }
        outcome
    }

    /// Sends the request over a warm connection or a new one.
    ///
    /// A warm connection may have been closed by the server a moment ago, so its failure alone means nothing when the request
    /// can be repeated.
    async fn transfer(
        &self,
        endpoint: &Endpoint,
        call: &Call,
        token: Option<&Secret>,
        mut sink: Option<&mut dyn Sink>,
        asked: &mut Vec<Endpoint>,
    ) -> Result<Reply, Error> {
        while let Some(connection) = self.shared.pool.take(endpoint) {
            match self.exchange(connection, endpoint, call, token, reborrow(&mut sink)).await {
                Err(Failure::NotSent) => {}
                Err(Failure::Lost(_)) if call.idempotent => {
                    // Whatever the next attempt says of itself, this one may have been carried out.
                    asked.push(endpoint.clone());
                    self.shared.pool.forget(endpoint);
                }
                outcome => return outcome.map_err(|failure| explain(endpoint, failure)),
            }
        }
        let limit = CONNECT_LIMIT.min(self.deadline / 2);
        let connection = timeout(limit, Stream::open(endpoint, &self.shared.tls)).await;
        let stream = connection.unwrap_or_else(|_| {
            let text = format!("no connection within {limit:?}");
            Err(Error::Unreachable { address: endpoint.to_string(), refused: false, text })
        })?;
        let lost = |error: hyper::Error| explain(endpoint, Failure::Lost(error.to_string()));
        let connection = Connection::new(stream).await.map_err(lost)?;
        self.exchange(connection, endpoint, call, token, sink).await.map_err(|failure| explain(endpoint, failure))
    }

    async fn exchange(
        &self,
        mut connection: Connection,
        endpoint: &Endpoint,
        call: &Call,
        token: Option<&Secret>,
        sink: Option<&mut dyn Sink>,
    ) -> Result<Reply, Failure> {
        let mut request = request(endpoint, call, token).map_err(Failure::Garbled)?;
        if let Some(authorization) = &self.shared.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let received = connection.exchange(request, call.response_limit, sink).await?;
        self.shared.pool.put(endpoint, connection);
        let (status, headers, body) = (received.status, received.headers, received.body);
        Ok(Reply { status, headers, body, endpoint: endpoint.clone() })
    }

    fn fault(&self, endpoint: &Endpoint) {
        self.shared.pool.forget(endpoint);
        let mut endpoints = self.endpoints();
        // What a pinned client finds of another server is no reason to look names up again.
        if self.pin.is_none() || endpoints.preferred() == Some(endpoint) {
            endpoints.failed(endpoint);
        }
    }

    fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.shared.endpoints.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The servers to ask, in order. Names are looked up at first, and again after a server has failed.
    async fn servers(&self) -> Result<(Arc<[Endpoint]>, usize), Error> {
        let (outdated, known) = {
            let endpoints = self.endpoints();
            (endpoints.is_outdated(), endpoints.preferred().is_some())
        };
        if outdated && (self.shared.has_names || !known) {
            let lookup = resolve(&self.shared.addresses);
            let limit = REFRESH_LIMIT.min(self.deadline / 4);
            let found = if known { timeout(limit, lookup).await.unwrap_or_default() } else { lookup.await };
            if !found.is_empty() {
                self.endpoints().replace(found);
            } else if !known {
                return Err(unresolved(&self.shared.addresses, "no name server knows the name"));
            }
        }
        Ok(self.endpoints().snapshot())
    }
}

/// Judges what a server says.
fn accept(call: &Call, endpoint: &Endpoint, reply: Reply) -> Result<Reply, Error> {
    let accepted = match reply.status {
        200..=299 => true,
        // Only Consul itself, with its index, may say that a key does not exist; a proxy's 404 says nothing about keys.
        404 => call.accepts == Some(404) && reply.header("x-consul-index").is_some(),
        status => call.accepts == Some(status),
    };
    if !accepted {
        return Err(judge(endpoint.to_string(), reply.status, &reply.body));
    }
    if reply.leader() == Leader::Unknown && !call.stale {
        return Err(Error::NoLeader { address: endpoint.to_string(), text: "the answer may be out of date".into() });
    }
    Ok(reply)
}

/// Lends what is behind an option for one attempt of several.
fn reborrow<'s>(sink: &'s mut Option<&mut dyn Sink>) -> Option<&'s mut dyn Sink> {
    match sink {
        Some(sink) => Some(&mut **sink),
        None => None,
    }
}

/// Looks up the names among the addresses; a name that cannot be resolved counts for nothing.
async fn resolve(addresses: &[Arc<Address>]) -> Vec<Endpoint> {
    let mut records: Vec<Vec<IpAddr>> = Vec::with_capacity(addresses.len());
    for address in addresses {
        records.push(match &**address {
            Address::Unix(_) => Vec::new(),
            Address::Tcp { host, port, .. } => match known_records(host) {
                Some(known) => known,
                None => match tokio::net::lookup_host((host.as_str(), *port)).await {
                    Ok(found) => found.map(|socket| socket.ip()).collect(),
                    Err(_) => Vec::new(),
                },
            },
        });
    }
    expand(addresses, &records)
}

/// Builds the HTTP request.
fn request(endpoint: &Endpoint, call: &Call, token: Option<&Secret>) -> Result<Request<Full<Bytes>>, String> {
    let host = match endpoint.address() {
        Address::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
        Address::Tcp { host, port, .. } => format!("{host}:{port}"),
        // HTTP/1.1 wants a host even where there is none (RFC 9112, section 3.2).
        Address::Unix(_) => "localhost".to_owned(),
    };
    let unusable = |error: hyper::http::Error| format!("request {} cannot be sent: {error}", call.target);
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(call.target.as_str())
        .header(HOST, host)
        .body(Full::new(call.body.clone()))
        .map_err(unusable)?;
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.expose())
            .map_err(|_| "the consul token holds characters that no header can carry".to_owned())?;
        value.set_sensitive(true);
        request.headers_mut().insert("x-consul-token", value);
    }
    Ok(request)
}

fn explain(endpoint: &Endpoint, failure: Failure) -> Error {
    let address = endpoint.to_string();
    match failure {
        Failure::NotSent => Error::Lost { address, text: "closed by the server".into() },
        Failure::Lost(text) => Error::Lost { address, text },
        Failure::Tls(text) => Error::Tls { address, text },
        Failure::Garbled(text) => Error::Garbled { address, text },
    }
}
