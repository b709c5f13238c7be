//! Not one request to nginx fails while instances come and go. `cargo xtask soak workshop` does the same for longer.

use pilotfish_testing::Load;

use super::{PATHS, THREADS, Vocabulary, Workshop};

#[test]
fn no_request_fails_while_instances_come_and_go() {
    let mut workshop = Workshop::start(Vocabulary::V3);
    workshop.wait_for_answers();
    let load = Load::start(workshop.address, PATHS, THREADS);
    for count in [4, 2, 3, 1, 2] {
        workshop.scale(count);
    }
    let before = load.tally().answered;
    workshop.nginx.wait_for("more answers", || (load.tally().answered > before + 20).then_some(()));
    workshop.assert_nothing_failed(&load.stop());
}
