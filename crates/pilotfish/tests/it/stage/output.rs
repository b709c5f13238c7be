//! The lines that a program has written.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, MutexGuard};

/// Lines that are kept; of a flood the last ones.
const KEPT_LINES: usize = 20_000;
/// Bytes that are kept of a line.
const KEPT_BYTES: usize = 128 * 1024;

/// Lines that a failed test shows.
const SHOWN_LINES: usize = 100;
/// Characters that it shows of a line.
const SHOWN_CHARACTERS: usize = 500;

/// Lines that a thread collects as they come.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    longest: usize,
    bytes: u64,
    ended: bool,
}

impl Lines {
    /// Reads until the end of the stream.
    pub(super) fn collect(stream: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let writer = lines.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::with_capacity(1 << 16, stream);
            let mut line = Vec::new();
            while let Ok(length @ 1..) = reader.read_until(b'\n', &mut line) {
                let mut state = writer.lock();
                state.bytes += length as u64;
                let text = line.strip_suffix(b"\n").unwrap_or(&line);
                state.longest = state.longest.max(text.len());
                let text = &text[..text.len().min(KEPT_BYTES)];
                state.lines.push_back(String::from_utf8_lossy(text).into_owned());
                if state.lines.len() > KEPT_LINES {
                    state.lines.pop_front();
                }
                line.clear();
            }
            writer.lock().ended = true;
        });
        lines
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The first line that contains a text.
    pub(crate) fn find(&self, part: &str) -> Option<String> {
        self.lock().lines.iter().find(|line| line.contains(part)).cloned()
    }

    /// The last line that contains a text, if it is one of the last few.
    pub(crate) fn find_last(&self, part: &str) -> Option<String> {
        self.lock().lines.iter().rev().take(20).find(|line| line.contains(part)).cloned()
    }

    /// All lines that contain a text.
    pub(crate) fn all(&self, part: &str) -> Vec<String> {
        self.lock().lines.iter().filter(|line| line.contains(part)).cloned().collect()
    }

    /// Everything that is kept.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<String> = self.lock().lines.iter().cloned().collect();
        lines.join("\n")
    }

    /// The last lines, each as far as it is of interest.
    pub(super) fn excerpt(&self) -> String {
        let state = self.lock();
        let last = state.lines.iter().skip(state.lines.len().saturating_sub(SHOWN_LINES));
        let lines: Vec<String> = last.map(|line| line.chars().take(SHOWN_CHARACTERS).collect()).collect();
        lines.join("\n")
    }

    /// Length of the longest line so far, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.lock().longest
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Whether the other end is closed.
    pub(crate) fn ended(&self) -> bool {
        self.lock().ended
    }
}
