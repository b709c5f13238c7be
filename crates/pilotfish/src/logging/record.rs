//! What is logged.

use std::borrow::Cow;

use pilotfish_config::Level;

/// One entry of the log. Text may be any bytes: jobs write what they like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record<'a> {
    /// How much it matters.
    pub(crate) level: Level,
    /// What happened; a line break at its end is not part of it.
    pub(crate) message: Cow<'a, [u8]>,
    /// More about it, by name; names are sorted and none is `level`, `msg` or `time`.
    pub(crate) fields: Vec<(&'static str, Value<'a>)>,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Number(i64),
}

impl<'a> Record<'a> {
    /// An entry without fields.
    pub(crate) fn new(level: Level, message: &'a (impl AsRef<[u8]> + ?Sized)) -> Record<'a> {
        Record { level, message: Cow::Borrowed(message.as_ref()), fields: Vec::new() }
    }

    /// A line that a job wrote.
    pub(crate) fn of_job(job: &'a str, pid: u32, line: &'a [u8]) -> Record<'a> {
        Record::new(Level::Info, line).with("job", Value::Text(job.into())).with("pid", Value::Number(i64::from(pid)))
    }

    /// The entry with one more field.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Value<'a>) -> Record<'a> {
        let at = self.fields.partition_point(|(other, _)| *other < name);
        self.fields.insert(at, (name, value));
        self
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        Value::Text(text.into())
    }
}
