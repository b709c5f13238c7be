//! The talk's own configs and scripts do the same: slides 38 and 55 (`reload-nginx.sh` calls `consul-template`, which is pilotfish under that
//! name), 47 (the upstreams), 57 (SIGHUP to node).

use pilotfish_testing::Load;

use super::{PATHS, SERVICES, THREADS, Vocabulary, Workshop};

/// Waits until each service shows rows of the other, told of an instance that runs.
#[track_caller]
fn wait_for_merged(workshop: &Workshop) {
    for (service, peer) in [("sales", "customers"), ("customers", "sales")] {
        workshop.nginx.wait_for(&format!("{service} to show rows of {peer}"), || {
            let body = workshop.ask(&format!("/{service}/"))?;
            let known = |service: &str, name: &str| workshop.names(service).iter().any(|known| known == name);
            let merged = body["rows"].is_array() && body[peer]["rows"].is_array();
            (merged && known(service, body["instance"].as_str()?) && known(peer, body[peer]["instance"].as_str()?))
                .then_some(())
        });
    }
}

#[test]
fn slides_38_47_55_and_57_the_talks_configs_follow_every_change() {
    let mut workshop = Workshop::start(Vocabulary::V2);
    let master = workshop.nginx.pid_of("nginx-2");
    wait_for_merged(&workshop);
    workshop.wait_for_answers();
    let load = Load::start(workshop.address, PATHS, THREADS);
    workshop.scale(4);
    wait_for_merged(&workshop);
    workshop.scale(2);
    wait_for_merged(&workshop);
    workshop.assert_nothing_failed(&load.stop());

    workshop.kill("customers-1");
    workshop.wait_for_upstreams();
    wait_for_merged(&workshop);
    assert_eq!(workshop.nginx.pid_of("nginx-2"), master, "nginx goes on");
    for service in SERVICES {
        for (name, node) in workshop.nodes.iter().filter(|(name, _)| name.starts_with(service)) {
            assert_eq!(node.job("node")["runs"], 1, "{name}: no signal killed it");
        }
    }
}
