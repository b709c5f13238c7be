//! The log while the catalog runs: it may fail, when the disk is full, and come back.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;

use super::file::{Directory, Error};
use super::{BatchOf, Image, wall};
use crate::state::{Command, Identity, Kept, State, Time};

/// After a failure, a new image is tried at most this often.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// While the old log can still be written to, a smaller one is tried at most this often.
const COMPACT_PAUSE: Duration = Duration::from_secs(60);

/// The log of a running catalog.
#[derive(Debug)]
pub(crate) struct Journal {
    identity: Identity,
    /// Away while it is written; gone for good if that panicked.
    directory: Option<Directory>,
    /// When a new image is to be tried again, and why there is none.
    failed: Option<(Instant, String)>,
    /// When the log may be made smaller again, after that failed.
    compact_at: Option<Instant>,
    name: String,
}

impl Journal {
    pub(super) fn begin(mut directory: Directory, state: &State) -> Result<Journal, Error> {
        let name = directory.path().display().to_string();
        let identity = state.identity().clone();
        let image = image(identity.clone(), state.keep());
        let written = image.and_then(|image| directory.replace(&image));
        written.map_err(|source| Error::Io { doing: "write", path: directory.file(), source })?;
        Ok(Journal { identity, directory: Some(directory), failed: None, compact_at: None, name })
    }

    /// Writes down a batch that is about to be applied; `durable` where somebody is to hear that it was.
    ///
    /// # Errors
    /// Why nothing of it may be acknowledged. Until the log is whole again, only what is durable tries to make it so.
    pub(crate) async fn write(
        &mut self,
        commands: &[&Command],
        at: Time,
        durable: bool,
        keep: impl FnOnce() -> Kept,
    ) -> Result<(), String> {
        if !self.is_whole() {
            if durable {
                self.renew(keep).await?;
            } else {
                return Err(self.reason());
            }
        }
        let batch = serde_json::to_vec(&BatchOf { at, wall: wall(), commands }).map_err(io::Error::from);
        let written = match batch {
            Ok(batch) => self.on_disk(move |directory| directory.append(&batch, durable)).await,
            Err(error) => Err(error),
        };
        written.map_err(|error| self.fail(&error))
    }

    /// Makes the log small again, when it has grown.
    ///
    /// # Errors
    /// Why that is not possible; what was acknowledged is there all the same.
    pub(crate) async fn compact(&mut self, keep: impl FnOnce() -> Kept) -> Result<(), String> {
        let grown = self.directory.as_ref().is_some_and(Directory::has_grown);
        if !grown || self.compact_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let renewed = self.renew(keep).await;
        self.compact_at = renewed.is_err().then(|| Instant::now() + COMPACT_PAUSE);
        renewed
    }

    /// Whether it can be written to, as far as is known.
    pub(crate) fn is_whole(&self) -> bool {
        self.directory.as_ref().is_some_and(Directory::is_whole)
    }

    /// Begins a new file with everything as it is.
    async fn renew(&mut self, keep: impl FnOnce() -> Kept) -> Result<(), String> {
        if let Some((until, reason)) = &self.failed
            && Instant::now() < *until
        {
            return Err(reason.clone());
        }
        let (identity, kept) = (self.identity.clone(), keep());
        let written = self.on_disk(move |directory| directory.replace(&image(identity, kept)?)).await;
        match written {
            Ok(()) => {
                self.failed = None;
                Ok(())
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn fail(&mut self, error: &io::Error) -> String {
        let reason = format!(
            "the catalog cannot write to its data directory {}, so nothing was changed: {error}; free space there, then try again",
            self.name
        );
        self.failed = Some((Instant::now() + RETRY_PAUSE, reason.clone()));
        reason
    }

    fn reason(&self) -> String {
        self.failed.as_ref().map_or_else(|| "the log is not whole".to_owned(), |(_, reason)| reason.clone())
    }

    /// Does something on a thread that may wait for the disk.
    async fn on_disk(
        &mut self,
        work: impl FnOnce(&mut Directory) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let Some(mut directory) = self.directory.take() else {
            return Err(io::Error::other("an earlier write broke off; start the catalog again"));
        };
        let done = spawn_blocking(move || {
            let result = work(&mut directory);
            (directory, result)
        });
        let (directory, result) = done.await.map_err(io::Error::other)?;
        self.directory = Some(directory);
        result
    }
}

fn image(identity: Identity, state: Kept) -> io::Result<Vec<u8>> {
    serde_json::to_vec(&Image { identity, wall: wall(), state }).map_err(io::Error::from)
}
