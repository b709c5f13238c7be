//! Wall clocks that are set: each member has one of its own. F-D5.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pilotfish_testing::mysql::{Clock, ClusterOptions, Flavour, Machine, Part, Writer};
use pilotfish_testing::{Consul, ConsulOptions, Kind};

use crate::{Setting, patient};

const HOUR: i64 = 3600;

/// How many seconds a member's server is ahead of us.
fn ahead(setting: &Setting, member: usize) -> i64 {
    let told = setting.cluster.members[member].client().query("SELECT UNIX_TIMESTAMP()").expect("the server answers");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    told[0].parse::<i64>().expect("a time is a number") - i64::try_from(now).expect("it is before the end of time")
}

/// Writes go on for longer than a lease lasts.
fn goes_on(writer: &Writer) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(12) {
        writer.wait_for(20);
    }
}

/// The clocks of the primary and of a replica are set forwards and back by hours: nobody is demoted, and nobody stays primary for longer.
#[test]
fn d5_clocks_that_are_set_change_nothing() {
    let clocks: Vec<Arc<Clock>> = (0..3).map(|_| Arc::new(Clock::new())).collect();
    let machines = clocks.iter().map(|clock| Machine::with_clock(clock.clone())).collect();
    let catalog = Consul::start_with(ConsulOptions { kind: Kind::Embedded, ..ConsulOptions::default() });
    let setting = Setting::with(catalog, |catalog| ClusterOptions { machines, ..patient(Flavour::MariaDb, catalog) });
    let others = setting.worst_of_clients();
    let writer = setting.writer();
    let leader = setting.cluster.settle();
    let (term, replica) = (setting.term(), (leader + 1) % 3);
    let server = setting.cluster.members[leader].pid(Part::Server);
    for (of_leader, of_replica) in [(HOUR, 0), (-HOUR, HOUR), (0, -HOUR)] {
        clocks[leader].set(of_leader);
        clocks[replica].set(of_replica);
        for (member, set) in [(leader, of_leader), (replica, of_replica)] {
            assert!((ahead(&setting, member) - set).abs() < HOUR / 2, "the clock of member {member} was not set");
        }
        goes_on(&writer);
        assert_eq!((setting.cluster.settle(), setting.term()), (leader, term), "nobody was demoted");
        assert_eq!(setting.cluster.members[leader].pid(Part::Server), server, "its server was not restarted");
    }
    // With clocks two hours apart somebody else leads as soon as the primary is gone.
    clocks[leader].set(HOUR);
    setting.cluster.members[leader].kill_server();
    clocks[leader].set(-HOUR);
    setting.other_leader(leader);
    let before = writer.tally().times.len();
    // Not the writer's own wait: of this one the members' last words are told if it is in vain.
    let more = || (writer.tally().times.len() > before + 100).then_some(());
    setting.cluster.wait_for("writes to go on", |_| more());
    let mut tallies = vec![writer.stop()];
    tallies.extend(others.into_iter().map(Writer::stop));
    setting.cluster.settle();
    setting.cluster.verify(&tallies);
}
