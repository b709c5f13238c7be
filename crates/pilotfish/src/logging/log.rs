//! The log itself: records go in at any time, bytes come out as fast as the reader takes them.

use std::{
    borrow::Cow,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use pilotfish_config::{Level, LogOutput, Logging};
use pilotfish_process::Written;
use tokio::{sync::Notify, time::timeout};

use super::{
    Masker, Record, Value, format,
    output::{self, Target},
    queue::{QUEUE_BYTES, Queue},
};

/// The log; clones write to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The queue holds something that could not be written at once.
    waiting: Notify,
    /// The queue got shorter.
    room: Notify,
}

#[derive(Debug)]
struct State {
    settings: Logging,
    masker: Masker,
    queue: Queue,
    /// Lost lines that no line has told of yet.
    dropped: u64,
    /// When something was last written, which dates the line that tells of lost ones.
    last: SystemTime,
    /// `None` while a task waits for it to take more.
    target: Option<Target>,
}

/// A job's line has to wait for so many bytes of [`Log::room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full(usize);

impl Log {
    /// Opens the log. Call it within the tokio runtime.
    ///
    /// # Errors
    /// When the output cannot be opened; the error names a file's path and says what to do.
    pub(crate) fn open(settings: Logging, masker: Masker) -> io::Result<Log> {
        let target = output::open(&settings.output)?;
        Ok(Log::new(settings, masker, target))
    }

    fn new(settings: Logging, masker: Masker, target: Target) -> Log {
        let state = State {
            settings,
            masker,
            queue: Queue::default(),
            dropped: 0,
            last: SystemTime::UNIX_EPOCH,
            target: Some(target),
        };
        Log(Arc::new(Shared { state: Mutex::new(state), waiting: Notify::new(), room: Notify::new() }))
    }

    /// Whether records of a level are written at all; costly ones need not be made otherwise.
    pub(crate) fn takes(&self, level: Level) -> bool {
        level <= self.state().settings.level
    }

    /// Writes an own record if its level is wanted. It never waits: without room the record is dropped and counted.
    pub(crate) fn write(&self, record: &Record<'_>, now: SystemTime) {
        let mut state = self.state();
        if record.level > state.settings.level {
            return;
        }
        let line = state.line(record, now);
        if !state.take(&line) {
            state.dropped += 1;
        }
        self.after_write(&state);
    }

    /// Writes a line of a job.
    ///
    /// # Errors
    /// [`Full`]: the line was not taken; wait for [`Log::room`] and give it again, and read no more of the job meanwhile.
    pub(crate) fn write_job_line(&self, job: &str, pid: u32, line: &[u8], now: SystemTime) -> Result<(), Full> {
        let mut state = self.state();
        if Level::Info > state.settings.level {
            return Ok(());
        }
        let line = state.line(&Record::of_job(job, pid, line), now);
        let taken = state.take(&line);
        self.after_write(&state);
        if taken { Ok(()) } else { Err(Full(line.len())) }
    }

    /// Waits until the queue has room for a line that it refused; cancel-safe.
    pub(crate) async fn room(&self, full: Full) {
        loop {
            let notified = self.0.room.notified();
            tokio::pin!(notified);
            // Registered before looking, so that room made in between is not missed.
            notified.as_mut().enable();
            if self.state().queue.fits(full.0) {
                return;
            }
            notified.await;
        }
    }

    /// Writes what could not be written at once; runs beside everything else, for ever, and sleeps while nothing waits.
    pub(crate) async fn drive(&self) {
        loop {
            self.0.waiting.notified().await;
            self.drain().await;
        }
    }

    /// Waits until everything is written, but no longer than `limit`; says whether it is. For the end of the program.
    pub(crate) async fn flush(&self, limit: Duration) -> bool {
        timeout(limit, self.drain()).await.is_ok() && self.state().queue.is_empty()
    }

    /// Opens a file again under its name, after rotation; any other output stays as it is.
    ///
    /// # Errors
    /// When the file cannot be opened; the old one stays in use.
    pub(crate) fn reopen(&self) -> io::Result<()> {
        let mut state = self.state();
        if let LogOutput::File(_) = state.settings.output {
            state.target = Some(output::open(&state.settings.output)?);
            self.0.waiting.notify_one();
        }
        Ok(())
    }

