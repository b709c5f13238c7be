//! Maintenance: services leave the catalog while the application goes on, and come back.

use rustix::process::Signal;
use serde_json::json;

use super::view::{wait_for_passing, wait_for_statuses};
use super::{app, service, stage_of};
use crate::stage::{End, consul};

#[test]
fn maintenance_by_command_and_its_events() {
    let consul = consul();
    let note = |event: &str| {
        json!({ "name": event, "exec": ["sh", "-c", format!("echo {event} >> @DIR@/noted")],
                "when": { "source": "global", "each": event } })
    };
    let mut kept = service("kept");
    kept["exec"] = json!(["sleep", "infinity"]);
    let config = json!({
        "consul": consul.http().to_string(),
        "jobs": [app(), kept, note("enterMaintenance"), note("exitMaintenance")],
    });
    let pilot = stage_of(config).file("healthy", "").start();
    wait_for_passing(&consul, "kept");
    let process = pilot.pid_of("kept");

    assert_eq!(pilot.output_of(&["pilotfish", "maintenance", "enable"]), "maintenance has begun\n");
    wait_for_statuses(&consul, "kept", &[]);
    assert_eq!(pilot.output_of(&["pilotfish", "maintenance", "enable"]), "already in maintenance\n");
    assert_eq!(pilot.status()["maintenance"], true);
    pilot.wait_for_file("noted", |noted| noted == "enterMaintenance\n");

    assert_eq!(pilot.output_of(&["pilotfish", "maintenance", "disable", "--json"]).trim(), "{\"updated\":true}");
    wait_for_passing(&consul, "kept");
    pilot.wait_for_file("noted", |noted| noted == "enterMaintenance\nexitMaintenance\n");
    assert_eq!(pilot.pid_of("kept"), process, "the job itself goes on");
}

#[test]
fn maintenance_by_signal_in_version_2() {
    let consul = consul();
    let config = json!({
        "consul": consul.http().to_string(),
        "services": [{ "name": "toggled", "port": 4000, "interfaces": ["lo"], "health": "true", "poll": 1, "ttl": 10 }],
    });
    let pilot = stage_of(config).arguments(&["--", "sleep", "infinity"]).start();
    for _ in 0..2 {
        wait_for_passing(&consul, "toggled");
        pilot.signal(Signal::USR1);
        wait_for_statuses(&consul, "toggled", &[]);
        pilot.signal(Signal::USR1);
    }
    wait_for_passing(&consul, "toggled");
    assert_eq!(pilot.job("sleep")["runs"], 1);
    pilot.signal(Signal::USR1);
    wait_for_statuses(&consul, "toggled", &[]);
    assert_eq!(pilot.stop(), End::Code(143), "a stop works in maintenance, too");
}
