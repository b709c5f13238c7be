//! Times: integers are seconds, text is a Go duration (<https://pkg.go.dev/time#ParseDuration>) or plain digits, which are seconds too.

use std::time::Duration;

/// Nanoseconds per unit, as Go spells them.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Nanoseconds of so many seconds; the limit is Go's, 292 years.
pub(crate) fn from_seconds(seconds: i64) -> Result<i64, String> {
    seconds.checked_mul(1_000_000_000).ok_or_else(|| format!("time: invalid duration {seconds}: more than 292 years"))
}

/// Nanoseconds, which may be negative, of a text such as `1h30m`, `500ms`, `-1s` or `10`.
pub fn parse(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<i64>() {
        return from_seconds(seconds);
    }
    let invalid = || format!("time: invalid duration {text}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0i128;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = &rest[..number_end];
        rest = &rest[number_end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = &rest[..unit_end];
        rest = &rest[unit_end..];
        let scaled = |scale| scale_decimal(number, scale).ok_or_else(invalid);
        total += match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, scale)) => scaled(*scale)?,
            None => {
                scaled(1)?;
                let problem = if unit.is_empty() { "missing unit".into() } else { format!("unknown unit {unit}") };
                return Err(format!("time: {problem} in duration {text}"));
            }
        };
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// `number` (digits with at most one point) times `scale`, rounded down.
fn scale_decimal(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Nothing below 10^-15 of an hour reaches a nanosecond.
    let fraction = &fraction[..fraction.len().min(15)];
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole * scale + part * scale / 10i128.pow(fraction.len() as u32))
}

/// The shortest text that [`parse`] reads as exactly this duration.
pub(crate) fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, scale) in
        [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)]
    {
        if nanos != 0 && nanos.is_multiple_of(scale) {
            return format!("{}{unit}", nanos / scale);
        }
    }
    if nanos == 0 { "0s".into() } else { format!("{nanos}ns") }
}

/// As [`show`], for nanoseconds that may be negative.
pub(crate) fn show_signed(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", show(Duration::from_nanos(nanos.unsigned_abs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, expect) in [
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5m", 30_000_000_000),
            ("-1ms", -1_000_000),
            ("+2\u{b5}s", 2_000),
            ("0", 0),
            ("-1", -1_000_000_000),
            ("2562047h47m16.854775807s", i64::MAX),
        ] {
            assert_eq!(parse(text), Ok(expect), "{text}");
        }
        for text in ["", "-", ".", "1.2.3s", ".s", "1 s", "9999999999h", "99999999999999999999s", "s", "1s5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shown_durations_are_read_again() {
        for nanos in [0, 1, 999, 1_000, 4_999_000_000, 60_000_000_000, 90_000_000_000, i64::MAX as u64] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse(&show(duration)), Ok(nanos as i64));
        }
    }
}
