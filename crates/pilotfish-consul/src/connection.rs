//! One HTTP/1.1 connection. It makes progress only while an exchange waits on it, so an idle one costs nothing and a dropped
//! exchange ends its request at once.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{Builder, Connection as Driver, SendRequest};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::elements::Sink;
use crate::stream::Stream;

/// The most that is read at one time, and the most that headers may have, in bytes. Long answers would make it 400 KiB otherwise.
const READ_BUFFER: usize = 32 * 1024;

/// Headers and body of an answer.
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why an exchange failed, by how much of the request can have reached the server.
pub(crate) enum Failure {
    /// Nothing was sent: the connection had been closed before.
    NotSent,
    /// The request was sent, at least in part, and no answer came.
    Lost(String),
    /// As before, and TLS is to blame: a server may refuse a client certificate only after the handshake.
    Tls(String),
    /// The answer began and was not as it should be.
    Garbled(String),
}

/// An open connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver<TokioIo<Stream>, Full<Bytes>>,
    ended: bool,
}

impl Connection {
    pub(crate) async fn new(stream: Stream) -> Result<Connection, hyper::Error> {
        let (sender, driver) = Builder::new().max_buf_size(READ_BUFFER).handshake(TokioIo::new(stream)).await?;
        Ok(Connection { sender, driver, ended: false })
    }

    /// Whether another exchange can follow.
    pub(crate) fn is_open(&self) -> bool {
        !self.ended && !self.sender.is_closed()
    }

    /// Sends one request and reads the whole answer, of at most `limit` bytes; into the sink if there is one and the status is 200.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: usize,
        sink: Option<&mut dyn Sink>,
    ) -> Result<Received, Failure> {
        let Connection { sender, driver, ended } = self;
        let mut exchange = pin!(exchange(sender, request, limit, sink));
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = exchange.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            if !*ended {
                // How the driver ends needs no look: the exchange sees the same end from its side, with what led to it.
                *ended = Pin::new(&mut *driver).poll(cx).is_ready();
            }
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    limit: usize,
    sink: Option<&mut dyn Sink>,
) -> Result<Received, Failure> {
    if sender.ready().await.is_err() {
        return Err(Failure::NotSent);
    }
    let response = match sender.try_send_request(request).await {
        Ok(response) => response,
        Err(mut error) => {
            let sent = error.take_message().is_none();
            return Err(match judge(&error.into_error()) {
                // A server that dislikes the client certificate says so before or after the request has left, as chance will
                // have it.
                Failure::Tls(text) => Failure::Tls(text),
                failure if sent => failure,
                Failure::NotSent | Failure::Lost(_) | Failure::Garbled(_) => Failure::NotSent,
            });
        }
    };
    let (parts, body) = Response::into_parts(response);
    let status = parts.status.as_u16();
    let body = match sink {
        Some(sink) if status == 200 => pour(body, limit, sink).await.map(|()| Bytes::new())?,
        Some(_) | None => collect(body, limit).await?,
    };
    Ok(Received { status, headers: parts.headers, body })
}

/// Passes the body on as it arrives.
async fn pour(mut body: Incoming, limit: usize, sink: &mut dyn Sink) -> Result<(), Failure> {
    sink.begin();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(cut_off)?.into_data() else { continue };
        length += data.len();
        if length > limit {
            return Err(too_large(limit));
        }
        sink.take(&data).map_err(Failure::Garbled)?;
    }
    sink.end().map_err(Failure::Garbled)
}

fn too_large(limit: usize) -> Failure {
    Failure::Garbled(format!("it is larger than {limit} bytes"))
}

fn cut_off(error: hyper::Error) -> Failure {
    Failure::Garbled(format!("it was cut off: {}", chain(&error)))
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Failure> {
    let expected = body.size_hint().lower();
    if expected > limit as u64 {
        return Err(too_large(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(cut_off)?.into_data() else { continue };
        match first.take() {
            // Most answers are one piece, which then needs no copy.
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(head) => {
                rest.reserve((expected as usize).max(head.len() + data.len()));
                rest.extend_from_slice(&head);
                rest.extend_from_slice(&data);
            }
        }
        if rest.len().max(first.as_ref().map_or(0, Bytes::len)) > limit {
            return Err(too_large(limit));
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// Sorts hyper's errors before the first byte of an answer.
fn judge(error: &hyper::Error) -> Failure {
    let mut tls = false;
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        tls |= inner.is_some_and(|inner| inner.is::<rustls::Error>());
        cause = error.source();
    }
    match (tls, error.is_parse()) {
        (true, _) => Failure::Tls(chain(error)),
        (_, true) => Failure::Garbled(chain(error)),
        _ => Failure::Lost(chain(error)),
    }
}

fn chain(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
