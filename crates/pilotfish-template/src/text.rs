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

    /// The same with room for `expected` bytes.
    pub(crate) fn with_capacity(limit: usize, reason: Limit, expected: usize) -> Self {
        Text { buffer: String::with_capacity(expected.min(limit)), ..Text::new(limit, reason) }
    }

    pub(crate) fn push_number(&mut self, number: i64) {
        // As many digits as the largest has, from the last one on.
        let mut digits = [0_u8; 20];
        let mut start = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            self.push('-');
        }
        self.push_str(core::str::from_utf8(&digits[start..]).expect("digits are ASCII"));
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
