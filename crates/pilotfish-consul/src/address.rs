//! Addresses of Consul as people write them: `host:port`, `http://`, `https://`, `unix:///path`.

use std::fmt;
use std::path::PathBuf;

use crate::Error;

/// Port of Consul's HTTP API when an address names none.
const HTTP_PORT: u16 = 8500;
/// Port of Consul's HTTPS API when an address names none.
const HTTPS_PORT: u16 = 8501;

/// Whether requests travel in the clear or under TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP under TLS.
    Https,
}

/// One configured address. A host name may stand for several servers: see [`crate::Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or IP literal (IPv6 without brackets) and a port.
    Tcp {
        /// Plain or TLS.
        scheme: Scheme,
        /// Host name or IP literal.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A unix socket, always plain HTTP.
    Unix(PathBuf),
}

impl Address {
    /// Reads one address; `default` is the scheme of an address without one.
    ///
    /// Exactly one scheme prefix is taken off, as ContainerPilot does: `https://https://consul:8500` names the host
    /// `https://consul`, which is then refused here and not by a resolver later.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no host or the port is no number.
    pub fn parse(text: &str, default: Scheme) -> Result<Address, Error> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(invalid(text, "the path of a unix socket must be absolute: unix:///path"));
            }
            return Ok(Address::Unix(PathBuf::from(path)));
        }
        let (scheme, rest) = split_scheme(text, default);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
            None => match rest.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let bracketed = rest.starts_with('[');
        let allowed = |c: char| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || (bracketed && matches!(c, ':' | '%'))
        };
        if host.is_empty() || !host.chars().all(allowed) {
            return Err(invalid(text, "expected host:port, http://host:port, https://host:port or unix:///path"));
        }
        let port = match port {
            Some(port) => port.parse().map_err(|_| invalid(text, "the port must be a number from 1 to 65535"))?,
            None if scheme == Scheme::Https => HTTPS_PORT,
            None => HTTP_PORT,
        };
        Ok(Address::Tcp { scheme, host: host.to_owned(), port })
    }
}

/// Takes one scheme prefix off, and only one.
fn split_scheme(text: &str, default: Scheme) -> (Scheme, &str) {
    if let Some(rest) = text.strip_prefix("https://") {
        return (Scheme::Https, rest);
    }
    match text.strip_prefix("http://") {
        Some(rest) => (Scheme::Http, rest),
        None => (default, text),
    }
}

fn invalid(text: &str, why: &str) -> Error {
    Error::Config { text: format!("cannot read consul address {text:?}: {why}") }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { scheme, host, port } => {
                let scheme = if *scheme == Scheme::Https { "https" } else { "http" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inputs and outcomes of ContainerPilot's own test of this parser (facts only; the project is MPL-2.0).
    #[test]
    fn one_scheme_prefix_is_stripped() {
        let cases = [
            ("https://consul:8500", "consul:8500", Scheme::Https),
            ("http://consul:8500", "consul:8500", Scheme::Http),
            ("consul:8500", "consul:8500", Scheme::Http),
            ("https://https://consul:8500", "https://consul:8500", Scheme::Https),
            ("http://https://consul:8500", "https://consul:8500", Scheme::Http),
            ("httpshttps://consul:8500", "httpshttps://consul:8500", Scheme::Http),
            ("consul:8500https://", "consul:8500https://", Scheme::Http),
            ("", "", Scheme::Http),
        ];
        for (input, rest, scheme) in cases {
            assert_eq!(split_scheme(input, Scheme::Http), (scheme, rest), "{input}");
        }
    }

    #[test]
    fn addresses_are_read_and_printed() {
        let cases = [
            ("consul:8500", "http://consul:8500"),
            ("consul", "http://consul:8500"),
            ("https://consul", "https://consul:8501"),
            ("https://consul:443/", "https://consul:443"),
            ("http://[::1]:8500", "http://[::1]:8500"),
            ("[fe80::1]", "http://[fe80::1]:8500"),
            ("10.0.0.1:80", "http://10.0.0.1:80"),
            ("unix:///run/consul.sock", "unix:///run/consul.sock"),
        ];
        for (input, printed) in cases {
            assert_eq!(Address::parse(input, Scheme::Http).unwrap().to_string(), printed, "{input}");
        }
        assert_eq!(Address::parse("consul:1", Scheme::Https).unwrap().to_string(), "https://consul:1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let cases = [
            "",
            ":8500",
            "https://https://consul:8500",
            "httpshttps://consul:8500",
            "consul:8500https://",
            "consul:x",
            "consul:70000",
            "unix://relative",
            "::1",
            "a b:80",
            "http://consul:8500/v1",
            "[::1]x:80",
        ];
        for input in cases {
            assert!(matches!(Address::parse(input, Scheme::Http), Err(Error::Config { .. })), "{input}");
        }
    }
}
