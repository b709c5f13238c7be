//! A network of machines in which packets vanish as a test says.
//!
//! ```text
//!  machine 1 ── eth0 10.99.1.2 ──── 10.99.1.1 ─┐
//!  machine 2 ── eth0 10.99.2.2 ──── 10.99.2.1 ─┼─ router: the test, its clients, the catalog at 10.99.0.1
//!  machine 3 ── eth0 10.99.3.2 ──── 10.99.3.1 ─┘
//! ```
//!
//! Each is a network namespace without a name, which lives as long as a process that does nothing else; that one dies with the thread that made it.
//! So nothing is left behind however a test ends, and no other test can be in the way. What is lost is lost at the router: whoever has sent it
//! is told nothing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where programs are that need not be on everybody's PATH.
pub(super) const PATH: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

/// A network namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    holder: Child,
    file: File,
}

impl Namespace {
    /// Makes one; the script is run in it.
    fn make(script: &str) -> Namespace {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--net", "sh", "-c"]).env("PATH", PATH);
        command.arg(format!("set -e\n{script}\necho\nexec sleep infinity"));
        let mut holder = command.stdout(Stdio::piped()).spawn().expect("setpriv can be executed");
        let read = holder.stdout.as_mut().expect("it is piped").read(&mut [0]);
        assert_eq!(read.ok(), Some(1), "no network namespace of its own: this test needs root");
        let file = File::open(format!("/proc/{}/ns/net", holder.id())).expect("the holder of the namespace lives");
        Namespace { holder, file }
    }

    /// Moves this thread into it, and so what it starts from now on.
    pub(super) fn enter(&self) {
        let moved = move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network));
        moved.expect("a thread of root may change its network");
    }

    /// Does something in it.
    pub(super) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.enter();
            work()
        };
        std::thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A file that names it, for programs.
    pub(super) fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Where a packet comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A member's machine.
    Member(usize),
    /// Catalog and clients.
    Outside,
}

/// A network.
pub struct Network {
    router: Namespace,
    machines: Vec<Arc<Namespace>>,
}

impl Network {
    /// The catalog's address.
    pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

    /// Runs a test outside, in a thread of its own: a thread does not come back from such a network.
    ///
    /// # Panics
    /// When it cannot be made, or the test panics.
    pub fn run<T: Send>(machines: u8, test: impl FnOnce(&Network) -> T + Send) -> T {
        let inside = || {
            let network = Network::make(machines);
            network.router.enter();
            test(&network)
        };
        std::thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn make(machines: u8) -> Network {
        let outside = Network::OUTSIDE;
        let mut script =
            format!("ip link set lo up\nip addr add {outside}/32 dev lo\necho 1 > /proc/sys/net/ipv4/ip_forward\n");
        for number in 1..=machines {
            script += &format!(
                "ip link add m{number} type veth peer name p{number}\nip addr add 10.99.{number}.1/24 dev m{number}\nip link set m{number} up\n"
            );
        }
        let router = Namespace::make(&script);
        let machine = |number: u8| {
            let machine = Namespace::make("ip link set lo up");
            let to = machine.holder.id();
            router.within(|| program("ip", &format!("link set p{number} name eth0 netns {to}"), ""));
            machine.within(|| {
                program("ip", &format!("addr add {}/24 dev eth0", address(number)), "");
                program("ip", "link set eth0 up", "");
                program("ip", &format!("route add default via 10.99.{number}.1"), "");
            });
            Arc::new(machine)
        };
        let machines = (1..=machines).map(machine).collect();
        Network { router, machines }
    }

    /// A machine's network, and its address there.
    pub(super) fn of(&self, index: usize) -> (Arc<Namespace>, IpAddr) {
        (self.machines[index].clone(), IpAddr::V4(self.address(index)))
    }

    fn address(&self, index: usize) -> Ipv4Addr {
        address(u8::try_from(index + 1).expect("there are few machines"))
    }

    /// From now on the packets vanish for which this is true of where they come from and go to; all others pass.
    ///
    /// # Panics
    /// When the router cannot be told.
    pub fn lose(&self, is_lost: impl Fn(End, End) -> bool) {
        let ends: Vec<End> = (0..self.machines.len()).map(End::Member).chain([End::Outside]).collect();
        let mut rules = String::from("*filter\n");
        for (from, to) in ends.iter().flat_map(|from| ends.iter().map(move |to| (*from, *to))) {
            if from == to || !is_lost(from, to) {
                continue;
            }
            rules += &match (from, to) {
                (End::Member(from), End::Member(to)) => {
                    format!("-A FORWARD -s {} -d {} -j DROP\n", self.address(from), self.address(to))
                }
                (End::Member(from), End::Outside) => format!("-A INPUT -s {} -j DROP\n", self.address(from)),
                (End::Outside, End::Member(to)) => format!("-A OUTPUT -d {} -j DROP\n", self.address(to)),
                (End::Outside, End::Outside) => String::new(),
            };
        }
        // All rules at once, in place of those before.
        self.router.within(|| program("iptables-restore", "", &(rules + "COMMIT\n")));
    }

    /// A member can neither send nor receive.
    pub fn isolate(&self, member: usize) {
        self.lose(|from, to| [from, to].contains(&End::Member(member)));
    }

    /// Nothing is lost any more.
    pub fn heal(&self) {
        self.lose(|_, _| false);
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, number, 2)
}

/// Runs a program in the network of this thread.
fn program(name: &str, words: &str, input: &str) {
    let mut command = Command::new(name);
    command.args(words.split_whitespace()).env("PATH", PATH).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(input.as_bytes()).is_ok());
    let succeeded = child.wait().is_ok_and(|status| status.success());
    assert!(written && succeeded, "{name} {words}\n{input}");
}
