//! A catalog that is away, wiped, or loses its leader.

use std::time::Duration;

use pilotfish_testing::mysql::{ClusterOptions, Flavour, MySqlCluster, Part, Writer, board};
use pilotfish_testing::{Consul, ConsulCluster, ConsulOptions, Kind, OnlyConsul};

use crate::{Setting, patient, turn};

/// F-D3, F-D14, C4, C5: while the catalog is away the primary goes on, and it stays primary afterwards.
#[test]
fn c4_c5_d3_a_catalog_that_hangs_demotes_nobody() {
    let setting = Setting::patient(Flavour::MariaDb);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let server = setting.cluster.members[leader].pid(Part::Server);
    setting.catalog.pause();
    // Well past the end of its lease, by its own clock.
    setting.cluster.wait_for("the lease to be over", |cluster| {
        let report = cluster.members[leader].report()?;
        (report["lease"]["left"].as_f64()? < -3.0 && report["why"]["code"] == "riding-out").then_some(())
    });
    writer.wait_for(100);
    setting.catalog.resume();
    assert_eq!(setting.cluster.settle(), leader);
    assert_eq!(setting.cluster.members[leader].pid(Part::Server), server, "its server was not restarted");
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// A lease that cannot be given up is tried again and again, and told once.
#[test]
fn what_the_catalog_does_not_answer_is_told_once() {
    let setting = Setting::new(Flavour::MariaDb);
    let leader = setting.cluster.settle();
    let times = |text: &str| text.matches("give up the lease").count();
    let before = times(&setting.cluster.members[leader].log());
    setting.catalog.pause();
    setting.cluster.members[leader].kill_server();
    let decisions = setting.cluster.wait_for("some attempts", |cluster| {
        let report = cluster.members[leader].report()?;
        (report["catalogSilent"].as_f64()? > 4.0).then(|| report["decisions"].to_string())
    });
    let log = setting.cluster.members[leader].log();
    assert_eq!((times(&decisions), times(&log)), (before + 1, before + 1), "{decisions}\n{log}");
    setting.catalog.resume();
    setting.cluster.settle();
}

/// On a real Consul of three servers, whose leader is killed: F-D3, F-D10, C7.
#[test]
fn c7_d3_d10_the_leader_of_three_consuls_is_killed() {
    let turn = turn();
    let mut consul = ConsulCluster::start();
    let addresses: Vec<_> = consul.servers.iter().map(Consul::http).collect();
    let cluster = MySqlCluster::start(&patient(Flavour::MariaDb, &addresses));
    let primary = cluster.settle();
    let server = cluster.members[primary].pid(Part::Server);
    let lost = consul.leader();
    let writer = Writer::to_primary(consul.servers[(lost + 1) % 3].http());
    writer.wait_for(50);
    consul.servers[lost].kill();
    consul.leader();
    writer.wait_for(300);
    assert_eq!(cluster.settle(), primary, "an election of the catalog's is no failover");
    assert_eq!(cluster.members[primary].pid(Part::Server), server);
    // And with one server less a failover works.
    cluster.members[primary].kill_server();
    writer.wait_for(100);
    let tally = writer.stop();
    cluster.verify(&[tally]);
    drop(turn);
}

/// F-D3, C7: the server of the catalog that all members ask first stands still, and everybody goes on with another.
#[test]
fn c7_d3_the_server_that_all_members_ask_hangs() {
    let turn = turn();
    let consul = ConsulCluster::start();
    let leader = consul.leader();
    let [hung, first, second] = [(leader + 1) % 3, leader, (leader + 2) % 3].map(|index| &consul.servers[index]);
    let cluster = MySqlCluster::start(&patient(Flavour::MariaDb, &[hung.http(), first.http(), second.http()]));
    let primary = cluster.settle();
    let server = cluster.members[primary].pid(Part::Server);
    let writer = Writer::to_primary(first.http());
    writer.wait_for(50);
    let term = cluster.members[primary].report().map(|report| report["lease"]["term"].clone());
    hung.pause();
    // A renewal that comes after the fault was not lost with it: a lease is nine seconds, and begun anew at most once before that.
    let renewals = || Some(cluster.members[primary].report()?["lease"]["left"].as_f64()? > 8.0);
    for _ in 0..2 {
        cluster.wait_for("an older lease", |_| (!renewals()?).then_some(()));
        cluster.wait_for("a renewal", |_| renewals()?.then_some(()));
    }
    writer.wait_for(300);
    assert_eq!(cluster.settle(), primary, "nobody was demoted\n{}", cluster.last_words());
    assert_eq!(cluster.members[primary].pid(Part::Server), server, "its server was not restarted");
    assert_eq!(cluster.members[primary].report().map(|report| report["lease"]["term"].clone()), term);
    let (code, text) = cluster.members[primary].command(&["switchover"]);
    assert_eq!(code, 0, "{text}");
    cluster.wait_for("another leader", |cluster| cluster.leader().filter(|leader| *leader != primary));
    writer.wait_for(100);
    hung.resume();
    let tally = writer.stop();
    cluster.verify(&[tally]);
    drop(turn);
}

/// F-D3, F-D14: no server of the catalog is there for much longer than a lease.
#[test]
fn d3_d14_all_three_consuls_are_gone_for_twenty_seconds() {
    let turn = turn();
    let mut consul = ConsulCluster::start();
    let addresses: Vec<_> = consul.servers.iter().map(Consul::http).collect();
    // A third of it may a server be silent, also on a machine that has much else to do.
    let lease = Duration::from_secs(15);
    let cluster = MySqlCluster::start(&ClusterOptions { lease, ..patient(Flavour::MariaDb, &addresses) });
    let primary = cluster.settle();
    let server = cluster.members[primary].pid(Part::Server);
    let writer = Writer::to_primary(addresses[0]);
    writer.wait_for(50);
    consul.kill();
    // The lease was renewed fifteen seconds before its end.
    cluster.wait_for("twenty seconds without a catalog", |cluster| {
        let report = cluster.members[primary].report()?;
        (report["lease"]["left"].as_f64()? < -5.0 && report["why"]["code"] == "riding-out").then_some(())
    });
    writer.wait_for(50);
    consul.start_again();
    assert_eq!(cluster.settle(), primary, "nobody was demoted\n{}", cluster.last_words());
    assert_eq!(cluster.members[primary].pid(Part::Server), server, "its server was not restarted");
    writer.wait_for(50);
    let tally = writer.stop();
    cluster.verify(&[tally]);
    drop(turn);
}

/// F-D9: the catalog is restored from a backup of before a failover: who leads says so again, terms do not fall, and nothing is lost.
#[test]
fn d9_a_catalog_that_goes_back_is_told_better_by_who_leads() {
    let kind = Kind::Consul(OnlyConsul::Judge);
    let options = ConsulOptions { kind, production: true, ..ConsulOptions::default() };
    let setting = Setting::with(Consul::start_with(options), |catalog| patient(Flavour::MariaDb, catalog));
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let backup = setting.catalog.backup();
    let second = setting.replaced(first);
    writer.wait_for(100);
    assert_eq!(setting.cluster.settle(), second);
    let term = setting.term();
    setting.catalog.restore(&backup);
    setting.cluster.wait_for("the lease to be written again", |_| {
        board::lease(&setting.catalog).filter(|(now, holder)| *now >= term && *holder == second)
    });
    writer.wait_for(100);
    assert_eq!(setting.cluster.settle(), second, "{}", setting.cluster.last_words());
    assert!(setting.term() >= term, "terms never fall");
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// F-D9: everything that the catalog knew is gone: nobody bootstraps over data; an operator says whose is the truth.
#[test]
fn d9_a_wiped_catalog_is_adopted_and_never_bootstrapped() {
    let setting = Setting::patient(Flavour::MariaDb);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let tally = writer.stop();
    let term = setting.term();
    setting.catalog.request("DELETE", "/v1/kv/mysql?recurse", "").expect("the catalog answers");
    // Not the leader's: once its lease has passed it has another reason.
    setting.cluster.wait_for_reason((leader + 1) % 3, "catalog-wiped");
    let (code, text) = setting.cluster.members[leader].command(&["adopt"]);
    assert_eq!(code, 0, "{text}\n{}", setting.cluster.last_words());
    let again = setting.writer();
    again.wait_for(50);
    setting.cluster.verify(&[tally, again.stop()]);
    assert!(setting.term() > term, "terms never fall");
}

/// The same cluster on a single real Consul.
#[test]
fn a_real_consul_serves_as_well() {
    let kind = Kind::Consul(OnlyConsul::Judge);
    let setting = Setting::on(Consul::start_with(ConsulOptions { kind, ..ConsulOptions::default() }), Flavour::MariaDb);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    setting.replaced(first);
    writer.wait_for(100);
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}
