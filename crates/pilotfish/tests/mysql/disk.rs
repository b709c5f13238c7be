//! A primary whose disk stands still or is full: each member has a disk of its own. F-E5, F-E17.

use std::sync::Arc;

use pilotfish_testing::mysql::{ClusterOptions, Disk, Flavour, Machine, Writer};
use pilotfish_testing::{Consul, ConsulOptions, Kind};

use crate::{Setting, options};

/// Enough for a server, and for a copy of it that is set aside.
const DISK_MB: u32 = 500;

fn on_disks(reserved: u32) -> Setting {
    let disks: Vec<Disk> = (0..3).map(|_| Disk::new(DISK_MB, reserved)).collect();
    let machines = disks.into_iter().map(|disk| Machine::with_disk(Arc::new(disk))).collect();
    let catalog = Consul::start_with(ConsulOptions { kind: Kind::Embedded, ..ConsulOptions::default() });
    Setting::with(catalog, |catalog| ClusterOptions { machines, ..options(Flavour::MariaDb, catalog) })
}

/// Nothing can be written any more on the primary, and its processes cannot even be killed: another one leads all the same.
#[test]
fn e5_a_primary_whose_disk_stands_still_is_replaced() {
    let setting = on_disks(5);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.cluster.members[first].machine().disk().freeze();
    setting.other_leader(first);
    writer.wait_for(100);
    setting.cluster.members[first].machine().disk().thaw();
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(Writer::stop));
    setting.cluster.settle();
    setting.cluster.verify(&tallies);
}

/// A server whose disk is full waits for somebody to free space, and answers all the while.
fn a_primary_whose_disk_is_full(reserved: u32) {
    let setting = on_disks(reserved);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.cluster.members[first].machine().disk().fill();
    setting.other_leader(first);
    writer.wait_for(100);
    setting.cluster.members[first].machine().disk().make_room();
    // It looks only once a minute whether there is room again.
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(Writer::stop));
    setting.cluster.settle();
    setting.cluster.verify(&tallies);
    let log = setting.cluster.members[first].log();
    assert!(!log.contains("too many acts at once"), "{log}");
}

/// The operator could still write, in what is left for root alone.
#[test]
fn e17_a_primary_whose_disk_is_full_is_replaced() {
    a_primary_whose_disk_is_full(5);
}

/// The operator cannot write either.
#[test]
fn e17_a_primary_whose_disk_is_full_to_the_last_block_is_replaced() {
    a_primary_whose_disk_is_full(0);
}
