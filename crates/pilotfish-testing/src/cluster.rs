//! Three real Consul servers that elect a leader among themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::consul::{Consul, ConsulOptions, Peers};
use crate::ports::free_port;
use crate::wait::wait_until;

/// Servers of a cluster: the least that survives the loss of one.
const SERVERS: u8 = 3;

/// Three servers on 127.0.0.1, 127.0.0.2 and 127.0.0.3 with the shortest time-outs that Consul allows.
pub struct ConsulCluster {
    /// The servers.
    pub servers: Vec<Consul>,
}

impl ConsulCluster {
    /// Starts the servers and waits until all of them know the leader.
    ///
    /// # Panics
    /// When they find no leader.
    pub fn start() -> ConsulCluster {
        ConsulCluster::start_with(None)
    }

    /// The same with this binary.
    ///
    /// # Panics
    /// When they find no leader.
    pub fn start_with(consul: Option<&Path>) -> ConsulCluster {
        let ips: Vec<Ipv4Addr> = (1..=SERVERS).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect();
        let ports: Vec<(u16, u16)> = ips.iter().map(|ip| (free_port((*ip).into()), free_port((*ip).into()))).collect();
        let join: Vec<SocketAddr> =
            ips.iter().zip(&ports).map(|(ip, (serf, _))| SocketAddr::from((*ip, *serf))).collect();
        let start = |(ip, (serf, rpc)): (&Ipv4Addr, &(u16, u16))| {
            let peers = Peers { expect: usize::from(SERVERS), join: join.clone(), serf: *serf, rpc: *rpc };
            let node = format!("server{}", ip.octets()[3]);
            let options = ConsulOptions {
                node: Some(node),
                ip: Some(*ip),
                consul: consul.map(Path::to_path_buf),
                ..ConsulOptions::default()
            };
            Consul::spawn(options, Some(peers))
        };
        let cluster = ConsulCluster { servers: ips.iter().zip(&ports).map(start).collect() };
        cluster.servers.iter().for_each(Consul::wait_for_leader);
        cluster
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
