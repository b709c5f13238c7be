//! PID 1: supervisor.md section 4, failure-modes.md group A.

use rustix::process::kill_process;

use crate::stage::{End, Pilot, Role, STORM, Signal, Stage};

/// Forks twice, so many times, without waiting: each grandchild is an orphan that lives until the gate opens.
const ORPHANS: &str = "use POSIX;
for (1..$ARGV[0]) {
    my $child = fork;
    die unless defined $child;
    if (!$child) {
        if (!fork) { open GATE, '<', $ARGV[1]; <GATE>; }
        POSIX::_exit(0);
    }
    waitpid $child, 0;
    if ($_ % 100 == 0) { open BEGUN, '>>', $ARGV[3]; print BEGUN 'x'; close BEGUN; }
}
open READY, '>', $ARGV[2]; close READY; sleep 1000";

#[test]
fn five_thousand_orphans_at_once_leave_no_zombie_and_no_status_is_lost() {
    let _turn = STORM.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let config =
        "{jobs: [{name: 'main', exec: 'perl @DIR@/orphans.pl 5000 @DIR@/gate @DIR@/made @DIR@/begun', main: true},
        {name: 'counted', exec: ['sh', '-c', 'exit 42'], restarts: 300,
            restartBackoff: {initial: '1ms', max: '1ms'}}]}";
    let mut stage = Stage::with_config(config);
    let pilot = stage.prologue("mkfifo @DIR@/gate").file("orphans.pl", ORPHANS).start();
    // As long as there are more of them, they are waited for.
    let mut begun = 0;
    while !pilot.file("made").exists() {
        let more = || pilot.file("made").exists() || pilot.read("begun").len() > begun;
        pilot.wait_for("more orphans", || more().then_some(()));
        begun = pilot.read("begun").len();
    }
    assert!(pilot.processes_with("orphans.pl").len() > 5000, "{}", pilot.processes().len());
    // All of them end now, while the other job exits again and again.
    pilot.wait_for("the end of all orphans", || {
        // For who waits at the gate by now; some may not have come to it.
        pilot.output_of(&["sh", "-c", ": <> @DIR@/gate"]);
        (pilot.processes_with("orphans.pl").len() == 1).then_some(())
    });
    pilot.wait_for("the end of all zombies", || {
        pilot.processes().iter().all(|process| process.state != 'Z').then_some(())
    });
    for runs in (30..=300).step_by(30) {
        pilot.wait_for_job("counted", |job| job["runs"].as_u64() >= Some(runs));
    }
    let job = pilot.wait_for_job("counted", |job| job["state"] == "complete");
    assert_eq!((job["runs"].as_u64(), job["lastExit"]["code"].as_u64()), (Some(301), Some(42)));
    pilot.wait_for("all exits in the log", || {
        (pilot.stdout.all("counted exited with code 42").len() == 301).then_some(())
    });
    assert!(pilot.stdout.all("counted exited").len() == 301, "no other code: {}", pilot.story());
    pilot.kill_inside(pilot.pid_of("main"), "TERM");
    assert_eq!(pilot.wait_for_end(), End::Code(143));
}

#[test]
fn children_that_it_never_started_do_not_disturb_it() {
    let mut stage = Stage::new();
    // What the entry point's shell started before it became the supervisor is the supervisor's child.
    stage.prologue("sh -c 'sleep 0.2; exit 3' & sleep 1000 &");
    let pilot = stage
        .arguments(&["sh", "-c", "until test $(ls -d /proc/[0-9]* | wc -l) -le 6; do sleep 0.05; done; exit 8"])
        .start();
    assert_eq!(pilot.wait_for_end(), End::Code(8));
}

/// Says which signals it gets, each in a line.
const EARS: &str = "const fs = require('fs');
const names = ['SIGWINCH', 'SIGQUIT', 'SIGCONT', 'SIGURG', 'SIGIO', 'SIGALRM', 'SIGPWR', 'SIGXCPU', 'SIGTSTP'];
for (const name of names)
  process.on(name, () => fs.appendFileSync('@DIR@/heard', name + '\\n'));
setInterval(() => {}, 1000); fs.writeFileSync('@DIR@/heard', 'listening\\n');";

