//! What members tell each other: the lease, their records, votes and orders, as keys of the catalog; and the registration of the role.
//!
//! | key | what |
//! | --- | --- |
//! | `<service>-primary` | the lease |
//! | `<service>/members/<id>` | what a member says of itself, and where it is |
//! | `<service>/votes/<term>/<id>-<copy>` | a vote; written once |
//! | `<service>/orders/...` | what operators asked for |
//!
//! All of it is read by one query, so that what a decision is made on was true at one moment.

mod orders;
mod registration;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use pilotfish_autopilot::{Flavour, Lease, LeaseFact, MemberId, MemberRecord, Term, Vote};
use pilotfish_consul::{Client, Consistency, Cursor, KvPair, KvWrite, Read, TxnOperation, TxnOutcome};

use crate::error::Error;
pub(crate) use orders::{OrderKey, OrdersRead, Placed};
pub(crate) use registration::{Health, Registration};
pub(crate) use wire::Contact;

/// How Consul says in a transaction that a check-and-set found another index (`kvsCheckAndSet` of its state store).
const CAS_FAILED: &str = "index is stale";

/// The catalog's keys of one cluster.
#[derive(Clone)]
pub(crate) struct Board {
    client: Client,
    service: String,
    flavour: Flavour,
}

/// Everything that the catalog says of a cluster, at one moment.
pub(crate) struct Snapshot {
    /// The index to wait on.
    pub(crate) index: u64,
    /// The lease.
    pub(crate) lease: LeaseFact,
    /// What members say, where they are, and the index of their record.
    pub(crate) members: BTreeMap<MemberId, (MemberRecord, Contact, u64)>,
    /// All votes.
    pub(crate) votes: Vec<Vote>,
    /// The index of records that cannot be understood: their member can still replace its own.
    pub(crate) garbled: BTreeMap<MemberId, u64>,
    /// What operators asked for.
    pub(crate) orders: OrdersRead,
    /// Keys that say something that cannot be understood.
    pub(crate) unreadable: Vec<String>,
}

impl Board {
    pub(crate) fn new(client: Client, service: &str, flavour: Flavour, limit: Duration) -> Board {
        Board { client: client.with_deadline(limit), service: service.into(), flavour }
    }

    fn lease_key(&self) -> String {
        format!("{}-primary", self.service)
    }

    /// Reads everything, from a leader that a majority follows; when it has changed since the cursor, or after `wait`.
    ///
    /// # Errors
    /// The catalog's: then nothing is known. [`Error::Unfit`] if the lease cannot be understood: that is not the same as none. Likewise if there
    /// is no lease, and a record that cannot be understood may say that there was one.
    pub(crate) async fn snapshot(&self, cursor: &Cursor, wait: Duration) -> Result<Snapshot, Error> {
        let read = Read { consistency: Consistency::Consistent, ..Read::default() }.after(cursor, wait);
        let answer = self.client.kv_recurse(&self.service, &read).await?;
        let mut snapshot = Snapshot {
            index: answer.index,
            lease: LeaseFact::Absent,
            members: BTreeMap::new(),
            votes: Vec::new(),
            garbled: BTreeMap::new(),
            orders: OrdersRead::default(),
            unreadable: Vec::new(),
        };
        for pair in &answer.value {
            let Some(key) = pair.key.strip_prefix(&self.service) else { continue };
            if key == "-primary" {
                let lease = wire::read_lease(&pair.value).map_err(|reason| unreadable(&pair.key, &reason))?;
                snapshot.lease = LeaseFact::Present { lease, index: pair.modify_index };
            } else if let Some(key) = key.strip_prefix('/')
                && let Err(reason) = self.take(&mut snapshot, key, pair)
            {
                snapshot.unreadable.push(unreadable(&pair.key, &reason).to_string());
            }
        }
        match snapshot.unreadable.first() {
            Some(reason) if snapshot.lease == LeaseFact::Absent && !snapshot.garbled.is_empty() => {
                Err(Error::Unfit(format!("there is no lease, and {reason}; mend or remove that key")))
            }
            Some(_) | None => Ok(snapshot),
        }
    }

