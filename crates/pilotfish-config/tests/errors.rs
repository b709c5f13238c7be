//! What a user reads when a document is wrong.

mod common;

use common::{error, load_with, loaded, round_trip, surroundings};
use pilotfish_config::{MAX_CONFIG_BYTES, decode};

#[test]
fn all_errors_of_a_document_are_reported_at_once() {
    let text = r#"{
  consul: "localhost:8500",
  jbos: [],
  stopTimeout: -2,
  jobs: [
    { name: "app", exec: "", restart: 3, port: 70000, health: { exec: "check", interval: 5, ttl: 10, timeout: "5s" } },
    { name: "app", exec: "x", when: { source: "ap", once: "healthy" } },
    { name: "cron", exec: "x", when: { cron: "61 * * * *" }, onFailure: "exot" },
  ],
  watches: [{ name: "db", interval: 1.5 }],
}"#;
    assert_eq!(
        error(text),
        "test.json5: 12 errors
  line 3, column 3: jbos: unknown key; did you mean `jobs`?
  line 4, column 16: stopTimeout: a time cannot be negative; only -1 is allowed, which kills at once
  line 6, column 26: jobs[0].exec: unable to create job[app].exec: received zero-length argument
  line 6, column 30: jobs[0].restart: unknown key; did you mean `restarts`?
  line 6, column 48: jobs[0].port: 70000 is not within 1 and 65535
  line 6, column 98: jobs[0].health.ttl: the ttl of 10s is less than 2 x interval (5s) + timeout (5s) = 15s: one missed check would make a healthy service critical; raise ttl to 15s or lower interval
  line 6, column 111: jobs[0].health.timeout: the timeout of 5s is not less than the interval of 5s: a check that hangs would run into the next one; lower timeout or raise interval
  line 7, column 13: jobs[1].name: there is already a job `app` (line 6); names must be unique
  line 7, column 37: jobs[1].when: there is no job `ap`; did you mean `app`?
  line 8, column 46: jobs[2].when.cron: minute `61` is not a number, range, list or step within 0-59
  line 8, column 73: jobs[2].onFailure: `exot` is not one of ignore, restart, exit; did you mean `exit`?
  line 10, column 37: watches[0].interval: unexpected duration of type float: 1.5; write whole seconds, or text such as \"1.5s\" or \"500ms\""
    );
}

#[test]
fn one_error_is_one_line() {
    for (text, expect) in [
        ("<>", "test.json5: line 1, column 1: expected a value, found '<'"),
        ("", "test.json5: line 1, column 1: expected a value, but the document ends here"),
        (
            "[]",
            "test.json5: line 1, column 1: expected an object, such as { consul: \"localhost:8500\" }, found an array",
        ),
        (
            "{etc: 1}",
            "test.json5: line 1, column 2: etc: unknown key; a document takes consul, logging, stopTimeout, reloadTimeout, control, signals, jobs, watches, templates, mysql, telemetry",
        ),
        (
            "{\n jobs: [],\n services: []\n}",
            "test.json5: line 3, column 2: services: `services` (line 3) is a key of ContainerPilot 2 and `jobs` (line 2) of ContainerPilot 3; a document cannot mix them; `config show` translates a v2 document",
        ),
        (
            "{services: [{name: 'web', port: 80, poll: 10, ttl: 20}]}",
            "test.json5: line 1, column 52: services[0].ttl: the ttl of 20s leaves no time for a check: it must be more than 2 x poll (10s) = 20s, or one missed check would make a healthy service critical; raise ttl or lower poll",
        ),
        (
            "{jobs: [{name: 'web', exec: 'x', port: 80}]}",
            "test.json5: line 1, column 40: jobs[0].port: job[web].health must be set if 'port' is set; without a check nobody can know whether to send clients there",
        ),
        (
            "{telemetry: {interfaces: ['eth7']}}",
            "test.json5: line 1, column 26: telemetry.interfaces: none of the interface specifications were able to match: eth7; interfaces here: eth0 (10.0.0.5), eth1 (10.0.1.5), lo (127.0.0.1)",
        ),
    ] {
        assert_eq!(error(text), expect, "{text}");
    }
}

