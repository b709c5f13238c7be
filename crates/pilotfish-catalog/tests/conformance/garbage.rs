//! What is no request of any client: bytes at random, halves, drips, floods. Ours must live on, stay small, and refuse what a real
//! Consul refuses.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use pilotfish_testing::{Consul, ConsulOptions, Kind, OnlyConsul, PATIENCE, wait_until};

use crate::dice::Dice;
use crate::pair::subject;
use crate::wire::{Connection, Request};

/// Most memory that ours may ever have used, in bytes, after all that is thrown at it here.
const MEMORY: u64 = 150 * 1024 * 1024;
/// Connections that are opened and then left alone. (A real Consul takes 200 of a client and no more.)
const IDLERS: usize = 400;
/// Requests and byte strings at random.
const RANDOM: usize = 1500;

/// A few bytes of a text changed, doubled, cut or put in.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    const PIECES: [&str; 8] = ["{", "}}]", "%00", "%2f..", "99999999999999999999", "\\u0000", "null", "&flags=-1"];
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(5) {
            0 => bytes.insert(at, dice.byte()),
            1 => bytes.truncate(at),
            2 => bytes.extend_from_within(at..),
            3 if at < bytes.len() => bytes[at] = dice.byte(),
            _ => {
                let piece = dice.one_of(&PIECES).bytes();
                bytes.splice(at..at, piece);
            }
        }
    }
}

fn ours() -> Consul {
    Consul::start_with(ConsulOptions { kind: subject(), ..ConsulOptions::default() })
}

fn judge() -> Consul {
    let options = ConsulOptions { kind: Kind::Consul(OnlyConsul::Judge), production: true, ..ConsulOptions::default() };
    Consul::start_with(options)
}

/// It answers, it has not panicked, and it is small.
fn assert_sound(consul: &Consul) {
    wait_until("an answer after it all", || {
        consul.request("GET", "/v1/status/leader", "").filter(|(status, _)| *status == 200)
    });
    let log = consul.log();
    assert!(!log.contains("panicked"), "{log}");
    if subject() == Kind::Embedded {
        let most = status_line(consul, "VmHWM:");
        assert!(most < MEMORY, "it has used {most} bytes");
    }
}

