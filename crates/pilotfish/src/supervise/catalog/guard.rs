//! Looks out for services that their agent loses.

use std::{sync::Arc, time::Duration};

use pilotfish_consul::{Backoff, Client, Error};
use pilotfish_supervisor::Event;

use crate::supervise::{
    inbox::{Message, Sender},
    jitter,
    owner::Owner,
};

/// How long the agent holds a query that looks out for the disappearance of a service.
const GUARD_WAIT: Duration = Duration::from_secs(300);

/// Holds a query that the agent answers when the service changes or goes, and that breaks when the agent does.
pub(super) async fn guard(client: Client, service: String, own: Arc<Owner>, inbox: Sender) {
    let mut hash = String::new();
    let mut backoff = Backoff::new();
    loop {
        match client.agent_service_blocking(&service, &hash, GUARD_WAIT).await {
            Ok(answer) => {
                backoff.succeed();
                if let Some(by) = own.other(&answer.value.meta).map(str::to_owned) {
                    let _ = inbox.send(Message::Event(Event::ServiceTaken { service, by })).await;
                    return;
                }
                if answer.value.content_hash == hash || answer.value.content_hash.is_empty() {
                    // The wait has passed, or the agent is too old to hold the query: never ask in a tight loop.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                hash = answer.value.content_hash;
            }
            Err(Error::NotFound { .. }) => {
                let _ = inbox.send(Message::Event(Event::ServiceMissing { service })).await;
                return;
            }
            Err(error) => tokio::time::sleep(backoff.pause(error.fault(), jitter())).await,
        }
    }
}
