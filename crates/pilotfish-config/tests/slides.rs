//! Every config of the talk (Stateful Applications on Autopilot) loads as printed there and means what the slides say.

mod common;

use std::time::Duration;

use common::{load_with, round_trip, surroundings};
use pilotfish_config::{Loaded, MetricKind, Scheme};
use pilotfish_supervisor::{
    Check, HangupMeaning, Job, JobOccurrence, Occurrence, OnFailure, Output, Restarts, Start, Times, User1Meaning,
    WatchOccurrence, WatchTarget,
};

/// Slides 27 to 30, 49 and 56.
const SLIDE_27: &str = r#"{ "consul": "consul:8500", "services": [ { "name": "customers", "port":

    4000, "health": "/usr/bin/curl --fail -s http://localhost:4000/data", "poll": 3, "ttl": 10 } ], "backends": [ { "name": "sales", "poll": 3, "onChange": "pkill -SIGHUP node" } ] }"#;

/// Slides 32 to 35, with the elision completed.
const SLIDE_32: &str = r#"{ "consul": "consul:8500", "preStart": "/bin/reload-nginx.sh preStart", "services": [ {

    "name": "nginx", "port": 80, "interfaces": ["eth1", "eth0"], "health": "/usr/bin/curl --fail -s http://localhost/health", "poll": 10, "ttl": 25 } ], "backends": [ { "name": "sales", "poll": 3, "onChange": "/bin/reload-nginx.sh onChange” },{ "name": "customers", "poll": 3, "onChange": "/bin/reload-nginx.sh onChange” } ] }"#;

/// Slide 58, with the elision completed.
const SLIDE_58: &str = r#"{ "telemetry": { "port": 9090, "sensors": [ { "name":

    "tb_nginx_connections_unhandled_total", "help": "Number of accepted connnections that were not handled", "type": "gauge", "poll": 5, "check": ["/opt/containerpilot/sensor.sh", "unhandled"] }, { "name": "tb_nginx_connections_load", "help": "Ratio of active connections to max worker connections", "type": "gauge", "poll": 5, "check": ["/opt/containerpilot/sensor.sh", "connections_load"] } ] } }"#;

/// Slides 70 to 75, 96 and 99.
const SLIDE_70: &str = r#"{ "consul": "{{ .CONSUL }}:8500", "preStart": "python /usr/local/bin/manage.py",

    "services": [ { "name": "mysql", "port": 3306, "health": "python /usr/local/bin/manage.py health", "poll": 5, "ttl": 25 } ], "backends": [ { "name": "mysql-primary", "poll": 10, "onChange": "python /usr/local/bin/manage.py on_change" } ] }"#;

fn load(text: &str, command: &[&str]) -> Loaded {
    let mut surroundings = surroundings();
    surroundings.command = Some(command.iter().map(|word| word.to_string()).collect());
    let loaded = load_with(text, &surroundings).unwrap_or_else(|errors| panic!("{errors}"));
    round_trip(&loaded.config, &surroundings);
    loaded
}

fn job<'l>(loaded: &'l Loaded, name: &str) -> &'l Job {
    let jobs = &loaded.config.spec.jobs;
    jobs.iter().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name} in {jobs:#?}"))
}

fn triggers(job: &Job) -> (&[Occurrence], Times) {
    let Start::On(condition) = &job.start else { panic!("{:?}", job.start) };
    (&condition.triggers, condition.times)
}

#[test]
fn slide_27_customers() {
    let loaded = load(SLIDE_27, &["node", "/opt/customers/customers.js"]);
    assert_eq!(loaded.warnings, []);
    let catalog = loaded.config.catalog.as_ref().expect("there is a consul");
    assert_eq!((catalog.addresses[0].scheme, catalog.addresses[0].authority.as_str()), (Scheme::Http, "consul:8500"));
    let names: Vec<&str> = loaded.config.spec.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["node", "customers", "onChange.sales"]);

    let main = job(&loaded, "node");
    let process = main.process.as_ref().expect("the main job has a process");
    assert!(main.main && process.output == Output::Attached);
    assert_eq!(process.argv, ["node", "/opt/customers/customers.js"]);

    let service = job(&loaded, "customers");
    let health = service.health.as_ref().expect("the service has a check");
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(3), Duration::from_millis(2999)));
    let Check::Exec(check) = &health.check else { panic!("{health:?}") };
    assert_eq!(check.argv, ["/usr/bin/curl", "--fail", "-s", "http://localhost:4000/data"]);
    let service = service.service.as_ref().expect("the service is advertised");
    assert_eq!((service.id.as_str(), service.port, service.ttl), ("customers-host", 4000, Duration::from_secs(10)));
    assert_eq!(loaded.config.environment, [("CONTAINERPILOT_CUSTOMERS_IP".into(), "10.0.0.5".into())]);

    let watch = &loaded.config.spec.watches[0];
    let target = WatchTarget::Service { service: "sales".into(), tag: None, definitions: false };
    assert_eq!((watch.name.as_str(), &watch.target, watch.interval), ("sales", &target, Duration::from_secs(3)));
    let change = job(&loaded, "onChange.sales");
    assert_eq!(triggers(change), (&[Occurrence::Watch("sales".into(), WatchOccurrence::Changed)][..], Times::Each));
    assert_eq!(change.after, Some(Occurrence::Job("node".into(), JobOccurrence::Started)));
    let signals = loaded.config.spec.signals;
    assert_eq!((signals.hangup, signals.user1), (HangupMeaning::Reload, User1Meaning::ToggleMaintenance));
}

