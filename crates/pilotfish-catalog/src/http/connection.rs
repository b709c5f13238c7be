//! Connections: accepted up to a limit, each with deadlines, each request with its own end of a mistake of ours.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::reply::Reply;
use super::routes;
use crate::catalog::Catalog;
use crate::settings::Secret;

/// Connections at one time; more wait in the kernel's queue until one ends.
const CONNECTIONS: usize = 16_384;

/// Bytes of a request's line and headers: keys are part of the line.
const HEAD_LIMIT: usize = 32 * 1024;

/// How long the head of a request may take, and how long a connection may be idle between two: clients that keep connections open look every
/// minute or so.
const HEAD_TIME: Duration = Duration::from_secs(120);

/// A client that sends nothing is asked by the system whether it is still there after this long, again and again: a host that vanished never
/// says goodbye.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15)).with_retries(4);

/// After a failed accept (out of descriptors, for one) the next is tried this much later, because it would fail at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every request is answered with.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) catalog: Catalog,
    /// Who does not show it is refused.
    pub(crate) token: Option<Secret>,
    /// Every answer is laid out for people, as a `-dev` agent does it.
    pub(crate) pretty: bool,
    /// Where it listens, as text.
    pub(crate) address: String,
}

/// Serves; dropping the future closes everything at once.
pub(crate) async fn serve(listener: TcpListener, serving: Arc<Serving>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let serving = Arc::clone(&serving);
        connections.spawn(async move {
            converse(stream, serving).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, serving: Arc<Serving>) {
    // Without it answers wait for the acknowledgement of what was sent before; it only costs speed if it fails.
    let _ = stream.set_nodelay(true);
    // Likewise: whoever waits for ten minutes and has lost its host must not be kept longer.
    let _ = SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE);
    let service = service_fn(move |request| Box::pin(answer(Arc::clone(&serving), request)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_LIMIT)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    // What breaks a connection concerns its client alone.
    let _ = connection.await;
}

async fn answer(serving: Arc<Serving>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let work = pin!(routes::answer(&serving, request));
    let reply =
        Caught(work).await.unwrap_or_else(|()| Reply::text(500, "the catalog made a mistake with this request"));
    Ok(reply.response())
}

/// A future whose panic is an error: one request must not end the others.
struct Caught<F>(F);

impl<F: Future + Unpin> Future for Caught<F> {
    type Output = Result<F::Output, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.0).poll(context))) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(Err(())),
        }
    }
}
