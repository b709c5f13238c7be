//! The JSON of lease, records and votes. Unknown members are passed over, so that a newer version may say more; what is missing or of another
//! kind is an error, never a default that would be a statement.

use std::collections::BTreeMap;

use pilotfish_autopilot::{
    Ailment, ClusterId, Config, DataId, Epoch, Flavour, Following, GtidSet, Lease, LeaseState, MemberId, MemberRecord,
    Mode, Seat, Term, Vote,
};
use serde::{Deserialize, Serialize};

/// Where a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// Its name, for people.
    pub(crate) name: String,
    /// The address of its server and its operator.
    pub(crate) address: String,
    /// The server's port.
    pub(crate) port: u16,
    /// The operator's port.
    pub(crate) api_port: u16,
}

impl Contact {
    /// Where its operator answers.
    pub(crate) fn api(&self) -> (&str, u16) {
        (&self.address, self.api_port)
    }
}

#[derive(Serialize, Deserialize)]
struct WireSeat {
    member: u32,
    data: String,
}

#[derive(Serialize, Deserialize)]
struct WireLease {
    cluster: String,
    term: u64,
    change: u64,
    holder: u32,
    state: WireState,
    primary: WireSeat,
    in_sync: BTreeMap<u32, String>,
    acks: u8,
    alone: bool,
    forced: bool,
    beat: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireState {
    Initialising,
    Held,
    Released,
}

#[derive(Serialize, Deserialize)]
struct WireRecord {
    #[serde(flatten)]
    contact: Contact,
    flavour: WireFlavour,
    cluster: Option<String>,
    data: Option<String>,
    term: u64,
    change: u64,
    promise: u64,
    executed: Option<String>,
    received: Option<String>,
    following: Option<u32>,
    acking: bool,
    ailment: Option<WireAilment>,
    may_lead: bool,
    leaving: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireFlavour {
    MariaDb,
    MySql,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireAilment {
    ApplierStopped,
    Errant,
    Purged,
}

#[derive(Serialize, Deserialize)]
struct WireVote {
    #[serde(flatten)]
    seat: WireSeat,
    term: u64,
    received: String,
}

impl From<Flavour> for WireFlavour {
    fn from(flavour: Flavour) -> WireFlavour {
        match flavour {
            Flavour::MariaDb => WireFlavour::MariaDb,
            Flavour::MySql => WireFlavour::MySql,
        }
    }
}

fn identity(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|_| format!("`{text}` is no identity, which is a hexadecimal number"))
}

fn text(identity: u64) -> String {
    format!("{identity:016x}")
}

fn write(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers can be written")
}

fn read<T: for<'de> Deserialize<'de>>(value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| error.to_string())
}

fn gtids(flavour: Flavour, text: &str) -> Result<GtidSet, String> {
    GtidSet::parse(flavour, text).map_err(|error| error.to_string())
}

/// The text of a lease.
pub(super) fn write_lease(lease: &Lease) -> Vec<u8> {
    let Config { primary, in_sync, acks } = &lease.config;
    let mut seats = BTreeMap::new();
    seats.extend(in_sync.iter().map(|(member, data)| (member.0, text(data.0))));
    write(&WireLease {
        cluster: text(lease.cluster.0),
        term: lease.epoch.term.0,
        change: lease.epoch.change,
        holder: lease.holder.0,
        state: match lease.state {
            LeaseState::Initialising => WireState::Initialising,
            LeaseState::Held => WireState::Held,
            LeaseState::Released => WireState::Released,
        },
        primary: WireSeat { member: primary.member.0, data: text(primary.data.0) },
        in_sync: seats,
        acks: *acks,
        alone: lease.alone,
        forced: lease.forced,
        beat: lease.beat,
    })
}

/// Reads a lease.
pub(super) fn read_lease(value: &[u8]) -> Result<Lease, String> {
    let wire: WireLease = read(value)?;
    let mut in_sync = BTreeMap::new();
    for (member, data) in &wire.in_sync {
        in_sync.insert(MemberId(*member), DataId(identity(data)?));
    }
    let primary = Seat { member: MemberId(wire.primary.member), data: DataId(identity(&wire.primary.data)?) };
    Ok(Lease {
        cluster: ClusterId(identity(&wire.cluster)?),
        epoch: Epoch { term: Term(wire.term), change: wire.change },
        holder: MemberId(wire.holder),
        state: match wire.state {
            WireState::Initialising => LeaseState::Initialising,
            WireState::Held => LeaseState::Held,
            WireState::Released => LeaseState::Released,
        },
        config: Config { primary, in_sync, acks: wire.acks },
        alone: wire.alone,
        forced: wire.forced,
        beat: wire.beat,
    })
}

/// The text of a member's record.
pub(super) fn write_record(record: &MemberRecord, contact: &Contact, flavour: Flavour) -> Vec<u8> {
    let flavour = WireFlavour::from(flavour);
    write(&WireRecord {
        contact: contact.clone(),
        flavour,
        cluster: record.data.map(|(cluster, _)| text(cluster.0)),
        data: record.data.map(|(_, data)| text(data.0)),
        term: record.seen.term.0,
        change: record.seen.change,
        promise: record.promise.0,
        executed: record.executed.as_ref().map(ToString::to_string),
        received: record.received.as_ref().map(ToString::to_string),
        following: record.following.map(|following| following.source.0),
        acking: record.following.is_some_and(|following| following.mode == Mode::Acking),
        ailment: record.ailment.map(|ailment| match ailment {
            Ailment::ApplierStopped => WireAilment::ApplierStopped,
            Ailment::Errant => WireAilment::Errant,
            Ailment::Purged => WireAilment::Purged,
        }),
        may_lead: record.may_lead,
        leaving: record.leaving,
    })
}

/// Reads a member's record.
pub(super) fn read_record(value: &[u8], flavour: Flavour) -> Result<(MemberRecord, Contact), String> {
    let wire: WireRecord = read(value)?;
    if wire.flavour != flavour.into() {
        return Err("the member runs another database than this one: they cannot be one cluster".into());
    }
    let position = |text: Option<&String>| text.map(|text| gtids(flavour, text)).transpose();
    let data = match (&wire.cluster, &wire.data) {
        (Some(cluster), Some(data)) => Some((ClusterId(identity(cluster)?), DataId(identity(data)?))),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err("it names a cluster or a copy, and not both".into()),
    };
    let mode = if wire.acking { Mode::Acking } else { Mode::Plain };
    let record = MemberRecord {
        data,
        seen: Epoch { term: Term(wire.term), change: wire.change },
        promise: Term(wire.promise),
        executed: position(wire.executed.as_ref())?,
        received: position(wire.received.as_ref())?,
        following: wire.following.map(|source| Following { source: MemberId(source), mode }),
        ailment: wire.ailment.map(|ailment| match ailment {
            WireAilment::ApplierStopped => Ailment::ApplierStopped,
            WireAilment::Errant => Ailment::Errant,
            WireAilment::Purged => Ailment::Purged,
        }),
        may_lead: wire.may_lead,
        leaving: wire.leaving,
    };
    Ok((record, wire.contact))
}

/// The text of a vote.
pub(super) fn write_vote(vote: &Vote) -> Vec<u8> {
    write(&WireVote {
        seat: WireSeat { member: vote.seat.member.0, data: text(vote.seat.data.0) },
        term: vote.term.0,
        received: vote.received.to_string(),
    })
}

/// Reads a vote.
pub(super) fn read_vote(value: &[u8], flavour: Flavour) -> Result<Vote, String> {
    let wire: WireVote = read(value)?;
    Ok(Vote {
        seat: Seat { member: MemberId(wire.seat.member), data: DataId(identity(&wire.seat.data)?) },
        term: Term(wire.term),
        received: gtids(flavour, &wire.received)?,
    })
}
