//! Killing the embedded catalog at random moments, under writes whose acknowledgements are remembered.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::children::{mortal, spawn};
use crate::http::{request, request_within};
use crate::ports::free_port;
use crate::wait::{PATIENCE, wait_until};

/// Clients that write at the same time.
const WRITERS: u64 = 4;

/// A catalog is killed after at most this many acknowledgements.
const ACKNOWLEDGED: u64 = 120;

/// Kills of a catalog with a data directory.
#[derive(Debug)]
pub struct CatalogKill {
    /// The program.
    pub pilotfish: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// How often it is killed.
    pub kills: u32,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatalogKillReport {
    /// Acknowledged writes: keys, deletions, increments, registrations.
    pub acknowledged: u64,
    /// Ends of the log that were torn.
    pub torn: u64,
}

/// What was acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    keys: BTreeSet<String>,
    /// Keys that may be there or not: their deletion was asked for, and not answered.
    open: BTreeSet<String>,
    deleted: BTreeSet<String>,
    services: BTreeSet<String>,
    /// The counter is at least this.
    count: u64,
    /// The index is at least this.
    index: u64,
    writes: u64,
}

impl CatalogKill {
    /// Writes, kills, starts again and compares, as often as was asked for.
    ///
    /// # Errors
    /// The first acknowledged write that is not there, or is there in another way.
    ///
    /// # Panics
    /// When the catalog cannot be started at all.
    pub fn run(&self) -> Result<CatalogKillReport, String> {
        let known = Arc::new(Mutex::new(Acknowledged::default()));
        let mut dice = u64::from(std::process::id()) << 17 | 1;
        let mut report = CatalogKillReport::default();
        for kill in 0..=self.kills {
            let (mut child, address, told) = self.start(kill);
            report.torn += u64::from(told.contains("cut off"));
            compare(address, &mut known.lock().unwrap_or_else(PoisonError::into_inner))
                .map_err(|reason| format!("after kill {kill}: {reason}"))?;
            let (acknowledge, acknowledged) = channel();
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (known, acknowledge) = (Arc::clone(&known), acknowledge.clone());
                    std::thread::spawn(move || write(address, &format!("{kill}-{writer}"), &known, &acknowledge))
                })
                .collect();
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            drop(acknowledge);
            let enough = (dice % ACKNOWLEDGED) as usize;
            // Writers end only when they are not answered as they should be.
            if acknowledged.iter().take(enough).count() < enough {
                return Err(format!("after kill {kill}: the catalog refuses to write"));
            }
            // The moment within a write is as random as the scheduler is.
            end(&mut child);
            for writer in writers {
                writer.join().map_err(|_| "a writer panicked".to_owned())?;
            }
        }
        report.acknowledged = known.lock().unwrap_or_else(PoisonError::into_inner).writes;
        Ok(report)
    }

    fn start(&self, kill: u32) -> (Child, SocketAddr, String) {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port([127, 0, 0, 1].into())));
        let file = self.data.with_extension("told");
        let told = std::fs::File::create(&file).expect("a file can be made");
        let mut command = mortal(&self.pilotfish);
        command.arg("catalog").arg(format!("--listen={address}")).arg("--node=killed").arg("--data").arg(&self.data);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told);
        let mut child = spawn(command).expect("setpriv and pilotfish can be executed");
        wait_until("the catalog to answer", || {
            let ended = child.try_wait().expect("a child can be waited for");
            let text = || std::fs::read_to_string(&file).unwrap_or_default();
            assert!(ended.is_none(), "the catalog does not start after kill {kill}: {}", text());
            request(address, "GET", "/v1/status/leader", None, "").map(|_| ())
        });
        (child, address, std::fs::read_to_string(&file).unwrap_or_default())
    }
}

fn end(child: &mut Child) {
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        // It has not been waited for, so its id cannot belong to another process.
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = child.wait();
}

