//! The sentences of the reasons.

use core::fmt;

use super::Why;

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Settled => f.write_str("nothing to do: all is as it should be"),
            Why::Paused => f.write_str("paused by an operator: no change of role, no start, no rebuild until `resume`"),
            Why::StopAsked { since } => write!(f, "the supervisor is to stop, asked at {since:?}"),
            Why::StoppedAsAsked => f.write_str("the server is stopped, as was asked"),
            Why::DataUnknown => f.write_str("the data directory has not been looked at yet"),
            Why::ServerUnknown => f.write_str("the server has not said yet what it does"),
            Why::ServerStarting { since } => write!(f, "the server is starting, since {since:?}"),
            Why::ServerStopped => f.write_str("the server is not running: start it as a replica that takes no writes"),
            Why::Fencing => f.write_str("the server is being killed: nothing else happens before it is gone"),
            Why::CatalogNeverAnswered => {
                f.write_str("the catalog has not answered yet: without the lease nobody knows whom to follow")
            }
            Why::CatalogSilent { since } => {
                write!(f, "the catalog does not answer, since {since:?}: unknown is not free")
            }
            Why::CatalogWiped { cluster, seen } => write!(
                f,
                "refused: there is data of cluster {:016x} (term {}) and no lease in the catalog; if the catalog was wiped, `adopt` the member with the right data",
                cluster.0, seen.term.0
            ),
            Why::CatalogWentBack { seen, catalog } => write!(
                f,
                "refused: the catalog shows term {} change {}, but term {} change {} was seen: it was restored from something old; if its holder does not write it again, `adopt` the right member",
                catalog.term.0, catalog.change, seen.term.0, seen.change
            ),
            Why::CatalogMayBeWiped { absent, patience } => write!(
                f,
                "no lease in the catalog for {absent:?}: members with data have {patience:?} to say so before a cluster is begun"
            ),
            Why::ForeignCluster { ours, catalog } => write!(
                f,
                "refused: the data is of cluster {:016x}, the catalog of cluster {:016x}; give this member another data directory or the other catalog",
                ours.0, catalog.0
            ),
            Why::OthersHaveData { member } => {
                write!(f, "refused to begin a cluster: {member} has data of one; `adopt` it if the catalog was wiped")
            }
            Why::NoCluster => f.write_str("no lease and nobody with data: begin a cluster"),
            Why::Initialising { cluster } => write!(f, "this member initialises cluster {:016x}", cluster.0),
            Why::AnotherInitialises { member } => write!(f, "{member} initialises the cluster"),
            Why::InitialiserGone { member } => {
                write!(f, "{member} began to initialise the cluster and is gone: begin anew")
            }
            Why::Initialised => f.write_str("the first data directory is complete: it is the primary's"),
            Why::NeverUsed { ours } => {
                write!(f, "the data is of cluster {:016x}, which never came to be: set it aside", ours.0)
            }
            Why::NewEpoch { epoch } => {
                write!(f, "the lease is at term {} change {}: remember it", epoch.term.0, epoch.change)
            }
            Why::RebuildNeeded => f.write_str("the data is of no use: stop the server and build it again"),
            Why::Rebuilding { from } => write!(f, "the data is copied from {from}"),
            Why::NoDonor => f.write_str("no established primary to copy the data from"),
            Why::Patience { class, until } => {
                write!(f, "too many failures of class {class:?} in a row: the next is handled at {until:?}")
            }
            Why::Adopting { seen } => {
                write!(f, "an operator adopts this member's data (term {}) for a catalog that lost it", seen.term.0)
            }
            Why::WritableWithoutLease => {
                f.write_str("the server takes writes and this supervisor holds no lease: kill it")
            }
            Why::Superseded { term, holder, ours } => {
                write!(f, "{holder} has the lease in {term}, ours was {ours}: kill the server")
            }
            Why::Hung { silent, limit } => {
                write!(f, "the server has not answered for {silent:?} (limit {limit:?}): kill it")
            }
            Why::LeaseLapsed { past } => {
                write!(f, "the lease could not be renewed, and its end passed {past:?} ago: kill the server")
            }
            Why::RidingOut { past } => write!(
                f,
                "the lease could not be renewed ({past:?} past its end), but enough in-sync replicas acknowledge, so nobody else can have been elected: go on"
            ),
            Why::RenewalDue { term } => write!(f, "the lease of {term} is to be renewed"),
            Why::Retaking { past } => {
                write!(f, "the lease ended {past:?} ago and nobody took it: begin a new term with it")
            }
            Why::ServerExited { term } => write!(f, "the server has exited: give up the lease of {term}"),
            Why::ClaimOfFormerRun { term } => {
                write!(f, "a former run of this supervisor claimed {term} and did not finish: give it up")
            }
            Why::ReturnedAsLast => {
                f.write_str("this member wrote last, so it has everything that was acknowledged: begin a new term")
            }
            Why::LeaseFree { term } => {
                write!(f, "the lease of {term} is free: stop receiving and vote for the next term")
            }
            Why::NotInSync { primary } => {
                write!(f, "the lease is free, but this member is not in sync: wait for those who are, or for {primary}")
            }
            Why::OnlyLastPrimaryHasAll { primary } => write!(
                f,
                "the lease is free, but only {primary} has every acknowledged write: wait for it, or `failover --force`"
            ),
            Why::VotesMissing { term, have, needed, of } => write!(
                f,
                "{have} votes for {term}, {needed} are needed of the {of} in sync: fewer may lack an acknowledged write"
            ),
            Why::BetterCandidate { member } => {
                write!(f, "{member} has more than this member, so it cannot follow: leave the lease to it")
            }
            Why::NotGreatest { term, covered, needed } => {
                write!(f, "this member has all that {covered} voters for {term} have, {needed} are needed")
            }
            Why::OthersFirst { ahead } => write!(f, "{ahead} better candidates go first"),
            Why::MayNotLead => f.write_str("this member is configured never to be primary"),
            Why::Elected { term, covered, needed } => write!(
                f,
                "{covered} votes for {term} (of {needed} needed) and nothing that this member lacks: take the lease"
            ),
            Why::Forced { term } => write!(f, "an operator forces {term} without the votes: writes may be lost"),
            Why::Draining { term } => write!(f, "all that was received is applied before anybody writes in {term}"),
            Why::ApplierStopped => {
                f.write_str("the applier has stopped with an error: an ack of this member would say nothing")
            }
            Why::RelayLogNotApplied => {
                f.write_str("others count on what the relay log holds: apply it before it is let go")
            }
            Why::SourceSilent { source } => write!(f, "{source} has not answered what it has executed"),
            Why::SourceBehind { source } => write!(f, "{source} does not have all that this member has, so far"),
            Why::Attaching { to, mode } => write!(f, "receive from {to}, {mode}"),
            Why::Reattaching { mode } => write!(f, "the receiver should be {mode}: stop it first"),
            Why::PromisedMore { promise, term } => write!(
                f,
                "a vote was given for {promise}, so nobody follows in {term}: the holder must begin {promise}"
            ),
            Why::Errant { gtids } => write!(
                f,
                "this member has transactions that the primary does not have ({gtids}): it may not join; they are exported and it is rebuilt"
            ),
            Why::Purged => {
                f.write_str("what this member needs next is no longer in the primary's binary log: it is rebuilt")
            }
            Why::GateDiffers => f.write_str("the accounts with which replicas acknowledge differ from the in-sync set"),
            Why::AcksDiffer { now, wanted } => write!(f, "the server asks for {now} acks, {wanted} are wanted"),
            Why::ReplicasMissing { attached, holders, floor, acks } => write!(
                f,
                "{attached} replicas are attached and {holders} of them have everything; {floor} in sync and {acks} with everything are needed before writes"
            ),
            Why::Established { in_sync, acks } => write!(
                f,
                "this member has every acknowledged write, and so have enough of the {in_sync} in sync ({acks} acks)"
            ),
            Why::Opening { term, acks } => {
                write!(f, "the lease of {term} is held and established: take writes, with {acks} acks each")
            }
            Why::WriteInDoubt => f.write_str(
                "a write of the lease is in doubt: until that is known nothing is done that either outcome forbids",
            ),
            Why::Joining { member } => write!(f, "{member} has caught up: it is in sync"),
            Why::Leaving { member } => {
                write!(f, "{member} is gone or unwell, and the others have everything: it is no longer in sync")
            }
            Why::OthersBehind { member, holders, acks } => {
                write!(f, "{member} should leave, but of the others {holders} have everything and {acks} must")
            }
            Why::MoreAcks { from, to } => write!(f, "enough replicas have everything: from {from} to {to} acks"),
            Why::FewerAcks { from, to } => {
                write!(f, "replicas are missing: from {from} to {to} acks; status says how many copies a write has now")
            }
            Why::SwitchingOver { to } => write!(f, "the lease is handed to {to}"),
            Why::TargetBehind { to } => write!(f, "{to} has not applied everything yet"),
            Why::NoTarget => f.write_str("no replica is in sync, connected and well: nobody can take over"),
            Why::SwitchoverTooSlow { limit } => {
                write!(f, "the switchover was not done within {limit:?}: everything is as before")
            }
            Why::OrderOver { order } => write!(f, "order {order} is done, or its term is over"),
            Why::NewsForOthers => f.write_str("what this member is or has has changed: tell the others"),
            Why::RoleChanged { role } => write!(f, "the registration should say {role}"),
        }
    }
}
