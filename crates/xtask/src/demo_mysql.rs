//! `cargo xtask demo --mysql`: three MariaDB members as in examples/mysql, a writer, and a primary that is killed. Every step waits for what it claims.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pilotfish_testing::mysql::{ClusterOptions, Flavour, MySqlCluster, Part, Writer};
use pilotfish_testing::{Consul, ConsulOptions, Kind};

use crate::demo::Afterwards;
use crate::setup;
use crate::stage::{Interrupt, Narrator};

/// How often the state is shown while everything is kept running.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// Shows a failover and a switchover; what is kept running afterwards is there to be broken.
pub(crate) fn demo(pilotfish: PathBuf, afterwards: &Afterwards) -> Result<()> {
    setup::databases()?;
    let interrupt = Interrupt::install()?;
    let narrator = Narrator::new();
    narrator.scene("Three members on our own catalog: each a supervisor, its operator and MariaDB");
    let kind = Kind::Embedded;
    let catalog =
        Consul::start_with(ConsulOptions { kind, pilotfish: Some(pilotfish.clone()), ..ConsulOptions::default() });
    let mut cluster = MySqlCluster::start(&ClusterOptions {
        flavour: Flavour::MariaDb,
        members: 3,
        catalog: vec![catalog.http().to_string()],
        lease: Duration::from_secs(3),
        more: String::new(),
        pilotfish: Some(pilotfish),
        program: Vec::new(),
        machines: Vec::new(),
    });
    narrator.seen("one initialised a cluster, the others copied its data, and all are in sync");
    show(&narrator, &cluster, 0)?;
    interrupt.check()?;

    let writer = Writer::to_primary(catalog.http());
    writer.wait_for(300);
    let first = cluster.settle();
    narrator.scene(format!(
        "A client writes 300 times a second. kill -9 of the server of {}",
        cluster.members[first].name()
    ));
    let began = Instant::now();
    cluster.members[first].kill_server();
    let second = cluster.wait_for("another leader", |cluster| cluster.leader().filter(|leader| *leader != first));
    writer.wait_for(300);
    let gap = writer.tally().longest_gap(began);
    narrator.seen(format!(
        "{} leads; the client waited {:.0} ms",
        cluster.members[second].name(),
        gap.as_secs_f64() * 1e3
    ));
    cluster.settle();
    show(&narrator, &cluster, second)?;
    interrupt.check()?;

    narrator.scene(format!("A switchover away from {}", cluster.members[second].name()));
    let began = Instant::now();
    let (code, text) = cluster.members[second].command(&["switchover"]);
    ensure!(code == 0, "the switchover failed: {text}");
    let third = cluster.wait_for("another leader", |cluster| cluster.leader().filter(|leader| *leader != second));
    writer.wait_for(300);
    let gap = writer.tally().longest_gap(began);
    narrator.seen(format!(
        "{} leads; the client waited {:.0} ms",
        cluster.members[third].name(),
        gap.as_secs_f64() * 1e3
    ));

    linger(&narrator, &interrupt, &cluster, afterwards)?;
    let tally = writer.stop();
    narrator.scene(format!("{} writes were acknowledged", tally.acknowledged.len()));
    if !interrupt.is_seen() {
        cluster.verify(&[tally]);
        narrator.seen("every one of them is there, and all members hold the same");
    }
    cluster.members.iter_mut().for_each(|member| member.terminate());
    let ends: Vec<_> = cluster.members.iter_mut().map(pilotfish_testing::mysql::Member::wait).collect();
    ensure!(ends.iter().all(std::process::ExitStatus::success), "not all ended well: {ends:?}");
    narrator.seen("stopped");
    Ok(())
}

fn show(narrator: &Narrator, cluster: &MySqlCluster, member: usize) -> Result<()> {
    let (code, text) = cluster.members[member].command(&["status"]);
    ensure!(code == 0, "pilotfish mysql status failed: {text}");
    narrator.note(text);
    Ok(())
}

/// Leaves everything to the user, and shows what becomes of it.
fn linger(narrator: &Narrator, interrupt: &Interrupt, cluster: &MySqlCluster, afterwards: &Afterwards) -> Result<()> {
    let end = match afterwards {
        Afterwards::Stop => return Ok(()),
        Afterwards::Keep => None,
        Afterwards::KeepFor(time) => Some(Instant::now() + *time),
    };
    narrator.scene("Now break it; Ctrl-C ends");
    while !interrupt.is_seen() && end.is_none_or(|end| Instant::now() < end) {
        for member in &cluster.members {
            let pid = |part| member.pid(part).map_or("-".into(), |pid| pid.as_raw_nonzero().to_string());
            narrator.note(format!(
                "{}: supervisor {}, operator {}, server {}",
                member.name(),
                pid(Part::Supervisor),
                pid(Part::Operator),
                pid(Part::Server)
            ));
        }
        let reachable = cluster.members.iter().position(|member| member.report().is_some());
        show(narrator, cluster, reachable.context("no operator answers any more")?)?;
        if interrupt.pause(SHOW_EVERY).is_err() {
            break;
        }
    }
    Ok(())
}
