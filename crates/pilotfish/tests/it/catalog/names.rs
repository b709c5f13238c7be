//! Consul by a name that a real resolver looks up: several records, and records that change.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};

use pilotfish_testing::{Consul, ConsulOptions};

use super::view::wait_for_passing;
use super::{service, stage};

/// A name server of one name on a loopback address of its own; it lives as long as the tests.
struct NameServer {
    ip: Ipv4Addr,
    records: Arc<Mutex<Vec<Ipv4Addr>>>,
}

impl NameServer {
    /// Nothing where port 53, which is all that resolvers know, may not be opened.
    fn start(records: &[Ipv4Addr]) -> Option<NameServer> {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 53, high, low);
        let socket = UdpSocket::bind((ip, 53)).ok()?;
        let server = NameServer { ip, records: Arc::new(Mutex::new(records.to_vec())) };
        let records = server.records.clone();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                if let Some(answer) = answer(&query[..length], &records.lock().unwrap()) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Some(server)
    }
}

/// The answer to a query (RFC 1035, section 4.1): the records if addresses of version 4 are asked for, else none.
fn answer(query: &[u8], records: &[Ipv4Addr]) -> Option<Vec<u8>> {
    let name_end = 12 + query.get(12..)?.iter().position(|byte| *byte == 0)?;
    let question = query.get(12..name_end + 5)?;
    let records = if question.ends_with(&[0, 1, 0, 1]) { records } else { &[] };
    // A response with recursion, without errors; one question, and as many answers as records.
    let mut answer =
        [&query[..2], &[0x81, 0x80, 0, 1, 0, u8::try_from(records.len()).ok()?, 0, 0, 0, 0], question].concat();
    for record in records {
        // The name of the question; type A, class IN, not to be kept, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(record.octets());
    }
    Some(answer)
}

#[test]
fn the_records_of_a_name_are_all_tried_and_looked_up_again() {
    let [dead, alive] = [Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 2)];
    let Some(names) = NameServer::start(&[dead]) else { return eprintln!("not tested: port 53 cannot be opened here") };
    let consul = Consul::start_with(ConsulOptions { ip: Some(alive), ..ConsulOptions::default() });
    let port = consul.http().port();
    let pilot = stage(format!("catalog.test:{port}"), &[service("looked-up")])
        .file("healthy", "")
        .file_at("/etc/resolv.conf", &format!("nameserver {}\noptions timeout:1\n", names.ip))
        .start();
    pilot.wait_for_line("refused");
    assert!(pilot.job("looked-up")["service"]["agent"].is_null());
    *names.records.lock().unwrap() = vec![dead, alive];
    wait_for_passing(&consul, "looked-up");
    let agent = format!("http://catalog.test:{port} ({alive}:{port})");
    pilot.wait_for_job("looked-up", |job| job["service"]["agent"] == agent);
}
