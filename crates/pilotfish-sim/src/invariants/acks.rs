//! I5: an ack that is counted is one of a member that the lease has in sync, with the copy of the data that it names.

use pilotfish_autopilot::Data;

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Acks;

impl Invariant for Acks {
    fn name(&self) -> &'static str {
        "acks"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::AckCounted { source, replica } = happening else { return Ok(()) };
        let Some((lease, _)) = &world.catalog.now.lease else { return Ok(()) };
        let current =
            lease.epoch.term == world.members[*source].server.open_term && lease.holder == world.members[*source].id;
        if !current || world.catalog_resets > 0 {
            return Ok(());
        }
        let in_sync = lease.config.in_sync.get(&world.members[*replica].id);
        let ours = match world.members[*replica].disk.data {
            Data::Present(identity) => Some(identity.data),
            _none => None,
        };
        if in_sync.is_none() || in_sync.copied() != ours {
            return Err(format!("an ack of member {} counts, which is not in sync", replica + 1));
        }
        Ok(())
    }
}