#[test]
fn jobs_that_can_never_start_are_errors() {
    let text = "{jobs: [
 {name: 'a', exec: 'x', when: {source: 'b', once: 'exitSuccess'}},
 {name: 'b', exec: 'x', when: {source: 'a', each: 'exitFailed'}},
 {name: 'self', exec: 'x', when: {any: [{source: 'self', each: 'exitFailed'}]}},
 {name: 'fine', exec: 'x', when: {any: [{source: 'a', once: 'exitSuccess'}, {once: 'startup'}]}},
 {name: 'late', exec: 'x', when: {source: 'a', once: 'stopped'}},
]}";
    assert_eq!(
        error(text),
        "test.json5: 4 errors
  line 2, column 31: jobs[0].when: job `a` can never start: it waits for `b`, which waits for `a`
  line 3, column 31: jobs[1].when: job `b` can never start: it waits for `a`, which waits for `b`
  line 4, column 34: jobs[2].when: job `self` can never start: it waits for itself
  line 6, column 34: jobs[4].when: job `late` can never start: it waits for `a`, which waits for `b`, which waits for `a`"
    );
    let text = "{jobs: [{name: 'a', exec: 'x'}, {name: 'b', exec: 'x', when: {source: 'a', once: 'healthy'}}]}";
    assert!(error(text).contains("this never happens: job `a` has no health check"), "{}", error(text));
}

#[test]
fn variables_that_are_not_set_are_named() {
    let message = error("{jobs: [\n {name: 'web', exec: 'x', port: {{ .PORT }}, health: {interval: 1, ttl: 3}}]}");
    assert_eq!(
        message,
        "test.json5: line 2, column 33: expected a value, found ','\n  note: not set in the environment and rendered as nothing: PORT (line 2)"
    );
    // Where emptiness does no harm it is a warning.
    let warnings = loaded("{jobs: [{name: 'app', exec: 'x {{ .FLAGS }}'}]}").warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].message.starts_with("the variable FLAGS is not set"), "{:?}", warnings[0]);
}

#[test]
fn an_error_hides_no_other_in_the_same_job() {
    let text = "{jobs: [{name: 'app', exec: '', logging: {raw: 3, colour: 1}, health: {exec: []}}]}";
    let message = error(text);
    for path in ["exec", "logging.raw", "logging.colour", "health.exec", "health.interval", "health.ttl"] {
        assert!(message.contains(&format!(": jobs[0].{path}: ")), "{path}: {message}");
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let check = |job: &str, expect: &str| {
        let warnings = loaded(&format!("{{jobs: [{{name: 'app', {job}}}]}}")).warnings;
        let texts: Vec<String> =
            warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect();
        assert_eq!(texts, [expect]);
    };
    check(
        "health: {interval: 1, ttl: 5}, logging: {raw: true}",
        "jobs[0].logging: `logging` has no effect without `exec`; a check has its own",
    );
    check("exec: 'x', tags: ['a']", "jobs[0].tags: `tags` has no effect without `port`");
}

#[test]
fn only_some_errors_are_shown() {
    let text = format!("{{jobs: [{}]}}", "{name: 'x', exec: ''},".repeat(1000));
    let message = error(&text);
    assert!(message.starts_with("test.json5: 1999 errors") && message.ends_with("... and 1979 more"), "{message}");
    assert_eq!(message.lines().count(), 22);
}

#[test]
fn garbage_is_refused_with_one_clear_message() {
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let errors = decode(&binary, "nginx").expect_err("not UTF-8");
    assert_eq!(
        errors.to_string(),
        "nginx: line 1, column 1: not a config: byte 128 is not UTF-8 text; is this the right file?"
    );
    let huge = vec![b' '; 10_000_000];
    let expect = format!(
        "big: line 1, column 1: the config has 10000000 bytes, more than {MAX_CONFIG_BYTES}; is this the right file?"
    );
    assert_eq!(decode(&huge, "big").expect_err("too large").to_string(), expect);
    let deep = "[".repeat(100_000);
    assert_eq!(error(&deep), "test.json5: line 1, column 129: arrays and objects nest more than 128 deep");
    let deep = "{a:".repeat(100_000);
    assert!(error(&deep).contains("nest more than 128 deep"));
}

#[test]
fn a_config_that_is_cut_off_anywhere_is_one_message() {
    let text = include_str!("documents/everything.json5");
    loaded(text);
    for end in (0..text.trim_end().len()).filter(|end| text.is_char_boundary(*end)) {
        let errors = load_with(&text[..end], &surroundings()).expect_err("it is cut off");
        assert_eq!(errors.problems.len(), 1, "{end}: {errors}");
    }
}

#[test]
fn template_errors_have_places_and_defaults_are_no_reason_to_warn() {
    let message = error("{consul: 'c:8500',\n jobs: [{{ nonsense }}]}");
    assert!(
        message.starts_with("test.json5: line 2, column 1: template: ") && message.contains("nonsense"),
        "{message}"
    );
    let text = "{jobs: [{name: 'app', exec: 'x {{ .FLAGS | default \"-v\" }}{{ if .MORE }}{{ .MORE }}{{ end }}'}]}";
    let loaded = loaded(text);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.spec.jobs[0].process.as_ref().map(|process| &process.argv[1][..]), Some("-v"));
}

