//! Everything that one member knows when it decides. What it does not know is a value: `None`, or a variant called `Unknown`.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use crate::act::{Act, LeaseChange};
use crate::budget::Budget;
use crate::gtid::{Flavour, GtidSet};
use crate::lease::{ClusterId, DataId, Epoch, Lease, LeaseClock, LeaseState, MemberId, Seat, Term};
use crate::policy::{Durability, Policy};
use crate::record::{MemberRecord, Mode, Vote};
use crate::time::Time;

/// One member's knowledge.
#[derive(Clone, Debug)]
pub struct View {
    /// Who we are.
    pub me: MemberId,
    /// Which server we run.
    pub flavour: Flavour,
    /// A number drawn at random by the shell after every act that used it: identities are made of it.
    pub nonce: u64,
    /// Whether the catalog answers.
    pub catalog: Catalog,
    /// The lease as last read.
    pub lease: LeaseFact,
    /// How long it has not changed.
    pub lease_clock: LeaseClock,
    /// When we saw that its epoch had changed.
    pub lease_changed: Time,
    /// What members said of themselves last, by member; our own as well.
    pub records: BTreeMap<MemberId, MemberRecord>,
    /// The votes in the catalog, of any term.
    pub votes: alloc::vec::Vec<Vote>,
    /// What the catalog said when all of it was read last.
    pub last_read: LastRead,
    /// What the data directory is and has promised.
    pub data: Data,
    /// The cluster whose lease this member has ever seen held, kept on disk beside the data directory: an empty member that knows of a cluster
    /// does not begin another when the catalog was wiped.
    pub known_cluster: Option<ClusterId>,
    /// What this run of the supervisor holds.
    pub holding: Option<Holding>,
    /// A write of the lease whose outcome is not known, and which may still happen as long as the lease's index is the one it names.
    pub pending: Option<PendingWrite>,
    /// When we last tried to write the lease, unless it was written: a catalog that answers at once with an error is not asked again at once.
    pub lease_tried: Option<Time>,
    /// When we last began to write a transaction that says nothing.
    pub beat_tried: Option<Time>,
    /// When we last began to let go of commits that wait for an acknowledgement.
    pub release_tried: Option<Time>,
    /// Our own database server.
    pub server: Server,
    /// What we asked the lease's holder, on its own server.
    pub source: Option<SourceFacts>,
    /// Our question to it that is not answered, if there is one.
    pub unanswered: Option<Unanswered>,
    /// When we last wrote our record, or tried to.
    pub reported: Option<Time>,
    /// Our registration in the catalog.
    pub registered: Option<Role>,
    /// What is being done at this moment.
    pub busy: Busy,
    /// What operators asked for.
    pub orders: Orders,
    /// What is left of the patience with each kind of failure.
    pub budget: Budget,
}

/// Whether the catalog answers with a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalog {
    /// The last request was answered.
    Answers,
    /// It was not, or with an error of the catalog's (500, no leader): nothing is known. Since when.
    Unknown(Time),
}

/// The lease as last read. It stays as it is while the catalog does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseFact {
    /// Never read.
    Unknown,
    /// The catalog answered that there is none.
    Absent,
    /// The value, with its `ModifyIndex`.
    Present {
        /// The value.
        lease: Lease,
        /// What a check-and-set must name.
        index: u64,
    },
}

/// Of one moment, while the lease and our own record may have been written since: two members that each tell of themselves and then read cannot
/// both miss what the other told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastRead {
    /// The lease's index; 0: there was none.
    pub index: u64,
    /// The cluster that our own record said our data was used in.
    pub used: Option<ClusterId>,
}

/// The data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Not looked at yet.
    Unknown,
    /// There is none.
    Empty,
    /// Begun and not finished: an initialisation or a rebuild died half-way. Nothing in it was ever used.
    Partial,
    /// Complete.
    Present(Identity),
    /// Complete and of no use; what was errant in it is exported, and it is to be rebuilt.
    Condemned(Identity),
}

/// What the data directory carries beside the data; written to disk before what depends on it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster that the data belongs to.
    pub cluster: ClusterId,
    /// This copy.
    pub data: DataId,
    /// The highest term voted for: we never attach to a primary of a lower one.
    pub promise: Term,
    /// The highest epoch seen: a catalog that shows a lower one went back. Zero: never part of a cluster.
    pub seen: Epoch,
}

/// A lease that this run of the supervisor took or was given, and so knows its server's state since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The lease as this holder wrote or read it last.
    pub lease: Lease,
    /// A time before the lease was written last: when our own write was *sent*, or the last at which it was known to be another's still. Its
    /// length counts from there.
    pub sent: Time,
    /// When the term was taken.
    pub since: Time,
}

/// A write of the lease that was sent and not answered, or that the answer said nothing about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingWrite {
    /// The index that it names: once the lease's index is another, it can no longer happen.
    pub cas: u64,
    /// What it changes.
    pub change: LeaseChange,
    /// The value that it writes.
    pub value: Lease,
}

