//! Nobody votes while the lease has not lapsed. What counts is the time since it was written in which the catalog answered.

use pilotfish_autopilot::LeaseState;

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

/// Clocks may be wrong by a percent, and a tenth is added to the lease; so much of a lease must have passed in truth, in percent.
const LEAST: u64 = 95;

pub(super) struct Elections;

impl Invariant for Elections {
    fn name(&self) -> &'static str {
        "elections"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::Promised { member, vote, .. } = happening else { return Ok(()) };
        let Some((lease, _)) = &world.catalog.now.lease else { return Ok(()) };
        if lease.epoch.term.next() != vote.term || lease.state == LeaseState::Released || world.catalog_resets > 0 {
            return Ok(());
        }
        let ttl = world.members[*member].supervisor.policy.ttl.as_micros() as u64;
        let free_since = world.catalog.lease_written.max(world.catalog.answers_since);
        let waited = world.now.saturating_sub(free_since);
        // A renewal that landed while the vote was decided is the usual race, which is harmless.
        let raced = world.now.saturating_sub(world.catalog.lease_written)
            < world.members[*member].supervisor.policy.renew_every.as_micros() as u64;
        if waited * 100 < ttl * LEAST && !raced {
            return Err(format!(
                "member {} votes for {} {} ms after the lease was last written or the catalog came back",
                member + 1,
                vote.term,
                waited / 1000
            ));
        }
        Ok(())
    }
}