#[test]
fn jobs_that_wait_for_one_another_s_health_or_end_can_never_start() {
    let check = |first: &str, second: &str| {
        let health = "exec: 'x', health: {interval: 1, ttl: 5}";
        let message = error(&format!(
            "{{jobs: [\n{{name: 'app', {health}, when: {first}}},\n{{name: 'db', {health}, when: {second}}}]}}"
        ));
        assert!(
            message.contains("line 2") && message.contains("job `app` can never start: it waits for `db`"),
            "{message}"
        );
        assert!(
            message.contains("line 3") && message.contains("job `db` can never start: it waits for `app`"),
            "{message}"
        );
    };
    check("{source: 'db', once: 'healthy'}", "{source: 'app', once: 'healthy'}");
    check("{source: 'db', each: 'unhealthy'}", "{source: 'app', once: 'exitFailed'}");
    check("{source: 'db', once: 'stopped'}", "{source: 'app', once: 'stopping'}");
    check("{all: [{once: 'startup'}, {source: 'db', once: 'healthy'}]}", "{source: 'app', once: 'healthy'}");
    check(
        "{once: 'startup', after: {source: 'db', once: 'healthy'}}",
        "{interval: 5, after: {source: 'app', once: 'healthy'}}",
    );
    // One that gives up is over.
    loaded(
        "{jobs: [{name: 'app', exec: 'x', health: {interval: 1, ttl: 5}, when: {source: 'db', once: 'healthy', timeout: '5s'}},
            {name: 'db', exec: 'x', health: {interval: 1, ttl: 5}, when: {source: 'app', once: 'timedOut'}}]}",
    );
}

