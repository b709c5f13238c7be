//! `/v1/status`.

use super::options::check_datacenter;
use super::reply::Reply;
use super::routes::{Call, Result};

/// Endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Leader,
    Peers,
}

/// Answers.
pub(crate) fn answer(call: &Call, endpoint: Endpoint) -> Result<Reply> {
    check_datacenter(call.query.get("dc"), &call.serving.catalog)?;
    let state = call.serving.catalog.state();
    let identity = state.identity();
    let address = match identity.address.contains(':') {
        true => format!("[{}]:{}", identity.address, identity.server_port),
        false => format!("{}:{}", identity.address, identity.server_port),
    };
    Ok(match endpoint {
        Endpoint::Leader => Reply::json(&address, call.pretty),
        Endpoint::Peers => Reply::json(&[address], call.pretty),
    })
}
