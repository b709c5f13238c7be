//! What people do on purpose: switch over, stop, pause, look.

use pilotfish_testing::mysql::Flavour;

use crate::{Setting, patient};

fn switches_over(flavour: Flavour) {
    let mut setting = Setting::patient(flavour);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let (code, text) = setting.cluster.members[first].command(&["switchover"]);
    assert_eq!(code, 0, "{text}");
    let second = setting.other_leader(first);
    writer.wait_for(50);
    setting.cluster.settle();
    // SIGTERM to the primary does the same first: M4, M5, Y1, Y2, F-E19.
    setting.cluster.members[second].terminate();
    let status = setting.cluster.members[second].wait();
    assert!(status.success(), "{status}\n{}", setting.cluster.last_words());
    setting.other_leader(second);
    writer.wait_for(50);
    setting.cluster.members[second].start();
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
    let errant = |index: &usize| setting.cluster.members[*index].state().join("aside").exists();
    assert_eq!((0..3).find(errant), None, "nothing was rebuilt: nobody had more than the others");
}

#[test]
fn m4_m5_e12_e19_switchover_and_stop_lose_nothing() {
    switches_over(Flavour::MariaDb);
}

#[test]
fn y1_y2_e12_e19_the_same_on_mysql() {
    switches_over(Flavour::MySql);
}

/// A pool's connections to replicas are there when one of them begins to lead. On MariaDB they would write under the number that a replica has: then nobody
/// knows who wrote what, and a later replica throws it away as its own.
#[test]
fn who_was_connected_to_a_replica_connects_again_when_it_leads() {
    let setting = Setting::patient(Flavour::MariaDb);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let mut pool: Vec<_> = setting.cluster.members.iter().map(|member| member.client().session()).collect();
    for session in &mut pool {
        assert!(session.query("SELECT 1").is_some(), "reads are for everybody");
    }
    let (code, text) = setting.cluster.members[first].command(&["switchover"]);
    assert_eq!(code, 0, "{text}");
    let second = setting.other_leader(first);
    writer.wait_for(50);
    assert_eq!(pool[second].query("SELECT 1"), None, "it is as old as the replica");
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
    let leader = setting.cluster.members[second].client();
    let state = leader.as_operator("SELECT @@global.gtid_binlog_state").expect("the leader answers");
    let writers =
        state.iter().flat_map(|state| state.split(',')).filter_map(|gtid| gtid.split('-').nth(1)?.parse().ok());
    // Whoever was first to lead.
    let lowest: Option<u64> = writers.min();
    assert!(lowest.is_some_and(|number| number > 2_147_483_648), "nobody wrote under a replica's number: {state:?}");
}

#[test]
fn what_people_see_and_order() {
    let setting = Setting::patient(Flavour::MariaDb);
    let leader = setting.cluster.settle();
    let member = &setting.cluster.members[leader];
    // On a busy machine a replica may be out of sync for a moment.
    setting.cluster.wait_for("a status that tells of all", |_| {
        let (code, text) = member.command(&["status"]);
        let told = |part: &&str| text.contains(*part);
        let whole = code == 0 && ["m1", "m2", "m3", "primary", "replica", "2 members"].iter().all(told);
        let (code, text) = member.command(&["status", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&text).ok()?;
        let figures = (code, report["lease"]["acks"].as_u64(), report["copies"].as_u64());
        (whole && figures == (0, Some(1), Some(2))).then_some(())
    });

    // While paused nobody takes over; after it the cluster goes on.
    assert_eq!(member.command(&["pause"]).0, 0);
    setting.cluster.wait_for("the pause to be seen", |cluster| {
        cluster.members.iter().all(|member| member.report().is_some_and(|it| it["paused"] == true)).then_some(())
    });
    let (code, text) = member.command(&["resume"]);
    assert_eq!(code, 0, "{text}");
    setting.cluster.settle();

    let (code, text) = member.command(&["switchover", "--to", "nobody"]);
    assert_ne!(code, 0);
    assert!(text.contains("there is no member `nobody`; there are: m1, m2, m3"), "{text}");
}

/// F-C8: one who has the number of another does not run as long as the other does, and then takes its place.
#[test]
fn c8_a_number_that_was_given_twice() {
    let mut setting = Setting::patient(Flavour::MariaDb);
    let writer = setting.writer();
    let first = setting.cluster.settle();
    let term = setting.term();
    let mut second = setting.cluster.namesake(first, &patient(Flavour::MariaDb, &[setting.http()]));
    second.start();
    let complaint = format!("member {} runs already: {}", first + 1, setting.cluster.members[first].name());
    // It is tried again and again.
    setting
        .cluster
        .wait_for("the second to be refused twice", |_| (second.log().matches(&complaint).count() >= 2).then_some(()));
    writer.wait_for(50);
    assert_eq!((setting.cluster.settle(), setting.term()), (first, term), "nobody noticed");
    setting.cluster.members[first].terminate();
    setting.cluster.members[first].wait();
    setting.cluster.members[first] = second;
    setting.cluster.settle();
    writer.wait_for(50);
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// A replica that is ordered to be built anew, and that has led before.
#[test]
fn a_replica_is_rebuilt_on_demand() {
    let setting = Setting::patient(Flavour::MariaDb);
    let writer = setting.writer();
    let replica = setting.cluster.settle();
    let (code, text) = setting.cluster.members[replica].command(&["switchover"]);
    assert_eq!(code, 0, "{text}");
    assert_ne!(setting.cluster.settle(), replica, "it leads no more");
    let (code, text) = setting.cluster.members[replica].command(&["rebuild"]);
    assert_eq!(code, 0, "{text}");
    setting.cluster.wait_for("the old data to be set aside", |cluster| {
        std::fs::read_dir(cluster.members[replica].state().join("aside")).ok()?.next().map(drop)
    });
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}
