//! `-once`, `-dry`, `-parse-only`, config files: what ends by itself, and with which code.

use super::{rendering, runs, set, shared, stage};
use crate::stage::{End, Stage};

#[track_caller]
fn end(mut stage: Stage) -> (End, crate::stage::Pilot) {
    let pilot = stage.start();
    (pilot.wait_for_end(), pilot)
}

#[test]
fn a_file_is_written_and_its_command_run_only_if_it_differs() {
    let (consul, address) = shared();
    set(&consul, "once/a", "1");
    let mut stage = rendering(&address, "{{ key \"once/a\" }}\n", "react", &["-once"]);
    // The second and third run of the same program find the file of the first.
    stage.program("sh -c 'consul-template \"$@\" && consul-template \"$@\" && chmod 600 @DIR@/out/file && echo old > @DIR@/out/file && consul-template \"$@\"' sh");
    let (end, pilot) = end(stage);
    assert_eq!(end, End::Code(0), "{}", pilot.story());
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), ("1\n", 2));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(pilot.file("out/file")).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o600, "the mode is kept");
}

#[test]
fn it_waits_for_what_is_missing() {
    let (consul, address) = shared();
    let pilot = rendering(&address, "{{ key \"once/late\" }}", "react", &["-once"]).start();
    pilot.wait_for("the question", || pilot.pid_now());
    assert!(!pilot.file("out/file").exists());
    set(&consul, "once/late", "here");
    assert_eq!(pilot.wait_for_end(), End::Code(0));
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), ("here", 1));
}

#[test]
fn commands_and_templates_that_fail_are_told_by_the_exit_code() {
    let (_consul, address) = shared();
    for (text, command, code, words) in [
        ("x", "exit 7", 7, "exited with code 7"),
        ("x", "/no/such/command", 127, "No such file"),
        ("x", "sleep 1000:200ms", 137, ""),
        ("{{ range service \"once-none\" }}{{ end }}{{ .x.y.z }}{{ fail \"no\" }}", "react", 2, "not defined"),
        ("{{ index (services) 1000 }}", "react", 1, "out of range"),
        ("{{ if }}", "react", 1, "missing value for if"),
    ] {
        let (end, pilot) = end(rendering(&address, text, command, &["-once"]));
        assert!(
            end != End::Code(0) && (code == 2 || end == End::Code(code)),
            "{text} {command}: {end:?}\n{}",
            pilot.story()
        );
        assert!(pilot.stderr.text().contains(words), "{}", pilot.story());
        assert_eq!(pilot.file("out/file").exists(), text == "x");
        assert_eq!(runs(&pilot), 0);
    }
}

#[test]
fn dry_prints_and_does_nothing_else() {
    let (consul, address) = shared();
    set(&consul, "once/dry", "value");
    let (end, pilot) = end(rendering(&address, "{{ key \"once/dry\" }}", "react", &["-once", "-dry"]));
    assert_eq!(end, End::Code(0), "{}", pilot.story());
    assert_eq!(pilot.stdout.text(), format!("> {}\nvalue", pilot.file("out/file").display()));
    assert!(!pilot.file("out/file").exists() && runs(&pilot) == 0);
}

#[test]
fn parse_only_finds_mistakes_without_a_consul() {
    for (text, code) in [("{{ key \"a\" }}", 0), ("{{ if }}", 2), ("{{ nothing }}", 2)] {
        let (end, pilot) = end(rendering("127.0.0.1:1", text, "react", &["-parse-only"]));
        assert_eq!(end, End::Code(code), "{}", pilot.story());
        assert!(!pilot.file("out/file").exists());
    }
}

