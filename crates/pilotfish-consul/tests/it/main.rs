//! The client against real Consul servers, and against scripted faults that no real server shows on demand.

// Clippy allows this in `#[test]` functions by itself, but not in the functions that they share.
#![allow(clippy::unwrap_used)]

mod calls;
mod faults;
mod security;
mod several;
mod watching;

use std::net::SocketAddr;
use std::time::Duration;

use pilotfish_consul::{CheckStatus, Client, Config, ServiceRegistration, TtlCheck};

/// Runs a test on the runtime that the product uses: one thread.
fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

fn client(server: SocketAddr) -> Client {
    Client::new(Config::with_addresses(&server.to_string()).unwrap()).unwrap()
}

/// A client with a deadline short enough for tests in which it must pass. What must succeed in them is asked with `PATIENCE`.
fn hasty_client(addresses: &str) -> Client {
    let deadline = Duration::from_secs(1);
    Client::new(Config { deadline, ..Config::with_addresses(addresses).unwrap() }).unwrap()
}

fn service(id: &str) -> ServiceRegistration {
    ServiceRegistration {
        id: id.into(),
        name: "web".into(),
        address: Some("10.1.2.3".into()),
        port: 80,
        tags: vec!["a".into(), "b".into()],
        meta: [("version".to_owned(), "1".to_owned())].into(),
        tagged_addresses: [("lan".to_owned(), ("10.1.2.3".to_owned(), 80))].into(),
        enable_tag_override: true,
        check: Some(TtlCheck {
            id: None,
            name: Some("alive".into()),
            notes: None,
            ttl: Duration::from_secs(60),
            deregister_after: Some(Duration::from_secs(600)),
            initial: CheckStatus::Critical,
        }),
    }
}
