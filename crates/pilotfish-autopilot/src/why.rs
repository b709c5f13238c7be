//! Why: the rule that fired, with its values. A closed list, so that logs and metrics need no text; its text is a sentence for people.

use core::fmt;
use core::time::Duration;

use crate::budget::FailureClass;
use crate::gtid::GtidSet;
use crate::lease::{ClusterId, Epoch, MemberId, Term};
use crate::record::Mode;
use crate::view::Role;

/// One table for what belongs together: the reason, its values, its name for metrics, its sentence.
macro_rules! reasons {
    ($(
        $(#[$doc:meta])*
        $name:ident $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })? = $code:literal, [$($sentence:tt)*];
    )*) => {
        /// A reason to act, to wait or to refuse.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Why {
            $($(#[$doc])* $name $({ $($(#[$field_doc])* $field: $type),* })?,)*
        }

        impl Why {
            /// The reason's name, for metrics and logs.
            pub fn code(&self) -> &'static str {
                match self {
                    $(Why::$name { .. } => $code,)*
                }
            }
        }

        impl fmt::Display for Why {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Why::$name $({ $($field),* })? => write!(f, $($sentence)*),)*
                }
            }
        }
    };
}

reasons! {
    /// All is as it should be.
    Settled = "settled",
        ["nothing to do: all is as it should be"];
    /// An operator paused the autopilot.
    Paused = "paused",
        ["paused by an operator: no change of role, no start, no rebuild until `resume`"];
    /// The supervisor is to stop.
    StopAsked {
        /// How long ago.
        ago: Duration,
    } = "stop-asked",
        ["the supervisor is to stop, asked {ago} ago", ago = seconds(ago)];
    /// The server is stopped, as was asked.
    StoppedAsAsked = "stopped-as-asked",
        ["the server is stopped, as was asked"];
    /// The data directory was not looked at yet.
    DataUnknown = "data-unknown",
        ["the data directory has not been looked at yet"];
    /// The server did not say what is needed.
    ServerUnknown = "server-unknown",
        ["the server has not said yet what it does"];
    /// The server starts.
    ServerStarting {
        /// How long ago it was started.
        ago: Duration,
    } = "server-starting",
        ["the server is starting, for {ago} now", ago = seconds(ago)];
    /// The server is not running.
    ServerStopped = "server-stopped",
        ["the server is not running: start it as a replica that takes no writes"];
    /// The server is being killed.
    Fencing = "fencing",
        ["the server is being killed: nothing else happens before it is gone"];
    /// The catalog has not answered yet.
    CatalogNeverAnswered = "catalog-never-answered",
        ["the catalog has not answered yet: without the lease nobody knows whom to follow"];
    /// The catalog does not answer now.
    CatalogSilent {
        /// For how long.
        silent: Duration,
    } = "catalog-silent",
        ["the catalog has not answered for {silent}: unknown is not free", silent = seconds(silent)];
    /// There is data and no lease.
    CatalogWiped {
        /// The cluster.
        cluster: ClusterId,
        /// The highest epoch seen.
        seen: Epoch,
    } = "catalog-wiped",
        ["refused: there is data of cluster {:016x} (term {}) and no lease in the catalog; if the catalog was wiped, `adopt` the member with the right data", cluster.0, seen.term.0];
    /// The catalog shows less than was seen.
    CatalogWentBack {
        /// The highest epoch seen.
        seen: Epoch,
        /// What the catalog shows.
        catalog: Epoch,
    } = "catalog-went-back",
        ["refused: the catalog shows term {} change {}, but term {} change {} was seen: it was restored from something old; if its holder does not write it again, `adopt` the right member", catalog.term.0, catalog.change, seen.term.0, seen.change];
    /// No lease, but perhaps others have data.
    CatalogMayBeWiped {
        /// For how long.
        absent: Duration,
        /// For how long it must be so.
        patience: Duration,
    } = "catalog-may-be-wiped",
        ["no lease in the catalog for {absent}: members with data have {patience} to say so before a cluster is begun", absent = seconds(absent), patience = seconds(patience)];
    /// The data is of another cluster.
    ForeignCluster {
        /// Ours.
        ours: ClusterId,
        /// What the catalog shows.
        catalog: ClusterId,
    } = "foreign-cluster",
        ["refused: the data is of cluster {:016x}, the catalog of cluster {:016x}; give this member the other catalog or another data directory, or `adopt` the right data", ours.0, catalog.0];
    /// Another member has data, so no cluster is begun.
    OthersHaveData {
        /// The member.
        member: MemberId,
    } = "others-have-data",
        ["refused to begin a cluster: {member} has data of one; `adopt` it if the catalog was wiped"];
    /// There is no cluster: begin one.
    NoCluster = "no-cluster",
        ["no lease and nobody with data: begin a cluster"];
    /// This member initialises the cluster.
    Initialising {
        /// The cluster.
        cluster: ClusterId,
    } = "initialising",
        ["this member initialises cluster {:016x}", cluster.0];
    /// Another member initialises the cluster.
    AnotherInitialises {
        /// The member.
        member: MemberId,
    } = "another-initialises",
        ["{member} initialises the cluster"];
    /// Who initialised the cluster is gone.
    InitialiserGone {
        /// The member.
        member: MemberId,
    } = "initialiser-gone",
        ["{member} began to initialise the cluster and is gone: begin anew"];
    /// The first data directory is complete.
    Initialised = "initialised",
        ["the first data directory is complete: it is the primary's"];
    /// The data belongs to a cluster that never came to be.
    NeverUsed {
        /// Ours.
        ours: ClusterId,
    } = "never-used",
        ["the data is of cluster {:016x}, which never came to be: set it aside", ours.0];
    /// A higher epoch was seen.
    NewEpoch {
        /// The epoch.
        epoch: Epoch,
    } = "new-epoch",
        ["the lease is at term {} change {}: remember it", epoch.term.0, epoch.change];
    /// The data is of no use.
    RebuildNeeded = "rebuild-needed",
        ["the data is of no use: stop the server and build it again"];
    /// The data is copied from a healthy member.
    Rebuilding {
        /// From.
        from: MemberId,
    } = "rebuilding",
        ["the data is copied from {from}"];
    /// Nobody's data is known to be right.
    NoDonor = "no-donor",
        ["no established primary to copy the data from"];
    /// Too many failures of one class.
    Patience {
        /// The class.
        class: FailureClass,
        /// How long still.
        left: Duration,
    } = "patience",
        ["too often in a row: {class}; the next time is handled in {left}", left = seconds(left)];
    /// An operator said that this member's data is the truth.
    Adopting {
        /// The highest epoch seen.
        seen: Epoch,
    } = "adopting",
        ["an operator adopts this member's data (term {}) for a catalog that lost it", seen.term.0];
    /// The server takes writes, and nothing is held.
    WritableWithoutLease = "writable-without-lease",
        ["the server takes writes and this supervisor holds no lease: kill it"];
    /// Another holds a higher term.
    Superseded {
        /// The term.
        term: Term,
        /// Who has it.
        holder: MemberId,
        /// Ours.
        ours: Term,
    } = "superseded",
        ["{holder} has the lease in {term}, ours was {ours}: kill the server"];
    /// The server does not answer.
    Hung {
        /// For how long.
        silent: Duration,
        /// The limit.
        limit: Duration,
    } = "hung",
        ["the server has not answered for {silent} (limit {limit}): kill it", silent = seconds(silent), limit = seconds(limit)];
    /// The lease was not renewed in time.
    LeaseLapsed {
        /// How long ago.
        past: Duration,
    } = "lease-lapsed",
        ["the lease could not be renewed, and its end passed {past} ago: kill the server", past = seconds(past)];
    /// The lease could not be renewed, but replicas acknowledge.
    RidingOut {
        /// How long ago.
        past: Duration,
    } = "riding-out",
        ["the lease could not be renewed ({past} past its end), but enough in-sync replicas acknowledge, so nobody else can have been elected: go on", past = seconds(past)];
    /// The lease is to be renewed.
    RenewalDue {
        /// The term.
        term: Term,
    } = "renewal-due",
        ["the lease of {term} is to be renewed"];
    /// The lease was not renewed in time and nobody took it.
    Retaking {
        /// How long ago.
        past: Duration,
    } = "retaking",
        ["the lease ended {past} ago and nobody took it: begin a new term with it", past = seconds(past)];
    /// The server has exited: the lease is given up.
    ServerExited {
        /// The term.
        term: Term,
    } = "server-exited",
        ["the server has exited: give up the lease of {term}"];
    /// A former run of this supervisor claimed the lease.
    ClaimOfFormerRun {
        /// The term.
        term: Term,
    } = "claim-of-former-run",
        ["a former run of this supervisor claimed {term} and did not finish: give it up"];
    /// Who wrote last returns, and has everything.
    ReturnedAsLast = "returned-as-last",
        ["this member wrote last, so it has everything that was acknowledged: begin a new term"];
    /// The lease is free: stop receiving and vote.
    LeaseFree {
        /// The term.
        term: Term,
    } = "lease-free",
        ["the lease of {term} is free: stop receiving and vote for the next term"];
    /// This member is not in sync and so has no vote.
    NotInSync {
        /// Who wrote last.
        primary: MemberId,
    } = "not-in-sync",
        ["the lease is free, but this member is not in sync: wait for those who are, or for {primary}"];
    /// Nobody but the last primary has everything.
    OnlyLastPrimaryHasAll {
        /// Who wrote last.
        primary: MemberId,
    } = "only-last-primary-has-all",
        ["the lease is free, but only {primary} has every acknowledged write: wait for it, or `failover --force`"];
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
    } = "votes-missing",
        ["{have} votes for {term}, {needed} are needed of the {of} in sync: fewer may lack an acknowledged write"];
    /// Another in-sync member has more, and can do what we cannot.
    BetterCandidate {
        /// The member.
        member: MemberId,
    } = "better-candidate",
        ["{member} has more than this member, so it cannot follow: leave the lease to it"];
    /// Others have more.
    NotGreatest {
        /// The term.
        term: Term,
        /// How many voters have nothing more.
        covered: usize,
        /// How many are needed.
        needed: usize,
    } = "not-greatest",
        ["this member has all that {covered} voters for {term} have, {needed} are needed"];
    /// Better candidates have a moment.
    OthersFirst {
        /// How many.
        ahead: usize,
    } = "others-first",
        ["{ahead} better candidates go first"];
    /// The policy forbids it.
    MayNotLead = "may-not-lead",
        ["this member is configured never to be primary"];
    /// The votes suffice.
    Elected {
        /// The term.
        term: Term,
        /// How many voters have nothing more.
        covered: usize,
        /// How many are needed.
        needed: usize,
    } = "elected",
        ["{covered} votes for {term} (of {needed} needed) and nothing that this member lacks: take the lease"];
    /// An operator forces it.
    Forced {
        /// The term.
        term: Term,
    } = "forced",
        ["an operator forces {term} without the votes: writes may be lost"];
    /// The relay log is applied before anything else.
    Draining {
        /// The term.
        term: Term,
    } = "draining",
        ["all that was received is applied before anybody writes in {term}"];
    /// The applier has stopped.
    ApplierStopped = "applier-stopped",
        ["the applier has stopped with an error: an ack of this member would say nothing"];
    /// The relay log is applied before it is let go.
    RelayLogNotApplied = "relay-log-not-applied",
        ["others count on what the relay log holds: apply it before it is let go"];
    /// The source was not asked yet.
    SourceSilent {
        /// The source.
        source: MemberId,
    } = "source-silent",
        ["{source} has not answered what it has executed"];
    /// The source hangs, and its lease is about to lapse.
    SourceHangs {
        /// The source.
        source: MemberId,
        /// For how long it has not answered.
        silent: Duration,
    } = "source-hangs",
        ["{source} has been silent for {silent}, and its lease is late: stop receiving", silent = seconds(silent)];
    /// The source lacks what we have, so far.
    SourceBehind {
        /// The source.
        source: MemberId,
    } = "source-behind",
        ["{source} does not have all that this member has, so far"];
    /// Receive from the holder.
    Attaching {
        /// To.
        to: MemberId,
        /// The mode.
        mode: Mode,
    } = "attaching",
        ["receive from {to}, {mode}"];
    /// The connection is of the wrong kind.
    Reattaching {
        /// The mode.
        mode: Mode,
    } = "reattaching",
        ["the receiver should be {mode}: stop it first"];
    /// A vote binds to a higher term.
    PromisedMore {
        /// The term of the vote.
        promise: Term,
        /// The term.
        term: Term,
    } = "promised-more",
        ["a vote was given for {promise}, so nobody follows in {term}: the holder must begin {promise}"];
    /// Transactions that the primary does not have.
    Errant {
        /// The transactions.
        gtids: GtidSet,
    } = "errant",
        ["this member has transactions that the primary does not have ({gtids}): it may not join; they are exported and it is rebuilt"];
    /// What is needed is gone from the primary's binary log.
    Purged = "purged",
        ["what this member needs next is no longer in the primary's binary log: it is rebuilt"];
    /// Other members may acknowledge than should.
    GateDiffers = "gate-differs",
        ["the accounts with which replicas acknowledge differ from the in-sync set"];
    /// The server asks for another number of acks.
    AcksDiffer {
        /// As it is.
        now: u8,
        /// As it should be.
        wanted: u8,
    } = "acks-differ",
        ["the server asks for {now} acks, {wanted} are wanted"];
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
    } = "replicas-missing",
        ["{attached} replicas are attached and {holders} of them have everything; {floor} in sync and {acks} with everything are needed before writes"];
    /// The config becomes the holder's own.
    Established {
        /// How many are in sync.
        in_sync: usize,
        /// How many acks.
        acks: u8,
    } = "established",
        ["this member has every acknowledged write, and so have enough of the {in_sync} in sync ({acks} acks)"];
    /// The server may take writes.
    Opening {
        /// The term.
        term: Term,
        /// How many acks.
        acks: u8,
    } = "opening",
        ["the lease of {term} is held and established: take writes, with {acks} acks each"];
    /// Nobody knows whether the lease was written.
    WriteInDoubt = "write-in-doubt",
        ["a write of the lease is in doubt: until that is known nothing is done that either outcome forbids"];
    /// A commit waits although somebody is there to acknowledge.
    AckLate {
        /// For how long.
        waiting: Duration,
    } = "ack-late",
        ["a commit has been waiting for {waiting} although a replica is there to acknowledge: help it on by another", waiting = seconds(waiting)];
    /// Acknowledgements were lost.
    AckLost {
        /// For how long a commit has been waiting.
        waiting: Duration,
        /// How many have executed everything.
        holders: usize,
        /// How many must.
        acks: u8,
    } = "ack-lost",
        ["a commit has been waiting for {waiting}, and {holders} in-sync replicas have executed everything ({acks} must): an acknowledgement was lost, and nobody needs to wait for it", waiting = seconds(waiting)];
    /// Nobody acknowledges.
    WritesWait {
        /// For how long.
        waiting: Duration,
        /// How many acks a commit needs.
        acks: u8,
        /// How many in-sync replicas are connected.
        connected: usize,
        /// How many are in sync.
        in_sync: usize,
    } = "writes-wait",
        ["writes have been waiting for {waiting}: each needs {acks} acknowledgements, and none came; {connected} of the {in_sync} in-sync replicas are connected", waiting = seconds(waiting)];
    /// A replica has caught up.
    Joining {
        /// The member.
        member: MemberId,
    } = "joining",
        ["{member} has caught up: it is in sync"];
    /// A replica is gone or unwell, and the others have everything.
    Leaving {
        /// The member.
        member: MemberId,
    } = "leaving",
        ["{member} is gone or unwell, and the others have everything: it is no longer in sync"];
    /// A replica should leave, but the others lack something.
    OthersBehind {
        /// The member.
        member: MemberId,
        /// How many have everything.
        holders: usize,
        /// How many acks.
        acks: u8,
    } = "others-behind",
        ["{member} should leave, but of the others {holders} have everything and {acks} must"];
    /// More replicas can acknowledge.
    MoreAcks {
        /// From.
        from: u8,
        /// To.
        to: u8,
    } = "more-acks",
        ["enough replicas have everything: from {from} to {to} acks"];
    /// Fewer replicas can acknowledge.
    FewerAcks {
        /// From.
        from: u8,
        /// To.
        to: u8,
    } = "fewer-acks",
        ["replicas are missing: from {from} to {to} acks; status says how many copies a write has now"];
    /// The lease is handed over.
    SwitchingOver {
        /// To.
        to: MemberId,
    } = "switching-over",
        ["the lease is handed to {to}"];
    /// The target lacks something.
    TargetBehind {
        /// To.
        to: MemberId,
    } = "target-behind",
        ["{to} has not applied everything yet"];
    /// Nobody can take over.
    NoTarget = "no-target",
        ["no replica is in sync, connected and well: nobody can take over"];
    /// The switchover took too long.
    SwitchoverTooSlow {
        /// The limit.
        limit: Duration,
    } = "switchover-too-slow",
        ["the switchover was not done within {limit}: everything is as before", limit = seconds(limit)];
    /// An order is done or out of date.
    OrderOver {
        /// The order.
        order: u64,
    } = "order-over",
        ["order {order} is done, or its term is over"];
    /// Others should know.
    NewsForOthers = "news-for-others",
        ["what this member is or has has changed: tell the others"];
    /// The registration differs.
    RoleChanged {
        /// The role.
        role: Role,
    } = "role-changed",
        ["the registration should say {role}"];
}

/// A time as people read it: in seconds, with one digit of their parts.
fn seconds(time: &Duration) -> Seconds {
    Seconds(*time)
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}s", self.0.as_secs_f64())
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
