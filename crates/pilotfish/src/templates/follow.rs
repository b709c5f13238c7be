//! Follows one question of templates, and tells the loop each answer.

use pilotfish_consul::{Client, Cursor};
use pilotfish_template::{Query, Value};

use super::facts;
use crate::supervise::{Message, Sender};

/// Whom to tell what was found.
#[derive(Clone)]
pub(crate) struct Told {
    /// The question's name.
    pub(crate) fact: String,
    /// The number of this asking: what an earlier one found is not wanted any more.
    pub(crate) term: u64,
    /// The loop.
    pub(crate) inbox: Sender,
}

/// What came of asking once.
#[derive(Debug)]
pub(crate) struct Found {
    /// The answer.
    pub(crate) value: Value,
    /// The catalog has lost its memory since the answer before.
    pub(crate) restarted: bool,
}

impl Told {
    /// Passes on what was found; `Err` says why there is no answer.
    pub(crate) async fn tell(&self, found: Result<Found, String>) {
        let message = Message::Fact { fact: self.fact.clone(), term: self.term, found };
        // The loop is gone only when the supervisor ends.
        let _ = self.inbox.send(message).await;
    }
}

/// Sends every answer to the loop, until it is aborted. Without a catalog (`None`) only what needs none has answers.
pub(crate) async fn follow(client: Option<Client>, query: Query, told: Told) {
    let Some(client) = client else {
        return told.tell(Err("the config names no catalog (key consul)".to_owned())).await;
    };
    match facts::ask(&client, &query, Cursor::new()).await {
        Ok((value, _)) => told.tell(Ok(Found { value, restarted: false })).await,
        Err(error) => told.tell(Err(error.to_string())).await,
    }
}
