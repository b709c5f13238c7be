//! Never a blank file: a thousand rounds of what a catalog can do wrong, and a real cluster that loses its leader.

use pilotfish_testing::{ConsulCluster, FaultyServer, Reply, wait_until};

use super::{rendering, runs, set, wait_for_text};
use crate::catalog::view::put;

/// Questions that are asked side by side, so that a thousand pauses take no thousand seconds.
const QUESTIONS: usize = 100;

/// Losses of the leader, and other faults between them.
const ROUNDS: usize = 1000;

const INSTANCE: &str = r#"[{"Node": {"ID": "", "Node": "n", "Address": "192.0.2.1", "Datacenter": "dc1"},
    "Service": {"ID": "db-1", "Service": "db", "Tags": [], "Address": "192.0.2.1", "Meta": {}, "Port": 3306},
    "Checks": []}]"#;

#[test]
fn a_thousand_rounds_without_a_leader() {
    let faults = |index: u64| {
        [
            Reply::leader(index, false, "[]"),
            Reply::status(500, "No cluster leader"),
            Reply::leader(index, false, INSTANCE),
            Reply::consul(index, &INSTANCE[..100]),
            Reply::status(503, ""),
        ]
    };
    let mut script = vec![Reply::consul(10, INSTANCE); QUESTIONS];
    for round in 0..ROUNDS {
        let index = 11 + round as u64;
        script.push(faults(index)[round % 5].clone());
        script.push(Reply::consul(index, INSTANCE));
    }
    script.push(Reply::Hole);
    let requests = script.len();
    let server = FaultyServer::start(script);
    let text = format!(
        "{{{{ range loop {QUESTIONS} }}}}{{{{ range service (printf \"db%d\" .) }}}}{{{{ .Address }}}}:{{{{ .Port }}}}\n{{{{ end }}}}{{{{ end }}}}"
    );
    let pilot = rendering(server.address(), &text, "react", &["-log-level", "err"]).start();
    let whole = "192.0.2.1:3306\n".repeat(QUESTIONS);
    wait_for_text(&pilot, &whole);
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
    // As long as there is another round, it is waited for.
    let mut seen = 0;
    while seen < requests {
        seen = wait_until("more rounds", || {
            assert!(pilot.ended().is_none(), "{}", pilot.story());
            assert_eq!(pilot.read("out/file"), whole);
            Some(server.requests().len()).filter(|count| *count > seen)
        });
    }
    assert_eq!((runs(&pilot), pilot.read("reactions")), (1, whole), "not one other rendering: {}", pilot.story());
}

#[test]
fn a_cluster_that_loses_its_leader() {
    let mut cluster = ConsulCluster::start();
    put(&cluster.servers[0], "/v1/kv/never/key", "one");
    let register =
        r#"{"Node": "elsewhere", "Address": "192.0.2.9", "Service": {"ID": "s-1", "Service": "never-s", "Port": 1}}"#;
    put(&cluster.servers[0], "/v1/catalog/register", register);
    let addresses: Vec<String> = cluster.servers.iter().map(|server| server.http().to_string()).collect();
    let text = "{{ key \"never/key\" }} {{ range service \"never-s\" }}{{ .Address }}{{ end }}\n";
    let pilot = rendering(addresses.join(","), text, "react", &[]).start();
    wait_for_text(&pilot, "one 192.0.2.9\n");
    pilot.wait_for("the command", || (runs(&pilot) == 1).then_some(()));
    for value in ["two", "three"] {
        let lost = cluster.leader();
        cluster.servers[lost].kill();
        cluster.leader();
        let other = (lost + 1) % cluster.servers.len();
        let before = runs(&pilot);
        wait_until("a server that takes a write", || {
            let (status, _) = cluster.servers[other].request("PUT", "/v1/kv/never/key", value)?;
            (status == 200).then_some(())
        });
        wait_for_text(&pilot, &format!("{value} 192.0.2.9\n"));
        pilot.wait_for("the command", || (runs(&pilot) == before + 1).then_some(()));
        cluster.servers[lost].restart();
    }
    assert_eq!(pilot.read("reactions"), "one 192.0.2.9\ntwo 192.0.2.9\nthree 192.0.2.9\n");
    set(&cluster.servers[0], "never/key", "four");
    wait_for_text(&pilot, "four 192.0.2.9\n");
}