#[test]
fn the_main_application_is_one_and_starts_once() {
    let check = |job: &str, part: &str| {
        let message = error(&format!("{{jobs: [{{name: 'app', exec: 'x', main: true, {job}}}]}}"));
        assert!(message.contains("line 1, column 40: jobs[0].main: ") && message.contains(part), "{message}");
    };
    check("when: {source: 'SIGHUP', each: 'SIGHUP'}", "starts on each of its events");
    check("when: {any: [{each: 'startup'}]}", "starts on each of its events");
    check("when: {interval: 5}", "runs periodically: the container would end with its first run; use `when.once`");
    check("when: {cron: '@daily'}", "runs by a calendar");
    let two = "{jobs: [{name: 'a', exec: 'x', main: true},\n {name: 'b', exec: 'x', main: true},\n {name: 'c', exec: 'x', main: true}]}";
    assert_eq!(
        error(two),
        "test.json5: 2 errors
  line 2, column 9: jobs[1].name: there can be only one main application (`main`, or the command line's), and `a` is one already (line 1)
  line 3, column 9: jobs[2].name: there can be only one main application (`main`, or the command line's), and `a` is one already (line 1)"
    );
    let mut surroundings = surroundings();
    surroundings.command = Some(vec!["serve".into()]);
    let message =
        load_with("{jobs: [{name: 'a', exec: 'x', main: true}]}", &surroundings).expect_err("two").to_string();
    assert!(message.contains("(`main`, or the command line's), and `a` is one already"), "{message}");
}

#[test]
fn what_starts_again_anyway_cannot_restart() {
    let check = |job: &str, part: &str| {
        let message = error(&format!("{{jobs: [{{name: 'app', exec: 'x', {job}}}]}}"));
        assert!(message.contains("jobs[0].onFailure: ") && message.contains(part), "{message}");
    };
    check(
        "onFailure: 'restart', when: {source: 'SIGHUP'}",
        "`restart` is not for a job that starts on each of its events: the next event",
    );
    check(
        "onFailure: 'restart', when: {interval: 5}",
        "`restart` is not for a job that runs periodically: the next interval",
    );
    check("onFailure: 'restart', when: {cron: '@daily'}", "`restart` is not for a job that runs by a calendar");
    check("onFailure: 'exit', when: {interval: 5}", "`exit` would never happen");
    check("onFailure: 'exit', when: {cron: '@daily'}", "`exit` would never happen");
    loaded("{jobs: [{name: 'app', exec: 'x', onFailure: 'exit', when: {interval: 5}, restarts: 3}]}");
    loaded("{jobs: [{name: 'app', exec: 'x', onFailure: 'exit', when: {source: 'SIGHUP'}}]}");
}

#[test]
fn errors_of_calendars_say_which_field_is_wrong() {
    let check = |cron: &str, expect: &str| {
        let message = error(&format!("{{jobs: [{{name: 'app', exec: 'x',\n when: {{cron: '{cron}'}}}}]}}"));
        assert_eq!(message, format!("test.json5: line 2, column 15: jobs[0].when.cron: {expect}"));
    };
    check("60 * * * *", "minute `60` is not a number, range, list or step within 0-59");
    check("0 24 * * *", "hour `24` is not a number, range, list or step within 0-23");
    check(
        "0 3 * *",
        "expected five fields (minute hour day-of-month month day-of-week) or @hourly, @daily, @weekly, @monthly, @yearly, got 4",
    );
    check("0 0 31 2 *", "it never occurs: no month has such a day");
}

#[test]
fn times_of_checks_that_cannot_work_together_say_why() {
    let check = |health: &str, expect: &[&str]| {
        let message = error(&format!("{{jobs: [{{name: 'app', exec: 'x', health: {{{health}}}}}]}}"));
        let problems = message.matches("line 1, column").count();
        assert_eq!(problems, expect.len(), "{message}");
        for part in expect {
            assert!(message.contains(part), "{message}");
        }
    };
    let hangs = "the timeout of 4s is not less than the interval of 3s: a check that hangs would run into the next one; lower timeout or raise interval";
    let missed = "the ttl of 9s is less than 2 x interval (3s) + timeout (4s) = 10s: one missed check would make a healthy service critical; raise ttl to 10s or lower interval";
    check("interval: 3, ttl: 10, timeout: 4", &[hangs]);
    check("interval: 3, ttl: 9, timeout: 4", &[hangs, missed]);
    check(
        "interval: 3, ttl: 6",
        &["the ttl of 6s leaves no time for a check: it must be more than 2 x interval (3s) = 6s"],
    );
    check("interval: '1ms', ttl: 5", &["the interval of 1ms leaves no time for a check: the shortest timeout is 1ms"]);
    check("interval: 3, ttl: '6.0001s'", &["the ttl of 6000100us leaves no time for a check"]);
    for health in ["interval: 3, ttl: 8, timeout: 2", "interval: '2ms', ttl: '5ms'", "interval: 3, ttl: '6.001s'"] {
        let config = loaded(&format!("{{jobs: [{{name: 'app', exec: 'x', health: {{{health}}}}}]}}")).config;
        round_trip(&config, &surroundings());
    }
}
