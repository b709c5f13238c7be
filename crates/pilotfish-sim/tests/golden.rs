//! Scripts that a person can read, and the stories that come of them. To accept new stories, run with `PILOTFISH_BLESS=1`, and read the diff.

use std::fs;
use std::path::Path;

use pilotfish_sim::{Flaw, Schedule};

#[test]
fn stories_are_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let bless = std::env::var_os("PILOTFISH_BLESS").is_some();
    let mut scripts = 0;
    let mut differing = Vec::new();
    for entry in fs::read_dir(&folder).expect("the folder is there") {
        let script = entry.expect("the folder can be read").path();
        if script.extension().is_none_or(|extension| extension != "script") {
            continue;
        }
        scripts += 1;
        let text = fs::read_to_string(&script).expect("the script can be read");
        let schedule = Schedule::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let story = story(&schedule);
        let expected = script.with_extension("txt");
        if bless {
            fs::write(&expected, &story).expect("the story can be written");
        } else if fs::read_to_string(&expected).unwrap_or_default() != story {
            differing.push(format!("{}:\n{story}", script.display()));
        }
    }
    assert!(scripts > 0, "no scripts");
    assert!(differing.is_empty(), "these stories are new; if they are right, bless them:\n{}", differing.join("\n"));
}

/// What was done and what came of it; not what was waited for.
fn story(schedule: &Schedule) -> String {
    let outcome = schedule.run(Flaw::None, true);
    assert_eq!(outcome.violation.as_ref().map(|violation| &violation.text), None, "no bad end can be blessed");
    let told = outcome.narrative.iter().filter(|line| !line.contains(" waits: "));
    let mut story: String = told.map(|line| format!("{line}\n")).collect();
    if let Some(after) = outcome.healed_after {
        story.push_str(&format!("whole again {} ms after the last fault\n", after / 1000));
    }
    story
}
