//! What the invariants are told: things that became true in the model, not what anybody believes.

use std::rc::Rc;

use pilotfish_autopilot::{Act, Lease, LeaseChange, Term, Vote};

use crate::database::Txn;
use crate::world::Index;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A client got its OK.
    Acknowledged {
        /// From whom.
        by: Index,
        /// For what.
        txn: Txn,
    },
    /// An ack of a replica was counted.
    AckCounted {
        /// By whom.
        source: Index,
        /// Whose.
        replica: Index,
    },
    /// A replica received something.
    Received {
        /// From whom.
        source: Index,
        /// Who.
        replica: Index,
    },
    /// A replica has connected.
    Connected {
        /// To whom.
        source: Index,
        /// Who.
        replica: Index,
    },
    /// A server takes writes from now on.
    Opened {
        /// Whose.
        member: Index,
        /// In which term.
        term: Term,
    },
    /// The lease was replaced.
    LeaseWritten {
        /// The value before.
        old: Option<Rc<Lease>>,
        /// The value now.
        new: Rc<Lease>,
        /// By whom.
        by: Index,
    },
    /// A promise was written to disk.
    Promised {
        /// By whom.
        member: Index,
        /// With what.
        vote: Vote,
        /// What was promised before.
        before: Term,
    },
    /// A replica was told to receive, and threw its relay log away.
    Attached,
    /// The judge of decisions objected.
    Objection {
        /// To whose decision.
        member: Index,
        /// To which.
        act: Act,
        /// Why.
        text: String,
    },
    /// A catalog was wiped or restored: from here on, former leases mean nothing.
    CatalogReset,
    /// A member decided to change the lease.
    Asked {
        /// Who.
        member: Index,
        /// What.
        change: LeaseChange,
    },
    /// A supervisor that is awake looked around.
    Looked {
        /// Whose.
        member: Index,
    },
}
