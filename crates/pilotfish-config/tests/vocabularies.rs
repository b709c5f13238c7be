//! What documents of both vocabularies mean, and in which words bad ones are refused: those that users of ContainerPilot know, where there are any.

mod common;

use std::time::Duration;

use common::{error, loaded};
use pilotfish_supervisor::{
    Check, Condition, Job, JobOccurrence, Occurrence, Quantifier, Restarts, Start, Times, WatchOccurrence, WatchTarget,
};

/// A web shop as ContainerPilot 3 would run it.
const SHOP: &str = r#"{
  consul: "catalog.local:8500",
  stopTimeout: 9,
  control: { socket: "/run/shop.socket" },
  jobs: [
    { name: "migrate", exec: "/opt/shop/migrate --to latest" },
    {
      name: "shop", exec: ["/opt/shop/serve", "--colour", "dark blue"], port: 7080, tags: ["blue", "v7"],
      when: { source: "migrate", once: "exitSuccess" },
      health: { exec: "/opt/shop/ready --quick", interval: 4, ttl: "15", timeout: "2500ms" },
    },
    { name: "search", port: 7090, interfaces: ["eth7", "eth1"], health: { exec: ["/opt/search/ready"], interval: 6, ttl: 20 } },
    { name: "mailer", exec: "/opt/mailer", restarts: "unlimited" },
    { name: "sweeper", exec: "/opt/sweeper", when: { interval: "90s" } },
    { name: "goodbye", exec: "/opt/goodbye", when: { source: "shop", once: "stopping" } },
    { name: "tidy", exec: "/opt/tidy", when: { source: "shop", once: "stopped" } },
    { name: "rotate", exec: "/opt/rotate", when: { source: "SIGHUP" } },
    { name: "dump", exec: "/opt/dump", when: { source: "SIGUSR2" } },
    { name: "stock-moved", exec: "/opt/moved", when: { source: "watch.stock", each: "changed" } },
    { name: "prices-back", exec: "/opt/back", when: { source: "watch.prices", each: "healthy" } },
  ],
  watches: [{ name: "stock", interval: 7, tag: "primary" }, { name: "prices", interval: 31 }],
  telemetry: { port: 9191, tags: ["blue"], metrics: [{ namespace: "shop", name: "carts", help: "open carts", type: "gauge" }] },
}"#;

fn job<'j>(jobs: &'j [Job], name: &str) -> &'j Job {
    jobs.iter().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name} in {jobs:#?}"))
}

fn argv(job: &Job) -> Vec<&str> {
    job.process.iter().flat_map(|process| process.argv.iter().map(String::as_str)).collect()
}

fn on(trigger: Occurrence, times: Times) -> Start {
    Start::On(Condition { triggers: vec![trigger], quantifier: Quantifier::Any, times, timeout: None, hold_back: None })
}

#[test]
fn the_jobs_of_a_v3_document_start_when_it_says() {
    let spec = loaded(SHOP).config.spec;
    let names: Vec<&str> = spec.jobs.iter().map(|job| job.name.as_str()).collect();
    let telemetry = "containerpilot";
    let expect = [
        "migrate",
        "shop",
        "search",
        "mailer",
        "sweeper",
        "goodbye",
        "tidy",
        "rotate",
        "dump",
        "stock-moved",
        "prices-back",
        telemetry,
    ];
    assert_eq!(names, expect);
    let of = |name: &str, event| Occurrence::Job(name.into(), event);
    let watched = |name: &str, event| Occurrence::Watch(name.into(), event);
    let check = |name: &str, expect: Start| assert_eq!(job(&spec.jobs, name).start, expect, "{name}");
    check("migrate", on(Occurrence::Startup, Times::Once));
    check("shop", on(of("migrate", JobOccurrence::ExitSuccess), Times::Once));
    check("search", on(Occurrence::Startup, Times::Once));
    check("sweeper", Start::Every(Duration::from_secs(90)));
    check("goodbye", on(of("shop", JobOccurrence::Stopping), Times::Once));
    check("tidy", on(of("shop", JobOccurrence::Stopped), Times::Once));
    check("rotate", on(Occurrence::Hangup, Times::Each));
    check("dump", on(Occurrence::User2, Times::Each));
    check("stock-moved", on(watched("stock", WatchOccurrence::Changed), Times::Each));
    check("prices-back", on(watched("prices", WatchOccurrence::Healthy), Times::Each));
}

