//! What becomes of the file: judged, refused, kept when the disk is full, and never somebody else's.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::json;

use super::{listing, rendered, runs, state, wait_for_text};
use crate::catalog::view::{deregister, put, register};
use crate::stage::{Pilot, consul};

/// Names that a rendering may have left beside the file.
fn beside(pilot: &Pilot, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(pilot.file(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "file").collect()
}

#[test]
fn a_file_that_its_check_refuses_does_not_replace_the_old_one() {
    let consul = consul();
    let template = json!({ "check": "judge {{.Path}}", "command": "react" });
    let mut stage = rendered(consul.http(), template, &listing("checked"));
    let pilot = stage.script("judge", "echo \"$1\" >> @DIR@/judged; ! grep -q :666 \"$1\"").start();
    pilot.pid_of("app");
    register(&consul, "checked", "checked-1", 3000, &[]);
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
    register(&consul, "checked", "checked-2", 666, &[]);
    let obstacle = pilot.wait_for("the refusal", || state(&pilot)["obstacle"].as_str().map(str::to_owned));
    assert!(obstacle.contains("its check refuses the new file: it exited with code 1"), "{obstacle}");
    pilot.wait_for_line("the file in place stays as it is");
    assert_eq!((pilot.read("out/file").as_str(), runs(&pilot)), ("192.0.2.1:3000\nend\n", 1));
    let judged = pilot.read("judged");
    let folder = pilot.file("out").display().to_string();
    assert!(judged.lines().all(|path| path.starts_with(&folder) && !path.ends_with("/file")), "{judged}");
    deregister(&consul, "checked-2");
    register(&consul, "checked", "checked-3", 3003, &[]);
    pilot.wait_for("the next change", || (runs(&pilot) == 2).then_some(()));
    assert_eq!(pilot.read("out/file"), "192.0.2.1:3000\n192.0.2.1:3003\nend\n");
    pilot.wait_for("nothing to be left beside it", || beside(&pilot, "out").is_empty().then_some(()));
    assert!(state(&pilot)["obstacle"].is_null());
}

#[test]
fn owner_and_mode_are_kept_or_given_and_a_link_is_refused() {
    let consul = consul();
    let mut stage = rendered(consul.http(), json!({ "perms": "0640", "backup": true }), &listing("modes"));
    let pilot = stage.file("out/file", "before").start();
    wait_for_text(&pilot, "end\n");
    let metadata = std::fs::metadata(pilot.file("out/file")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
    assert_eq!(metadata.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(pilot.read("out/file.bak"), "before");
    std::fs::remove_file(pilot.file("out/file")).unwrap();
    std::os::unix::fs::symlink(pilot.file("precious"), pilot.file("out/file")).unwrap();
    register(&consul, "modes", "modes-1", 3000, &[]);
    let obstacle = pilot.wait_for("the refusal", || state(&pilot)["obstacle"].as_str().map(str::to_owned));
    assert!(obstacle.contains("symbolic link"), "{obstacle}");
    assert!(!pilot.file("precious").exists());
}

/// failure-modes.md F-G4. The file system has room for the first text, and not for the second one beside it.
#[test]
fn a_full_disk_keeps_the_file_and_is_found_to_have_room_again() {
    let consul = consul();
    put(&consul, "/v1/kv/full/disk", "small");
    let template = json!({ "destination": "@DIR@/small/file", "command": "react" });
    let mut stage = rendered(consul.http(), template, "{{ key \"full/disk\" }}");
    stage.script("react", "echo >> @DIR@/ran");
    stage.prologue("mkdir @DIR@/small && mount -t tmpfs -o size=64k tmpfs @DIR@/small");
    stage.prologue("dd if=/dev/zero of=@DIR@/small/filler bs=4k count=12 status=none");
    let pilot = stage.start();
    pilot.pid_of("app");
    let read = || pilot.output_of(&["cat", "@DIR@/small/file"]);
    assert_eq!(read(), "small");
    let large = "x".repeat(32 * 1024);
    put(&consul, "/v1/kv/full/disk", &large);
    let obstacle = pilot.wait_for("the failure", || state(&pilot)["obstacle"].as_str().map(str::to_owned));
    assert!(obstacle.contains("No space left on device"), "{obstacle}");
    assert_eq!(read(), "small");
    // It is tried again now and then, with another file for a moment.
    let nothing_half = || (pilot.output_of(&["ls", "-A", "@DIR@/small"]) == "file\nfiller\n").then_some(());
    pilot.wait_for("nothing half to be left", nothing_half);
    pilot.output_of(&["rm", "@DIR@/small/filler"]);
    pilot.wait_for("the new file", || (read() == large).then_some(()));
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
}

/// Each piece of work on files has a thread that ends with it.
#[test]
fn the_supervisor_has_one_thread_when_nothing_is_written() {
    let consul = consul();
    let pilot = rendered(consul.http(), json!({}), &listing("threads")).start();
    wait_for_text(&pilot, "end\n");
    let threads =
        || std::fs::read_dir(format!("/proc/{}/task", pilot.pid().as_raw_nonzero())).map_or(0, Iterator::count);
    pilot.wait_for("one thread", || (threads() == 1).then_some(()));
}
