//! Packets that vanish: each member has a network of its own, on a real Consul. F-D4, F-E13, F-E18.

use std::net::SocketAddr;
use std::time::Instant;

use pilotfish_testing::mysql::{ClusterOptions, End, Flavour, Machine, MySqlCluster, Network, Tally, Writer};
use pilotfish_testing::{Consul, ConsulOptions, Kind, OnlyConsul};

use crate::{options, patient, turn};

/// Three machines, and a catalog outside of them.
struct Place<'a> {
    network: &'a Network,
    catalog: Consul,
    cluster: MySqlCluster,
}

impl Place<'_> {
    fn with(
        options: impl FnOnce(Flavour, &[SocketAddr]) -> ClusterOptions + Send,
        test: impl FnOnce(Place<'_>) + Send,
    ) {
        let _turn = turn();
        Network::run(3, move |network| {
            let kind = Kind::Consul(OnlyConsul::OtherHost);
            let catalog =
                Consul::start_with(ConsulOptions { kind, ip: Some(Network::OUTSIDE), ..ConsulOptions::default() });
            let machines = (0..3).map(|index| Machine::in_network(network, index)).collect();
            let options = ClusterOptions { machines, ..options(Flavour::MariaDb, &[catalog.http()]) };
            let cluster = MySqlCluster::start(&options);
            test(Place { network, catalog, cluster });
        });
    }

    fn writer(&self) -> Writer {
        let writer = Writer::to_primary(self.catalog.http());
        writer.wait_for(50);
        writer
    }

    /// On every machine a client that writes to its own server, whether or not that should take it: no network is between them.
    fn clients_beside(&self) -> Vec<Writer> {
        self.cluster.members.iter().map(Writer::beside).collect()
    }

    /// Waits for another leader than `first`, and until the server of that one takes no writes any more.
    #[track_caller]
    fn other_leader(&self, first: usize) -> usize {
        let second =
            self.cluster.wait_for("another leader", |cluster| cluster.leader().filter(|leader| *leader != first));
        self.cluster.wait_for("the old primary to be fenced", |cluster| {
            let report = cluster.members[first].report()?;
            (report["server"]["writable"] != true).then_some(())
        });
        second
    }
}

fn stop(writers: impl IntoIterator<Item = Writer>) -> Vec<Tally> {
    writers.into_iter().map(Writer::stop).collect()
}

/// The primary is cut off from everybody, and nobody is told: another one is elected, and the old one acknowledges nothing meanwhile, not even to
/// clients on its own machine.
#[test]
fn d4_e13_e18_a_primary_that_is_cut_off_from_all_fences_itself() {
    Place::with(options, |place| {
        let (writer, beside) = (place.writer(), place.clients_beside());
        let first = place.cluster.settle();
        let cut = Instant::now();
        place.network.isolate(first);
        place.other_leader(first);
        writer.wait_for(100);
        println!("from the last write before the cut to the first after it: {:?}", writer.tally().longest_gap(cut));
        let others = place.cluster.members.iter().enumerate().filter(|(index, _)| *index != first);
        let tally = writer.tally();
        let opened =
            others.filter_map(|(_, member)| tally.first_of(member.address, cut)).min().expect("one takes writes");
        place.network.heal();
        place.cluster.settle();
        let mut tallies = stop(beside);
        let late = tallies[first].times.iter().find(|time| **time > opened);
        assert_eq!(
            late,
            None,
            "the old primary acknowledged a write after its successor had\n{}",
            place.cluster.last_words()
        );
        tallies.push(writer.stop());
        place.cluster.verify(&tallies);
    });
}

/// What the primary sends arrives, but it receives nothing; later the other way round.
#[test]
fn d4_packets_pass_one_way_only() {
    Place::with(options, |place| {
        let (writer, beside) = (place.writer(), place.clients_beside());
        let first = place.cluster.settle();
        place.network.lose(|_, to| to == End::Member(first));
        place.other_leader(first);
        writer.wait_for(100);
        place.network.heal();
        let second = place.cluster.settle();
        place.network.lose(|from, _| from == End::Member(second));
        place.other_leader(second);
        writer.wait_for(100);
        place.network.heal();
        place.cluster.settle();
        let mut tallies = stop(beside);
        tallies.push(writer.stop());
        place.cluster.verify(&tallies);
    });
}

/// Only the primary cannot reach the catalog. Its replicas still acknowledge for it until they see that its lease has lapsed.
#[test]
fn d4_a_primary_that_is_cut_off_from_the_catalog_is_replaced() {
    Place::with(options, |place| {
        let (writer, beside) = (place.writer(), place.clients_beside());
        let first = place.cluster.settle();
        let ends = |from, to| [from, to] == [End::Member(first), End::Outside];
        place.network.lose(|from, to| ends(from, to) || ends(to, from));
        place.other_leader(first);
        writer.wait_for(100);
        place.network.heal();
        place.cluster.settle();
        let mut tallies = stop(beside);
        tallies.push(writer.stop());
        place.cluster.verify(&tallies);
    });
}

/// No member can reach the catalog, but they can reach each other: nobody is demoted, and writes go on.
#[test]
fn d3_d4_a_cluster_that_is_cut_off_from_the_catalog_goes_on() {
    Place::with(patient, |place| {
        let (writer, beside) = (place.writer(), place.clients_beside());
        let first = place.cluster.settle();
        place.network.lose(|from, to| [from, to].contains(&End::Outside));
        place.cluster.wait_for_reason(first, "riding-out");
        beside[first].wait_for(50);
        place.network.heal();
        assert_eq!(place.cluster.settle(), first);
        writer.wait_for(50);
        let mut tallies = stop(beside);
        tallies.push(writer.stop());
        place.cluster.verify(&tallies);
    });
}

/// The primary holds its lease, but no replica hears of it: nobody else may lead, and its writes wait until the network is whole again.
#[test]
fn d4_a_primary_that_is_cut_off_from_its_replicas_acknowledges_nothing() {
    Place::with(patient, |place| {
        let (writer, beside) = (place.writer(), place.clients_beside());
        let first = place.cluster.settle();
        let is_primary = |end| end == End::Member(first);
        place
            .network
            .lose(|from, to| (is_primary(from) || is_primary(to)) && from != End::Outside && to != End::Outside);
        // Longer than a lease lasts; and it says so.
        place.cluster.wait_for_reason(first, "writes-wait");
        place.cluster.wait_for("commits to wait, and the catalog to say so", |cluster| {
            let report = cluster.members[first].report()?;
            let (_, checks) = place.catalog.request("GET", "/v1/health/checks/mysql-primary", "")?;
            let told = report["healthy"] == false && checks.contains("\"warning\"");
            (told && report["server"]["waiting"].as_f64()? > 10.0).then_some(())
        });
        place.network.heal();
        writer.wait_for(50);
        place.cluster.settle();
        let mut tallies = stop(beside);
        tallies.push(writer.stop());
        place.cluster.verify(&tallies);
    });
}
