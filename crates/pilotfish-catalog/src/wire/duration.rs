//! Durations as Go writes and reads them.

use std::time::Duration;

/// Nanoseconds, signed, as Go counts them.
pub(crate) type Nanos = i64;

/// Reads `1h30m`, `1.5s`, `-10ms`.
///
/// # Errors
/// In Go's words.
pub(crate) fn parse(text: &str) -> Result<Nanos, String> {
    let invalid = || format!("time: invalid duration \"{text}\"");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
            return Err(invalid());
        }
        let unit_end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration \"{text}\""));
        }
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit \"{unit}\" in duration \"{text}\"")),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        total += whole.saturating_mul(scale);
        if !fraction.is_empty() {
            let digits: i128 = fraction.parse().map_err(|_| invalid())?;
            total += digits.saturating_mul(scale) / 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(30));
        }
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = next;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).map_err(|_| invalid())
}

/// As a duration; negative ones are none.
pub(crate) fn positive(nanos: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Writes `1h30m0s`, `1.5s`, `10ms`, `0s`.
pub(crate) fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let decimal = |scale: u128, unit: &str| {
        let (whole, fraction) = (nanos / scale, nanos % scale);
        let width = scale.ilog10() as usize;
        let text = format!("{fraction:0width$}");
        let text = text.trim_end_matches('0');
        if text.is_empty() { format!("{whole}{unit}") } else { format!("{whole}.{text}{unit}") }
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => decimal(1_000, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, "ms"),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let rest = nanos % 60_000_000_000;
            let fraction = format!(".{:09}", rest % 1_000_000_000);
            let seconds = format!("{}{}s", rest / 1_000_000_000, fraction.trim_end_matches('0').trim_end_matches('.'));
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let check = |text: &str, nanos: Nanos| assert_eq!(parse(text), Ok(nanos), "{text}");
        check("10s", 10_000_000_000);
        check("1h1m1.5s", 3_661_500_000_000);
        check("-10ms", -10_000_000);
        check("0", 0);
        check(".5s", 500_000_000);
        let fails = |text: &str, expect: &str| assert_eq!(parse(text), Err(expect.to_owned()), "{text}");
        fails("zz", "time: invalid duration \"zz\"");
        fails("", "time: invalid duration \"\"");
        fails("5", "time: missing unit in duration \"5\"");
        fails("5x", "time: unknown unit \"x\" in duration \"5x\"");
        fails("9999999h", "time: invalid duration \"9999999h\"");
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let check = |millis: u64, text: &str| assert_eq!(format(Duration::from_millis(millis)), text);
        check(0, "0s");
        check(10, "10ms");
        check(1_500, "1.5s");
        check(60_000, "1m0s");
        check(61_500, "1m1.5s");
        check(60_500, "1m0.5s");
        check(86_400_000, "24h0m0s");
    }
}