#[test]
fn config_files_in_a_directory_come_in_order_and_flags_come_last() {
    let (consul, address) = shared();
    set(&consul, "once/config", "x");
    let mut stage = stage(&["-config", "@DIR@/conf", "-consul-addr", &address, "-once", "-pid-file", "@DIR@/pid"]);
    stage
        .file("conf/10.json", r#"{"consul": {"address": "127.0.0.1:1"}, "log_level": "err", "max_stale": "1s",
            "template": [{"contents": "{{ key \"once/config\" }}1", "destination": "@DIR@/out/one", "perms": "0600"}]}"#)
        .file("conf/20.json", r#"{"log_level": "debug", "template": {"contents": "{{ key \"once/config\" }}2", "destination": "@DIR@/out/two",
            "command": ["cp", "@DIR@/pid", "@DIR@/seen"], "backup": true}}"#)
        .file("out/two", "before");
    let (end, pilot) = end(stage);
    assert_eq!(end, End::Code(0), "{}", pilot.story());
    assert_eq!((pilot.read("out/one").as_str(), pilot.read("out/two").as_str()), ("x1", "x2"));
    assert_eq!(pilot.read("out/two.bak"), "before");
    assert_eq!(pilot.read("seen"), "1\n", "the pid file was there meanwhile");
    assert!(!pilot.file("pid").exists());
    assert!(pilot.stderr.text().contains("max_stale has no effect"), "{}", pilot.story());
}

#[test]
fn what_cannot_be_is_told_at_once() {
    for (arguments, words) in [
        (&["-config", "@DIR@/x.hcl"][..], "HCL is not supported"),
        (&["-config", "@DIR@/none.json"], "cannot read config"),
        (&["-config", "@DIR@/wrong.json"], "template[0].destnation: there is no such setting"),
        (&["-template", "@DIR@/none:@DIR@/out"], "cannot read template"),
        (&["-once"], "nothing to render"),
        (&["-vault-addr", "x"], "Vault"),
        (&["-nope"], "unknown flag: -nope"),
    ] {
        let mut stage = stage(arguments);
        stage.file("x.hcl", "template {}").file("wrong.json", r#"{"template": [{"destnation": "x"}]}"#);
        let (end, pilot) = end(stage);
        assert_eq!(end, End::Code(2), "{arguments:?}: {}", pilot.story());
        assert!(pilot.stderr.text().contains(words), "{arguments:?}: {}", pilot.story());
    }
}

/// failure-modes.md, F-G4: it dies between the write of the new file and its renaming; the next start finds the old file and cleans up.
#[test]
fn killed_before_the_rename() {
    let config = r#"{jobs: [{name: "app", exec: "true", main: true}],
        templates: [{name: "t", source: "@DIR@/source", destination: "@DIR@/out/file", check: ["check", "{{.Path}}"]}]}"#;
    // Doubled braces would be rendered with the config itself.
    let config = config.replace("{{.Path}}", "{{ \"{{.Path}}\" }}");
    let mut stage = Stage::with_config(&config);
    stage.file("source", "new").file("out/file", "old");
    stage.script("check", "ls -A @DIR@/out >> @DIR@/seen; cat @DIR@/out/file >> @DIR@/before; test -e @DIR@/once && exit 0\n: > @DIR@/once; kill -9 $PPID; sleep 1000");
    stage.program("sh -c 'pilotfish \"$@\"; pilotfish \"$@\"' sh");
    let (end, pilot) = end(stage);
    assert_eq!(end, End::Code(0), "{}", pilot.story());
    assert_eq!(
        (pilot.read("before").as_str(), pilot.read("out/file").as_str()),
        ("oldold", "new"),
        "{}",
        pilot.story()
    );
    let seen = pilot.read("seen");
    assert_eq!(seen.lines().filter(|name| name.starts_with(".file.pilotfish-")).count(), 2, "one at each time: {seen}");
    let left: Vec<_> = std::fs::read_dir(pilot.file("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_beside_it() {
    let (consul, address) = shared();
    set(&consul, "once/large", &"x".repeat(300_000));
    let mut stage = stage(&["-consul-addr", &address, "-once", "-template", "@DIR@/source:@DIR@/small/file:react"]);
    stage.file("source", "{{ key \"once/large\" }}").file("small/.keep", "");
    stage.prologue("mount -t tmpfs -o size=128k tmpfs @DIR@/small").prologue("echo old > @DIR@/small/file");
    stage.program(
        "sh -c 'consul-template \"$@\"; echo $? > @DIR@/code; cat @DIR@/small/file > @DIR@/found; ls -A @DIR@/small > @DIR@/listed' sh",
    );
    let (_, pilot) = end(stage);
    assert_eq!((pilot.read("code").as_str(), pilot.read("found").as_str()), ("1\n", "old\n"), "{}", pilot.story());
    assert_eq!((pilot.read("listed").as_str(), runs(&pilot)), ("file\n", 0));
    assert!(pilot.stderr.text().contains("No space left on device"), "{}", pilot.story());
}
