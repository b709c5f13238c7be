//! Slides 36 to 47 and 55 to 57 without consul-template and without a script: nginx is configured by the supervisor itself before it starts and on each
//! change, and the application is told of a rendered list by SIGHUP.

use super::{ADDRESS, deregister, register, wait_for_service, world};
use crate::stage::{End, Pilot, Stage};

/// Slides 32 to 35, with templates in the place of `reload-nginx.sh`.
const CONFIG: &str = r#"{
  consul: "consul:8500",
  services: [{
    name: "nginx", port: 80, interfaces: ["eth1", "eth0"], health: "/usr/bin/curl --fail -s http://localhost/health", poll: 10, ttl: 25,
  }],
  templates: [{
    source: "/etc/containerpilot/nginx.conf.ctmpl", destination: "/etc/nginx/nginx.conf",
    check: "nginx -t -c {{.Path}}", command: "nginx -s reload",
  }],
}"#;

/// Slides 43 to 46 with the line breaks that the transcript lost, and paths of this machine.
const TEMPLATE: &str = r#"worker_processes 1;
error_log stderr warn;
pid /run/nginx.pid;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path /run/client_body; proxy_temp_path /run/proxy; fastcgi_temp_path /run/fastcgi;
    uwsgi_temp_path /run/uwsgi; scgi_temp_path /run/scgi;
    {{ if service "sales" }}
    upstream sales {
        # write the address:port pairs for each healthy Sales node
        {{range service "sales"}}
        server {{.Address}}:{{.Port}};
        {{end}}
        least_conn;
    }{{ end }}
    server {
        listen 80;
        server_name _;
        location /health { return 200 ok; }
        {{ if service "sales" }}
        location ^~ /sales {
            # strip '/sales' from the request before passing it along to the Sales upstream
            rewrite ^/sales(/.*)$ $1 break;
            proxy_pass http://sales;
            proxy_redirect off;
        }{{end}}
    }
}
"#;

/// An instance of Sales that says its port.
const SALES: &str = "require('http').createServer((request, answer) => answer.end(`sales ${process.argv[2]} ${request.url}`)).listen(process.argv[2]);";

fn nginx() -> Pilot {
    let mut stage: Stage = world(CONFIG);
    stage
        .file("etc/containerpilot/nginx.conf.ctmpl", TEMPLATE)
        .file("sales.js", SALES)
        .prologue("mkdir @DIR@/nginx-etc && mount --bind @DIR@/nginx-etc /etc/nginx")
        .arguments(&["nginx", "-g", "daemon off;"])
        .start()
}

/// The servers of the upstream in force.
fn upstream(pilot: &Pilot) -> Vec<String> {
    let text = pilot.read("nginx-etc/nginx.conf");
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("server ")?.strip_suffix(';'));
    servers.map(str::to_owned).collect()
}

