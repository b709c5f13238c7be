//! Where Consul is and how to be let in: written by a caller, or read from Consul's own environment variables.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Address, Error, Scheme, Secret};

/// Deadline of a call that does not block, unless configured otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Everything a [`crate::Client`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// One or several addresses, the preferred one first.
    pub addresses: Vec<Address>,
    /// The ACL token.
    pub token: Option<Secret>,
    /// A file that holds the ACL token; it wins over `token` and is read again when it changes.
    pub token_file: Option<PathBuf>,
    /// User and password with a colon between them, for a proxy that asks for them (RFC 7617).
    pub credentials: Option<Secret>,
    /// TLS, for `https` addresses.
    pub tls: TlsConfig,
    /// Datacenter to ask for when a call names none; the agent's own otherwise.
    pub datacenter: Option<String>,
    /// Deadline of a whole call, from name resolution to the last byte. Blocking queries add their wait to it.
    pub deadline: Duration,
}

/// TLS material. Files are read when the first `https` connection is opened, and again after a handshake that failed.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// PEM file of trusted authorities.
    pub ca_file: Option<PathBuf>,
    /// Directory of PEM files of trusted authorities.
    pub ca_path: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub client_certificate: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub client_key: Option<PathBuf>,
    /// Name that the server's certificate must carry, when it is not the host of the address.
    pub server_name: Option<String>,
    /// Whether the server's certificate is verified.
    pub verify: bool,
}

impl Default for TlsConfig {
    fn default() -> TlsConfig {
        TlsConfig {
            ca_file: None,
            ca_path: None,
            client_certificate: None,
            client_key: None,
            server_name: None,
            verify: true,
        }
    }
}

impl Default for Config {
    /// Consul's own default: `http://127.0.0.1:8500`.
    fn default() -> Config {
        Config {
            addresses: vec![Address::Tcp { scheme: Scheme::Http, host: "127.0.0.1".into(), port: 8500 }],
            token: None,
            token_file: None,
            credentials: None,
            tls: TlsConfig::default(),
            datacenter: None,
            deadline: DEFAULT_DEADLINE,
        }
    }
}

impl Config {
    /// One or several addresses, separated by commas, everything else as by default.
    ///
    /// # Errors
    /// [`Error::Config`] when one of them is no address.
    pub fn with_addresses(text: &str) -> Result<Config, Error> {
        Ok(Config { addresses: parse_addresses(text, Scheme::Http)?, ..Config::default() })
    }

    /// Reads `CONSUL_HTTP_ADDR` (several with commas), `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_SSL`,
    /// `CONSUL_CACERT`, `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`, `CONSUL_TLS_SERVER_NAME` and
    /// `CONSUL_HTTP_SSL_VERIFY` with the meaning that Consul's own command gives them. A variable that is empty counts as unset.
    ///
    /// # Errors
    /// [`Error::Config`] when one of them cannot be understood.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, Error> {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let path = |name: &str| get(name).map(PathBuf::from);
        let mut config = Config {
            token: get("CONSUL_HTTP_TOKEN").map(Secret::new),
            token_file: path("CONSUL_HTTP_TOKEN_FILE"),
            tls: TlsConfig {
                ca_file: path("CONSUL_CACERT"),
                ca_path: path("CONSUL_CAPATH"),
                client_certificate: path("CONSUL_CLIENT_CERT"),
                client_key: path("CONSUL_CLIENT_KEY"),
                server_name: get("CONSUL_TLS_SERVER_NAME"),
                verify: flag("CONSUL_HTTP_SSL_VERIFY", get("CONSUL_HTTP_SSL_VERIFY"), true)?,
            },
            ..Config::default()
        };
        let tls = flag("CONSUL_HTTP_SSL", get("CONSUL_HTTP_SSL"), false)?;
        let default = if tls { Scheme::Https } else { Scheme::Http };
        if let Some(text) = get("CONSUL_HTTP_ADDR") {
            config.addresses = parse_addresses(&text, default)?;
        }
        if tls {
            // Consul's client never goes back to plain HTTP once TLS was asked for, whatever the address says.
            config.addresses.iter_mut().for_each(require_tls);
        }
        Ok(config)
    }
}

fn parse_addresses(text: &str, default: Scheme) -> Result<Vec<Address>, Error> {
    text.split(',').map(|address| Address::parse(address.trim(), default)).collect()
}

fn require_tls(address: &mut Address) {
    match address {
        Address::Tcp { scheme, .. } => *scheme = Scheme::Https,
        Address::Unix(_) => {}
    }
}

/// The spellings that Go's `strconv.ParseBool` takes, because Consul reads these variables with it.
fn flag(name: &str, value: Option<String>, default: bool) -> Result<bool, Error> {
    match value.as_deref() {
        None => Ok(default),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => Err(Error::Config { text: format!("cannot read {name}={other}: expected true or false") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Config, Error> {
        Config::from_env(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn addresses(config: &Config) -> Vec<String> {
        config.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_environment_is_the_default() {
        let config = from(&[("CONSUL_HTTP_ADDR", ""), ("CONSUL_HTTP_TOKEN", "")]).unwrap();
        assert_eq!(addresses(&config), ["http://127.0.0.1:8500"]);
        assert!(config.token.is_none() && config.tls.verify);
    }

    #[test]
    fn every_variable_is_read() {
        let config = from(&[
            ("CONSUL_HTTP_ADDR", "consul:8500, http://10.0.0.1:1,unix:///run/c.sock"),
            ("CONSUL_HTTP_TOKEN", "abc"),
            ("CONSUL_HTTP_TOKEN_FILE", "/t"),
            ("CONSUL_HTTP_SSL", "true"),
            ("CONSUL_CACERT", "/ca"),
            ("CONSUL_CAPATH", "/cas"),
            ("CONSUL_CLIENT_CERT", "/cert"),
            ("CONSUL_CLIENT_KEY", "/key"),
            ("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"),
            ("CONSUL_HTTP_SSL_VERIFY", "0"),
        ])
        .unwrap();
        assert_eq!(addresses(&config), ["https://consul:8500", "https://10.0.0.1:1", "unix:///run/c.sock"]);
        assert_eq!(config.token, Some(Secret::new("abc")));
        assert_eq!(config.token_file, Some("/t".into()));
        assert_eq!((config.tls.ca_file, config.tls.ca_path), (Some("/ca".into()), Some("/cas".into())));
        assert_eq!((config.tls.client_certificate, config.tls.client_key), (Some("/cert".into()), Some("/key".into())));
        assert_eq!(config.tls.server_name.as_deref(), Some("server.dc1.consul"));
        assert!(!config.tls.verify);
    }

    #[test]
    fn errors_name_the_variable() {
        let error = from(&[("CONSUL_HTTP_SSL_VERIFY", "maybe")]).unwrap_err().to_string();
        assert!(error.contains("CONSUL_HTTP_SSL_VERIFY"), "{error}");
        assert!(from(&[("CONSUL_HTTP_ADDR", "a:1,,b:2")]).is_err());
    }

    #[test]
    fn a_token_is_not_printed() {
        let config = from(&[("CONSUL_HTTP_TOKEN", "c0ffee")]).unwrap();
        assert!(!format!("{config:?}").contains("c0ffee"));
    }
}
