//! What must never happen, one file each, checked after every step against the model itself, not against what anybody believes.
//!
//! | file | guarantee |
//! | --- | --- |
//! | `acknowledged_writes` | no acknowledged write is lost: who opens has all of them |
//! | `copies` | I1: an acknowledged write is on as many in-sync members as the lease says |
//! | `one_acknowledger` | at any instant at most one member can acknowledge |
//! | `revoked` | I2: who takes the lease has the votes, by what is on the voters' disks, and has it when it opens |
//! | `terms` | term and change never fall, and only one thing changes at a time |
//! | `writes_need_lease` | I3: nobody takes writes without having been the holder of its term |
//! | `fenced` | I3: a primary that has been replaced is gone soon after its supervisor can know |
//! | `renewals` | a lease is renewed before its holder's own deadline |
//! | `released_after_exit` | a lease is given up only after the server has exited |
//! | `votes` | a promise never falls, and nothing is received from a lower term |
//! | `elections` | nobody votes while the lease has not lapsed, and no outage of the catalog counts |
//! | `acks` | I5: only members of the in-sync set are counted |
//! | `errant` | I4: nobody joins the in-sync set with transactions that the primary does not have |
//! | `lint` | the judge of decisions never objects |

mod acknowledged_writes;
mod acks;
mod copies;
mod elections;
mod errant;
mod fenced;
mod lint;
mod one_acknowledger;
mod released_after_exit;
mod renewals;
mod revoked;
mod terms;
mod votes;
mod writes_need_lease;

use crate::happening::Happening;
use crate::world::World;

/// One guarantee, with what it must remember.
pub(crate) trait Invariant {
    /// Its name: its file's.
    fn name(&self) -> &'static str;

    /// Says what is wrong, if something is.
    fn check(&mut self, world: &World, happening: &Happening) -> Result<(), String>;
}

/// All of them. With asynchronous durability only those that still hold.
pub(crate) fn all(durable: bool) -> Vec<Box<dyn Invariant>> {
    let mut invariants: Vec<Box<dyn Invariant>> = vec![
        Box::new(terms::Terms),
        Box::new(writes_need_lease::WritesNeedLease::default()),
        Box::new(released_after_exit::ReleasedAfterExit),
        Box::new(votes::Votes),
        Box::new(elections::Elections),
        Box::new(errant::Errant),
        Box::new(renewals::Renewals),
        Box::new(lint::Lint),
    ];
    if durable {
        invariants.push(Box::new(acknowledged_writes::AcknowledgedWrites::default()));
        invariants.push(Box::new(copies::Copies));
        invariants.push(Box::new(one_acknowledger::OneAcknowledger::default()));
        invariants.push(Box::new(revoked::Revoked));
        invariants.push(Box::new(acks::Acks));
        invariants.push(Box::new(fenced::Fenced::default()));
    }
    invariants
}
