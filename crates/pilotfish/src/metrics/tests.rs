//! The registry and its exposition, judged by Prometheus' own `promtool` where there is one.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use pilotfish_supervisor::Time;

use super::{registry::DescribeError, *};

fn name(text: &str) -> MetricName {
    MetricName::new(text).unwrap()
}

fn registry() -> Registry {
    Registry::new(UNIX_EPOCH + Duration::from_millis(1_000_500), Time::START)
}

/// One metric of each kind, with labels and without, and values that need care.
fn full() -> Registry {
    let mut registry = registry();
    let now = Time::from_start(Duration::from_secs(10));
    for (text, kind, help, labels) in [
        ("pilotfish_restarts_total", Kind::Counter, "Restarts of \"jobs\" \\ and\nmore.", &["job"][..]),
        ("pilotfish_reloads_total", Kind::Counter, "Reloads.", &[]),
        ("app_temperature", Kind::Gauge, "A gauge.", &[]),
        ("app_queue_seconds", Kind::Histogram, "A histogram.", &["queue", "host"]),
        ("app_latency_seconds", Kind::Summary, "A summary.", &[]),
        ("app_idle_seconds", Kind::Summary, "A summary of nothing.", &[]),
        ("app_unused_info", Kind::Gauge, "Without any values.", &["x"]),
    ] {
        registry.describe(&name(text), kind, help, labels, now).unwrap();
    }
    for (text, labels, value) in [
        ("pilotfish_restarts_total", &["a\"b\\c\nd"][..], 2.0),
        ("pilotfish_restarts_total", &["é"], 1e20),
        ("app_temperature", &[], f64::NEG_INFINITY),
        ("app_queue_seconds", &["q", "h"], 0.3),
        ("app_queue_seconds", &["q", "h"], 1.0),
        ("app_queue_seconds", &["q", "h"], 100.0),
        ("app_latency_seconds", &[], 0.25),
    ] {
        registry.record(text, labels, value, now).unwrap();
    }
    registry
}

