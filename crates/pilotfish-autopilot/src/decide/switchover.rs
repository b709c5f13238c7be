//! Handing the lease over: close, let the target catch up, give it lease and config in one write. If it takes too long, open again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Mind, Step, has_executed};
use crate::act::{Act, LeaseChange, OrderOutcome};
use crate::budget::FailureClass;
use crate::gtid::Flavour;
use crate::lease::{Config, Lease, MemberId, Seat};
use crate::record::{Following, Mode};
use crate::time::Time;
use crate::view::{Access, Acking, Role, ServerFacts, View};
use crate::why::Why;

/// Whose position a hand-over waits for, now that the server is closed. They are asked on their own servers: what they write of themselves to the
/// catalog takes longer.
pub fn awaited(view: &View) -> Vec<Seat> {
    let (stop, order) = (view.orders.stop.is_some(), view.orders.switchover);
    if !stop && order.is_none() {
        return Vec::new();
    }
    let (Some((lease, _)), Some(facts), Some(_)) = (view.lease(), view.facts(), &view.holding) else {
        return Vec::new();
    };
    let ordered = order.is_some_and(|order| order.term == lease.epoch.term && order.to != Some(view.me));
    if !(stop || ordered) || lease.holder != view.me || facts.access != Access::ReadOnly {
        return Vec::new();
    }
    let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
    seats
        .filter(|seat| {
            let record = view.records.get(&seat.member);
            facts.acking.get(&seat.member) == Some(&Acking::Connected)
                && record.is_some_and(|record| {
                    record.data.is_some_and(|(_, data)| data == seat.data) && !has_executed(record, &facts.executed)
                })
        })
        .collect()
}