/// Our own mysqld.
#[derive(Clone, Debug)]
pub enum Server {
    /// Not looked at yet.
    Unknown,
    /// `waitid` proved that there is none.
    Stopped,
    /// It was started and has not answered yet.
    Starting {
        /// Since when.
        since: Time,
    },
    /// It has answered at least once.
    Running(ServerFacts),
}

/// What the server said, in one observation: the fields of one are of one moment, the connections looked at before the positions.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// When the first probe was sent that it has not answered, if there is one. Not "time since the last answer": a supervisor that was itself
    /// stopped for a while must not take its server for hung.
    pub silent_since: Option<Time>,
    /// Whether it takes writes.
    pub access: Access,
    /// All that is in its binary log, also what still waits for acknowledgement.
    pub executed: GtidSet,
    /// What it has executed or holds in its relay log.
    pub received: GtidSet,
    /// What was in its binary log when the last `SetGate` or `SetAcks` had taken effect: all that was acknowledged under other rules is in it.
    /// Without one in this run of the server: `executed`.
    pub settled: GtidSet,
    /// The receiver.
    pub receiver: Receiver,
    /// The applier.
    pub applier: Applier,
    /// How many acks it asks for before a commit returns; 0: semi-synchronous replication is off.
    pub acks: u8,
    /// The members whose acking account is not locked.
    pub gate: BTreeSet<MemberId>,
    /// For each in-sync member of the lease that we hold: whether its acking connection is there.
    pub acking: BTreeMap<MemberId, Acking>,
    /// Since when a commit waits for acks, and none was acknowledged: an acknowledgement is for all that came before.
    pub waiting_since: Option<Time>,
}

/// Whether the server takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It did not say.
    Unknown,
    /// `read_only`, and no commit is under way.
    ReadOnly,
    /// It takes writes.
    Writable,
}

/// A replica's receiver (I/O) thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// It did not say.
    Unknown,
    /// Stopped.
    Stopped,
    /// Started, and connected or trying to be.
    Running {
        /// The source.
        to: MemberId,
        /// The mode.
        mode: Mode,
        /// Whether it is connected.
        connected: bool,
    },
    /// Stopped by an error: what it needs is no longer in the source's binary log.
    Purged,
}

/// A replica's applier (SQL) thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applier {
    /// It did not say.
    Unknown,
    /// Stopped, as after a start.
    Stopped,
    /// Applies.
    Running,
    /// Stopped by an error.
    Failed,
}

/// A replica's acking connection, as the primary sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acking {
    /// It is there.
    Connected,
    /// It is not, since then.
    Missing {
        /// Since when, or since it joined the in-sync set.
        since: Time,
    },
}

/// What the lease's holder answered to our own question on its server, after our own position was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Who was asked.
    pub member: MemberId,
    /// The term in which it was asked.
    pub term: Term,
    /// What it has executed.
    pub executed: GtidSet,
    /// Our own position just before: what is in it and not in the answer is errant.
    pub ours: GtidSet,
    /// Which copy of our data that was.
    pub data: DataId,
}

/// Questions to the lease's holder, on its own server, that it has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// Who was asked.
    pub member: MemberId,
    /// The term in which it was asked.
    pub term: Term,
    /// When the first of them was sent.
    pub since: Time,
}

/// A role in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `<service>-primary`.
    Primary,
    /// `<service>`.
    Replica,
}

/// What is under way: at most one act in each lane, so that a renewal never waits for a drain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// A write of the lease.
    pub lease: bool,
    /// Another write to the catalog.
    pub catalog: bool,
    /// Something with the server or its data. It ends only with an observation that was made after it: no decision is made on older facts.
    pub server: Option<Act>,
    /// A transaction that says nothing. It, too, ends only with a later observation: it changes the position.
    pub beat: bool,
    /// Letting go of commits that wait for an acknowledgement, likewise.
    pub release: bool,
}

/// What operators asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// No change of role, no start and no rebuild until further notice; the fence stays.
    pub paused: bool,
    /// This supervisor is to stop.
    pub stop: Option<Time>,
    /// Hand the lease over.
    pub switchover: Option<Switchover>,
    /// The catalog was wiped or went back: this member's data is the truth.
    pub adopt: Option<MemberId>,
    /// Become primary without the votes that are needed, for exactly this term.
    pub force: Option<(MemberId, Term)>,
}

/// A switchover that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switchover {
    /// Names the order, so that an answer is to this one.
    pub id: u64,
    /// To whom; `None`: to the best.
    pub to: Option<MemberId>,
    /// In which term it was asked for: in another it is over.
    pub term: Term,
    /// When this member first saw it.
    pub since: Time,
}

