//! Bytes in, lines out: pure, and constant in memory whatever the bytes are.

use std::borrow::Cow;

/// The longest piece of output that is handed on at once, in bytes; a longer line comes in several pieces.
pub const LINE_LIMIT: usize = 64 * 1024;

/// How much room there is for the first read, in bytes: most processes that are started often write nothing or a line.
const FIRST_READ_BYTES: usize = 512;

/// How much there is once a read has filled its room, in bytes; more only for a line that is longer, and at most [`LINE_LIMIT`].
const READ_BYTES: usize = 8 * 1024;

/// Which of its two streams a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line of output, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was written to; always standard output where both share a pipe.
    pub stream: Stream,
    /// Its bytes, which need not be UTF-8; at most [`LINE_LIMIT`].
    pub bytes: Vec<u8>,
    /// The line was longer than [`LINE_LIMIT`]: the next piece of this stream belongs to it too.
    pub continues: bool,
}

impl Line {
    /// The line as text; what is not UTF-8 becomes the replacement character.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// The bytes of one stream that are not a whole line yet, and the whole lines that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    /// Bytes before this were taken.
    start: usize,
    /// Bytes before this are known to hold no line feed.
    scanned: usize,
}

impl Lines {
    /// Room for a read. Call it only when [`Lines::take`] found nothing: then the room needed is bounded.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        let filled = !self.buffer.is_empty() && self.buffer.len() == self.buffer.capacity();
        let least = if filled || self.buffer.capacity() >= READ_BYTES { READ_BYTES } else { FIRST_READ_BYTES };
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        let wanted = self.buffer.len().clamp(least, LINE_LIMIT);
        self.buffer.reserve(wanted);
        &mut self.buffer
    }

    /// The next whole line, or a full piece of a longer one, and whether it is such a piece.
    pub(crate) fn take(&mut self) -> Option<(Vec<u8>, bool)> {
        let end = (self.start + LINE_LIMIT).min(self.buffer.len());
        let feed = self.buffer[self.scanned..end].iter().position(|&byte| byte == b'\n').map(|at| at + self.scanned);
        match feed {
            Some(feed) => Some((self.cut(feed, feed + 1), false)),
            // A line of exactly the limit ends with the next byte; whether it does is not known before that byte came.
            None if self.buffer.len() > self.start + LINE_LIMIT => {
                let whole = self.buffer[end] == b'\n';
                Some((self.cut(end, end + usize::from(whole)), !whole))
            }
            None => {
                self.scanned = end;
                None
            }
        }
    }

    /// What is left when the stream has ended: a last line without its line feed.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        (self.start < self.buffer.len()).then(|| {
            let end = self.buffer.len();
            self.cut(end, end)
        })
    }

    fn cut(&mut self, end: usize, next: usize) -> Vec<u8> {
        let line = self.buffer[self.start..end].to_vec();
        self.start = next;
        self.scanned = next;
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in reads of one size and returns every piece.
    fn split(bytes: &[u8], read: usize) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::default();
        let mut pieces = Vec::new();
        for chunk in bytes.chunks(read) {
            lines.room().extend_from_slice(chunk);
            pieces.extend(std::iter::from_fn(|| lines.take()));
            assert!(lines.buffer.capacity() <= 4 * LINE_LIMIT);
        }
        pieces.extend(lines.rest().map(|rest| (rest, false)));
        pieces
    }

    fn check(bytes: &[u8], expect: &[(&[u8], bool)]) {
        for read in [1, 2, 3, 7, 4096, LINE_LIMIT] {
            let expect: Vec<(Vec<u8>, bool)> = expect.iter().map(|(line, more)| (line.to_vec(), *more)).collect();
            assert!(split(bytes, read) == expect, "{} bytes in reads of {read}", bytes.len());
        }
    }

    #[test]
    fn lines_of_every_shape() {
        check(b"", &[]);
        check(b"\n", &[(b"", false)]);
        check(b"one\ntwo\n", &[(b"one", false), (b"two", false)]);
        check(b"\n\nlast", &[(b"", false), (b"", false), (b"last", false)]);
        check(b"\xff\xfe\n\x00", &[(b"\xff\xfe", false), (b"\x00", false)]);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let full = vec![b'x'; LINE_LIMIT];
        let mut exact = full.clone();
        exact.push(b'\n');
        check(&exact, &[(&full, false)]);
        check(&full, &[(&full, false)]);
        let mut longer = full.clone();
        longer.extend_from_slice(b"y\nz");
        check(&longer, &[(&full, true), (b"y", false), (b"z", false)]);
    }
}
