//! A member of a database cluster: what the section and the environment mean, and in which words bad ones are refused.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{load_with, loaded, round_trip, surroundings};
use pilotfish_config::{Config, Durability, Loaded, MYSQL_JOB, MYSQL_VARIABLE, Surroundings};
use pilotfish_supervisor::{Check, Job, JobOccurrence, Occurrence, Restarts, Start};

/// Loads with variables on top of the usual ones; an empty value unsets one.
fn load_in(text: &str, variables: &[(&str, &str)], command: &[&str]) -> Result<Loaded, String> {
    let mut surroundings = surroundings();
    surroundings.env.extend(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    if !command.is_empty() {
        surroundings.command = Some(command.iter().map(|word| (*word).into()).collect());
    }
    load_with(text, &surroundings).map_err(|errors| errors.to_string())
}

fn job<'c>(config: &'c Config, name: &str) -> &'c Job {
    config.spec.jobs.iter().find(|job| job.name == name).unwrap_or_else(|| panic!("no job {name}"))
}

#[test]
fn a_section_without_keys_is_a_member_with_defaults() {
    let config = loaded("{mysql: {}}").config;
    let mysql = config.mysql.as_ref().expect("there is a member");
    assert_eq!((&mysql.service[..], &mysql.name[..], &mysql.address[..]), ("mysql", "host", "10.0.0.5"));
    assert_eq!((&mysql.bind[..], mysql.port, mysql.api_port), ("0.0.0.0", 3306, 3307));
    assert_eq!((&mysql.directory[..], &mysql.run_directory[..]), ("/var/lib/mysql", "/run/mysqld"));
    assert_eq!((mysql.durability, mysql.acks, mysql.may_lead), (Durability::Quorum, 1, true));
    assert_eq!((mysql.lease, mysql.switchover_limit), (Duration::from_secs(3), Duration::from_secs(10)));
    assert_eq!(mysql.control_socket(), "/run/mysqld/pilotfish.sock");
    assert_eq!(config.spec.stop_timeout, Duration::from_secs(30));
    round_trip(&config, &surroundings());
}

#[test]
fn the_member_is_a_job_and_the_main_one_if_no_other_is() {
    let config =
        loaded("{mysql: {apiPort: 4000}, jobs: [{name: 'app', exec: 'x', when: {source: 'mysql', once: 'healthy'}}]}");
    let member = job(&config.config, MYSQL_JOB);
    let process = member.process.as_ref().expect("it has a process");
    assert_eq!(process.argv, ["/sbin/pilotfish", "mysql", "run"]);
    assert!(member.main && member.restarts == Restarts::Unlimited && member.service.is_none());
    let check = member.health.as_ref().map(|health| health.check.clone());
    assert_eq!(check, Some(Check::Http("http://127.0.0.1:4000/health".into())));
    let grace = member.health.as_ref().map(|health| health.grace);
    assert!(grace >= Some(Duration::from_secs(60)), "no warning each second while a server starts");
    let other = loaded("{mysql: {}, jobs: [{name: 'app', exec: 'x', main: true}]}").config;
    assert!(!job(&other, MYSQL_JOB).main && job(&other, "app").main);
    round_trip(&other, &surroundings());
}

#[test]
fn what_the_job_is_told_loads_again_as_the_same_member_and_holds_no_secret() {
    let text = "{consul: {address: 'c:8500', token: 'abcdef'}, mysql: {options: ['--sql-mode={{ .CONSUL }}{{`{{`}}']}}";
    let config = loaded(text).config;
    let process = job(&config, MYSQL_JOB).process.clone().expect("it has a process");
    let [(name, settings)] = &process.env[..] else { panic!("{:?}", process.env) };
    assert_eq!(name, MYSQL_VARIABLE);
    assert!(!settings.contains("abcdef") && !settings.contains("replicate"), "{settings}");
    let again = loaded(settings).config;
    assert_eq!(again.mysql, config.mysql);
    let addresses = |config: &Config| config.catalog.as_ref().map(|catalog| catalog.addresses.clone());
    assert_eq!(addresses(&again), addresses(&config));
    assert_eq!(again.mysql.map(|mysql| mysql.options), Some(vec!["--sql-mode=consul.example{{".into()]));
}

