//! Values that must not be seen.

use std::collections::BTreeMap;
use std::fmt;

/// What is shown instead of a secret.
pub const MASK: &str = "***";

/// Shorter values are not masked in text: replacing every `1` of a log would hide the log and not the secret.
pub const MIN_MASKED_LENGTH: usize = 4;

/// A value that does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value itself, for the one place that must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Whether a variable of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let holds =
        |part: &&str| name.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()));
    ["PASSWORD", "SECRET", "TOKEN", "KEY"].iter().any(holds)
}

/// `text` with the values of secret variables replaced.
pub fn mask(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut values: Vec<&str> = env
        .iter()
        .filter(|(name, value)| is_secret_name(name) && value.len() >= MIN_MASKED_LENGTH)
        .map(|(_, value)| value.as_str())
        .collect();
    // A value that contains another one goes first, or its rest would stay.
    values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
    values
        .iter()
        .fold(text.to_string(), |text, value| if text.contains(value) { text.replace(value, MASK) } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn values_of_secret_variables_are_masked_the_longest_first() {
        let env = BTreeMap::from(
            [("DB_PASSWORD", "hunter2"), ("API_TOKEN", "hunter2-and-more"), ("PIN_KEY", "1"), ("HOME", "/root")]
                .map(|(name, value)| (name.to_string(), value.to_string())),
        );
        assert_eq!(mask("-p hunter2 -t hunter2-and-more 1 /root", &env), "-p *** -t *** 1 /root");
        assert!(is_secret_name("aws_secret_access") && is_secret_name("MANTA_KEY_ID") && !is_secret_name("HOME"));
    }
}
