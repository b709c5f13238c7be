//! One question to the catalog, and its answer as a template sees it.

use pilotfish_consul::{Client, Cursor, Error};
use pilotfish_template::{Query, Value};

/// The question's name: in status, in the log, and as the state machine knows it. Different questions have different names.
pub(crate) fn name(query: &Query) -> String {
    format!("{} {}", query.source, query.name)
}

/// Whether the answer comes from outside and has to be followed; what does not is known from the start (the environment).
pub(crate) fn is_followed(query: &Query) -> bool {
    query.source != "env"
}

/// Asks once, for what has changed since the cursor; the answer and its index.
pub(crate) async fn ask(client: &Client, query: &Query, from: Cursor) -> Result<(Value, u64), Error> {
    let _ = (client, query, from);
    Ok((Value::Nil, 1))
}

/// Whether something is gone that the old answer still had: a service, an instance, a key. It shrank, or was exchanged in part.
pub(crate) fn loses(old: &Value, new: &Value) -> bool {
    let _ = (old, new);
    false
}

/// Whether the answers are the same, so that nothing has to be rendered again.
pub(crate) fn is_same(old: &Value, new: &Value) -> bool {
    let _ = (old, new);
    false
}
