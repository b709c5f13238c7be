//! Bytes that wait for a slow reader, within a limit.

use std::collections::VecDeque;

/// How many bytes may wait for the reader of the log. A single line that is longer waits alone.
pub(super) const QUEUE_BYTES: usize = 256 * 1024;

/// Above this, an emptied queue gives its memory back.
const KEPT_BYTES: usize = 16 * 1024;

/// Whole lines, the first perhaps written in part.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: VecDeque<u8>,
    /// What was written last is the beginning of a line.
    torn: bool,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether a line of `length` bytes may be added.
    pub(super) fn fits(&self, length: usize) -> bool {
        self.bytes.is_empty() || self.bytes.len() + length <= QUEUE_BYTES
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        // The rest of the torn line was forgotten.
        if self.torn && self.bytes.is_empty() {
            self.bytes.push_back(b'\n');
        }
        self.bytes.extend(bytes);
    }

    /// What to write next.
    pub(super) fn head(&self) -> &[u8] {
        let (first, second) = self.bytes.as_slices();
        if first.is_empty() { second } else { first }
    }

    pub(super) fn written(&mut self, count: usize) {
        self.torn = count > 0 && self.bytes[count - 1] != b'\n';
        self.bytes.drain(..count);
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            self.bytes = VecDeque::new();
        }
    }

    /// Forgets everything and says how many lines that were.
    pub(super) fn clear(&mut self) -> u64 {
        let lines = self.bytes.iter().filter(|byte| **byte == b'\n').count();
        self.bytes = VecDeque::new();
        lines as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let mut queue = Queue::default();
        queue.push(b"one\n");
        queue.written(4);
        queue.push(b"two\n");
        queue.written(2);
        assert_eq!(queue.head(), b"o\n");
        assert_eq!(queue.clear(), 1);
        assert!(queue.is_empty());
        queue.push(b"three\n");
        assert_eq!(queue.head(), b"\nthree\n");
        queue.written(7);
        queue.push(b"four\n");
        assert_eq!(queue.head(), b"four\n");
    }
}