#[test]
fn text_exposition() {
    let text = Exposition::Text.render(&full(), Time::from_start(Duration::from_secs(11)));
    for line in [
        "# HELP pilotfish_restarts_total Restarts of \"jobs\" \\\\ and\\nmore.",
        "# TYPE pilotfish_restarts_total counter",
        "pilotfish_restarts_total{job=\"a\\\"b\\\\c\\nd\"} 2",
        "pilotfish_restarts_total{job=\"é\"} 1e20",
        "pilotfish_reloads_total 0",
        "app_temperature -Inf",
        "app_queue_seconds_bucket{queue=\"q\",host=\"h\",le=\"0.25\"} 0",
        "app_queue_seconds_bucket{queue=\"q\",host=\"h\",le=\"1\"} 2",
        "app_queue_seconds_bucket{queue=\"q\",host=\"h\",le=\"10\"} 2",
        "app_queue_seconds_bucket{queue=\"q\",host=\"h\",le=\"+Inf\"} 3",
        "app_queue_seconds_sum{queue=\"q\",host=\"h\"} 101.3",
        "app_queue_seconds_count{queue=\"q\",host=\"h\"} 3",
        "app_latency_seconds{quantile=\"0.99\"} 0.25",
        "app_idle_seconds{quantile=\"0.5\"} NaN",
        "app_idle_seconds_count 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("_created") && !text.contains("EOF") && !text.contains("unused"), "{text}");
}

#[test]
fn open_metrics_exposition() {
    let mut registry = full();
    registry.describe(&name("app_requests"), Kind::Counter, "", &[], Time::START).unwrap();
    let text = Exposition::OpenMetrics.render(&registry, Time::from_start(Duration::from_secs(11)));
    for lines in [
        "# HELP pilotfish_restarts Restarts of \\\"jobs\\\" \\\\ and\\nmore.\n# TYPE pilotfish_restarts counter\n",
        "pilotfish_reloads_total 0\npilotfish_reloads_created 1010.500\n",
        "# TYPE app_requests unknown\napp_requests 0\n",
        "app_queue_seconds_bucket{queue=\"q\",host=\"h\",le=\"1.0\"} 2\n",
        "app_queue_seconds_created{queue=\"q\",host=\"h\"} 1010.500\n",
        "app_latency_seconds{quantile=\"0.5\"} 0.25\n",
        "app_latency_seconds_created 1010.500\n",
    ] {
        assert!(text.contains(lines), "{lines}\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
}

#[test]
fn names_of_metrics() {
    for text in ["a", "_a:b_1", ":x"] {
        assert!(MetricName::new(text).is_ok(), "{text}");
    }
    for text in ["", "1a", "a-b", "a b", "é"] {
        assert!(MetricName::new(text).is_err(), "{text}");
    }
}

#[test]
fn clashes_are_found_before_they_are_exposed() {
    let mut registry = registry();
    registry.describe(&name("x"), Kind::Histogram, "", &[], Time::START).unwrap();
    for (text, kind) in
        [("x", Kind::Gauge), ("x_count", Kind::Gauge), ("x_total", Kind::Counter), ("x_sum", Kind::Summary)]
    {
        let error = registry.describe(&name(text), kind, "", &[], Time::START).unwrap_err();
        assert!(matches!(error, DescribeError::Clash { .. }), "{text}: {error}");
    }
    for label in ["le", "quantile", "__x", "1", "", "a-b"] {
        let error = registry.describe(&name("y"), Kind::Gauge, "", &[label], Time::START).unwrap_err();
        assert!(matches!(error, DescribeError::Label { .. }), "{label}: {error}");
    }
    registry.forget(&name("x"));
    registry.describe(&name("x_count"), Kind::Gauge, "", &[], Time::START).unwrap();
}

#[test]
fn describing_again_keeps_values_and_series_can_be_forgotten() {
    let mut registry = full();
    let restarts = name("pilotfish_restarts_total");
    registry.describe(&restarts, Kind::Counter, "Other words.", &["job"], Time::START).unwrap();
    assert!(Exposition::Text.render(&registry, Time::START).contains("{job=\"é\"} 1e20"));
    registry.retain(&restarts, |labels| labels[0] != "é");
    assert!(!Exposition::Text.render(&registry, Time::START).contains('é'));
}

#[test]
fn what_cannot_be_recorded() {
    let mut registry = full();
    for (text, labels, value, words) in [
        ("nothing", &[][..], 1.0, "there is no metric nothing"),
        ("no name", &[], 1.0, "there is no metric no name"),
        ("pilotfish_reloads_total", &[], -1.0, "only grows"),
        ("pilotfish_reloads_total", &[], f64::NAN, "only grows"),
        ("app_latency_seconds", &[], f64::NAN, "not a number"),
        ("app_temperature", &["x"], 1.0, "more or fewer labels"),
    ] {
        let error = registry.record(text, labels, value, Time::START).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    registry.record_total("pilotfish_reloads_total", &[], 5.0, Time::START).unwrap();
    registry.record_total("pilotfish_reloads_total", &[], 4.0, Time::START).unwrap();
    assert!(Exposition::Text.render(&registry, Time::START).contains("pilotfish_reloads_total 5\n"));
    for value in 0..10_000 {
        registry.record("app_unused_info", &[&value.to_string()], 1.0, Time::START).unwrap();
    }
    let error = registry.record("app_unused_info", &["one more"], 1.0, Time::START).unwrap_err().to_string();
    assert!(error.contains("too many"), "{error}");
}

/// The `promtool` that PILOTFISH_TEST_PROMTOOL names, or the one on PATH.
fn promtool() -> Option<Command> {
    let named = std::env::var_os("PILOTFISH_TEST_PROMTOOL");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path =
        || std::env::split_paths(&path).map(|directory| directory.join("promtool")).find(|file| file.is_file());
    named.map(|file| Path::new(&file).to_owned()).or_else(on_path).map(Command::new)
}

/// What `promtool` says of a text, with these arguments; nothing where there is no promtool.
pub(crate) fn judged(arguments: &[&str], text: &str) {
    let Some(mut promtool) = promtool() else {
        eprintln!("no promtool on PATH and PILOTFISH_TEST_PROMTOOL is not set: its judgement is left out");
        return;
    };
    let mut child =
        promtool.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let judgement = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // Checks of rules say what they found; checks of metrics say nothing.
    let quiet = judgement.is_empty() || arguments.first() == Some(&"check") && arguments.get(1) == Some(&"rules");
    assert!(output.status.success() && quiet, "{judgement}\n{text}");
}

#[test]
fn promtool_finds_no_fault() {
    judged(&["check", "metrics"], &Exposition::Text.render(&full(), Time::START));
}
