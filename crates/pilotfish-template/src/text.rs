//! A text that stops growing at its limit, so that no format or loop can fill the memory.

use alloc::string::String;

use crate::limits::Limit;

/// A string with an upper bound. What would exceed it is dropped and remembered, so that writers need no error path.
pub(crate) struct Text {
    buffer: String,
    limit: usize,
    exceeded: Option<Limit>,
    reason: Limit,
}

impl Text {
    /// An empty text of at most `limit` bytes; going over it is reported as `reason`.
    pub(crate) fn new(limit: usize, reason: Limit) -> Self {
        Text { buffer: String::new(), limit, exceeded: None, reason }
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        if self.exceeded.is_none() {
            if text.len() > self.limit - self.buffer.len() {
                self.exceeded = Some(self.reason);
            } else {
                self.buffer.push_str(text);
            }
        }
    }

    pub(crate) fn push(&mut self, character: char) {
        self.push_str(character.encode_utf8(&mut [0; 4]));
    }

    /// Appends `character` `count` times.
    pub(crate) fn fill(&mut self, character: char, count: usize) {
        if self.exceeded.is_none() {
            if count.saturating_mul(character.len_utf8()) > self.limit - self.buffer.len() {
                self.exceeded = Some(self.reason);
            } else {
                self.buffer.extend(core::iter::repeat_n(character, count));
            }
        }
    }

    /// Gives the text up for `reason`; nothing is appended from here on.
    pub(crate) fn exceed(&mut self, reason: Limit) {
        self.exceeded.get_or_insert(reason);
    }

    pub(crate) fn exceeded(&self) -> Option<Limit> {
        self.exceeded
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn into_string(self) -> String {
        self.buffer
    }

    /// The whole text, or the limit it ran into.
    pub(crate) fn finish(self) -> Result<String, Limit> {
        match self.exceeded {
            None => Ok(self.buffer),
            Some(limit) => Err(limit),
        }
    }
}
