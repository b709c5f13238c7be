//! Answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode, header};
use serde::Serialize;

use super::options::Consistency;
use crate::state::Refusal;
use crate::wire::write;

/// What an answer tells of the index at which it was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meta {
    /// Nothing.
    None,
    /// `X-Consul-Index` alone.
    Index(u64),
    /// That, the leader and the last contact; with the consistency where Consul tells it.
    Full(u64, Option<Consistency>),
    /// The leader and the last contact alone.
    Contact,
    /// What Consul tells when a query failed half-way.
    Failed,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: Option<&'static str>,
    pub(crate) meta: Meta,
    pub(crate) extra: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// Whether it comes from an endpoint; other answers have fewer headers.
    pub(crate) plain: bool,
}

/// The kind of JSON.
pub(crate) const JSON: &str = "application/json";
/// The kind of an error.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Reply {
        Reply { status, kind: None, meta: Meta::None, extra: Vec::new(), body: Bytes::new(), plain: false }
    }

    /// An answer in JSON.
    pub(crate) fn json(value: &impl Serialize, pretty: bool) -> Reply {
        Reply { kind: Some(JSON), body: write::json(value, pretty).into(), ..Reply::empty(200) }
    }

    /// An answer in words.
    pub(crate) fn text(status: u16, text: impl Into<String>) -> Reply {
        Reply { kind: Some(TEXT), body: text.into().into(), ..Reply::empty(status) }
    }

    /// With the index at which it was true.
    pub(crate) fn with(self, meta: Meta) -> Reply {
        Reply { meta, ..self }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.extra.push((name, value.into()));
        self
    }

    /// The answer as it is sent.
    pub(crate) fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        // Statuses are constants of ours.
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if let Some(kind) = self.kind {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if !self.plain {
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let mut add = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        let (index, contact) = match self.meta {
            Meta::None => (None, None),
            Meta::Index(index) => (Some(index), None),
            Meta::Full(index, consistency) => {
                if let Some(consistency) = consistency {
                    add("x-consul-effective-consistency", consistency.name());
                }
                (Some(index), Some("true"))
            }
            Meta::Contact => (None, Some("true")),
            Meta::Failed => (Some(1), Some("false")),
        };
        if let Some(index) = index {
            add("x-consul-index", &index.max(1).to_string());
        }
        if let Some(leader) = contact {
            add("x-consul-knownleader", leader);
            add("x-consul-lastcontact", "0");
        }
        for (name, value) in &self.extra {
            add(name, value);
        }
        response
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply::text(refusal.status, refusal.text)
    }
}
