//! A test run that is killed leaves no supervisor behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use pilotfish_testing::wait_until;

use crate::stage::{Pilot, Stage};

/// Set for the run that is killed.
const VICTIM: &str = "PILOTFISH_TEST_VICTIM";

const CONFIG: &str = r#"{ jobs: [{ name: "app", exec: ["sleep", "infinity"], main: true }] }"#;

#[test]
fn a_supervisor_does_not_outlive_tests_that_are_killed() {
    if std::env::var_os(VICTIM).is_some() {
        return victim();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "killed::a_supervisor_does_not_outlive_tests_that_are_killed", "--nocapture"]);
    let mut run = command.env(VICTIM, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pids = lines.filter_map(|line| line.strip_prefix("pid ").map(str::to_owned));
    let processes: Vec<_> = pids.take(2).map(|pid| std::path::PathBuf::from(format!("/proc/{pid}"))).collect();
    assert!(processes.len() == 2 && processes.iter().all(|process| process.exists()));
    run.kill().and_then(|()| run.wait()).unwrap();
    wait_until("the supervisors to be gone", || processes.iter().all(|process| !process.exists()).then_some(()));
}

/// Starts a supervisor as root and one as a user, and waits to be killed.
fn victim() {
    let pilots = [Pilot::start(CONFIG), Stage::with_config(CONFIG).as_user(65531).start()];
    for pilot in &pilots {
        pilot.wait_for_line("app started");
        println!("\npid {}", pilot.pid().as_raw_nonzero());
    }
    // It is never written to.
    let _ = std::io::stdin().read(&mut [0]);
}