#[test]
fn the_jobs_of_a_v3_document_run_and_are_advertised_as_it_says() {
    let config = loaded(SHOP).config;
    let jobs = &config.spec.jobs;
    assert_eq!(argv(job(jobs, "migrate")), ["/opt/shop/migrate", "--to", "latest"]);
    assert_eq!(argv(job(jobs, "shop")), ["/opt/shop/serve", "--colour", "dark blue"]);
    let restarts = |name| job(jobs, name).restarts;
    assert_eq!(
        (restarts("shop"), restarts("mailer"), restarts("sweeper")),
        (Restarts::Limited(0), Restarts::Unlimited, Restarts::Unlimited)
    );
    let check = |name: &str, port: u16, address: &str, tags: &[&str], ready: &[&str], interval: u64, timeout: u64| {
        let job = job(jobs, name);
        let service = job.service.as_ref().expect("it is advertised");
        assert_eq!((service.port, &service.address[..]), (port, address), "{name}");
        assert_eq!(service.tags, tags, "{name}");
        let health = job.health.as_ref().expect("it is checked");
        let Check::Exec(process) = &health.check else { panic!("{health:?}") };
        assert_eq!(process.argv, ready, "{name}");
        assert_eq!((health.interval, health.timeout), (Duration::from_secs(interval), Duration::from_millis(timeout)));
    };
    check("shop", 7080, "10.0.0.5", &["blue", "v7"], &["/opt/shop/ready", "--quick"], 4, 2_500);
    check("search", 7090, "10.0.1.5", &[], &["/opt/search/ready"], 6, 5_999);
    for name in ["migrate", "mailer", "sweeper", "goodbye"] {
        assert!(job(jobs, name).service.is_none(), "{name}");
    }
    assert_eq!(job(jobs, "containerpilot").service.as_ref().map(|service| service.port), Some(9191));
    assert_eq!(config.control.socket, "/run/shop.socket");
    assert_eq!(config.telemetry.map(|telemetry| telemetry.metrics[0].name.clone()), Some("shop_carts".into()));
}

#[test]
fn the_watches_of_a_v3_document_are_of_services() {
    let spec = loaded(SHOP).config.spec;
    let target = |service: &str, tag: Option<&str>| WatchTarget::Service {
        service: service.into(),
        tag: tag.map(str::to_string),
        definitions: false,
    };
    let watches: Vec<_> =
        spec.watches.iter().map(|watch| (watch.name.as_str(), watch.interval.as_secs(), &watch.target)).collect();
    assert_eq!(watches, [("stock", 7, &target("stock", Some("primary"))), ("prices", 31, &target("prices", None))]);
}

fn check_error(text: &str, part: &str) {
    let message = error(text);
    assert!(message.contains(part), "{text}\nexpected {part}\ngot {message}");
}

#[test]
fn a_bad_v3_document_is_refused() {
    let check_job = |job: &str, part: &str| check_error(&format!("{{jobs: [{job}]}}"), part);
    check_job(
        "{name: '', port: 80, health: {exec: 'ready', interval: 2, ttl: 9}}",
        "jobs[0].name: 'name' must not be blank",
    );
    check_job("{exec: 'serve'}", "'name' must not be blank");
    check_job("{name: 'watch.x', exec: 'serve'}", "`watch.x` cannot be the name of a job");
    check_job(
        "{name: 'web_shop', port: 80, health: {interval: 2, ttl: 9}}",
        "`web_shop`: service names must be alphanumeric with dashes",
    );
    check_job("{name: 'shop', port: 80, health: {interval: 2}}", "job[shop].health.ttl must be > 0");
    check_job("{name: 'shop', health: {exec: 'ready', ttl: 9}}", "job[shop].health.interval must be > 0");
    check_job(
        "{name: 'shop', health: {exec: 'ready', interval: 2, ttl: 9, timeout: 'qq'}}",
        "jobs[0].health.timeout: time: invalid duration qq",
    );
    check_job(
        "{name: 'shop', exec: 'serve', when: {interval: '-3s'}}",
        "jobs[0].when.interval: '-3s' cannot be less than 1ms",
    );
    check_job(
        "{name: 'shop', exec: 'serve', when: {interval: 'qq'}}",
        "jobs[0].when.interval: time: invalid duration qq",
    );
    check_job("{name: 'shop', exec: 'serve', timeout: '-4ms'}", "jobs[0].timeout: '-4ms' cannot be less than 1ms");
    check_job(
        "{name: 'shop', exec: 'serve', restarts: '-3'}",
        "job[shop].restarts field '-3' invalid: accepts positive integers",
    );
    check_job(
        "{name: 'shop', exec: 'serve', restarts: 'unlimited', when: {source: 'SIGHUP', each: 'SIGHUP'}}",
        "may not be used when 'job.when.each' is set because it may result in infinite processes",
    );
    check_job(
        "{name: 'shop', port: 80, health: {interval: 2, ttl: 9}, consul: {enableTagOverride: 'maybe'}}",
        "cannot parse 'jobs[0].consul.enableTagOverride' as bool: `maybe` is neither true nor false",
    );
    check_error("{watches: [{name: 'stock'}]}", "watch[stock].interval must be > 0");
    check_error("{telemetry: {interfaces: ['eth7']}}", "none of the interface specifications were able to match");
    let metric = "{telemetry: {metrics: [{namespace: 'shop', name: 'open.carts', help: 'h', type: 'counter'}]}}";
    check_error(metric, "`shop_open.carts` is not a metric name");
    let twice = "{telemetry: {metrics: [{name: 'carts', type: 'gauge'}, {name: 'carts', type: 'gauge'}]}}";
    check_error(twice, "telemetry.metrics[1].name: the metric `carts` is defined twice");
}

