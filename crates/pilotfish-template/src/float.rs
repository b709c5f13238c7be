//! Floats in Go's formats (package strconv): `%e`, `%f`, `%g`, `%b` and `%x`, each shortest or with a precision.

use alloc::format;
use alloc::string::String;

/// Digits after the point that a float can have at most, in digits. The standard library pads no further than 65,535,
/// so longer precisions are filled up with zeros here.
const MAX_FRACTION: usize = 1_100;

/// `magnitude`, which is neither negative nor NaN, in the format of `verb`; no precision means the shortest text that
/// reads back as the same number.
pub(crate) fn format_float(magnitude: f64, verb: char, precision: Option<usize>) -> String {
    if magnitude.is_infinite() {
        return String::from("Inf");
    }
    let text = match verb.to_ascii_lowercase() {
        'e' => scientific(magnitude, precision),
        'f' => fixed(magnitude, precision),
        'b' => binary(magnitude),
        'x' => hexadecimal(magnitude, precision),
        _ => general(magnitude, precision),
    };
    if verb.is_ascii_uppercase() && verb != 'F' { text.to_ascii_uppercase() } else { text }
}

fn with_zeros(mut text: String, at: usize, count: usize) -> String {
    if count > 0 {
        text.insert_str(at, &"0".repeat(count));
    }
    text
}

fn fixed(magnitude: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else { return format!("{magnitude}") };
    let text = format!("{magnitude:.*}", precision.min(MAX_FRACTION));
    let end = text.len();
    with_zeros(text, end, precision.saturating_sub(MAX_FRACTION))
}

/// The digits with a point after the first, and the exponent.
fn digits(magnitude: f64, precision: Option<usize>) -> (String, i32) {
    let text = match precision {
        Some(precision) => format!("{magnitude:.*e}", precision.min(MAX_FRACTION)),
        None => format!("{magnitude:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').expect("scientific notation has an exponent");
    (String::from(mantissa), exponent.parse().expect("the exponent of a float is a small number"))
}

fn join_exponent(mantissa: &str, mark: char, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{mark}{sign}{:02}", exponent.unsigned_abs())
}

fn scientific(magnitude: f64, precision: Option<usize>) -> String {
    let (mantissa, exponent) = digits(magnitude, precision);
    let end = mantissa.len();
    let mantissa = with_zeros(mantissa, end, precision.unwrap_or(0).saturating_sub(MAX_FRACTION));
    join_exponent(&mantissa, 'e', exponent)
}

/// `%g`: the shorter of the two notations, without trailing zeros.
fn general(magnitude: f64, precision: Option<usize>) -> String {
    /// The exponent from which on the shortest form is scientific (strconv.FormatFloat).
    const SHORTEST_EXPONENT: i32 = 6;
    let precision = precision.map(|precision| precision.max(1));
    let (mut mantissa, exponent) = digits(magnitude, precision.map(|precision| precision - 1));
    if mantissa.contains('.') {
        mantissa.truncate(mantissa.trim_end_matches('0').trim_end_matches('.').len());
    }
    let count = mantissa.len() - usize::from(mantissa.contains('.'));
    let count = i32::try_from(count).expect("a float has few digits");
    let limit = match precision {
        None => SHORTEST_EXPONENT,
        Some(precision) => {
            let precision = i32::try_from(precision).unwrap_or(i32::MAX);
            if precision > count && count > exponent { count } else { precision }
        }
    };
    if exponent < -4 || exponent >= limit {
        return join_exponent(&mantissa, 'e', exponent);
    }
    let decimals = usize::try_from(count - 1 - exponent).unwrap_or(0);
    match precision {
        None => fixed(magnitude, None),
        Some(_) if exponent >= count => {
            let digits = mantissa.replace('.', "");
            let zeros = usize::try_from(exponent + 1 - count).unwrap_or(0);
            format!("{digits}{}", "0".repeat(zeros))
        }
        Some(_) => fixed(magnitude, Some(decimals)),
    }
}

/// Mantissa and exponent of a finite float, so that it is `mantissa * 2^exponent`.
fn parts(magnitude: f64) -> (u64, i32) {
    const FRACTION_BITS: u32 = 52;
    let bits = magnitude.to_bits();
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let exponent = i32::try_from((bits >> FRACTION_BITS) & 0x7ff).expect("eleven bits fit");
    if exponent == 0 { (fraction, -1074) } else { (fraction | (1 << FRACTION_BITS), exponent - 1075) }
}

fn binary(magnitude: f64) -> String {
    let (mantissa, exponent) = parts(magnitude);
    let sign = if exponent < 0 { "" } else { "+" };
    format!("{mantissa}p{sign}{exponent}")
}

fn hexadecimal(magnitude: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(magnitude);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // One digit before the point, thirteen after it.
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        exponent += 52 - i32::try_from(shift).expect("a shift is at most 52");
    }
    let kept = precision.unwrap_or(13).min(13);
    let dropped = u32::try_from(4 * (13 - kept)).expect("at most 52 bits");
    if dropped > 0 {
        let half = 1_u64 << (dropped - 1);
        let (rest, odd) = (mantissa & ((half << 1) - 1), mantissa >> dropped & 1 == 1);
        mantissa >>= dropped;
        if rest > half || (rest == half && odd) {
            mantissa += 1;
        }
        mantissa <<= dropped;
        if mantissa >> 53 == 1 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let fraction = format!("{:013x}", mantissa & ((1 << 52) - 1));
    let fraction = match precision {
        None => String::from(fraction.trim_end_matches('0')),
        Some(precision) => format!("{}{}", &fraction[..kept], "0".repeat(precision - kept)),
    };
    let point = if fraction.is_empty() { "" } else { "." };
    join_exponent(&format!("0x{}{point}{fraction}", mantissa >> 52), 'p', exponent)
}
