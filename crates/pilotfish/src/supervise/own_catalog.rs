//! The catalog of a config that names none: the one at [`ADDRESS`], which is served here unless somebody else serves it already.
//!
//! So supervisors that share a network find each other without a Consul: the first one serves, the others are its clients, and when it ends,
//! one of them takes its place, with whatever registers there again. A real Consul at that address is used as it is.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use pilotfish_catalog::{Error, Server, Settings};
use pilotfish_config::{CatalogAddress, CatalogSettings, CatalogTls, Config, Level, Scheme};
use pilotfish_process::hostname;
use tokio::{task::AbortHandle, time::sleep};

use super::panics::caught;

/// Where everybody looks for an agent: Consul's own port, on the loopback.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8500);

/// While somebody else serves there, or the address cannot be had, it is tried this often.
const TAKEOVER_PAUSE: Duration = Duration::from_secs(2);

/// The catalog that we serve, or wait to serve; it ends with this value.
#[derive(Debug, Default)]
pub(super) struct OwnCatalog(Option<AbortHandle>);

impl Drop for OwnCatalog {
    fn drop(&mut self) {
        self.0.take().inspect(AbortHandle::abort);
    }
}

/// What is told of it.
pub(super) type Told = (Level, String);

/// The catalog that a config means: the one that it names, else ours if it has anything to tell or to ask.
pub(super) fn meant(config: &Config) -> Option<CatalogSettings> {
    config.catalog.clone().or_else(|| is_needed(config).then(settings))
}

/// Whether a config means ours.
pub(super) fn is_needed(config: &Config) -> bool {
    let spec = &config.spec;
    let asks = !spec.watches.is_empty() || !spec.templates.is_empty();
    let asks = asks || config.mysql.is_some();
    config.catalog.is_none() && (asks || spec.jobs.iter().any(|job| job.service.is_some()))
}

fn settings() -> CatalogSettings {
    CatalogSettings {
        addresses: vec![CatalogAddress { scheme: Scheme::Http, authority: ADDRESS.to_string() }],
        token: None,
        token_file: None,
        credentials: None,
        datacenter: None,
        tls: CatalogTls::default(),
    }
}

impl OwnCatalog {
    /// Serves, or waits to serve, and says which.
    pub(super) async fn begin(&mut self) -> Told {
        match bind().await {
            Ok(server) => {
                self.serve(Some(server));
                let text = format!("the config names no catalog (key consul): it is served here, at http://{ADDRESS}");
                (Level::Info, text)
            }
            Err(error) => {
                self.serve(None);
                match error {
                    Error::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
                        let text =
                            format!("the config names no catalog (key consul): the one at http://{ADDRESS} is used");
                        (Level::Info, text)
                    }
                    error @ (Error::Listen { .. } | Error::TokenNeeded(_) | Error::Dns { .. } | Error::Data(_)) => (
                        Level::Warn,
                        format!("the config names no catalog (key consul), and {error}; it is tried again"),
                    ),
                }
            }
        }
    }

    /// Serves as soon as the address is free.
    pub(super) fn begin_later(&mut self) {
        self.serve(None);
    }

    /// Serves with a server that is bound, and with others whenever there is none; a mistake of ours ends one of them, and not the rest.
    fn serve(&mut self, mut bound: Option<Server>) {
        let task = tokio::spawn(async move {
            loop {
                let server = match bound.take() {
                    Some(server) => Some(server),
                    None => bind().await.ok(),
                };
                if let Some(server) = server {
                    // The next one begins empty, as after a restart: whoever is registered comes back by itself.
                    let _ = caught(server.run()).await;
                }
                sleep(TAKEOVER_PAUSE).await;
            }
        });
        self.0.replace(task.abort_handle()).inspect(AbortHandle::abort);
    }

    /// Serves no longer.
    pub(super) fn end(&mut self) {
        self.0.take().inspect(AbortHandle::abort);
    }
}

async fn bind() -> Result<Server, Error> {
    Server::bind(Settings::new(ADDRESS, hostname())).await
}
