//! What single values mean, whichever key they belong to.

mod common;

use std::time::Duration;

use common::{error, load_with, loaded, surroundings};
use pilotfish_supervisor::Job;

/// The first job of a document with one job that has these members.
fn job(members: &str) -> Job {
    loaded(&format!("{{jobs: [{{name: 'shop', {members}}}]}}")).config.spec.jobs.remove(0)
}

fn job_error(members: &str) -> String {
    error(&format!("{{jobs: [{{name: 'shop', {members}}}]}}"))
}

#[test]
fn times_are_seconds_or_go_durations() {
    let check = |value: &str, expect: Duration| {
        let config = loaded(&format!("{{watches: [{{name: 'stock', interval: {value}}}]}}")).config;
        assert_eq!(config.spec.watches[0].interval, expect, "{value}");
    };
    check("1", Duration::from_secs(1));
    check("25", Duration::from_secs(25));
    check("'25'", Duration::from_secs(25));
    check("'25ns'", Duration::from_nanos(25));
    check("'25us'", Duration::from_micros(25));
    check("'25ms'", Duration::from_millis(25));
    check("'25s'", Duration::from_secs(25));
    check("'25m'", Duration::from_secs(25 * 60));
    check("'25h'", Duration::from_secs(25 * 3600));
    check("'2h3m4.5s'", Duration::from_millis(2 * 3_600_000 + 3 * 60_000 + 4_500));
}

#[test]
fn what_is_no_time_is_refused() {
    let check = |value: &str, part: &str| {
        let message = error(&format!("{{watches: [{{name: 'stock', interval: {value}}}]}}"));
        assert!(message.contains("watches[0].interval: ") && message.contains(part), "{value}: {message}");
    };
    check("'soon'", "time: invalid duration soon");
    check("'30qq'", "time: unknown unit qq in duration 30qq");
    check("'5s3'", "time: missing unit in duration 5s3");
    check("2.5", "unexpected duration of type float: 2.5; write whole seconds, or text such as \"1.5s\"");
    check("[3]", "expected a time: seconds, or text such as \"500ms\"");
    check("true", "expected a time");
    check("0", "watch[stock].interval must be > 0");
    check("-3", "watch[stock].interval must be > 0");
    check("''", "watch[stock].interval must be > 0");
    check("9223372037", "more than 292 years");
}

#[test]
fn lists_of_texts_may_be_one_text() {
    let check = |value: &str, expect: &[&str]| {
        let job = job(&format!("port: 80, health: {{interval: 1, ttl: 5}}, tags: {value}"));
        assert_eq!(job.service.expect("it is advertised").tags, expect, "{value}");
    };
    check("null", &[]);
    check("[]", &[]);
    check("'blue'", &["blue"]);
    check("['blue', 'amber']", &["blue", "amber"]);
    check("['v', 2, true, 1.5]", &["v", "2", "true", "1.5"]);
    for value in ["{blue: true}", "7", "true", "[['blue']]", "[{}]"] {
        let message = job_error(&format!("port: 80, health: {{interval: 1, ttl: 5}}, tags: {value}"));
        assert!(message.contains("jobs[0].tags") && message.contains("expected text"), "{message}");
    }
}

#[test]
fn commands_are_split_or_taken_as_they_are() {
    let check = |value: &str, expect: &[&str]| {
        let process = job(&format!("exec: {value}")).process.expect("it has a process");
        assert_eq!(process.argv, expect, "{value}");
    };
    check("'/opt/shop'", &["/opt/shop"]);
    check("'/opt/shop --fast now'", &["/opt/shop", "--fast", "now"]);
    check("'/opt/shop \"two words\"'", &["/opt/shop", "two words"]);
    check("['/opt/shop', '--fast now', '']", &["/opt/shop", "--fast now", ""]);
    check("['/opt/shop', 80]", &["/opt/shop", "80"]);
}

