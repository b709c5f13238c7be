//! Our own log output, onto descriptors that are full, closed, or shared.

use crate::Case;
use crate::kit::{Directory, soon, with_processes};
use pilotfish_process::{Sink, Written};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

pub(crate) const CASES: &[Case] = &[
    ("a_full_pipe", a_full_pipe),
    ("a_closed_pipe", a_closed_pipe),
    ("a_pipe_of_another_user", a_pipe_of_another_user),
    ("a_socket", a_socket),
    ("a_file_is_written_at_the_shared_offset", a_file_is_written_at_the_shared_offset),
];

/// A line of a kind, short enough to be written whole or not at all.
const TEXT: &[u8] = &[b'x'; 4096];

fn fill(sink: &mut Sink) -> usize {
    let mut bytes = 0;
    loop {
        match sink.try_write(TEXT) {
            Written::Bytes(count) => bytes += count,
            Written::WouldBlock => return bytes,
            Written::Closed => panic!("somebody reads"),
        }
    }
}

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for both numbers, and the descriptors are nobody else's.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

fn blocks(descriptor: &impl AsRawFd) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK == 0 }
}

fn a_full_pipe() {
    with_processes(|_| async {
        let (reader, writer) = pipe();
        is_filled_and_emptied(reader, &writer).await;
    });
}

/// Fills a pipe through a sink until it would block, three times, and never blocks.
async fn is_filled_and_emptied(mut reader: File, writer: &File) {
    let mut sink = Sink::new(writer.as_fd()).expect("a sink");
    for _ in 0..3 {
        let bytes = fill(&mut sink);
        assert!(bytes >= TEXT.len());
        assert!(blocks(writer), "the application's description is untouched");
        tokio::select! {
            biased;
            () = sink.writable() => panic!("it is full"),
            () = tokio::task::yield_now() => {}
        }
        let read = std::thread::spawn(move || {
            reader.read_exact(&mut vec![0; bytes]).expect("it was written");
            reader
        });
        soon(sink.writable()).await;
        reader = read.join().expect("it reads");
    }
}

fn a_closed_pipe() {
    with_processes(|_| async {
        let (reader, writer) = pipe();
        let mut sink = Sink::new(writer.as_fd()).expect("a sink");
        drop(reader);
        assert_eq!(sink.try_write(TEXT), Written::Closed);
        soon(sink.writable()).await;
        // Nobody reads from the start: such a pipe cannot even be opened again.
        let mut sink = Sink::new(writer.as_fd()).expect("a sink");
        assert_eq!(sink.try_write(TEXT), Written::Closed);
    });
}

/// As where the engine of containers made our output and we run as somebody else: it cannot be opened again.
fn a_pipe_of_another_user() {
    let (reader, writer) = pipe();
    // SAFETY: no memory is involved; there is one thread.
    if unsafe { libc::setgid(65533) < 0 || libc::setuid(65533) < 0 } {
        return eprintln!("not tested: there is no other user here");
    }
    let again = File::options().write(true).open(format!("/proc/self/fd/{}", writer.as_raw_fd()));
    assert_eq!(again.expect_err("it is root's").kind(), std::io::ErrorKind::PermissionDenied);
    with_processes(|_| async {
        is_filled_and_emptied(reader, &writer).await;
    });
}

fn a_socket() {
    with_processes(|_| async {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let mut sink = Sink::new(near.as_fd()).expect("a sink");
        let bytes = fill(&mut sink);
        assert!(blocks(&near));
        far.read_exact(&mut vec![0; bytes]).expect("it was written");
        soon(sink.writable()).await;
        assert_eq!(sink.try_write(b"more"), Written::Bytes(4));
        drop(far);
        assert_eq!(sink.try_write(b"more"), Written::Closed);
    });
}

fn a_file_is_written_at_the_shared_offset() {
    with_processes(|_| async {
        let directory = Directory::new("file");
        let path = directory.path().join("log");
        let mut application = File::create(&path).expect("a file");
        let mut sink = Sink::new(OwnedFd::from(application.try_clone().expect("a copy")).as_fd()).expect("a sink");
        application.write_all(b"one\n").expect("it is written");
        assert_eq!(sink.try_write(b"two\n"), Written::Bytes(4));
        application.write_all(b"three\n").expect("it is written");
        soon(sink.writable()).await;
        assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "one\ntwo\nthree\n");
    });
}
