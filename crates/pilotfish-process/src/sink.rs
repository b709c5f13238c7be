//! Our own log output: a descriptor that can be full or closed, and must never make the supervisor wait.
//!
//! The main application shares our standard output, and `O_NONBLOCK` belongs to the shared open file description: set
//! there, it would break the application. So a description of our own is opened where that is possible, and otherwise
//! each write says for itself that it must not wait.

use crate::watched::watch;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What became of the bytes that were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// So many of them were written: all, or fewer when the reader is slow.
    Bytes(usize),
    /// None can be written now; [`Sink::writable`] tells when to try again.
    WouldBlock,
    /// Nobody reads any more, or the medium refuses: what is written is lost.
    Closed,
}

/// Writes to one of our own descriptors without ever blocking.
#[derive(Debug)]
pub struct Sink {
    file: Target,
    how: How,
}

/// Regular files are always ready, and epoll refuses them.
#[derive(Debug)]
enum Target {
    Watched(AsyncFd<OwnedFd>),
    Ready(OwnedFd),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The description is our own and does not block, or it is one that never does.
    Plain,
    /// A socket: each call can say that it must not wait.
    Socket,
    /// A shared description: each call says that it must not wait (pwritev2(2), pipes since Linux 6.4).
    NoWait,
    /// A shared description on a kernel that cannot: we write what fits in any case once there is room at all.
    Polled,
}

impl Sink {
    /// A sink for a descriptor of ours, which stays open and unchanged. Call it within the tokio runtime.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn new(descriptor: BorrowedFd<'_>) -> io::Result<Self> {
        let copy = File::from(descriptor.try_clone_to_owned()?);
        let kind = copy.metadata()?.file_type();
        let copy = OwnedFd::from(copy);
        let number = copy.as_raw_fd();
        // SAFETY: takes no memory of ours.
        let terminal = unsafe { libc::isatty(number) } == 1;
        let (file, how) = if kind.is_socket() {
            (copy, How::Socket)
        } else if kind.is_fifo() || terminal {
            let flags = libc::O_NONBLOCK | libc::O_APPEND | libc::O_NOCTTY;
            let reopened = OpenOptions::new().write(true).custom_flags(flags).open(format!("/proc/self/fd/{number}"));
            match reopened {
                Ok(own) => (own.into(), How::Plain),
                // The pipe is another user's, the terminal is another namespace's, or nobody reads.
                Err(_) => (copy, How::NoWait),
            }
        } else {
            // A regular file never says "later". It is not reopened, because both would then write at their own offsets.
            (copy, How::Plain)
        };
        Ok(Sink::writing(file, how))
    }

    fn writing(file: OwnedFd, how: How) -> Self {
        let file = match watch(file, Interest::WRITABLE) {
            Ok(watched) => Target::Watched(watched),
            Err((file, _)) => Target::Ready(file),
        };
        Sink { file, how }
    }

    /// Writes what can be written at once.
    pub fn try_write(&mut self, bytes: &[u8]) -> Written {
        loop {
            let count = match self.how {
                How::Plain => plain(self.descriptor(), bytes),
                How::Socket => send(self.descriptor(), bytes),
                How::NoWait => no_wait(self.descriptor(), bytes),
                How::Polled => polled(self.descriptor(), bytes),
            };
            if let Ok(count) = usize::try_from(count) {
                return Written::Bytes(count);
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => return Written::WouldBlock,
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) if self.how == How::NoWait => {
                    self.how = How::Polled;
                }
                Some(_) | None => return Written::Closed,
            }
        }
    }

    /// Waits until [`Sink::try_write`] is worth another try. Cancel-safe.
    pub async fn writable(&mut self) {
        let Target::Watched(file) = &self.file else { return };
        // Readiness fails only while the runtime shuts down.
        while let Ok(mut guard) = file.writable().await {
            if has_room(file.as_raw_fd()) {
                return;
            }
            // It was remembered from before the descriptor was full.
            guard.clear_ready();
        }
    }

    fn descriptor(&self) -> i32 {
        match &self.file {
            Target::Watched(file) => file.as_raw_fd(),
            Target::Ready(file) => file.as_raw_fd(),
        }
    }
}

