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
        let policy = &world.members[*member].supervisor.policy;
        let ttl = policy.ttl.as_micros() as u64;
        let catalog = &world.catalog;
        // After a long break the holder has a whole lease; a short one only does not count.
        let long_break = catalog.break_length > policy.longest_gap().as_micros() as u64;
        let since_break = world.now.saturating_sub(catalog.lease_written.max(catalog.answers_since));
        let waited = if long_break && catalog.answers() { since_break } else { catalog.answered(world.now) };
        // Between two answers at most `longest_gap` apart the catalog is taken to have answered, if nothing has failed: a shorter break in which all
        // that a member had under way was on its way through a slow network is seen by nobody. It counts what it could not see.
        let (began, length) = catalog.last_break(world.now);
        let seen = world.members[*member].supervisor.catalog_failed >= began;
        let short = length <= policy.longest_gap().as_micros() as u64;
        let waited = if short && !seen && began >= catalog.lease_written { waited + length } else { waited };
        // A renewal that landed while the vote was decided is the usual race, which is harmless.
        let age = world.now.saturating_sub(catalog.lease_written);
        let raced = age < policy.renew_every.as_micros() as u64;
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
