//! The output of one process, read line by line from its pipes.

use crate::lines::{Line, Lines, Stream};
use crate::watched::watch;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Reads what a process writes.
///
/// Nothing is read ahead of the consumer beyond one read, so a process that writes faster than its lines are taken is
/// slowed down by its own pipe. A process that lives on and keeps the pipe open blocks nothing: call [`Output::close`]
/// for what was written so far, or drop this.
#[derive(Debug)]
pub struct Output {
    sources: [Source; 2],
    /// Which source is asked first, so that a busy one does not hide the other.
    turn: usize,
}

#[derive(Debug)]
struct Source {
    stream: Stream,
    pipe: Option<AsyncFd<OwnedFd>>,
    lines: Lines,
    /// Bytes that may still be read; absent while the end is the writers' business.
    remaining: Option<usize>,
}

impl Output {
    /// Takes the reading ends of two pipes, which must not block, or of one for both streams.
    pub(crate) fn new(stdout: OwnedFd, stderr: Option<OwnedFd>) -> io::Result<Self> {
        let sources = [Source::new(Stream::Stdout, Some(stdout))?, Source::new(Stream::Stderr, stderr)?];
        Ok(Output { sources, turn: 0 })
    }

    /// The next line, or `None` when both streams have ended. Cancel-safe: a line is either returned or still there.
    pub async fn next(&mut self) -> Option<Line> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// From now on only what is in the pipes already is read: [`Output::next`] ends soon, whoever still holds a pipe open.
    pub fn close(&mut self) {
        for source in &mut self.sources {
            if source.remaining.is_none() {
                source.remaining = Some(source.pipe.as_ref().map_or(0, waiting_bytes));
            }
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Line>> {
        self.turn ^= 1;
        let mut ended = true;
        for index in [self.turn, self.turn ^ 1] {
            match self.sources[index].poll_next(context) {
                Poll::Ready(Some(line)) => return Poll::Ready(Some(line)),
                Poll::Ready(None) => {}
                Poll::Pending => ended = false,
            }
        }
        if ended { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl Source {
    /// Without a pipe it has ended already.
    fn new(stream: Stream, pipe: Option<OwnedFd>) -> io::Result<Self> {
        let pipe = pipe.map(|pipe| watch(pipe, Interest::READABLE).map_err(|(_, error)| error)).transpose()?;
        Ok(Source { stream, pipe, lines: Lines::default(), remaining: None })
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Line>> {
        loop {
            if let Some((bytes, continues)) = self.lines.take() {
                return Poll::Ready(Some(Line { stream: self.stream, bytes, continues }));
            }
            let Some(pipe) = self.pipe.as_ref() else {
                let rest = self.lines.rest();
                return Poll::Ready(rest.map(|bytes| Line { stream: self.stream, bytes, continues: false }));
            };
            if self.remaining == Some(0) {
                self.pipe = None;
                continue;
            }
            let read = match pipe.poll_read_ready(context) {
                Poll::Ready(Ok(mut guard)) => {
                    match guard.try_io(|pipe| read(pipe.get_ref(), self.lines.room(), self.remaining)) {
                        Ok(read) => read,
                        Err(_would_block) => continue,
                    }
                }
                Poll::Ready(Err(error)) => Err(error),
                // The runtime may not have heard yet of what is in the pipe.
                Poll::Pending if self.remaining.is_some() => read(pipe.get_ref(), self.lines.room(), self.remaining),
                Poll::Pending => return Poll::Pending,
            };
            match read {
                Ok(0) | Err(_) => self.pipe = None,
                Ok(count) => self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(count)),
            }
        }
    }
}

/// How much waits in a pipe, in bytes.
fn waiting_bytes(pipe: &AsyncFd<OwnedFd>) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, for which `count` is a valid place.
    let asked = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &mut count) };
    if asked == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// Reads into the spare capacity of `buffer`, at most `limit` bytes.
fn read(pipe: &OwnedFd, buffer: &mut Vec<u8>, limit: Option<usize>) -> io::Result<usize> {
    loop {
        let spare = buffer.spare_capacity_mut();
        let size = spare.len().min(limit.unwrap_or(usize::MAX));
        // SAFETY: the pointer and size describe spare capacity that belongs to `buffer` alone.
        let count = unsafe { libc::read(pipe.as_raw_fd(), spare.as_mut_ptr().cast(), size) };
        if let Ok(count) = usize::try_from(count) {
            // SAFETY: the system has just written `count` bytes into the spare capacity.
            unsafe { buffer.set_len(buffer.len() + count) };
            return Ok(count);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
