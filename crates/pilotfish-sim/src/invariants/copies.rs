//! I1: every acknowledged write is on the primary of the lease and on as many in-sync members as the lease says. Copies that are lost with
//! their disk still count as holders, because nobody can vote with them.

use pilotfish_autopilot::Data;

use super::Invariant;
use crate::database::Bits;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Copies;

impl Invariant for Copies {
    fn name(&self) -> &'static str {
        "copies"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let relevant =
            matches!(happening, Happening::Acknowledged { .. } | Happening::LeaseWritten { .. } | Happening::Attached);
        let Some((lease, _)) = world.catalog.now.lease.as_ref().filter(|_| relevant) else { return Ok(()) };
        // After a reset the lease in the catalog may be older than the truth.
        if world.catalog_resets > 0 || world.forced || lease.config.acks == 0 {
            return Ok(());
        }
        let mut intact: Vec<&Bits> = Vec::new();
        let mut gone = 0;
        for (member, data) in &lease.config.in_sync {
            let disk = &world.members[member.0 as usize - 1].disk;
            match (&disk.data, &disk.database) {
                (Data::Present(identity), Some(database)) if identity.data == *data => intact.push(&database.in_any),
                _lost => gone += 1,
            }
        }
        let missing = usize::from(lease.config.acks).saturating_sub(gone);
        let too_few = (0..world.gtids.len() as u32)
            .find(|txn| world.acked.has(*txn) && intact.iter().filter(|copy| copy.has(*txn)).count() < missing);
        match too_few {
            Some(txn) => Err(format!(
                "acknowledged transaction {txn} is on fewer than {} of {:?}",
                lease.config.acks,
                lease.config.members()
            )),
            None => Ok(()),
        }
    }
}
