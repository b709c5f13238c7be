//! The ACL token of a client: fixed, or in a file that may be replaced at any time.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::{Error, Secret};

/// Longest token file that is read, in bytes. Tokens are UUIDs or JWTs.
const TOKEN_FILE_LIMIT: u64 = 64 * 1024;

/// Where the token comes from, and what was last read from there.
pub(crate) struct TokenSource {
    fixed: Option<Secret>,
    file: Option<PathBuf>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// What told the file apart from earlier versions of it.
    stamp: Option<(SystemTime, u64, u64)>,
    token: Option<Secret>,
}

impl TokenSource {
    pub(crate) fn new(fixed: Option<Secret>, file: Option<PathBuf>) -> TokenSource {
        TokenSource { fixed, file, last: Mutex::default() }
    }

    /// The token to send now. A file is looked at on every call (one `stat`), and read when it is another one than before.
    /// As in Consul's own client, a file wins over a fixed token, unless the file is empty.
    pub(crate) fn current(&self) -> Result<Option<Secret>, Error> {
        self.look(false)
    }

    /// Reads the file again and says whether the token is another one than `refused`.
    ///
    /// File systems with coarse time stamps can hide a change from [`TokenSource::current`], so a refused token is a reason to read.
    pub(crate) fn changed_since(&self, refused: Option<&Secret>) -> bool {
        self.file.is_some() && self.look(true).is_ok_and(|token| token.as_ref() != refused)
    }

    fn look(&self, always_read: bool) -> Result<Option<Secret>, Error> {
        let Some(file) = &self.file else { return Ok(self.fixed.clone()) };
        let failed = |error: std::io::Error| Error::Config {
            text: format!("cannot read consul token file {}: {error}; check CONSUL_HTTP_TOKEN_FILE", file.display()),
        };
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let stamp = match std::fs::metadata(file) {
            Ok(metadata) => stamp(&metadata),
            // While a file is being replaced it may be away for a moment; the last token is then still the best guess.
            Err(_) if last.stamp.is_some() => return Ok(last.token.clone()),
            Err(error) => return Err(failed(error)),
        };
        if always_read || last.stamp != Some(stamp) {
            if stamp.1 > TOKEN_FILE_LIMIT {
                return Err(failed(std::io::Error::other("it is larger than 64 KiB, so it is no token")));
            }
            let text = std::fs::read_to_string(file).map_err(failed)?;
            let text = text.trim();
            last.token = if text.is_empty() { self.fixed.clone() } else { Some(Secret::new(text)) };
            last.stamp = Some(stamp);
        }
        Ok(last.token.clone())
    }
}

fn stamp(metadata: &std::fs::Metadata) -> (SystemTime, u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), metadata.ino())
}
