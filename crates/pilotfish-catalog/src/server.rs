//! A catalog with everything that it runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::catalog::{Catalog, Submission};
use crate::dns::Dns;
use crate::http::{Serving, serve};
use crate::settings::Settings;
use crate::state::{Identity, State, Time};
use crate::store::{self, Journal, Recovered};
use crate::writer::Notice;
use crate::{dns, identity, probing, writer};

/// The port that a Consul server would have for other servers; nobody listens there.
const SERVER_PORT: u16 = 8300;

/// Why a catalog cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not of the loopback, and there is no token.
    #[error(
        "the catalog would be open to everybody who reaches {0}: listen on 127.0.0.1, or give a token with --token-file"
    )]
    TokenNeeded(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The address for DNS cannot be listened on.
    #[error("cannot listen on {address} for DNS: {source}; choose another address with --dns")]
    Dns {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] store::Error),
}

/// A catalog that listens, and runs while [`Server::run`] is polled.
#[derive(Debug)]
pub struct Server {
    catalog: Catalog,
    submissions: mpsc::Receiver<Submission>,
    listener: TcpListener,
    serving: Arc<Serving>,
    address: SocketAddr,
    dns: Option<Dns>,
    journal: Option<Journal>,
    recovered: Option<Recovered>,
    notice: Notice,
}

impl Server {
    /// Opens what is needed; nothing runs yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn bind(settings: Settings) -> Result<Server, Error> {
        if settings.token.is_none() && !settings.listen.ip().is_loopback() {
            return Err(Error::TokenNeeded(settings.listen));
        }
        let failed = |source| Error::Listen { address: settings.listen, source };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let dns = match settings.dns {
            Some(address) => Some(Dns::bind(address).await.map_err(|source| Error::Dns { address, source })?),
            None => None,
        };
        let identity = Identity {
            node: settings.node,
            node_id: identity::uuid(),
            address: advertised(address),
            datacenter: settings.datacenter,
            server_port: SERVER_PORT,
        };
        let (journal, state, recovered) = match &settings.data {
            Some(directory) => {
                let (journal, state, recovered) = store::open(directory, identity)?;
                (Some(journal), state, recovered)
            }
            None => (None, State::new(identity, Time::ZERO), None),
        };
        let (catalog, submissions) = Catalog::new(state);
        let serving = Serving {
            catalog: catalog.clone(),
            token: settings.token,
            pretty: settings.pretty,
            address: address.to_string(),
        };
        Ok(Server {
            catalog,
            submissions,
            listener,
            serving: Arc::new(serving),
            address,
            dns,
            journal,
            recovered,
            notice: settings.notice,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers DNS, if it does.
    pub fn dns_address(&self) -> Option<SocketAddr> {
        self.dns.as_ref().map(Dns::address)
    }

    /// What its data directory held, if it has one that was used before.
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// A handle on it.
    pub fn catalog(&self) -> Catalog {
        self.catalog.clone()
    }

    /// Runs until it is dropped; then everything ends at once.
    pub async fn run(self) {
        let Server { catalog, submissions, listener, serving, dns, journal, notice, address: _, recovered: _ } = self;
        tokio::join!(
            writer::write(&catalog, submissions, journal, notice),
            serve(listener, serving),
            probing::probe_all(&catalog),
            dns::serve(dns, &catalog),
        );
    }
}

/// The address that the node tells of itself.
fn advertised(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() }
}
