//! Requests without end to one HTTP server, each on a connection of its own, each answer judged: what a tier in front of changing
//! instances is measured by. Nothing is tried twice; what fails has failed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest time for a connection, and for each read. Longer than any time-out of a server in the middle, so that it is the server
/// that gives up, and says so.
const LIMIT: Duration = Duration::from_secs(20);
/// Between the answer and a thread's next request: constant pressure, not a measurement of speed.
const PAUSE: Duration = Duration::from_millis(5);
/// Failures that are kept in words; the others are only counted.
const KEPT_FAILURES: usize = 10;
/// Largest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 1 << 20;

/// What came of the requests so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Status 200, and every byte that was announced.
    pub answered: u64,
    /// Everything else.
    pub failed: u64,
    /// The first failures, each with the time since the start.
    pub failures: Vec<String>,
    /// The longest time from the begin of a request to the end of its answer.
    pub slowest: Duration,
}

/// Threads that ask until they are stopped, which dropping does as well.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    started: Instant,
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Default)]
struct State {
    tally: Tally,
    stop: bool,
}

impl Load {
    /// Starts this many threads, each of which asks for the paths by turns.
    pub fn start(server: SocketAddr, paths: &'static [&'static str], threads: usize) -> Load {
        let (state, stopped) = (Mutex::new(State::default()), Condvar::new());
        let shared = Arc::new(Shared { server, started: Instant::now(), state, stopped });
        let start = |first: usize| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || {
                paths.iter().cycle().skip(first).all(|path| shared.turn(path));
            })
        };
        let threads = (0..threads).map(start).collect();
        Load { shared, threads }
    }

    /// What came of the requests so far.
    pub fn tally(&self) -> Tally {
        self.shared.lock().tally.clone()
    }

    /// Waits for the open requests, and sends no others.
    ///
    /// # Panics
    /// When a thread did.
    pub fn stop(mut self) -> Tally {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            thread.join().expect("no thread of the load panics");
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.stopped.notify_all();
    }

    /// One request, and the pause after it; false at the end.
    fn turn(&self, path: &str) -> bool {
        let began = Instant::now();
        let outcome = ask(self.server, path);
        let mut state = self.lock();
        state.tally.slowest = state.tally.slowest.max(began.elapsed());
        match outcome {
            Ok(()) => state.tally.answered += 1,
            Err(reason) => {
                state.tally.failed += 1;
                if state.tally.failures.len() < KEPT_FAILURES {
                    let (since, took) = (began - self.started, began.elapsed());
                    let text =
                        format!("{:.3} s: GET {path}: {reason} after {:.3} s", since.as_secs_f64(), took.as_secs_f64());
                    state.tally.failures.push(text);
                }
            }
        }
        let (state, _) =
            self.stopped.wait_timeout_while(state, PAUSE, |state| !state.stop).unwrap_or_else(PoisonError::into_inner);
        !state.stop
    }
}

/// One request in HTTP/1.1; the error says what is wrong with its answer.
fn ask(server: SocketAddr, path: &str) -> Result<(), String> {
    let mut stream = TcpStream::connect_timeout(&server, LIMIT).map_err(|error| format!("cannot connect: {error}"))?;
    let timed = stream.set_read_timeout(Some(LIMIT)).and_then(|()| stream.set_write_timeout(Some(LIMIT)));
    timed.map_err(|error| format!("cannot set a time-out: {error}"))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n")
        .map_err(|error| format!("cannot send: {error}"))?;
    let mut answer = Vec::new();
    let read = stream.take(ANSWER_LIMIT).read_to_end(&mut answer);
    judge(&String::from_utf8_lossy(&answer))?;
    read.map(drop).map_err(|error| format!("a whole answer, then {error}"))
}

/// Whether an answer is good and complete, when the connection has ended behind it.
fn judge(answer: &str) -> Result<(), String> {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(format!("the connection ended after {} bytes of headers", answer.len()));
    };
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("answered `{status}`"));
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match length {
        Some(length) if length == body.len() => Ok(()),
        Some(length) => Err(format!("{} of {length} bytes came", body.len())),
        None => Err("the answer does not say how long it is".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FaultyServer, Reply, wait_until};

    #[test]
    fn only_whole_answers_of_status_200_are_good() {
        assert_eq!(judge("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"), Ok(()));
        for (answer, reason) in [
            ("", "after 0 bytes"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", "bytes of headers"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", "1 of 2 bytes"),
            ("HTTP/1.1 200 OK\r\n\r\nab", "does not say"),
            ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502"),
        ] {
            assert!(judge(answer).is_err_and(|error| error.contains(reason)), "{answer:?}");
        }
    }

    #[test]
    fn failures_are_counted_and_told() {
        let good = Reply::ThenClose(Box::new(Reply::Http(200, Vec::new(), "x".to_owned())));
        let bad = Reply::ThenClose(Box::new(Reply::Http(503, Vec::new(), String::new())));
        let server = FaultyServer::start(vec![good.clone(), bad, Reply::Reset, good]);
        let load = Load::start(server.address(), &["/a", "/b"], 1);
        wait_until("two good answers", || (load.tally().answered >= 2).then_some(()));
        let tally = load.stop();
        assert_eq!((tally.failed, tally.failures.len()), (2, 2), "{tally:?}");
        assert!(tally.failures[0].contains("GET /b: answered `HTTP/1.1 503"), "{tally:?}");
        assert!(tally.slowest > Duration::ZERO);
    }
}
