//! What a catalog keeps in its data directory: every acknowledged write survives the end of the process, however it came.
//!
//! ```text
//! start:   file --> image --> State::resume --> batches applied --> State::restarted --> new image
//! running: batch --> append, fsync --> applied --> acknowledged        (see `writer`)
//! ```
//!
//! The state is small and in memory, and what changes it is one stream of commands with times: so a log of that stream is all there is to
//! keep, where a database would hold a second copy of every table.

mod file;
mod frame;
mod journal;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use file::Error;
pub(crate) use journal::Journal;

use crate::state::{Command, Identity, Kept, State, Time};
use file::Directory;

/// Everything, at one moment.
#[derive(Debug, Serialize, Deserialize)]
struct Image {
    /// Who the catalog was that wrote it; the UUID of its node stays the same.
    identity: Identity,
    /// When it was written, in milliseconds since 1970.
    wall: u64,
    state: Kept,
}

/// Commands that were applied together, at one time.
#[derive(Debug, Deserialize)]
struct Batch {
    at: Time,
    wall: u64,
    commands: Vec<Command>,
}

/// As [`Batch`], to be written.
#[derive(Debug, Serialize)]
struct BatchOf<'a> {
    at: Time,
    wall: u64,
    commands: &'a [&'a Command],
}

/// Milliseconds since 1970; it may jump, and decides only over how long the process was away.
fn wall() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// What a data directory held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The file.
    pub path: PathBuf,
    /// Bytes of it.
    pub length: usize,
    /// Batches of commands after the image.
    pub batches: usize,
    /// Bytes at the end that were no whole batch, and are cut off: what was being written was not acknowledged.
    pub torn: usize,
}

impl fmt::Display for Recovered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recovered { path, length, batches, torn } = self;
        write!(formatter, "{} bytes of {} are read, with {batches} batches of writes", length - torn, path.display())?;
        if *torn > 0 {
            let at = length - torn;
            write!(formatter, "; the {torn} bytes after byte {at} are cut off: a write that was not finished")?;
        }
        Ok(())
    }
}

/// Opens a data directory, makes the state of what is in it, and begins a new log. The identity gets the node's UUID of the first time.
///
/// # Errors
/// See [`Error`].
pub(crate) fn open(path: &Path, mut identity: Identity) -> Result<(Journal, State, Option<Recovered>), Error> {
    let (directory, found) = Directory::open(path)?;
    let file = directory.file();
    let (state, recovered) = match found {
        None => (State::new(identity, Time::ZERO), None),
        Some(found) => {
            let frames = found.frames(&file)?;
            let damaged = |offset: usize, error: serde_json::Error| Error::Damaged {
                path: file.clone(),
                offset,
                reason: format!("this version cannot read it: {error}"),
            };
            let mut contents = frames.contents.iter();
            let batches = frames.contents.len() - 1;
            // A file without its first frame is damaged, and told so above.
            let (at, image) = contents.next().copied().unwrap_or((0, b""));
            let image: Image = serde_json::from_slice(image).map_err(|error| damaged(at, error))?;
            identity.node_id.clone_from(&image.identity.node_id);
            let (mut state, mut last) = (State::resume(image.identity, image.state), image.wall);
            for (at, batch) in contents {
                let batch: Batch = serde_json::from_slice(batch).map_err(|error| damaged(*at, error))?;
                last = batch.wall;
                for command in batch.commands {
                    // Whoever was refused then is refused now.
                    let _ = state.apply(command, batch.at);
                }
            }
            let away = Duration::from_millis(wall().saturating_sub(last));
            let recovered = Recovered { path: file, length: found.bytes.len(), batches, torn: frames.torn };
            (state.restarted(identity, away), Some(recovered))
        }
    };
    let journal = Journal::begin(directory, &state)?;
    Ok((journal, state, recovered))
}
