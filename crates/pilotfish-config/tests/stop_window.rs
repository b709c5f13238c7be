//! How long the hooks of a v3 document get when something stops.

mod common;

use std::time::Duration;

use common::{load_with, loaded, round_trip, surroundings};
use pilotfish_config::Surroundings;

/// The `timeout` and `stopTimeout` of the last of these jobs, in seconds.
fn limits(document: &str, jobs: &str) -> (Option<u64>, Option<u64>) {
    let config = loaded(&format!("{{{document} jobs: [{jobs}]}}")).config;
    round_trip(&config, &surroundings());
    let job = config.spec.jobs.last().expect("there is one");
    (job.timeout.map(|timeout| timeout.as_secs()), job.stopping_timeout.map(|timeout| timeout.as_secs()))
}

#[test]
fn a_job_waits_for_its_hooks_as_long_as_the_document_s_stop_timeout() {
    let check = |document: &str, job: &str, expect| {
        assert_eq!(limits(document, &format!("{{name: 'shop', exec: 'serve' {job}}}")).1, expect, "{document} {job}");
    };
    check("", "", Some(5));
    check("stopTimeout: 9,", "", Some(9));
    check("stopTimeout: 0,", "", Some(5));
    // Applications are killed at once; hooks still get their time.
    check("stopTimeout: -1,", "", Some(5));
    check("stopTimeout: '1ns',", "", Some(0));
    check("stopTimeout: 9,", ", stopTimeout: '20s'", Some(20));
    check("stopTimeout: 9,", ", stopTimeout: 0", Some(9));
    check("stopTimeout: 9,", ", stopTimeout: 'unlimited'", None);
}

#[test]
fn a_hook_is_limited_to_the_document_s_stop_timeout() {
    let check = |source: &str, hook: &str, expect| {
        let jobs = format!("{{name: 'shop', exec: 'serve' {source}}}, {{name: 'hook', exec: 'hook', {hook}}}");
        assert_eq!(limits("stopTimeout: 9,", &jobs).0, expect, "{source} {hook}");
    };
    check("", "when: {source: 'shop', once: 'stopping'}", Some(9));
    check("", "when: {source: 'shop', each: 'stopping'}", Some(9));
    check("", "when: {once: 'shutdown'}", Some(9));
    check("", "when: {any: [{once: 'shutdown'}, {source: 'shop', once: 'stopping'}]}", Some(9));
    check("", "when: {all: [{once: 'startup'}, {source: 'shop', once: 'stopping'}]}", Some(9));
    check("", "when: {source: 'shop', once: 'stopping'}, timeout: '90s'", Some(90));
    check("", "when: {source: 'shop', once: 'stopping'}, timeout: 'unlimited'", None);
    for lasting in
        ["main: true", "port: 80, health: {interval: 1, ttl: 5}", "restarts: 'unlimited'", "onFailure: 'restart'"]
    {
        check(&format!(", {lasting}"), "when: {source: 'shop', once: 'stopped'}", Some(9));
    }
}

#[test]
fn what_runs_in_the_middle_of_life_is_not_limited() {
    let check = |source: &str, job: &str| {
        let jobs = format!("{{name: 'first', exec: 'first' {source}}}, {{name: 'next', exec: 'next', {job}}}");
        assert_eq!(limits("", &jobs).0, None, "{source} {job}");
    };
    check("", "restarts: 0");
    // A short job is stopped long before everything stops.
    check("", "when: {source: 'first', once: 'stopped'}");
    check("", "when: {source: 'first', once: 'exitSuccess'}");
    check("", "when: {any: [{once: 'startup'}, {once: 'shutdown'}]}");
    // A stand-in is no hook.
    check(", main: true", "when: {source: 'first', once: 'stopped'}, restarts: 'unlimited'");
    check(", restarts: 'unlimited'", "when: {source: 'first', once: 'stopped'}, main: true");
    check("", "when: {source: 'SIGHUP'}");
}

#[test]
fn the_command_line_s_application_has_the_window_too() {
    let command = ["/opt/serve".to_string()].to_vec();
    let surroundings = Surroundings { command: Some(command), ..surroundings() };
    let text = "{stopTimeout: 9, jobs: [{name: 'hook', exec: 'hook', when: {source: 'serve', once: 'stopped'}}]}";
    let config = load_with(text, &surroundings).expect("it is valid").config;
    round_trip(&config, &surroundings);
    let limits: Vec<_> =
        config.spec.jobs.iter().map(|job| (job.name.as_str(), job.timeout, job.stopping_timeout)).collect();
    let window = Some(Duration::from_secs(9));
    assert_eq!(limits, [("hook", window, window), ("serve", None, window)]);
}

#[test]
fn hooks_of_v2_run_to_their_end() {
    let surroundings = Surroundings { command: Some(vec!["serve".into()]), ..surroundings() };
    let text =
        "{stopTimeout: 9, preStop: 'drain', postStop: 'clean', services: [{name: 'shop', port: 80, poll: 1, ttl: 5}]}";
    let config = load_with(text, &surroundings).expect("it is valid").config;
    // As a v3 document, too, it says so.
    round_trip(&config, &surroundings);
    assert!(config.spec.jobs.iter().all(|job| job.timeout.is_none() && job.stopping_timeout.is_none()));
}
