//! Where the catalog is: `consul` in its three forms, and the variables that Consul's own tools read.

use std::collections::BTreeMap;

use crate::json5::Data;
use crate::reader::{Object, Place, Reader};
use crate::secret::Secret;

/// The port that an address without one means.
pub(crate) const DEFAULT_PORT: u16 = 8500;

/// How to reach the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogSettings {
    /// Tried in turn; never empty.
    pub addresses: Vec<CatalogAddress>,
    /// ACL token.
    pub token: Option<Secret>,
    /// File with the ACL token.
    pub token_file: Option<String>,
    /// User and password with a colon between them, for a proxy that asks for them (HTTP basic authentication).
    pub credentials: Option<Secret>,
    /// Datacenter to ask; the agent's own if `None`.
    pub datacenter: Option<String>,
    /// TLS settings, for `https` addresses.
    pub tls: CatalogTls,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogAddress {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// `host:port`; the path of the socket for [`Scheme::Unix`].
    pub authority: String,
}

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// HTTP over a unix socket.
    Unix,
}

/// TLS settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogTls {
    /// File of trusted authorities.
    pub ca_file: Option<String>,
    /// Directory of trusted authorities.
    pub ca_path: Option<String>,
    /// File of the client's certificate.
    pub client_cert: Option<String>,
    /// File of the client's key.
    pub client_key: Option<String>,
    /// The name in the server's certificate.
    pub server_name: Option<String>,
    /// Whether the server's certificate is verified. ContainerPilot's default was not to; ours is to.
    pub verify: bool,
}

impl Default for CatalogTls {
    fn default() -> CatalogTls {
        CatalogTls {
            ca_file: None,
            ca_path: None,
            client_cert: None,
            client_key: None,
            server_name: None,
            verify: true,
        }
    }
}

/// Takes one scheme off an address; what remains is not checked.
pub(crate) fn split_address(text: &str, default: Scheme) -> (Scheme, &str) {
    for (prefix, scheme) in [("http://", Scheme::Http), ("https://", Scheme::Https), ("unix://", Scheme::Unix)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return (scheme, rest);
        }
    }
    (default, text)
}

/// Reads one address, such as `consul:8500` or `unix:///run/consul`.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn address(text: &str, default: Scheme) -> Result<CatalogAddress, String> {
    let (scheme, rest) = split_address(text, default);
    let fail = |what: &str| Err(format!("address \"{text}\" {what}; write host:port, such as \"consul:8500\""));
    if scheme == Scheme::Unix {
        return match rest.starts_with('/') {
            true => Ok(CatalogAddress { scheme, authority: rest.into() }),
            false => Err(format!("address \"{text}\" needs an absolute path after unix://")),
        };
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return fail("has no host");
    }
    if host.contains(['/', ' ', '<', '>']) || (host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err()) {
        return fail("is not a host and a port");
    }
    match port.map(str::parse::<u16>) {
        None => Ok(CatalogAddress { scheme, authority: format!("{rest}:{DEFAULT_PORT}") }),
        Some(Ok(port)) if port > 0 => Ok(CatalogAddress { scheme, authority: rest.into() }),
        Some(_) => fail("has no port number after its last colon"),
    }
}

/// Reads `consul`; variables fill in what it leaves out, and those of TLS win over it, as in ContainerPilot.
pub(crate) fn read(
    reader: &mut Reader,
    document: &Object<'_>,
    env: &BTreeMap<String, String>,
) -> Option<CatalogSettings> {
    let field = document.field("consul")?;
    let variable = |name: &str| env.get(name).filter(|value| !value.is_empty()).cloned();
    let truth = |name: &str| variable(name).and_then(|value| truth(&value));
    let mut scheme = if truth("CONSUL_HTTP_SSL") == Some(true) { Scheme::Https } else { Scheme::Http };
    let mut settings = CatalogSettings {
        addresses: Vec::new(),
        token: variable("CONSUL_HTTP_TOKEN").map(Secret::new),
        token_file: variable("CONSUL_HTTP_TOKEN_FILE"),
        credentials: None,
        datacenter: None,
        tls: CatalogTls::default(),
    };
    let mut place = field.place.clone();
    let mut texts = match &field.value.data {
        Data::Object(_) => {
            let object = reader.object(document, "consul")?;
            read_object(reader, &object, &mut settings, &mut scheme);
            place = object.place_of("address");
            reader.texts(&object, "address")
        }
        Data::Null | Data::Boolean(_) | Data::Integer(_) | Data::Float(_) | Data::Text(_) | Data::Array(_) => {
            reader.field_texts(&field)
        }
    };
    if texts.is_empty() && matches!(field.value.data, Data::Object(_)) {
        texts.push(variable("CONSUL_HTTP_ADDR").unwrap_or_else(|| format!("127.0.0.1:{DEFAULT_PORT}")));
    }
    read_addresses(reader, &place, &texts, scheme, &mut settings);
    override_tls(&mut settings.tls, variable, truth("CONSUL_HTTP_SSL_VERIFY"));
    Some(settings)
}

