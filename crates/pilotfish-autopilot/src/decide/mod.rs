//! The decision: stages in order of urgency, each a function from what is known to an act, a reason to wait, or nothing to say.
//!
//! ```text
//!  fence ── may this server go on?                     `fence.rs`
//!  keep  ── renew, retake or release what is held      `keep.rs`
//!  role  ── data missing, wrong, or which lease?       `role.rs`, `start.rs`
//!            ├─ another holds it ── follow             `follow.rs`
//!            ├─ it has lapsed ───── vote, take         `elect.rs`
//!            └─ held by us ──────── establish, open    `establish.rs`
//!                                   in-sync set, acks  `sync.rs`
//!                                   hand over          `switchover.rs`
//!  help  ── commits whose acknowledgement was lost     `help.rs`
//!  tell  ── our record, our registration               `tell.rs`
//! ```
//!
//! A stage that would act in a lane where something is under way waits for it; later stages still get their turn, so a renewal never waits for
//! a drain. The first reason to wait is the one that is told.

mod elect;
mod establish;
mod fence;
mod follow;
mod help;
mod keep;
mod role;
mod start;
mod switchover;
mod sync;
mod tell;

pub use help::writes_wait;
pub use switchover::awaited;

use alloc::boxed::Box;
use core::time::Duration;

use crate::act::{Act, Lane, LeaseChange};
use crate::budget::FailureClass;
use crate::gtid::GtidSet;
use crate::lease::{Config, Lease, LeaseState, MemberId, Seat};
use crate::policy::{Durability, Policy};
use crate::record::{Following, MemberRecord, Mode};
use crate::time::Time;
use crate::view::{Applier, ServerFacts, View};
use crate::why::Why;

/// After so many times `leave_after` a holder does without a replica what it would rather do with one.
const LAST_RESORT: u32 = 6;

/// For how long after a change of the lease nobody does what nobody waits for: servers and catalog have better things to do.
const QUIET: Duration = Duration::from_millis(100);

/// What to do next, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The act.
    pub act: Act,
    /// The rule that fired, with its values.
    pub why: Why,
    /// When to decide again if nothing happens until then.
    pub until: Option<Time>,
}

/// Decides what this member does next. After an act has begun, decide again: other lanes may be free.
pub fn decide(view: &View, policy: &Policy, now: Time) -> Decision {
    let mind = Mind { view, policy, now };
    let mut why = None;
    let mut until: Option<Time> = None;
    for stage in [Mind::fence, Mind::keep, Mind::role, Mind::help, Mind::tell] {
        match stage(&mind) {
            Step::Do(act, why) if mind.is_free(&act) => return Decision { act, why, until: None },
            Step::Do(_, for_what) => {
                why.get_or_insert(for_what);
            }
            Step::Wait(reason, at) => {
                why.get_or_insert(reason);
                until = sooner(until, at);
            }
            Step::Pass(at) => until = sooner(until, at),
        }
    }
    Decision { act: Act::Wait, why: why.unwrap_or(Why::Settled), until }
}

fn sooner(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What one stage says.
enum Step {
    /// This, now.
    Do(Act, Why),
    /// Nothing, for this reason, until something changes or the time comes.
    Wait(Why, Option<Time>),
    /// Nothing to say before that time.
    Pass(Option<Time>),
}

/// The arguments of a decision, and what several stages compute from them.
struct Mind<'a> {
    view: &'a View,
    policy: &'a Policy,
    now: Time,
}

impl<'a> Mind<'a> {
    fn is_free(&self, act: &Act) -> bool {
        let busy = &self.view.busy;
        match act.lane() {
            Lane::None => true,
            Lane::Lease => !busy.lease,
            Lane::Catalog => !busy.catalog,
            Lane::Beat => !busy.beat,
            Lane::Release => !busy.release,
            // A fence interrupts whatever is under way, but not another fence.
            Lane::Server => match &busy.server {
                None => true,
                Some(doing) => *act == Act::FenceServer && *doing != Act::FenceServer,
            },
        }
    }

    /// The lease that this run of the supervisor holds, with its index: as last read, in the term that we took.
    fn held(&self) -> Option<(&'a Lease, u64)> {
        let holding = self.view.holding.as_ref()?;
        let (lease, index) = self.view.lease()?;
        let ours = lease.holder == self.view.me
            && lease.cluster == holding.lease.cluster
            && lease.epoch.term == holding.lease.epoch.term
            // A catalog that went back may show a lease of ours that others have replaced since.
            && self.view.identity().is_none_or(|identity| identity.seen <= lease.epoch);
        (ours && lease.state != LeaseState::Released).then_some((lease, index))
    }

    /// Whether the lease may be taken from its holder. Whoever asks this must also know that the catalog answers *now*.
    fn has_lapsed(&self, lease: &Lease) -> bool {
        lease.state == LeaseState::Released || self.view.lease_clock.unchanged() >= self.policy.expiry()
    }

    /// How long the lease has been free.
    fn free_for(&self, lease: &Lease) -> Duration {
        let unchanged = self.view.lease_clock.unchanged();
        match lease.state {
            LeaseState::Released => unchanged,
            LeaseState::Held | LeaseState::Initialising => unchanged.saturating_sub(self.policy.expiry()),
        }
    }

