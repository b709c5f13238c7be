//! Tests that are killed clean up nothing themselves.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use pilotfish_testing::{Consul, wait_until};

/// Set for the run that is killed.
const VICTIM: &str = "PILOTFISH_TESTING_VICTIM";

#[test]
fn a_consul_does_not_outlive_tests_that_are_killed() {
    if std::env::var_os(VICTIM).is_some() {
        return victim();
    }
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", "a_consul_does_not_outlive_tests_that_are_killed", "--nocapture"]).env(VICTIM, "1");
    let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("this program can be executed");
    let lines = BufReader::new(run.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let pid = lines.filter_map(|line| line.strip_prefix("consul ").map(str::to_owned)).next().expect("it says a pid");
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists(), "the thread that asked for it has ended, and it lives");
    run.kill().and_then(|()| run.wait()).expect("it can be killed");
    wait_until("consul to be gone", || (!process.exists()).then_some(()));
}

/// Starts a Consul by a thread that ends, and waits to be killed.
fn victim() {
    let consul = std::thread::spawn(Consul::start).join().expect("consul starts");
    println!("\nconsul {}", consul.pid().expect("it runs"));
    // It is never written to.
    let _ = std::io::stdin().read(&mut [0]);
}
