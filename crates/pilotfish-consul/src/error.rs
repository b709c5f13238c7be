//! What can go wrong with a call, by what its caller can do about it.

use std::time::Duration;

use crate::backoff::Fault;

/// Longest part of a server's own text that an error repeats, in bytes.
const SERVER_TEXT_LIMIT: usize = 512;

/// A failed call. No variant means "there is nothing": an absent key or an empty list is an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The configuration cannot work; change it.
    #[error("{text}")]
    Config {
        /// What is wrong, and what to do.
        text: String,
    },
    /// TLS could not be agreed on: fix the CA, the certificate, the server name, or the clock. The request was not carried out.
    #[error("cannot open a TLS connection to consul at {address}: {text}")]
    Tls {
        /// Who was asked.
        address: String,
        /// What TLS said.
        text: String,
    },
    /// No connection: the request was not sent. Retry, soon when it was refused.
    #[error("cannot connect to consul at {address}: {text}")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// True when the host answered that nobody listens; false when it did not answer or has no route or name.
        refused: bool,
        /// What the system said.
        text: String,
    },
    /// The connection ended before the answer began. A request that was not idempotent may have been carried out.
    #[error("connection to consul at {address} was lost before it answered: {text}")]
    Lost {
        /// Who was asked.
        address: String,
        /// What the connection said.
        text: String,
    },
    /// The deadline passed. A request that was not idempotent may have been carried out.
    #[error("consul at {address} did not answer {target} within {after:?}")]
    Timeout {
        /// Who was asked last.
        address: String,
        /// Method and path of the request.
        target: String,
        /// The deadline.
        after: Duration,
    },
    /// The server has no leader to ask: what was asked is unknown.
    #[error("consul at {address} has no cluster leader: {text}")]
    NoLeader {
        /// Who was asked.
        address: String,
        /// Consul's own text.
        text: String,
    },
    /// The server cannot answer now (429, 5xx): what was asked is unknown.
    #[error("consul at {address} cannot answer now ({status}): {text}")]
    Unavailable {
        /// Who was asked.
        address: String,
        /// HTTP status.
        status: u16,
        /// Consul's own text.
        text: String,
    },
    /// The token is missing, unknown, expired or lacks a permission.
    #[error("consul at {address} refused the token ({text}); check CONSUL_HTTP_TOKEN or the token file")]
    Denied {
        /// Who was asked.
        address: String,
        /// Consul's own text.
        text: String,
    },
    /// The check, service or session is not known there: register it again.
    #[error("consul at {address} does not know it: {text}")]
    NotFound {
        /// Who was asked.
        address: String,
        /// Consul's own text.
        text: String,
    },
    /// Somebody else holds or has changed it: read again.
    #[error("consul at {address} reports a conflict: {text}")]
    Conflict {
        /// Who was asked.
        address: String,
        /// Consul's own text.
        text: String,
    },
    /// The request itself is wrong: repeating it will not help.
    #[error("consul at {address} rejected the request ({status}): {text}")]
    Invalid {
        /// Who was asked.
        address: String,
        /// HTTP status.
        status: u16,
        /// Consul's own text.
        text: String,
    },
    /// The answer was cut off, too large, or not what Consul documents: what was asked is unknown.
    #[error("cannot read the answer of consul at {address}: {text}")]
    Garbled {
        /// Who was asked.
        address: String,
        /// What was wrong with it.
        text: String,
    },
}

impl Error {
    /// The kind of fault, for [`crate::Backoff`].
    pub fn fault(&self) -> Fault {
        match self {
            Error::Unreachable { refused: true, .. } => Fault::Refused,
            Error::Config { .. }
            | Error::Tls { .. }
            | Error::Unreachable { .. }
            | Error::Lost { .. }
            | Error::Timeout { .. }
            | Error::NoLeader { .. }
            | Error::Unavailable { .. }
            | Error::Denied { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::Invalid { .. }
            | Error::Garbled { .. } => Fault::Other,
        }
    }

    /// Whether a request that failed like this may nevertheless have been carried out.
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Error::Lost { .. }
            | Error::Timeout { .. }
            | Error::NoLeader { .. }
            | Error::Unavailable { .. }
            | Error::Garbled { .. } => true,
            Error::Config { .. }
            | Error::Tls { .. }
            | Error::Unreachable { .. }
            | Error::Denied { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::Invalid { .. } => false,
        }
    }

    /// What is told of two servers that failed one after the other. One that is there but cannot answer says more than one that is not there;
    /// of those that are not there, all are told.
    pub(crate) fn and(self, next: Error) -> Error {
        match (self, next) {
            (
                Error::Unreachable { address, refused, text },
                Error::Unreachable { address: other, refused: other_refused, text: other_text },
            ) => {
                let text = if text == other_text { text } else { format!("{text}, {other_text}") };
                // Only if nobody hangs a quick retry costs nothing.
                Error::Unreachable { address: format!("{address}, {other}"), refused: refused && other_refused, text }
            }
            (Error::Unreachable { .. }, next) => next,
            (before, _) => before,
        }
    }

