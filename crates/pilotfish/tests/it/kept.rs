//! `pilotfish catalog --data`: what was acknowledged survives `kill -9`, a full disk and a torn file; a damaged file is refused.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use pilotfish_testing::{CatalogKill, PATIENCE, free_port, mortal, spawn, wait_until};
use tempfile::TempDir;

const PILOTFISH: &str = env!("CARGO_BIN_EXE_pilotfish");

/// A catalog with a data directory, killed on drop.
struct Catalog {
    child: Child,
    address: SocketAddr,
    told: Arc<Mutex<String>>,
    listener: Option<std::thread::JoinHandle<()>>,
}

impl Catalog {
    fn start(data: &Path) -> Catalog {
        Catalog::start_as("kept", data)
    }

    fn start_as(node: &str, data: &Path) -> Catalog {
        let mut catalog = Catalog::launch(mortal(PILOTFISH), node, data);
        catalog.wait_for_answer();
        catalog
    }

    fn launch(mut command: Command, node: &str, data: &Path) -> Catalog {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port([127, 0, 0, 1].into())));
        command.arg("catalog").arg(format!("--listen={address}")).args(["--node", node, "--data"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawn(command).unwrap();
        let told = Arc::new(Mutex::new(String::new()));
        let (lines, text) = (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::clone(&told));
        let listener = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *text.lock().unwrap() += &(line + "\n");
            }
        });
        Catalog { child, address, told, listener: Some(listener) }
    }

    fn wait_for_answer(&mut self) {
        wait_until("the catalog to answer", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the catalog has ended: {}", self.told());
            let connected = TcpStream::connect(self.address).is_ok();
            (connected && self.told().contains("listens on")).then_some(())
        });
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    #[track_caller]
    fn put(&self, path: &str, body: &str) -> String {
        let (status, answer) = self.ask("PUT", path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    fn get(&self, path: &str) -> String {
        self.ask("GET", path, "").1
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scratch() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    (directory, data)
}

/// Starts a catalog that ends by itself: its exit code, and what it says.
fn refused(data: &Path) -> (Option<i32>, String) {
    let mut catalog = Catalog::launch(mortal(PILOTFISH), "kept", data);
    let status = wait_until("the catalog to refuse to start", || catalog.child.try_wait().unwrap());
    // All that it has said, and not only the first line of it.
    catalog.listener.take().unwrap().join().unwrap();
    (status.code(), catalog.told())
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let (_directory, data) = scratch();
    let kill = CatalogKill { pilotfish: PILOTFISH.into(), data, kills: 10 };
    let report = kill.run().unwrap();
    assert!(report.acknowledged > 10, "{report:?}");
}

#[test]
fn a_restart_goes_on_where_the_other_process_was() {
    let (_directory, data) = scratch();
    let mut catalog = Catalog::start(&data);
    let service = r#"{"Name": "web", "ID": "w", "Port": 80, "Checks": [{"CheckID": "beat", "TTL": "100h"}, {"CheckID": "late", "TTL": "1ms"},
        {"CheckID": "probe", "TCP": "127.0.0.1:1", "Interval": "100h", "Status": "passing"}]}"#;
    catalog.put("/v1/agent/service/register", service);
    catalog.put("/v1/agent/check/update/beat", r#"{"Status": "warning", "Output": "so so"}"#);
    catalog.put("/v1/agent/check/update/late", r#"{"Status": "passing"}"#);
    let session = catalog.put("/v1/session/create", r#"{"Name": "holder", "LockDelay": "0s"}"#);
    let session = session.split('"').nth(3).unwrap().to_owned();
    catalog.put(&format!("/v1/kv/lock?acquire={session}"), "mine");
    catalog.put("/v1/kv/tree/a", "1");
    catalog.ask("DELETE", "/v1/kv/tree/a", "");
    let this = catalog.get("/v1/agent/self");
    let index = |catalog: &Catalog| {
        let text = catalog.get("/v1/kv/lock");
        text.split("\"ModifyIndex\":").nth(1).unwrap().trim_end_matches(['}', ']', '\n']).trim().parse::<u64>().unwrap()
    };
    let before = index(&catalog);
    let read = |catalog: &Catalog| (catalog.get("/v1/kv/?recurse"), catalog.get("/v1/session/list"));
    let kept = read(&catalog);
    catalog.kill();
    let catalog = Catalog::start(&data);
    assert!(catalog.told().contains("batches of writes"), "{}", catalog.told());
    assert_eq!(read(&catalog), kept);
    let node_id = |text: &str| text.split("\"NodeID\":").nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
    assert_eq!(node_id(&catalog.get("/v1/agent/self")), node_id(&this));
    let checks: serde_json::Value = serde_json::from_str(&catalog.get("/v1/health/checks/web")).unwrap();
    let status = |id: &str| {
        let checks = checks.as_array().unwrap();
        checks.iter().find(|check| check["CheckID"] == id).unwrap()["Status"].as_str().unwrap().to_owned()
    };
    assert_eq!([status("beat"), status("late"), status("probe")], ["warning", "critical", "critical"]);
    catalog.put(&format!("/v1/kv/lock?release={session}"), "mine");
    assert!(index(&catalog) > before);
}

#[test]
fn a_host_with_another_name_takes_its_services_with_it() {
    let (_directory, data) = scratch();
    let mut catalog = Catalog::start_as("before", &data);
    let register = |number: u16| {
        catalog.put("/v1/agent/service/register", &format!(r#"{{"Name": "web", "Port": {number}}}"#));
    };
    (1..20).for_each(register);
    // What is written depends on the index, which must be the same when it is written once more.
    for _ in 0..5 {
        let entry: serde_json::Value = serde_json::from_str(&catalog.get("/v1/kv/key")).unwrap_or_default();
        let index = entry[0]["ModifyIndex"].as_u64().unwrap_or(0);
        assert_eq!(catalog.put(&format!("/v1/kv/key?cas={index}&flags={}", index + 1), "").trim(), "true");
        catalog.put("/v1/agent/service/register", &format!(r#"{{"Name": "web", "Port": {index}}}"#));
    }
    let key = catalog.get("/v1/kv/key");
    catalog.kill();
    let catalog = Catalog::start_as("after", &data);
    assert_eq!(catalog.get("/v1/kv/key"), key);
    let instances: serde_json::Value = serde_json::from_str(&catalog.get("/v1/health/service/web")).unwrap();
    let nodes: Vec<_> = instances.as_array().unwrap().iter().map(|instance| &instance["Node"]["Node"]).collect();
    assert_eq!(nodes, ["after"]);
    assert!(!catalog.get("/v1/catalog/nodes").contains("before"));
}

#[test]
fn the_file_does_not_grow_without_end() {
    let (_directory, data) = scratch();
    let mut catalog = Catalog::start(&data);
    let file = data.join("catalog.log");
    let (mut largest, mut shrunk, mut written) = (0, false, 0);
    let value = "v".repeat(500_000);
    while !shrunk {
        catalog.put(&format!("/v1/kv/same?flags={written}"), &value);
        written += 1;
        let length = file.metadata().unwrap().len();
        shrunk = length < largest;
        largest = largest.max(length);
        assert!(largest < 18 << 20, "{largest} bytes after {written} writes");
    }
    catalog.kill();
    let catalog = Catalog::start(&data);
    assert_eq!(catalog.get("/v1/kv/same?raw"), value);
    assert!(catalog.get("/v1/kv/same").contains(&format!("\"Flags\":{}", written - 1)));
}

#[test]
fn one_directory_has_one_catalog() {
    let (_directory, data) = scratch();
    let _catalog = Catalog::start(&data);
    let (code, said) = refused(&data);
    assert_eq!(code, Some(1));
    assert!(said.contains("is used by another catalog"), "{said}");
}

#[test]
fn a_torn_end_is_cut_and_a_damaged_middle_refused() {
    let (_directory, data) = scratch();
    let mut catalog = Catalog::start(&data);
    let file = data.join("catalog.log");
    catalog.put("/v1/kv/a", "first");
    let length = file.metadata().unwrap().len();
    catalog.put("/v1/kv/b", "second");
    catalog.kill();
    let whole = std::fs::read(&file).unwrap();

    // A byte of what came before the last write.
    let log = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    log.write_all_at(b"\0", length - 10).unwrap();
    let (code, said) = refused(&data);
    assert_eq!(code, Some(1));
    let place = said.split("damaged at byte ").nth(1).unwrap().split(':').next().unwrap().parse::<u64>().unwrap();
    assert!(place > 32 && place < length && said.contains("catalog.log"), "{said}");
    assert!(said.contains(&format!("truncate --size={place}")), "{said}");

    std::fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let catalog = Catalog::start(&data);
    let torn = whole.len() as u64 - 3 - length;
    assert!(
        catalog.told().contains(&format!("the {torn} bytes after byte {length} are cut off")),
        "{}",
        catalog.told()
    );
    assert_eq!((catalog.get("/v1/kv/a?raw"), catalog.ask("GET", "/v1/kv/b", "").0), ("first".to_owned(), 404));
}

#[test]
fn on_a_full_disk_writes_are_refused_and_reads_go_on() {
    let (_directory, data) = scratch();
    std::fs::create_dir(&data).unwrap();
    let mut command = mortal("unshare");
    let script = r#"mount -t tmpfs -o size=256k tmpfs "$1" && shift && exec "$@""#;
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&data).arg(PILOTFISH);
    let mut catalog = Catalog::launch(command, "kept", &data);
    catalog.wait_for_answer();
    catalog.put("/v1/kv/before", "1");
    catalog.put("/v1/agent/service/register", r#"{"Name": "web", "Check": {"CheckID": "beat", "TTL": "100h"}}"#);
    // The disk is another one for the catalog than for us.
    let inside = PathBuf::from(format!("/proc/{}/root{}", catalog.child.id(), data.display()));
    let filling = inside.join("filling");
    let filled = std::fs::write(&filling, vec![1; 1 << 20]);
    assert!(filled.is_err(), "it is larger than the disk");
    let (status, reason) = wait_until("the disk to be full", || {
        let answer = catalog.ask("PUT", "/v1/kv/during", &"x".repeat(4096));
        (answer.0 != 200).then_some(answer)
    });
    assert_eq!(status, 500);
    assert!(reason.contains("No space left on device") && reason.contains("nothing was changed"), "{reason}");
    let before = catalog.get("/v1/kv/during?raw");
    assert_eq!(catalog.ask("PUT", "/v1/kv/during", &"y".repeat(4096)).0, 500);
    assert_eq!(catalog.get("/v1/kv/during?raw"), before, "nothing of it is there");
    assert_eq!(catalog.get("/v1/kv/before?raw"), "1");
    catalog.put("/v1/agent/check/pass/beat", "");
    assert!(catalog.get("/v1/health/service/web?passing").contains("beat"), "health goes on");
    wait_until("the log to tell of it", || catalog.told().contains("No space left").then_some(()));

    std::fs::remove_file(&filling).unwrap();
    wait_until("writes to be taken again", || (catalog.ask("PUT", "/v1/kv/after", "2").0 == 200).then_some(()));
    wait_until("the log to tell of it", || catalog.told().contains("can be written to again").then_some(()));
    // What is kept is seen by a catalog on a copy.
    let (_other, copy) = scratch();
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(inside.join("catalog.log"), copy.join("catalog.log")).unwrap();
    catalog.kill();
    let catalog = Catalog::start(&copy);
    assert_eq!((catalog.get("/v1/kv/before?raw"), catalog.get("/v1/kv/after?raw")), ("1".to_owned(), "2".to_owned()));
    assert!(catalog.get("/v1/health/service/web?passing").contains("beat"));
}
