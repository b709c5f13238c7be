//! Term and change of a cluster's lease never fall. What they count is one cluster's: a lease of another that takes its place, by a late write that fits
//! after a wipe, says nothing about its own.

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Terms;

impl Invariant for Terms {
    fn name(&self) -> &'static str {
        "terms"
    }

    fn check(&mut self, _world: &World, happening: &Happening) -> Result<(), String> {
        let Happening::LeaseWritten { old: Some(old), new, .. } = happening else { return Ok(()) };
        if new.cluster != old.cluster {
            return Ok(());
        }
        if new.epoch < old.epoch || (new.epoch == old.epoch && new.config != old.config) {
            return Err(format!("the lease goes from {:?} to {:?}", old.epoch, new.epoch));
        }
        if new.epoch.term == old.epoch.term && new.holder != old.holder {
            return Err(format!("{} has two holders, {} and {}", new.epoch.term, old.holder, new.holder));
        }
        Ok(())
    }
}
