//! Templates and reloads: SIGHUP reads them again, mistakes change nothing.

use pilotfish_testing::Consul;
use serde_json::json;

use super::{listing, rendered, runs, state, wait_for_text};
use crate::catalog::view::register;
use crate::stage::{CONFIG, End, Pilot, Signal, Stage, consul};

fn reload(pilot: &Pilot) -> (u16, String) {
    let answer = pilot.control("POST", "/v3/reload", "").expect("the supervisor answers");
    (answer.status, answer.body)
}

#[test]
fn a_changed_source_is_rendered_again_after_sighup() {
    let consul = consul();
    register(&consul, "sourced", "sourced-1", 3000, &[]);
    let pilot = rendered(consul.http(), json!({ "command": "react" }), &listing("sourced")).start();
    wait_for_text(&pilot, "192.0.2.1:3000\nend\n");
    let app = pilot.pid_of("app");
    pilot.write("source", &format!("# new\n{}", listing("sourced")));
    pilot.signal(Signal::HUP);
    wait_for_text(&pilot, "# new\n192.0.2.1:3000\nend\n");
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
    assert_eq!(pilot.pid_of("app"), app);
    assert_eq!(reload(&pilot), (200, String::new()));
    assert_eq!((runs(&pilot), state(&pilot)["changes"].as_u64()), (1, Some(2)), "nothing has changed");
}

#[test]
fn a_source_that_is_no_template_is_refused_and_the_old_one_stays_in_force() {
    let consul = consul();
    let pilot = rendered(consul.http(), json!({}), &listing("refused")).start();
    wait_for_text(&pilot, "end\n");
    pilot.write("source", "one\n{{ range service \"refused\" }}");
    let (status, body) = reload(&pilot);
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("/source:2: unexpected EOF") && body.contains("templates[0].source"), "{body}");
    std::fs::remove_file(pilot.file("source")).unwrap();
    let (status, body) = reload(&pilot);
    assert!(status == 422 && body.contains("No such file or directory"), "{body}");
    assert!(pilot.status()["config"]["error"].as_str().is_some_and(|error| error.contains("No such file")));
    register(&consul, "refused", "refused-1", 3000, &[]);
    wait_for_text(&pilot, "192.0.2.1:3000\nend\n");
}

#[test]
fn a_file_that_cannot_be_put_in_place_takes_the_reload_back() {
    let consul = consul();
    let template = json!({ "check": "judge {{.Path}}" });
    let mut stage = rendered(consul.http(), template, &listing("back"));
    let pilot = stage.script("judge", "! grep -q bad \"$1\"").start();
    wait_for_text(&pilot, "end\n");
    pilot.write("source", "bad");
    let (status, body) = reload(&pilot);
    assert_eq!(status, 422, "{body}");
    assert!(body.contains("rolled back: template list: its check refuses the new file"), "{body}");
    register(&consul, "back", "back-1", 3000, &[]);
    wait_for_text(&pilot, "192.0.2.1:3000\nend\n");
}

#[test]
fn a_template_that_is_removed_leaves_its_file_alone() {
    let consul = consul();
    let pilot = rendered(consul.http(), json!({}), &listing("removed")).start();
    wait_for_text(&pilot, "end\n");
    let config = pilot.read("config.json5");
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["templates"] = json!([]);
    pilot.config(&config.to_string());
    assert_eq!(reload(&pilot), (200, String::new()));
    let status = pilot.status();
    assert_eq!((&status["templates"], &status["facts"]), (&json!([]), &json!([])));
    assert_eq!(pilot.read("out/file"), "end\n");
}

#[test]
fn another_catalog_is_asked_after_a_reload() {
    let (first, second) = (consul(), Consul::start());
    register(&first, "moved", "moved-1", 3001, &[]);
    register(&second, "moved", "moved-2", 3002, &[]);
    let pilot = rendered(first.http(), json!({}), &listing("moved")).start();
    wait_for_text(&pilot, "192.0.2.1:3001\nend\n");
    let config = pilot.read("config.json5").replace(&first.http().to_string(), &second.http().to_string());
    pilot.config(&config);
    assert_eq!(reload(&pilot), (200, String::new()));
    wait_for_text(&pilot, "192.0.2.1:3002\nend\n");
}

#[test]
fn mistakes_in_templates_keep_the_container_from_starting_and_config_check_finds_them() {
    let config = r#"{
  templates: [
    { source: "@DIR@/broken", destination: "@DIR@/file" },
    { source: "@DIR@/none", destination: "@DIR@/other", perm: "0644" },
  ],
}"#;
    let broken = "text\n{{ if }}";
    let mut stage = Stage::new();
    stage.config(config).file("broken", broken);
    let pilot = stage.arguments(&["-c", CONFIG, "touch", "@DIR@/started"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(2));
    let text = pilot.stderr.text();
    for part in [
        "line 3, column 15: templates[0].source: template: ",
        "/broken:2: missing value for if",
        "line 4, column 15: templates[1].source: cannot read ",
        "templates[1].perm: unknown key; did you mean `perms`?",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!pilot.file("started").exists());
    let mut stage = Stage::new();
    let pilot = stage.config(config).file("broken", broken).arguments(&["config", "check", CONFIG]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(2));
}
