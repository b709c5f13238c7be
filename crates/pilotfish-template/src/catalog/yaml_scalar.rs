//! What a plain scalar of YAML means, by the rules of YAML 1.1 as go-yaml applies them.

/// The meaning of a plain scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A date or a time, which stays the text that it is.
    Timestamp,
    Text,
}

/// Reads a plain scalar.
pub(super) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'.') => float(text),
        Some(b'+' | b'-' | b'0'..=b'9') if is_timestamp(text) => Scalar::Timestamp,
        Some(b'+' | b'-' | b'0'..=b'9') => number(&text.replace('_', "")),
        _ => Scalar::Text,
    }
}

fn float(text: &str) -> Scalar {
    // The names of infinity are no numbers here.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b".+-eE".contains(&byte)) {
        return Scalar::Text;
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Scalar::Float(number),
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Scalar {
    let (sign, magnitude) = match text.strip_prefix(['+', '-']) {
        Some(magnitude) => (&text[..1], magnitude),
        None => ("", text),
    };
    let (digits, radix) = match magnitude.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&magnitude[2..], 16),
        [b'0', b'o' | b'O', ..] => (&magnitude[2..], 8),
        [b'0', b'b' | b'B', ..] => (&magnitude[2..], 2),
        [b'0', _, ..] => (&magnitude[1..], 8),
        _ => (magnitude, 10),
    };
    if !digits.starts_with(['+', '-'])
        && let Ok(whole) = u64::from_str_radix(digits, radix)
    {
        match (sign, i64::try_from(whole)) {
            ("-", _) if whole == i64::MIN.unsigned_abs() => return Scalar::Int(i64::MIN),
            ("-", Ok(whole)) => return Scalar::Int(-whole),
            ("" | "+", Ok(whole)) => return Scalar::Int(whole),
            ("", Err(_)) => return Scalar::Uint(whole),
            _ => {}
        }
    }
    // A number needs a digit before its exponent.
    if magnitude.starts_with(|first: char| first.is_ascii_digit() || first == '.') { float(text) } else { Scalar::Text }
}

/// Sixty as a base (`190:20:30`) is read by nobody, but old readers did, and so such texts are quoted.
pub(super) fn is_base_60(text: &str) -> bool {
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = magnitude.split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.starts_with(|letter: char| letter.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = parts.peekable();
    if !is_first || parts.peek().is_none() {
        return false;
    }
    while let Some(part) = parts.next() {
        let whole = match part.split_once('.') {
            Some((whole, fraction))
                if parts.peek().is_none() && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') =>
            {
                whole
            }
            Some(_) => return false,
            None => part,
        };
        let is_sixtieth = match whole.as_bytes() {
            [digit] => digit.is_ascii_digit(),
            [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
            _ => false,
        };
        if !is_sixtieth {
            return false;
        }
    }
    true
}

/// A number of one or two digits (or exactly four) from the beginning of a text.
fn take_number<'t>(text: &mut &'t str, most_digits: usize) -> Option<&'t str> {
    let digits = text.bytes().take(most_digits).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    (digits > 0).then_some(number)
}

fn take(text: &mut &str, mark: char) -> Option<()> {
    *text = text.strip_prefix(mark)?;
    Some(())
}

/// `2006-1-2`, or with a time: `2006-1-2T15:4:5.9Z`, `2006-1-2 15:4:5.9`.
fn is_timestamp(text: &str) -> bool {
    date_and_time(text).is_some()
}

fn date_and_time(mut rest: &str) -> Option<()> {
    let below = |number: &str, least: u32, most: u32| {
        let number: u32 = number.parse().ok()?;
        (least..=most).contains(&number).then_some(number)
    };
    let year = take_number(&mut rest, 4).filter(|year| year.len() == 4)?;
    take(&mut rest, '-')?;
    let month = below(take_number(&mut rest, 2)?, 1, 12)?;
    take(&mut rest, '-')?;
    let year: i32 = year.parse().ok()?;
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    below(take_number(&mut rest, 2)?, 1, days)?;
    if rest.is_empty() {
        return Some(());
    }
    let has_zone = !rest.starts_with(' ');
    rest = rest.strip_prefix(['T', 't', ' '])?;
    below(take_number(&mut rest, 2)?, 0, 23)?;
    take(&mut rest, ':')?;
    below(take_number(&mut rest, 2)?, 0, 59)?;
    take(&mut rest, ':')?;
    below(take_number(&mut rest, 2)?, 0, 59)?;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        rest = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
        if rest.len() == fraction.len() {
            return None;
        }
    }
    match rest.as_bytes() {
        [] if !has_zone => Some(()),
        [b'Z'] if has_zone => Some(()),
        [b'+' | b'-', h1, h2, b':', m1, m2]
            if has_zone && [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            below(&rest[1..3], 0, 24)?;
            below(&rest[4..6], 0, 60).map(|_| ())
        }
        _ => None,
    }
}
