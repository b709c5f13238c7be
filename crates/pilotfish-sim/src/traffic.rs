//! Requests between supervisors and the catalog: delayed, lost, answered with errors, and sometimes carried out long after they were given up.

use std::rc::Rc;

use pilotfish_autopilot::{Catalog, Holding, LeaseFact, LeaseState, Orders, PendingWrite, Switchover, Time};

use crate::catalog::{CatalogOrders, Snapshot, Write};
use crate::flaw::Flaw;
use crate::happening::Happening;
use crate::network::CATALOG;
use crate::world::{Event, Index, Request, World};

/// Time after a failed query before the next, in µs.
const POLL_RETRY: u64 = 60_000;
/// The least time that a query waits, in µs.
const SHORTEST_WAIT: u64 = 30_000;

impl World {
    /// Sends a write, and gives up waiting for its answer after the limit. What was given up may still arrive.
    pub(crate) fn send(&mut self, m: Index, now: Time, write: Write) {
        let number = self.rng.next();
        let supervisor = &mut self.members[m].supervisor;
        let run = supervisor.run;
        let limit = supervisor.policy.request_limit.as_micros() as u64;
        supervisor.requests.insert(number, Request { write: write.clone(), sent: now });
        self.after(limit, Event::TimedOut(m, run, number));
        if self.network.carries(m, CATALOG, self.now) {
            let late = self.network.slow_until > self.now && self.rng.chance(30);
            let delay = if late { self.rng.range(200_000, 3_000_000) } else { self.latency() };
            let life = self.catalog.life;
            self.after(delay, Event::Arrives(m, run, number, write, life));
        }
    }

    pub(crate) fn write_arrives(&mut self, m: Index, run: u64, number: u64, write: &Write, life: u32) {
        if life != self.catalog.life {
            return; // Its connection went with the catalog that it was sent to.
        }
        if !self.catalog.answers() {
            return self.reply(m, Event::Answer(m, run, number, None));
        }
        let old = self.catalog.now.lease.as_ref().map(|(lease, _)| lease.clone());
        let (done, index) = self.catalog.write(write, self.now);
        if let (Write::Lease { value, .. }, true) = (write, done) {
            // A server that is open stays so when its holder begins a new term.
            let member = &mut self.members[m];
            if value.holder == member.id && member.server.writable {
                member.server.open_term = value.epoch.term;
            }
            self.happenings.push(Happening::LeaseWritten { old, new: value.clone(), by: m });
        }
        if done {
            self.catalog_changed();
        }
        self.reply(m, Event::Answer(m, run, number, Some((done, index))));
    }

    fn reply(&mut self, m: Index, event: Event) {
        if self.network.carries(CATALOG, m, self.now) {
            let delay = self.latency();
            self.after(delay, event);
        }
    }

    pub(crate) fn answer(&mut self, m: Index, number: u64, outcome: Option<(bool, u64)>) {
        let Some(request) = self.members[m].supervisor.requests.remove(&number) else { return };
        let Some((done, index)) = outcome else { return self.request_failed(m, &request) };
        let clock = self.now;
        let now = self.local(m);
        let supervisor = &mut self.members[m].supervisor;
        supervisor.view.catalog = Catalog::Answers;
        match request.write {
            Write::Lease { cas, value } => {
                supervisor.view.busy.lease = false;
                supervisor.lease_answered = clock;
                let gap = supervisor.policy.longest_gap();
                if done {
                    // What names the index before can no longer happen.
                    supervisor.view.pending = None;
                    supervisor.view.lease_tried = None;
                    if value.holder == supervisor.view.me {
                        let former =
                            supervisor.view.holding.take().filter(|held| held.lease.epoch.term == value.epoch.term);
                        let since = former.map_or(now, |held| held.since);
                        supervisor.view.holding = Some(Holding { lease: (*value).clone(), sent: request.sent, since });
                    }
                    supervisor.view.lease_was_written((*value).clone(), index, now);
                    supervisor.view.lease_clock.answered(now, index, gap);
                } else if supervisor.view.lease().map_or(0, |(_, index)| index) == cas {
                    self.poll_again(m, 100);
                }
            }
            Write::Vote(vote) => {
                supervisor.view.busy.catalog = false;
                if !supervisor.view.votes.iter().any(|known| known.seat == vote.seat && known.term == vote.term) {
                    supervisor.view.votes.push((*vote).clone());
                }
            }
            Write::Record { record, .. } => {
                supervisor.view.busy.catalog = false;
                if done {
                    let me = supervisor.view.me;
                    supervisor.record_index = index;
                    supervisor.view.records.insert(me, (*record).clone());
                    // The next snapshot says whether it is there, also if it is of a catalog that was wiped meanwhile.
                    supervisor.known.records = Rc::default();
                } else {
                    self.poll_again(m, 100);
                }
            }
            Write::Answer(_) => {
                supervisor.view.busy.catalog = false;
                supervisor.view.orders.switchover = None;
            }
        }
        self.ask_source(m);
    }

