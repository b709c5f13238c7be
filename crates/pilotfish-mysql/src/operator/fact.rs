//! Everything that reaches the operator's loop from outside of it.

use std::path::PathBuf;

use pilotfish_autopilot::{GtidSet, MemberRecord, Seat, SourceFacts, Time, Vote};
use pilotfish_process::Exit;
use tokio::sync::oneshot;

use super::handle::Request;
use crate::catalog::{Contact, OrderKey, Snapshot};
use crate::error::Error;
use crate::server::Running;
use crate::settings::Secret;
use crate::sql::Seen;

/// A fact.
pub(super) enum Fact {
    /// The catalog was read, or could not be.
    Read {
        /// Which query it was.
        number: u64,
        /// When the query was sent.
        sent: Time,
        /// What it found.
        found: Result<Box<Snapshot>, Error>,
    },
    /// Whoever speaks in our name was asked who it is.
    Namesake {
        /// Where.
        contact: Contact,
        /// If that is another of our number: whether it holds the lease.
        holds_lease: Option<bool>,
    },
    /// The lease was to be written: its new index, `None` if the check-and-set failed.
    LeaseWritten {
        /// When the request was sent.
        sent: Time,
        /// What became of it.
        outcome: Result<Option<u64>, Error>,
    },
    /// Our record was to be written, likewise.
    RecordWritten {
        /// What it says.
        record: Box<MemberRecord>,
        /// What became of it.
        outcome: Result<Option<u64>, Error>,
    },
    /// A vote was to be published; false if one of this term was there.
    VoteWritten {
        /// The vote.
        vote: Box<Vote>,
        /// What became of it.
        outcome: Result<bool, Error>,
    },
    /// An operator's order was to be removed.
    OrderRemoved {
        /// Which.
        key: OrderKey,
        /// What became of it.
        outcome: Result<(), Error>,
    },
    /// A probe was answered, or failed.
    Probed {
        /// Which run of the server.
        run: u64,
        /// The answer.
        answer: Result<(), Error>,
    },
    /// The file system of the data was written to.
    StorageProbed(std::io::Result<()>),
    /// A transaction that says nothing was committed, or could not be.
    Beaten(Result<(), Error>),
    /// Statements were ended that waited for an acknowledgement that was lost: how many.
    Released(Result<usize, Error>),
    /// The server was looked at.
    Looked {
        /// Which run of the server.
        run: u64,
        /// When the look began.
        began: Time,
        /// What it said.
        seen: Result<Box<Seen>, Error>,
    },
    /// The lease's holder was asked for its position.
    Source(Result<Box<SourceFacts>, Error>),
    /// Another member's server was asked for its position.
    Position {
        /// Who, and which copy of its data.
        seat: Seat,
        /// What it said.
        executed: Result<GtidSet, Error>,
    },
    /// An act with the server has taken effect, or has failed.
    ActDone {
        /// The number under which it was begun.
        operation: u64,
        /// What came of it.
        outcome: Result<Effect, Error>,
    },
    /// A line of the server's own log.
    Said(String),
    /// Nothing is left of a run of the server.
    Gone {
        /// The run.
        run: u64,
        /// How it ended.
        exit: Exit,
    },
    /// Somebody asks for something.
    Asked(Request),
    /// This process received a signal.
    Signal(i32),
}

/// What an act with the server left behind.
pub(super) enum Effect {
    /// Nothing but what a look will show.
    Nothing,
    /// The position that was read when it had taken effect.
    Settled(GtidSet),
    /// A server that was started.
    Started(Box<Running>),
    /// A data directory that is complete, beside the one in place; the password of `root` in it, if one was drawn.
    Built(Option<Secret>),
    /// The data is to be condemned; where its errant transactions were exported to.
    Condemned(Option<PathBuf>),
}

/// A reply that nobody may wait for any more.
pub(super) fn reply<T>(to: oneshot::Sender<T>, value: T) {
    let _ = to.send(value);
}