#[test]
fn a_reload_of_something_else_does_not_change_the_job() {
    let before = loaded("{mysql: {}}").config;
    let after = loaded("{mysql: {}, logging: {level: 'debug'}, telemetry: {}, jobs: [{name: 'x', exec: 'x'}]}").config;
    assert_eq!(job(&before, MYSQL_JOB), job(&after, MYSQL_JOB));
}

#[test]
fn the_container_s_command_line_is_the_server_s() {
    let line = ["/opt/bin/mariadbd", "--max-connections={{ .MAX }}"];
    let config = load_in("{mysql: {options: '--skip-name-resolve'}}", &[("MAX", "9")], &line).expect("it loads").config;
    let mysql = config.mysql.as_ref().expect("there is a member");
    assert_eq!(mysql.program, ["/opt/bin/mariadbd"]);
    assert_eq!(mysql.options, ["--skip-name-resolve", "--max-connections=9"]);
    assert_eq!(config.spec.jobs.len(), 1, "{:?}", config.spec.jobs);
    // Another command is the application beside it, and a server without a section is an application like any other.
    let config = load_in("{mysql: {}}", &[], &["app"]).expect("it loads").config;
    assert!(job(&config, "app").main && !job(&config, MYSQL_JOB).main);
    let config = load_in("{}", &[], &["mysqld"]).expect("it loads").config;
    assert!(config.mysql.is_none() && job(&config, "mysqld").main);
    let config = load_in("{mysql: {}}", &[], &["mysqld", "--version"]).expect("it loads").config;
    assert!(job(&config, "mysqld").main);
}

#[test]
fn in_v2_it_waits_for_pre_start_and_hooks_follow_it() {
    let text = "{preStart: 'prepare', postStop: 'clean', mysql: {}, backends: [{name: 'db', poll: 3, onChange: 'x'}]}";
    let loaded = load_in(text, &[], &["mysqld"]).expect("it loads");
    assert_eq!(loaded.warnings, []);
    let member = job(&loaded.config, MYSQL_JOB);
    let Start::On(condition) = &member.start else { panic!("{:?}", member.start) };
    assert_eq!(condition.triggers, [Occurrence::Job("preStart".into(), JobOccurrence::ExitSuccess)]);
    let Start::On(condition) = &job(&loaded.config, "postStop").start else { panic!("no condition") };
    assert_eq!(condition.triggers, [Occurrence::Job(MYSQL_JOB.into(), JobOccurrence::Stopped)]);
    let after = job(&loaded.config, "onChange.db").after.clone();
    assert_eq!(after, Some(Occurrence::Job(MYSQL_JOB.into(), JobOccurrence::Started)));
    round_trip(&loaded.config, &surroundings());
}

#[test]
fn credentials_come_from_variables_and_files() {
    let variables = [
        ("SERVICE_NAME", "orders"),
        ("MYSQL_USER", "app"),
        ("MYSQL_PASSWORD_FILE", "/run/secrets/password"),
        ("MYSQL_DATABASE", "orders"),
        ("MYSQL_REPL_USER", "copier"),
        ("MYSQL_ROOT_PASSWORD", "rooty"),
    ];
    let config = load_in("{mysql: {}}", &variables, &[]).expect("it loads").config;
    let mysql = config.mysql.expect("there is a member");
    let credentials = &mysql.credentials;
    assert_eq!(mysql.service, "orders");
    assert_eq!((credentials.user.as_deref(), credentials.password.reveal()), (Some("app"), "from a file"));
    assert_eq!(credentials.database.as_deref(), Some("orders"));
    assert_eq!((&credentials.replication_user[..], credentials.replication_password.reveal()), ("copier", "replicate"));
    assert_eq!(credentials.root_password.as_ref().map(|secret| secret.reveal()), Some("rooty"));
    assert!(!format!("{credentials:?}").contains("rooty"));
}

#[track_caller]
fn check_error(section: &str, variables: &[(&str, &str)], part: &str) {
    let message = load_in(&format!("{{mysql: {{{section}}}}}"), variables, &[]).expect_err(section);
    assert!(message.contains(part), "{section} {variables:?}\nexpected {part}\ngot {message}");
}

