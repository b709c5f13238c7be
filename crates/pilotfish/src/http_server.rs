//! A small HTTP/1.1 server for the control socket and the telemetry port.
//!
//! Every resource that a client could use up has a limit: connections, bytes of head and body, and the time for each of
//! reading and writing. A connection serves one request, so that none lies idle.

mod body;
mod listener;
mod stalling;

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

pub(crate) use body::{Body, Streamer};
use listener::Connection;
pub(crate) use listener::{BindError, Listener};
use stalling::Stalling;

/// What clients may use up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at one time; more wait in the kernel's queue until one ends.
    pub(crate) connections: usize,
    /// Bytes of a request's line and headers; at least 8192.
    pub(crate) head_bytes: usize,
    /// Bytes of a request's body.
    pub(crate) body_bytes: usize,
    /// Time for a request's head, and again for its body.
    pub(crate) read_time: Duration,
    /// Time for which a client may accept no byte of an answer.
    pub(crate) stalled_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 64,
            head_bytes: 16 * 1024,
            body_bytes: 1024 * 1024,
            read_time: Duration::from_secs(10),
            stalled_time: Duration::from_secs(10),
        }
    }
}

/// After a failed accept (out of descriptors, for one) the next is tried this much later, because it would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, then closes the listener and returns the conversations that are under way, those aside in which nobody
/// has asked anything yet. Dropping them ends them.
///
/// Dropping the future closes everything at once. The handler sees only complete requests; what breaks a limit is answered here.
pub(crate) async fn serve<H, F>(
    listener: Listener,
    limits: Limits,
    handler: H,
    stop: impl Future<Output = ()> + Send,
) -> JoinSet<()>
where
    H: Fn(Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
    accept_all(listener, limits, handler, Box::pin(stop)).await
}

/// Answers, as one type for all handlers: each other one would bring a copy of the whole protocol.
type Handler = Arc<dyn Fn(Request<Bytes>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync>;

/// A stream, likewise.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn accept_all(
    listener: Listener,
    limits: Limits,
    handler: Handler,
    mut stop: Pin<Box<dyn Future<Output = ()> + Send + '_>>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    // Dropped with this future, it tells the conversations.
    let (_stopping, told) = watch::channel(());
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return connections,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.connections => {
                let stream: Box<dyn Stream> = match accepted {
                    Ok(Connection::Unix(stream)) => Box::new(stream),
                    Ok(Connection::Tcp(stream)) => Box::new(stream),
                    Err(_) => {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                connections.spawn(converse(stream, limits, handler.clone(), told.clone()));
            }
        }
    }
}

/// Serves the one request of a connection. It is not waited for any more once the other end of `stopping` is gone.
async fn converse(stream: Box<dyn Stream>, limits: Limits, handler: Handler, mut stopping: watch::Receiver<()>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let response = match whole(request, limits).await {
                Ok(request) => handler(request).await,
                Err(refusal) => refusal,
            };
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_time)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Stalling::new(stream, limits.stalled_time)), service);
    tokio::pin!(connection);
    // A client that breaks off or breaks the protocol is no concern of anyone else's.
    tokio::select! {
        biased;
        _ = &mut connection => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Reads a request's body, or says why not.
async fn whole(request: Request<Incoming>, limits: Limits) -> Result<Request<Bytes>, Response<Body>> {
    let (head, body) = request.into_parts();
    match timeout(limits.read_time, Limited::new(body, limits.body_bytes).collect()).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the request's body is longer than {} bytes\n", limits.body_bytes);
            Err(text_response(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
        Ok(Err(_)) => Err(text_response(StatusCode::BAD_REQUEST, "the request's body broke off\n")),
        Err(_elapsed) => {
            let text = format!("the request's body took longer than {:?}\n", limits.read_time);
            Err(text_response(StatusCode::REQUEST_TIMEOUT, text))
        }
    }
}

/// An answer in plain text.
pub(crate) fn text_response(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", text.into())
}

/// An answer of some content type.
pub(crate) fn response(status: StatusCode, content_type: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(content));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// An answer of server-sent events (WHATWG HTML, section 9.2), and the end that events are put in.
///
/// `backlog` is how many events a slow client may lag behind before [`Streamer::send`] refuses.
pub(crate) fn event_stream(backlog: usize) -> (Streamer, Response<Body>) {
    let (streamer, body) = Body::stream(backlog);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    (streamer, response)
}

#[cfg(test)]
mod tests;
