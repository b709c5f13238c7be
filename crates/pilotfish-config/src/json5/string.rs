//! Strings and their escapes.

use super::SyntaxError;
use super::parser::Parser;

impl Parser<'_> {
    /// A string in single or double quotes; the cursor is at the opening quote.
    pub(super) fn string(&mut self) -> Result<String, SyntaxError> {
        let unclosed = self.error("this text is never closed; a quote is missing");
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(unclosed),
                found if found == quote => {
                    self.next();
                    return Ok(text);
                }
                Some('\n' | '\r') => {
                    return Err(
                        self.error("text may not go over the end of a line; close the quote, or end the line with \\")
                    );
                }
                Some('\\') => {
                    self.next();
                    if let Some(found) = self.escape(&unclosed)? {
                        text.push(found);
                    }
                }
                Some(found) => {
                    self.next();
                    text.push(found);
                }
            }
        }
    }

    /// What follows a backslash; a line continuation is no character at all.
    fn escape(&mut self, unclosed: &SyntaxError) -> Result<Option<char>, SyntaxError> {
        let here = self.at;
        let Some(found) = self.next() else { return Err(unclosed.clone()) };
        Ok(Some(match found {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => '\0',
            '0'..='9' => {
                return Err(SyntaxError {
                    at: here,
                    message: "a digit may not follow \\; write \\xNN or \\uNNNN".into(),
                });
            }
            'x' => self.hex_escape(2)?,
            'u' => self.unicode_escape()?,
            '\n' | '\u{2028}' | '\u{2029}' => return Ok(None),
            '\r' => {
                self.take('\n');
                return Ok(None);
            }
            other => other,
        }))
    }

    fn hex_escape(&mut self, digits: usize) -> Result<char, SyntaxError> {
        let here = self.at;
        let code = self.hex(digits)?;
        char::from_u32(code)
            .ok_or(SyntaxError { at: here, message: format!("\\u{code:04X} is half of a surrogate pair") })
    }

    /// `XXXX`, or `XXXX\uXXXX` when the first is the upper half of a surrogate pair.
    pub(super) fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let here = self.at;
        let first = self.hex(4)?;
        if !(0xd800..0xdc00).contains(&first) || !self.rest.starts_with("\\u") {
            let error = SyntaxError { at: here, message: format!("\\u{first:04X} is half of a surrogate pair") };
            return char::from_u32(first).ok_or(error);
        }
        self.next();
        self.next();
        let second = self.hex(4)?;
        let error = SyntaxError { at: here, message: format!("\\u{first:04X}\\u{second:04X} is no surrogate pair") };
        if !(0xdc00..0xe000).contains(&second) {
            return Err(error);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(error)
    }

    fn hex(&mut self, digits: usize) -> Result<u32, SyntaxError> {
        let mut code = 0;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|found| found.to_digit(16)) else {
                return Err(self.unexpected(&format!("{digits} hexadecimal digits")));
            };
            self.next();
            code = code * 16 + digit;
        }
        Ok(code)
    }
}
