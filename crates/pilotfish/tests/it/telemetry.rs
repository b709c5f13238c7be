//! `/metrics` and `/status`: supervisor.md section 8, and slide 58.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pilotfish_testing::{free_port, wait_until};
use serde_json::{Value, json};

use crate::catalog::view::{instances, register, wait_for_passing};
use crate::catalog::{app, rename_host, service, stage_of};
use crate::stage::{Pilot, Stage, consul};

/// The format of Prometheus, as its own tool judges it.
#[track_caller]
fn assert_valid(metrics: &str) {
    let promtool = std::env::var_os("PILOTFISH_TEST_PROMTOOL").map_or_else(|| PathBuf::from("promtool"), PathBuf::from);
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be executed: run the tests with `cargo xtask test`, or set PILOTFISH_TEST_PROMTOOL");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{metrics}");
}

/// Reads a page in the namespaces of the supervisor; nothing if nobody answers.
fn page(pilot: &Pilot, url: &str, arguments: &[&str]) -> Option<String> {
    let output = pilot.inside(&[&["curl", "-s", "--fail", "-i", url], arguments].concat());
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The metrics at this port.
#[track_caller]
fn metrics(pilot: &Pilot, port: u16) -> String {
    let url = format!("http://127.0.0.1:{port}/metrics");
    let answer = pilot.wait_for("metrics", || page(pilot, &url, &[]));
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// The value of one series.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a series has a value that satisfies the condition.
#[track_caller]
fn wait_for_value(pilot: &Pilot, port: u16, series: &str, condition: impl Fn(f64) -> bool) -> f64 {
    pilot.wait_for(series, || value(&metrics(pilot, port), series).filter(|value| condition(*value)))
}

/// A port of 127.0.0.1 that nobody else uses.
fn port() -> u16 {
    free_port(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

#[test]
fn slide_58_sensors() {
    // As printed there, with `poll` shortened.
    let config = r#"{ "telemetry": { "port": 9090, "sensors": [ { "name":
        "tb_nginx_connections_unhandled_total", "help": "Number of accepted connnections that were not handled",
        "type": "gauge", "poll": 1, "check": ["/opt/containerpilot/sensor.sh", "unhandled"] },
        { "name": "tb_nginx_connections_load", "help": "Ratio of active connections to max worker connections",
        "type": "gauge", "poll": 1, "check": ["/opt/containerpilot/sensor.sh", "connections_load"] } ] } }"#;
    let sensor = "#!/bin/sh\ncase $1 in unhandled) cat @DIR@/unhandled ;; connections_load) echo 0.25 ;; esac\n";
    let pilot = Stage::with_config(config)
        .file("sensor.sh", sensor)
        .file("unhandled", "3\n")
        .prologue("mount -t tmpfs tmpfs /opt")
        .prologue("mkdir /opt/containerpilot")
        .prologue("install -m 755 @DIR@/sensor.sh /opt/containerpilot/sensor.sh")
        .arguments(&["--", "sleep", "infinity"])
        .start();
    wait_for_value(&pilot, 9090, "tb_nginx_connections_unhandled_total", |value| value == 3.0);
    wait_for_value(&pilot, 9090, "tb_nginx_connections_load", |value| value == 0.25);
    pilot.write("unhandled", "7\n");
    wait_for_value(&pilot, 9090, "tb_nginx_connections_unhandled_total", |value| value == 7.0);
    let text = metrics(&pilot, 9090);
    assert!(text.contains("# HELP tb_nginx_connections_load Ratio of active connections to max worker connections\n"));
    assert!(text.contains("# TYPE tb_nginx_connections_load gauge\n"), "{text}");
    // What is no number changes nothing, and is told.
    pilot.write("unhandled", "lots\n");
    pilot.wait_for_line("no value for metric tb_nginx_connections_unhandled_total");
    assert_eq!(value(&metrics(&pilot, 9090), "tb_nginx_connections_unhandled_total"), Some(7.0));
}

