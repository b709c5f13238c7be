//! Why: the rule that fired, with its values. A closed list, so that logs and metrics need no text; its text is a sentence for people.

mod sentences;

use core::fmt;
use core::time::Duration;

use crate::budget::FailureClass;
use crate::gtid::GtidSet;
use crate::lease::{ClusterId, Epoch, MemberId, Term};
use crate::time::Time;
use crate::view::{Mode, Role};

/// A reason to act, to wait or to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// All is as it should be.
    Settled,
    /// An operator paused the autopilot.
    Paused,
    /// The supervisor is to stop.
    StopAsked {
        /// Since when.
        since: Time,
    },
    /// The server is stopped, as was asked.
    StoppedAsAsked,
    /// The data directory was not looked at yet.
    DataUnknown,
    /// The server did not say what is needed.
    ServerUnknown,
    /// The server starts.
    ServerStarting {
        /// Since when.
        since: Time,
    },
    /// The server is not running.
    ServerStopped,
    /// The server is being killed.
    Fencing,
    /// The catalog has not answered yet.
    CatalogNeverAnswered,
    /// The catalog does not answer now.
    CatalogSilent {
        /// Since when.
        since: Time,
    },
    /// There is data and no lease.
    CatalogWiped {
        /// The cluster.
        cluster: ClusterId,
        /// The highest epoch seen.
        seen: Epoch,
    },
    /// The catalog shows less than was seen.
    CatalogWentBack {
        /// The highest epoch seen.
        seen: Epoch,
        /// What the catalog shows.
        catalog: Epoch,
    },
    /// No lease, but perhaps others have data.
    CatalogMayBeWiped {
        /// For how long.
        absent: Duration,
        /// For how long it must be so.
        patience: Duration,
    },
    /// The data is of another cluster.
    ForeignCluster {
        /// Ours.
        ours: ClusterId,
        /// What the catalog shows.
        catalog: ClusterId,
    },
    /// Another member has data, so no cluster is begun.
    OthersHaveData {
        /// The member.
        member: MemberId,
    },
    /// There is no cluster: begin one.
    NoCluster,
    /// This member initialises the cluster.
    Initialising {
        /// The cluster.
        cluster: ClusterId,
    },
    /// Another member initialises the cluster.
    AnotherInitialises {
        /// The member.
        member: MemberId,
    },
    /// Who initialised the cluster is gone.
    InitialiserGone {
        /// The member.
        member: MemberId,
    },
    /// The first data directory is complete.
    Initialised,
    /// The data belongs to a cluster that never came to be.
    NeverUsed {
        /// Ours.
        ours: ClusterId,
    },
    /// A higher epoch was seen.
    NewEpoch {
        /// The epoch.
        epoch: Epoch,
    },
    /// The data is of no use.
    RebuildNeeded,
    /// The data is copied from a healthy member.
    Rebuilding {
        /// From.
        from: MemberId,
    },
    /// Nobody's data is known to be right.
    NoDonor,
    /// Too many failures of one class.
    Patience {
        /// The class.
        class: FailureClass,
        /// Until when.
        until: Time,
    },
    /// An operator said that this member's data is the truth.
    Adopting {
        /// The highest epoch seen.
        seen: Epoch,
    },
    /// The server takes writes, and nothing is held.
    WritableWithoutLease,
    /// Another holds a higher term.
    Superseded {
        /// The term.
        term: Term,
        /// Who has it.
        holder: MemberId,
        /// Ours.
        ours: Term,
    },
    /// The server does not answer.
    Hung {
        /// For how long.
        silent: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The lease was not renewed in time.
    LeaseLapsed {
        /// How long ago.
        past: Duration,
    },
    /// The lease could not be renewed, but replicas acknowledge.
    RidingOut {
        /// How long ago.
        past: Duration,
    },
    /// The lease is to be renewed.
    RenewalDue {
        /// The term.
        term: Term,
    },
    /// The lease was not renewed in time and nobody took it.
    Retaking {
        /// How long ago.
        past: Duration,
    },
    /// The server has exited: the lease is given up.
    ServerExited {
        /// The term.
        term: Term,
    },
    /// A former run of this supervisor claimed the lease.
    ClaimOfFormerRun {
        /// The term.
        term: Term,
    },
    /// Who wrote last returns, and has everything.
    ReturnedAsLast,
    /// The lease is free: stop receiving and vote.
    LeaseFree {
        /// The term.
        term: Term,
    },
    /// This member is not in sync and so has no vote.
    NotInSync {
        /// Who wrote last.
        primary: MemberId,
    },
    /// Nobody but the last primary has everything.
    OnlyLastPrimaryHasAll {
        /// Who wrote last.
        primary: MemberId,
    },
    /// Not enough votes.
    VotesMissing {
        /// The term.
        term: Term,
        /// How many there are.
        have: usize,
        /// How many are needed.
        needed: usize,
        /// Of how many.
        of: usize,
    },
    /// Another in-sync member has more, and can do what we cannot.
    BetterCandidate {
        /// The member.
        member: MemberId,
    },
    /// Others have more.
    NotGreatest {
        /// The term.
        term: Term,
        /// How many voters have nothing more.
        covered: usize,
        /// How many are needed.
        needed: usize,
    },
    /// Better candidates have a moment.
    OthersFirst {
        /// How many.
        ahead: usize,
    },
    /// The policy forbids it.
    MayNotLead,
    /// The votes suffice.
    Elected {
        /// The term.
        term: Term,
        /// How many voters have nothing more.
        covered: usize,
        /// How many are needed.
        needed: usize,
    },
    /// An operator forces it.
    Forced {
        /// The term.
        term: Term,
    },
    /// The relay log is applied before anything else.
    Draining {
        /// The term.
        term: Term,
    },
    /// The applier has stopped.
    ApplierStopped,
    /// The relay log is applied before it is let go.
    RelayLogNotApplied,
    /// The source was not asked yet.
    SourceSilent {
        /// The source.
        source: MemberId,
    },
    /// The source lacks what we have, so far.
    SourceBehind {
        /// The source.
        source: MemberId,
    },
    /// Receive from the holder.
    Attaching {
        /// To.
        to: MemberId,
        /// The mode.
        mode: Mode,
    },
    /// The connection is of the wrong kind.
    Reattaching {
        /// The mode.
        mode: Mode,
    },
    /// A vote binds to a higher term.
    PromisedMore {
        /// The term of the vote.
        promise: Term,
        /// The term.
        term: Term,
    },
    /// Transactions that the primary does not have.
    Errant {
        /// The transactions.
        gtids: GtidSet,
    },
    /// What is needed is gone from the primary's binary log.
    Purged,
    /// Other members may acknowledge than should.
    GateDiffers,
    /// The server asks for another number of acks.
    AcksDiffer {
        /// As it is.
        now: u8,
        /// As it should be.
        wanted: u8,
    },
    /// Too few replicas to open.
    ReplicasMissing {
        /// How many are attached.
        attached: usize,
        /// How many have everything.
        holders: usize,
        /// The least size of the set.
        floor: usize,
        /// How many acks.
        acks: u8,
    },
    /// The config becomes the holder's own.
    Established {
        /// How many are in sync.
        in_sync: usize,
        /// How many acks.
        acks: u8,
    },
    /// The server may take writes.
    Opening {
        /// The term.
        term: Term,
        /// How many acks.
        acks: u8,
    },
    /// Nobody knows whether the lease was written.
    WriteInDoubt,
    /// A replica has caught up.
    Joining {
        /// The member.
        member: MemberId,
    },
    /// A replica is gone or unwell, and the others have everything.
    Leaving {
        /// The member.
        member: MemberId,
    },
    /// A replica should leave, but the others lack something.
    OthersBehind {
        /// The member.
        member: MemberId,
        /// How many have everything.
        holders: usize,
        /// How many acks.
        acks: u8,
    },
    /// More replicas can acknowledge.
    MoreAcks {
        /// From.
        from: u8,
        /// To.
        to: u8,
    },
    /// Fewer replicas can acknowledge.
    FewerAcks {
        /// From.
        from: u8,
        /// To.
        to: u8,
    },
    /// The lease is handed over.
    SwitchingOver {
        /// To.
        to: MemberId,
    },
    /// The target lacks something.
    TargetBehind {
        /// To.
        to: MemberId,
    },
    /// Nobody can take over.
    NoTarget,
    /// The switchover took too long.
    SwitchoverTooSlow {
        /// The limit.
        limit: Duration,
    },
    /// An order is done or out of date.
    OrderOver {
        /// The order.
        order: u64,
    },
    /// Others should know.
    NewsForOthers,
    /// The registration differs.
    RoleChanged {
        /// The role.
        role: Role,
    },
}

