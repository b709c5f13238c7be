//! Former primaries: what they have after a crash, and how they follow.

use pilotfish_autopilot::{Access, Applier, Flavour, Mode, Term};

use super::relay_logs::pair;
use super::{LIMIT, Member, end, on_both, waiting_write};
use crate::launch::Launcher;

on_both!(
    m8_former_primaries_follow_from_what_is_in_their_binary_log,
    m3_y4_e6_a_plain_start_keeps_everything_and_shows_what_nobody_acknowledged,
);

/// One hands over to the other, which writes in its own term.
async fn hand_over(from: &Member, to: &Member, term: u64, key: u32) {
    to.until_executed(&from.look().await.executed).await;
    from.database.close(LIMIT).await.expect("it closes");
    to.until_executed(&from.look().await.executed).await;
    to.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    to.database.drain(LIMIT).await.expect("it drains");
    to.lead_alone(term).await;
    to.write(key).await.expect("it writes");
    from.attach(to, Mode::Plain).await;
    let all = to.look().await.executed;
    let follower = from.until_executed(&all).await;
    assert_eq!((follower.executed, follower.access), (all, Access::ReadOnly));
    assert_eq!(follower.applier, Applier::Running);
}

/// What MariaDB would go on from by itself is empty on a former primary, or of another time: it would fetch everything again, or leave something
/// out.
async fn m8_former_primaries_follow_from_what_is_in_their_binary_log(flavour: Flavour) {
    let (one, two) = (Member::new(flavour, 1).await, Member::new(flavour, 2).await);
    one.lead_alone(1).await;
    one.make_table().await;
    one.write(1).await.expect("it writes");
    if flavour == Flavour::MariaDb {
        let position = "SELECT @@global.gtid_slave_pos AS position";
        let rows = one.operator().await.rows("asking", position).await.expect("a position");
        assert_eq!(rows[0].text("position"), Some(""), "so the trap is there");
    }
    two.attach(&one, Mode::Plain).await;
    hand_over(&one, &two, 2, 2).await;
    hand_over(&two, &one, 3, 3).await;
    hand_over(&one, &two, 4, 4).await;
    assert_eq!(one.keys().await, [1, 2, 3, 4]);
}

/// Twenty writes that were acknowledged, and one that was not; then the primary is killed. Its replica leads.
async fn a_tail(flavour: Flavour) -> (Member, Member) {
    let (mut one, two) = pair(flavour, Launcher::deaf()).await;
    for key in 0..20 {
        one.write(key).await.expect("it is acknowledged");
    }
    two.database.stop_receiver(LIMIT).await.expect("it stops to receive");
    let write = waiting_write(&one, 20).await;
    one.server.kill();
    end(write).await.expect("no panic").expect_err("nobody acknowledged it");
    two.database.drain(LIMIT).await.expect("it drains");
    two.lead_alone(2).await;
    two.write(21).await.expect("it writes");
    (one, two)
}

async fn m3_y4_e6_a_plain_start_keeps_everything_and_shows_what_nobody_acknowledged(flavour: Flavour) {
    let (mut one, two) = a_tail(flavour).await;
    one.restart();
    // All that was acknowledged is there: after an outage of all, this may be the only one that has it.
    assert_eq!(one.keys().await, (0..=20).collect::<Vec<u32>>());
    let (ours, theirs) = (one.look().await.executed, two.executed_by_others().await);
    let errant = ours.subtract(&theirs);
    assert_eq!(errant.count(), 1, "{errant}");
    assert!(!theirs.contains(&ours));
}

#[test]
fn m3_a_tail_that_is_dropped_comes_back_from_the_successor() {
    super::run(async {
        let (mut one, two) = a_tail(Flavour::MariaDb).await;
        one.restart_with(&["--init-rpl-role=SLAVE"]);
        // It may lack what was acknowledged, so this is for one that was replaced; but it has nothing of its own.
        let (ours, theirs) = (one.look().await.executed, two.look().await.executed);
        assert!(theirs.contains(&ours), "{ours} is more than {theirs}");
        one.attach(&two, Mode::Plain).await;
        assert_eq!(one.until_executed(&theirs).await.executed, theirs);
        assert_eq!(one.keys().await, (0..20).chain([21]).collect::<Vec<u32>>());
        // And it leads again, under numbers that nobody has used.
        one.database.stop_receiver(LIMIT).await.expect("it stops to receive");
        one.database.drain(LIMIT).await.expect("it drains");
        one.database.open(Term(3), LIMIT).await.expect("it opens");
        assert!(one.look().await.executed.contains(&theirs));
    });
}