    /// Takes over new settings and secrets, on reload.
    ///
    /// # Errors
    /// When the output cannot be opened; everything stays as it was.
    pub(crate) fn configure(&self, settings: Logging, masker: Masker) -> io::Result<()> {
        let mut state = self.state();
        if settings.output != state.settings.output {
            state.target = Some(output::open(&settings.output)?);
            self.0.waiting.notify_one();
        }
        state.settings = settings;
        state.masker = masker;
        Ok(())
    }

    /// Adds a secret to those that are masked, such as a variable set at run time.
    pub(crate) fn mask(&self, secret: &[u8]) {
        self.state().masker.add(secret);
    }

    /// A text as the log would show it, for what leaves by another way.
    pub(crate) fn masked(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.state().masker.mask(text.as_bytes())).into_owned()
    }

    /// Writes until the queue is empty.
    async fn drain(&self) {
        loop {
            // Taken out, so that the lock is not held while waiting; whatever happens, the borrow puts it back.
            let Some(target) = self.state().target.take() else { return self.drained_by_other().await };
            let mut borrowed = Borrowed { log: self, target: Some(target) };
            if let Some(target) = &mut borrowed.target
                && !self.state().queue.is_empty()
            {
                target.writable().await;
            }
            drop(borrowed);
            let mut state = self.state();
            state.flush_now();
            let empty = state.queue.is_empty();
            drop(state);
            self.0.room.notify_waiters();
            if empty {
                return;
            }
        }
    }

    /// Another task drains: its progress is waited for.
    async fn drained_by_other(&self) {
        loop {
            let notified = self.0.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.state().queue.is_empty() {
                return;
            }
            notified.await;
        }
    }

    fn after_write(&self, state: &State) {
        if !state.queue.is_empty() {
            self.0.waiting.notify_one();
        }
    }

    /// The state; a panic elsewhere while it was locked leaves at worst a broken line, which is no reason to stop logging.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A target that is waited for.
struct Borrowed<'a> {
    log: &'a Log,
    target: Option<Target>,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut state = self.log.state();
        // If there is one again, the output was opened anew in the meantime.
        if state.target.is_none() {
            state.target = self.target.take();
        }
    }
}

impl State {
    /// The record as a line without secrets.
    fn line(&mut self, record: &Record<'_>, now: SystemTime) -> Vec<u8> {
        self.last = now;
        let mut masked = Record { message: self.masker.mask(&record.message), ..record.clone() };
        for (_, value) in &mut masked.fields {
            if let Value::Text(text) = value
                && let Cow::Owned(bytes) = self.masker.mask(text.as_bytes())
            {
                *value = Value::Text(String::from_utf8_lossy(&bytes).into_owned().into());
            }
        }
        format::line(self.settings.format, &masked, now)
    }

    /// Writes or queues a line, or says that there is no room.
    fn take(&mut self, line: &[u8]) -> bool {
        self.confess();
        if !self.queue.fits(line.len()) {
            return false;
        }
        self.queue.push(line);
        self.flush_now();
        true
    }

    /// Queues the line that tells of lost ones, once it fits.
    fn confess(&mut self) {
        if self.dropped == 0 {
            return;
        }
        let message = format!("{} log lines dropped: the reader of the log is too slow", self.dropped);
        let line = format::line(self.settings.format, &Record::new(Level::Warn, &message), self.last);
        // Half of the queue is to be free again, else one lost line follows the other.
        if self.queue.fits(line.len() + QUEUE_BYTES / 2) {
            self.queue.push(&line);
            self.dropped = 0;
        }
    }

    /// Writes what the target takes at once.
    fn flush_now(&mut self) {
        while !self.queue.is_empty() {
            let Some(target) = &mut self.target else { return };
            match target.try_write(self.queue.head()) {
                // A file that takes nothing (a full disk) is like one that is closed.
                Written::Bytes(0) | Written::Closed => {
                    self.dropped += self.queue.clear();
                    return;
                }
                Written::Bytes(count) => self.queue.written(count),
                Written::WouldBlock => return,
            }
            if self.queue.is_empty() {
                self.confess();
            }
        }
    }
}

#[cfg(test)]
mod tests;
