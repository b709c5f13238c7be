//! Data that is not as it should be.

use pilotfish_testing::mysql::{Flavour, Member};

use crate::Setting;

/// A replica that has the table: it is in sync before it has applied all.
fn a_replica(setting: &Setting, leader: usize) -> &Member {
    let replica = &setting.cluster.members[(leader + 1) % 3];
    setting.cluster.wait_for("the replica to have the table", |_| {
        replica.client().as_operator("SELECT 1 FROM app.promises LIMIT 1")
    });
    replica
}

/// I4, F-E10: a write on a replica behind the cluster's back is exported, the replica is rebuilt, and its old data set aside.
fn a_stray_write(flavour: Flavour) {
    let setting = Setting::new(flavour);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let replica = a_replica(&setting, leader);
    if flavour == Flavour::MySql {
        replica.client().as_operator("SET GLOBAL super_read_only = 0").expect("the operator's account may do that");
    }
    // M7: an account with every privilege writes on replicas too.
    let stray = u64::MAX;
    replica.client().as_operator(&format!("INSERT INTO app.promises VALUES ({stray})")).expect("nothing forbids it");
    let aside = replica.state().join("aside");
    setting.cluster.wait_for("the export", |_| {
        let entries = std::fs::read_dir(&aside).ok()?.flatten();
        let export = entries.map(|entry| entry.path()).find(|path| path.display().to_string().ends_with("errant"))?;
        let text = std::fs::read_to_string(export.join("transactions.sql")).ok()?;
        (text.contains("promises") && export.join("gtids.txt").exists()).then_some(())
    });
    setting.cluster.wait_for("the old data to be set aside", |_| {
        let entries = std::fs::read_dir(&aside).ok()?.flatten();
        entries.map(|entry| entry.path()).find(|path| path.join("pilotfish.json").exists())
    });
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
    assert!(!setting.cluster.members[leader].client().keys().contains(&stray), "nobody else has it");
    // F-E16: a copy has an identity of its own.
    let identity = if flavour == Flavour::MySql { "SELECT @@server_uuid" } else { "SELECT @@server_id" };
    let identities: std::collections::BTreeSet<_> = setting
        .cluster
        .members
        .iter()
        .map(|member| member.client().as_operator(identity).expect("it answers"))
        .collect();
    assert_eq!(identities.len(), 3, "{identities:?}");
}

#[test]
fn i4_m7_e10_a_stray_write_on_a_replica() {
    a_stray_write(Flavour::MariaDb);
}

#[test]
fn i4_e10_the_same_on_mysql() {
    a_stray_write(Flavour::MySql);
}

/// I5, M9, F-E4: a replica whose applier has stopped does not count, and does not lead; it is built anew.
#[test]
fn i5_m9_e4_a_stopped_applier_does_not_count() {
    let setting = Setting::new(Flavour::MariaDb);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let replica = a_replica(&setting, leader);
    // What it will be sent cannot be applied any more.
    let local = "SET SESSION sql_log_bin = 0; DROP TABLE app.promises";
    replica.client().as_operator(local).expect("the operator's account may do that");
    let aside = replica.state().join("aside");
    setting.cluster.wait_for("the old data to be set aside", |_| std::fs::read_dir(&aside).ok()?.next().map(drop));
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}

/// F-D9: a member that lost its disk is another copy, and is built anew.
#[test]
fn a_member_that_lost_its_disk_is_copied_anew() {
    let mut setting = Setting::new(Flavour::MariaDb);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let replica = (leader + 1) % 3;
    setting.cluster.members[replica].kill();
    std::fs::remove_dir_all(setting.cluster.members[replica].state().join("data")).expect("it is ours");
    setting.cluster.members[replica].start();
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}
