//! Names of metrics and labels, as Prometheus allows them ("Data model: metric names and labels").

use std::fmt;

/// A valid name of a metric: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetricName(String);

impl MetricName {
    /// Takes a whole name.
    ///
    /// # Errors
    /// A text that says what was expected.
    pub(crate) fn new(name: &str) -> Result<MetricName, String> {
        if !pilotfish_config::is_metric_name(name) {
            return Err(format!(
                "'{name}' is not a name of a metric: letters, digits, '_' and ':' are, and no digit comes first"
            ));
        }
        Ok(MetricName(name.to_owned()))
    }

    /// The name as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a label may have this name: `[a-zA-Z_][a-zA-Z0-9_]*`, not reserved for Prometheus (`__...`) or for us (`le`, `quantile`).
pub(super) fn is_label_name(name: &str) -> bool {
    let valid =
        |index: usize, byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || (index > 0 && byte.is_ascii_digit());
    !name.is_empty()
        && name.bytes().enumerate().all(|(index, byte)| valid(index, byte))
        && !name.starts_with("__")
        && !["le", "quantile"].contains(&name)
}