    /// A write of the lease that replaces `lease`.
    fn write(&self, lease: &Lease, index: u64, change: LeaseChange, why: Why, edit: impl FnOnce(&mut Lease)) -> Step {
        let mut value = lease.clone();
        value.beat += 1;
        if change != LeaseChange::Renew {
            value.epoch.change += 1;
        }
        edit(&mut value);
        self.write_value(index, change, why, value)
    }

    /// Writes a value; not before the pause after the last attempt is over.
    fn write_value(&self, cas: u64, change: LeaseChange, why: Why, value: Lease) -> Step {
        let pause = self.policy.renew_every / 4;
        // What depends on the state of the server is not written while something is about to change it.
        let changes = match &self.view.busy.server {
            // A closed server that ceases to wait has what it had.
            Some(Act::SetAcks { acks: 0, .. }) => !matches!(change, LeaseChange::HandOver(_)),
            Some(_) => true,
            None => false,
        };
        if changes && depends_on_server(change) {
            return Step::Wait(why, None);
        }
        match self.view.lease_tried.map(|tried| tried.after(pause)) {
            Some(again) if again > self.now => Step::Wait(why, Some(again)),
            Some(_) | None => Step::Do(Act::WriteLease { cas, change, value: Box::new(value) }, why),
        }
    }

    /// Nothing before that time: it came too often.
    fn out_of_patience(&self, class: FailureClass, at: Time) -> Step {
        Step::Wait(Why::Patience { class, left: at.since(self.now) }, Some(at))
    }

    /// How few in-sync replicas are too few, by the members that are known.
    fn floor(&self, lease: &Lease) -> usize {
        if lease.alone { 0 } else { self.policy.floor(self.view.records.len()) }
    }

    fn is_async(&self) -> bool {
        self.policy.durability == Durability::Async
    }

    fn is_in_sync(&self, config: &Config) -> bool {
        self.view.seat().is_some_and(|seat| config.has(seat))
    }

    fn is_last_primary(&self, config: &Config) -> bool {
        self.view.seat() == Some(config.primary)
    }

    /// The record of a member other than us, if it is of the data that is named.
    fn record_of(&self, seat: Seat) -> Option<&'a MemberRecord> {
        let record = self.view.records.get(&seat.member)?;
        (record.data.map(|(_, data)| data) == Some(seat.data)).then_some(record)
    }

    /// Whether a member is known to have `position` for good. What it has executed stays; what it has received stays while it is in sync and
    /// attached as an acking replica, because such a one applies its relay log before it lets go of it. One that is not in sync may still be
    /// attached so, from an older term: it will throw its relay log away.
    fn holds(&self, lease: &Lease, member: MemberId, record: &MemberRecord, position: &GtidSet) -> bool {
        let following = Following { source: lease.holder, mode: Mode::Acking };
        let in_sync = record.data.is_some_and(|(_, data)| lease.config.has(Seat { member, data }));
        let keeps = in_sync && record.following == Some(following) && record.seen.term == lease.epoch.term;
        has_executed(record, position)
            || (keeps && record.received.as_ref().is_some_and(|received| received.contains(position)))
    }

    /// Members that are known to have `position`, among the seats of a config.
    fn holders(&self, lease: &Lease, config: &Config, position: &GtidSet) -> usize {
        self.count(config, &|member, record| self.holds(lease, member, record, position))
    }

    /// How many seats of a config have a record that says so.
    fn count(&self, config: &Config, says: &dyn Fn(MemberId, &MemberRecord) -> bool) -> usize {
        let seats = config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
        seats.filter(|seat| self.record_of(*seat).is_some_and(|record| says(seat.member, record))).count()
    }

    /// Other members that follow `holder` without an ailment, with their records.
    fn followers(&self, lease: &Lease) -> impl Iterator<Item = (MemberId, &'a MemberRecord)> {
        let (term, holder, me) = (lease.epoch.term, lease.holder, self.view.me);
        self.view.records.iter().filter_map(move |(member, record)| {
            let follows = record.following.is_some_and(|following| following.source == holder);
            let well = record.ailment.is_none() && record.seen.term == term;
            (*member != me && follows && well).then_some((*member, record))
        })
    }
}

fn depends_on_server(change: LeaseChange) -> bool {
    match change {
        LeaseChange::Renew | LeaseChange::Retake | LeaseChange::Reassert | LeaseChange::Release => false,
        // What is being built is of the cluster that was begun before.
        LeaseChange::Create
        | LeaseChange::Take
        | LeaseChange::Force
        | LeaseChange::Adopt
        | LeaseChange::Establish
        | LeaseChange::Join(_)
        | LeaseChange::Leave(_)
        | LeaseChange::Acks(_)
        | LeaseChange::HandOver(_) => true,
    }
}

/// Whether a member says that it has executed `position`.
fn has_executed(record: &MemberRecord, position: &GtidSet) -> bool {
    record.executed.as_ref().is_some_and(|executed| executed.contains(position))
}

/// Whether all that was received is also applied.
fn is_drained(facts: &ServerFacts) -> bool {
    facts.executed.contains(&facts.received)
}

/// Whether the applier can still apply what it holds.
fn can_apply(facts: &ServerFacts) -> bool {
    facts.applier != Applier::Failed
}
