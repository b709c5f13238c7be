//! Reading the body of a request, within limits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

/// How long the body of a request may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long a body that is too long is taken in.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// How much of a body that is too long is still taken in, so that the client reads the answer instead of a broken connection, in bytes.
const DRAIN: usize = 8 * 1024 * 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// It is longer than allowed: so many bytes, as far as is known.
    TooLong(u64),
    /// It did not come, or not in time.
    Broken,
}

/// Reads a body of `limit` bytes at most.
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, NoBody> {
    let announced = body.size_hint().exact().filter(|length| *length > limit as u64);
    let time = if announced.is_some() { DRAIN_TIME } else { BODY_TIME };
    let late = announced.map_or(NoBody::Broken, NoBody::TooLong);
    timeout(time, collect(body, limit)).await.unwrap_or(Err(late))
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, NoBody> {
    let announced = body.size_hint().exact();
    let mut too_long = announced.filter(|length| *length > limit as u64);
    let (mut bytes, mut taken) = (BytesMut::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = match (frame, too_long) {
            (Ok(frame), _) => frame,
            (Err(_), Some(_)) => break,
            (Err(_), None) => return Err(NoBody::Broken),
        };
        let Ok(data) = frame.into_data() else { continue };
        taken += data.len();
        if too_long.is_none() && taken > limit {
            too_long = Some(taken as u64);
        }
        match too_long {
            Some(_) if taken > DRAIN => break,
            Some(_) => bytes.clear(),
            None => bytes.extend_from_slice(&data),
        }
    }
    match too_long {
        Some(length) => Err(NoBody::TooLong(announced.unwrap_or(length.max(taken as u64)))),
        None => Ok(bytes.freeze()),
    }
}