    pub(crate) fn timed_out(&mut self, m: Index, number: u64) {
        if let Some(request) = self.members[m].supervisor.requests.remove(&number) {
            self.request_failed(m, &request);
        }
    }

    fn request_failed(&mut self, m: Index, request: &Request) {
        let busy = &mut self.members[m].supervisor.view.busy;
        match request.write {
            // Whether it was written is not known, and it may still be.
            Write::Lease { .. } => busy.lease = false,
            Write::Vote(_) | Write::Record { .. } | Write::Answer(_) => busy.catalog = false,
        }
        self.catalog_unknown(m);
    }

    /// Asks for the state as soon as it differs from what is known, or after a while.
    pub(crate) fn poll(&mut self, m: Index) {
        let number = self.rng.next();
        let (now, local) = (self.now, self.local(m));
        let supervisor = &mut self.members[m].supervisor;
        supervisor.poll = (number, now);
        supervisor.asked = local;
        let unchanged = supervisor.view.lease_clock.unchanged();
        let expiry = supervisor.policy.expiry();
        let longest = supervisor.policy.renew_every.as_micros() as u64;
        // So that the answer comes when the lease would have expired, not a third of its length later.
        let left = expiry.saturating_sub(unchanged).as_micros() as u64;
        let wait = left.clamp(SHORTEST_WAIT, longest);
        let (run, known) = (supervisor.run, supervisor.known.index);
        let limit = wait + supervisor.policy.request_limit.as_micros() as u64;
        if self.network.carries(m, CATALOG, self.now) {
            let delay = self.latency();
            self.after(delay, Event::PollArrives(m, run, number, known, self.now + wait));
        }
        self.after(limit, Event::PollAnswer(m, run, number, None));
    }

    fn poll_again(&mut self, m: Index, delay: u64) {
        let run = self.members[m].supervisor.run;
        self.members[m].supervisor.poll = (0, self.now);
        self.after(delay, Event::Poll(m, run));
    }

    pub(crate) fn poll_arrives(&mut self, m: Index, run: u64, number: u64, known: u64, until: u64) {
        if !self.catalog.answers() {
            return self.reply(m, Event::PollAnswer(m, run, number, None));
        }
        if self.catalog.now.index != known {
            return self.reply_snapshot(m, run, number);
        }
        self.waiters.push((m, run, number, known));
        self.at(until, Event::PollOver(m, run, number));
    }

    pub(crate) fn poll_over(&mut self, m: Index, run: u64, number: u64) {
        let before = self.waiters.len();
        self.waiters.retain(|waiter| waiter.2 != number);
        if self.waiters.len() < before {
            self.reply_snapshot(m, run, number);
        }
    }

    fn reply_snapshot(&mut self, m: Index, run: u64, number: u64) {
        let snapshot = Rc::new(self.catalog.now.clone());
        self.reply(m, Event::PollAnswer(m, run, number, Some(snapshot)));
    }

    /// Everybody who waits for a change gets it.
    pub(crate) fn catalog_changed(&mut self) {
        for (m, run, number, _) in core::mem::take(&mut self.waiters) {
            self.reply_snapshot(m, run, number);
        }
    }

    /// The catalog lost its leader, or is gone: everybody who waits gets an error.
    pub(crate) fn catalog_lost(&mut self) {
        for (m, run, number, _) in core::mem::take(&mut self.waiters) {
            self.reply(m, Event::PollAnswer(m, run, number, None));
        }
    }