fn read_addresses(
    reader: &mut Reader,
    place: &Place,
    texts: &[String],
    scheme: Scheme,
    settings: &mut CatalogSettings,
) {
    for text in texts {
        match address(text, scheme) {
            Ok(address) => settings.addresses.push(address),
            Err(message) => reader.problem(place, message),
        }
    }
    if texts.is_empty() {
        reader.problem(
            place,
            "no address; write \"host:port\", or leave the key out to use the embedded catalog of this host",
        );
    }
}

fn read_object(reader: &mut Reader, object: &Object<'_>, settings: &mut CatalogSettings, scheme: &mut Scheme) {
    match reader.word(object, "scheme") {
        Some("https") => *scheme = Scheme::Https,
        Some(_) => *scheme = Scheme::Http,
        None => {}
    }
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    if let Some(token) = filled(reader.text(object, "token")) {
        settings.token = Some(Secret::new(token));
    }
    if let Some(file) = filled(reader.text(object, "tokenFile")) {
        settings.token_file = Some(file);
    }
    settings.datacenter = filled(reader.text(object, "datacenter"));
    let Some(tls) = reader.object(object, "tls") else { return };
    settings.tls = CatalogTls {
        ca_file: filled(reader.text(&tls, "cafile")),
        ca_path: filled(reader.text(&tls, "capath")),
        client_cert: filled(reader.text(&tls, "clientcert")),
        client_key: filled(reader.text(&tls, "clientkey")),
        server_name: filled(reader.text(&tls, "servername")),
        verify: reader.boolean(&tls, "verify").unwrap_or(true),
    };
    if settings.tls.client_cert.is_some() != settings.tls.client_key.is_some() {
        reader.problem(&tls.place, "clientcert and clientkey belong together; give both or none");
    }
}

fn override_tls(tls: &mut CatalogTls, variable: impl Fn(&str) -> Option<String>, verify: Option<bool>) {
    for (setting, name) in [
        (&mut tls.ca_file, "CONSUL_CACERT"),
        (&mut tls.ca_path, "CONSUL_CAPATH"),
        (&mut tls.client_cert, "CONSUL_CLIENT_CERT"),
        (&mut tls.client_key, "CONSUL_CLIENT_KEY"),
        (&mut tls.server_name, "CONSUL_TLS_SERVER_NAME"),
    ] {
        if let Some(value) = variable(name) {
            *setting = Some(value);
        }
    }
    tls.verify = verify.unwrap_or(tls.verify);
}

fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_scheme_is_taken_off_an_address_and_no_more() {
        let check = |text: &str, scheme: Scheme, rest: &str| {
            assert_eq!(split_address(text, Scheme::Http), (scheme, rest), "{text}");
        };
        check("catalog.local:8501", Scheme::Http, "catalog.local:8501");
        check("http://catalog.local:8501", Scheme::Http, "catalog.local:8501");
        check("https://catalog.local:8501", Scheme::Https, "catalog.local:8501");
        check("unix:///run/catalog", Scheme::Unix, "/run/catalog");
        check("http://https://catalog.local", Scheme::Http, "https://catalog.local");
        check("https://https://catalog.local", Scheme::Https, "https://catalog.local");
        check("xhttps://catalog.local", Scheme::Http, "xhttps://catalog.local");
        check("catalog.local:8501http://", Scheme::Http, "catalog.local:8501http://");
        check("", Scheme::Http, "");
        assert_eq!(split_address("catalog.local", Scheme::Https), (Scheme::Https, "catalog.local"));
    }

    #[test]
    fn an_address_is_a_host_with_or_without_a_port() {
        let check = |text: &str, expect: Result<&str, &str>| match (address(text, Scheme::Http), expect) {
            (Ok(address), Ok(authority)) => assert_eq!(address.authority, authority, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (result, _) => panic!("{text}: {result:?}"),
        };
        check("catalog.local", Ok("catalog.local:8500"));
        check("https://catalog.local:8501/", Ok("catalog.local:8501"));
        check("[fd00::7]:8501", Ok("[fd00::7]:8501"));
        check("[fd00::7]", Ok("[fd00::7]:8500"));
        check("unix:///run/catalog", Ok("/run/catalog"));
        check("unix://run/catalog", Err("an absolute path"));
        check(":8500", Err("has no host"));
        check("", Err("has no host"));
        check("catalog.local:0", Err("no port number"));
        check("catalog.local:http", Err("no port number"));
        check("http://https://catalog.local", Err("no port number"));
        check("two words:8500", Err("not a host and a port"));
    }
}
