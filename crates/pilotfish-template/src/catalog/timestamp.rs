//! `timestamp`: the time of the rendering, in Go's layouts.

use alloc::format;
use alloc::string::String;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::limits::Limit;
use crate::text::Text;
use crate::value::{Type, Value};

use super::question::Question;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn add(functions: &mut Functions) {
    functions.insert("timestamp", Function::new([], timestamp).variadic(Type::String));
}

/// `timestamp [LAYOUT]`: RFC 3339 without a layout, seconds since 1970 with the layout `unix`; always UTC.
fn timestamp(call: &mut Call<'_>, arguments: &[Value]) -> Result<Value, FunctionError> {
    let layout = match arguments {
        [] => "2006-01-02T15:04:05Z07:00",
        [Value::String(layout)] => layout,
        [_] => return Err(mismatch()),
        _ => {
            let got = arguments.len();
            return Err(format!("timestamp: wrong number of arguments, expected 0 or 1, but got {got}").into());
        }
    };
    let query = Question::Time.to_query();
    let Some(Value::Int(nanoseconds)) = call.fact(&query.source, &query.name) else { return Ok(Value::from("")) };
    let seconds = nanoseconds.div_euclid(NANOSECONDS_PER_SECOND);
    if layout == "unix" {
        return Ok(Value::from(format!("{seconds}")));
    }
    let moment = Moment::new(seconds, nanoseconds.rem_euclid(NANOSECONDS_PER_SECOND));
    let mut out = Text::new(call.room(), Limit::WorkingBytes);
    moment.format(&mut out, layout);
    let text = out.finish()?;
    call.build(text.len())?;
    Ok(Value::from(text))
}

/// A moment in the parts that layouts name.
struct Moment {
    year: i64,
    /// 1 to 12.
    month: usize,
    day: i64,
    /// 0 is Sunday.
    weekday: usize,
    /// 1 to 366.
    day_of_year: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanosecond: i64,
}

impl Moment {
    fn new(seconds: i64, nanosecond: i64) -> Moment {
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let in_day = seconds.rem_euclid(SECONDS_PER_DAY);
        // Years begin in March here, so that the leap day is the last one; eras are 400 years.
        let from_march = days + 719_468;
        let era = from_march.div_euclid(146_097);
        let day_of_era = from_march.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_from_march = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_from_march + 2) / 153;
        let day = day_from_march - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let month = usize::try_from(month).expect("a month is between 1 and 12");
        Moment {
            year,
            month,
            day,
            weekday: usize::try_from((days + 4).rem_euclid(7)).expect("a weekday is between 0 and 6"),
            day_of_year: before[month - 1] + day + i64::from(is_leap && month > 2),
            hour: in_day / 3_600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
            nanosecond,
        }
    }

    fn format(&self, out: &mut Text, layout: &str) {
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            if let Some((part, after)) = part(rest) {
                self.write(out, part);
                rest = after;
            } else if let Some((digits, trims, after)) = fraction(rest) {
                self.write_fraction(out, rest, digits, trims);
                rest = after;
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }

    fn write(&self, out: &mut Text, part: &str) {
        let month = MONTHS[self.month - 1];
        let weekday = DAYS[self.weekday];
        let half = if self.hour % 12 == 0 { 12 } else { self.hour % 12 };
        let text: String = match part {
            "2006" => format!("{:04}", self.year),
            "06" => format!("{:02}", self.year.rem_euclid(100)),
            "January" => month.into(),
            "Jan" => month[..3].into(),
            "01" => format!("{:02}", self.month),
            "1" => format!("{}", self.month),
            "Monday" => weekday.into(),
            "Mon" => weekday[..3].into(),
            "02" => format!("{:02}", self.day),
            "_2" => format!("{:2}", self.day),
            "2" => format!("{}", self.day),
            "002" => format!("{:03}", self.day_of_year),
            "__2" => format!("{:3}", self.day_of_year),
            "15" => format!("{:02}", self.hour),
            "03" => format!("{half:02}"),
            "3" => format!("{half}"),
            "04" => format!("{:02}", self.minute),
            "4" => format!("{}", self.minute),
            "05" => format!("{:02}", self.second),
            "5" => format!("{}", self.second),
            "PM" => if self.hour < 12 { "AM" } else { "PM" }.into(),
            "pm" => if self.hour < 12 { "am" } else { "pm" }.into(),
            "MST" => "UTC".into(),
            "Z070000" | "Z07:00:00" | "Z0700" | "Z07:00" | "Z07" => "Z".into(),
            "-070000" => "+000000".into(),
            "-07:00:00" => "+00:00:00".into(),
            "-0700" => "+0000".into(),
            "-07:00" => "+00:00".into(),
            "-07" => "+00".into(),
            other => other.into(),
        };
        out.push_str(&text);
    }

    /// A fraction of a second: all its digits (`.000`), or without zeros at the end (`.999`).
    fn write_fraction(&self, out: &mut Text, point: &str, digits: usize, trims: bool) {
        let all = format!("{:09}", self.nanosecond);
        let mut shown = String::from(&all[..digits.min(9)]);
        if trims {
            shown.truncate(shown.trim_end_matches('0').len());
            if shown.is_empty() {
                return;
            }
        }
        out.push_str(&point[..1]);
        out.push_str(&shown);
        if !trims {
            out.fill('0', digits.saturating_sub(9));
        }
    }
}

/// What layouts name; a longer part comes before those it begins with.
const PARTS: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "__2",
    "_2",
    "15",
    "1",
    "2",
    "3",
    "4",
    "5",
    "PM",
    "pm",
    "-070000",
    "-07:00:00",
    "-0700",
    "-07:00",
    "-07",
    "Z070000",
    "Z07:00:00",
    "Z0700",
    "Z07:00",
    "Z07",
];

/// The part that a layout begins with, and what follows it.
fn part(layout: &str) -> Option<(&'static str, &str)> {
    // An underscore before a year is no part of a day.
    if layout.starts_with("_2006") {
        return None;
    }
    let part = PARTS.into_iter().find(|part| layout.starts_with(part))?;
    let after = &layout[part.len()..];
    // A short name that goes on with small letters is a word of its own, such as `Month`.
    let is_word = matches!(part, "Jan" | "Mon") && after.starts_with(|letter: char| letter.is_ascii_lowercase());
    (!is_word).then_some((part, after))
}

/// The digits of a fraction that a layout begins with, whether zeros at its end go, and what follows.
fn fraction(layout: &str) -> Option<(usize, bool, &str)> {
    let body = layout.strip_prefix(['.', ','])?;
    let digit = body.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let after = body.trim_start_matches(digit);
    if after.starts_with(|next: char| next.is_ascii_digit()) {
        return None;
    }
    Some((body.len() - after.len(), digit == '9', after))
}
