//! What cannot be seen from outside: the seed, and messages that no client sends.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::message::{A, Code, Data, SRV, read};
use super::{answer::answer, reply};
use crate::state::{Command, Identity, Registration, Service, State, Time};

fn state(instances: u8) -> State {
    let identity = Identity {
        node: "n1".into(),
        node_id: String::new(),
        address: "127.0.0.1".into(),
        datacenter: "dc1".into(),
        server_port: 8300,
    };
    let mut state = State::new(identity, Time::ZERO);
    for number in 0..instances {
        let service = Service {
            id: format!("web-{number}"),
            name: "web".into(),
            address: format!("10.0.0.{number}"),
            port: 80,
            ..Service::default()
        };
        let node = state.nodes().next().expect("its own").clone();
        let registration = Registration { node, service: Some(service), ..Registration::default() };
        state.apply(Command::Register(Box::new(registration)), Duration::ZERO).expect("nothing is missing");
    }
    state
}

/// A question; `size` in a record of EDNS.
fn question(name: &str, kind: u16, size: Option<u16>) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(size.is_some())];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&[0, 1]);
    if let Some(size) = size {
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes.extend_from_slice(&[0; 6]);
    }
    bytes
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[test]
fn the_order_is_another_one_each_time() {
    let (state, query) = (state(5), read(&question("web.service.consul", A, None)).expect("a question"));
    let first = |seed: u64| {
        let Data::A(address) = answer(&state, &query, seed, 0).answers[0].data else {
            panic!("an address was asked for")
        };
        address
    };
    let seen: std::collections::BTreeSet<Ipv4Addr> =
        (0..200).map(|seed: u64| first(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    assert_eq!(seen.len(), 5, "each instance comes first at some time");
}

#[test]
fn what_does_not_fit_is_told() {
    let state = state(200);
    let count = |size: Option<u16>, udp: bool| {
        let answer = reply(&state, &question("web.service.consul", A, size), udp).expect("it is a question");
        assert!(!udp || answer.len() <= usize::from(size.unwrap_or(512)), "{}", answer.len());
        (word(&answer, 6), word(&answer, 2) & 0x0200 != 0)
    };
    // 36 bytes are head and question, and each record has 16.
    assert_eq!(count(None, true), ((512 - 36) / 16, true));
    assert_eq!(count(Some(1232), true), ((1232 - 36 - 11) / 16, true));
    assert_eq!(count(Some(4096), true), (200, false));
    assert_eq!(count(None, false), (200, false));
    let answer = reply(&state, &question("web.service.consul", SRV, None), false).expect("it is a question");
    assert_eq!((word(&answer, 6), word(&answer, 10)), (200, 200));
}

#[test]
fn what_is_no_question_is_refused_or_ignored() {
    let state = state(1);
    let good = question("web.service.consul", A, None);
    let check = |change: &dyn Fn(&mut Vec<u8>), code: Option<Code>| {
        let mut bytes = good.clone();
        change(&mut bytes);
        let answer = reply(&state, &bytes, true);
        assert_eq!(answer.map(|answer| word(&answer, 2) & 0xf), code.map(|code| code as u16), "{bytes:?}");
    };
    check(&|_| {}, Some(Code::NoError));
    check(&|bytes| bytes.truncate(11), None);
    check(&|bytes| bytes[2] |= 0x80, None);
    check(&|bytes| bytes[2] |= 0x10, Some(Code::NotImplemented));
    check(&|bytes| bytes[5] = 2, Some(Code::FormatError));
    check(&|bytes| bytes[12] = 0xc0, Some(Code::FormatError));
    check(&|bytes| bytes.truncate(20), Some(Code::FormatError));
    check(&|bytes| bytes.truncate(good.len() - 1), Some(Code::FormatError));
}

proptest! {
    #[test]
    fn garbage_is_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..300), udp in any::<bool>()) {
        let _ = reply(&state(3), &bytes, udp);
    }

    #[test]
    fn damaged_questions_are_harmless(
        at in 0usize..60, byte in any::<u8>(), kind in any::<u16>(), name in "[a-z_.]{1,40}\\.(service|node|addr)\\.consul",
    ) {
        let name = name.replace("..", ".");
        let mut bytes = question(name.trim_matches('.'), kind, Some(600));
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let answer = reply(&state(100), &bytes, true);
        prop_assert!(answer.is_none_or(|answer| answer.len() <= 4096));
    }
}
