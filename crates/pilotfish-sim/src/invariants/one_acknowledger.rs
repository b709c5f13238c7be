//! At any instant at most one member can acknowledge: once somebody has opened in a term, nobody acknowledges in a lower one.
//!
//! One thing is allowed, where a write needs several acks: one that the new primary already had when it opened may get its OK late, when a member
//! without a vote adds the last ack to those that voters gave before they voted. That is a late answer, not a second history.

use pilotfish_autopilot::Term;

use super::Invariant;
use crate::happening::Happening;
use crate::world::World;

#[derive(Default)]
pub(super) struct OneAcknowledger {
    highest: Term,
    opened: Option<usize>,
}

impl Invariant for OneAcknowledger {
    fn name(&self) -> &'static str {
        "one_acknowledger"
    }

    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Opened { member, term } if *term >= self.highest => {
                self.highest = *term;
                self.opened = Some(*member);
            }
            Happening::Acknowledged { by, txn } if !world.forced => {
                let term = world.members[*by].server.open_term;
                let has_it = |member: usize| {
                    world.members[member].disk.database.as_ref().is_some_and(|database| database.in_log.has(*txn))
                };
                if self.opened.is_some_and(|opened| opened != *by && !has_it(opened)) {
                    return Err(format!(
                        "member {} acknowledges transaction {txn} in {term} although member {} has opened in {}",
                        by + 1,
                        self.opened.map_or(0, |opened| opened + 1),
                        self.highest
                    ));
                }
            }
            _other => {}
        }
        Ok(())
    }
}
