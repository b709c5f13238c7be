//! I3: nobody takes writes without having held, and established, the lease of its term.

use std::collections::BTreeSet;

use pilotfish_autopilot::{MemberId, Term};

use super::Invariant;
use crate::happening::Happening;
use crate::world::{Process, World};

#[derive(Default)]
pub(super) struct WritesNeedLease {
    established: BTreeSet<(Term, MemberId)>,
}

impl Invariant for WritesNeedLease {
    fn name(&self) -> &'static str {
        "writes_need_lease"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::LeaseWritten { new, .. } if new.is_established() => {
                self.established.insert((new.epoch.term, new.holder));
            }
            Happening::Opened { member, term } if !self.established.contains(&(*term, world.members[*member].id)) => {
                return Err(format!("member {} opens in {term} without an established lease", member + 1));
            }
            Happening::Looked { member } => {
                let server = &world.members[*member].server;
                let own = self.established.contains(&(server.open_term, world.members[*member].id));
                if server.process == Process::Up && server.writable && !own {
                    return Err(format!("member {} takes writes without ever having held a lease", member + 1));
                }
            }
            _other => {}
        }
        Ok(())
    }
}
