//! `/v1/session`.

use super::options::{Options, check_datacenter};
use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::identity;
use crate::state::{Answer, Command, Interest, Key, Refusal, State};
use crate::wire::{output, session as wire};

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Create,
    Destroy,
    Renew,
    Info,
    Node,
    List,
}

#[derive(serde::Serialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

/// Answers.
pub(crate) async fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    match endpoint {
        Endpoint::Create => create(call).await,
        Endpoint::Destroy => destroy(call).await,
        Endpoint::Renew => renew(call).await,
        Endpoint::Info | Endpoint::Node | Endpoint::List => read(call, endpoint).await,
    }
}

async fn create(call: &Call) -> Result<Reply> {
    let catalog = &call.serving.catalog;
    check_datacenter(call.query.get("dc"), catalog)?;
    let node = catalog.state().identity().node.clone();
    let session = wire::create(&call.body, identity::uuid(), &node)?;
    let id = session.id.clone();
    catalog.submit(Command::CreateSession(Box::new(session))).await?;
    Ok(Reply::json(&Created { id }, call.pretty))
}

async fn destroy(call: &Call) -> Result<Reply> {
    check_datacenter(call.query.get("dc"), &call.serving.catalog)?;
    let id = call.name("Missing session")?;
    call.serving.catalog.submit(Command::DestroySession { id }).await?;
    Ok(Reply::json(&true, call.pretty))
}

async fn renew(call: &Call) -> Result<Reply> {
    check_datacenter(call.query.get("dc"), &call.serving.catalog)?;
    let id = call.name("Missing session")?;
    let Answer::Session(session) = call.serving.catalog.submit(Command::RenewSession { id }).await? else {
        return Err(Refusal::internal("the catalog did not answer with a session"));
    };
    Ok(Reply::json(&[output::session(&session)], call.pretty))
}

async fn read(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    let options = Options::parse(&call.query)?;
    let catalog = &call.serving.catalog;
    if let Err(refusal) = options.check_datacenter(catalog) {
        return Ok(Reply::from(refusal).with(Meta::Failed));
    }
    let name = match endpoint {
        Endpoint::Info => call.name("Missing session")?,
        Endpoint::Node => call.name("Missing node name")?,
        Endpoint::List | Endpoint::Create | Endpoint::Destroy | Endpoint::Renew => String::new(),
    };
    if endpoint == Endpoint::Info
        && let Err(refusal) = crate::state::well_formed(&name)
    {
        return Ok(Reply::from(refusal).with(Meta::Failed));
    }
    if options.index > 0 {
        let interests = vec![Interest::Key(Key::Sessions)];
        catalog.until(options.index, options.jittered_wait(), interests, State::sessions_index).await;
    }
    let state = catalog.state();
    let wanted = state.sessions().filter(|session| match endpoint {
        Endpoint::Info => session.id == name,
        Endpoint::Node => session.node == name,
        Endpoint::List | Endpoint::Create | Endpoint::Destroy | Endpoint::Renew => true,
    });
    let sessions: Vec<_> = wanted.map(output::session).collect();
    Ok(Reply::json(&sessions, call.pretty).with(Meta::Full(state.sessions_index(), None)))
}
