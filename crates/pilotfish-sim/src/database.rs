//! The model of a data directory: what survives a crash of the server.

use pilotfish_autopilot::{Flavour, GtidSet};

/// A transaction of the whole run, by number.
pub(crate) type Txn = u32;

/// A transaction's GTID, of either flavour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gtid {
    /// MariaDB's server id.
    pub server: u32,
    /// MySQL's server UUID.
    pub uuid: u128,
    /// The sequence number.
    pub number: u64,
}

/// A set of transactions as bits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// Adds one.
    pub(crate) fn add(&mut self, txn: Txn) {
        let word = txn as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (txn % 64);
    }

    /// Whether it is in the set.
    pub(crate) fn has(&self, txn: Txn) -> bool {
        self.0.get(txn as usize / 64).is_some_and(|word| word & (1 << (txn % 64)) != 0)
    }

    /// The first of `other` that is not in this set.
    pub(crate) fn lacks(&self, other: &Bits) -> Option<Txn> {
        other.0.iter().enumerate().find_map(|(index, theirs)| {
            let missing = theirs & !self.0.get(index).copied().unwrap_or(0);
            (missing != 0).then(|| index as u32 * 64 + missing.trailing_zeros())
        })
    }
}

/// A data directory with its binary log and relay log.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// The binary log: everything executed, in order; the tail may still wait for acks.
    pub log: Vec<Txn>,
    /// How much of it the engine has committed.
    pub committed: usize,
    /// Received and not applied.
    pub relay: Vec<Txn>,
    /// `log` as a set.
    pub executed: GtidSet,
    /// `log` and `relay` as a set.
    pub received: GtidSet,
    /// `log` as bits.
    pub in_log: Bits,
    /// `log` and `relay` as bits.
    pub in_any: Bits,
    /// The server's UUID: another one for every copy.
    pub uuid: u128,
    /// The next number under that UUID, or in the domain.
    pub next: u64,
    /// The applier stops at once, whenever it is started.
    pub applier_broken: bool,
    /// How much of the binary log is purged.
    pub purged: usize,
}

impl Database {
    /// A new one without transactions.
    pub(crate) fn new(flavour: Flavour, uuid: u128) -> Database {
        Database {
            log: Vec::new(),
            committed: 0,
            relay: Vec::new(),
            executed: GtidSet::empty(flavour),
            received: GtidSet::empty(flavour),
            in_log: Bits::default(),
            in_any: Bits::default(),
            uuid,
            next: 1,
            applier_broken: false,
            purged: 0,
        }
    }

    /// Appends to the binary log.
    pub(crate) fn execute(&mut self, txn: Txn, gtid: Gtid) {
        self.log.push(txn);
        insert(&mut self.executed, gtid);
        self.in_log.add(txn);
        if !self.in_any.has(txn) {
            insert(&mut self.received, gtid);
            self.in_any.add(txn);
        }
        self.next = match self.executed.flavour() {
            Flavour::MariaDb => self.next.max(gtid.number + 1),
            Flavour::MySql if gtid.uuid == self.uuid => self.next.max(gtid.number + 1),
            Flavour::MySql => self.next,
        };
    }

    /// Appends to the relay log.
    pub(crate) fn receive(&mut self, txn: Txn, gtid: Gtid) {
        if !self.in_any.has(txn) {
            self.relay.push(txn);
            insert(&mut self.received, gtid);
            self.in_any.add(txn);
        }
    }

    /// Throws the relay log away, as a replica does when it is started anew.
    pub(crate) fn discard_relay(&mut self) {
        self.relay.clear();
        self.received = self.executed.clone();
        self.in_any = self.in_log.clone();
    }

    /// Drops what the engine had not committed, or had not made durable: MariaDB's `--init-rpl-role=SLAVE`.
    pub(crate) fn drop_tail(&mut self, keep: usize, gtids: &[Gtid]) {
        let relay = core::mem::take(&mut self.relay);
        // A copy was made durable before it was put in place.
        let log: Vec<_> = self.log.drain(..).take(keep.max(self.purged)).collect();
        let mut fresh = Database { applier_broken: self.applier_broken, purged: self.purged, ..self.blank() };
        for txn in log {
            fresh.execute(txn, gtids[txn as usize]);
        }
        for txn in relay {
            fresh.receive(txn, gtids[txn as usize]);
        }
        fresh.committed = fresh.log.len();
        *self = fresh;
    }

    /// A copy for another member: everything committed, under another UUID.
    pub(crate) fn copy(&self, uuid: u128, gtids: &[Gtid]) -> Database {
        let mut copy = Database { uuid, ..self.blank() };
        copy.next = 1;
        for txn in &self.log[..self.committed] {
            copy.execute(*txn, gtids[*txn as usize]);
        }
        copy.committed = copy.log.len();
        copy.purged = copy.log.len();
        copy
    }

    fn blank(&self) -> Database {
        Database::new(self.executed.flavour(), self.uuid)
    }
}

fn insert(set: &mut GtidSet, gtid: Gtid) {
    match set.flavour() {
        Flavour::MariaDb => set.insert_mariadb(0, gtid.server, gtid.number),
        Flavour::MySql => set.insert_mysql(gtid.uuid, gtid.number),
    }
}
