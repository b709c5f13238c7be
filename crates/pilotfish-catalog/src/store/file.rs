//! One directory with one file: an image of everything, and after it the batches of commands that followed.
//!
//! The file is replaced as a whole when the batches have grown: the new one is written beside it, and takes its name only when it is on disk. So
//! there is always one file, and it is always whole, except for a batch at its end.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::frame::{FRAME_HEAD, Frames, HEAD, divide, frame, head};
use crate::identity;

/// The file.
const NAME: &str = "catalog.log";
/// It while it is written.
const NEW: &str = "catalog.log.new";
/// What is locked as long as a process uses the directory.
const LOCK: &str = "lock";

/// The batches may grow to this many bytes, or to twice the image if that is more, before there is a new image.
const LOG_MIN: u64 = 16 << 20;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses something.
    #[error("cannot {doing} {path}: {source}; choose another directory with --data, or give its owner the right")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{0} is used by another catalog; end that one, or choose another directory with --data")]
    Locked(PathBuf),
    /// What was written is not there as it was.
    #[error("{} is damaged at byte {offset}: {reason}. {}", path.display(), remedy(path, *offset))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its beginning.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// What can be done about damage.
fn remedy(path: &Path, offset: usize) -> String {
    let path = path.display();
    let cut = format!(", or give up all that was written after that place with `truncate --size={offset} {path}`");
    let cut = if offset > HEAD { cut } else { String::new() };
    format!("Put back a copy of it{cut}, or move it away and begin with nothing")
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
}

impl Found {
    /// Its frames: the image, then the batches.
    pub(super) fn frames(&self, path: &Path) -> Result<Frames<'_>, Error> {
        divide(&self.bytes).map_err(|damage| Error::Damaged {
            path: path.to_owned(),
            offset: damage.offset,
            reason: damage.reason.to_owned(),
        })
    }
}

/// A directory that this process alone uses.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked until it is closed, also by the end of the process.
    _lock: File,
    log: Option<Log>,
}

/// The file, and what is known of it.
#[derive(Debug)]
struct Log {
    file: File,
    salt: u64,
    /// Bytes that are whole.
    length: u64,
    /// Bytes of the image.
    image: u64,
}

impl Directory {
    /// Takes the directory, and reads what is in it.
    pub(super) fn open(path: &Path) -> Result<(Directory, Option<Found>), Error> {
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { doing, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the directory", path))?;
        // So that the directory itself is on disk; where its parent cannot be read, it has been there before.
        if let Ok(parent) = File::open(path.join("..")) {
            parent.sync_all().map_err(failed("write the directory above", path))?;
        }
        let name = path.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&name);
        let lock = lock.map_err(failed("open", &name))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Locked(path.to_owned())),
            Err(error) => return Err(failed("lock", &name)(error.into())),
        }
        let directory = Directory { path: path.to_owned(), _lock: lock, log: None };
        let name = directory.file();
        let mut bytes = Vec::new();
        match File::open(&name) {
            Ok(mut file) => file.read_to_end(&mut bytes).map_err(failed("read", &name))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((directory, None)),
            Err(error) => return Err(failed("open", &name)(error)),
        };
        Ok((directory, Some(Found { bytes })))
    }

    /// The file.
    pub(super) fn file(&self) -> PathBuf {
        self.path.join(NAME)
    }

    /// Replaces the file by one that holds only an image; when this returns without an error, that is on disk.
    pub(super) fn replace(&mut self, image: &[u8]) -> io::Result<()> {
        let new = self.path.join(NEW);
        let written = write_new(&new, image);
        if written.is_err() {
            // It may be in the way of what needs the space; if that fails too, the next one overwrites it.
            let _ = std::fs::remove_file(&new);
        }
        let log = written?;
        // From here on it is not known under which name the file before can be found.
        self.log = None;
        std::fs::rename(&new, self.file())?;
        File::open(&self.path)?.sync_all()?;
        self.log = Some(log);
        Ok(())
    }

    /// Adds a batch; `durable` waits until it is on disk. After an error the file must be replaced before anything is added again.
    pub(super) fn append(&mut self, batch: &[u8], durable: bool) -> io::Result<()> {
        let mut log = self.log.take().ok_or(io::ErrorKind::NotFound)?;
        let frame = frame(log.salt, log.length, batch).ok_or(io::ErrorKind::FileTooLarge)?;
        let written = log.file.write_all_at(&frame, log.length);
        let written = written.and_then(|()| if durable { log.file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            // What was not acknowledged should not come back; if it does, nobody was told that it would not.
            let _ = log.file.set_len(log.length);
            return Err(error);
        }
        log.length += (FRAME_HEAD + batch.len()) as u64;
        self.log = Some(log);
        Ok(())
    }

    /// Whether there is a file that batches can be added to.
    pub(super) fn is_whole(&self) -> bool {
        self.log.is_some()
    }

    /// Whether the batches have grown so much that a new image is smaller.
    pub(super) fn has_grown(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.length - log.image > LOG_MIN.max(2 * log.image))
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn write_new(path: &Path, image: &[u8]) -> io::Result<Log> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    // Unlike that of any file before, so that its frames are not taken for frames of this one.
    let salt = identity::chance();
    let mut bytes = head(salt);
    let content = frame(salt, bytes.len() as u64, image).ok_or(io::ErrorKind::FileTooLarge)?;
    bytes.extend_from_slice(&content);
    file.write_all_at(&bytes, 0)?;
    file.sync_all()?;
    let length = bytes.len() as u64;
    Ok(Log { file, salt, length, image: length })
}
