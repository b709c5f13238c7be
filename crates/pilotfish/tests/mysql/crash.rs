//! Members that die or stand still.

use pilotfish_testing::mysql::{Flavour, Part, board};

use crate::Setting;

/// The primary's server is killed: F-E3, F-E6, M2, M3.
fn the_primarys_server_dies(flavour: Flavour) {
    let setting = Setting::new(flavour);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let second = setting.replaced(first);
    writer.wait_for(100);
    // And again, while the first may still be coming back: F-E7.
    setting.replaced(second);
    writer.wait_for(100);
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(pilotfish_testing::mysql::Writer::stop));
    setting.cluster.verify(&tallies);
}

#[test]
fn m2_e3_e6_e7_a_primarys_server_dies_and_then_its_successors() {
    the_primarys_server_dies(Flavour::MariaDb);
}

#[test]
fn y4_e3_e7_the_same_on_mysql() {
    the_primarys_server_dies(Flavour::MySql);
}

#[test]
fn a_machine_is_lost_and_comes_back() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.cluster.members[first].kill();
    setting.other_leader(first);
    writer.wait_for(100);
    setting.cluster.members[first].start();
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// M6, F-D6: all of the primary stands still for longer than its lease, and goes on. The others leave it before its lease ends; a slow machine may
/// notice too late, but not each time.
#[test]
fn m6_d6_a_frozen_primary_wakes_up_as_a_replica() {
    let setting = Setting::new(Flavour::MariaDb);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let left = (0..5).any(|_| {
        let first = setting.cluster.settle();
        setting.cluster.members[first].freeze();
        let second = setting.other_leader(first);
        writer.wait_for(100);
        let report = setting.cluster.wait_for("a report", |cluster| cluster.members[second].report());
        setting.cluster.members[first].thaw();
        setting.cluster.settle();
        report["decisions"].to_string().contains("source-hangs")
    });
    assert!(left, "nobody left the source while it hung");
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(pilotfish_testing::mysql::Writer::stop));
    setting.cluster.verify(&tallies);
}

/// F-D6: only the server stands still: it is killed, because a hang must not outlive the lease.
#[test]
fn d6_a_hung_server_is_killed() {
    let setting = Setting::new(Flavour::MariaDb);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.cluster.members[first].signal(Part::Server, rustix::process::Signal::STOP);
    setting.other_leader(first);
    writer.wait_for(100);
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// F-D6: only the operator stands still: the server is fenced when the operator wakes up, and until then nobody acknowledges through it.
#[test]
fn d6_a_frozen_operator_loses_the_lease() {
    let setting = Setting::new(Flavour::MariaDb);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.cluster.members[first].signal(Part::Operator, rustix::process::Signal::STOP);
    setting.other_leader(first);
    writer.wait_for(100);
    setting.cluster.members[first].signal(Part::Operator, rustix::process::Signal::CONT);
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(pilotfish_testing::mysql::Writer::stop));
    setting.cluster.verify(&tallies);
}

/// F-E2, F-E7: the new primary dies as soon as it leads, and then the machine of the next is lost.
#[test]
fn e2_e7_faults_during_a_failover() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.cluster.members[first].kill_server();
    // Whoever takes the lease is killed before it is established.
    let taker = setting.cluster.wait_for("somebody to take the lease", |cluster| {
        let holder = |index: &usize| {
            let report = cluster.members[*index].report()?;
            (*index != first && report["lease"]["holder"] == report["id"]).then_some(())
        };
        (0..cluster.members.len()).find(|index| holder(index).is_some())
    });
    setting.cluster.members[taker].kill();
    setting.cluster.members[taker].start();
    setting.cluster.settle();
    writer.wait_for(100);
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// F-E2: who votes dies right after that; its promise outlives it.
#[test]
fn e2_a_voter_dies_during_a_failover() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let term = setting.term();
    setting.cluster.members[first].kill_server();
    let voter = setting.cluster.wait_for("a vote", |_| board::voter(&setting.catalog, term));
    setting.cluster.members[voter].kill();
    // The others get along without it, or the former primary begins a new term; either way nobody waits for the dead.
    writer.wait_for(100);
    setting.cluster.members[voter].start();
    setting.cluster.settle();
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(pilotfish_testing::mysql::Writer::stop));
    setting.cluster.verify(&tallies);
}