impl Why {
    /// The reason's name, for metrics and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Why::Settled => "settled",
            Why::Paused => "paused",
            Why::StopAsked { .. } => "stop-asked",
            Why::StoppedAsAsked => "stopped-as-asked",
            Why::DataUnknown => "data-unknown",
            Why::ServerUnknown => "server-unknown",
            Why::ServerStarting { .. } => "server-starting",
            Why::ServerStopped => "server-stopped",
            Why::Fencing => "fencing",
            Why::CatalogNeverAnswered => "catalog-never-answered",
            Why::CatalogSilent { .. } => "catalog-silent",
            Why::CatalogWiped { .. } => "catalog-wiped",
            Why::CatalogWentBack { .. } => "catalog-went-back",
            Why::CatalogMayBeWiped { .. } => "catalog-may-be-wiped",
            Why::ForeignCluster { .. } => "foreign-cluster",
            Why::OthersHaveData { .. } => "others-have-data",
            Why::NoCluster => "no-cluster",
            Why::Initialising { .. } => "initialising",
            Why::AnotherInitialises { .. } => "another-initialises",
            Why::InitialiserGone { .. } => "initialiser-gone",
            Why::Initialised => "initialised",
            Why::NeverUsed { .. } => "never-used",
            Why::NewEpoch { .. } => "new-epoch",
            Why::RebuildNeeded => "rebuild-needed",
            Why::Rebuilding { .. } => "rebuilding",
            Why::NoDonor => "no-donor",
            Why::Patience { .. } => "patience",
            Why::Adopting { .. } => "adopting",
            Why::WritableWithoutLease => "writable-without-lease",
            Why::Superseded { .. } => "superseded",
            Why::Hung { .. } => "hung",
            Why::LeaseLapsed { .. } => "lease-lapsed",
            Why::RidingOut { .. } => "riding-out",
            Why::RenewalDue { .. } => "renewal-due",
            Why::Retaking { .. } => "retaking",
            Why::ServerExited { .. } => "server-exited",
            Why::ClaimOfFormerRun { .. } => "claim-of-former-run",
            Why::ReturnedAsLast => "returned-as-last",
            Why::LeaseFree { .. } => "lease-free",
            Why::NotInSync { .. } => "not-in-sync",
            Why::OnlyLastPrimaryHasAll { .. } => "only-last-primary-has-all",
            Why::VotesMissing { .. } => "votes-missing",
            Why::BetterCandidate { .. } => "better-candidate",
            Why::NotGreatest { .. } => "not-greatest",
            Why::OthersFirst { .. } => "others-first",
            Why::MayNotLead => "may-not-lead",
            Why::Elected { .. } => "elected",
            Why::Forced { .. } => "forced",
            Why::Draining { .. } => "draining",
            Why::ApplierStopped => "applier-stopped",
            Why::RelayLogNotApplied => "relay-log-not-applied",
            Why::SourceSilent { .. } => "source-silent",
            Why::SourceBehind { .. } => "source-behind",
            Why::Attaching { .. } => "attaching",
            Why::Reattaching { .. } => "reattaching",
            Why::PromisedMore { .. } => "promised-more",
            Why::Errant { .. } => "errant",
            Why::Purged => "purged",
            Why::GateDiffers => "gate-differs",
            Why::AcksDiffer { .. } => "acks-differ",
            Why::ReplicasMissing { .. } => "replicas-missing",
            Why::Established { .. } => "established",
            Why::Opening { .. } => "opening",
            Why::WriteInDoubt => "write-in-doubt",
            Why::Joining { .. } => "joining",
            Why::Leaving { .. } => "leaving",
            Why::OthersBehind { .. } => "others-behind",
            Why::MoreAcks { .. } => "more-acks",
            Why::FewerAcks { .. } => "fewer-acks",
            Why::SwitchingOver { .. } => "switching-over",
            Why::TargetBehind { .. } => "target-behind",
            Why::NoTarget => "no-target",
            Why::SwitchoverTooSlow { .. } => "switchover-too-slow",
            Why::OrderOver { .. } => "order-over",
            Why::NewsForOthers => "news-for-others",
            Why::RoleChanged { .. } => "role-changed",
        }
    }
}
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Acking => "acknowledging",
            Mode::Plain => "not acknowledging",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Primary => "primary",
            Role::Replica => "replica",
        })
    }
}
