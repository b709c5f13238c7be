//! Secrets never reach a log: values of variables that are named like secrets are replaced wherever they turn up.

use std::{borrow::Cow, fmt};

use pilotfish_config::{MASK, MIN_MASKED_LENGTH, is_secret_name};

/// Values that are no secrets whatever their variable is called.
const TRIVIAL: [&str; 6] = ["true", "false", "none", "null", "enabled", "disabled"];

/// Knows secrets and takes them out of text. It does not print them itself.
#[derive(Clone, Default)]
pub(crate) struct Masker {
    /// Longest first, so that a secret that contains another is masked as a whole.
    secrets: Vec<Vec<u8>>,
    /// Whether a secret begins with the byte; a text without such bytes is passed over quickly.
    first: Option<Box<[bool; 256]>>,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} secrets)", self.secrets.len())
    }
}

impl Masker {
    /// Takes the secrets of an environment.
    pub(crate) fn from_environment<N: AsRef<str>, V: AsRef<[u8]>>(
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Masker {
        let mut masker = Masker::default();
        for (name, value) in variables {
            if is_secret_name(name.as_ref()) {
                masker.add(value.as_ref());
            }
        }
        masker
    }

    /// Adds one more secret, such as a catalog's token that a config holds.
    ///
    /// A value of several lines (a private key) is also known by each of its lines, because output is logged by the line.
    pub(crate) fn add(&mut self, value: &[u8]) {
        self.insert(value.trim_ascii());
        if value.contains(&b'\n') {
            value.split(|byte| *byte == b'\n').for_each(|line| self.insert(line.trim_ascii()));
        }
    }

    fn insert(&mut self, secret: &[u8]) {
        let trivial = TRIVIAL.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(secret));
        if secret.len() < MIN_MASKED_LENGTH || trivial || self.secrets.iter().any(|known| known == secret) {
            return;
        }
        let at = self.secrets.partition_point(|known| known.len() >= secret.len());
        self.secrets.insert(at, secret.to_vec());
        self.first.get_or_insert_with(|| Box::new([false; 256]))[usize::from(secret[0])] = true;
    }

    /// The text without secrets; unchanged and not copied if it holds none.
    pub(crate) fn mask<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(first) = &self.first else { return Cow::Borrowed(text) };
        let mut masked: Option<Vec<u8>> = None;
        // `text[..copied]` is in `masked` already, `text[copied..at]` holds no secret.
        let (mut copied, mut at) = (0, 0);
        while let Some(skipped) = text[at..].iter().position(|byte| first[usize::from(*byte)]) {
            at += skipped;
            let Some(secret) = self.secrets.iter().find(|secret| text[at..].starts_with(secret)) else {
                at += 1;
                continue;
            };
            let masked = masked.get_or_insert_with(|| Vec::with_capacity(text.len()));
            masked.extend_from_slice(&text[copied..at]);
            masked.extend_from_slice(MASK.as_bytes());
            at += secret.len();
            copied = at;
        }
        match masked {
            None => Cow::Borrowed(text),
            Some(mut masked) => {
                masked.extend_from_slice(&text[copied..]);
                Cow::Owned(masked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_nothing_else() {
        let masker = Masker::from_environment([
            ("MYSQL_PASSWORD", "hunter2"),
            ("CONSUL_HTTP_TOKEN", "hunter2-long"),
            ("my_secret", "  padded \n"),
            ("API_KEY", "abc"),
            ("KEY_ENABLED", "TRUE"),
            ("TLS_KEY", "-----BEGIN-----\nMIIE1234\n-----END-----\n"),
            ("PATH", "/usr/bin"),
        ]);
        for (text, expected) in [
            ("", ""),
            ("/usr/bin abc true", "/usr/bin abc true"),
            ("password=hunter2, hunter2-long!", "password=***, ***!"),
            ("hunter2hunter2", "******"),
            ("hunter1 hunter", "hunter1 hunter"),
            ("x padded x", "x *** x"),
            ("MIIE1234", "***"),
            ("hhhunter2", "hh***"),
        ] {
            assert_eq!(String::from_utf8_lossy(&masker.mask(text.as_bytes())), expected);
        }
        assert!(matches!(masker.mask(b"nothing here"), Cow::Borrowed(_)));
        assert!(matches!(Masker::default().mask(b"hunter2"), Cow::Borrowed(_)));
        assert_eq!(masker.mask(b"\xff hunter2 \xfe").as_ref(), b"\xff *** \xfe");
        assert_eq!(format!("{masker:?}"), "Masker(7 secrets)");
    }
}
