//! MySQL and MariaDB on autopilot, as a user has them: the real binary, real servers, a real Consul or the embedded catalog, and faults.
//!
//! Every test ends with the same question: is every acknowledged write there, and do all members hold the same? Writers follow the catalog,
//! and in places others write to every server that would take it. Names tell the traps that are meant: C, M and Y are traps of Consul,
//! MariaDB and MySQL; D and E are failures that other tools were seen to have. No time is asserted: `cargo xtask bench failover` measures.

mod catalog;
mod chaos;
mod clock;
mod crash;
mod data;
mod disk;
mod life;
mod network;
mod traps;

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilotfish_testing::mysql::{ClusterOptions, Flavour, MySqlCluster, Writer};
use pilotfish_testing::{Consul, ConsulOptions, Kind};

/// One cluster at a time: each is a dozen processes.
static ONE: Mutex<()> = Mutex::new(());

/// A cluster of three on a catalog of its own.
struct Setting {
    catalog: Consul,
    cluster: MySqlCluster,
    _turn: MutexGuard<'static, ()>,
}

fn options(flavour: Flavour, catalog: &[SocketAddr]) -> ClusterOptions {
    ClusterOptions {
        flavour,
        members: 3,
        catalog: catalog.iter().map(ToString::to_string).collect(),
        lease: Duration::from_secs(3),
        more: String::new(),
        pilotfish: None,
        program: Vec::new(),
        machines: Vec::new(),
    }
}

fn patient(flavour: Flavour, catalog: &[SocketAddr]) -> ClusterOptions {
    ClusterOptions { lease: Duration::from_secs(9), ..options(flavour, catalog) }
}

fn turn() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Setting {
    /// On the embedded catalog.
    fn new(flavour: Flavour) -> Setting {
        Setting::on(Consul::start_with(ConsulOptions { kind: Kind::Embedded, ..ConsulOptions::default() }), flavour)
    }

    fn on(catalog: Consul, flavour: Flavour) -> Setting {
        Setting::with(catalog, |catalog| options(flavour, catalog))
    }

    /// With a lease that is long enough for server and catalog to be slow on a busy machine: where nobody may be demoted, and where orders are given.
    fn patient(flavour: Flavour) -> Setting {
        let catalog = Consul::start_with(ConsulOptions { kind: Kind::Embedded, ..ConsulOptions::default() });
        Setting::with(catalog, |catalog| patient(flavour, catalog))
    }

    fn with(catalog: Consul, options: impl FnOnce(&[SocketAddr]) -> ClusterOptions) -> Setting {
        let turn = turn();
        let cluster = MySqlCluster::start(&options(&[catalog.http()]));
        Setting { catalog, cluster, _turn: turn }
    }

    fn http(&self) -> SocketAddr {
        self.catalog.http()
    }

    /// A writer that follows the catalog, at work.
    fn writer(&self) -> Writer {
        let writer = Writer::to_primary(self.http());
        writer.wait_for(50);
        writer
    }

    /// Writers that write to every server, whether or not it should take it.
    fn worst_of_clients(&self) -> Vec<Writer> {
        self.cluster.members.iter().map(|member| Writer::to_server(member.address)).collect()
    }

    /// Kills the server of who leads until another member does: one that is back before the others have voted may lead again.
    #[track_caller]
    fn replaced(&self, first: usize) -> usize {
        let mut killed = None;
        self.cluster.wait_for("another leader", |cluster| {
            if killed.is_none() || cluster.leader() == Some(first) {
                let term = cluster.members[first].report()?["lease"]["term"].as_u64();
                if term > killed {
                    cluster.members[first].kill_server();
                    killed = term;
                }
            }
            cluster.leader().filter(|leader| *leader != first)
        })
    }

    /// Waits for another leader than this one.
    #[track_caller]
    fn other_leader(&self, than: usize) -> usize {
        self.cluster.wait_for("another leader", |cluster| cluster.leader().filter(|leader| *leader != than))
    }

    fn term(&self) -> u64 {
        self.cluster.wait_for("a term", |cluster| {
            cluster.members[cluster.leader()?].report().and_then(|report| report["lease"]["term"].as_u64())
        })
    }
}
