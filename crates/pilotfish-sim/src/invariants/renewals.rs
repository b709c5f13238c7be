//! A lease is renewed before its holder's own deadline; later only a new term will do.

use pilotfish_autopilot::LeaseChange;

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

/// Clocks may differ by so many percent.
const DRIFT: u64 = 2;

pub(super) struct Renewals;

impl Invariant for Renewals {
    fn name(&self) -> &'static str {
        "renewals"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::Asked { member, change: LeaseChange::Renew } = happening else { return Ok(()) };
        let holds =
            world.catalog.now.lease.as_ref().is_some_and(|(lease, _)| lease.holder == world.members[*member].id);
        let ttl = world.members[*member].supervisor.policy.ttl.as_micros() as u64;
        // The last write that succeeded was sent before it was written, so the holder's deadline is before this one.
        let age = world.now - world.catalog.lease_written;
        if holds && world.catalog_resets == 0 && age * 100 > ttl * (100 + DRIFT) {
            return Err(format!("member {} renews a lease {} ms after its last write", member + 1, age / 1000));
        }
        Ok(())
    }
}
