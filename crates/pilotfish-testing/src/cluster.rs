//! Three real Consul servers that elect a leader among themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::consul::{Consul, ConsulOptions, Peers};
use crate::ports::free_port;
use crate::wait::wait_until;

/// Servers of a cluster: the least that survives the loss of one.
const SERVERS: u8 = 3;

/// Whether a test of this process has a cluster. One at a time: each is three servers that must answer each other in time.
static TAKEN: Mutex<bool> = Mutex::new(false);
static RETURNED: Condvar = Condvar::new();

/// The right to have a cluster.
struct Turn;

impl Turn {
    fn take() -> Turn {
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        *RETURNED.wait_while(taken, |taken| *taken).unwrap_or_else(PoisonError::into_inner) = true;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        RETURNED.notify_one();
    }
}

/// Three servers on 127.0.0.1, 127.0.0.2 and 127.0.0.3 with the shortest time-outs that Consul allows.
pub struct ConsulCluster {
    /// The servers.
    pub servers: Vec<Consul>,
    /// Given back when the servers have ended.
    _turn: Option<Turn>,
}

impl ConsulCluster {
    /// Starts the servers, when no other test has a cluster, and waits until all of them know the leader.
    ///
    /// # Panics
    /// When they find no leader.
    pub fn start() -> ConsulCluster {
        let turn = Turn::take();
        ConsulCluster { _turn: Some(turn), ..ConsulCluster::launch(None) }
    }

    /// The same with this binary, whoever else has a cluster.
    ///
    /// # Panics
    /// When they find no leader.
    pub fn start_with(consul: Option<&Path>) -> ConsulCluster {
        ConsulCluster::launch(consul)
    }

    fn launch(consul: Option<&Path>) -> ConsulCluster {
        let ips: Vec<Ipv4Addr> = (1..=SERVERS).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
        let ports: Vec<(u16, u16)> = ips.iter().map(|ip| (free_port((*ip).into()), free_port((*ip).into()))).collect();
        let join: Vec<SocketAddr> =
            ips.iter().zip(&ports).map(|(ip, (serf, _))| SocketAddr::from((*ip, *serf))).collect();
        let start = |(ip, (serf, rpc)): (&Ipv4Addr, &(u16, u16))| {
            let expect = usize::from(SERVERS);
            let peers = Peers { expect, join: join.clone(), serf: *serf, rpc: *rpc };
            let node = format!("server{}", ip.octets()[3]);
            let options = ConsulOptions {
                node: Some(node),
                ip: Some(*ip),
                consul: consul.map(Path::to_path_buf),
                ..ConsulOptions::default()
            };
            Consul::spawn(options, Some(peers))
        };
        let cluster = ConsulCluster { servers: ips.iter().zip(&ports).map(start).collect(), _turn: None };
        cluster.servers.iter().for_each(Consul::wait_for_leader);
        cluster
    }

    /// Kills all of them at once.
    pub fn kill(&mut self) {
        self.servers.iter_mut().for_each(Consul::kill);
    }

    /// Starts all of them again with their data, and waits until they have a leader.
    ///
    /// # Panics
    /// When they find none.
    pub fn start_again(&mut self) {
        self.servers.iter_mut().for_each(Consul::start_again);
        self.servers.iter().for_each(Consul::wait_for_leader);
    }

    /// Position of the leader among the servers, as a server that runs sees it; a leader that was killed is none any more.
    ///
    /// # Panics
    /// When there is none for long.
    pub fn leader(&self) -> usize {
        wait_until("a leader among the servers", || {
            let running = self.servers.iter().filter(|server| server.pid().is_some());
            let (_, body) = running
                .filter_map(|server| server.request("GET", "/v1/status/leader", ""))
                .find(|(status, _)| *status == 200)?;
            let address: SocketAddr = body.trim().trim_matches('"').parse().ok()?;
            let is_leader = |server: &Consul| server.pid().is_some() && server.http().ip() == address.ip();
            self.servers.iter().position(is_leader)
        })
    }
}
