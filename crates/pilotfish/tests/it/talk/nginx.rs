//! Slides 32 to 47, 55 and 58: nginx in front.

use super::{ADDRESS, register, wait_for_service, world};
use crate::stage::{End, Pilot, Stage};

/// Slides 32 to 35, with their typographic quotes; what follows the dots is on slide 58.
const SLIDE_32: &str = r#"{ "consul": "consul:8500", "preStart": "/bin/reload-nginx.sh preStart", "services": [ {

    "name": "nginx", "port": 80, "interfaces": ["eth1", "eth0"], "health": "/usr/bin/curl --fail -s http://localhost/health", "poll": 10, "ttl": 25 } ], "backends": [ { "name": "sales", "poll": 3, "onChange": "/bin/reload-nginx.sh onChange” },{ "name": "customers", "poll": 3, "onChange": "/bin/reload-nginx.sh onChange” } ]"#;

/// Slide 58, after its dots.
const SLIDE_58: &str = r#""telemetry": { "port": 9090, "sensors": [ { "name":

    "tb_nginx_connections_unhandled_total", "help": "Number of accepted connnections that were not handled", "type": "gauge", "poll": 5, "check": ["/opt/containerpilot/sensor.sh", "unhandled"] }, { "name": "tb_nginx_connections_load", "help": "Ratio of active connections to max worker connections", "type": "gauge", "poll": 5, "check": ["/opt/containerpilot/sensor.sh", "connections_load"] } ] } }"#;

/// Slides 38 and 55, with the line breaks that the transcript lost.
const SLIDE_55: &str = r#"
# Render Nginx configuration template using values from Consul,
# but do not reload because Nginx has't started yet
preStart() {
    consul-template \
        -once \
        -consul consul:8500 \
        -template "/etc/containerpilot/nginx.conf.ctmpl:/etc/nginx/nginx.conf"
}

# Render Nginx configuration template using values from Consul,
# then gracefully reload Nginx
onChange() {
    consul-template \
        -once \
        -consul consul:8500 \
        -template "/etc/containerpilot/nginx.conf.ctmpl:/etc/nginx/nginx.conf:nginx -s reload"
}

until
    cmd=$1
    if [ -z "$cmd" ]; then
        onChange
    fi
    shift 1
    $cmd "$@"
    [ "$?" -ne 127 ]
do
    onChange
    exit
done
"#;

/// Stands in for consul-template: writes an upstream for each service that has healthy instances, and runs the command that may follow.
const CONSUL_TEMPLATE: &str = r"
const fs = require('fs'), http = require('http'), { execSync } = require('child_process');
const [template, target, command] = process.argv[process.argv.indexOf('-template') + 1].split(':');
fs.appendFileSync('@DIR@/rendered', `${template}:${target}${command ? ':' + command : ''}\n`);
const instances = (service) => new Promise((found) => http.get(`http://consul:8500/v1/health/service/${service}?passing`, (answer) => {
  let text = '';
  answer.on('data', (part) => text += part);
  answer.on('end', () => found(answer.statusCode == 200 ? JSON.parse(text) : []));
}).on('error', () => found([])));
(async () => {
  let upstreams = '';
  for (const service of ['sales', 'customers']) {
    const servers = (await instances(service)).map((entry) => `server ${entry.Service.Address}:${entry.Service.Port};`);
    if (servers.length) upstreams += `upstream ${service} { ${servers.join(' ')} least_conn; }\n`;
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path /run/${name};`).join(' ');
  fs.writeFileSync('@DIR@/nginx.conf', `worker_processes 1; pid /run/nginx.pid; error_log stderr; events { worker_connections 64; }
http { access_log off; ${temporary} ${upstreams} server { listen 80; location /health { return 200 ok; } } }`);
  if (command) execSync(command);
})();
";

fn nginx(config: &str) -> Pilot {
    let mut stage: Stage = world(config);
    stage
        .script_at("/bin/reload-nginx.sh", SLIDE_55)
        .file("consul-template.js", CONSUL_TEMPLATE)
        .script("consul-template", "exec node @DIR@/consul-template.js \"$@\"")
        .file(
            "opt/containerpilot/sensor.sh",
            "#!/bin/sh\ncase $1 in unhandled) echo 3;; connections_load) echo 0.25;; esac\n",
        )
        .prologue("chmod +x /opt/containerpilot/sensor.sh")
        .arguments(&["nginx", "-g", "daemon off;"])
        .start()
}

/// The part of slide 32 that is printed, closed.
fn slide_32() -> String {
    format!("{SLIDE_32} }}")
}

#[test]
fn slide_32_config_runs_slides_33_to_47_and_55() {
    let pilot = nginx(&slide_32());
    // Slides 37 to 42: preStart has rendered, without a reload, and before the application.
    let entry = wait_for_service(&pilot, "nginx", "passing");
    assert_eq!((entry["Service"]["Address"].as_str(), entry["Service"]["Port"].as_u64()), (Some(ADDRESS), Some(80)));
    assert!(pilot.read("rendered").starts_with("/etc/containerpilot/nginx.conf.ctmpl:/etc/nginx/nginx.conf\n"));
    let job = pilot.job("preStart");
    assert_eq!((job["runs"].as_u64(), job["lastExit"]["code"].as_u64()), (Some(1), Some(0)));
    let master = pilot.pid_of("nginx-2");
    assert!(pilot.processes_with("nginx: worker process").iter().all(|worker| worker.parent == master));
    // Slides 43 to 47: a change renders the upstreams and reloads nginx, which goes on.
    register(&pilot, "sales", "192.168.1.101", 3000);
    // One after the other: each has a handler of its own, and both write the file.
    pilot.wait_for_file("nginx.conf", |text| text.contains("server 192.168.1.101:3000;"));
    register(&pilot, "customers", "192.168.1.102", 4000);
    pilot.wait_for_file("nginx.conf", |text| {
        text.contains("server 192.168.1.101:3000;") && text.contains("upstream customers")
    });
    pilot.wait_for_file("rendered", |text| text.contains("nginx.conf:nginx -s reload"));
    assert_eq!(pilot.pid_of("nginx-2"), master);
    assert_eq!(pilot.output_of(&["curl", "-s", "http://localhost/health"]), "ok");
    // nginx exits with 0 on SIGTERM, and so does the container.
    assert_eq!(pilot.stop(), End::Code(0));
}

#[test]
fn slide_58_sensors_are_measured_and_served() {
    let pilot = nginx(&format!("{SLIDE_32}, {SLIDE_58}"));
    pilot.pid_of("nginx-2");
    let metrics = pilot.wait_for("both metrics", || {
        let output = pilot.inside(&["curl", "-s", "--fail", &format!("http://{ADDRESS}:9090/metrics")]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let has = |line: &str| text.lines().any(|found| found == line);
        (has("tb_nginx_connections_unhandled_total 3") && has("tb_nginx_connections_load 0.25")).then_some(text)
    });
    assert!(metrics.contains("# TYPE tb_nginx_connections_load gauge"), "{metrics}");
    assert!(metrics.contains("# HELP tb_nginx_connections_load Ratio of active connections to max worker connections"));
    let entry = wait_for_service(&pilot, "containerpilot", "passing");
    assert_eq!(entry["Service"]["Port"], 9090);
}