#[test]
fn what_is_no_command_is_refused() {
    let check = |value: &str, part: &str| {
        let message = job_error(&format!("exec: {value}"));
        assert!(message.contains(part), "{value}: {message}");
    };
    check("null", "it does nothing; give it `exec`, or `port` and `health`");
    for value in ["''", "'  '", "[]", "['']"] {
        check(value, "jobs[0].exec: unable to create job[shop].exec: received zero-length argument");
    }
    check("[false]", "expected an array of texts, found a boolean in it");
    check("[{}]", "jobs[0].exec[0]: expected text, found an object");
    check("{}", "expected text or an array of texts, found an object");
    check("7", "expected text or an array of texts, found a number");
    check("'a \"b'", "the quote \" is never closed");
    check("'a\\u0000b'", "a NUL character cannot be part of a command");
}

#[test]
fn numbers_and_truths_may_be_texts() {
    let job =
        job("exec: 'x', port: '8080', health: {interval: '1', ttl: 5}, main: 'true', consul: {enableTagOverride: '1'}");
    let service = job.service.expect("it is advertised");
    assert_eq!((service.port, service.enable_tag_override, job.main), (8080, true, true));
    for (member, part) in [
        ("port: 0", "jobs[0].port: 0 is not within 1 and 65535"),
        ("port: 'http'", "jobs[0].port: expected a whole number within 1 and 65535, found text"),
        ("main: 'yes'", "jobs[0].main: cannot parse 'jobs[0].main' as bool"),
        ("main: 1", "jobs[0].main: expected true or false, found a number"),
    ] {
        let message = job_error(&format!("exec: 'x', health: {{interval: 1, ttl: 5}}, {member}"));
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn restarts_are_a_number_or_a_word() {
    use pilotfish_supervisor::Restarts::{Limited, Unlimited};
    let check =
        |value: &str, expect| assert_eq!(job(&format!("exec: 'x', restarts: {value}")).restarts, expect, "{value}");
    check("null", Limited(0));
    check("0", Limited(0));
    check("'never'", Limited(0));
    check("4", Limited(4));
    check("'4'", Limited(4));
    check("2.7", Limited(2));
    check("'unlimited'", Unlimited);
    for value in ["-3", "'-3'", "'often'", "true", "[]", "4294967296"] {
        let message = job_error(&format!("exec: 'x', restarts: {value}"));
        assert!(message.contains("accepts positive integers, \"unlimited\", or \"never\""), "{message}");
    }
}

#[test]
fn addresses_come_from_interfaces_and_go_to_the_environment() {
    let check = |interfaces: &str, expect: &str| {
        let text = format!(
            "{{jobs: [{{name: 'web-shop', port: 80, health: {{interval: 1, ttl: 5}}, interfaces: {interfaces}}}]}}"
        );
        let config = loaded(&text).config;
        assert_eq!(
            config.environment,
            [("CONTAINERPILOT_WEB_SHOP_IP".to_string(), expect.to_string())],
            "{interfaces}"
        );
        assert_eq!(config.spec.jobs[0].service.as_ref().map(|service| &service.address[..]), Some(expect));
    };
    check("null", "10.0.0.5");
    check("[]", "10.0.0.5");
    check("'eth1'", "10.0.1.5");
    check("['eth7', 'lo']", "127.0.0.1");
    check("'static:203.0.113.7'", "203.0.113.7");
    let message = error("{jobs: [{name: 'shop', port: 80, health: {interval: 1, ttl: 5}, interfaces: ['eth7', '?']}]}");
    assert!(message.contains("jobs[0].interfaces: unable to parse interface spec `?`"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn the_catalog_has_one_address_or_several() {
    let check = |value: &str, expect: &[&str]| {
        let catalog = loaded(&format!("{{consul: {value}}}")).config.catalog.expect("there is one");
        let authorities: Vec<&str> = catalog.addresses.iter().map(|address| address.authority.as_str()).collect();
        assert_eq!(authorities, expect, "{value}");
    };
    check("'catalog.local'", &["catalog.local:8500"]);
    check("['one.local', 'two.local:8501']", &["one.local:8500", "two.local:8501"]);
    check("{}", &["127.0.0.1:8500"]);
    check("{address: 'one.local'}", &["one.local:8500"]);
    assert!(error("{consul: []}").contains("consul: no address"));
    assert!(error("{consul: {address: ':8500'}}").contains("consul.address: address \":8500\" has no host"));
    // Without the key there is no catalog.
    assert!(load_with("{}", &surroundings()).expect("it is valid").config.catalog.is_none());
}
