//! The metrics endpoint, the job that advertises it, and the metrics that are recorded from outside.

use std::collections::BTreeSet;
use std::time::Duration;

use pilotfish_supervisor::{Check, Health};

use crate::config::{Metric, MetricKind, TELEMETRY_JOB, Telemetry};
use crate::reader::{Object, Place, Reader};
use crate::service::{Context, Draft, job};
use crate::timing;
use crate::vocabulary::Vocabulary;

/// The port, when none is given (ContainerPilot's).
const DEFAULT_PORT: u16 = 9090;
/// Time between heartbeats, when none is given (ContainerPilot's).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a heartbeat is believed, when nothing is given (ContainerPilot's).
const DEFAULT_TTL: Duration = Duration::from_secs(15);

/// Reads `telemetry`.
pub(crate) fn read(
    reader: &mut Reader,
    context: &Context<'_>,
    document: &Object<'_>,
    vocabulary: Vocabulary,
) -> Option<(Telemetry, Draft)> {
    let (interval_key, metrics_key) = match vocabulary {
        Vocabulary::V2 => ("poll", "sensors"),
        Vocabulary::V3 => ("interval", "metrics"),
    };
    let object = reader.object(document, "telemetry")?;
    let port = reader.integer(&object, "port").and_then(|port| u16::try_from(port).ok()).unwrap_or(DEFAULT_PORT);
    let least = Duration::from_millis(1);
    let interval = reader.duration(&object, interval_key, least).unwrap_or(DEFAULT_INTERVAL);
    let ttl = reader.duration(&object, "ttl", least).unwrap_or(DEFAULT_TTL);
    let timing = timing::check(reader, &object, interval_key, (Some(interval), Some(ttl)), None);
    let address = context.address(reader, &object);
    let mut job = job(TELEMETRY_JOB.into());
    let mut service = context.registration(TELEMETRY_JOB, address.clone(), port, ttl);
    service.tags = reader.texts(&object, "tags");
    job.service = Some(service);
    job.health = Some(Health {
        check: Check::Running,
        interval: timing.interval,
        timeout: timing.timeout,
        grace: Duration::ZERO,
    });
    let metrics = match vocabulary {
        // The translation of sensors into jobs has complained about them already.
        Vocabulary::V2 => metrics(&mut Reader::default(), &object, metrics_key),
        Vocabulary::V3 => metrics(reader, &object, metrics_key),
    };
    let mut names = BTreeSet::new();
    for (metric, place) in metrics.iter().filter(|(metric, _)| !names.insert(&metric.name)) {
        reader.problem(place, format!("the metric `{}` is defined twice", metric.name));
    }
    let metrics = metrics.into_iter().map(|(metric, _)| metric).collect();
    let draft = Draft::new(job, object.place.clone());
    Some((Telemetry { address, port, metrics }, draft))
}

/// Reads metrics, or what sensors say about theirs, and where their names stand.
fn metrics(reader: &mut Reader, telemetry: &Object<'_>, key: &'static str) -> Vec<(Metric, Place)> {
    let elements = reader.list(telemetry, key);
    let read = |element: &Object<'_>| metric(reader, element).map(|metric| (metric, element.place_of("name")));
    elements.iter().filter_map(read).collect()
}

/// Reads what a sensor and a metric have in common.
pub(crate) fn metric(reader: &mut Reader, object: &Object<'_>) -> Option<Metric> {
    let parts: Vec<String> = ["namespace", "subsystem", "name"]
        .into_iter()
        .filter_map(|key| reader.text(object, key).filter(|text| !text.is_empty()))
        .collect();
    let name = parts.join("_");
    let help = reader.text(object, "help").unwrap_or_default();
    let kind = match reader.word(object, "type") {
        Some("counter") => Some(MetricKind::Counter),
        Some("gauge") => Some(MetricKind::Gauge),
        Some("histogram") => Some(MetricKind::Histogram),
        Some(_) => Some(MetricKind::Summary),
        None if object.field("type").is_none() => {
            reader.problem(
                &object.place_of("type"),
                "invalid metric type: it is missing; one of counter, gauge, histogram, summary",
            );
            None
        }
        None => None,
    };
    if object.field("name").is_none() {
        reader.problem(&object.place_of("name"), "a metric needs a name");
        return None;
    }
    if !is_metric_name(&name) {
        let message = format!("`{name}` is not a metric name: only letters, digits, _ and :, and no digit first");
        reader.problem(&object.place_of("name"), message);
    }
    Some(Metric { name, help, kind: kind? })
}

/// Whether Prometheus takes this as the name of a metric: `[a-zA-Z_:][a-zA-Z0-9_:]*`
/// (<https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>).
pub fn is_metric_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
}