#[test]
fn slide_32_nginx_with_typographic_quotes() {
    let loaded = load(SLIDE_32, &["nginx", "-g", "daemon off;"]);
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].message.contains("typographic quotes"));
    let pre_start = job(&loaded, "preStart");
    assert_eq!(pre_start.on_failure, OnFailure::Exit);
    let prepared = Occurrence::Job("preStart".into(), JobOccurrence::ExitSuccess);
    // The service keeps its name in the catalog; the application gets another one.
    for name in ["nginx", "nginx-2"] {
        assert_eq!(triggers(job(&loaded, name)), (&[prepared.clone()][..], Times::Once), "{name}");
    }
    assert!(job(&loaded, "nginx-2").main);
    let service = job(&loaded, "nginx");
    assert_eq!(service.health.as_ref().map(|health| health.timeout), Some(Duration::from_secs(5)));
    assert_eq!(service.service.as_ref().map(|service| service.address.as_str()), Some("10.0.1.5"), "eth1 comes first");
    let change = job(&loaded, "onChange.customers");
    assert_eq!(
        change.process.as_ref().map(|process| &process.argv[..]),
        Some(&["/bin/reload-nginx.sh".to_string(), "onChange".into()][..])
    );

    let straight = load(&SLIDE_32.replace('”', "\""), &["nginx", "-g", "daemon off;"]);
    assert_eq!(straight.config, loaded.config);
    assert_eq!(straight.warnings, []);
}

#[test]
fn slide_58_sensors() {
    let loaded = load(SLIDE_58, &["nginx"]);
    let telemetry = loaded.config.telemetry.as_ref().expect("there is telemetry");
    assert_eq!((telemetry.port, telemetry.metrics.len()), (9090, 2));
    assert_eq!(telemetry.metrics[0].name, "tb_nginx_connections_unhandled_total");
    assert_eq!(telemetry.metrics[0].kind, MetricKind::Gauge);
    let sensor = job(&loaded, "sensor.tb_nginx_connections_load");
    assert_eq!((&sensor.start, sensor.timeout), (&Start::Every(Duration::from_secs(5)), Some(Duration::from_secs(5))));
    let process = sensor.process.as_ref().expect("a sensor has a process");
    assert_eq!(process.output, Output::Measured("tb_nginx_connections_load".into()));
    assert_eq!(process.argv, ["/opt/containerpilot/sensor.sh", "connections_load"]);
    let endpoint = job(&loaded, "containerpilot").service.as_ref().expect("the endpoint is advertised");
    assert_eq!((endpoint.port, endpoint.ttl), (9090, Duration::from_secs(15)));
}

#[test]
fn slides_70_to_74_mysql() {
    let loaded = load(SLIDE_70, &["mysqld", "--console", "--log-bin=mysql-bin"]);
    let catalog = loaded.config.catalog.as_ref().expect("there is a consul");
    assert_eq!(catalog.addresses[0].authority, "consul.example:8500");
    let service = job(&loaded, "mysql");
    assert_eq!(service.health.as_ref().map(|health| health.timeout), Some(Duration::from_millis(4999)));
    assert_eq!(loaded.config.spec.watches[0].name, "mysql-primary");
    assert!(job(&loaded, "mysqld").main);
}

#[test]
fn slide_97_the_primary_s_service_may_be_called_like_its_backend() {
    let text = SLIDE_70.replacen("\"mysql\"", "“mysql-primary\"", 1);
    let loaded = load(&text, &["mysqld"]);
    assert_eq!(job(&loaded, "mysql-primary").service.as_ref().map(|service| service.port), Some(3306));
    assert_eq!(loaded.config.spec.watches[0].name, "mysql-primary");
}

#[test]
fn without_its_variable_slide_70_is_refused_by_name() {
    let mut surroundings = surroundings();
    surroundings.env.remove("CONSUL");
    let errors = load_with(SLIDE_70, &surroundings).expect_err("the address has no host");
    assert_eq!(
        errors.to_string(),
        "test.json5: line 1, column 13: consul: address \":8500\" has no host; write host:port, such as \"consul:8500\"\n  \
         note: not set in the environment and rendered as nothing: CONSUL (line 1)"
    );
}

#[test]
fn v2_hooks_follow_the_main_application() {
    let text = r#"{ consul: "c:8500", onStart: "prepare", preStop: "drain", postStop: ["clean", "up"], stopTimeout: -1,
        coprocesses: [{ name: "agent", command: "agent", restarts: "unlimited" }],
        tasks: [{ name: "backup", command: "backup", frequency: "1h" }] }"#;
    let loaded = load(text, &["app", "{{ .CONSUL }}"]);
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!(loaded.config.spec.stop_timeout, Duration::ZERO);
    let names: Vec<&str> = loaded.config.spec.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["onStart", "agent", "app", "backup", "preStop", "postStop"]);
    let prepared = Occurrence::Job("onStart".into(), JobOccurrence::ExitSuccess);
    assert_eq!(job(&loaded, "agent").restarts, Restarts::Unlimited);
    assert_eq!(triggers(job(&loaded, "agent")).0, std::slice::from_ref(&prepared));
    assert_eq!(job(&loaded, "backup").after, Some(prepared));
    assert_eq!(job(&loaded, "app").process.as_ref().map(|process| process.argv[1].as_str()), Some("consul.example"));
    let of_main = |event| vec![Occurrence::Job("app".into(), event)];
    assert_eq!(triggers(job(&loaded, "preStop")).0, of_main(JobOccurrence::Stopping));
    assert_eq!(triggers(job(&loaded, "postStop")).0, of_main(JobOccurrence::Stopped));
    assert_eq!(job(&loaded, "postStop").on_failure, OnFailure::Exit);
}
