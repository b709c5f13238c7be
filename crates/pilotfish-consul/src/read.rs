//! Options that reads of the catalog, health and KV share.

use std::time::Duration;

use crate::call::Call;
use crate::cursor::Cursor;

/// How fresh an answer must be (Consul documentation, API, "Consistency Modes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// The leader answers, by its lease: strongly consistent but for a rare partition.
    #[default]
    Default,
    /// The leader answers after it has asked a quorum.
    Consistent,
    /// Any server answers, even without a leader; see [`crate::Answer::leader`] and [`crate::Answer::last_contact`].
    Stale,
}

/// Options of one read. The default asks the agent's own datacenter and answers at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// Datacenter, instead of the client's.
    pub datacenter: Option<String>,
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// Sort by round-trip time from this node; `_agent` is the agent's own.
    pub near: Option<String>,
    /// A filter expression.
    pub filter: Option<String>,
    /// Only nodes with this metadata.
    pub node_meta: Vec<(String, String)>,
    /// Index to wait on (never 0) and how long; set by [`Read::after`].
    pub blocking: Option<(u64, Duration)>,
}

impl Read {
    /// Makes this a blocking query: the server answers when something has changed since the cursor, or after about `wait`
    /// (Consul allows at most 10 minutes and adds up to a sixteenth).
    pub fn after(&self, cursor: &Cursor, wait: Duration) -> Read {
        Read { blocking: cursor.index().map(|index| (index, wait)), ..self.clone() }
    }

    pub(crate) fn apply(&self, call: Call, datacenter: Option<&str>) -> Call {
        let mut call = call
            .query_some("dc", self.datacenter.as_deref().or(datacenter))
            .query_some("near", self.near.as_deref())
            .query_some("filter", self.filter.as_deref());
        for (key, value) in &self.node_meta {
            call = call.query("node-meta", &format!("{key}:{value}"));
        }
        call = match self.consistency {
            Consistency::Default => call,
            Consistency::Consistent => call.query("consistent", ""),
            Consistency::Stale => call.query("stale", ""),
        };
        call.stale = self.consistency == Consistency::Stale;
        match self.blocking {
            Some((index, wait)) => hold(call.query("index", &index.to_string()), wait),
            None => call,
        }
    }
}

/// Lets the server hold the request: it waits `wait` and up to a sixteenth more (`lib.RandomStagger` in Consul's `blockingQuery`).
pub(crate) fn hold(call: Call, wait: Duration) -> Call {
    let mut call = call.query("wait", &go_duration(wait));
    call.hold = wait + wait / 16;
    call
}

/// A duration as Go reads it, in whole milliseconds.
pub(crate) fn go_duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_parameters() {
        let mut cursor = Cursor::new();
        cursor.advance(7);
        let read = Read {
            near: Some("_agent".into()),
            filter: Some("Service.Meta.a == b".into()),
            node_meta: vec![("rack".into(), "1".into())],
            consistency: Consistency::Stale,
            ..Read::default()
        };
        let call = read.after(&cursor, Duration::from_secs(16)).apply(Call::get("/v1/x"), Some("dc2"));
        let expected =
            "/v1/x?dc=dc2&near=_agent&filter=Service.Meta.a%20%3D%3D%20b&node-meta=rack%3A1&stale&index=7&wait=16000ms";
        assert_eq!(call.target, expected);
        assert_eq!(call.hold, Duration::from_secs(17));
        assert!(call.stale);
    }

    #[test]
    fn a_new_cursor_does_not_block() {
        let call = Read::default().after(&Cursor::new(), Duration::from_secs(60)).apply(Call::get("/v1/x"), None);
        assert_eq!((call.target.as_str(), call.hold), ("/v1/x", Duration::ZERO));
    }
}
