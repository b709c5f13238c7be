//! The servers of the control socket and the telemetry port: opened at the start, moved by a reload, closed at the end.

use std::{net::SocketAddr, time::SystemTime};

use anyhow::Context as _;
use bytes::Bytes;
use hyper::{Request, Response};
use pilotfish_config::{Config, DEFAULT_CONTROL_SOCKET, Level};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{control, inbox::Sender, telemetry};
use crate::{
    errors::UsageError,
    http_server::{BindError, Body, Limits, Listener, serve},
    logging::{Log, Record},
};

/// The servers of one config.
pub(super) struct Servers {
    control: Option<Serving<String>>,
    telemetry: Option<Serving<SocketAddr>>,
    /// A new config may name other addresses.
    pub(super) outdated: bool,
}

/// A server that accepts connections at an address.
struct Serving<A> {
    address: A,
    /// Dropped, it makes the server accept no more.
    stop: oneshot::Sender<()>,
    /// Ready when it accepts no more.
    closed: oneshot::Receiver<()>,
    /// Ends when the last conversation has ended, too.
    task: JoinHandle<()>,
}

impl<A> Serving<A> {
    fn start<H, F>(address: A, listener: Listener, handler: H) -> Serving<A>
    where
        H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (closing, closed) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            let mut under_way = serve(listener, Limits::default(), handler, stopped).await;
            drop(closing);
            // Each has limits of its own, or ends with the supervisor: the answer to the reload that changed the address is one of them.
            while under_way.join_next().await.is_some() {}
        });
        Serving { address, stop, closed, task }
    }

    /// Accepts no more; what is under way goes on.
    async fn close(self) {
        drop(self.stop);
        // An error is what was waited for: the other end is gone.
        let _ = self.closed.await;
    }

    /// Accepts no more; what is returned ends with the last conversation.
    fn end(self) -> JoinHandle<()> {
        drop(self.stop);
        self.task
    }
}

impl Servers {
    /// Binds what the config names.
    pub(super) async fn open(config: &Config, inbox: &Sender, log: &Log) -> anyhow::Result<Servers> {
        let mut servers = Servers { control: None, telemetry: None, outdated: false };
        let socket = &config.control.socket;
        if !socket.is_empty() {
            servers.open_control(socket, inbox, log).await?;
        }
        if let Some(address) = telemetry_address(config)? {
            let listener = Listener::tcp(address).await.map_err(|error| UsageError(error.to_string()))?;
            servers.telemetry = Some(serve_telemetry(address, listener, inbox));
        }
        Ok(servers)
    }

    async fn open_control(&mut self, socket: &str, inbox: &Sender, log: &Log) -> anyhow::Result<()> {
        match Listener::unix(socket.as_ref()).await {
            Ok(listener) => self.control = Some(serve_control(socket, listener, inbox)),
            // A container that runs as an ordinary user, or read-only, has no place for the default socket and never asked for one.
            Err(error @ BindError::Socket { .. }) if socket == DEFAULT_CONTROL_SOCKET => {
                let text = format!("{error}; going on without");
                log.write(&Record::new(Level::Warn, &text), SystemTime::now());
            }
            Err(error) => return Err(UsageError(error.to_string()).into()),
        }
        Ok(())
    }

    /// The socket that is served, if one is.
    pub(super) fn control_socket(&self) -> Option<&str> {
        self.control.as_ref().map(|serving| serving.address.as_str())
    }

    /// The telemetry address that is served, if one is.
    pub(super) fn telemetry_address(&self) -> Option<SocketAddr> {
        self.telemetry.as_ref().map(|serving| serving.address)
    }

    /// Accepts no more, and waits until what is under way has ended.
    pub(super) async fn stop(&mut self) {
        // Both are told before either is waited for.
        let control = self.control.take().map(Serving::end);
        let telemetry = self.telemetry.take().map(Serving::end);
        for task in control.into_iter().chain(telemetry) {
            // A server that panicked serves nobody any more.
            let _ = task.await;
        }
    }

