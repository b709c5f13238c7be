//! One request as a value, and what came back, before it is given a type.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use hyper::header::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::endpoints::Endpoint;
use crate::{Answer, Error, Leader};

/// Largest answer that is read, in bytes (snapshots have their own limit).
pub const RESPONSE_LIMIT: usize = 64 * 1024 * 1024;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: Bytes,
    /// Whether carrying it out twice is the same as once.
    pub(crate) idempotent: bool,
    /// Whether an answer of a server without a leader is wanted.
    pub(crate) stale: bool,
    /// Time that the server may hold the request, on top of the client's deadline.
    pub(crate) hold: Duration,
    /// A status beside 2xx that is an answer and no error.
    pub(crate) accepts: Option<u16>,
    pub(crate) response_limit: usize,
}

impl Call {
    fn new(method: Method, path: &str) -> Call {
        Call {
            method,
            target: path.to_owned(),
            body: Bytes::new(),
            idempotent: true,
            stale: false,
            hold: Duration::ZERO,
            accepts: None,
            response_limit: RESPONSE_LIMIT,
        }
    }

    pub(crate) fn get(path: &str) -> Call {
        Call::new(Method::GET, path)
    }

    pub(crate) fn put(path: &str) -> Call {
        Call::new(Method::PUT, path)
    }

    pub(crate) fn delete(path: &str) -> Call {
        Call::new(Method::DELETE, path)
    }

    /// Appends text to the path, escaped; slashes stay, because keys are paths.
    pub(crate) fn push(mut self, text: &str) -> Call {
        escape(&mut self.target, text, b"/");
        self
    }

    /// Appends a query parameter.
    pub(crate) fn query(mut self, name: &str, value: &str) -> Call {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(name);
        if !value.is_empty() {
            self.target.push('=');
            escape(&mut self.target, value, b"");
        }
        self
    }

    pub(crate) fn query_some(self, name: &str, value: Option<&str>) -> Call {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(crate) fn json(mut self, value: &impl Serialize) -> Call {
        let body = serde_json::to_vec(value).expect("our own wire types have text keys and cannot fail to serialise");
        self.body = body.into();
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Call {
        self.body = body;
        self
    }

    /// Marks the request as one that must not be repeated when it is unknown whether it was carried out.
    pub(crate) fn once(mut self) -> Call {
        self.idempotent = false;
        self
    }

    pub(crate) fn accepting(mut self, status: u16) -> Call {
        self.accepts = Some(status);
        self
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 and `keep`.
fn escape(target: &mut String, text: &str, keep: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
            target.push(byte as char);
        } else {
            write!(target, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}

/// A whole answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) endpoint: Endpoint,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name).and_then(|text| text.parse().ok())
    }

    /// Consul's index; 0 when there is none, which [`crate::Cursor`] knows to handle.
    pub(crate) fn index(&self) -> u64 {
        self.number("x-consul-index").unwrap_or(0)
    }

    pub(crate) fn leader(&self) -> Leader {
        match self.header("x-consul-knownleader") {
            Some("true") => Leader::Known,
            Some(_) => Leader::Unknown,
            None => Leader::NotTold,
        }
    }

    /// Wraps a value with what the headers say.
    pub(crate) fn answer<T>(&self, value: T) -> Answer<T> {
        Answer {
            value,
            index: self.index(),
            leader: self.leader(),
            last_contact: self.number("x-consul-lastcontact").map(Duration::from_millis),
            endpoint: self.endpoint.clone(),
        }
    }

    /// Reads the body as JSON.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.garbled(format!("unexpected JSON ({error}) in {} bytes", self.body.len())))
    }

    /// Reads the body as JSON and converts it to our own type.
    pub(crate) fn read<W: DeserializeOwned, T>(&self, convert: impl FnOnce(W) -> T) -> Result<Answer<T>, Error> {
        Ok(self.answer(convert(self.parse()?)))
    }

    pub(crate) fn garbled(&self, text: String) -> Error {
        Error::Garbled { address: self.endpoint.to_string(), text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_escaped() {
        let call = Call::get("/v1/kv/").push("a b/ü?#%").query("dc", "d&c=1").query("keys", "").query_some("x", None);
        assert_eq!(call.target, "/v1/kv/a%20b/%C3%BC%3F%23%25?dc=d%26c%3D1&keys");
    }
}
