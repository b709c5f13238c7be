//! `/v1/snapshot`: the whole state, out and in. The format is our own: it cannot be given to a Consul, nor one of Consul's to us.

use hyper::Method;

use super::reply::{Meta, Reply};
use super::routes::{Call, Result};
use crate::state::{Command, Refusal, Snapshot};
use crate::wire::gzip;

/// What a snapshot begins with, so that nothing else is taken for one.
const MARK: &[u8] = b"pilotfish catalog snapshot 1\n";

/// Answers.
pub(crate) async fn answer(call: &Call) -> Result<Reply> {
    super::options::check_datacenter(call.query.get("dc"), &call.serving.catalog)?;
    if call.method == Method::PUT { restore(call).await } else { save(call) }
}

fn save(call: &Call) -> Result<Reply> {
    let (snapshot, index) = {
        let state = call.serving.catalog.state();
        (state.snapshot(), state.index())
    };
    let mut body = MARK.to_vec();
    serde_json::to_writer(&mut body, &snapshot)
        .map_err(|error| Refusal::internal(format!("cannot write the snapshot: {error}")))?;
    let reply = Reply { kind: Some("application/x-gzip"), body: gzip::pack(&body).into(), ..Reply::empty(200) };
    Ok(reply.with(Meta::Full(index, None)))
}

async fn restore(call: &Call) -> Result<Reply> {
    let body = gzip::unpack(&call.body)
        .map_err(|reason| Refusal::internal(format!("failed to decompress snapshot: {reason}")))?;
    let Some(json) = body.strip_prefix(MARK) else {
        return Err(Refusal::internal(
            "failed to restore snapshot: this is no snapshot of pilotfish's catalog (Consul's own cannot be restored here)",
        ));
    };
    let snapshot: Snapshot = serde_json::from_slice(json)
        .map_err(|error| Refusal::internal(format!("failed to restore snapshot: {error}")))?;
    call.serving.catalog.submit(Command::Restore(Box::new(snapshot))).await?;
    Ok(Reply::empty(200))
}
