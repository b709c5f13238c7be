//! What is special about the machine of a member.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::clock::Clock;
use super::disk::Disk;
use super::network::{Namespace, Network};
use crate::children;

/// A machine. By default it is this one, as for everybody else.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    network: Option<(Arc<Namespace>, IpAddr)>,
    disk: Option<Arc<Disk>>,
    clock: Option<Arc<Clock>>,
}

impl Machine {
    /// One in a network.
    pub fn in_network(network: &Network, index: usize) -> Machine {
        Machine { network: Some(network.of(index)), ..Machine::default() }
    }

    /// One with a disk for the member's data.
    pub fn with_disk(disk: Arc<Disk>) -> Machine {
        Machine { disk: Some(disk), ..Machine::default() }
    }

    /// One with a wall clock by which all processes of the member live.
    pub fn with_clock(clock: Arc<Clock>) -> Machine {
        Machine { clock: Some(clock), ..Machine::default() }
    }

    /// Its disk, if it has one of its own.
    ///
    /// # Panics
    /// When it has none.
    pub fn disk(&self) -> &Disk {
        self.disk.as_ref().expect("the machine was given a disk")
    }

    /// Where the member keeps its data.
    pub(super) fn state(&self) -> Option<PathBuf> {
        self.disk.as_ref().map(|disk| disk.path().join("state"))
    }

    /// Nothing stands still any more, so that processes can be killed.
    pub(super) fn thaw(&self) {
        if let Some(disk) = &self.disk {
            disk.thaw();
        }
    }

    /// Its address, if it has one of its own.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.network.as_ref().map(|(_, address)| *address)
    }

    /// Moves this thread there.
    pub(super) fn enter(&self) {
        if let Some((namespace, _)) = &self.network {
            namespace.enter();
        }
    }

    /// Does something there.
    pub(super) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.network {
            Some((namespace, _)) => namespace.within(work),
            None => work(),
        }
    }

    /// A command that becomes `program`, running there.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = match &self.network {
            Some((namespace, _)) => {
                let mut command = children::mortal("nsenter");
                command.arg(format!("--net={}", namespace.path())).arg(program);
                command
            }
            None => children::mortal(program),
        };
        if let Some(clock) = &self.clock {
            command.envs(clock.environment());
        }
        command
    }
}