/// A supervisor that dies takes operator and server with it: nobody is left who writes and is watched by nobody.
#[test]
fn a_supervisor_dies_and_leaves_nothing_behind() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let pids = [Part::Operator, Part::Server].map(|part| setting.cluster.members[first].pid(part).expect("it runs"));
    setting.cluster.members[first].signal(Part::Supervisor, rustix::process::Signal::KILL);
    setting.cluster.wait_for("operator and server to be gone", |_| {
        // What has ended has no command line, also before somebody has waited for it.
        let line = |pid: &rustix::process::Pid| std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        pids.iter().all(|pid| line(pid).is_ok_and(|line| line.is_empty()) || line(pid).is_err()).then_some(())
    });
    setting.other_leader(first);
    writer.wait_for(100);
    setting.cluster.members[first].kill();
    setting.cluster.members[first].start();
    setting.cluster.settle();
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(pilotfish_testing::mysql::Writer::stop));
    setting.cluster.verify(&tallies);
}

/// All replicas have what clients wait for, and all acknowledgements were lost: more clients than one wait, so nobody else gets a turn at the binary log,
/// and nothing is left to be sent that would be acknowledged.
#[test]
fn lost_acknowledgements_are_no_reason_to_wait_for_ever() {
    let setting = Setting::patient(Flavour::MariaDb);
    let writers: Vec<_> = (0..4).map(|_| setting.writer()).collect();
    let leader = setting.cluster.settle();
    let replicas = [(leader + 1) % 3, (leader + 2) % 3].map(|index| setting.cluster.members[index].client());
    let again = "STOP SLAVE IO_THREAD; START SLAVE IO_THREAD";
    setting.cluster.wait_for("writes to wait", |cluster| {
        // An operator that looks while its receiver stands still attaches it anew, and lets it acknowledge.
        for replica in &replicas {
            if replica.as_operator("SELECT @@global.rpl_semi_sync_slave_enabled")? != ["0"] {
                replica.as_operator(&format!("SET GLOBAL rpl_semi_sync_slave_enabled = 0; {again}"))?;
            }
        }
        let report = cluster.members[leader].report()?;
        (report["server"]["waiting"].as_f64()? >= 1.0).then_some(())
    });
    for replica in &replicas {
        let acking = format!("SET GLOBAL rpl_semi_sync_slave_enabled = 1; {again}");
        replica.as_operator(&acking).expect("the operator's account may do that");
    }
    for writer in &writers {
        writer.wait_for(50);
    }
    assert_eq!(setting.cluster.settle(), leader);
    let tallies: Vec<_> = writers.into_iter().map(pilotfish_testing::mysql::Writer::stop).collect();
    setting.cluster.verify(&tallies);
}

/// F-E8, F-E15: two of three are lost: nobody guesses, it waits and says why; with the second back it goes on.
#[test]
fn e8_e15_two_lost_members_stop_writes_and_lose_nothing() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let (lost, left) = ((leader + 1) % 3, (leader + 2) % 3);
    // At once: nobody is elected between the two.
    setting.cluster.members[lost].freeze();
    setting.cluster.members[leader].kill();
    setting.cluster.members[lost].kill();
    setting.cluster.wait_for_reason(left, "votes-missing");
    setting.cluster.members[lost].start();
    setting.other_leader(leader);
    writer.wait_for(50);
    setting.cluster.members[leader].start();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// F-E15: all are killed at once and started in every order.
#[test]
fn e15_a_full_outage_in_every_order() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let mut tallies = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let writer = setting.writer();
        for member in &mut setting.cluster.members {
            member.kill();
        }
        tallies.push(writer.stop());
        for index in order {
            setting.cluster.members[index].start();
            setting.cluster.wait_for("its server to answer", |cluster| {
                let report = cluster.members[index].report()?;
                (report["server"]["state"] == "running").then_some(())
            });
        }
        setting.cluster.settle();
    }
    setting.cluster.verify(&tallies);
}