    fn take(&self, snapshot: &mut Snapshot, key: &str, pair: &KvPair) -> Result<(), String> {
        if let Some(member) = key.strip_prefix("members/") {
            let member = MemberId(member.parse().map_err(|_| "its name is no number of a member".to_owned())?);
            let read = wire::read_record(&pair.value, self.flavour);
            let (record, contact) = read.inspect_err(|_| {
                snapshot.garbled.insert(member, pair.modify_index);
            })?;
            snapshot.members.insert(member, (record, contact, pair.modify_index));
        } else if key.starts_with("votes/") {
            snapshot.votes.push(wire::read_vote(&pair.value, self.flavour)?);
        } else if let Some(order) = key.strip_prefix("orders/") {
            snapshot.orders.take(order, &pair.value)?;
        }
        Ok(())
    }

    /// Replaces the lease if its index is still `cas` (0: if there is none). The new index, or `None` if somebody else was quicker.
    pub(crate) async fn write_lease(&self, cas: u64, lease: &Lease) -> Result<Option<u64>, Error> {
        self.replace(self.lease_key(), wire::write_lease(lease), cas).await
    }

    /// Replaces a member's own record, likewise.
    pub(crate) async fn publish_record(
        &self,
        me: MemberId,
        cas: u64,
        record: &MemberRecord,
        contact: &Contact,
    ) -> Result<Option<u64>, Error> {
        let key = format!("{}/members/{}", self.service, me.0);
        self.replace(key, wire::write_record(record, contact, self.flavour), cas).await
    }

    /// A check-and-set that tells the new index: a transaction does, a plain write does not.
    async fn replace(&self, key: String, value: Vec<u8>, cas: u64) -> Result<Option<u64>, Error> {
        let outcome = self.client.txn(&[TxnOperation::Cas(key.clone(), value, cas)]).await?.value;
        let failures = match outcome {
            TxnOutcome::Committed(pairs) => {
                let Some(pair) = pairs.first() else {
                    return Err(Error::Unfit(format!("the catalog has written {key} and does not say at which index")));
                };
                return Ok(Some(pair.modify_index));
            }
            TxnOutcome::RolledBack(failures) => failures,
        };
        // Also a token that may not write is told in this way: that is not somebody else who was quicker.
        match failures.iter().find(|failure| !failure.text.contains(CAS_FAILED)) {
            None => Ok(None),
            Some(failure) => Err(Error::Unfit(format!("the catalog refuses to write {key}: {}", failure.text))),
        }
    }

    /// Publishes a vote; false if this copy of this member's data has voted in this term before.
    pub(crate) async fn publish_vote(&self, vote: &Vote) -> Result<bool, Error> {
        let (term, seat) = (vote.term.0, vote.seat);
        let key = format!("{}/votes/{term}/{}-{:016x}", self.service, seat.member.0, seat.data.0);
        Ok(self.client.kv_put(&key, Bytes::from(wire::write_vote(vote)), 0, &KvWrite::Cas(0)).await?.value)
    }

    /// Removes the votes of terms below this one.
    pub(crate) async fn forget_votes_below(&self, term: Term) -> Result<(), Error> {
        let prefix = format!("{}/votes/", self.service);
        let keys = self.client.kv_keys(&prefix, Some("/"), &Read::default()).await?.value;
        // With the slash at its end: what begins with `votes/1` are also the votes of term 12.
        let old = |key: &&String| {
            let name = key.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix('/'));
            let number = name.and_then(|name| name.parse::<u64>().ok());
            number.is_some_and(|number| number < term.0)
        };
        for key in keys.iter().filter(old) {
            self.client.kv_delete_recurse(key).await?;
        }
        Ok(())
    }

    /// Gives an order.
    pub(crate) async fn place_order(&self, order: &Placed) -> Result<(), Error> {
        let (key, value) = orders::write(order);
        self.client.kv_put(&self.order_key(key), Bytes::from(value), 0, &KvWrite::Always).await?;
        Ok(())
    }

    /// Removes an order.
    pub(crate) async fn remove_order(&self, key: OrderKey) -> Result<(), Error> {
        self.client.kv_delete(&self.order_key(key), None).await?;
        Ok(())
    }

    fn order_key(&self, key: OrderKey) -> String {
        format!("{}/orders/{}", self.service, key.name())
    }
}

fn unreadable(key: &str, reason: &str) -> Error {
    Error::Unfit(format!("cannot understand the catalog's key {key}: {reason}"))
}
