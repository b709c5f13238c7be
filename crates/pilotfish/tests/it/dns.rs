//! DNS of the embedded catalog beside that of a real Consul: the same questions, the same answers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};

use pilotfish_testing::{Consul, ConsulOptions, Kind, OnlyConsul, PATIENCE, wait_until};

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const ANY: u16 = 255;

fn question(name: &str, kind: u16) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend([kind, 1].map(u16::to_be_bytes).concat());
    bytes
}

fn over_udp(server: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(question, server).unwrap();
    let mut buffer = vec![0; 65_535];
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn over_tcp(server: SocketAddr, question: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[&(question.len() as u16).to_be_bytes(), question].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

/// An answer as text: what is the same every time, with the records of each part in order.
fn shown(answer: &[u8]) -> String {
    let word = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
    let (mut at, mut text) = (12, format!("id {:x} flags {:04x}", word(0), word(2)));
    let (asked, next) = name(answer, at);
    at = next + 4;
    text += &format!(" question {asked} {}\n", word(next));
    for (part, count) in ["answer", "authority", "additional"].into_iter().zip([word(6), word(8), word(10)]) {
        let mut records = Vec::new();
        for _ in 0..count {
            let (owner, next) = name(answer, at);
            let (kind, ttl, length) = (word(next), word(next + 4) + word(next + 6), usize::from(word(next + 8)));
            let begin = next + 10;
            let data = &answer[begin..begin + length];
            at = begin + length;
            let data = match kind {
                A => Ipv4Addr::from(<[u8; 4]>::try_from(data).unwrap()).to_string(),
                AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(data).unwrap()).to_string(),
                NS | CNAME => name(answer, begin).0,
                SRV => format!("{} {} {} {}", word(begin), word(begin + 2), word(begin + 4), name(answer, begin + 6).0),
                SOA => {
                    let (server, next) = name(answer, begin);
                    let (mailbox, next) = name(answer, next);
                    // The first number is the time.
                    format!("{server} {mailbox} {:?}", &answer[next + 4..next + 20])
                }
                // The metadata of nodes: ours does not tell it.
                TXT => continue,
                other => format!("kind {other} {data:?}"),
            };
            records.push(format!("{part} {owner} {kind} ttl {ttl}: {data}\n"));
        }
        // Consul tells an address once for each instance that is reached there.
        records.sort();
        records.dedup();
        text += &records.concat();
    }
    assert_eq!(at, answer.len(), "nothing is left over");
    text
}

/// The name at a place, and what follows it there.
fn name(message: &[u8], mut at: usize) -> (String, usize) {
    let (mut name, mut end) = (String::new(), None);
    loop {
        let length = usize::from(message[at]);
        if length >= 0xc0 {
            end = end.or(Some(at + 2));
            at = (length & 0x3f) << 8 | usize::from(message[at + 1]);
            continue;
        }
        at += 1;
        if length == 0 {
            return (name + ".", end.unwrap_or(at));
        }
        if !name.is_empty() {
            name.push('.');
        }
        name += std::str::from_utf8(&message[at..at + length]).unwrap();
        at += length;
    }
}

const SERVICES: &[&str] = &[
    r#"{"Name": "web", "ID": "a", "Port": 80, "Tags": ["Blue", "v1.2"]}"#,
    r#"{"Name": "web", "ID": "b", "Port": 81, "Address": "10.0.0.1", "Weights": {"Passing": 7, "Warning": 3}}"#,
    r#"{"Name": "web", "ID": "c", "Port": 82, "Address": "10.0.0.2", "Check": {"CheckID": "c", "TTL": "100h"}}"#,
    r#"{"Name": "web", "ID": "d", "Port": 83, "Address": "10.0.0.1"}"#,
    r#"{"Name": "warned", "ID": "w", "Port": 85, "Address": "10.0.0.3", "Weights": {"Passing": 7, "Warning": 3},
        "Check": {"CheckID": "w", "TTL": "100h"}}"#,
    r#"{"Name": "Mixed-Case", "ID": "m", "Port": 86}"#,
    r#"{"Name": "six", "ID": "s", "Port": 84, "Address": "fe80::1"}"#,
    r#"{"Name": "named", "ID": "n", "Port": 87, "Address": "host.example"}"#,
    r#"{"Name": "down", "ID": "x", "Port": 5, "Check": {"CheckID": "x", "TTL": "100h"}}"#,
];

