//! No acknowledged write is lost: whoever opens has all of them in its binary log.
//!
//! A statement that was sent before server and supervisor were stopped for a while may open a server late, in a term that is over. That one can
//! acknowledge nothing (see `one_acknowledger`) and is killed (see `fenced`); what counts is who opens in the newest term.

use pilotfish_autopilot::Term;

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

#[derive(Default)]
pub(super) struct AcknowledgedWrites {
    highest: Term,
}

impl Invariant for AcknowledgedWrites {
    fn name(&self) -> &'static str {
        "acknowledged_writes"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::Opened { member, term } = happening else { return Ok(()) };
        let stale = *term < self.highest;
        self.highest = self.highest.max(*term);
        if world.forced || stale {
            return Ok(());
        }
        let lost =
            world.members[*member].disk.database.as_ref().and_then(|database| database.in_log.lacks(&world.acked));
        match lost {
            Some(txn) => Err(format!("member {} opens in {term} without acknowledged transaction {txn}", member + 1)),
            None => Ok(()),
        }
    }
}
