//! What a running supervisor says of itself: status and events, for people and for machines.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::catalog::view::{deregister, register, wait_for_passing};
use crate::catalog::{app, service, stage_of};
use crate::stage::{Pilot, consul};

/// A supervisor with a healthy service and a watch that sees one instance.
fn supervised(name: &str, watched: &str) -> Pilot {
    let consul = consul();
    register(&consul, watched, &format!("{watched}-1"), 80, &[]);
    let config = json!({
        "consul": consul.http().to_string(), "jobs": [app(), service(name)], "watches": [{ "name": watched, "interval": "1s" }],
    });
    let pilot = stage_of(config).file("healthy", "").start();
    wait_for_passing(&consul, name);
    pilot.wait_for("the instance to be seen", || {
        (pilot.status()["watches"][0]["members"] == json!(["192.0.2.1:80"])).then_some(())
    });
    pilot.wait_for_job(name, |job| job["service"]["lastHeartbeat"].is_number());
    pilot
}

#[test]
fn status_for_people_and_machines() {
    let pilot = supervised("shown", "shown-other");
    let status: Value = serde_json::from_str(&pilot.output_of(&["pilotfish", "status", "--json"])).unwrap();
    assert_eq!((&status["pid"], &status["maintenance"]), (&json!(1), &json!(false)));
    assert_eq!(status["catalog"]["addresses"], json!([consul().http().to_string()]));
    let shown = status["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "shown").unwrap();
    assert_eq!((&shown["state"], &shown["health"]), (&json!("advertising"), &json!("healthy")));
    assert_eq!(shown["service"]["agent"], format!("http://{}", consul().http()));
    assert!(shown["service"]["lastHeartbeat"].is_number(), "{shown}");
    assert_eq!(status["watches"][0]["failing"], Value::Null);

    let text = pilot.output_of(&["pilotfish", "status"]);
    let line =
        |part: &str| text.lines().find(|line| line.starts_with(part)).unwrap_or_else(|| panic!("{part} in {text}"));
    assert!(line("app").contains("running") && line("shown").contains("registered"), "{text}");
    assert!(line("shown-other").contains("192.0.2.1:80"), "{text}");

    for command in ["ping", "reload"] {
        assert_eq!(pilot.output_of(&["pilotfish", command, "--json"]), "{\"ok\":true}\n");
    }
    assert_eq!(pilot.status()["config"]["reloads"], 1);
}

#[test]
fn nobody_to_ask() {
    let pilot = supervised("asked", "asked-other");
    let output = pilot.inside(&["pilotfish", "status", "--socket", "@DIR@/no-such.socket"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("no-such.socket"), "{said}");
}

/// A listener in the namespaces of a supervisor, ended with this value.
struct Listener(Child);

impl Listener {
    fn start(pilot: &Pilot, arguments: &[&str]) -> (Listener, impl Iterator<Item = String> + use<>) {
        let target = pilot.pid().as_raw_nonzero().to_string();
        let socket = pilot.file("run/containerpilot.socket").display().to_string();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "nsenter", "--target", &target, "--mount", "--net"]);
        command.arg(env!("CARGO_BIN_EXE_pilotfish")).args(["events", "--socket", &socket]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("setpriv can be executed");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        (Listener(child), lines)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn events_as_they_happen() {
    let consul = consul();
    let pilot = supervised("heard", "heard-other");
    let (_listener, mut events) = Listener::start(&pilot, &["--json"]);
    let (_reader, mut sentences) = Listener::start(&pilot, &[]);
    let mut next = |name: &str, condition: &dyn Fn(&Value) -> bool| {
        let mut events = events.by_ref().map(|line| serde_json::from_str::<Value>(&line).expect("each line is JSON"));
        let event = events.find(|event| event["event"] == name && condition(event));
        let event = event.unwrap_or_else(|| panic!("{name} before the end of the events"));
        assert!(event["time"].as_f64().is_some_and(|time| time > 1e9) && event["text"].is_string(), "{event}");
        event
    };
    // Heartbeats go on, so that it is known when both listen.
    next("occurred", &|event| event["source"] == "heard" && event["what"] == "healthy");
    sentences.by_ref().find(|line| line.contains("occurred")).expect("sentences go on");
    deregister(&consul, "heard-other-1");
    next("occurred", &|event| event["source"] == "watch.heard-other" && event["what"] == "changed");
    pilot.output_of(&["pilotfish", "maintenance", "enable"]);
    next("maintenance", &|event| event["on"] == true);
    let gone = next("deregistered", &|_| true);
    assert!(gone["service"].as_str().unwrap().starts_with("heard-"), "{gone}");
    pilot.output_of(&["pilotfish", "maintenance", "disable"]);
    next("registered", &|_| true);
    pilot.signal(rustix::process::Signal::TERM);
    next("stopBegun", &|_| true);
    assert!(sentences.any(|line| line.contains("stopping: asked to by a signal")));
    pilot.wait_for_end();
}