fn started(kind: Kind) -> Consul {
    let node = Some("n1".to_owned());
    let consul = Consul::start_with(ConsulOptions { kind, node, dns: true, ..ConsulOptions::default() });
    let put = |path: &str, body: &str| crate::catalog::view::put(&consul, path, body);
    for service in SERVICES {
        put("/v1/agent/service/register", service);
    }
    for number in 0..40 {
        let body = format!(r#"{{"Name": "many", "ID": "many-{number}", "Port": 9, "Address": "10.1.0.{number}"}}"#);
        put("/v1/agent/service/register", &body);
    }
    put("/v1/agent/check/warn/w", "");
    put(
        "/v1/catalog/register",
        r#"{"Node": "other", "Address": "10.9.9.9", "Service": {"Service": "there", "Port": 1}}"#,
    );
    wait_until("the catalog to know all of it", || {
        let (_, warned) = consul.request("GET", "/v1/health/state/warning", "")?;
        let (_, many) = consul.request("GET", "/v1/catalog/service/many", "")?;
        (warned.contains("\"w\"") && many.matches("many-").count() >= 40).then_some(())
    });
    consul
}

#[test]
fn questions_are_answered_as_a_real_consul_answers_them() {
    let (ours, theirs) = (started(Kind::Embedded), started(Kind::Consul(OnlyConsul::Judge)));
    let questions = "
        web.service.consul: A AAAA ANY SRV
        WEB.Service.CONSUL: A SRV
        web.service.dc1.consul: A SRV
        web.service.dc9.consul: A SRV
        blue.web.service.consul: A SRV
        BLUE.web.service.dc1.consul: A
        v1.2.web.service.consul: A
        green.web.service.consul: A SRV
        _web._tcp.service.consul: A SRV
        _web._blue.service.consul: SRV
        _web._green.service.consul: SRV
        _web._blue.service.dc1.consul: SRV
        _web._blue.consul: SRV
        warned.service.consul: A SRV
        mixed-case.service.consul: A SRV
        six.service.consul: A AAAA ANY SRV
        named.service.consul: A AAAA SRV
        down.service.consul: A AAAA SRV
        none.service.consul: A AAAA SRV
        there.service.consul: A SRV
        consul.service.consul: A
        n1.node.consul: A AAAA SRV
        N1.node.dc1.consul: A
        other.node.consul: A
        n1.node.dc9.consul: A
        none.node.consul: A
        0a000001.addr.consul: A
        fe800000000000000000000000000001.addr.dc1.consul: AAAA
        consul: A NS SOA
        service.consul: A
        foo.consul: A
        web.service.dc1.x.consul: A
    ";
    let kinds = [("A", A), ("NS", NS), ("SOA", SOA), ("AAAA", AAAA), ("SRV", SRV), ("ANY", ANY)];
    let (mut count, mut differences) = (0, String::new());
    for line in questions.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, asked) = line.split_once(": ").unwrap();
        for kind in asked.split(' ') {
            let question = question(name, kinds.iter().find(|(known, _)| *known == kind).unwrap().1);
            for (way, ask) in [("UDP", over_udp as fn(SocketAddr, &[u8]) -> Vec<u8>), ("TCP", over_tcp)] {
                let [ours, theirs] = [&ours, &theirs].map(|server| shown(&ask(server.dns(), &question)));
                if ours != theirs {
                    differences += &format!("{name} {kind} over {way}\nours: {ours}theirs: {theirs}\n");
                }
            }
            count += 1;
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(count > 50, "{count}");
    for kind in [A, SRV] {
        let all = question("many.service.consul", kind);
        let tcp = [&ours, &theirs].map(|server| shown(&over_tcp(server.dns(), &all)));
        assert_eq!(tcp[0], tcp[1], "40 instances over TCP: ours, theirs");
    }
    // Consul tells three, and not that there are more.
    let few = over_udp(ours.dns(), &question("many.service.consul", A));
    assert!(few.len() <= 512 && few[2] & 2 != 0, "who asks is told to come over TCP");
}

#[test]
fn garbage_does_not_keep_it_from_answering() {
    let consul = Consul::start_with(ConsulOptions { kind: Kind::Embedded, dns: true, ..ConsulOptions::default() });
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let good = question("consul.service.consul", A);
    for end in 0..good.len() {
        socket.send_to(&good[..end], consul.dns()).unwrap();
        let mut stream = TcpStream::connect(consul.dns()).unwrap();
        stream.write_all(&good[..end]).unwrap();
    }
    socket.send_to(&[0xff; 9000], consul.dns()).unwrap();
    assert!(shown(&over_udp(consul.dns(), &good)).contains("127.0.0.1"));
    assert!(shown(&over_tcp(consul.dns(), &good)).contains("127.0.0.1"));
}