/// Writes until nobody answers any more.
fn write(server: SocketAddr, name: &str, known: &Mutex<Acknowledged>, acknowledge: &Sender<()>) {
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    // A catalog that is killed closes its connections; one that is slow, because the disk is, is waited for.
    let ask = |method: &str, path: &str, body: &str| request_within(PATIENCE, server, method, path, None, body);
    for number in 0u64.. {
        let key = format!("kept/{name}-{number}");
        let Some((200, text)) = ask("PUT", &format!("/v1/kv/{key}?flags={number}"), &key) else { return };
        assert_eq!(text.trim(), "true");
        lock().keys.insert(key.clone());
        if number % 5 == 3 {
            lock().open.insert(key.clone());
            let Some((200, _)) = ask("DELETE", &format!("/v1/kv/{key}"), "") else { return };
            let mut known = lock();
            known.open.remove(&key);
            known.keys.remove(&key);
            known.deleted.insert(key.clone());
        }
        if number % 7 == 2 {
            let body = format!("{{\"ID\": \"{name}-{number}\", \"Name\": \"kept\", \"Port\": {number}}}");
            let Some((200, _)) = ask("PUT", "/v1/agent/service/register", &body) else { return };
            lock().services.insert(format!("{name}-{number}"));
        }
        if !increment(&ask, known) {
            return;
        }
        lock().writes += 1;
        // Nobody counts any more when the catalog has been killed.
        let _ = acknowledge.send(());
    }
}

/// Adds one to the counter that all writers share, if nobody else does meanwhile; whether the catalog answered.
fn increment(ask: &impl Fn(&str, &str, &str) -> Option<(u16, String)>, known: &Mutex<Acknowledged>) -> bool {
    let Some((status, text)) = ask("GET", "/v1/kv/count", "") else { return false };
    let entry: Value = if status == 200 { serde_json::from_str(&text).unwrap_or_default() } else { Value::Null };
    let (before, index) = (entry[0]["Flags"].as_u64().unwrap_or(0), entry[0]["ModifyIndex"].as_u64().unwrap_or(0));
    match ask("PUT", &format!("/v1/kv/count?cas={index}&flags={}", before + 1), "") {
        Some((200, text)) if text.trim() == "true" => {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.count = known.count.max(before + 1);
            known.index = known.index.max(index + 1);
            true
        }
        Some((200, _)) => true,
        Some(_) | None => false,
    }
}

/// Whether everything that was acknowledged is there.
fn compare(server: SocketAddr, known: &mut Acknowledged) -> Result<(), String> {
    let list = |path: &str| {
        let answer = request_within(PATIENCE, server, "GET", path, None, "");
        let (status, text) = answer.ok_or("the catalog does not answer")?;
        if status == 404 { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(|error| error.to_string()) }
    };
    let entries = list("/v1/kv/kept/?recurse")?;
    let mut there = BTreeSet::new();
    for entry in entries.as_array().into_iter().flatten() {
        let key = entry["Key"].as_str().unwrap_or_default();
        let number = key.rsplit('-').next().and_then(|number| number.parse().ok());
        if number != entry["Flags"].as_u64() {
            return Err(format!("{entry} is not as it was written"));
        }
        there.insert(key.to_owned());
    }
    if let Some(lost) = known.keys.iter().find(|key| !there.contains(*key) && !known.open.contains(*key)) {
        return Err(format!("{lost} was acknowledged, and is lost"));
    }
    if let Some(back) = known.deleted.iter().find(|key| there.contains(*key)) {
        return Err(format!("the deletion of {back} was acknowledged, and it is back"));
    }
    // From here on it is known what became of them.
    let open = std::mem::take(&mut known.open);
    known.keys.retain(|key| !open.contains(key) || there.contains(key));
    let services = list("/v1/agent/services")?;
    if let Some(lost) = known.services.iter().find(|id| services.get(id.as_str()).is_none()) {
        return Err(format!("service {lost} was acknowledged, and is lost"));
    }
    let count = list("/v1/kv/count")?;
    let (found, index) = (count[0]["Flags"].as_u64().unwrap_or(0), count[0]["ModifyIndex"].as_u64().unwrap_or(0));
    if found < known.count || index < known.index {
        let (count, least) = (known.count, known.index);
        return Err(format!("the counter is {found} at index {index}, and was {count} at {least} or above"));
    }
    Ok(())
}
