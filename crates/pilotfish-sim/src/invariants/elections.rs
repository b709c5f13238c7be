//! Nobody votes while the lease has not lapsed. What counts is the time since it was written in which the catalog answered,
//! as far as a member can know.

use pilotfish_autopilot::LeaseState;

use super::Invariant;
use crate::happening::Happening;
use crate::network::SLOWEST;
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
        let age = world.now.saturating_sub(catalog.lease_written);
        // An answer that was on its way for longer than the catalog's break hides it: over a slow network only the lease's end itself is promised.
        let slow_until = world.network.slow_until;
        let slow = slow_until > 0 && slow_until + SLOWEST > catalog.lease_written;
        let waited = if slow { age } else { waited };
        // A renewal that landed while the vote was decided, or whose news was still on its way, is the usual race, which is harmless: what is read is
        // not what is there any more, so nobody can take the lease by these votes.
        let news = (policy.renew_every.as_micros() as u64).max(if slow { SLOWEST } else { 0 });
        let raced = age < news;
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
