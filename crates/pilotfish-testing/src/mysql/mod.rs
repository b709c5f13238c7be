//! Clusters of MySQL or MariaDB under the real binary, and clients that write down what they were promised.
//!
//! Each member is a supervisor with its operator and its server, on an address of its own in 127.0.0.0/8, or on a [`Machine`] with a network, a disk or
//! a clock of its own. What a test does to it is what happens to machines: processes are killed or stopped, data is written behind the cluster's back, packets
//! vanish, disks stand still.

pub mod board;
pub mod chaos;
mod client;
mod clock;
mod disk;
mod machine;
mod member;
mod network;
mod turns;
mod writer;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;
pub use client::{Client, Session};
pub use clock::Clock;
pub use disk::Disk;
pub use machine::Machine;
pub use member::{Member, Part};
pub use network::{End, Network};
pub use writer::{Tally, Writer};

/// How long a cluster may take to become what it should be: servers are started, copied and recovered meanwhile.
pub const CLUSTER_PATIENCE: Duration = Duration::from_secs(150);
/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `mariadbd` on PATH.
    MariaDb,
    /// What `PILOTFISH_TEST_MYSQLD` names.
    MySql,
}

/// The words that start MySQL's server.
///
/// # Panics
/// When `PILOTFISH_TEST_MYSQLD` does not name it.
pub fn mysqld() -> Vec<String> {
    let words = std::env::var("PILOTFISH_TEST_MYSQLD").unwrap_or_default();
    assert!(
        !words.is_empty(),
        "no MySQL: run the tests with `cargo xtask test`, or set PILOTFISH_TEST_MYSQLD to the words that start one"
    );
    words.split_whitespace().map(str::to_owned).collect()
}

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Whose servers.
    pub flavour: Flavour,
    /// How many members.
    pub members: usize,
    /// Addresses of the catalog, as a config has them.
    pub catalog: Vec<String>,
    /// How long a lease lasts.
    pub lease: Duration,
    /// More of the section `mysql`, as JSON5 with a comma at its end.
    pub more: String,
    /// The binary, if not the one beside the tests.
    pub pilotfish: Option<PathBuf>,
    /// The words that start the server, if they are not known otherwise.
    pub program: Vec<String>,
    /// What is special about the machines of the members, from the first on.
    pub machines: Vec<Machine>,
}

/// A cluster. Everything of it is killed, and its data removed, on drop.
pub struct MySqlCluster {
    /// The members.
    pub members: Vec<Member>,
    /// Listens as long as the network is ours.
    _claim: TcpListener,
}

/// Nobody connects to it: whoever listens there, at the first address of a network, has the network.
const CLAIM_PORT: u16 = 13305;
/// The first of the networks, by their second number, and how many there are. Members have fixed ports, so each cluster of each process that
/// runs at the same time has a network of its own.
const NETWORKS: std::ops::Range<u8> = 100..220;

/// The next cluster of this process does not meet what is left of the one before.
static NEXT: AtomicU8 = AtomicU8::new(1);

/// A network that nobody else has.
fn claim() -> (TcpListener, u8, u8) {
    let third = NEXT.fetch_add(1, Ordering::Relaxed);
    let count = u32::from(NETWORKS.end - NETWORKS.start);
    for attempt in 0..count {
        let second = NETWORKS.start + u8::try_from((std::process::id() + attempt) % count).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::new(127, second, third, 1), CLAIM_PORT)) {
            return (listener, second, third);
        }
    }
    panic!("no network is free");
}

impl MySqlCluster {
    /// Starts the members, and waits until one leads and all others are in sync.
    ///
    /// # Panics
    /// When they do not get there.
    pub fn start(options: &ClusterOptions) -> MySqlCluster {
        let (claim, second, third) = claim();
        let address = |index: usize| Ipv4Addr::new(127, second, third, u8::try_from(index + 1).unwrap_or(0));
        let members = (0..options.members).map(|index| Member::new(index, IpAddr::V4(address(index)), options));
        let mut cluster = MySqlCluster { members: members.collect(), _claim: claim };
        cluster.members.iter_mut().for_each(Member::start);
        cluster.settle();
        cluster
    }

