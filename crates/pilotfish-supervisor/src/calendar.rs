//! Cron-like schedules, in UTC: which minute comes next is arithmetic, not I/O.

use alloc::{format, string::String, vec::Vec};

/// A schedule of five fields: minute, hour, day of month, month, day of week.
///
/// Fields take `*`, numbers, ranges `a-b`, lists `a,b`, steps `*/n` and `a-b/n`; months and weekdays also English names of three letters.
/// As in POSIX `crontab`, when both day fields are restricted a day matches if either does. `@hourly`, `@daily`, `@weekly`, `@monthly` and
/// `@yearly` are abbreviations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    minutes: u64,
    hours: u32,
    days: u32,
    months: u16,
    weekdays: u8,
    days_restricted: bool,
    weekdays_restricted: bool,
}

/// Seconds in a day.
const DAY: i64 = 86_400;

/// How far ahead a match is looked for: 29 February on a given weekday recurs within 40 years even across a year like 2100.
const HORIZON_DAYS: i64 = 366 * 41;

struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, names: &[] },
    Field { name: "day of month", min: 1, max: 31, names: &[] },
    Field {
        name: "month",
        min: 1,
        max: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { name: "day of week", min: 0, max: 7, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

impl Calendar {
    /// Reads a schedule; the error says which field is wrong and what it takes.
    pub fn parse(text: &str) -> Result<Calendar, String> {
        let expanded = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "expected five fields (minute hour day-of-month month day-of-week) or @hourly, @daily, @weekly, @monthly, @yearly, got {}",
                fields.len()
            ));
        };
        let mut weekdays = FIELDS[4].parse(weekday)?;
        if weekdays & (1 << 7) != 0 {
            weekdays |= 1; // Both 0 and 7 are Sunday.
        }
        let calendar = Calendar {
            text: text.trim().into(),
            minutes: FIELDS[0].parse(minute)?,
            hours: FIELDS[1].parse(hour)? as u32,
            days: FIELDS[2].parse(day)? as u32,
            months: FIELDS[3].parse(month)? as u16,
            weekdays: (weekdays & 0x7f) as u8,
            days_restricted: !day.starts_with('*'),
            weekdays_restricted: !weekday.starts_with('*'),
        };
        match calendar.next_after(0) {
            Some(_) => Ok(calendar),
            None => Err("it never occurs: no month has such a day".into()),
        }
    }

    /// The schedule as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first matching minute strictly after `unix` (seconds since 1970-01-01 00:00 UTC), as such seconds.
    pub fn next_after(&self, unix: i64) -> Option<i64> {
        let start = (unix.div_euclid(60) + 1) * 60;
        let first_day = start.div_euclid(DAY);
        (first_day..first_day + HORIZON_DAYS).filter(|&day| self.matches_day(day)).find_map(|day| {
            let from_minute = if day == first_day { start.rem_euclid(DAY) / 60 } else { 0 };
            self.first_minute(from_minute).map(|minute| day * DAY + minute * 60)
        })
    }

    fn matches_day(&self, day: i64) -> bool {
        let (month, day_of_month) = civil(day);
        // 1970-01-01 was a Thursday.
        let weekday = (day + 4).rem_euclid(7);
        let by_day = self.days & (1 << day_of_month) != 0;
        let by_weekday = self.weekdays & (1 << weekday) != 0;
        let day_matches =
            if self.days_restricted && self.weekdays_restricted { by_day || by_weekday } else { by_day && by_weekday };
        day_matches && self.months & (1 << month) != 0
    }

    fn first_minute(&self, from: i64) -> Option<i64> {
        (from..24 * 60)
            .find(|minute| self.hours & (1 << (minute / 60)) != 0 && self.minutes & (1 << (minute % 60)) != 0)
    }
}

impl Field {
    /// The set of allowed values as bits.
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for part in text.split(',') {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => match step.parse::<u32>() {
                    Ok(step) if step > 0 => (range, step),
                    _ => return Err(self.error(part)),
                },
                None => (part, 1),
            };
            let (low, high) = match range.split_once('-') {
                _ if range == "*" => (self.min, self.max.min(if self.max == 7 { 6 } else { self.max })),
                Some((low, high)) => (self.value(low, part)?, self.value(high, part)?),
                None if part.contains('/') => (self.value(range, part)?, self.max),
                None => {
                    let value = self.value(range, part)?;
                    (value, value)
                }
            };
            if low > high {
                return Err(self.error(part));
            }
            bits |= (low..=high).step_by(step as usize).fold(0u64, |bits, value| bits | 1 << value);
        }
        Ok(bits)
    }

    fn value(&self, text: &str, part: &str) -> Result<u32, String> {
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(index as u32 + if self.max == 12 { 1 } else { 0 });
        }
        match text.parse::<u32>() {
            Ok(value) if (self.min..=self.max).contains(&value) => Ok(value),
            _ => Err(self.error(part)),
        }
    }

    fn error(&self, part: &str) -> String {
        format!("{} `{part}` is not a number, range, list or step within {}-{}", self.name, self.min, self.max)
    }
}

/// Month (1-12) and day of month (1-31) of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// The arithmetic counts years from 1 March, so that the leap day is a year's last (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(day: i64) -> (u32, u32) {
    let shifted = day + 719_468;
    let era_day = shifted.rem_euclid(146_097);
    let year_of_era = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let day_of_year = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (month as u32, day_of_month as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 00:50:30 UTC, a Monday.
    const NOW: i64 = 1_795_395_030;

    #[track_caller]
    fn check(text: &str, expect: i64) {
        let calendar = Calendar::parse(text).expect(text);
        assert_eq!(calendar.next_after(NOW), Some(expect), "{text}");
    }

    #[test]
    fn the_next_occurrence_is_the_first_minute_that_matches() {
        check("* * * * *", NOW + 30);
        check("@hourly", NOW + 570);
        check("*/15 * * * *", NOW + 570);
        check("52 * * * *", NOW + 90);
        check("50 * * * *", NOW - 30 + 3600);
        check("0 3 * * *", NOW - 3030 + 3 * 3600);
        check("0 0 * * tue", NOW - 3030 + DAY);
        check("0 0 * * 7", NOW - 3030 + 6 * DAY);
        check("0 0 1 dec *", NOW - 3030 + 8 * DAY);
    }

    #[test]
    fn two_restricted_day_fields_match_either() {
        check("0 0 24 * sun", NOW - 3030 + DAY);
        check("0 0 30 * tue", NOW - 3030 + DAY);
    }

    #[test]
    fn leap_days_are_found_years_ahead() {
        let calendar = Calendar::parse("0 0 29 2 *").expect("valid");
        assert_eq!(calendar.next_after(NOW), Some(1_835_395_200), "2028-02-29");
    }

    #[test]
    fn errors_name_the_field() {
        for (text, field) in [
            ("60 * * * *", "minute `60`"),
            ("* 24 * * *", "hour `24`"),
            ("* * 0 * *", "day of month `0`"),
            ("* * * foo *", "month `foo`"),
            ("* * * * 8", "day of week `8`"),
            ("*/0 * * * *", "minute `*/0`"),
            ("5-1 * * * *", "minute `5-1`"),
            ("* * *", "got 3"),
            ("0 0 31 2 *", "never occurs"),
        ] {
            let error = Calendar::parse(text).expect_err(text);
            assert!(error.contains(field), "{text}: {error}");
        }
    }
}
