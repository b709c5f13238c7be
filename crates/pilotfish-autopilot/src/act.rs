//! What can be done next: a closed list. Each act names its term or its check-and-set index, is refused by the shell when that is stale, and is
//! harmless when it is carried out twice.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use crate::budget::FailureClass;
use crate::gtid::GtidSet;
use crate::lease::{ClusterId, DataId, Epoch, Lease, MemberId, Term};
use crate::record::{MemberRecord, Mode, Vote};
use crate::view::Role;

/// One act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing, until something changes or the decision's `until`.
    Wait,

    /// Start mysqld read-only, as a replica, with nothing running (`read_only`, `skip-slave-start`).
    StartServer {
        /// How it recovers.
        start: Start,
    },
    /// SIGKILL to the whole process group, and `waitid` until nothing of it is left. Never SIGTERM: a polite stop may acknowledge what nobody has.
    FenceServer,
    /// Stop a server that takes no writes politely.
    StopServer,
    /// Initialise the first data directory of a cluster: system tables, users, time zones; nothing of it in the binary log.
    InitialiseCluster {
        /// Its identity.
        cluster: ClusterId,
        /// The identity of this copy.
        data: DataId,
        /// The term in which this was won.
        term: Term,
    },
    /// Export errant transactions (binary log and GTID list), and mark the data directory as one to be rebuilt.
    Condemn {
        /// What is wrong with it.
        reason: Condemnation,
    },
    /// Set the data directory aside and stream a new one from `from`, or from a snapshot. Its promise is the old one's or the epoch's term,
    /// whichever is higher.
    Rebuild {
        /// A healthy member.
        from: MemberId,
        /// The cluster that it belongs to.
        cluster: ClusterId,
        /// The identity of the new copy.
        data: DataId,
        /// The epoch in which this was decided.
        seen: Epoch,
    },
    /// Write to disk that this epoch was seen.
    Remember {
        /// The epoch.
        seen: Epoch,
    },

    /// Replace the lease by check-and-set.
    WriteLease {
        /// The `ModifyIndex` that it must still have; 0: it must not exist.
        cas: u64,
        /// What changes.
        change: LeaseChange,
        /// The new value.
        value: Box<Lease>,
    },
    /// Write the promise to disk, then the vote to the catalog (create only).
    PublishVote {
        /// The vote.
        vote: Box<Vote>,
    },
    /// Tell the others where we are.
    PublishRecord {
        /// What we say.
        record: Box<MemberRecord>,
    },
    /// Register the role in the catalog, without touching the server.
    Register {
        /// The role.
        role: Role,
    },
    /// Answer an operator's order and remove it.
    Answer {
        /// Which.
        order: u64,
        /// What became of it.
        outcome: OrderOutcome,
    },

    /// Stop the receiver only (`STOP SLAVE IO_THREAD`); the applier goes on.
    StopReceiver {
        /// The term for which.
        term: Term,
    },
    /// Apply all that the relay log holds, without connecting to anybody: a running applier is waited for, a stopped one is started; after a
    /// restart of MariaDB the relay log is read by `mariadb-binlog` first, because starting a replica would throw it away.
    Drain {
        /// The term for which.
        term: Term,
    },
    /// Discard the relay log, and receive from `to` by GTID. In mode `Acking` semi-synchronous replication is switched on first, and the
    /// acking account used.
    Attach {
        /// The source.
        to: MemberId,
        /// The term in which it holds the lease.
        term: Term,
        /// Whether to acknowledge.
        mode: Mode,
    },

    /// Unlock the acking accounts of these members, lock all others', and cut the others' acking connections; local, not in the binary log.
    SetGate {
        /// The term of the lease that is held.
        term: Term,
        /// Who may acknowledge.
        admit: BTreeSet<MemberId>,
    },
    /// How many acks a commit waits for; 0 switches semi-synchronous replication off, **and whoever waits gets the OK**.
    SetAcks {
        /// The term of the lease that is held.
        term: Term,
        /// How many.
        acks: u8,
    },
    /// `read_only` off. On MariaDB the first transaction, which records the term, is given a sequence number of at least the term shifted by
    /// 32 bits: so a server that dropped its tail and leads again never uses a number twice, and an old copy of the tail is known as errant.
    Open {
        /// The term of the lease that is held.
        term: Term,
    },
    /// `read_only` on, and clients' connections closed; done when no commit is under way.
    Close {
        /// The term of the lease that is held.
        term: Term,
    },

    /// Write a transaction that says nothing: who acknowledges it acknowledges all before it. It waits like any other commit, as long as it takes.
    Beat {
        /// The term of the lease that is held.
        term: Term,
    },
    /// Let go of the commits that wait for an acknowledgement, while all that is in the binary log is in `executed`. On MariaDB the statements are
    /// ended, **and whoever waits may take that for an OK**. On MySQL they cannot be; but there another transaction that says nothing gets in.
    Release {
        /// The term of the lease that is held.
        term: Term,
        /// What as many in-sync members have executed as must.
        executed: GtidSet,
    },
}