    /// Serves at another address. The old one serves until then, so that nobody finds a closed door meanwhile, unless both need the same port.
    pub(super) async fn move_telemetry(&mut self, wanted: Option<SocketAddr>, inbox: &Sender) -> Result<(), BindError> {
        let Some(address) = wanted else {
            if let Some(old) = self.telemetry.take() {
                old.close().await;
            }
            return Ok(());
        };
        let same_port = self.telemetry.as_ref().is_some_and(|old| old.address.port() == address.port());
        let old = match Listener::tcp(address).await {
            Ok(listener) => self.telemetry.replace(serve_telemetry(address, listener, inbox)),
            Err(error) if !same_port => return Err(error),
            Err(_) => {
                let Some(old) = self.telemetry.take() else { return Ok(()) };
                let old_address = old.address;
                old.close().await;
                let (bound, result) = match Listener::tcp(address).await {
                    Ok(listener) => (Some((address, listener)), Ok(())),
                    Err(error) => (Listener::tcp(old_address).await.ok().map(|old| (old_address, old)), Err(error)),
                };
                self.telemetry = bound.map(|(address, listener)| serve_telemetry(address, listener, inbox));
                return result;
            }
        };
        if let Some(old) = old {
            old.close().await;
        }
        Ok(())
    }

    /// Serves at another socket.
    pub(super) async fn move_control(&mut self, socket: &str, inbox: &Sender) -> Result<(), BindError> {
        let listener = Listener::unix(socket.as_ref()).await?;
        if let Some(old) = self.control.replace(serve_control(socket, listener, inbox)) {
            old.close().await;
        }
        Ok(())
    }
}

/// Where a config wants its metrics to be served.
pub(super) fn telemetry_address(config: &Config) -> anyhow::Result<Option<SocketAddr>> {
    let Some(telemetry) = &config.telemetry else { return Ok(None) };
    let address = telemetry.address.parse().with_context(|| format!("telemetry address {}", telemetry.address))?;
    Ok(Some(SocketAddr::new(address, telemetry.port)))
}

fn serve_control(socket: &str, listener: Listener, inbox: &Sender) -> Serving<String> {
    let inbox = inbox.clone();
    Serving::start(socket.to_owned(), listener, move |request| control::handle(request, inbox.clone()))
}

fn serve_telemetry(address: SocketAddr, listener: Listener, inbox: &Sender) -> Serving<SocketAddr> {
    let inbox = inbox.clone();
    Serving::start(address, listener, move |request| telemetry::handle(request, inbox.clone()))
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpStream, sync::mpsc};

    use super::*;

    #[test]
    fn telemetry_moves_to_another_address_also_with_the_same_port_and_ends() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (inbox, _receiver) = mpsc::channel(1);
            let mut servers = Servers { control: None, telemetry: None, outdated: false };
            let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let first = listener.tcp_address().unwrap();
            servers.telemetry = Some(serve_telemetry(first, listener, &inbox));
            // The wildcard address cannot be had as long as the first one is.
            let wild = SocketAddr::new("0.0.0.0".parse().unwrap(), first.port());
            servers.move_telemetry(Some(wild), &inbox).await.unwrap();
            assert_eq!(servers.telemetry_address(), Some(wild));
            TcpStream::connect(first).await.unwrap();
            // An address that nobody here has: the one that served goes on.
            let foreign = SocketAddr::new("192.0.2.1".parse().unwrap(), first.port());
            servers.move_telemetry(Some(foreign), &inbox).await.unwrap_err();
            assert_eq!(servers.telemetry_address(), Some(wild));
            TcpStream::connect(first).await.unwrap();
            servers.move_telemetry(None, &inbox).await.unwrap();
            assert!(TcpStream::connect(first).await.is_err());
            servers.stop().await;
        });
    }
}
