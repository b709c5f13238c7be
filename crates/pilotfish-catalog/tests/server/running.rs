//! A catalog of the tests' own, in the same process.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;

use pilotfish_catalog::{Catalog, Server, Settings};
use pilotfish_testing::PATIENCE;
use tokio::sync::oneshot;

/// A server on a thread of its own, ended on drop.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) catalog: Catalog,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) fn settings() -> Settings {
    Settings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "test")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

impl Running {
    pub(crate) fn start(settings: Settings) -> Running {
        let (stop, stopped) = oneshot::channel();
        let (begun, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let server = Server::bind(settings).await.expect("a free port can be bound");
                begun.send((server.address(), server.catalog())).expect("the test waits for it");
                tokio::select! {
                    () = server.run() => {}
                    _ = stopped => {}
                }
            });
        });
        let (address, catalog) = told.recv_timeout(PATIENCE).expect("the server begins");
        Running { address, catalog, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        stream
    }

    /// Sends lines and a body; what comes back until the server closes.
    pub(crate) fn ask(&self, head: &str, body: &str) -> String {
        let mut stream = self.connect();
        let head = head.replace('\n', "\r\n");
        let text = format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(text.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "the server panicked");
        }
    }
}
