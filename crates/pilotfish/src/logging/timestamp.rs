//! UTC time as RFC 3339 text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How exact a timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Seconds,
    Microseconds,
}

/// Appends `time`, as in `2026-11-23T00:50:30.012345Z`; a time before 1970 (a clock that was never set) counts as 1970.
pub(super) fn append(line: &mut Vec<u8>, time: SystemTime, precision: Precision) {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (elapsed.as_secs() / 86_400, elapsed.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if precision == Precision::Microseconds {
        text.push_str(&format!(".{:06}", elapsed.subsec_micros()));
    }
    text.push('Z');
    line.extend_from_slice(text.as_bytes());
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Years are counted from March here, so that the leap day is a year's last and months follow a linear rule
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097; // 400 years
    let shifted = days + 719_468; // days from 0000-03-01 to 1970-01-01
    let (era, day_of_era) = (shifted / DAYS_PER_ERA, shifted % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_395_030, "2026-11-23T00:50:30Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            let mut line = Vec::new();
            append(&mut line, UNIX_EPOCH + Duration::from_secs(seconds), Precision::Seconds);
            assert_eq!(String::from_utf8(line).unwrap(), text);
        }
        let mut line = Vec::new();
        append(&mut line, UNIX_EPOCH + Duration::from_micros(1_000_001), Precision::Microseconds);
        append(&mut line, UNIX_EPOCH - Duration::from_secs(1), Precision::Seconds);
        assert_eq!(line, b"1970-01-01T00:00:01.000001Z1970-01-01T00:00:00Z");
    }
}
