//! What a real Consul knows of the services that tests supervise, asked past any client under test.

use pilotfish_testing::{Consul, wait_until};
use serde_json::{Value, json};

/// One instance of a service as its clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) address: String,
    pub(crate) port: u64,
    pub(crate) tags: Vec<String>,
    /// Status of the service's own check: `passing`, `warning` or `critical`.
    pub(crate) status: String,
}

/// An answer of the API as JSON; nothing while Consul does not give one.
pub(crate) fn get(consul: &Consul, path: &str) -> Option<Value> {
    let (status, body) = consul.request("GET", path, "")?;
    (status == 200).then(|| serde_json::from_str(&body).ok()).flatten()
}

/// The answer of the API as JSON, however long Consul takes under load.
#[track_caller]
pub(crate) fn answer(consul: &Consul, path: &str) -> Value {
    wait_until(path, || get(consul, path))
}

/// Sends something that Consul must accept.
#[track_caller]
pub(crate) fn put(consul: &Consul, path: &str, body: &str) {
    let answer = consul.request("PUT", path, body);
    assert!(matches!(&answer, Some((200, _))), "PUT {path}: {answer:?}");
}

/// All instances of a service, whatever their health; nothing while Consul does not answer.
pub(crate) fn instances(consul: &Consul, service: &str) -> Option<Vec<Instance>> {
    let answer = get(consul, &format!("/v1/health/service/{service}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let instance = |entry: &Value| {
        let service = &entry["Service"];
        let checks = entry["Checks"].as_array().map_or(&[][..], Vec::as_slice);
        let own = checks.iter().find(|check| check["ServiceID"] == service["ID"]);
        Instance {
            id: text(&service["ID"]),
            node: text(&entry["Node"]["Node"]),
            address: text(&service["Address"]),
            port: service["Port"].as_u64().unwrap_or_default(),
            tags: service["Tags"].as_array().map_or_else(Vec::new, |tags| tags.iter().map(text).collect()),
            status: own.map_or_else(String::new, |check| text(&check["Status"])),
        }
    };
    Some(answer.as_array()?.iter().map(instance).collect())
}

/// The statuses of all instances, sorted.
pub(crate) fn statuses(consul: &Consul, service: &str) -> Option<Vec<String>> {
    let mut statuses: Vec<String> = instances(consul, service)?.into_iter().map(|instance| instance.status).collect();
    statuses.sort();
    Some(statuses)
}

/// Waits until the service has exactly these statuses, one per instance.
#[track_caller]
pub(crate) fn wait_for_statuses(consul: &Consul, service: &str, expected: &[&str]) {
    wait_until(&format!("{service} to be {expected:?}"), || {
        statuses(consul, service).is_some_and(|found| found == expected).then_some(())
    });
}

/// Nobody is registered under this name, healthy or not.
#[track_caller]
pub(crate) fn assert_absent(consul: &Consul, service: &str) {
    let found = wait_until("an answer of consul", || instances(consul, service));
    assert_eq!(found, [], "{service}");
}

/// The service is registered once and passing, if Consul answers at all: under load it may not at every look.
#[track_caller]
pub(crate) fn assert_passing(consul: &Consul, service: &str) {
    if let Some(found) = statuses(consul, service) {
        assert_eq!(found, ["passing"], "{service}");
    }
}

/// Waits until the service is registered once and passing, and returns its instance.
#[track_caller]
pub(crate) fn wait_for_passing(consul: &Consul, service: &str) -> Instance {
    wait_until(&format!("{service} to be passing, once"), || {
        let mut found = instances(consul, service)?;
        found.pop().filter(|instance| found.is_empty() && instance.status == "passing")
    })
}

/// Registers an instance that no supervisor looks after, without a check and so always healthy.
#[track_caller]
pub(crate) fn register(consul: &Consul, service: &str, id: &str, port: u16, tags: &[&str]) {
    let body = json!({ "Name": service, "ID": id, "Address": "192.0.2.1", "Port": port, "Tags": tags });
    put(consul, "/v1/agent/service/register", &body.to_string());
}

/// Removes an instance from its agent.
#[track_caller]
pub(crate) fn deregister(consul: &Consul, id: &str) {
    put(consul, &format!("/v1/agent/service/deregister/{id}"), "");
}