#[test]
fn other_signals_go_to_the_application() {
    let mut stage = Stage::new();
    let pilot = stage.file("ears.js", EARS).arguments(&["node", "@DIR@/ears.js"]).start();
    pilot.wait_for_file("heard", |text| text == "listening\n");
    for (signal, name) in [
        (Signal::WINCH, "SIGWINCH"),
        (Signal::QUIT, "SIGQUIT"),
        // Nobody but the application decides what the stop key means to it.
        (Signal::TSTP, "SIGTSTP"),
        (Signal::CONT, "SIGCONT"),
        (Signal::URG, "SIGURG"),
        (Signal::IO, "SIGIO"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::POWER, "SIGPWR"),
        (Signal::XCPU, "SIGXCPU"),
    ] {
        pilot.signal(signal);
        pilot.wait_for_file("heard", |text| text.contains(name));
    }
    assert_eq!(pilot.processes_with("ears.js").len(), 1, "it lives");
}

#[test]
fn a_burst_of_mixed_signals_loses_no_term() {
    let pilot = Stage::new()
        .arguments(&["sh", "-c", "trap '' WINCH URG CONT HUP; echo up; while :; do sleep 0.05; done"])
        .start();
    pilot.wait_for("the application", || pilot.stdout.text().lines().any(|line| line == "up").then_some(()));
    let pid = pilot.pid();
    for _ in 0..50 {
        for signal in [Signal::WINCH, Signal::URG, Signal::CONT] {
            let _ = kill_process(pid, signal);
        }
    }
    assert_eq!(pilot.job("sh")["state"], "running", "noise kills nobody");
    let _ = kill_process(pid, Signal::TERM);
    for signal in [Signal::WINCH, Signal::URG, Signal::CONT] {
        let _ = kill_process(pid, signal);
    }
    assert_eq!(pilot.wait_for_end(), End::Code(143));
}

#[test]
fn not_pid_1_it_reaps_and_stops_all_the_same() {
    let mut stage = Stage::with_config(
        "{stopTimeout: 10, jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'forking', exec: 'forking'}]}",
    );
    stage.script("forking", "(setsid sleep 3000 & setsid true &) ; echo done > @DIR@/forked");
    let pilot = stage.role(Role::Child).start();
    pilot.wait_for_file("forked", |text| !text.is_empty());
    pilot.wait_for("only the application is left", || {
        let mut left = pilot.processes();
        left.retain(|process| !process.command_line.contains("pilotfish"));
        (left.len() == 1).then_some(())
    });
    let own = pilot.status()["pid"].as_u64().unwrap();
    assert_ne!(own, 1);
    assert_eq!(pilot.processes_with("sleep 1000")[0].parent, u32::try_from(own).unwrap());
    assert_eq!(pilot.stop(), End::Code(143));
}

#[test]
fn as_an_ordinary_user_on_a_read_only_root() {
    let mut stage = Stage::with_config(
        "{jobs: [{name: 'main', exec: 'id -u', main: true, health: {exec: 'true', interval: 1, ttl: 10}}]}",
    );
    // Everything is read-only, and the stage's directory is somebody else's.
    stage.prologue("mount -o remount,ro,bind / 2> /dev/null || mount --bind / / && mount -o remount,ro,bind /");
    let pilot = stage.program("setpriv --reuid 65531 --regid 65531 --clear-groups pilotfish").start();
    assert_eq!(pilot.wait_for_end(), End::Code(0), "{}", pilot.story());
    pilot.wait_for_line("65531");
    pilot.wait_for_line("going on without");
}

#[test]
fn every_process_has_a_session_of_its_own_where_there_is_no_terminal() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'other', exec: 'sleep 2000'}]}";
    let pilot = Pilot::start(config);
    for job in ["main", "other"] {
        let pid = pilot.pid_of(job);
        let process = pilot.processes().into_iter().find(|process| process.pid == pid).unwrap();
        assert_eq!((process.group, process.session, process.parent), (pid, pid, 1), "{job}");
    }
}

#[test]
fn a_job_that_cannot_be_executed_is_a_failed_exit_with_a_reason() {
    let config = "{jobs: [{name: 'main', exec: 'sleep 1000', main: true}, {name: 'none', exec: '/no/such/thing'},
                   {name: 'plain', exec: '@DIR@/config.json5'}, {name: 'folder', exec: '/tmp'},
                   {name: 'after', exec: 'sleep 2000', when: {source: 'none', once: 'exitFailed'}}]}";
    let pilot = Pilot::start(&config.replace("@DIR@/config.json5", "/etc/passwd"));
    pilot.pid_of("after");
    for (job, code) in [("none", 127), ("plain", 126), ("folder", 126)] {
        let job = pilot.wait_for_job(job, |job| job["lastExit"]["code"].is_u64());
        assert_eq!(job["lastExit"]["code"], code, "{job}");
    }
    assert!(pilot.wait_for_line("/no/such/thing").contains("No such file"), "{}", pilot.story());
}
