//! Traps that show themselves only where everything runs.

use pilotfish_testing::mysql::{Client, Flavour};

use crate::Setting;

/// Removes all binary logs but the one that is being written.
fn purge(client: &Client) -> Option<()> {
    client.as_operator("FLUSH BINARY LOGS")?;
    let logs = client.as_operator("SHOW BINARY LOGS")?;
    client.as_operator(&format!("PURGE BINARY LOGS TO '{}'", logs.last()?))?;
    (client.as_operator("SHOW BINARY LOGS")?.len() == 1).then_some(())
}

/// F-E16: a password that the source refuses is said, and a replica that needs what was purged meanwhile is copied anew.
#[test]
fn e16_a_refused_password_and_purged_logs() {
    let mut setting = Setting::patient(Flavour::MariaDb);
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let replica = (leader + 1) % 3;
    setting.cluster.members[replica].kill();
    setting.cluster.wait_for("it to be out of sync", |cluster| {
        let report = cluster.members[leader].report()?;
        (report["lease"]["inSync"].as_array()?.len() == 1).then_some(())
    });
    let source = setting.cluster.members[leader].client();
    let set_password = |password: &str| {
        let local = format!("SET SESSION sql_log_bin = 0; ALTER USER repl@'%' IDENTIFIED BY '{password}'");
        source.as_operator(&local).expect("the operator's account may do that");
    };
    set_password("another one");
    writer.wait_for(50);
    setting.cluster.wait_for("the logs to be purged", |_| purge(&source));
    setting.cluster.members[replica].start();
    setting.cluster.wait_for_reason(replica, "source-silent");
    let told = |log: &str| log.lines().any(|line| line.contains("warning") && line.contains("Access denied"));
    setting.cluster.wait_for("the reason", |cluster| told(&cluster.members[replica].log()).then_some(()));
    set_password("secret of the replicas");
    let aside = setting.cluster.members[replica].state().join("aside");
    setting.cluster.wait_for("the old data to be set aside", |_| std::fs::read_dir(&aside).ok()?.next().map(drop));
    setting.cluster.settle();
    let tally = writer.stop();
    setting.cluster.verify(&[tally]);
}
