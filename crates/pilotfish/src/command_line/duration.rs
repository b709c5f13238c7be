//! Durations on the command line: whole seconds (`3`) or Go-style text (`1h30m`, `500ms`, `1.5s`), as in the config.

use std::time::Duration;

/// The longest duration that is accepted, 100 years: anything longer is a slip, and would overflow deadlines.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a positive duration.
///
/// # Errors
/// A text that says what was expected.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = pilotfish_config::parse_duration(text)
        .map_err(|_| format!("'{text}' is not a duration; write seconds (3) or a number and a unit (500ms, 1h30m)"))?;
    let duration = u64::try_from(nanoseconds).map(Duration::from_nanos).ok();
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(|| format!("'{text}' is out of range; a duration is more than zero and at most 100 years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in
            [("3", 3000), ("500ms", 500), ("1h30m", 5_400_000), ("1.5s", 1500), ("1m0.5s", 60_500)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "0", "-1s", "s", "3x", "1.2.3s", "1s2", "0s", "99999999h", "é", "1e9s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