#[test]
fn metrics_of_all_types_are_recorded_from_outside() {
    let metric = |kind: &str| json!({ "namespace": "it", "subsystem": "put", "name": kind, "help": format!("A {kind}."), "type": kind });
    let config = json!({
        "jobs": [app()],
        "telemetry": {
            "port": 9090, "interfaces": ["lo"],
            "metrics": [metric("counter"), metric("gauge"), metric("histogram"), metric("summary")],
        },
    });
    let pilot = Pilot::start(&config.to_string());
    pilot.pid_of("app");
    let record = |value: &str| {
        let assignments = ["counter", "gauge", "histogram", "summary"].map(|kind| format!("it_put_{kind}={value}"));
        let mut words = vec!["pilotfish", "putmetric"];
        words.extend(assignments.iter().map(String::as_str));
        pilot.output_of(&words);
    };
    for value in ["1", "2", "0.5"] {
        record(value);
    }
    let text = metrics(&pilot, 9090);
    assert_eq!(value(&text, "it_put_counter"), Some(3.5), "{text}");
    assert_eq!(value(&text, "it_put_gauge"), Some(0.5));
    assert_eq!(value(&text, "it_put_histogram_count"), Some(3.0));
    assert_eq!(value(&text, "it_put_histogram_sum"), Some(3.5));
    assert_eq!(value(&text, "it_put_histogram_bucket{le=\"1\"}"), Some(2.0), "{text}");
    assert_eq!(value(&text, "it_put_histogram_bucket{le=\"+Inf\"}"), Some(3.0));
    for quantile in ["0.5", "0.9", "0.99"] {
        assert!(value(&text, &format!("it_put_summary{{quantile=\"{quantile}\"}}")).is_some(), "{text}");
    }
    assert_eq!(value(&text, "it_put_summary_count"), Some(3.0));

    for (words, complaint) in [("it_put_gauge=many", "expected a number"), ("it_put_other=1", "no metric it_put_other")]
    {
        let output = pilot.inside(&["pilotfish", "putmetric", words]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(complaint), "{said}");
    }
    let answer = pilot.control("POST", "/v3/metric", r#"{"it_put_gauge": 42}"#).unwrap();
    assert_eq!(answer.status, 200);
    wait_for_value(&pilot, 9090, "it_put_gauge", |value| value == 42.0);
}

#[test]
fn own_metrics_are_judged_by_promtool() {
    let consul = consul();
    let port = port();
    let mut judged = service("judged");
    judged["exec"] = json!(["sleep", "infinity"]);
    judged["restarts"] = "unlimited".into();
    judged["health"]["exec"] = "test -e @DIR@/healthy".into();
    judged["health"].as_object_mut().unwrap().remove("file");
    let config = json!({
        "consul": consul.http().to_string(),
        "jobs": [app(), judged],
        "watches": [{ "name": "judged-other", "interval": "1s" }],
        "telemetry": {
            "port": port, "interfaces": ["lo"],
            "metrics": [{ "name": "it_requests_total", "help": "Requests, by \"hand\".", "type": "counter" }],
        },
    });
    let mut stage = stage_of(config);
    rename_host(&mut stage, "judged-host");
    let pilot = stage.start();
    let wait = |series: &str, condition: fn(f64) -> bool| wait_for_value(&pilot, port, series, condition);
    wait("pilotfish_health_checks_total{job=\"judged\",result=\"failed\"}", |value| value >= 1.0);
    assert_eq!(value(&metrics(&pilot, port), "pilotfish_job_healthy{job=\"judged\"}"), Some(0.0));
    pilot.write("healthy", "");
    wait("pilotfish_health_checks_total{job=\"judged\",result=\"passed\"}", |value| value >= 1.0);
    wait("pilotfish_service_registered{service=\"judged-judged-host\"}", |value| value == 1.0);
    wait("pilotfish_exec_duration_seconds_count{process=\"check.judged\"}", |value| value >= 1.0);
    register(&consul, "judged-other", "judged-other-1", 1, &[]);
    wait("pilotfish_watch_instances{watch=\"judged-other\"}", |value| value == 1.0);
    wait("pilotfish_events_total{source=\"watch.judged-other\",event=\"changed\"}", |value| value == 1.0);
    pilot.kill_inside(pilot.pid_of("judged"), "KILL");
    wait("pilotfish_job_restarts_total{job=\"judged\"}", |value| value == 1.0);
    pilot.output_of(&["pilotfish", "reload", "--socket", "/run/containerpilot.socket"]);
    wait("pilotfish_reloads_total{result=\"applied\"}", |value| value == 1.0);
    pilot.output_of(&["pilotfish", "putmetric", "it_requests_total=2"]);

    let text = metrics(&pilot, port);
    assert_valid(&text);
    for series in [
        "pilotfish_catalog_request_seconds_count",
        "pilotfish_catalog_requests_total{outcome=\"done\"}",
        "pilotfish_job_running{job=\"app\"}",
        "pilotfish_uptime_seconds",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        assert!(value(&text, series).is_some_and(|value| value > 0.0), "{series} in\n{text}");
    }
    assert_eq!(value(&text, "pilotfish_watch_failing{watch=\"judged-other\"}"), Some(0.0));
    assert!(value(&text, "pilotfish_watch_age_seconds{watch=\"judged-other\"}").is_some());
    open_metrics(&pilot, port);
    telemetry_status(&pilot, port);
    let telemetry = pilot.wait_for("the endpoint to be advertised", || {
        let found = instances(&consul, "containerpilot")?;
        found.into_iter().find(|found| found.id == "containerpilot-judged-host" && found.status == "passing")
    });
    assert_eq!((telemetry.address.as_str(), telemetry.port), ("127.0.0.1", u64::from(port)));
    pilot.stop();
    // A busy catalog may carry it out a moment after the supervisor has gone.
    wait_until("the endpoint to be deregistered", || {
        let left = instances(&consul, "containerpilot")?;
        left.iter().all(|left| left.id != telemetry.id).then_some(())
    });
}

/// OpenMetrics is for those who accept it.
#[track_caller]
fn open_metrics(pilot: &Pilot, port: u16) {
    let url = format!("http://127.0.0.1:{port}/metrics");
    // What Prometheus itself sends.
    let accept = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                  text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let answer = page(pilot, &url, &["-H", accept]).expect("the endpoint answers");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n") && body.contains("# TYPE it_requests counter\nit_requests_total 2"), "{body}");
}

/// The page of ContainerPilot's names.
#[track_caller]
fn telemetry_status(pilot: &Pilot, port: u16) {
    let answer = page(pilot, &format!("http://127.0.0.1:{port}/status"), &[]).expect("the endpoint answers");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let status: Value = serde_json::from_str(body).unwrap();
    let services = status["Services"].as_array().unwrap();
    let judged = services.iter().find(|service| service["Name"] == "judged").expect("it is advertised");
    assert_eq!((&judged["Address"], &judged["Port"]), (&json!("192.0.2.10"), &json!(4000)));
    assert!(services.iter().any(|service| service["Name"] == "containerpilot"), "{status}");
    assert_eq!(status["Watches"], json!(["judged-other"]));
}

/// failure-modes.md, F-B4.
#[test]
fn the_port_changes_without_a_gap() {
    let config =
        |port: u16| json!({ "jobs": [app()], "telemetry": { "port": port, "interfaces": ["lo"] } }).to_string();
    let (old, new) = (port(), port());
    let mut stage = Stage::with_config(&config(old));
    let pilot = stage.shared_network().start();
    let answers = |port: u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).ok()?;
        text.starts_with("HTTP/1.").then_some(())
    };
    pilot.wait_for("the first port", || answers(old));
    pilot.config(&config(new));
    let mut reload = pilot.control("POST", "/v3/reload", "").map(|answer| answer.status);
    pilot.wait_for("the second port alone", || {
        let at_old = answers(old);
        assert!(at_old.or_else(|| answers(new)).is_some(), "at every moment one of them answers");
        at_old.is_none().then_some(())
    });
    assert_eq!(reload.take(), Some(200));
    // The same port again: the listener stays, and nobody complains about an address in use.
    pilot.config(&config(new).replace("\"app\"", "\"renamed\""));
    assert_eq!(pilot.control("POST", "/v3/reload", "").unwrap().status, 200);
    answers(new).expect("the port still answers");
    assert!(!pilot.story().to_lowercase().contains("in use"), "{}", pilot.story());
    // A port that is taken is refused or told; the one in force stays.
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    pilot.config(&config(taken.local_addr().unwrap().port()));
    pilot.control("POST", "/v3/reload", "").unwrap();
    pilot.wait_for("the complaint", || pilot.stdout.find("in use"));
    answers(new).expect("the old port still answers");
}