    /// Another member with the number of one, on a machine of its own. It is not started, and not one of the cluster's.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn namesake(&self, index: usize, options: &ClusterOptions) -> Member {
        let IpAddr::V4(address) = self.members[index].address else { panic!("members have addresses in 127.0.0.0/8") };
        let [first, second, third, fourth] = address.octets();
        Member::new(index, IpAddr::V4(Ipv4Addr::new(first, second, third, fourth + 100)), options)
    }

    /// Waits until one member leads and takes writes, and all that run are in sync; its position among the members.
    ///
    /// # Panics
    /// When that does not happen.
    #[track_caller]
    pub fn settle(&self) -> usize {
        self.wait_for("a settled cluster", MySqlCluster::settled)
    }

    /// The member that leads and takes writes, if all that run are in sync and it has nothing to do.
    pub fn settled(&self) -> Option<usize> {
        let up = self.members.iter().filter(|member| member.is_up()).count();
        let leader = self.leader()?;
        let report = self.members[leader].report()?;
        let in_sync = report["lease"]["inSync"].as_array()?.len();
        let acks = report["lease"]["acks"].as_u64()?;
        let calm = report["why"]["code"] == "settled" && report["doing"].is_null();
        (in_sync + 1 == up && (acks > 0 || up == 1) && calm).then_some(leader)
    }

    /// The member that leads by its own account: it holds the lease, and takes writes. One that is cut off may not know yet that it was
    /// replaced: then the one of the highest term.
    pub fn leader(&self) -> Option<usize> {
        let term = |member: &Member| {
            let report = member.report()?;
            let holds = report["lease"]["holder"] == report["id"] && report["lease"]["primary"] == report["id"];
            let held = report["lease"]["state"] == "held";
            let open = report["server"]["writable"] == true && report["role"] == "primary" && report["healthy"] == true;
            report["lease"]["term"].as_u64().filter(|_| holds && held && open)
        };
        let up = self.members.iter().enumerate().filter(|(_, member)| member.is_up());
        let (_, leader) = up.filter_map(|(index, member)| Some((term(member)?, index))).max()?;
        Some(leader)
    }

    /// Looks until `condition` gives a value.
    ///
    /// # Panics
    /// When it gives none within [`CLUSTER_PATIENCE`]; the members' last words are printed.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, mut condition: impl FnMut(&MySqlCluster) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(value) = condition(self) {
                return value;
            }
            assert!(began.elapsed() < CLUSTER_PATIENCE, "waited in vain for {what}\n{}", self.last_words());
            std::thread::sleep(INTERVAL);
        }
    }

    /// Waits until a member's report says that it waits for this reason.
    #[track_caller]
    pub fn wait_for_reason(&self, member: usize, code: &str) -> Value {
        self.wait_for(code, |cluster| {
            let report = cluster.members[member].report()?;
            (report["why"]["code"] == code).then_some(report)
        })
    }

    /// Waits until all members that run hold the same data as the leader. Everything that clients were promised must be there, and two servers cannot
    /// have promised at the same time: between two that did, a term has begun.
    ///
    /// # Panics
    /// When something is lost, servers took turns more often than terms began, or members stay different.
    #[track_caller]
    pub fn verify(&self, tallies: &[Tally]) {
        let leader = self.settle();
        let there = self.members[leader].client().keys();
        for tally in tallies {
            let lost: Vec<_> = tally.acknowledged.iter().filter(|key| !there.contains(key)).collect();
            assert!(lost.is_empty(), "lost {} acknowledged writes: {lost:?}\n{}", lost.len(), self.last_words());
        }
        let promises = tallies.iter().flat_map(|tally| {
            let times = tally.sent.iter().copied().zip(tally.times.iter().copied());
            times.zip(tally.servers.iter().copied()).map(|((sent, answered), server)| (sent, answered, server))
        });
        let turns = turns::certain_turns(promises.collect()) as u64;
        let term = self.wait_for("a term", |cluster| cluster.members[leader].report()?["lease"]["term"].as_u64());
        assert!(turns < term, "servers took {turns} turns in {term} terms\n{}", self.last_words());
        self.wait_for("equal data on all members", |cluster| {
            let sums: Option<Vec<String>> = cluster
                .members
                .iter()
                .filter(|member| member.is_up())
                .map(|member| member.client().checksum())
                .collect();
            let sums = sums?;
            sums.iter().all(|sum| *sum == sums[0]).then_some(())
        });
    }

    /// The ends of all members' logs.
    pub fn last_words(&self) -> String {
        self.members.iter().map(Member::last_words).collect::<Vec<_>>().join("\n")
    }
}

/// Asks a member's operator.
pub(crate) fn ask(address: SocketAddr, path: &str) -> Option<Value> {
    let (_, body) = http::request(address, "GET", path, None, "")?;
    serde_json::from_str(&body).ok()
}
