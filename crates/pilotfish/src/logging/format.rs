//! How a record looks: ContainerPilot's three formats, so that whatever reads its logs reads ours.

use std::time::SystemTime;

use pilotfish_config::{Format, Level};

use super::{
    Record, Value,
    timestamp::{self, Precision},
};

/// The record as one line, with its line break; bytes that are no UTF-8 become U+FFFD.
pub(super) fn line(format: Format, record: &Record<'_>, now: SystemTime) -> Vec<u8> {
    let message = record.message.strip_suffix(b"\n").unwrap_or(&record.message);
    let message = String::from_utf8_lossy(message);
    let mut line = Vec::with_capacity(message.len() + 96);
    match format {
        Format::Default => default(&mut line, record, &message, now),
        Format::Text => text(&mut line, record, &message, now),
        Format::Json => json(&mut line, record, &message, now),
    }
    line.push(b'\n');
    line
}

/// A level's name in a log, in logrus's words.
const fn name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

fn default(line: &mut Vec<u8>, record: &Record<'_>, message: &str, now: SystemTime) {
    timestamp::append(line, now, Precision::Microseconds);
    for wanted in ["job", "pid"] {
        for (_, value) in record.fields.iter().filter(|(name, _)| *name == wanted) {
            line.push(b' ');
            match value {
                Value::Text(text) => line.extend_from_slice(text.as_bytes()),
                Value::Number(number) => line.extend_from_slice(number.to_string().as_bytes()),
            }
        }
    }
    line.push(b' ');
    line.extend_from_slice(message.as_bytes());
}

fn text(line: &mut Vec<u8>, record: &Record<'_>, message: &str, now: SystemTime) {
    line.extend_from_slice(b"time=\"");
    timestamp::append(line, now, Precision::Seconds);
    line.extend_from_slice(b"\" level=");
    line.extend_from_slice(name(record.level).as_bytes());
    line.extend_from_slice(b" msg=");
    text_value(line, message);
    for (name, value) in &record.fields {
        line.push(b' ');
        line.extend_from_slice(name.as_bytes());
        line.push(b'=');
        match value {
            Value::Text(value) => text_value(line, value),
            Value::Number(number) => line.extend_from_slice(number.to_string().as_bytes()),
        }
    }
}

/// A value as logrus writes it: bare if nothing in it is special, else quoted as a Go string.
fn text_value(line: &mut Vec<u8>, value: &str) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte);
    if value.bytes().all(plain) {
        line.extend_from_slice(value.as_bytes());
        return;
    }
    line.push(b'"');
    for character in value.chars() {
        match character {
            '"' => line.extend_from_slice(b"\\\""),
            '\\' => line.extend_from_slice(b"\\\\"),
            '\n' => line.extend_from_slice(b"\\n"),
            '\r' => line.extend_from_slice(b"\\r"),
            '\t' => line.extend_from_slice(b"\\t"),
            control if control.is_ascii_control() => {
                line.extend_from_slice(format!("\\x{:02x}", u32::from(control)).as_bytes());
            }
            control if control.is_control() => {
                line.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            }
            printable => line.extend_from_slice(printable.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    line.push(b'"');
}

fn json(line: &mut Vec<u8>, record: &Record<'_>, message: &str, now: SystemTime) {
    let mut time = Vec::with_capacity(32);
    timestamp::append(&mut time, now, Precision::Microseconds);
    // Keys are sorted: those of the record are merged with the three that are always there.
    let own: [(&str, &[u8]); 3] =
        [("level", name(record.level).as_bytes()), ("msg", message.as_bytes()), ("time", &time)];
    let mut fields = record.fields.iter().peekable();
    line.push(b'{');
    for (key, value) in own {
        while let Some((name, value)) = fields.next_if(|(name, _)| *name < key) {
            json_field(line, name, value);
        }
        json_key(line, key);
        json_string(line, value);
    }
    for (name, value) in fields {
        json_field(line, name, value);
    }
    line.push(b'}');
}

fn json_field(line: &mut Vec<u8>, name: &str, value: &Value<'_>) {
    json_key(line, name);
    match value {
        Value::Text(text) => json_string(line, text.as_bytes()),
        Value::Number(number) => line.extend_from_slice(number.to_string().as_bytes()),
    }
}

fn json_key(line: &mut Vec<u8>, key: &str) {
    if line.last() != Some(&b'{') {
        line.push(b',');
    }
    json_string(line, key.as_bytes());
    line.push(b':');
}

/// A JSON string (RFC 8259, section 7) of text that is valid UTF-8.
fn json_string(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'"');
    for &byte in text {
        match byte {
            b'"' => line.extend_from_slice(b"\\\""),
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0..0x20 => line.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => line.push(byte),
        }
    }
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn formatted(format: Format, record: &Record<'_>) -> String {
        let now = UNIX_EPOCH + Duration::new(1_795_395_030, 12_345_678);
        String::from_utf8(line(format, record, now)).unwrap()
    }

    #[test]
    fn the_three_looks() {
        let own = Record::new(Level::Warn, "retrying in 5 s");
        let bare = Record::new(Level::Info, "ready\n");
        let job = Record::of_job("app", 12, b"GET /\xff \"x\"\t\x1b[0m");
        for (format, record, expected) in [
            (Format::Default, &own, "2026-11-23T00:50:30.012345Z retrying in 5 s\n"),
            (Format::Text, &own, "time=\"2026-11-23T00:50:30Z\" level=warning msg=\"retrying in 5 s\"\n"),
            (Format::Text, &bare, "time=\"2026-11-23T00:50:30Z\" level=info msg=ready\n"),
            (
                Format::Json,
                &own,
                "{\"level\":\"warning\",\"msg\":\"retrying in 5 s\",\"time\":\"2026-11-23T00:50:30.012345Z\"}\n",
            ),
            (Format::Default, &job, "2026-11-23T00:50:30.012345Z app 12 GET /\u{fffd} \"x\"\t\u{1b}[0m\n"),
            (
                Format::Text,
                &job,
                "time=\"2026-11-23T00:50:30Z\" level=info msg=\"GET /\u{fffd} \\\"x\\\"\\t\\x1b[0m\" job=app pid=12\n",
            ),
            (
                Format::Json,
                &job,
                "{\"job\":\"app\",\"level\":\"info\",\"msg\":\"GET /\u{fffd} \\\"x\\\"\\t\\u001b[0m\",\"pid\":12,\
                 \"time\":\"2026-11-23T00:50:30.012345Z\"}\n",
            ),
        ] {
            assert_eq!(formatted(format, record), expected, "{format:?}");
        }
    }
}
