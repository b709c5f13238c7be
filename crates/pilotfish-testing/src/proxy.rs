//! A TCP proxy between a client and a real server, whose faults can be switched while connections are open.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait::PATIENCE;

/// Bytes that are passed on at a time.
const CHUNK: usize = 16 * 1024;

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Passes everything on, each piece after this time.
    Delay(Duration),
    /// Accepts connections and bytes, and passes nothing on: a network that drops packets.
    Drop,
    /// Closes new connections at once. Open ones go on.
    Refuse,
}

/// The proxy. It stops on drop.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    mode: Mode,
    streams: Vec<TcpStream>,
    connections: usize,
    stopped: bool,
}

impl Proxy {
    /// Starts a proxy to a server, in [`Mode::Pass`].
    ///
    /// # Panics
    /// When no port can be opened.
    pub fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback can be opened");
        let address = listener.local_addr().expect("a listener has an address");
        let state = State { mode: Mode::Pass, streams: Vec::new(), connections: 0, stopped: false };
        let shared = Arc::new(Shared { target, state: Mutex::new(state), changed: Condvar::new() });
        let acceptor = {
            let shared = shared.clone();
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Proxy { address, shared, acceptor: Some(acceptor) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that it has accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Switches to another mode, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.shared.lock().mode = mode;
        self.shared.changed.notify_all();
    }

    /// Cuts all open connections.
    pub fn cut(&self) {
        for stream in self.shared.lock().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        self.cut();
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        let mut state = shared.lock();
        if state.stopped {
            return;
        }
        state.connections += 1;
        if state.mode == Mode::Refuse {
            continue;
        }
        drop(state);
        let Ok(server) = TcpStream::connect(shared.target) else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let twins = [client.try_clone(), server.try_clone(), client.try_clone(), server.try_clone()];
        let [Ok(kept), Ok(kept_too), Ok(from_client), Ok(from_server)] = twins else { continue };
        shared.lock().streams.extend([kept, kept_too]);
        for (from, to) in [(from_client, server), (from_server, client)] {
            let shared = shared.clone();
            std::thread::spawn(move || {
                pump(&from, &to, &shared);
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            });
        }
    }
}

/// Passes bytes on as the mode of the moment says, until a side closes.
fn pump(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let state = shared.lock();
        let mode = state.mode;
        let waited = match mode {
            Mode::Pass | Mode::Refuse => {
                drop(state);
                false
            }
            Mode::Delay(time) => {
                drop(shared.changed.wait_timeout_while(state, time, |state| !state.stopped));
                false
            }
            Mode::Drop => {
                let over = |state: &mut State| !state.stopped && state.mode == Mode::Drop;
                drop(shared.changed.wait_timeout_while(state, PATIENCE, over));
                true
            }
        };
        // Bytes that a network has dropped are gone, and so is a connection that has lost some.
        if waited || to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
