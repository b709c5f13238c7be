//! What one member of a MySQL or MariaDB cluster should do next, as one pure function of what it knows.
//!
//! ```text
//!   observe() ──► View ──► decide(&View, &Policy, now) ──► Decision {act, why} ──► lint ──► act() ──► observe() ...
//! ```
//!
//! The crate does no I/O, reads no clock and depends on nothing. It must not learn of SQL, sockets or Consul: what it is told and what it asks
//! for is what real servers can give and do, and `pilotfish-mysql` translates. `pilotfish-sim` plays it against model servers.
//!
//! # The protocol
//!
//! One value in the catalog, the [`Lease`], says who may write, and in its [`Config`] where everything is that was acknowledged:
//! **each acknowledged transaction is on `primary` and on at least `acks` of `in_sync`**. It is replaced as a whole by check-and-set, so whoever
//! reads it sees things that are true together. Everything else follows from keeping that sentence true.
//!
//! | state of the lease | who acts | what happens |
//! | --- | --- | --- |
//! | absent, nobody has data or ever saw a cluster | any empty member | creates it, `Initialising` |
//! | absent, or older than was seen | nobody | refuse; who holds what it wrote writes it again; or an operator adopts |
//! | `Initialising` | its holder | builds the first data directory, renews, then `Held`; if it is gone another begins anew |
//! | `Held`, holder = primary (established) | the holder | gate, acks, open; members join and leave; hand over |
//! | `Held`, holder ≠ primary (claimed) | the holder | drains, lets others attach, establishes; writes nothing yet |
//! | `Released`, or unchanged for a lease's length | in-sync members | stop receiving, vote, take it with enough votes |
//! | the same | the last primary | retakes it without votes: it has everything |
//!
//! A claim keeps the old config until the new primary has applied everything *and* enough others have what it has. So if it dies half-way, the
//! votes are counted by the old config again, and nothing is between two rules.
//!
//! # What differs from the design notes, and why
//!
//! 1. **One key instead of two.** Initialisation is a state of the lease, and the cluster's identity a field of it, so a bootstrap that died is
//!    taken over by the rule for every other lapsed lease, and no two keys can contradict each other.
//! 2. **Seats, not members** ([`Seat`]): the in-sync set names copies of the data. A member that lost its disk is not who acknowledged.
//! 3. **A gate at the primary** ([`Act::SetGate`]). A replica's receiver reconnects by itself, with semi-synchronous replication on, long after its
//!    supervisor was stopped or it was dropped from the set; then the primary would count an ack that no vote will ever speak of. So
//!    acking replicas use an account each (`sql_log_bin=0`, `ALTER USER ... ACCOUNT LOCK`), and the primary locks those that are not in sync.
//! 4. **Four moves, one at a time** (join, leave, more acks, fewer acks), each with one condition; a write of the lease whose outcome is not known
//!    counts as both done and not done until the index has moved on ([`PendingWrite`]).
//! 5. **A position at the moment of the cut** ([`ServerFacts::settled`]): that is what others must have before a member leaves. Asking for all
//!    that there is *now* never ends under load.
//! 6. **0 acks in the lease means: only the primary has everything.** A set in which nobody will ever acknowledge again (dead appliers, errant,
//!    purged) is emptied that way, while the server goes on asking for an ack: writes wait, nobody is elected, the members are rebuilt.
//! 7. **Votes leave out what is known to be errant**; otherwise one stray write on a lagging replica could keep everybody from having everything.
//! 8. **A claim that nobody can follow** because others have more is left to who has more; if they have diverged, it is established with nobody in
//!    sync (and so not open), and the others are rebuilt.
//! 9. **Late renewals are new terms.** Past its own deadline a holder does not renew, it retakes: the last primary needs no votes, and a check-and-set
//!    proves that nobody else was quicker. So an outage of the catalog ends without a demotion.
//! 10. **MariaDB's numbers rise with the term** ([`Act::Open`]), so that a server that dropped its tail never uses a number twice.
//! 11. **An acknowledgement may be lost** ([`Act::Beat`], [`Act::Release`]). A connection that begins anew acknowledges nothing of what its replica
//!     has; so a commit may wait although everybody has it. The next one helps it on, and where there can be no next one, what as many in-sync
//!     members say that they have executed needs no acknowledgement.
//! 12. **After a forced failover nobody drops a tail**: what the old primary has beyond it may have been acknowledged, and is exported.
//!
//! # What it cannot know
//!
//! A catalog that was restored from a backup is noticed by those who saw a newer one. If as many members as could elect somebody under the old
//! lease were down all the time since, nobody knows. And an empty member that never saw a cluster, alone with a wiped catalog, begins one.
//! With several acks, the OK of a write that the new primary already has may reach its client late, from the old one.

#![no_std]

extern crate alloc;

mod act;
mod budget;
mod decide;
mod gtid;
mod lease;
mod lint;
mod loss;
mod plan;
mod policy;
mod record;
mod time;
mod view;
mod why;

pub use act::*;
pub use budget::{BURST, Budget, FailureClass, REFILL};
pub use decide::{Decision, awaited, decide, writes_wait};
pub use gtid::{Flavour, GtidSet, ParseError};
pub use lease::*;
pub use lint::{Objection, lint};
pub use loss::{Loss, loss};
pub use plan::{CLOCK_DRIFT_PPM, LONGEST_TTL, Plan, Refusal, SHORTEST_TTL, plan};
pub use policy::{Durability, Policy};
pub use record::*;
pub use time::Time;
pub use view::*;
pub use why::Why;
