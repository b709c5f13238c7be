//! Reading the catalog: one query for everything after the other, and what it says becomes a part of the view.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotfish_autopilot::{
    Catalog, LeaseClock, LeaseFact, LeaseState, MemberId, Orders, PendingWrite, Switchover, Time,
};
use pilotfish_consul::Cursor;

use super::fact::Fact;
use super::{Level, Operator, clock};
use crate::catalog::{Contact, OrdersRead, Snapshot};
use crate::error::Error;
use crate::task::beside;

/// The shortest and the longest pause after a failed query.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));
/// The least time that a query waits for a change.
const SHORTEST_WAIT: Duration = Duration::from_millis(30);

/// Where reading stands.
#[derive(Default)]
pub(super) struct Reading {
    cursor: Cursor,
    /// Counts queries: the answer to one that was given up is not wanted.
    number: u64,
    under_way: bool,
    /// When to read again, if it failed.
    pub(super) again: Option<Time>,
    failures: u32,
    /// When the last write of the lease was answered: what was asked before may be older.
    pub(super) lease_answered: Time,
    /// When the query was sent whose answer was taken last.
    lease_asked: Time,
    /// Where members are.
    pub(super) contacts: BTreeMap<MemberId, Contact>,
    /// Who speaks in our name from elsewhere, if that was asked who it is.
    pub(super) namesake: Option<Contact>,
    /// Whether the answer is not there yet.
    pub(super) asking_namesake: bool,
    /// The index of our own record.
    pub(super) record_index: u64,
    /// The switchover that was seen first at this time.
    order_seen: Option<(u64, Time)>,
    /// What was ordered, for reports.
    pub(super) orders: OrdersRead,
    unreadable: Vec<String>,
}

impl Operator {
    /// Asks for everything, as soon as it differs from what is known, or after a while.
    pub(super) fn read_catalog(&mut self) {
        if self.reading.under_way {
            return;
        }
        self.reading.under_way = true;
        self.reading.number += 1;
        self.reading.again = None;
        // So that the answer comes when the lease is late or would have expired, not a third of its length later.
        let unchanged = self.view.lease_clock.unchanged();
        let next = if unchanged < self.policy.late() { self.policy.late() } else { self.policy.expiry() };
        let left = next.saturating_sub(unchanged);
        let wait = left.clamp(SHORTEST_WAIT, self.policy.renew_every);
        let (board, cursor, facts, sent) = (self.board.clone(), self.reading.cursor, self.facts.clone(), clock::now());
        let number = self.reading.number;
        beside(async move {
            let found = board.snapshot(&cursor, wait).await.map(Box::new);
            let _ = facts.send(Fact::Read { number, sent, found });
        });
    }

    /// A write was not answered: the query under way may be held by the same agent, and is given up for one that is not held.
    pub(super) fn read_anew(&mut self) {
        if !self.reading.under_way || self.reading.cursor.index().is_none() {
            return;
        }
        self.reading.under_way = false;
        self.reading.cursor.reset();
        self.read_catalog();
    }

    pub(super) fn was_read(&mut self, number: u64, sent: Time, found: Result<Box<Snapshot>, Error>) {
        if number != self.reading.number {
            return;
        }
        self.reading.under_way = false;
        match found {
            Ok(snapshot) => {
                self.reading.failures = 0;
                if !self.may_believe(&snapshot) {
                    return;
                }
                let index = lease_index(&snapshot.lease);
                let known = lease_index(&self.view.lease);
                // Asked before our own write was answered: it may say what was before it. Then the next answer comes at once.
                if sent >= self.reading.lease_answered || index > known {
                    self.reading.cursor.advance(snapshot.index);
                    self.see(*snapshot);
                    self.reading.lease_asked = sent;
                }
                self.read_catalog();
            }
            Err(error) => {
                self.catalog_failed(&error);
                self.reading.cursor.reset();
                let pause = RETRY.0.saturating_mul(1 << self.reading.failures.min(4)).min(RETRY.1);
                self.reading.failures += 1;
                self.reading.again = Some(clock::now().after(pause));
            }
        }
        self.ask_source();
    }

