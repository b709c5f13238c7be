//! Which metrics there are, and their values.

use std::{collections::BTreeMap, time::SystemTime};

use pilotfish_supervisor::Time;

use super::{
    histogram::Histogram,
    name::{MetricName, is_label_name},
    summary::Summary,
};

/// How many label combinations one metric may have; a label that takes ever new values would eat the memory.
const MAX_SERIES: usize = 10_000;

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sum that only grows; recording adds.
    Counter,
    /// A value that goes up and down; recording sets.
    Gauge,
    /// Observations counted in buckets.
    Histogram,
    /// Observations with their quantiles over the last ten minutes.
    Summary,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
        }
    }
}

/// Why a metric cannot exist.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DescribeError {
    /// Two metrics would expose the same name.
    #[error("metric {name} clashes with {other}: both expose {exposed}; rename one")]
    Clash {
        /// The new one.
        name: String,
        /// The one that is there.
        other: String,
        /// What both expose.
        exposed: String,
    },
    /// A label's name is not allowed.
    #[error("metric {name}: '{label}' cannot be the name of a label")]
    Label {
        /// The metric.
        name: String,
        /// The label.
        label: String,
    },
}

/// Why a value was not recorded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// Nobody described the metric.
    #[error("there is no metric {0}; declare it under telemetry.metrics")]
    Unknown(String),
    /// The value does not fit the metric.
    #[error("metric {name}: {problem}")]
    Value {
        /// The metric.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// There are other labels, or too many combinations of values.
    #[error("metric {name}: {problem}")]
    Labels {
        /// The metric.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// All metrics, by name.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(super) families: BTreeMap<MetricName, Family>,
    /// Wall clock and monotonic clock at one and the same moment.
    epoch: (SystemTime, Time),
}

/// One metric with all its label combinations.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) labels: Vec<String>,
    pub(super) series: BTreeMap<Vec<String>, Series>,
}

/// One label combination.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// When it began, by the wall clock.
    pub(super) created: SystemTime,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Counter(f64),
    Gauge(f64),
    Histogram(Histogram),
    Summary(Summary),
}

impl Registry {
    /// An empty registry; `wall` and `now` are the same moment on both clocks.
    pub(crate) fn new(wall: SystemTime, now: Time) -> Registry {
        Registry { families: BTreeMap::new(), epoch: (wall, now) }
    }

    /// Adds a metric. One that is there with the same kind and labels keeps its values and takes over the help text.
    ///
    /// # Errors
    /// As [`DescribeError`] says.
    pub(crate) fn describe(
        &mut self,
        name: &MetricName,
        kind: Kind,
        help: &str,
        labels: &[&str],
        now: Time,
    ) -> Result<(), DescribeError> {
        if let Some(label) = labels.iter().find(|label| !is_label_name(label)) {
            return Err(DescribeError::Label { name: name.to_string(), label: (*label).to_owned() });
        }
        if let Some(family) = self.families.get_mut(name)
            && family.kind == kind
            && family.labels == labels
        {
            help.clone_into(&mut family.help);
            return Ok(());
        }
        self.check_clashes(name, kind)?;
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        let mut family = Family { kind, help: help.to_owned(), labels, series: BTreeMap::new() };
        if family.labels.is_empty() {
            // What has no labels is there from the start, so that its first change is seen as one.
            family.series.insert(Vec::new(), Series { created: self.wall(now), value: Value::new(kind) });
        }
        self.families.insert(name.clone(), family);
        Ok(())
    }

    /// Removes a metric that a new config does not have any more.
    pub(crate) fn forget(&mut self, name: &MetricName) {
        self.families.remove(name);
    }

    /// Keeps only those label combinations of a metric for which `keep` is true: a job that is gone takes its own away.
    pub(crate) fn retain(&mut self, name: &MetricName, keep: impl Fn(&[String]) -> bool) {
        if let Some(family) = self.families.get_mut(name) {
            family.series.retain(|labels, _| keep(labels));
        }
    }

