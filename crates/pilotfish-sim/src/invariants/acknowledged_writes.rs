//! No acknowledged write is lost: whoever opens has all of them in its binary log.

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct AcknowledgedWrites;

impl Invariant for AcknowledgedWrites {
    fn name(&self) -> &'static str {
        "acknowledged_writes"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::Opened { member, term } = happening else { return Ok(()) };
        if world.forced {
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
