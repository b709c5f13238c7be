//! What a real Consul knows of the services that tests supervise, asked past any client under test.

use std::time::{Duration, Instant};

use pilotfish_testing::{Consul, wait_until};
use serde_json::{Value, json};

/// When an agent is told once more what the catalog should have been told by it.
const ASK_AGAIN: Duration = Duration::from_secs(3);

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

/// Sends something that Consul must accept, again while it cannot, as without a leader: nothing that tests send so does harm twice.
#[track_caller]
pub(crate) fn put(consul: &Consul, path: &str, body: &str) {
    let answer = wait_until(&format!("consul to take PUT {path}"), || {
        consul.request("PUT", path, body).filter(|(status, _)| *status < 500)
    });
    assert_eq!(answer.0, 200, "PUT {path}: {}", answer.1);
}

/// Deletes a key.
#[track_caller]
pub(crate) fn delete_key(consul: &Consul, key: &str) {
    let deleted = || consul.request("DELETE", &format!("/v1/kv/{key}"), "").filter(|(status, _)| *status == 200);
    wait_until(&format!("consul to delete {key}"), deleted);
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

/// Waits until nobody is registered under this name. A supervisor that stops waits for half a second until the catalog has answered; a busy
/// catalog carries out what it was told a moment later. Nothing else would ever remove the service.
#[track_caller]
pub(crate) fn wait_for_absence(consul: &Consul, service: &str) {
    wait_for_statuses(consul, service, &[]);
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

/// Registers an instance that no supervisor looks after, without a check and so always healthy, and waits until the catalog has it. An agent
/// that finds no leader at that moment tells the catalog minutes later, unless it is asked again.
#[track_caller]
pub(crate) fn register(consul: &Consul, service: &str, id: &str, port: u16, tags: &[&str]) {
    let body = json!({ "Name": service, "ID": id, "Address": "192.0.2.1", "Port": port, "Tags": tags }).to_string();
    let known = || {
        let found = get(consul, &format!("/v1/catalog/service/{service}"))?;
        let own = found.as_array()?.iter().find(|found| found["ServiceID"] == id)?.clone();
        let told = own["ServiceTags"].as_array().map_or(&[][..], Vec::as_slice);
        (own["ServicePort"] == port && *told == *json!(tags).as_array()?).then_some(())
    };
    let mut asked: Option<Instant> = None;
    wait_until(&format!("the catalog to have {id}"), || {
        if asked.is_none_or(|asked| asked.elapsed() > ASK_AGAIN) {
            put(consul, "/v1/agent/service/register", &body);
            asked = Some(Instant::now());
        }
        known()
    });
}

/// Removes an instance from its agent.
#[track_caller]
pub(crate) fn deregister(consul: &Consul, id: &str) {
    put(consul, &format!("/v1/agent/service/deregister/{id}"), "");
}
