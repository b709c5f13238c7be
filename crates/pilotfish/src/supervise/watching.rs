//! Follows one question by blocking queries: a change arrives when it happens, and a fault is never an empty answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pilotfish_consul::{
    Backoff, Client, Cursor, Endpoint, Error, Fault, HealthQuery, KvPair, Pace, Read, ServiceInstance, Step,
};
use pilotfish_supervisor::{Event, Member, SHORTEST_HOLD, View, Watch, WatchTarget};
use tokio::sync::Notify;

use super::{
    catalog::{Homes, known},
    inbox::{Message, Sender},
    jitter, owner,
    panics::caught,
};

/// Whom to tell what was found.
pub(crate) struct Told {
    /// The watch's name.
    pub(crate) watch: String,
    /// The number of this asking: what an earlier one found is not wanted any more.
    pub(crate) term: u64,
    /// The loop.
    pub(crate) inbox: Sender,
    /// Where agents are remembered that have answered.
    pub(super) homes: Homes,
}

impl Told {
    async fn tell(&self, event: Event) {
        let message = Message::Watched { watch: self.watch.clone(), term: self.term, event };
        // The loop is gone only when the supervisor ends.
        let _ = self.inbox.send(message).await;
    }
}

/// Something that is asked again and again, and whoever wants to know what was found.
pub(crate) trait Inquiry: Sync {
    /// What an answer gives.
    type Value: Send;

    /// Who is asked.
    fn client(&self) -> &Client;

    /// Asks once, for what has changed since the cursor; the value and its index.
    fn ask(&self, client: &Client, from: Cursor) -> impl Future<Output = Result<(Self::Value, u64), Error>> + Send;

    /// The agent that gave a value.
    fn agent(value: &Self::Value) -> Option<&Endpoint>;

    /// Passes on what was found, or why nothing was; the next question is asked once this is over.
    fn tell(&self, found: Result<Found<Self::Value>, String>) -> impl Future<Output = ()> + Send;

    /// Ends when an open question is to be given up and asked again, wherever somebody answers.
    fn again(&self) -> impl Future<Output = ()> + Send;
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    /// What was found.
    pub(crate) value: T,
    /// The catalog has lost its memory since the answer before.
    pub(crate) restarted: bool,
}

/// Asks by the rules of blocking queries, until it is aborted.
pub(crate) async fn follow<I: Inquiry>(inquiry: I) {
    let mut cursor = Cursor::new();
    let mut backoff = Backoff::new();
    let mut pace = Pace::new();
    let mut restarted = false;
    let mut after_fault = false;
    let mut holder = None;
    let mut since = None;
    loop {
        // What replaces a question that was held comes at once.
        let asked: Instant = since.take().unwrap_or_else(Instant::now);
        // A catalog that was restarted may be far behind our index and would hold the query, so the first question after a fault
        // is not held; the index is still compared with the answer's.
        let from = if after_fault { Cursor::new() } else { cursor };
        // Only who gave the index holds the question: if another did, nobody would know whom to suspect when nothing comes.
        let holding: Option<&Endpoint> = holder.as_ref().filter(|_| from.index().is_some());
        let pinned = holding.map(|holding| inquiry.client().pinned(holding));
        let answer = tokio::select! {
            answer = caught(inquiry.ask(pinned.as_ref().unwrap_or(inquiry.client()), from)) => answer,
            () = inquiry.again() => {
                after_fault = true;
                since = Some(asked);
                continue;
            }
        };
        after_fault = !matches!(answer, Ok(Ok(_)));
        // It fails, and somebody else is there: that one is asked before anything is said of it.
        if after_fault && holding.is_some() && inquiry.client().preferred().as_ref() != holding {
            since = Some(asked);
            continue;
        }
        let (reason, fault) = match answer {
            Ok(Ok((value, index))) => {
                backoff.succeed();
                let step = cursor.advance(index);
                restarted |= step == Step::Reset;
                holder = I::agent(&value).cloned();
                inquiry.tell(Ok(Found { value, restarted })).await;
                if step != Step::Reset {
                    restarted = false;
                }
                match pace.wait(step, asked.elapsed()) {
                    // The loop acts on what was found before the next question is asked; a timer would round up to a millisecond. Twice,
                    // because the exchange has woken this task itself, which makes the first one end at once.
                    Duration::ZERO => {
                        tokio::task::yield_now().await;
                        tokio::task::yield_now().await;
                    }
                    pause => tokio::time::sleep(pause).await,
                }
                continue;
            }
            Ok(Err(error)) => (error.to_string(), error.fault()),
            Err(panicked) => (panicked.to_string(), Fault::Other),
        };
        let pause = backoff.pause(fault, jitter());
        inquiry.tell(Err(reason)).await;
        tokio::time::sleep(pause).await;
    }
}

