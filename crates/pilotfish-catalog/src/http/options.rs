//! The query of a request: pairs in order, and the options that most requests have in common.

use std::time::Duration;

use crate::catalog::Catalog;
use crate::state::{Refusal, Texts};
use crate::wire::duration;

/// How long a blocking query waits where it does not say, and at most (Consul documentation, blocking queries).
const WAIT: (Duration, Duration) = (Duration::from_secs(5 * 60), Duration::from_secs(10 * 60));

/// Up to this part of the wait is added, so that not all return at one time (Consul documentation, blocking queries).
const JITTER_PART: u32 = 16;

/// The pairs of a query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Takes a query apart; `+` is a space.
    pub(crate) fn parse(text: &str) -> Query {
        let decoded =
            |part: &str| String::from_utf8_lossy(&super::paths::decoded(&part.replace('+', " "))).into_owned();
        let pairs = text.split(['&', ';']).filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    /// The first value of a name; empty if it has none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or("")
    }

    /// The first value of a name, if it is there.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a name is there, with or without value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// How fresh an answer has to be. Here it always is; it is told all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    Default,
    Stale,
    Consistent,
}

impl Consistency {
    /// As `X-Consul-Effective-Consistency` tells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Consistency::Default => "leader",
            Consistency::Stale => "stale",
            Consistency::Consistent => "consistent",
        }
    }
}

/// The options that reading requests have in common.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Wait until the index is above this one; 0 for not at all.
    pub(crate) index: u64,
    /// For how long.
    pub(crate) wait: Duration,
    pub(crate) consistency: Consistency,
    /// Metadata that nodes must have.
    pub(crate) node_meta: Texts,
    pub(crate) near: String,
    pub(crate) filter: String,
    datacenter: String,
}

impl Options {
    /// Reads them.
    ///
    /// # Errors
    /// As Consul refuses them.
    pub(crate) fn parse(query: &Query) -> Result<Options, Refusal> {
        let mut wait = Duration::ZERO;
        if let Some(text) = query.find("wait").filter(|text| !text.is_empty()) {
            let nanos = duration::parse(text).map_err(|_| Refusal::bad("Invalid wait time"))?;
            wait = duration::positive(nanos);
        }
        let index = match query.get("index") {
            "" => 0,
            text => text.parse().map_err(|_| Refusal::bad("Invalid index"))?,
        };
        let consistency = match (query.has("stale"), query.has("consistent")) {
            (false, false) => Consistency::Default,
            (true, false) => Consistency::Stale,
            (false, true) => Consistency::Consistent,
            (true, true) => {
                return Err(Refusal::bad("Cannot specify ?stale with ?consistent, conflicting semantics."));
            }
        };
        let node_meta = query.all("node-meta").map(|pair| pair.split_once(':').unwrap_or((pair, "")));
        Ok(Options {
            index,
            wait: if wait.is_zero() { WAIT.0 } else { wait.min(WAIT.1) },
            consistency,
            node_meta: node_meta.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            near: query.get("near").to_owned(),
            filter: query.get("filter").to_owned(),
            datacenter: query.get("dc").to_owned(),
        })
    }

    /// Refuses other datacenters than this one.
    ///
    /// # Errors
    /// As Consul refuses one that it does not know.
    pub(crate) fn check_datacenter(&self, catalog: &Catalog) -> Result<(), Refusal> {
        check_datacenter(&self.datacenter, catalog)
    }

    /// The wait with its jitter.
    pub(crate) fn jittered_wait(&self) -> Duration {
        let most = self.wait / JITTER_PART;
        let parts = u32::try_from(crate::identity::chance() % 1024).unwrap_or(0);
        self.wait + most * parts / 1024
    }
}

/// Refuses other datacenters than this one; empty is this one.
///
/// # Errors
/// As Consul refuses one that it does not know.
pub(crate) fn check_datacenter(name: &str, catalog: &Catalog) -> Result<(), Refusal> {
    if name.is_empty() || name == catalog.state().identity().datacenter {
        return Ok(());
    }
    Err(Refusal::internal("No path to datacenter"))
}