/// What nginx answers at a path.
fn page(pilot: &Pilot, path: &str) -> String {
    let output = pilot.inside(&["curl", "-s", "--max-time", "5", &format!("http://localhost{path}")]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn slides_37_to_42_nginx_is_configured_before_it_starts() {
    let pilot = nginx();
    wait_for_service(&pilot, "nginx", "passing");
    // "None yet!", says slide 41.
    assert_eq!(upstream(&pilot), [""; 0]);
    assert_eq!(page(&pilot, "/health"), "ok");
    let command = pilot.job("onChange.nginx.conf");
    assert_eq!((command["runs"].as_u64(), command["state"].as_str()), (Some(0), Some("waiting")));
    // nginx exits with 0 on SIGTERM, and so does the container.
    assert_eq!(pilot.stop(), End::Code(0));
}

#[test]
fn slides_43_to_47_and_55_each_change_of_sales_reaches_nginx() {
    let pilot = nginx();
    wait_for_service(&pilot, "nginx", "passing");
    let master = pilot.pid_of("nginx-2");
    pilot.output_of(&[
        "sh",
        "-c",
        "for port in 3001 3002 3003; do setsid node @DIR@/sales.js $port > /dev/null 2>&1 & done",
    ]);
    for port in [3001, 3002, 3003] {
        register(&pilot, "sales", ADDRESS, port);
        // One instance at a time has this id, because the id has no port in it.
        let expected = format!("{ADDRESS}:{port}");
        pilot.wait_for("the upstream of slide 47", || (upstream(&pilot) == [expected.as_str()]).then_some(()));
        pilot.wait_for("nginx to pass requests on", || {
            (page(&pilot, "/sales/data") == format!("sales {port} /data")).then_some(())
        });
    }
    register(&pilot, "sales", "127.0.0.1", 3001);
    pilot.wait_for("both", || (upstream(&pilot).len() == 2).then_some(()));
    deregister(&pilot, &format!("sales-{ADDRESS}"));
    deregister(&pilot, "sales-127.0.0.1");
    pilot.wait_for("no upstream", || upstream(&pilot).is_empty().then_some(()));
    pilot.wait_for("nginx to know of none", || (!page(&pilot, "/sales/data").contains("/data")).then_some(()));
    assert_eq!(pilot.pid_of("nginx-2"), master, "nginx goes on");
}

#[test]
fn slide_36_a_file_that_nginx_refuses_is_not_put_in_place() {
    let pilot = nginx();
    wait_for_service(&pilot, "nginx", "passing");
    register(&pilot, "sales", "no-such-host.invalid", 3000);
    let obstacle =
        pilot.wait_for("the refusal", || pilot.status()["templates"][0]["obstacle"].as_str().map(str::to_owned));
    assert!(obstacle.contains("its check refuses the new file"), "{obstacle}");
    pilot.wait_for_line("host not found in upstream");
    assert_eq!((upstream(&pilot), page(&pilot, "/health").as_str()), (vec![], "ok"));
    register(&pilot, "sales", ADDRESS, 3000);
    deregister(&pilot, "sales-no-such-host.invalid");
    pilot.wait_for("what nginx accepts", || (upstream(&pilot) == [format!("{ADDRESS}:3000")]).then_some(()));
    pilot.wait_for("the command", || (pilot.job("onChange.nginx.conf")["lastExit"]["code"] == 0).then_some(()));
}

/// Slide 57's idea: the application reads its upstreams again on SIGHUP, here from a list that is rendered for it.
#[test]
fn slides_56_and_57_sighup_tells_node_of_a_rendered_list() {
    let config = r#"{
      consul: "consul:8500",
      services: [{ name: "customers", port: 4000, health: "/usr/bin/curl --fail -s http://localhost:4000/data", poll: 3, ttl: 10 }],
      templates: [{
        contents: '{{`{{ range service "sales" }}{{ .Address }}:{{ .Port }} {{ end }}`}}', destination: "@DIR@/sales",
        notify: { job: "node", signal: "SIGHUP" },
      }],
    }"#;
    let application = r"
const fs = require('fs');
let upstreamHosts = [];
const getUpstreams = (callback) => { upstreamHosts = fs.readFileSync('@DIR@/sales', 'utf8').trim().split(' '); callback(upstreamHosts); };
process.on('SIGHUP', () => { console.log('Received SIGHUP'); getUpstreams((hosts) => console.log(`Updated upstreamHosts ${hosts}`)); });
getUpstreams((hosts) => console.log(`Began with ${hosts}`));
require('http').createServer((request, answer) => answer.end('[]')).listen(4000);
";
    let mut stage = world(config);
    stage.file("customers.js", application).arguments(&["node", "@DIR@/customers.js"]);
    let pilot = stage.start();
    pilot.wait_for_line("Began with");
    register(&pilot, "sales", "192.168.1.100", 3000);
    pilot.wait_for_line("Updated upstreamHosts 192.168.1.100:3000");
    register(&pilot, "sales", "192.168.1.101", 3000);
    pilot.wait_for_line("Updated upstreamHosts 192.168.1.100:3000,192.168.1.101:3000");
    deregister(&pilot, "sales-192.168.1.100");
    pilot.wait_for_line("Updated upstreamHosts 192.168.1.101:3000");
    assert_eq!(pilot.job("node")["runs"], 1, "no signal killed it");
}