/// A line of `/proc/PID/status`, in bytes.
fn status_line(consul: &Consul, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", consul.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and says with which status the answer begins; nothing when the connection just ends.
fn status(stream: &mut TcpStream, bytes: &[u8]) -> Option<u16> {
    // The server may have closed already.
    let _ = stream.write_all(bytes);
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        line.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&line).into_owned();
    text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

#[test]
fn malformed_requests_are_refused_as_by_a_real_consul() {
    let header_of = |bytes: usize| format!("GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(bytes));
    let plain = |text: &str| text.replace('\n', "\r\n");
    let cases = [
        plain("GET\n\n"),
        plain("GET /v1/status/leader\n\n"),
        plain("nonsense\n\n"),
        plain("GET /v1/status/leader HTTP/1.1\n\n"),
        plain("GET /v1/status/leader HTTP/1.0\n\n"),
        plain("GET /v1/status/leader HTTP/9.9\nHost: x\n\n"),
        plain("GET /v1/status/leader FTP/1.1\nHost: x\n\n"),
        plain("get /v1/status/leader HTTP/1.1\nHost: x\n\n"),
        plain("GET v1/status/leader HTTP/1.1\nHost: x\n\n"),
        plain("GET http://x/v1/status/leader HTTP/1.1\nHost: x\nConnection: close\n\n"),
        plain("GET /v1/status/leader HTTP/1.1\nHost: x\nHost: y\n\n"),
        plain("GET /v1/status/leader HTTP/1.1\nHost: x\nno colon\n\n"),
        plain("GET /v1/status/leader HTTP/1.1\nHost: x\n: no name\n\n"),
        plain("GET /v1/status/leader HTTP/1.1\nHost: x\nA b: space\n\n"),
        plain("GET /v1/status/leader HTTP/1.1\nHost: x\nA: \u{0}\n\n"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nContent-Length: -1\n\n"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nContent-Length: abc\n\n"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 2\n\nx"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nContent-Length: 99999999999999999999\n\n"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nContent-Length: 600000\n\n"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nTransfer-Encoding: nonsense\n\n"),
        plain("PUT /v1/kv/a HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\nConnection: close\n\n3\nabc\n0\n\n"),
        plain("GET /v1/kv/a%00%ff HTTP/1.1\nHost: x\nConnection: close\n\n"),
        plain("GET /v1/kv/a b HTTP/1.1\nHost: x\n\n"),
        plain("GET * HTTP/1.1\nHost: x\nConnection: close\n\n"),
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
        header_of(2_000_000),
        header_of(20_000),
        format!("GET /v1/kv/{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "k".repeat(5_000)),
    ];
    // What the library that reads HTTP refuses in its own way, before we see it.
    let parsed_otherwise = [": no name", "Transfer-Encoding: nonsense"];
    let (real, ours) = (judge(), ours());
    let differ = |case: &String| {
        let ask = |consul: &Consul| status(&mut connect(consul.http()), case.as_bytes());
        let (one, other) = (ask(&real), ask(&ours));
        let text: String = case.chars().take(120).collect();
        let accepted = parsed_otherwise.iter().any(|part| case.contains(part)) && subject() == Kind::Embedded;
        ((one != other) != accepted).then(|| format!("{text:?}: Consul {one:?}, ours {other:?}, accepted: {accepted}"))
    };
    let differences: Vec<String> = cases.iter().filter_map(differ).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_sound(&ours);
}

#[test]
fn random_bytes_and_requests_leave_it_sound() {
    let consul = ours();
    let mut dice = Dice::new(7);
    for _ in 0..RANDOM / 10 {
        let mut bytes: Vec<u8> = (0..dice.roll(400)).map(|_| dice.byte()).collect();
        if dice.roll(2) == 0 {
            bytes = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_vec();
            mutate(&mut dice, &mut bytes);
        }
        let mut stream = connect(consul.http());
        let _ = stream.write_all(&bytes);
        // There is no more to come: whatever it was, it has to be answered or dropped now.
        let _ = stream.shutdown(Shutdown::Write);
        if let Some(status) = status(&mut stream, b"") {
            assert!((200..600).contains(&status), "{status} for {:?}", String::from_utf8_lossy(&bytes));
        }
    }
    let mut requests: Vec<Request> = crate::requests();
    let mut connection = Connection::new(consul.http());
    for _ in 0..RANDOM {
        let index = dice.roll(requests.len());
        let mut request = requests[index].clone();
        let mut target = request.target.into_bytes();
        if dice.roll(2) == 0 {
            mutate(&mut dice, &mut target);
        }
        // What breaks the line itself was sent above; an index and a wait could hold the test up.
        let text: String = target.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| *byte as char).collect();
        request.target = format!("/{}", text.trim_start_matches('/').replace("wait=", "weight="));
        if request.target.contains("index=") || request.target.contains("hash=") {
            continue;
        }
        mutate(&mut dice, &mut request.body);
        let told = format!("{} {} {:?}", request.method, request.target, String::from_utf8_lossy(&request.body));
        let answer = connection.exchange(&request).unwrap_or_else(|error| panic!("{told}: {error}"));
        assert!((200..600).contains(&answer.status), "{} for {told}", answer.status);
        requests[index].body.truncate(4096);
    }
    assert_sound(&consul);
}

#[test]
fn idle_and_slow_clients_are_no_burden() {
    let consul = ours();
    let idlers = if subject() == Kind::Embedded { IDLERS } else { 150 };
    let idle: Vec<TcpStream> = (0..idlers)
        .map(|index| {
            let mut stream = connect(consul.http());
            let halves: [&[u8]; 4] = [
                b"",
                b"GET /v1/agent/se",
                b"PUT /v1/kv/half HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\nhalf",
                b"GET /v1/kv/x HTTP/1.1\r\nHost: x\r\n\r\n",
            ];
            stream.write_all(halves[index % halves.len()]).unwrap();
            stream
        })
        .collect();
    let mut slow = connect(consul.http());
    let drip = b"PUT /v1/kv/drip HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nslow";
    for byte in drip {
        slow.write_all(&[*byte]).unwrap();
        assert_eq!(consul.request("GET", "/v1/catalog/datacenters", "").map(|(status, _)| status), Some(200));
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("true\n") || answer.ends_with("true"), "{answer}");
    // Nobody reads these answers.
    let deaf: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = connect(consul.http());
            stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            // Stops when the server, as it should, no longer reads from somebody who does not read.
            for _ in 0..2_000 {
                if stream.write_all(b"GET /v1/agent/self HTTP/1.1\r\nHost: x\r\n\r\n").is_err() {
                    break;
                }
            }
            stream
        })
        .collect();
    assert_sound(&consul);
    drop((idle, deaf));
    assert_eq!(consul.request("GET", "/v1/kv/half", "").map(|(status, _)| status), Some(404), "half a value was kept");
    assert_sound(&consul);
}

#[test]
fn huge_and_deep_bodies_are_refused_in_little_memory() {
    const HUGE: usize = 100 * 1024 * 1024;
    let consul = ours();
    let targets =
        ["/v1/kv/huge", "/v1/txn", "/v1/agent/service/register", "/v1/session/create", "/v1/catalog/register"];
    std::thread::scope(|scope| {
        for target in targets.iter().chain(&["/v1/event/fire/huge", "/v1/agent/check/register"]) {
            let server = consul.http();
            scope.spawn(move || {
                let mut stream = connect(server);
                let head = format!("PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {HUGE}\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                let piece = vec![b'['; 64 * 1024];
                for _ in 0..HUGE / piece.len() {
                    // Whoever refuses need not read on.
                    if stream.write_all(&piece).is_err() {
                        break;
                    }
                }
                let mut start = [0; 12];
                if stream.read_exact(&mut start).is_ok() {
                    let status = String::from_utf8_lossy(&start[9..]).into_owned();
                    assert!(status.starts_with('4') || status.starts_with('5'), "{target}: {status}");
                }
            });
        }
    });
    let mut connection = Connection::new(consul.http());
    for target in targets {
        for deep in ["[", "{\"a\":", "{\"Check\":"] {
            let body = deep.repeat(400_000 / deep.len()).into_bytes();
            let request = Request { method: "PUT".into(), target: target.into(), body, ..Request::default() };
            let answer = connection.exchange(&request).unwrap();
            let is_value = target.starts_with("/v1/kv/") && answer.status == 200;
            assert!(is_value || (400..600).contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
        }
    }
    assert_sound(&consul);
}