impl View {
    /// What a new supervisor knows.
    pub fn new(me: MemberId, flavour: Flavour, nonce: u64, now: Time) -> View {
        View {
            me,
            flavour,
            nonce,
            catalog: Catalog::Unknown(now),
            lease: LeaseFact::Unknown,
            lease_clock: LeaseClock::default(),
            lease_changed: now,
            records: BTreeMap::new(),
            votes: alloc::vec::Vec::new(),
            last_read: LastRead::default(),
            data: Data::Unknown,
            known_cluster: None,
            holding: None,
            pending: None,
            lease_tried: None,
            beat_tried: None,
            release_tried: None,
            server: Server::Unknown,
            source: None,
            unanswered: None,
            reported: None,
            registered: None,
            busy: Busy::default(),
            orders: Orders::default(),
            budget: Budget::default(),
        }
    }

    /// The identity of our data, if it is complete.
    pub fn identity(&self) -> Option<Identity> {
        match self.data {
            Data::Present(identity) => Some(identity),
            Data::Unknown | Data::Empty | Data::Partial | Data::Condemned(_) => None,
        }
    }

    /// Our seat, if our data is complete.
    pub fn seat(&self) -> Option<Seat> {
        self.identity().map(|identity| Seat { member: self.me, data: identity.data })
    }

    /// What the server said, if it runs.
    pub fn facts(&self) -> Option<&ServerFacts> {
        match &self.server {
            Server::Running(facts) => Some(facts),
            Server::Unknown | Server::Stopped | Server::Starting { .. } => None,
        }
    }

    /// The lease and its index, as last read.
    pub fn lease(&self) -> Option<(&Lease, u64)> {
        match &self.lease {
            LeaseFact::Present { lease, index } => Some((lease, *index)),
            LeaseFact::Unknown | LeaseFact::Absent => None,
        }
    }

    /// A member's server said what it has executed: that counts as if the member had said it, until the catalog is read again.
    pub fn hear(&mut self, seat: Seat, executed: &GtidSet) {
        if let Some(record) = self.records.get_mut(&seat.member)
            && record.data.is_some_and(|(_, data)| data == seat.data)
            && record.executed.as_ref().is_some_and(|known| executed.contains(known))
        {
            record.executed = Some(executed.clone());
        }
    }

    /// The lease was read. What we hold follows it; and what another handed to us while we watched is held from now on, without another write.
    ///
    /// `asked` is when the question was sent whose answer was the last before this one: then the lease was still another's, so it was handed over
    /// later, and its length, counted from there, ends before anybody else calls it expired.
    pub fn lease_was_read(&mut self, fact: LeaseFact, asked: Time, now: Time, policy: &Policy) {
        if let LeaseFact::Present { lease, .. } = &fact {
            if let Some(holding) = &mut self.holding
                && lease.holder == self.me
                && lease.cluster == holding.lease.cluster
                && lease.epoch.term == holding.lease.epoch.term
                && lease.epoch >= holding.lease.epoch
            {
                holding.lease = lease.clone();
            }
            if self.is_given(lease, policy) {
                self.holding = Some(Holding { lease: lease.clone(), sent: asked, since: now });
            }
        }
        self.set_lease(fact, now);
    }

    /// All of the catalog was read at once, and the lease and the records are here.
    pub fn catalog_was_read(&mut self) {
        let index = self.lease().map_or(0, |(_, index)| index);
        self.last_read = LastRead { index, used: self.records.get(&self.me).and_then(MemberRecord::used) };
    }

    /// The lease was written by us.
    pub fn lease_was_written(&mut self, lease: Lease, index: u64, now: Time) {
        self.set_lease(LeaseFact::Present { lease, index }, now);
    }

    fn set_lease(&mut self, fact: LeaseFact, now: Time) {
        let before = self.lease().map(|(lease, _)| lease.epoch);
        self.lease = fact;
        if self.lease().map(|(lease, _)| lease.epoch) != before {
            self.lease_changed = now;
        }
    }

    /// Whether a lease that was read is the one that we know, handed over to us and to the data that we have. A server must be there to lead, and
    /// what was seen before must be on disk: if not, it is left to lapse, and somebody else may. If a catalog that went back tells of
    /// one that was over long ago, nobody acknowledges what we write: whoever ended it had the promises of enough members. Without durability
    /// they do not ask each other, and only a write of our own shows that the lease is ours.
    fn is_given(&self, lease: &Lease, policy: &Policy) -> bool {
        let Some((before, _)) = self.lease() else { return false };
        let next = Epoch { term: before.epoch.term.next(), change: before.epoch.change + 1 };
        policy.durability == Durability::Quorum
            && before.state == LeaseState::Held
            && before.holder != self.me
            && lease.holder == self.me
            && lease.is_established()
            && lease.cluster == before.cluster
            && lease.epoch == next
            && self.facts().is_some()
            && self.identity().is_some_and(|identity| {
                identity.cluster == lease.cluster
                    && identity.seen == before.epoch
                    && identity.promise <= lease.epoch.term
            })
            && self.seat() == Some(lease.config.primary)
    }

    /// The time at which what this run holds ends, seen from its holder: counted from when the last renewal was sent.
    pub fn deadline(&self, ttl: Duration) -> Option<Time> {
        self.holding.as_ref().map(|holding| holding.sent.after(ttl))
    }
}
