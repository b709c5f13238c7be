//! The arithmetic of health checks: which intervals, time-outs and lifetimes can work together.

use std::time::Duration;

use crate::duration::show;
use crate::reader::{Object, Reader};

/// How far below the interval a time-out stays that was not given.
const MARGIN: Duration = Duration::from_millis(1);

/// The shortest time-out that is accepted, as in ContainerPilot.
pub(crate) const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// How often is checked, how long a check may take, and how long its result is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) interval: Duration,
    pub(crate) ttl: Duration,
    pub(crate) timeout: Duration,
}

/// A time that must be given and positive.
pub(crate) fn required(
    reader: &mut Reader,
    object: &Object<'_>,
    key: &'static str,
    complaint: &str,
) -> Option<Duration> {
    let problems = reader.problems.len();
    let nanos = reader.signed_duration(object, key);
    match nanos.map(u64::try_from) {
        Some(Ok(nanos)) if nanos > 0 => Some(Duration::from_nanos(nanos)),
        None if reader.problems.len() > problems => None,
        _ => {
            reader.problem(&object.place_of(key), format!("{complaint}; write seconds, or text such as \"10s\""));
            None
        }
    }
}

/// Checks the three against each other; `interval_key` is what the vocabulary calls the interval. Without a time-out the longest that
/// satisfies both rules is taken.
pub(crate) fn check(
    reader: &mut Reader,
    object: &Object<'_>,
    interval_key: &'static str,
    (interval, ttl): (Option<Duration>, Option<Duration>),
    timeout: Option<Duration>,
) -> Timing {
    let second = Duration::from_secs(1);
    let (Some(interval), Some(ttl)) = (interval, ttl) else {
        return Timing {
            interval: interval.unwrap_or(second),
            ttl: ttl.unwrap_or(second),
            timeout: timeout.unwrap_or(second),
        };
    };
    if let Some(timeout) = timeout.filter(|timeout| *timeout >= interval) {
        let message = format!(
            "the timeout of {} is not less than the {interval_key} of {}: a check that hangs would run into the next one; lower timeout or raise {interval_key}",
            show(timeout),
            show(interval)
        );
        reader.problem(&object.place_of("timeout"), message);
    }
    if interval < MIN_TIMEOUT + MARGIN {
        let message = format!(
            "the {interval_key} of {} leaves no time for a check: the shortest timeout is {}, and it must be less than {interval_key}; raise {interval_key}",
            show(interval),
            show(MIN_TIMEOUT)
        );
        reader.problem(&object.place_of(interval_key), message);
    }
    let twice = interval.saturating_mul(2);
    let spare = ttl.saturating_sub(twice);
    if let Some(timeout) = timeout.filter(|timeout| spare < *timeout) {
        let needed = twice.saturating_add(timeout);
        let message = format!(
            "the ttl of {} is less than 2 x {interval_key} ({}) + timeout ({}) = {}: one missed check would make a healthy service critical; raise ttl to {} or lower {interval_key}",
            show(ttl),
            show(interval),
            show(timeout),
            show(needed),
            show(needed)
        );
        reader.problem(&object.place_of("ttl"), message);
    } else if timeout.is_none() && spare < MIN_TIMEOUT {
        let message = format!(
            "the ttl of {} leaves no time for a check: it must be more than 2 x {interval_key} ({}) = {}, or one missed check would make a healthy service critical; raise ttl or lower {interval_key}",
            show(ttl),
            show(interval),
            show(twice)
        );
        reader.problem(&object.place_of("ttl"), message);
    }
    let below_interval = interval.saturating_sub(MARGIN);
    Timing { interval, ttl, timeout: timeout.unwrap_or(below_interval.min(spare)) }
}
