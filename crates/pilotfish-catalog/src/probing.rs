//! Probes: the HTTP and TCP checks that the catalog itself carries out.

mod http;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::catalog::Catalog;
use crate::identity::chance;
use crate::state::{CRITICAL, Command, Interest, Key, PASSING, Probe, WARNING};

/// What a probe found: a status, and words for people.
pub(crate) type Finding = (&'static str, String);

/// Carries out what there is to probe, as it changes; dropping the future ends all probes.
pub(crate) async fn probe_all(catalog: &Catalog) {
    let mut tasks = JoinSet::new();
    let mut running: HashMap<String, (Probe, tokio::task::AbortHandle)> = HashMap::new();
    loop {
        let mut changed = catalog.wait_for(vec![Interest::Key(Key::Probes)]);
        let wanted: HashMap<String, Probe> =
            catalog.state().probes().map(|(id, probe)| (id.to_owned(), probe.clone())).collect();
        running.retain(|id, (probe, task)| {
            let keep = wanted.get(id) == Some(probe);
            if !keep {
                task.abort();
            }
            keep
        });
        for (id, probe) in wanted {
            running.entry(id.clone()).or_insert_with(|| {
                let task = tasks.spawn(repeat(catalog.clone(), id, probe.clone()));
                (probe, task)
            });
        }
        while tasks.try_join_next().is_some() {}
        changed.changed().await;
    }
}

/// Probes again and again, the first time at a random moment of the interval: checks that were registered together must not run together.
async fn repeat(catalog: Catalog, id: String, probe: Probe) {
    sleep(probe.interval * u32::try_from(chance() % 1024).unwrap_or(0) / 1024).await;
    let mut streak = Streak::default();
    loop {
        let (status, output) = once(&probe).await;
        if let Some(status) = streak.count(status, &probe) {
            // It is refused only when the catalog ends.
            let _ = catalog.submit(Command::Probed { id: id.clone(), status: status.to_owned(), output }).await;
        }
        sleep(probe.interval).await;
    }
}

/// Good and bad answers in a row.
#[derive(Debug, Default)]
struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    /// The status that is told now, if there are enough answers of one kind.
    fn count(&mut self, status: &'static str, probe: &Probe) -> Option<&'static str> {
        let (own, other, enough) = match status {
            CRITICAL => (&mut self.bad, &mut self.good, probe.failures),
            _ => (&mut self.good, &mut self.bad, probe.successes),
        };
        *other = 0;
        *own = own.saturating_add(1);
        (*own >= enough).then_some(status)
    }
}

async fn once(probe: &Probe) -> Finding {
    let target = &probe.target;
    if target.http.is_empty() { tcp(&target.tcp, probe.timeout).await } else { http::get(probe).await }
}

async fn tcp(address: &str, limit: Duration) -> Finding {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => (PASSING, format!("TCP connect {address}: Success")),
        Ok(Err(error)) => (CRITICAL, dial_error(address, &error)),
        Err(_) => (CRITICAL, format!("dial tcp {address}: i/o timeout")),
    }
}

/// Why a connection could not be made, in Go's words.
fn dial_error(address: &str, error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::ConnectionRefused, "connect: connection refused"),
        (io::ErrorKind::HostUnreachable, "connect: no route to host"),
        (io::ErrorKind::NetworkUnreachable, "connect: network is unreachable"),
    ];
    let reason = known.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, reason)| (*reason).to_owned());
    // An error that is not the kernel's comes from the resolver.
    if let (None, None, Some((host, _))) = (&reason, error.raw_os_error(), address.rsplit_once(':')) {
        return format!("dial tcp: lookup {host}: no such host");
    }
    let reason = reason.unwrap_or_else(|| error.to_string());
    format!("dial tcp {address}: {reason}")
}

/// The status that an HTTP status means (Consul documentation, checks).
fn status_of(code: u16) -> &'static str {
    match code {
        200..=299 => PASSING,
        429 => WARNING,
        _ => CRITICAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Definition;

    #[test]
    fn a_check_turns_after_so_many_answers_in_a_row() {
        let probe = Probe {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            successes: 2,
            failures: 3,
            target: Definition::default(),
        };
        let mut streak = Streak::default();
        let told: Vec<_> = [CRITICAL, CRITICAL, CRITICAL, PASSING, WARNING, PASSING, CRITICAL, PASSING]
            .map(|status| streak.count(status, &probe))
            .into();
        let expect = [None, None, Some(CRITICAL), None, Some(WARNING), Some(PASSING), None, None];
        assert_eq!(told, expect);
    }
}
