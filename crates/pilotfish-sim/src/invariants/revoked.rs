//! I2: who takes the lease has the votes, counted on the voters' disks: so many in-sync copies have promised the term.

use pilotfish_autopilot::{Data, Seat};

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Revoked;

impl Invariant for Revoked {
    fn name(&self) -> &'static str {
        "revoked"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::LeaseWritten { old: Some(old), new, by } = happening else { return Ok(()) };
        let ours = match world.members[*by].disk.data {
            Data::Present(identity) => Some(Seat { member: world.members[*by].id, data: identity.data }),
            _none => None,
        };
        let taken = new.epoch.term > old.epoch.term && new.holder != old.holder && new.holder == world.members[*by].id;
        let initialising = old.state == pilotfish_autopilot::LeaseState::Initialising;
        if !taken || initialising || world.forced || world.catalog_resets > 0 || ours == Some(old.config.primary) {
            return Ok(());
        }
        let promised =
            old.config.in_sync.iter().filter(|(member, data)| match world.members[member.0 as usize - 1].disk.data {
                Data::Present(identity) => identity.data == **data && identity.promise >= new.epoch.term,
                _none => false,
            });
        // A voter's disk may have been lost after its vote.
        let voted = old.config.in_sync.iter().filter(|(member, data)| {
            let seat = Seat { member: **member, data: **data };
            world.catalog.now.votes.contains_key(&(new.epoch.term, seat))
        });
        let (promised, voted) = (promised.count(), voted.count());
        let needed = old.config.needed_votes();
        if voted >= needed && promised + 1 >= needed {
            return Ok(());
        }
        Err(format!(
            "{} takes {} with {voted} votes, {promised} of them on disk; {needed} are needed",
            new.holder, new.epoch.term
        ))
    }
}
