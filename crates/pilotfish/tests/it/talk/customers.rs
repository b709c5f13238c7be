//! Slides 22 to 31, 48 to 54, 56 and 57: the Node.js application `customers`.

use super::{ADDRESS, deregister, hostname, register, wait_for_service, world};
use crate::stage::{End, Pilot};

/// Slides 27 to 30, 49 and 56.
const SLIDE_27: &str = r#"{ "consul": "consul:8500", "services": [ { "name": "customers", "port":

    4000, "health": "/usr/bin/curl --fail -s http://localhost:4000/data", "poll": 3, "ttl": 10 } ], "backends": [ { "name": "sales", "poll": 3, "onChange": "pkill -SIGHUP node" } ] }"#;

/// The application of slide 57: on SIGHUP it asks Consul for its upstreams.
const CUSTOMERS: &str = r"
var http = require('http'), fs = require('fs');
var upstreamHosts = [];
var getUpstreams = function(force, callback) {
  http.get('http://consul:8500/v1/health/service/sales?passing', function (answer) {
    var text = '';
    answer.on('data', function (part) { text += part; });
    answer.on('end', function () {
      upstreamHosts = JSON.parse(text).map(function (entry) { return entry.Service.Address + ':' + entry.Service.Port; });
      callback(upstreamHosts);
    });
  });
};
process.on('SIGHUP', function () {
  console.log('Received SIGHUP');
  getUpstreams(true, function (hosts) { console.log('Updated upstreamHosts ' + hosts.join(',')); });
});
process.on('SIGTERM', function () { console.log('Received SIGTERM'); process.exit(17); });
http.createServer(function (request, response) {
  response.statusCode = request.url === '/data' && !fs.existsSync('@DIR@/broken') ? 200 : 500;
  response.end('[]');
}).listen(4000);
";

fn customers() -> Pilot {
    let mut stage = world(SLIDE_27);
    stage.file("opt/customers/customers.js", CUSTOMERS).arguments(&["node", "/opt/customers/customers.js"]).start()
}

#[test]
fn slide_27_config_runs_slide_51_heartbeat_registers_with_id_address_and_ttl() {
    let pilot = customers();
    let entry = wait_for_service(&pilot, "customers", "passing");
    let service = &entry["Service"];
    assert_eq!(service["ID"], format!("customers-{}", hostname(&pilot)));
    assert_eq!((service["Address"].as_str(), service["Port"].as_u64()), (Some(ADDRESS), Some(4000)));
    let checks = pilot.wait_for("the checks", || super::ask(&pilot, "/v1/agent/checks")).to_string();
    assert!(
        checks.contains("\"Type\":\"ttl\"") || checks.contains("\"ttl\"") || !checks.contains("http\""),
        "{checks}"
    );
    // Slide 48: the exit code of the application is the container's, and the catalog is told before.
    assert_eq!(pilot.stop(), End::Code(17));
    assert!(pilot.stdout.text().lines().any(|line| line == "Received SIGTERM"), "attached: {}", pilot.story());
    pilot.wait_for_line("deregistered");
}

#[test]
fn slide_31_process_tree() {
    let pilot = customers();
    wait_for_service(&pilot, "customers", "passing");
    let supervisor = pilot.output_of(&["ps", "-o", "pid,ppid,comm", "-p", "1"]);
    assert!(supervisor.contains("containerpilot"), "{supervisor}");
    let node = pilot.processes_with("node /opt/customers/customers.js");
    assert_eq!((node.len(), node[0].parent), (1, 1), "{node:?}");
    // The check is short; it is seen now and then.
    let check =
        pilot.wait_for("a check", || pilot.processes_with("/usr/bin/curl --fail -s http://localhost:4000/data").pop());
    assert!(check.parent == 1 || check.state == 'Z', "{check:?}");
}

#[test]
fn slide_52_failing_check_lets_ttl_expire() {
    let pilot = customers();
    wait_for_service(&pilot, "customers", "passing");
    let node = pilot.pid_of("node");
    pilot.write("broken", "");
    wait_for_service(&pilot, "customers", "critical");
    assert_eq!(pilot.pid_of("node"), node, "nothing else happens");
    pilot.wait_for_job("customers", |job| job["health"] == "unhealthy");
    std::fs::remove_file(pilot.file("broken")).unwrap();
    wait_for_service(&pilot, "customers", "passing");
}

#[test]
fn slides_19_20_53_54_and_57_a_change_of_sales_reaches_the_application() {
    let pilot = customers();
    wait_for_service(&pilot, "customers", "passing");
    let updated = |hosts: &str| format!("Updated upstreamHosts {hosts}");
    register(&pilot, "sales", "192.168.1.100", 3000);
    pilot.wait_for_line(&updated("192.168.1.100:3000"));
    register(&pilot, "sales", "192.168.1.101", 3000);
    pilot.wait_for_line(&updated("192.168.1.100:3000,192.168.1.101:3000"));
    deregister(&pilot, "sales-192.168.1.100");
    pilot.wait_for_line(&updated("192.168.1.101:3000"));
    assert_eq!(pilot.job("node")["runs"], 1, "no signal killed it");
    assert_eq!(pilot.status()["watches"][0]["members"][0], "192.168.1.101:3000");
}
