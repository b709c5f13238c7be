//! `-exec`: a child that is told of changes, with the duties of PID 1.

use pilotfish_testing::Consul;

use super::{rendering, set, shared, wait_for_text};
use crate::stage::{End, Pilot, Signal};

/// Writes what it sees and gets, and leaves an orphan behind.
const CHILD: &str = "cat @DIR@/out/file >> @DIR@/started; echo $$ >> @DIR@/pids
for signal in TERM INT QUIT; do trap \"echo $signal >> @DIR@/heard; exit 5\" $signal; done
for signal in HUP USR1 USR2 WINCH; do trap \"echo $signal >> @DIR@/heard\" $signal; done
(setsid sh -c 'exit 0' &)
while :; do sleep 0.05; done";

fn started(key: &str, arguments: &[&str]) -> (std::sync::Arc<Consul>, Pilot) {
    let (consul, address) = shared();
    set(&consul, key, "1");
    let mut stage = rendering(&address, &format!("{{{{ key \"{key}\" }}}}\n"), "", &["-exec", "child"]);
    let pilot = stage.script("child", CHILD).arguments(arguments).start();
    pilot.wait_for_file("pids", |text| text.lines().count() == 1);
    (consul, pilot)
}

fn no_zombies(pilot: &Pilot) {
    pilot.wait_for("no zombies", || pilot.processes().iter().all(|process| process.state != 'Z').then_some(()));
}

#[test]
fn as_pid_1_with_a_reload_signal() {
    let (consul, pilot) = started("exec/a", &["-exec-reload-signal", "SIGUSR1", "-exec-kill-signal", "SIGQUIT"]);
    assert_eq!(pilot.read("started"), "1\n", "the file was there before the child");
    no_zombies(&pilot);
    pilot.wait_for("the child to listen", || {
        pilot.signal(Signal::WINCH);
        pilot.read("heard").contains("WINCH").then_some(())
    });
    set(&consul, "exec/a", "2");
    pilot.wait_for_file("heard", |text| text.contains("USR1"));
    wait_for_text(&pilot, "2\n");
    pilot.signal(Signal::USR2);
    pilot.wait_for_file("heard", |text| text.contains("USR2"));
    assert_eq!(pilot.read("pids").lines().count(), 1, "it is the same child");
    assert_eq!(pilot.stop(), End::Code(5), "the child's code is ours");
    assert!(pilot.read("heard").ends_with("QUIT\n"), "{}", pilot.read("heard"));
}

#[test]
fn without_a_reload_signal_it_is_started_again() {
    let (consul, pilot) = started("exec/b", &[]);
    pilot.wait_for("the child to listen", || {
        pilot.signal(Signal::WINCH);
        pilot.read("heard").contains("WINCH").then_some(())
    });
    set(&consul, "exec/b", "2");
    pilot.wait_for_file("started", |text| text == "1\n2\n");
    assert!(pilot.read("heard").contains("INT"), "{}", pilot.read("heard"));
    no_zombies(&pilot);
    pilot.wait_for_file("pids", |text| text.lines().count() == 2);
    // Not by the command line: a fork that has not come to its own program yet still has the child's.
    let pids: Vec<u32> = pilot.read("pids").lines().map(|pid| pid.parse().expect("a pid")).collect();
    let alive: Vec<u32> =
        pilot.processes().iter().map(|process| process.pid).filter(|pid| pids.contains(pid)).collect();
    assert_eq!(alive, pids[1..], "the first has ended, the second runs: {}", pilot.story());
}

#[test]
fn a_child_that_does_not_stop_is_killed() {
    let (_consul, address) = shared();
    let mut stage = rendering(&address, "x", "", &["-exec", "stubborn", "-exec-kill-timeout", "300ms"]);
    let pilot = stage.script("stubborn", "trap '' INT TERM; : > @DIR@/up; while :; do sleep 0.05; done").start();
    pilot.wait_for("the child", || pilot.file("up").exists().then_some(()));
    assert_eq!(pilot.stop(), End::Code(137));
}

#[test]
fn a_child_that_ends_by_itself_ends_everything() {
    let (_consul, address) = shared();
    for arguments in [&[][..], &["-once"]] {
        let mut stage = rendering(&address, "x", "", &["-exec", "sh -c 'exit 9'"]);
        let pilot = stage.arguments(arguments).start();
        assert_eq!(pilot.wait_for_end(), End::Code(9), "{}", pilot.story());
    }
}

#[test]
fn the_childs_environment() {
    let (_consul, address) = shared();
    let mut stage = rendering(&address, "x", "", &["-exec", "/usr/bin/env", "-exec-env-denylist", "SECRET_*"]);
    let pilot =
        stage.arguments(&["-exec-env-custom", "ADDED=yes"]).variable("SECRET_A", "1").variable("KEPT", "2").start();
    assert_eq!(pilot.wait_for_end(), End::Code(0), "{}", pilot.story());
    let seen = pilot.stdout.text();
    assert!(seen.contains("ADDED=yes") && seen.contains("KEPT=2") && !seen.contains("SECRET_A"), "{seen}");
}

/// failure-modes.md, F-G2.
#[test]
fn a_consul_that_goes_leaves_the_child_alone() {
    let mut consul = Consul::start();
    set(&consul, "exec/gone", "1");
    let mut stage =
        rendering(consul.http(), "{{ key \"exec/gone\" }}\n", "", &["-exec", "child", "-consul-retry-attempts", "1"]);
    let pilot = stage.script("child", CHILD).start();
    pilot.wait_for_file("pids", |text| text.lines().count() == 1);
    consul.kill();
    pilot.wait_for("the failure", || pilot.stderr.find("templates ask for key exec/gone"));
    consul.restart_empty();
    // An empty Consul has no such key: that is no reason to take the file away, or to tell the child.
    set(&consul, "exec/gone", "2");
    pilot.wait_for_file("started", |text| text == "1\n2\n");
    assert_eq!(pilot.read("out/file"), "2\n");
}
