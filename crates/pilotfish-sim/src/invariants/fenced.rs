//! I3: a primary that was replaced is gone soon after its supervisor, awake and with a catalog that answers it, can know.

use super::Invariant;
use crate::happening::Happening;
use crate::network::CATALOG;
use crate::world::{Index, Process, World};

/// How long knowing and killing may take, in µs.
const LIMIT: u64 = 1_500_000;

#[derive(Default)]
pub(super) struct Fenced {
    since: std::collections::BTreeMap<Index, u64>,
}

impl Invariant for Fenced {
    fn name(&self) -> &'static str {
        "fenced"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::Looked { member } = happening else { return Ok(()) };
        let m = *member;
        let (server, supervisor) = (&world.members[m].server, &world.members[m].supervisor);
        let replaced = world
            .catalog
            .now
            .lease
            .as_ref()
            .is_some_and(|(lease, _)| lease.epoch.term > server.open_term && lease.holder != world.members[m].id);
        let can_know = world.catalog.answers()
            && world.network.connects(m, CATALOG, world.now)
            && world.network.slow_until <= world.now
            && supervisor.paused_until <= world.now
            && server.paused_until <= world.now
            && world.members[m].disk.slow_until <= world.now;
        if !(server.process == Process::Up && server.writable && replaced && can_know) || world.catalog_resets > 0 {
            self.since.remove(&m);
            return Ok(());
        }
        let since = *self.since.entry(m).or_insert(world.now);
        if world.now - since > LIMIT {
            return Err(format!(
                "member {} still takes writes {} ms after it could know of a higher term",
                m + 1,
                (world.now - since) / 1000
            ));
        }
        Ok(())
    }
}