/// How a server recovers from a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Everything in the binary log is committed, also what nobody acknowledged.
    Plain,
    /// MariaDB's `--init-rpl-role=SLAVE`: what was not committed when it crashed is dropped, **acknowledged or not**; only for a member whose
    /// successor is established.
    DropTail,
}

/// Why a copy of the data is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condemnation {
    /// It has transactions that the primary does not have; they are exported first.
    Errant(GtidSet),
    /// What it needs next is no longer in the primary's binary log.
    Purged,
    /// Its applier has stopped with an error.
    ApplierStopped,
    /// It was initialised for a cluster that never came to be.
    NeverUsed,
}

/// What a write of the lease changes. One thing at a time: each has its own condition, and never two at once are in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// Nobody has it, or who had it to initialise the cluster is gone: initialise.
    Create,
    /// Only the beat.
    Renew,
    /// With the votes of the in-sync set: holder and term.
    Take,
    /// By who wrote last, and so has everything: term, and holder if another had claimed it.
    Retake,
    /// By an operator's order, without the votes: holder, term, config.
    Force,
    /// Without a lease in the catalog, by an operator's order.
    Adopt,
    /// The catalog went back behind what this holder had written.
    Reassert,
    /// The holder has all that was acknowledged, and so have enough others: the config becomes its own.
    Establish,
    /// One more in sync.
    Join(MemberId),
    /// One fewer.
    Leave(MemberId),
    /// How many acks.
    Acks(u8),
    /// Holder, term and config become another's, who has everything.
    HandOver(MemberId),
    /// The server has exited.
    Release,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    /// The term has changed since it was given: done, or overtaken by events.
    Done,
    /// It was not possible within its time, and all is as before.
    RolledBack,
}

/// Acts in different lanes may be under way at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Done at once.
    None,
    /// The lease.
    Lease,
    /// Everything else in the catalog.
    Catalog,
    /// The server and its data.
    Server,
    /// A transaction of ours that may wait for as long as others do.
    Beat,
    /// What ends that wait: it stands in line neither behind it, nor behind a statement that waits for the same commits.
    Release,
}

impl Act {
    /// The lane in which it is carried out.
    pub fn lane(&self) -> Lane {
        match self {
            Act::Wait | Act::Remember { .. } => Lane::None,
            Act::WriteLease { .. } => Lane::Lease,
            Act::PublishVote { .. } | Act::PublishRecord { .. } | Act::Register { .. } | Act::Answer { .. } => {
                Lane::Catalog
            }
            Act::StartServer { .. }
            | Act::FenceServer
            | Act::StopServer
            | Act::InitialiseCluster { .. }
            | Act::Condemn { .. }
            | Act::Rebuild { .. }
            | Act::StopReceiver { .. }
            | Act::Drain { .. }
            | Act::Attach { .. }
            | Act::SetGate { .. }
            | Act::SetAcks { .. }
            | Act::Open { .. }
            | Act::Close { .. } => Lane::Server,
            Act::Beat { .. } => Lane::Beat,
            Act::Release { .. } => Lane::Release,
        }
    }

    /// The class of failures whose budget it is charged to, if any.
    pub fn failure_class(&self) -> Option<FailureClass> {
        match self {
            Act::StartServer { .. } => Some(FailureClass::ServerExit),
            Act::Rebuild { .. } => Some(FailureClass::Rebuild),
            Act::Close { .. } => Some(FailureClass::Switchover),
            Act::WriteLease { change: LeaseChange::Take, .. } => Some(FailureClass::TakeOver),
            Act::Wait
            | Act::FenceServer
            | Act::StopServer
            | Act::InitialiseCluster { .. }
            | Act::Condemn { .. }
            | Act::Remember { .. }
            | Act::WriteLease { .. }
            | Act::PublishVote { .. }
            | Act::PublishRecord { .. }
            | Act::Register { .. }
            | Act::Answer { .. }
            | Act::StopReceiver { .. }
            | Act::Drain { .. }
            | Act::Attach { .. }
            | Act::SetGate { .. }
            | Act::SetAcks { .. }
            | Act::Open { .. }
            | Act::Beat { .. }
            | Act::Release { .. } => None,
        }
    }
}