    pub(crate) fn catalog_back(&mut self, since: u64) {
        if self.catalog.outage == since && !self.catalog.answers() {
            self.catalog.returns(self.now);
            self.tell(|| "the catalog answers again".into());
        }
    }

    /// An operator changes the orders.
    pub(crate) fn catalog_order(&mut self, change: impl FnOnce(&mut CatalogOrders)) {
        self.catalog.order(change);
        self.catalog_changed();
    }

    pub(crate) fn poll_answer(&mut self, m: Index, number: u64, snapshot: Option<Rc<Snapshot>>) {
        let (expected, sent) = self.members[m].supervisor.poll;
        if number != expected {
            return;
        }
        let Some(snapshot) = snapshot else {
            self.catalog_unknown(m);
            if self.flaw == Flaw::TrustsErrors {
                self.count_error_as_answer(m);
            }
            return self.poll_again(m, POLL_RETRY);
        };
        if sent >= self.members[m].supervisor.lease_answered {
            self.see(m, &snapshot);
        }
        self.poll_again(m, 50);
        self.ask_source(m);
    }

    /// The planted bug: a catalog without a leader is taken for one that says that nothing has changed.
    fn count_error_as_answer(&mut self, m: Index) {
        let now = self.local(m);
        let supervisor = &mut self.members[m].supervisor;
        let gap = supervisor.policy.longest_gap();
        let index = supervisor.view.lease().map_or(0, |(_, index)| index);
        supervisor.view.lease_clock.answered(now, index, gap);
    }

    fn see(&mut self, m: Index, snapshot: &Snapshot) {
        let now = self.local(m);
        let supervisor = &mut self.members[m].supervisor;
        let view = &mut supervisor.view;
        view.catalog = Catalog::Answers;
        let index = snapshot.lease.as_ref().map_or(0, |(_, index)| *index);
        view.lease_clock.answered(now, index, supervisor.policy.longest_gap());
        match &snapshot.lease {
            None => view.lease_was_read(LeaseFact::Absent, supervisor.lease_asked, now, &supervisor.policy),
            Some((lease, index)) => {
                // A wiped catalog counts from the beginning: the same index may be another value.
                if view.lease() != Some((&**lease, *index)) {
                    let fact = LeaseFact::Present { lease: (**lease).clone(), index: *index };
                    view.lease_was_read(fact, supervisor.lease_asked, now, &supervisor.policy);
                }
            }
        }
        supervisor.lease_asked = supervisor.asked;
        if let Some(PendingWrite { cas, .. }) = view.pending
            && cas != index
        {
            view.pending = None;
        }
        if !Rc::ptr_eq(&snapshot.votes, &supervisor.known.votes) {
            view.votes = snapshot.votes.values().map(|vote| (**vote).clone()).collect();
        }
        if !Rc::ptr_eq(&snapshot.records, &supervisor.known.records) {
            view.records.retain(|member, _| snapshot.records.contains_key(member));
            for (member, (record, _)) in snapshot.records.iter() {
                let known = supervisor.known.records.get(member);
                let same = known.is_some_and(|(known, _)| Rc::ptr_eq(known, record));
                if !same || !view.records.contains_key(member) {
                    view.records.insert(*member, (**record).clone());
                }
            }
            supervisor.record_index = snapshot.records.get(&view.me).map_or(0, |(_, index)| *index);
        }
        view.catalog_was_read();
        let switchover = snapshot.orders.switchover.map(|order| {
            let since = match supervisor.order_seen {
                Some((id, since)) if id == order.id => since,
                Some(_) | None => now,
            };
            supervisor.order_seen = Some((order.id, since));
            Switchover { since, ..order }
        });
        if let Some((lease, _)) = view.lease()
            && lease.state != LeaseState::Initialising
        {
            view.known_cluster = view.known_cluster.or(Some(lease.cluster));
            self.members[m].disk.known_cluster = view.known_cluster;
        }
        let supervisor = &mut self.members[m].supervisor;
        let view = &mut supervisor.view;
        let (stop, orders) = (view.orders.stop, &snapshot.orders);
        view.orders = Orders { paused: orders.paused, stop, switchover, adopt: orders.adopt, force: orders.force };
        supervisor.known = snapshot.clone();
    }
}
