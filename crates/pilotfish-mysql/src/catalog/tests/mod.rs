//! The catalog's keys and the registration, on a real catalog that is asked by several, loses its data, or loses its leader.

mod keys;
mod loss;
mod registering;
mod wires;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use pilotfish_autopilot::{
    ClusterId, Config, DataId, Epoch, Flavour, GtidSet, Lease, LeaseState, MemberId, MemberRecord, Seat, Term, Vote,
};
use pilotfish_consul::Client;

use super::{Board, Contact};

/// Longer than any answer takes.
const LIMIT: Duration = Duration::from_secs(10);
/// A wait that only a change ends.
const LONG: Duration = Duration::from_secs(300);
const FLAVOUR: Flavour = Flavour::MySql;

fn client(servers: &[SocketAddr]) -> Client {
    let addresses: Vec<String> = servers.iter().map(ToString::to_string).collect();
    Client::new(pilotfish_consul::Config::with_addresses(&addresses.join(",")).unwrap()).unwrap()
}

fn board(server: SocketAddr) -> Board {
    Board::new(client(&[server]), "db", FLAVOUR, LIMIT)
}

fn lease(term: u64, beat: u64) -> Lease {
    Lease {
        cluster: ClusterId(7),
        epoch: Epoch { term: Term(term), change: 1 },
        holder: MemberId(1),
        state: LeaseState::Held,
        config: Config {
            primary: Seat { member: MemberId(1), data: DataId(1) },
            in_sync: BTreeMap::from([(MemberId(2), DataId(2))]),
            acks: 1,
        },
        alone: false,
        forced: false,
        beat,
    }
}

fn record(term: u64) -> MemberRecord {
    MemberRecord {
        data: Some((ClusterId(7), DataId(1))),
        seen: Epoch { term: Term(term), change: 1 },
        promise: Term(term),
        executed: None,
        received: None,
        following: None,
        ailment: None,
        may_lead: true,
        leaving: false,
    }
}

fn contact() -> Contact {
    Contact { name: "one".into(), address: "127.0.0.1".into(), port: 3306, api_port: 3307 }
}

fn vote(member: u32, data: u64, term: u64) -> Vote {
    let seat = Seat { member: MemberId(member), data: DataId(data) };
    Vote { seat, term: Term(term), received: GtidSet::empty(FLAVOUR) }
}