/// A watch of the config.
pub(crate) struct Watching {
    /// The catalog.
    pub(crate) client: Client,
    /// What is asked.
    pub(crate) watch: Watch,
    /// Who wants to know.
    pub(crate) told: Told,
    /// Tells that the agent that was asked may hang.
    pub(crate) again: Arc<Notify>,
}

impl Inquiry for Watching {
    /// What the watch sees, and who told.
    type Value = (Vec<Member>, Endpoint);

    fn client(&self) -> &Client {
        &self.client
    }

    async fn ask(&self, client: &Client, from: Cursor) -> Result<(Self::Value, u64), Error> {
        ask(client, &self.watch, &from).await
    }

    fn agent((_, endpoint): &Self::Value) -> Option<&Endpoint> {
        Some(endpoint)
    }

    async fn tell(&self, found: Result<Found<Self::Value>, String>) {
        let watch = self.watch.name.clone();
        let event = match found {
            Ok(Found { value: (members, endpoint), restarted }) => {
                Event::Viewed { watch, view: View { members, restarted }, agent: known(&self.told.homes, endpoint) }
            }
            Err(reason) => Event::ViewFailed { watch, reason },
        };
        self.told.tell(event).await;
    }

    async fn again(&self) {
        self.again.notified().await;
    }
}

async fn ask(client: &Client, watch: &Watch, cursor: &Cursor) -> Result<((Vec<Member>, Endpoint), u64), Error> {
    let read = Read { datacenter: watch.datacenter.clone(), ..Read::default() };
    let read = read.after(cursor, watch.interval.max(SHORTEST_HOLD));
    let (mut members, index, endpoint) = match &watch.target {
        WatchTarget::Service { service, tag, .. } => {
            let tags = tag.iter().cloned().collect();
            let query = HealthQuery { service: service.clone(), tags, passing: true, read };
            let answer = client.health_service(&query).await?;
            (answer.value.iter().map(instance).collect::<Vec<_>>(), answer.index, answer.endpoint)
        }
        WatchTarget::Key(key) => {
            let answer = client.kv_get(key, &read).await?;
            (answer.value.iter().map(pair).collect(), answer.index, answer.endpoint)
        }
        WatchTarget::KeyPrefix(prefix) => {
            let answer = client.kv_recurse(prefix, &read).await?;
            (answer.value.iter().map(pair).collect(), answer.index, answer.endpoint)
        }
    };
    members.sort_unstable();
    members.dedup_by(|a, b| a.name == b.name);
    Ok(((members, endpoint), index))
}

fn instance(instance: &ServiceInstance) -> Member {
    let address = if instance.address.is_empty() { &instance.node_address } else { &instance.address };
    let name = match address.contains(':') {
        true => format!("[{address}]:{}", instance.port),
        false => format!("{address}:{}", instance.port),
    };
    // Who registered it is no business of its clients: a restart of a supervisor is no change.
    let meta = instance.meta.iter().filter(|(key, _)| key.as_str() != owner::KEY);
    let meta: Vec<String> = meta.map(|(key, value)| format!("{key}={value}")).collect();
    Member { name, definition: format!("tags={} meta={}", instance.tags.join(","), meta.join(",")) }
}

fn pair(pair: &KvPair) -> Member {
    Member { name: pair.key.clone(), definition: pair.modify_index.to_string() }
}
