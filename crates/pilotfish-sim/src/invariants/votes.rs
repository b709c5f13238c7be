//! A promise never falls, and nothing is received from a primary of a lower term than was promised.

use pilotfish_autopilot::Data;

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

pub(super) struct Votes;

impl Invariant for Votes {
    fn name(&self) -> &'static str {
        "votes"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Promised { member, vote, before } => {
                if vote.term < *before {
                    return Err(format!("member {} votes for {} after {before}", member + 1, vote.term));
                }
                if world.members[*member].server.receiver.is_some_and(|receiver| !receiver.purged) {
                    return Err(format!("member {} votes for {} while it receives", member + 1, vote.term));
                }
            }
            Happening::Received { source, replica } => {
                let server = &world.members[*source].server;
                let promised =
                    world.catalog.now.votes.keys().filter(|(_, seat)| match world.members[*replica].disk.data {
                        Data::Present(identity) => identity.data == seat.data,
                        _none => false,
                    });
                let promise = promised.map(|(term, _)| *term).max().unwrap_or_default();
                if server.writable && server.open_term < promise {
                    return Err(format!(
                        "member {} receives from member {}, which opened in {}, after a vote for {promise}",
                        replica + 1,
                        source + 1,
                        server.open_term
                    ));
                }
            }
            _other => {}
        }
        Ok(())
    }
}