    /// Whether another server may do better.
    pub(crate) fn is_about_the_server(&self) -> bool {
        match self {
            Error::Tls { .. } | Error::Unreachable { .. } => true,
            Error::Config { .. }
            | Error::Denied { .. }
            | Error::NotFound { .. }
            | Error::Conflict { .. }
            | Error::Invalid { .. } => false,
            Error::Lost { .. }
            | Error::Timeout { .. }
            | Error::NoLeader { .. }
            | Error::Unavailable { .. }
            | Error::Garbled { .. } => true,
        }
    }
}

/// Texts by which a server says that it has no leader (`structs.ErrNoLeader`, `raft.ErrLeadershipLost`, `structs.ErrNoServers`).
const NO_LEADER: [&str; 4] =
    ["No cluster leader", "leadership lost", "node is not the leader", "No known Consul servers"];
/// Texts of status 500 that mean "I do not know this check, service or session" (Consul 1.8.7; newer ones say 404).
const NOT_FOUND: [&str; 5] =
    ["does not have associated TTL", "Unknown service", "unknown service", "Unknown check", "invalid session"];
/// Texts of status 500 that mean "the request is wrong" (Consul 1.8.7).
const INVALID: [&str; 4] = ["boolean expression evaluator", "UUID must be", "Must provide", "invalid duration"];
/// Texts of status 500 that mean "the token is refused".
const DENIED: [&str; 2] = ["Permission denied", "ACL not found"];

/// Judges an answer that is no success.
pub(crate) fn judge(address: String, status: u16, body: &[u8]) -> Error {
    let text = server_text(body);
    let says = |known: &[&str]| known.iter().any(|known| text.contains(known));
    match status {
        401 | 403 => Error::Denied { address, text },
        404 => Error::NotFound { address, text },
        409 | 412 => Error::Conflict { address, text },
        429 => Error::Unavailable { address, status, text },
        400..=499 => Error::Invalid { address, status, text },
        500..=599 if says(&NO_LEADER) => Error::NoLeader { address, text },
        500 if says(&DENIED) => Error::Denied { address, text },
        500 if says(&NOT_FOUND) => Error::NotFound { address, text },
        500 if says(&INVALID) => Error::Invalid { address, status, text },
        500..=599 => Error::Unavailable { address, status, text },
        _ => Error::Garbled { address, text: format!("unexpected status {status}: {text}") },
    }
}

/// The start of a server's text, on one line and without control characters.
fn server_text(body: &[u8]) -> String {
    let head = &body[..body.len().min(SERVER_TEXT_LIMIT)];
    let text = String::from_utf8_lossy(head);
    let text = text.trim();
    if text.is_empty() {
        return "no text".to_owned();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, text: &str) -> String {
        let printed = format!("{:?}", judge("a".into(), status, text.as_bytes()));
        printed.split(' ').next().unwrap().to_owned()
    }

    #[test]
    fn statuses_and_texts_are_judged() {
        let cases = [
            (500, "No cluster leader", "NoLeader"),
            (500, "rpc error making call: No cluster leader", "NoLeader"),
            (500, "leadership lost while committing log", "NoLeader"),
            (500, "CheckID \"x\" does not have associated TTL", "NotFound"),
            (404, "Unknown check ID \"x\". Ensure that the check ID is passed, not the check name.", "NotFound"),
            (404, "unknown service ID: x", "NotFound"),
            (500, "Raft apply error: invalid session \"x\"", "NotFound"),
            (500, "No path to datacenter", "Unavailable"),
            (500, "", "Unavailable"),
            (502, "Bad Gateway", "Unavailable"),
            (503, "no", "Unavailable"),
            (429, "Your IP is issuing too many concurrent connections", "Unavailable"),
            (403, "Permission denied", "Denied"),
            (403, "ACL not found", "Denied"),
            (401, "", "Denied"),
            (500, "Failed to create boolean expression evaluator: 1:5", "Invalid"),
            (400, "Bad request", "Invalid"),
            (413, "too large", "Invalid"),
            (409, "x", "Conflict"),
            (302, "", "Garbled"),
        ];
        for (status, text, expected) in cases {
            assert_eq!(kind(status, text), expected, "{status} {text}");
        }
    }

    #[test]
    fn all_servers_that_are_not_there_are_told() {
        let away = |address: &str, refused, text: &str| Error::Unreachable {
            address: address.into(),
            refused,
            text: text.into(),
        };
        let both = away("a", true, "refused").and(away("b", true, "refused"));
        assert_eq!(both.to_string(), "cannot connect to consul at a, b: refused");
        let three = both.and(away("c", false, "no route"));
        assert_eq!(three, away("a, b, c", false, "refused, no route"));
        let busy = judge("d".into(), 500, b"busy");
        assert_eq!(three.clone().and(busy.clone()), busy);
        assert_eq!(busy.clone().and(three), busy);
    }

    #[test]
    fn server_text_is_short_and_on_one_line() {
        let text = server_text("a\nb\u{1b}[31m".repeat(1000).as_bytes());
        assert!(text.len() <= SERVER_TEXT_LIMIT && !text.contains('\n') && !text.contains('\u{1b}'));
    }
}
