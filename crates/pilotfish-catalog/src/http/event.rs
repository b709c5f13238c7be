//! `/v1/event`.

use std::time::Duration;

use super::options::{Options, check_datacenter};
use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::state::{Answer, Command, Interest, Key, Refusal, State, UserEvent};
use crate::wire::output;
use crate::{identity, patterns};

/// Most bytes of an event with its filters, as Serf sends it (`UserEventSizeLimit`).
const SIZE_LIMIT: usize = 512;

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Fire,
    List,
}

/// Answers.
pub(crate) async fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    match endpoint {
        Endpoint::Fire => fire(call).await,
        Endpoint::List => list(call).await,
    }
}

async fn fire(call: &Call) -> Result<Reply> {
    let name = call.name("Missing name")?;
    check_datacenter(call.query.get("dc"), &call.serving.catalog)?;
    let filter = |name: &str| call.query.get(name).to_owned();
    let event = UserEvent {
        id: identity::uuid(),
        name,
        payload: call.body.to_vec(),
        node_filter: filter("node"),
        service_filter: filter("service"),
        tag_filter: filter("tag"),
        lamport: 0,
    };
    validate(&event)?;
    let Answer::Event(event) = call.serving.catalog.submit(Command::Fire(event)).await? else {
        return Err(Refusal::internal("the catalog did not answer with an event"));
    };
    Ok(Reply::json(&output::event(&event), call.pretty))
}

fn validate(event: &UserEvent) -> Result<()> {
    if !event.tag_filter.is_empty() && event.service_filter.is_empty() {
        return Err(Refusal::internal("Cannot provide tag filter without service filter"));
    }
    for (what, filter) in [("node", &event.node_filter), ("service", &event.service_filter), ("tag", &event.tag_filter)]
    {
        if let Err(error) = patterns::compile(filter) {
            return Err(Refusal::internal(format!("Invalid {what} filter: {error}")));
        }
    }
    let size = event.name.len()
        + event.payload.len()
        + event.node_filter.len()
        + event.service_filter.len()
        + event.tag_filter.len()
        + event.id.len();
    if size > SIZE_LIMIT {
        return Err(Refusal::internal(format!(
            "1 error occurred:\n\t* error broadcasting event to segment \"\": user event exceeds configured limit of \
             {SIZE_LIMIT} bytes before encoding\n\n"
        )));
    }
    Ok(())
}

/// The index of a list of events, which tells one list from another: it is made of the identity of the last one.
fn index(state: &State, name: &str) -> u64 {
    let last = state.events().rev().find(|event| name.is_empty() || event.name == name);
    last.map_or(1, |event| {
        let hex: String = event.id.chars().filter(|letter| *letter != '-').collect();
        let half = |range: std::ops::Range<usize>| {
            hex.get(range).and_then(|part| u64::from_str_radix(part, 16).ok()).unwrap_or(0)
        };
        half(0..16) ^ half(16..32)
    })
}

async fn list(call: &Call) -> Result<Reply> {
    let options = Options::parse(&call.query)?;
    let name = call.query.get("name");
    let catalog = &call.serving.catalog;
    if options.index > 0 {
        // Such an index does not grow: any other one is news.
        let known = options.index;
        let news = |state: &State| if index(state, name) == known { 0 } else { u64::MAX };
        let wait: Duration = options.jittered_wait();
        catalog.until(0, wait, vec![Interest::Key(Key::Events)], news).await;
    }
    let state = catalog.state();
    let wanted = state.events().filter(|event| name.is_empty() || event.name == name);
    let events: Vec<_> = wanted.map(output::event).collect();
    Ok(Reply::json(&events, call.pretty).with(Meta::Index(index(&state, name))))
}
