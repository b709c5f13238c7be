//! A lease is given up only after the server has exited, or was never opened under it.

use pilotfish_autopilot::{LeaseChange, LeaseState};

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct ReleasedAfterExit;

impl Invariant for ReleasedAfterExit {
    fn name(&self) -> &'static str {
        "released_after_exit"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        let by = match happening {
            Happening::LeaseWritten { new, by, .. } if new.state == LeaseState::Released => *by,
            Happening::Asked { member, change: LeaseChange::Release } => *member,
            _other => return Ok(()),
        };
        if world.members[by].server.writable {
            return Err(format!("member {} gives the lease up while its server takes writes", by + 1));
        }
        Ok(())
    }
}
