//! I4: nobody receives from a primary with transactions that the primary does not have.

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Errant;

impl Invariant for Errant {
    fn name(&self) -> &'static str {
        "errant"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::Connected { source, replica } = happening else { return Ok(()) };
        let (theirs, ours) = (&world.members[*source].disk.database, &world.members[*replica].disk.database);
        let errant = theirs.as_ref().zip(ours.as_ref()).and_then(|(theirs, ours)| theirs.in_log.lacks(&ours.in_log));
        match errant {
            Some(txn) => Err(format!("member {} joins with errant transaction {txn}", replica + 1)),
            None => Ok(()),
        }
    }
}