impl Mind<'_> {
    pub(super) fn switchover(&self, lease: &Lease, index: u64, facts: &ServerFacts) -> Option<Step> {
        if let Some(since) = self.view.orders.stop {
            return Some(self.leave_office(lease, index, facts, since));
        }
        let order = self.view.orders.switchover?;
        let answer = |outcome, why| Some(Step::Do(Act::Answer { order: order.id, outcome }, why));
        if order.term != lease.epoch.term || order.to == Some(self.view.me) {
            // Clients are told first.
            let ready = self.view.registered == Some(Role::Primary) && !self.view.busy.catalog;
            return answer(OrderOutcome::Done, Why::OrderOver { order: order.id }).filter(|_| ready);
        }
        let limit = order.since.after(self.policy.switchover_limit);
        let late = limit <= self.now;
        match facts.access {
            Access::Writable if late => {
                answer(OrderOutcome::RolledBack, Why::SwitchoverTooSlow { limit: self.policy.switchover_limit })
            }
            // All goes back: the usual rules open the server again.
            Access::ReadOnly if late => None,
            Access::Writable | Access::ReadOnly => self.hand_over(lease, index, facts, order.to, limit),
            Access::Unknown => Some(Step::Wait(Why::ServerUnknown, None)),
        }
    }

    /// The supervisor is to stop: the same, and if nobody can take over, the server just stops.
    fn leave_office(&self, lease: &Lease, index: u64, facts: &ServerFacts, since: Time) -> Step {
        let limit = since.after(self.policy.switchover_limit);
        let nobody = lease.config.in_sync.is_empty();
        if limit <= self.now && !matches!(facts.access, Access::ReadOnly) {
            return Step::Do(Act::FenceServer, Why::StopAsked { ago: self.now.since(since) });
        }
        match facts.access {
            // Late, also with a hand-over in doubt: a closed server may stop whatever became of it.
            Access::ReadOnly if limit <= self.now || nobody && self.view.pending.is_none() => {
                Step::Do(Act::StopServer, Why::StopAsked { ago: self.now.since(since) })
            }
            Access::Writable if nobody => {
                Step::Do(Act::Close { term: lease.epoch.term }, Why::StopAsked { ago: self.now.since(since) })
            }
            Access::ReadOnly | Access::Writable => {
                self.hand_over(lease, index, facts, None, limit).unwrap_or(Step::Wait(Why::NoTarget, Some(limit)))
            }
            Access::Unknown => Step::Do(Act::FenceServer, Why::StopAsked { ago: self.now.since(since) }),
        }
    }

    fn hand_over(
        &self,
        lease: &Lease,
        index: u64,
        facts: &ServerFacts,
        to: Option<MemberId>,
        limit: Time,
    ) -> Option<Step> {
        let term = lease.epoch.term;
        let Some(target) = self.target(lease, facts, to) else {
            // While nobody is ready the server stays as it is; a closed one opens again, and the order waits for its limit.
            return if facts.access == Access::Writable { None } else { Some(Step::Wait(Why::NoTarget, Some(limit))) };
        };
        if facts.access == Access::Writable {
            // Too many in a row: the server goes on as it is, until the order's limit or the next token.
            let allowed = self.view.budget.check(FailureClass::Switchover, self.now).is_ok();
            return allowed.then_some(Step::Do(Act::Close { term }, Why::SwitchingOver { to: target.member }));
        }
        if self.view.pending.is_some() {
            return Some(Step::Wait(Why::WriteInDoubt, Some(limit)));
        }
        if self.view.busy.beat || self.view.busy.release {
            // A transaction of ours may still be written: then nobody has everything yet.
            return Some(Step::Wait(Why::TargetBehind { to: target.member }, Some(limit)));
        }
        let has_all = |seat: Seat| {
            let executed = self.record_of(seat).and_then(|record| record.executed.as_ref());
            executed.is_some_and(|executed| executed.contains(&facts.executed))
        };
        if !has_all(target) {
            return Some(Step::Wait(Why::TargetBehind { to: target.member }, Some(limit)));
        }
        let config = self.config_under(lease, facts, target)?;
        if let Some(step) = self.wait_for_others(lease, facts, target, config.acks) {
            return Some(step);
        }
        // Nobody acknowledges any more. MySQL sees that only after up to a second, unless a replica hangs up meanwhile, as they do in a moment: so it is
        // told before that, and the lease does not wait.
        let attaches = self.view.flavour == Flavour::MySql && self.view.orders.stop.is_none();
        if attaches && facts.acks > 0 && self.view.busy.server.is_none() {
            return Some(Step::Do(Act::SetAcks { term, acks: 0 }, Why::SwitchingOver { to: target.member }));
        }
        Some(self.write(
            lease,
            index,
            LeaseChange::HandOver(target.member),
            Why::SwitchingOver { to: target.member },
            |value| {
                value.epoch.term = term.next();
                value.holder = target.member;
                value.config = config;
            },
        ))
    }

    /// Those who are well are worth a moment if we leave for good, because then the target needs somebody else who acknowledges, or if writes would be
    /// on fewer members without them.
    fn wait_for_others(&self, lease: &Lease, facts: &ServerFacts, target: Seat, acks: u8) -> Option<Step> {
        let fewer = self.view.orders.switchover.filter(|_| acks < lease.config.acks);
        let since = self.view.orders.stop.or(fewer.map(|order| order.since))?;
        let patience = since.after(self.policy.leave_after.min(self.policy.switchover_limit / 2));
        let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
        let behind = seats.filter(|seat| {
            let connected = facts.acking.get(&seat.member) == Some(&Acking::Connected);
            let record = self.record_of(*seat).filter(|record| !record.leaving && record.ailment.is_none());
            *seat != target
                && connected
                && record.is_some_and(|record| !self.holds(lease, seat.member, record, &facts.executed))
        });
        let first = behind.map(|seat| seat.member).next()?;
        (patience > self.now).then_some(Step::Wait(Why::TargetBehind { to: first }, Some(patience)))
    }

    /// The target's config: we are its replica, and so is who has everything. All of them have it, so any number of acks is true.
    fn config_under(&self, lease: &Lease, facts: &ServerFacts, target: Seat) -> Option<Config> {
        let ours = self.view.seat()?;
        let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
        let others = seats.filter(|seat| {
            *seat != target
                && self.record_of(*seat).is_some_and(|record| self.holds(lease, seat.member, record, &facts.executed))
        });
        let mut in_sync = BTreeMap::new();
        in_sync.extend(others.map(|seat| (seat.member, seat.data)));
        // Who leaves cannot acknowledge, unless nobody else can.
        if self.view.orders.stop.is_none() || in_sync.is_empty() {
            in_sync.insert(ours.member, ours.data);
        }
        let acks = self.policy.acks_with(in_sync.len());
        Some(Config { primary: target, in_sync, acks })
    }

    /// Who takes over: in sync, connected, well, and willing; the one that is behind least, then the lowest id.
    fn target(&self, lease: &Lease, facts: &ServerFacts, to: Option<MemberId>) -> Option<Seat> {
        let following = Some(Following { source: self.view.me, mode: Mode::Acking });
        let seats = lease.config.in_sync.iter().map(|(member, data)| Seat { member: *member, data: *data });
        let able = seats.filter(|seat| {
            let ready = self.record_of(*seat).is_some_and(|record| {
                record.following == following && record.ailment.is_none() && record.may_lead && !record.leaving
            });
            let connected = facts.acking.get(&seat.member) == Some(&Acking::Connected);
            ready && connected && to.is_none_or(|to| to == seat.member)
        });
        let behind = |seat: &Seat| {
            let executed = self.record_of(*seat).and_then(|record| record.executed.as_ref());
            executed.map_or(u64::MAX, |executed| facts.executed.subtract(executed).count())
        };
        // Who has not written down the lease as it is perhaps cannot, and could not lead.
        let old = |seat: &Seat| self.record_of(*seat).is_none_or(|record| record.seen < lease.epoch);
        able.min_by_key(|seat| (old(seat), behind(seat), seat.member))
    }
}