    /// Records a value: adds it to a counter, sets a gauge, or observes it. `labels` are the values of the metric's labels.
    ///
    /// # Errors
    /// As [`RecordError`] says; nothing is recorded then.
    pub(crate) fn record(&mut self, name: &str, labels: &[&str], value: f64, now: Time) -> Result<(), RecordError> {
        let series = self.series(name, labels, now)?;
        let problem = |problem| RecordError::Value { name: name.to_owned(), problem };
        match &mut series.value {
            Value::Counter(_) if !value.is_finite() || value < 0.0 => {
                return Err(problem("a counter only grows; the value must be zero or more"));
            }
            Value::Histogram(_) | Value::Summary(_) if value.is_nan() => {
                return Err(problem("the value is not a number"));
            }
            Value::Counter(total) => *total += value,
            Value::Gauge(current) => *current = value,
            Value::Histogram(histogram) => histogram.observe(value),
            Value::Summary(summary) => summary.observe(value, now),
        }
        Ok(())
    }

    /// Sets a counter whose total is kept elsewhere, such as the processor time of the process; it never goes back.
    ///
    /// # Errors
    /// As [`RecordError`] says.
    pub(crate) fn record_total(
        &mut self,
        name: &str,
        labels: &[&str],
        value: f64,
        now: Time,
    ) -> Result<(), RecordError> {
        let series = self.series(name, labels, now)?;
        match &mut series.value {
            Value::Counter(total) => {
                *total = total.max(value);
                Ok(())
            }
            Value::Gauge(_) | Value::Histogram(_) | Value::Summary(_) => {
                Err(RecordError::Value { name: name.to_owned(), problem: "only counters have a total" })
            }
        }
    }

    fn series(&mut self, name: &str, labels: &[&str], now: Time) -> Result<&mut Series, RecordError> {
        let created = self.wall(now);
        let unknown = || RecordError::Unknown(name.to_owned());
        let key = MetricName::new(name).map_err(|_| unknown())?;
        let family = self.families.get_mut(&key).ok_or_else(unknown)?;
        let problem = |problem| RecordError::Labels { name: name.to_owned(), problem };
        if labels.len() != family.labels.len() {
            return Err(problem("there are more or fewer labels than the metric has"));
        }
        let key: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        if family.series.len() >= MAX_SERIES && !family.series.contains_key(&key) {
            return Err(problem("there are too many combinations of labels"));
        }
        let kind = family.kind;
        Ok(family.series.entry(key).or_insert_with(|| Series { created, value: Value::new(kind) }))
    }

    fn check_clashes(&self, name: &MetricName, kind: Kind) -> Result<(), DescribeError> {
        let exposed = exposed_names(name.as_str(), kind);
        for (other, family) in &self.families {
            let clash = exposed_names(other.as_str(), family.kind).into_iter().find(|other| exposed.contains(other));
            if let Some(exposed) = clash {
                return Err(DescribeError::Clash { name: name.to_string(), other: other.to_string(), exposed });
            }
        }
        Ok(())
    }

    /// The wall clock's time at a point of the monotonic clock; steps of the wall clock since the start do not show.
    fn wall(&self, now: Time) -> SystemTime {
        let (wall, start) = self.epoch;
        wall + now.since(start)
    }
}

impl Value {
    fn new(kind: Kind) -> Value {
        match kind {
            Kind::Counter => Value::Counter(0.0),
            Kind::Gauge => Value::Gauge(0.0),
            Kind::Histogram => Value::Histogram(Histogram::default()),
            Kind::Summary => Value::Summary(Summary::default()),
        }
    }
}

/// Every name that a metric takes up in either format.
fn exposed_names(name: &str, kind: Kind) -> Vec<String> {
    let (base, suffixes): (&str, &[&str]) = match kind {
        Kind::Counter => match name.strip_suffix("_total") {
            Some(base) => (base, &["", "_total", "_created"]),
            None => (name, &[""]),
        },
        Kind::Gauge => (name, &[""]),
        Kind::Histogram => (name, &["", "_bucket", "_sum", "_count", "_created"]),
        Kind::Summary => (name, &["", "_sum", "_count", "_created"]),
    };
    suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
}
