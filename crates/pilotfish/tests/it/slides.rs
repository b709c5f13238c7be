//! Behaviours of slides 18 to 58, one by one, with short periods.

use serde_json::{Value, json};

use crate::catalog::view;
use crate::stage::{End, Pilot, Stage, consul};

const NOTE: &str = "echo \"$1\" >> @DIR@/order";

/// A stage beside the shared Consul, with this v2 config and an application that does nothing.
fn stage(config: &Value) -> Stage {
    let mut stage = Stage::with_config(&config.to_string());
    stage.shared_network().script("note", NOTE).arguments(&["sleep", "1000"]);
    stage
}

/// A service that is healthy while the file `healthy` is there.
fn service(name: &str, ttl: u32) -> Value {
    json!({ "name": name, "port": 4000, "health": "test -e @DIR@/healthy", "poll": "400ms", "timeout": "390ms", "ttl": ttl,
            "interfaces": ["static:192.0.2.20"] })
}

/// The state of a service's check; nothing if it is not registered.
fn state(name: &str) -> Option<String> {
    let (_, body) = consul().request("GET", &format!("/v1/health/checks/{name}"), "")?;
    let checks: Value = serde_json::from_str(&body).ok()?;
    Some(checks.get(0)?["Status"].as_str()?.to_owned())
}

fn register(name: &str, id: &str, port: u16) {
    let body = json!({ "Name": name, "ID": id, "Address": "192.0.2.30", "Port": port }).to_string();
    view::put(&consul(), "/v1/agent/service/register", &body);
}

fn deregister(id: &str) {
    view::deregister(&consul(), id);
}

fn count(pilot: &Pilot, word: &str) -> usize {
    pilot.read("order").lines().filter(|line| *line == word).count()
}

#[test]
fn slide_21_all_hooks_of_a_user_run() {
    let consul = consul();
    let port = pilotfish_testing::free_port([127, 0, 0, 1].into());
    let config = json!({
        "consul": consul.http().to_string(), "preStart": "note preStart", "preStop": "note preStop", "postStop": "note postStop",
        "services": [{ "name": "s21", "port": 1, "health": "note health", "poll": "500ms", "ttl": 10, "interfaces": ["static:192.0.2.20"] }],
        "backends": [{ "name": "s21-other", "poll": 1, "onChange": "note onChange" }],
        "tasks": [{ "name": "task", "command": "note task", "frequency": "100ms" }],
        "coprocesses": [{ "name": "helper", "command": ["sh", "-c", "note coprocess; sleep 1000"] }],
        "telemetry": { "port": port, "interfaces": ["static:127.0.0.1"],
            "sensors": [{ "name": "s21_sensor", "help": "h", "type": "counter", "poll": 1, "check": ["sh", "-c", "note sensor; echo 1"] }] },
    });
    let pilot = stage(&config).start();
    register("s21-other", "s21-other-1", 1);
    for hook in ["preStart", "coprocess", "health", "onChange", "task", "sensor"] {
        pilot.wait_for(hook, || (count(&pilot, hook) > 0).then_some(()));
    }
    assert_eq!(pilot.stop(), End::Code(143));
    deregister("s21-other-1");
    let order = pilot.read("order");
    assert!(order.starts_with("preStart\n"), "{order}");
    let words: Vec<&str> = order.lines().filter(|word| ["preStop", "postStop"].contains(word)).collect();
    assert_eq!(words, ["preStop", "postStop"]);
}

#[test]
fn slide_50_health_check_runs_inside_the_container_every_poll() {
    let config = json!({ "consul": consul().http().to_string(),
        "services": [{ "name": "s50", "port": 1, "health": "where", "poll": "500ms", "ttl": 10, "interfaces": ["static:192.0.2.20"] }] });
    let mut stage = stage(&config);
    let pilot = stage.script("where", "readlink /proc/self/ns/pid >> @DIR@/order").start();
    pilot.wait_for_file("order", |text| text.lines().count() >= 4);
    let own = pilot.output_of(&["readlink", "/proc/self/ns/pid"]);
    assert!(pilot.read("order").lines().all(|line| line == own.trim()), "in the container's namespaces");
}

#[test]
fn slide_51_heartbeat_registers_with_id_and_ttl() {
    let config = json!({ "consul": consul().http().to_string(), "services": [service("s51", 10)] });
    let pilot = stage(&config).start();
    pilot.wait_for_job("s51", |job| job["health"] == "unhealthy");
    assert_eq!(state("s51"), None, "nothing is registered before it is healthy");
    pilot.write("healthy", "");
    pilot.wait_for("registration", || state("s51").filter(|state| state == "passing"));
    let services = view::answer(&consul(), "/v1/agent/services");
    let id = format!("s51-{}", pilot.output_of(&["hostname"]).trim());
    assert_eq!((&services[&id]["Address"], &services[&id]["Port"]), (&json!("192.0.2.20"), &json!(4000)), "{services}");
    assert_eq!(pilot.stop(), End::Code(143));
    // Deregistered at the end.
    view::wait_for_absence(&consul(), "s51");
}

#[test]
fn slide_52_failing_check_lets_ttl_expire_and_does_nothing_else() {
    let config = json!({ "consul": consul().http().to_string(), "services": [service("s52", 3)] });
    let pilot = stage(&config).file("healthy", "").start();
    pilot.wait_for("registration", || state("s52").filter(|state| state == "passing"));
    let application = pilot.pid_of("sleep");
    std::fs::remove_file(pilot.file("healthy")).unwrap();
    pilot.wait_for("the end of the TTL", || state("s52").filter(|state| state == "critical"));
    assert_eq!(pilot.pid_of("sleep"), application);
    pilot.write("healthy", "");
    pilot.wait_for("recovery", || state("s52").filter(|state| state == "passing"));
}

#[test]
fn slides_53_and_54_on_change_runs_once_for_each_change_and_for_nothing_else() {
    let config = json!({ "consul": consul().http().to_string(), "backends": [{ "name": "s53", "poll": 1, "onChange": "note changed" }] });
    let pilot = stage(&config).start();
    pilot.wait_for("the first view", || pilot.status()["watches"][0]["members"].as_array().map(|_| ()));
    let before = count(&pilot, "changed");
    register("s53", "s53-1", 1);
    pilot.wait_for("the first change", || (count(&pilot, "changed") == before + 1).then_some(()));
    register("s53-unrelated", "s53-unrelated-1", 1);
    // The same again is no change.
    register("s53", "s53-1", 1);
    register("s53", "s53-1", 2);
    pilot.wait_for("another port", || (count(&pilot, "changed") == before + 2).then_some(()));
    deregister("s53-1");
    pilot.wait_for("its disappearance", || (count(&pilot, "changed") == before + 3).then_some(()));
    deregister("s53-unrelated-1");
    assert_eq!(pilot.status()["watches"][0]["members"], json!([]));
}
