//! Metrics as text: Prometheus' format 0.0.4 ("Exposition formats") and OpenMetrics 1.0.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use pilotfish_supervisor::Time;

use super::{
    Kind, MetricName, Registry,
    registry::{Family, Series, Value},
};

/// A format of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposition {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Exposition {
    /// The value of `Content-Type`.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// All metrics of a registry.
    pub(crate) fn render(self, registry: &Registry, now: Time) -> String {
        let mut text = String::with_capacity(4096);
        for (name, family) in registry.families.iter().filter(|(_, family)| !family.series.is_empty()) {
            self.family(&mut text, name, family, now);
        }
        if self == Exposition::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    fn family(self, text: &mut String, name: &MetricName, family: &Family, now: Time) {
        let name = name.as_str();
        let (family_name, kind) = match (self, family.kind, name.strip_suffix("_total")) {
            (Exposition::OpenMetrics, Kind::Counter, Some(base)) => (base, "counter"),
            // OpenMetrics gives every counter the suffix. A user's counter without it keeps its name whichever format
            // the scraper asks for, at the price of its type.
            (Exposition::OpenMetrics, Kind::Counter, None) => (name, "unknown"),
            (_, kind, _) => (name, kind.name()),
        };
        if !family.help.is_empty() {
            let help = escaped(&family.help, self == Exposition::OpenMetrics);
            line(text, format_args!("# HELP {family_name} {help}"));
        }
        line(text, format_args!("# TYPE {family_name} {kind}"));
        for (values, series) in &family.series {
            let mut labels = String::new();
            for (label, value) in family.labels.iter().zip(values) {
                let separator = if labels.is_empty() { "" } else { "," };
                // Writing to a string cannot fail.
                let _ = write!(labels, "{separator}{label}=\"{}\"", escaped(value, true));
            }
            self.samples(text, family_name, name, &labels, series, now);
        }
    }

    /// The lines of one label combination; `sample_name` has the suffix of a counter, `family_name` has not.
    fn samples(
        self,
        text: &mut String,
        family_name: &str,
        sample_name: &str,
        labels: &str,
        series: &Series,
        now: Time,
    ) {
        let braces = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let comma = if labels.is_empty() { "" } else { "," };
        let totals = |count: u64, sum: f64, text: &mut String| {
            line(text, format_args!("{family_name}_sum{braces} {}", number(sum)));
            line(text, format_args!("{family_name}_count{braces} {count}"));
        };
        let created = match &series.value {
            Value::Gauge(value) => {
                line(text, format_args!("{sample_name}{braces} {}", number(*value)));
                false
            }
            Value::Counter(value) => {
                line(text, format_args!("{sample_name}{braces} {}", number(*value)));
                sample_name != family_name
            }
            Value::Histogram(histogram) => {
                for (bound, count) in histogram.cumulative() {
                    let bound = self.bound(bound);
                    line(text, format_args!("{family_name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}"));
                }
                let count = histogram.count;
                line(text, format_args!("{family_name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}"));
                totals(count, histogram.sum, text);
                true
            }
            Value::Summary(summary) => {
                for (quantile, value) in summary.quantiles(now) {
                    let (quantile, value) = (self.bound(quantile), number(value));
                    line(text, format_args!("{family_name}{{{labels}{comma}quantile=\"{quantile}\"}} {value}"));
                }
                totals(summary.count, summary.sum, text);
                true
            }
        };
        if created && self == Exposition::OpenMetrics {
            line(text, format_args!("{family_name}_created{braces} {}", seconds(series.created)));
        }
    }

    /// A bound in a label: OpenMetrics wants the canonical `1.0` where Prometheus' own libraries write `1`.
    fn bound(self, bound: f64) -> String {
        match self {
            Exposition::Text => bound.to_string(),
            Exposition::OpenMetrics => format!("{bound:?}"),
        }
    }
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(line);
    text.push('\n');
}

/// Label values escape backslash, line feed and quote; help texts of the older format only the first two.
fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}

/// A value as Go's `ParseFloat`, which reads it, knows it.
fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else if size == 0.0 || (1e-6..1e16).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// Seconds since 1970, exact to the millisecond.
fn seconds(time: SystemTime) -> String {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", elapsed.as_secs(), elapsed.subsec_millis())
}