fn plain(descriptor: i32, bytes: &[u8]) -> isize {
    // SAFETY: the pointer and the length are those of `bytes`.
    unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) }
}

fn send(descriptor: i32, bytes: &[u8]) -> isize {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length are those of `bytes`.
    unsafe { libc::send(descriptor, bytes.as_ptr().cast(), bytes.len(), flags) }
}

fn no_wait(descriptor: i32, bytes: &[u8]) -> isize {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: one part is given, which describes `bytes`; it is only read from.
    unsafe { libc::pwritev2(descriptor, &part, 1, -1, libc::RWF_NOWAIT) }
}

/// A pipe that says it has room takes `PIPE_BUF` bytes, unless the application fills it between the two calls: this is the
/// one case left in which a write can wait.
fn polled(descriptor: i32, bytes: &[u8]) -> isize {
    if !has_room(descriptor) {
        // SAFETY: the place is this thread's own.
        unsafe { *libc::__errno_location() = libc::EAGAIN };
        return -1;
    }
    plain(descriptor, &bytes[..bytes.len().min(libc::PIPE_BUF)])
}

fn has_room(descriptor: i32) -> bool {
    let mut entry = libc::pollfd { fd: descriptor, events: libc::POLLOUT, revents: 0 };
    // SAFETY: exactly one valid entry is given.
    unsafe { libc::poll(&mut entry, 1, 0) > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, PipeWriter, Read, pipe};

    /// A pipe, and a sink that writes to it in this way.
    fn sink(how: How) -> (PipeReader, PipeWriter, Sink) {
        let (reader, writer) = pipe().unwrap();
        let sink = Sink::writing(writer.try_clone().unwrap().into(), how);
        (reader, writer, sink)
    }

    fn blocks(writer: &PipeWriter) -> bool {
        // SAFETY: no memory is involved.
        unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK == 0 }
    }

    /// Writes until there is no room; what was written.
    fn fill(sink: &mut Sink, text: &[u8]) -> usize {
        let mut bytes = 0;
        while let Written::Bytes(count) = sink.try_write(text) {
            bytes += count;
        }
        assert_eq!(sink.try_write(text), Written::WouldBlock);
        bytes
    }

    /// Bytes that fit, that do not fit, and that nobody reads any more, through a description that blocks.
    async fn check(how: How, text: &[u8]) {
        let (mut reader, writer, mut sink) = sink(how);
        for _ in 0..3 {
            let bytes = fill(&mut sink, text);
            assert!(bytes >= 4096 && blocks(&writer), "{how:?}: {bytes}");
            reader.read_exact(&mut vec![0; bytes]).unwrap();
            tokio::time::timeout(std::time::Duration::from_secs(30), sink.writable()).await.unwrap();
        }
        drop(reader);
        assert_eq!(sink.try_write(text), Written::Closed, "{how:?}");
    }

    #[tokio::test]
    async fn descriptions_that_cannot_be_ours_do_not_block_us() {
        // SAFETY: no handler is installed; the library's own start-up does the same.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        for how in [How::NoWait, How::Polled] {
            for size in [1, 100, 4096, 100_000] {
                check(how, &vec![b'x'; size]).await;
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_write_without_waiting_is_polled() {
        // A terminal's driver has no writes of that kind; so it stands for a pipe before Linux 6.4.
        // SAFETY: the descriptor is new and nobody else's.
        let terminal = unsafe {
            let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC);
            assert!(master >= 0);
            <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(master)
        };
        let mut sink = Sink::writing(terminal, How::NoWait);
        assert_eq!(sink.try_write(b"text"), Written::Bytes(4));
        assert_eq!(sink.how, How::Polled);
    }
}
