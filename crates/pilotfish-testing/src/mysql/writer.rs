//! Writers of unique keys, which write down what was acknowledged, and when.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::time::{sleep, timeout};

use super::Member;
use super::client::{TABLE, connect};
use crate::http;

/// The port of every server.
const PORT: u16 = 13306;
/// The pause between two writes of a writer that follows the catalog: about 300 a second.
const PAUSE: Duration = Duration::from_millis(2);
/// And of one that writes to a server whether or not that should take it.
const SLOW_PAUSE: Duration = Duration::from_millis(40);
/// A client that got no answer for so long gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before a connection is tried again.
const RECONNECT: Duration = Duration::from_millis(5);

/// Keys are unique over all writers of a process.
static NEXT_KEY: AtomicU64 = AtomicU64::new(1);

/// What a writer was promised.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Keys whose insertion was answered with OK.
    pub acknowledged: BTreeSet<u64>,
    /// When each was, in order.
    pub times: Vec<Instant>,
    /// And when it had been asked for.
    pub sent: Vec<Instant>,
    /// And by which server.
    pub servers: Vec<IpAddr>,
    /// How many attempts failed.
    pub failures: usize,
}

impl Tally {
    /// The longest time between two acknowledgements that began after `since`.
    pub fn longest_gap(&self, since: Instant) -> Duration {
        let after = self.times.windows(2).filter(|pair| pair[1] > since);
        after.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// The first acknowledgement by this server after `since`.
    pub fn first_of(&self, server: IpAddr, since: Instant) -> Option<Instant> {
        let promises = self.times.iter().zip(&self.servers);
        promises.filter(|(time, by)| **time > since && **by == server).map(|(time, _)| *time).next()
    }
}

/// A writer, running in a thread of its own until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

/// Where a writer writes to.
type Target = Arc<Mutex<Option<IpAddr>>>;

impl Writer {
    /// Writes to whoever the catalog names as primary of `mysql`, and follows it at once.
    pub fn to_primary(catalog: SocketAddr) -> Writer {
        let target = Target::default();
        let mut writer = Writer::to(target.clone(), PAUSE, || {});
        let stop = writer.stop.clone();
        writer.threads.push(std::thread::spawn(move || follow(catalog, &target, &stop)));
        writer
    }

    /// Writes to one server, whether or not that should take it: the worst of clients.
    pub fn to_server(address: IpAddr) -> Writer {
        Writer::to(Arc::new(Mutex::new(Some(address))), SLOW_PAUSE, || {})
    }

    /// The same from the server's own machine.
    pub fn beside(member: &Member) -> Writer {
        let machine = member.machine().clone();
        Writer::to(Arc::new(Mutex::new(Some(member.address))), SLOW_PAUSE, move || machine.enter())
    }

    fn to(target: Target, pause: Duration, begin: impl FnOnce() + Send + 'static) -> Writer {
        let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Tally::default())));
        let (ends, counts) = (stop.clone(), tally.clone());
        let thread = std::thread::spawn(move || {
            begin();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(write(&target, pause, &ends, &counts));
        });
        Writer { stop, tally, threads: vec![thread] }
    }

    /// What it was promised so far.
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many more acknowledgements.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for(&self, more: usize) {
        let wanted = self.tally().times.len() + more;
        let began = Instant::now();
        while self.tally().times.len() < wanted {
            assert!(began.elapsed() < super::CLUSTER_PATIENCE, "waited in vain for {more} more acknowledged writes");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it; all that it was promised.
    pub fn stop(mut self) -> Tally {
        self.end();
        self.tally()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keeps the target what the catalog says.
fn follow(catalog: SocketAddr, target: &Target, stop: &AtomicBool) {
    let mut index = 0;
    while !stop.load(Ordering::Relaxed) {
        let path = format!("/v1/health/service/mysql-primary?passing&index={index}&wait=1s");
        let Some((200, body, next)) = http::indexed(catalog, &path) else {
            index = 0;
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        index = next;
        let instances: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
        let term = |it: &&Value| it["Service"]["Meta"]["term"].as_str().and_then(|term| term.parse::<u64>().ok());
        let newest = instances.iter().max_by_key(term);
        let address = newest.and_then(|it| it["Service"]["Address"].as_str()?.parse().ok());
        *target.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

async fn write(target: &Target, pause: Duration, stop: &AtomicBool, tally: &Mutex<Tally>) {
    let wanted = || *target.lock().unwrap_or_else(PoisonError::into_inner);
    let mut open: Option<(IpAddr, MySqlConnection)> = None;
    let mut made = false;
    while !stop.load(Ordering::Relaxed) {
        let address = wanted();
        if open.as_ref().map(|(address, _)| *address) != address {
            open = None;
        }
        let Some(address) = address else {
            sleep(RECONNECT).await;
            continue;
        };
        if open.is_none() {
            open = connect(address, PORT, Duration::from_secs(1)).await.map(|connection| (address, connection));
        }
        let Some((_, connection)) = &mut open else {
            sleep(RECONNECT).await;
            continue;
        };
        let key = NEXT_KEY.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let statement = if made { format!("INSERT INTO promises VALUES ({key})") } else { TABLE.to_owned() };
        let work = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement)));
        // A client that has learnt of another primary does not wait for the old one.
        let moved = async {
            while wanted() == Some(address) && !stop.load(Ordering::Relaxed) {
                sleep(RECONNECT).await;
            }
        };
        let done = tokio::select! {
            outcome = timeout(PATIENCE, work) => outcome.is_ok_and(|outcome| outcome.is_ok()),
            () = moved => false,
        };
        if !note(tally, (address, key, sent), done, made) {
            open = None;
        }
        made |= done;
        sleep(pause).await;
    }
}

/// Writes down what became of a statement; false if the connection is of no use any more. Making the table is no promise.
fn note(tally: &Mutex<Tally>, (server, key, sent): (IpAddr, u64, Instant), done: bool, promise: bool) -> bool {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    if done && promise {
        tally.acknowledged.insert(key);
        tally.times.push(Instant::now());
        tally.sent.push(sent);
        tally.servers.push(server);
    } else if !done {
        tally.failures += 1;
    }
    done
}