#[test]
fn the_endpoint_s_own_registration_can_be_configured() {
    let consul = consul();
    let port = port();
    let config = json!({
        "consul": consul.http().to_string(),
        "jobs": [app()],
        "telemetry": { "port": port, "interfaces": ["lo"], "tags": ["metrics"], "interval": "500ms", "ttl": "10s" },
    });
    let mut stage = stage_of(config);
    rename_host(&mut stage, "tagged-host");
    let pilot = stage.start();
    let endpoint = pilot.wait_for("the endpoint to be advertised", || {
        let found = instances(&consul, "containerpilot")?;
        found.into_iter().find(|found| found.id == "containerpilot-tagged-host" && found.status == "passing")
    });
    assert_eq!(endpoint.tags, ["metrics"]);
}

#[test]
fn a_view_that_is_not_confirmed_says_how_old_it_is() {
    let mut consul = pilotfish_testing::Consul::start();
    let port = port();
    register(&consul, "aging", "aging-1", 1, &[]);
    let config = json!({
        "consul": consul.http().to_string(), "jobs": [app(), service("ageless")],
        "watches": [{ "name": "aging", "interval": "1s" }], "telemetry": { "port": port, "interfaces": ["lo"] },
    });
    let pilot = stage_of(config).file("healthy", "").start();
    wait_for_passing(&consul, "ageless");
    wait_for_value(&pilot, port, "pilotfish_watch_instances{watch=\"aging\"}", |value| value == 1.0);
    consul.kill();
    wait_for_value(&pilot, port, "pilotfish_watch_failing{watch=\"aging\"}", |value| value == 1.0);
    wait_for_value(&pilot, port, "pilotfish_catalog_requests_total{outcome=\"unreachable\"}", |value| value >= 1.0);
    let age = "pilotfish_watch_age_seconds{watch=\"aging\"}";
    let first = wait_for_value(&pilot, port, age, |age| age > 0.0);
    wait_for_value(&pilot, port, age, |age| age > first + 0.5);
    assert_eq!(value(&metrics(&pilot, port), "pilotfish_watch_instances{watch=\"aging\"}"), Some(1.0));
    let watch = pilot.status()["watches"][0].clone();
    assert!(watch["age"].as_f64().unwrap() > first && watch["failing"].is_string(), "{watch}");
}

/// supervisor.md, section 3: sensors run on their period and are killed at their timeout.
#[test]
fn a_sensor_that_hangs_is_killed_at_its_timeout_and_asked_again() {
    let mut stage = Stage::with_config(
        r#"{ telemetry: { port: 9090, sensors: [{ name: "stuck", help: "h", type: "gauge", poll: 1, timeout: "300ms",
             check: ["sh", "-c", "echo >> @DIR@/asked; test $(wc -l < @DIR@/asked) -gt 2 && echo 7 && exit; sleep 1000"] }] } }"#,
    );
    let pilot = stage.arguments(&["sleep", "infinity"]).start();
    pilot.wait_for("two that hang to be killed", || {
        (pilot.stdout.all("killed: it took longer than 300 ms").len() == 2).then_some(())
    });
    wait_for_value(&pilot, 9090, "stuck", |value| value == 7.0);
    // The command line of a run that is about to end has these words as well.
    pilot.wait_for("nothing to be left", || pilot.processes_with("sleep 1000").is_empty().then_some(()));
}