    /// The catalog did not answer, or with an error of its own.
    pub(super) fn catalog_failed(&mut self, error: &Error) {
        if self.view.catalog == Catalog::Answers {
            self.view.catalog = Catalog::Unknown(clock::now());
            // What it answers and nobody understands says so itself.
            let silent = if matches!(error, Error::Catalog(_)) { "the catalog does not answer: " } else { "" };
            (self.log)(Level::Warn, &format!("{silent}{error}"));
        }
        self.view.lease_clock.failed();
    }

    pub(super) fn catalog_answered(&mut self) {
        if self.view.catalog != Catalog::Answers {
            (self.log)(Level::Info, "the catalog answers");
            self.view.catalog = Catalog::Answers;
        }
    }

    fn see(&mut self, snapshot: Snapshot) {
        let now = clock::now();
        self.catalog_answered();
        let Snapshot { lease, members, votes, garbled, orders, unreadable, .. } = snapshot;
        if self.reading.unreadable != unreadable {
            for text in &unreadable {
                (self.log)(Level::Error, text);
            }
            self.reading.unreadable = unreadable;
        }
        let index = lease_index(&lease);
        if lease != self.view.lease && index == lease_index(&self.view.lease) {
            // A catalog that began anew has come to the same index with another value.
            self.view.lease_clock = LeaseClock::default();
        }
        self.view.lease_clock.answered(now, index, self.policy.longest_gap());
        self.see_lease(now, lease);
        if self.view.pending.as_ref().is_some_and(|PendingWrite { cas, .. }| *cas != index) {
            self.view.pending = None;
        }
        if self.doubtful.as_ref().is_some_and(|writing| writing.cas != index) {
            self.doubtful = None;
        }
        if self.view.votes != votes {
            self.view.votes = votes;
        }
        self.reading.record_index = garbled.get(&self.view.me).copied().unwrap_or(0);
        self.view.records.clear();
        self.reading.contacts.clear();
        for (member, (record, contact, index)) in members {
            if member == self.view.me {
                self.reading.record_index = index;
            }
            self.view.records.insert(member, record);
            self.reading.contacts.insert(member, contact);
        }
        self.view.catalog_was_read();
        self.ask_members();
        self.see_orders(now, orders);
    }

    fn see_lease(&mut self, now: Time, fact: LeaseFact) {
        if fact == self.view.lease {
            return;
        }
        let before = self.view.lease().map(|(lease, _)| lease.epoch);
        if let LeaseFact::Present { lease, .. } = &fact {
            if before != Some(lease.epoch) {
                self.watching.heat(now);
            }
            let mut attempts = self.writing.iter().chain(&self.doubtful);
            if let Some(sent) = attempts.find(|writing| writing.value == *lease).map(|writing| writing.first_sent) {
                self.hold(now, lease, sent);
            }
            if lease.state != LeaseState::Initialising && self.view.known_cluster.is_none() {
                match self.disk.know_cluster(lease.cluster) {
                    Ok(()) => self.view.known_cluster = Some(lease.cluster),
                    Err(error) => (self.log)(Level::Error, &error.to_string()),
                }
            }
        }
        let held = self.view.holding.as_ref().map(|holding| holding.lease.epoch.term);
        self.view.lease_was_read(fact, self.reading.lease_asked, now, &self.policy);
        if self.view.holding.as_ref().map(|holding| holding.lease.epoch.term) != held {
            (self.log)(Level::Info, "the lease was handed over to us");
            self.count("take-overs");
            self.phase("taken");
        }
    }

    fn see_orders(&mut self, now: Time, orders: OrdersRead) {
        if orders != self.reading.orders {
            self.watching.heat(now);
        }
        let switchover = orders.switchover.as_ref().map(|order| {
            let since = match self.reading.order_seen {
                Some((id, since)) if id == order.id => since,
                Some(_) | None => now,
            };
            self.reading.order_seen = Some((order.id, since));
            Switchover { id: order.id, to: order.to, term: order.term, since }
        });
        let stop = self.view.orders.stop;
        let (adopt, force) = (orders.adopt, orders.force);
        self.view.orders = Orders { paused: orders.paused, stop, switchover, adopt, force };
        self.rebuild_if_ordered(&orders);
        self.reading.orders = orders;
    }
}

fn lease_index(fact: &LeaseFact) -> u64 {
    match fact {
        LeaseFact::Present { index, .. } => *index,
        LeaseFact::Unknown | LeaseFact::Absent => 0,
    }
}
