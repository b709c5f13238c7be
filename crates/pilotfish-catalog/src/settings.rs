//! What a catalog is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

/// A text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// Whether it is this; the time that takes does not tell how much of it is right.
    pub(crate) fn is(&self, text: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), text.as_bytes());
        let differences = own.iter().zip(other).fold(0, |found, (left, right)| found | (left ^ right));
        own.len() == other.len() && differences == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

/// What a catalog is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens for HTTP. An address that is not of the loopback needs a token.
    pub listen: SocketAddr,
    /// What clients have to show.
    pub token: Option<Secret>,
    /// Name of its node.
    pub node: String,
    /// Name of its datacenter.
    pub datacenter: String,
    /// Every answer is laid out for people, as a `-dev` agent does it.
    pub pretty: bool,
    /// The directory in which it keeps everything; without one, it is in memory alone.
    pub data: Option<PathBuf>,
    /// Where it answers DNS as well. There are no tokens in DNS: who reaches it can ask everything.
    pub dns: Option<SocketAddr>,
    /// Who is told in one line when the data directory cannot be written to any longer, or again.
    pub notice: fn(&str),
}

impl Settings {
    /// The settings of a catalog that listens there, without a token.
    pub fn new(listen: SocketAddr, node: impl Into<String>) -> Settings {
        Settings {
            listen,
            token: None,
            node: node.into(),
            datacenter: "dc1".to_owned(),
            pretty: false,
            data: None,
            dns: None,
            notice: |_| {},
        }
    }
}
