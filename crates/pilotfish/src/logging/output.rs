//! Where the log goes.

use std::{fs::OpenOptions, io, os::fd::AsFd, os::unix::fs::OpenOptionsExt as _};

use pilotfish_config::LogOutput;
use pilotfish_process::{Sink, Written};

/// Opens an output. Call it within the tokio runtime.
pub(super) fn open(output: &LogOutput) -> io::Result<Target> {
    let sink = match output {
        LogOutput::Stdout => Sink::new(io::stdout().as_fd())?,
        LogOutput::Stderr => Sink::new(io::stderr().as_fd())?,
        // Not waiting matters if it is a named pipe; without a reader that is an error then (ENXIO, fifo(7)).
        LogOutput::File(path) => {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o640).custom_flags(libc::O_NONBLOCK);
            let file = options.open(path).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot open log file {path}: {error}; set logging.output"))
            })?;
            Sink::new(file.as_fd())?
        }
    };
    Ok(Target::Sink(sink))
}

/// An open output.
#[derive(Debug)]
pub(super) enum Target {
    Sink(Sink),
    /// Takes as many bytes as a test lets it.
    #[cfg(test)]
    Tap(std::sync::Arc<tests::Tap>),
}

impl Target {
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> Written {
        match self {
            Target::Sink(sink) => sink.try_write(bytes),
            #[cfg(test)]
            Target::Tap(tap) => tap.try_write(bytes),
        }
    }

    /// Waits until [`Target::try_write`] is worth another try; cancel-safe.
    pub(super) async fn writable(&mut self) {
        match self {
            Target::Sink(sink) => sink.writable().await,
            #[cfg(test)]
            Target::Tap(tap) => tap.opened.notified().await,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A reader that a test opens and closes.
    #[derive(Debug, Default)]
    pub(in super::super) struct Tap {
        pub(in super::super) room: Mutex<usize>,
        pub(in super::super) closed: Mutex<bool>,
        pub(in super::super) seen: Mutex<Vec<u8>>,
        pub(in super::super) opened: tokio::sync::Notify,
    }

    impl Tap {
        pub(super) fn try_write(&self, bytes: &[u8]) -> Written {
            if *self.closed.lock().unwrap() {
                return Written::Closed;
            }
            let mut room = self.room.lock().unwrap();
            let count = bytes.len().min(*room);
            if count == 0 {
                return Written::WouldBlock;
            }
            *room -= count;
            self.seen.lock().unwrap().extend_from_slice(&bytes[..count]);
            Written::Bytes(count)
        }

        pub(in super::super) fn open(&self, bytes: usize) {
            *self.room.lock().unwrap() += bytes;
            self.opened.notify_one();
        }

        pub(in super::super) fn text(&self) -> String {
            String::from_utf8(self.seen.lock().unwrap().clone()).unwrap()
        }
    }
}
