//! The servers behind the configured addresses, and which of them is asked first.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::{Address, Error};

/// Most servers that one client knows; further records of a name are left out.
const ENDPOINTS_LIMIT: usize = 64;

/// One server: a configured address, and for a host name one of its addresses. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    address: Arc<Address>,
    socket: Option<SocketAddr>,
}

impl Endpoint {
    /// The configured address that led here.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket address; none for unix sockets.
    pub fn socket(&self) -> Option<SocketAddr> {
        self.socket
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.address, self.socket) {
            (Address::Tcp { host, .. }, Some(socket)) if !names(host, socket.ip()) => {
                write!(f, "{} ({socket})", self.address)
            }
            _ => write!(f, "{}", self.address),
        }
    }
}

fn names(host: &str, ip: IpAddr) -> bool {
    host.parse() == Ok(ip)
}

/// Addresses of a host that need no resolver: literals, and `localhost` (RFC 6761, section 6.3).
///
/// The system's resolver blocks, and so costs a thread; most clients speak to an agent on their own host.
pub(crate) fn known_records(host: &str) -> Option<Vec<IpAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    host.parse().ok().map(|ip| vec![ip])
}

/// Joins configured addresses with the records of their names, in order, each server once. An address without records is left out.
pub(crate) fn expand(addresses: &[Arc<Address>], records: &[Vec<IpAddr>]) -> Vec<Endpoint> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut add = |endpoint: Endpoint| {
        let twin = endpoints.iter().any(|known| {
            known.socket == endpoint.socket && (known.socket.is_some() || known.address == endpoint.address)
        });
        if !twin && endpoints.len() < ENDPOINTS_LIMIT {
            endpoints.push(endpoint);
        }
    };
    for (address, records) in addresses.iter().zip(records) {
        match &**address {
            Address::Unix(_) => add(Endpoint { address: address.clone(), socket: None }),
            Address::Tcp { port, .. } => {
                for ip in records {
                    add(Endpoint { address: address.clone(), socket: Some(SocketAddr::new(*ip, *port)) });
                }
            }
        }
    }
    endpoints
}

/// Which servers there are and which is preferred.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    list: Arc<[Endpoint]>,
    preferred: usize,
    /// Names should be looked up again before the next call, because a server has failed.
    outdated: bool,
}

impl Endpoints {
    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated || self.list.is_empty()
    }

    /// Takes a new list. The preferred server stays preferred when it is still there.
    pub(crate) fn replace(&mut self, list: Vec<Endpoint>) {
        let preferred = self.list.get(self.preferred).and_then(|old| list.iter().position(|new| new == old));
        self.preferred = preferred.unwrap_or(0);
        self.list = list.into();
        self.outdated = false;
    }

    /// The list and the position to start at.
    pub(crate) fn snapshot(&self) -> (Arc<[Endpoint]>, usize) {
        (self.list.clone(), self.preferred)
    }

    pub(crate) fn preferred(&self) -> Option<&Endpoint> {
        self.list.get(self.preferred)
    }

    /// A server failed: if it was the preferred one, the next one is.
    pub(crate) fn failed(&mut self, endpoint: &Endpoint) {
        self.outdated = true;
        if self.preferred() == Some(endpoint) {
            self.preferred = (self.preferred + 1) % self.list.len();
        }
    }

    /// A server answered after others had failed: it is preferred from now on.
    pub(crate) fn answered(&mut self, endpoint: &Endpoint) {
        if let Some(position) = self.list.iter().position(|known| known == endpoint) {
            self.preferred = position;
        }
    }
}

/// What to say when no address leads to a server.
pub(crate) fn unresolved(addresses: &[Arc<Address>], text: &str) -> Error {
    let address = addresses.iter().map(|address| address.to_string()).collect::<Vec<_>>().join(", ");
    Error::Unreachable { address, refused: false, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scheme;

    fn address(text: &str) -> Arc<Address> {
        Arc::new(Address::parse(text, Scheme::Http).unwrap())
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn three() -> Endpoints {
        let mut endpoints = Endpoints::default();
        endpoints.replace(expand(&[address("consul")], &[ips(&["10.0.0.1", "10.0.0.2", "10.0.0.3"])]));
        endpoints
    }

    #[test]
    fn a_name_with_several_records_is_several_servers() {
        let addresses = [address("consul:8500"), address("unix:///c.sock"), address("10.0.0.9")];
        let list = expand(&addresses, &[ips(&["10.0.0.1", "10.0.0.2"]), vec![], ips(&["10.0.0.9"])]);
        let printed: Vec<String> = list.iter().map(ToString::to_string).collect();
        let expected = [
            "http://consul:8500 (10.0.0.1:8500)",
            "http://consul:8500 (10.0.0.2:8500)",
            "unix:///c.sock",
            "http://10.0.0.9:8500",
        ];
        assert_eq!(printed, expected);
    }

    #[test]
    fn twins_count_once() {
        let addresses = [address("consul:8500"), address("10.0.0.1:8500")];
        assert_eq!(expand(&addresses, &[ips(&["10.0.0.1", "10.0.0.1"]), ips(&["10.0.0.1"])]).len(), 1);
    }

    #[test]
    fn literals_and_localhost_need_no_resolver() {
        assert_eq!(known_records("::1"), Some(ips(&["::1"])));
        assert_eq!(known_records("LocalHost"), Some(ips(&["127.0.0.1", "::1"])));
        assert_eq!(known_records("consul"), None);
    }

    #[test]
    fn preference_is_sticky() {
        let mut endpoints = three();
        let (list, start) = endpoints.snapshot();
        assert_eq!(start, 0);
        endpoints.failed(&list[1]);
        assert_eq!(endpoints.preferred(), Some(&list[0]), "another server's fault changes nothing");
        endpoints.failed(&list[0]);
        assert_eq!(endpoints.preferred(), Some(&list[1]));
        assert!(endpoints.is_outdated());
        endpoints.answered(&list[2]);
        assert_eq!(endpoints.preferred(), Some(&list[2]));
    }

    #[test]
    fn the_preferred_server_survives_a_lookup() {
        let mut endpoints = three();
        let (list, _) = endpoints.snapshot();
        endpoints.answered(&list[2]);
        endpoints.replace(vec![list[2].clone(), list[0].clone()]);
        assert_eq!(endpoints.preferred(), Some(&list[2]));
        endpoints.replace(vec![list[0].clone()]);
        assert_eq!(endpoints.preferred(), Some(&list[0]));
        assert!(!endpoints.is_outdated());
    }
}
