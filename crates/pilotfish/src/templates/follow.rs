//! Follows one question of templates, and tells the loop each answer.

use std::{sync::Arc, time::Duration};

use pilotfish_consul::{Client, Cursor, Endpoint, Error};
use pilotfish_template::{Query, Value};
use tokio::sync::Notify;

use super::{facts, file};
use crate::supervise::{self, Inquiry, Message, Sender};

/// How long an answer may take, beyond the time for which the catalog holds the question. Consul needs seconds for 10,000 instances on a
/// machine that is busy, and asking again and again would make it no quicker.
const PATIENCE: Duration = Duration::from_secs(15);

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
pub(crate) type Found = supervise::Found<Answer>;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// As a template sees it.
    pub(crate) value: Value,
    /// The agent that gave it; none gives what is in a file.
    pub(crate) endpoint: Option<Endpoint>,
}

impl Told {
    /// Passes on what was found; `Err` says why there is no answer.
    pub(crate) async fn tell(&self, found: Result<Found, String>) {
        let message = Message::Fact { fact: self.fact.clone(), term: self.term, found };
        // The loop is gone only when the supervisor ends.
        let _ = self.inbox.send(message).await;
    }
}

/// A question to the catalog.
struct Asked {
    client: Client,
    query: Query,
    told: Told,
    /// Tells that the agent that was asked may hang.
    again: Arc<Notify>,
}

impl Inquiry for Asked {
    type Value = Answer;

    fn client(&self) -> &Client {
        &self.client
    }

    async fn ask(&self, client: &Client, from: Cursor) -> Result<(Answer, u64), Error> {
        let answer = facts::ask(client, &self.query, from).await?;
        Ok((Answer { value: answer.value, endpoint: Some(answer.endpoint) }, answer.index))
    }

    fn agent(answer: &Answer) -> Option<&Endpoint> {
        answer.endpoint.as_ref()
    }

    async fn tell(&self, found: Result<Found, String>) {
        self.told.tell(found).await;
    }

    async fn again(&self) {
        self.again.notified().await;
    }
}

/// Sends every answer to the loop, until it is aborted. Without a catalog (`None`) only what needs none has answers.
pub(crate) async fn follow(client: Option<Client>, query: Query, told: Told, again: Arc<Notify>) {
    if query.source == "file" {
        return file::follow(&query.name, told).await;
    }
    match client {
        Some(client) => {
            let client = client.with_deadline(PATIENCE);
            supervise::follow(Asked { client, query, told, again }).await;
        }
        None => told.tell(Err("the config names no catalog (key consul)".to_owned())).await,
    }
}