#[test]
fn bad_sections_are_refused() {
    check_error("lease: '500ms'", &[], "mysql.lease: a lease of 500ms: it must last from 1s to 60s");
    check_error("lease: 90", &[], "mysql.lease: a lease of 90s");
    check_error("hangLimit: '3s'", &[], "mysql.hangLimit: a server may hang for 3s with a lease of 3s");
    check_error("hangLimit: '100ms'", &[], "mysql.hangLimit: probes every");
    check_error("acks: 0", &[], "mysql.acks: durability `quorum` with 0 acks");
    check_error("id: 0", &[], "mysql.id: 0 is not within 1 and 2147483647");
    check_error("apiPort: 3306", &[], "mysql.apiPort: the server listens on port 3306 already");
    check_error("service: 'My_SQL'", &[], "mysql.service: `My_SQL`: service names must be");
    check_error("name: 'a b'", &[], "mysql.name: `a b` cannot be the name of a member");
    check_error("address: 'db:3306'", &[], "mysql.address: `db:3306` is neither a host nor an address");
    check_error(
        "address: 'db', interfaces: 'eth1'",
        &[],
        "mysql.address: `address` and `interfaces` exclude each other",
    );
    check_error("bind: 'eth0'", &[], "mysql.bind: `eth0` is not an IP address");
    check_error("directory: 'data'", &[], "mysql.directory: `data` is not an absolute path");
    check_error("options: ['x']", &[], "mysql.options: `x` is no option of the server");
    check_error("durabilty: 'async'", &[], "mysql.durabilty: unknown key; did you mean `durability`?");
    check_error("when: {interval: 5}", &[], "mysql.when: a database runs all the time");
    let twice = load_in("{mysql: {}, jobs: [{name: 'mysql', exec: 'x'}]}", &[], &[]).expect_err("two jobs mysql");
    assert!(twice.contains("there is already a job `mysql`"), "{twice}");
}

#[test]
fn bad_environments_are_refused() {
    let none = ("MYSQL_REPL_PASSWORD", "");
    check_error("", &[none], "mysql: MYSQL_REPL_PASSWORD is not set");
    check_error(
        "",
        &[none, ("MYSQL_REPL_PASSWORD_FILE", "/nowhere")],
        "MYSQL_REPL_PASSWORD_FILE: cannot read /nowhere",
    );
    check_error("", &[none, ("MYSQL_REPL_PASSWORD_FILE", "/run/secrets/empty")], "/run/secrets/empty is empty");
    check_error("", &[("MYSQL_REPL_PASSWORD_FILE", "/run/secrets/password")], "are both set; unset one of them");
    check_error("", &[("MYSQL_REPL_PASSWORD", &"x".repeat(33))], "longer than the 32 bytes");
    check_error("", &[("MYSQL_REPL_USER", "root")], "MYSQL_REPL_USER is `root`");
    check_error("", &[("MYSQL_REPL_USER", "much_too_long_for_it")], "expected up to 17 letters");
    check_error("", &[("MYSQL_USER", "app")], "MYSQL_USER and MYSQL_PASSWORD belong together");
    check_error("", &[("MYSQL_USER", "repl"), ("MYSQL_PASSWORD", "x")], "another user than for replication");
    check_error("", &[("SERVICE_NAME", "My SQL")], "mysql.service: `My SQL`");
    let all = load_in("{mysql: {lease: 90, port: 0}}", &[none], &[]).expect_err("three mistakes");
    assert!(all.starts_with("test.json5: 3 errors"), "{all}");
}

#[test]
fn a_stop_that_kills_in_the_middle_is_a_warning() {
    let warnings = |text: &str| loaded(text).warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(warnings("{mysql: {}}"), Vec::<String>::new());
    for text in ["{mysql: {}, stopTimeout: 5}", "{mysql: {}, stopTimeout: -1}"] {
        let warnings = warnings(text);
        assert!(warnings.len() == 1 && warnings[0].contains("less than switchoverLimit (10s)"), "{warnings:?}");
    }
}

#[test]
fn without_a_section_nothing_of_it_is_read() {
    let surroundings = Surroundings { env: BTreeMap::from([("MYSQL_USER".into(), "app".into())]), ..surroundings() };
    let config = load_with("{jobs: [{name: 'app', exec: 'x'}]}", &surroundings).expect("it loads").config;
    assert!(config.mysql.is_none() && config.spec.stop_timeout == Duration::from_secs(5));
}
