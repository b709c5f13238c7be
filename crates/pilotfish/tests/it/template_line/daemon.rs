//! As a daemon: changes, quiescence, signals.

use pilotfish_testing::Consul;

use super::{rendering, runs, set, shared, stage, wait_for_text};
use crate::stage::{End, Signal};

#[test]
fn a_change_is_rendered_and_told_and_the_same_again_is_not() {
    let (consul, address) = shared();
    set(&consul, "daemon/a", "1");
    let pilot = rendering(&address, "{{ key \"daemon/a\" }}\n", "react", &[]).start();
    wait_for_text(&pilot, "1\n");
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
    // Another value of the same text has another index, and changes nothing.
    set(&consul, "daemon/a", "1");
    set(&consul, "daemon/a", "2");
    wait_for_text(&pilot, "2\n");
    pilot.wait_for("the command", || (runs(&pilot) == 2).then_some(()));
    assert_eq!(pilot.read("reactions"), "1\n2\n");
    pilot.signal(Signal::INT);
    pilot.wait_for_end();
    assert_eq!(pilot.read("out/file"), "2\n");
}

#[test]
fn a_failed_command_is_tried_again_and_does_not_end_it() {
    let (consul, address) = shared();
    set(&consul, "daemon/fails", "1");
    let pilot = rendering(&address, "{{ key \"daemon/fails\" }}", "react; test -e @DIR@/mended || exit 3", &[]).start();
    pilot.wait_for("the failure", || pilot.stderr.find("exited with code 3"));
    pilot.write("mended", "");
    pilot.wait_for("another try", || pilot.stderr.find("exited with code 0"));
    let before = pilot.read("reactions");
    set(&consul, "daemon/fails", "2");
    pilot.wait_for("the next run", || (pilot.read("reactions") == format!("{before}2")).then_some(()));
}

#[test]
fn quiescence_makes_one_rendering_of_many_changes() {
    let (consul, address) = shared();
    set(&consul, "daemon/quiet", "0");
    let pilot = rendering(&address, "{{ key \"daemon/quiet\" }}\n", "react", &["-wait", "2s:1h"]).start();
    wait_for_text(&pilot, "0\n");
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
    for value in 1..=200 {
        set(&consul, "daemon/quiet", &value.to_string());
    }
    wait_for_text(&pilot, "200\n");
    pilot.wait_for("the last command", || pilot.read("reactions").ends_with("200\n").then_some(()));
    // A machine that stands still for two seconds in the middle makes one more of it, not two hundred.
    assert!(runs(&pilot) < 20, "{} runs\n{}", runs(&pilot), pilot.story());
}

#[test]
fn quiescence_ends_when_it_takes_too_long() {
    let (consul, address) = shared();
    set(&consul, "daemon/restless", "0");
    let pilot = rendering(&address, "{{ key \"daemon/restless\" }}\n", "react", &["-wait", "1h:1h1s"]).start();
    wait_for_text(&pilot, "0\n");
    pilot.stop();
    // It never becomes quiet: with a limit that is short, it is rendered all the same.
    let pilot = rendering(&address, "{{ key \"daemon/restless\" }}\n", "react", &["-wait", "500ms:500ms"]).start();
    wait_for_text(&pilot, "0\n");
    let mut value = 0;
    pilot.wait_for("a rendering in the middle of changes", || {
        value += 1;
        set(&consul, "daemon/restless", &value.to_string());
        (pilot.read("out/file") != "0\n").then_some(())
    });
}

#[test]
fn sighup_has_the_settings_read_again() {
    let (consul, address) = shared();
    set(&consul, "daemon/reload", "x");
    let mut stage = stage(&["-config", "@DIR@/conf.json", "-consul-addr", &address, "-log-level", "info"]);
    let one = r#"{"contents": "{{ key \"daemon/reload\" }}1", "destination": "@DIR@/out/one"}"#;
    let pilot = stage.file("conf.json", &format!("{{\"template\": [{one}]}}")).start();
    pilot.wait_for_file("out/one", |text| text == "x1");
    let two = r#"{"contents": "{{ key \"daemon/reload\" }}2", "destination": "@DIR@/out/two"}"#;
    pilot.write("conf.json", &format!("{{\"template\": [{one}, {two}]}}"));
    pilot.signal(Signal::HUP);
    pilot.wait_for_file("out/two", |text| text == "x2");
    pilot.write("conf.json", "{\"template\": [{}]}");
    pilot.signal(Signal::HUP);
    pilot.wait_for("the refusal", || pilot.stderr.find("neither source nor contents"));
    set(&consul, "daemon/reload", "y");
    pilot.wait_for_file("out/two", |text| text == "y2");
    pilot.stop();
}

/// Nobody may ever write to it: the supervisor does not wait for that.
#[test]
fn a_source_that_has_become_a_pipe_is_refused() {
    let (consul, address) = shared();
    set(&consul, "daemon/piped", "x");
    let pilot = rendering(&address, "{{ key \"daemon/piped\" }}\n", "true", &[]).start();
    wait_for_text(&pilot, "x\n");
    pilot.output_of(&["sh", "-c", "rm @DIR@/source && mkfifo @DIR@/source"]);
    pilot.signal(Signal::HUP);
    pilot.wait_for("the refusal", || pilot.stderr.find("source again: it is no file"));
    set(&consul, "daemon/piped", "y");
    wait_for_text(&pilot, "y\n");
    let commands = || pilot.stderr.all("exited with code 0").len();
    pilot.wait_for("the end of the second command", || (commands() == 2).then_some(()));
    assert_eq!(pilot.stop(), End::Code(0));
}

#[test]
fn other_signals_stop_and_reload_if_the_settings_say_so() {
    let (consul, address) = shared();
    set(&consul, "daemon/signals", "x");
    let arguments = ["-kill-signal", "SIGQUIT", "-reload-signal", "SIGUSR1"];
    let pilot = rendering(&address, "{{ key \"daemon/signals\" }}", "react", &arguments).start();
    wait_for_text(&pilot, "x");
    pilot.write("source", "{{ key \"daemon/signals\" }} again");
    pilot.signal(Signal::USR1);
    wait_for_text(&pilot, "x again");
    pilot.signal(Signal::QUIT);
    pilot.wait_for_end();
}

/// failure-modes.md, F-G2: Consul is away for longer than any budget of retries, and comes back.
#[test]
fn a_consul_that_comes_late_is_waited_for() {
    let mut consul = Consul::start();
    set(&consul, "late", "1");
    consul.kill();
    let pilot = rendering(consul.http(), "{{ key \"late\" }}", "", &["-consul-retry-attempts", "1"]).start();
    pilot.wait_for("the failure", || pilot.stderr.find("templates ask for key late"));
    consul.restart();
    set(&consul, "late", "2");
    wait_for_text(&pilot, "2");
    assert_eq!(pilot.stop(), End::Code(0));
}