#[test]
fn a_bad_v2_document_is_refused() {
    check_error("{services: [{name: 'shop'}]}", "`poll` must be > 0 in service shop");
    check_error("{services: [{name: 'shop', port: 80, ttl: 9}]}", "`poll` must be > 0 in service shop");
    check_error("{services: [{name: 'shop', port: 80, poll: 2}]}", "`ttl` must be > 0 in service shop");
    check_error("{services: [{name: 'shop', poll: 2, ttl: 9}]}", "`port` must be > 0 in service shop");
    check_error(
        "{services: [{name: 'shop', port: 80, poll: 2, ttl: 9, health: 'ready', timeout: 'qq'}]}",
        "Could not parse `health` in service shop: time: invalid duration qq",
    );
    check_error("{backends: [{name: 'stock', poll: 3}]}", "`onChange` is required in backend stock");
    check_error("{backends: [{name: 'stock', onChange: 'moved', timeout: ''}]}", "`poll` must be > 0 in backend stock");
    check_error("{coprocesses: [{}]}", "Coprocess did not provide a command");
    check_error(
        "{coprocesses: [{command: 'agent', restarts: '-3'}]}",
        "accepts positive integers, \"unlimited\" or \"never\"",
    );
    check_error("{tasks: [{frequency: 5}]}", "Task did not provide a command");
    check_error("{tasks: [{command: 'sweep'}]}", "Unable to parse frequency: it is missing");
    check_error("{tasks: [{command: 'sweep', frequency: '7us'}]}", "Frequency 7us cannot be less that 1ms");
    check_error("{tasks: [{command: 'sweep', frequency: 5, timeout: '7us'}]}", "Timeout 7us cannot be less that 1ms");
    check_error(
        "{telemetry: {sensors: [{name: 'carts', type: 'gauge', poll: 5}]}}",
        "could not parse check in sensor carts",
    );
    let storm = "{telemetry: {sensors: [{name: 'carts', type: 'gauge', poll: '7us', check: 'x'}]}}";
    check_error(storm, "telemetry.sensors[0].poll: '7us' cannot be less than 1ms");
    let twice = "{telemetry: {sensors: [{name: 'c', type: 'gauge', poll: 5, check: 'x'}, {name: 'c', type: 'gauge', poll: 5, check: 'x'}]}}";
    check_error(twice, "telemetry.sensors[1].name: the metric `c` is defined twice");
    assert_eq!(error("{telemetry: {sensors: [{name: 'c', poll: 5, check: 'x'}]}}").lines().count(), 1);
}

#[test]
fn coprocesses_restart_as_often_as_they_say() {
    let check = |member: &str, expect: Restarts| {
        let spec = loaded(&format!("{{coprocesses: [{{command: 'agent -x'{member}}}]}}")).config.spec;
        assert_eq!((spec.jobs[0].name.as_str(), spec.jobs[0].restarts), ("agent", expect), "{member}");
    };
    check("", Restarts::Limited(0));
    check(", restarts: 0", Restarts::Limited(0));
    check(", restarts: 'never'", Restarts::Limited(0));
    check(", restarts: 3", Restarts::Limited(3));
    check(", restarts: 3.9", Restarts::Limited(3));
    check(", restarts: 'unlimited'", Restarts::Unlimited);
}

#[test]
fn tasks_run_for_a_period_at_most_unless_they_say_otherwise() {
    let check = |members: &str, period: Duration, timeout: Duration| {
        let spec = loaded(&format!("{{tasks: [{{command: ['/opt/sweep'], {members}}}]}}")).config.spec;
        assert_eq!((&spec.jobs[0].start, spec.jobs[0].timeout), (&Start::Every(period), Some(timeout)), "{members}");
    };
    check("frequency: '1ms'", Duration::from_millis(1), Duration::from_millis(1));
    check("frequency: '12'", Duration::from_secs(12), Duration::from_secs(12));
    check("frequency: '12m', timeout: '3s'", Duration::from_secs(720), Duration::from_secs(3));
}
