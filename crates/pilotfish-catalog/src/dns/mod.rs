//! DNS for names that end with `.consul`, over UDP and TCP.
//!
//! ```text
//! datagram or stream --> message::read --> answer(&State) --> Query::write       pure, but for the sockets here
//! ```
//!
//! Two hundred lines of our own, where a library of the whole of DNS is larger than the rest of the catalog: nothing is asked of others here,
//! nothing is cached, and six kinds of records are all there are.

mod answer;
mod message;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::catalog::Catalog;
use crate::identity::chance;
use crate::state::State;
use message::Unanswerable;

/// Connections at one time; further ones wait.
const CONNECTIONS: usize = 256;

/// How long a connection may be silent, or not take its answer.
const IDLE: Duration = Duration::from_secs(10);

/// After an error of a socket that will not go away at once.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The largest message over TCP in bytes: its length is a number of 16 bits.
const TCP_SIZE: usize = 65_535;

/// How often two sockets are tried for one port, where any will do.
const ATTEMPTS: usize = 16;

/// The sockets.
#[derive(Debug)]
pub(crate) struct Dns {
    udp: UdpSocket,
    tcp: TcpListener,
    address: SocketAddr,
}

impl Dns {
    /// Listens.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Dns> {
        let mut attempts = 0;
        loop {
            let tcp = TcpListener::bind(address).await?;
            let bound = tcp.local_addr()?;
            match UdpSocket::bind(bound).await {
                Ok(udp) => return Ok(Dns { udp, tcp, address: bound }),
                // The system chose a port that is free for one of the two alone.
                Err(_) if address.port() == 0 && attempts < ATTEMPTS => attempts += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers until it is dropped; for ever, if there is nothing to answer on.
pub(crate) async fn serve(dns: Option<Dns>, catalog: &Catalog) {
    match dns {
        Some(Dns { udp, tcp, address: _ }) => _ = tokio::join!(datagrams(&udp, catalog), streams(&tcp, catalog)),
        None => std::future::pending().await,
    }
}

/// The answer to a message, if it has one.
fn reply(state: &State, message: &[u8], over_udp: bool) -> Option<Vec<u8>> {
    let query = match message::read(message) {
        Ok(query) => query,
        Err(Unanswerable::Ignored) => return None,
        Err(Unanswerable::Told(answer)) => return Some(answer),
    };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let response = answer::answer(state, &query, chance(), u32::try_from(seconds).unwrap_or(u32::MAX));
    Some(query.write(&response, if over_udp { query.udp_size() } else { TCP_SIZE }))
}

async fn datagrams(socket: &UdpSocket, catalog: &Catalog) {
    // Questions are short; what is longer is none.
    let mut buffer = [0; 4096];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                let answer = reply(&catalog.state(), &buffer[..length], true);
                if let Some(answer) = answer {
                    // Who asked asks again if it gets lost.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
            Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
        }
    }
}

async fn streams(listener: &TcpListener, catalog: &Catalog) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let catalog = catalog.clone();
                connections.spawn(async move {
                    // It ends when the client goes, is silent, or does not take its answers.
                    let _ = answer_stream(stream, &catalog).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn answer_stream(mut stream: TcpStream, catalog: &Catalog) -> io::Result<()> {
    loop {
        let length = timeout(IDLE, stream.read_u16()).await??;
        let mut message = vec![0; usize::from(length)];
        timeout(IDLE, stream.read_exact(&mut message)).await??;
        let answer = reply(&catalog.state(), &message, false);
        let Some(answer) = answer else { return Ok(()) };
        // It is no longer than that.
        let mut bytes = (answer.len() as u16).to_be_bytes().to_vec();
        bytes.extend_from_slice(&answer);
        timeout(IDLE, stream.write_all(&bytes)).await??;
    }
}
