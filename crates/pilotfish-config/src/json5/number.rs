//! Numbers: decimal, hexadecimal, signed, infinite.

use super::parser::Parser;
use super::{Data, SyntaxError};

impl Parser<'_> {
    /// A number; the cursor is at its sign, point or first digit.
    pub(super) fn number(&mut self) -> Result<Data, SyntaxError> {
        let negative = self.peek() == Some('-');
        if negative || self.peek() == Some('+') {
            self.next();
        }
        for (word, value) in [("Infinity", f64::INFINITY), ("NaN", f64::NAN)] {
            if self.rest.starts_with(word) {
                for _ in word.chars() {
                    self.next();
                }
                return self.ended(Data::Float(if negative { -value } else { value }));
            }
        }
        if self.rest.starts_with("0x") || self.rest.starts_with("0X") {
            self.next();
            self.next();
            return self.hexadecimal(negative);
        }
        self.decimal(negative)
    }

    fn hexadecimal(&mut self, negative: bool) -> Result<Data, SyntaxError> {
        let mut value = 0i128;
        let mut any = false;
        while let Some(digit) = self.peek().and_then(|found| found.to_digit(16)) {
            self.next();
            any = true;
            value = value.checked_mul(16).and_then(|value| value.checked_add(i128::from(digit))).unwrap_or(i128::MAX);
        }
        if !any {
            return Err(self.unexpected("a hexadecimal digit"));
        }
        let value = if negative { -value } else { value };
        match i64::try_from(value) {
            Ok(value) => self.ended(Data::Integer(value)),
            Err(_) => self.ended(Data::Float(value as f64)),
        }
    }

    fn decimal(&mut self, negative: bool) -> Result<Data, SyntaxError> {
        let mut text = String::from(if negative { "-" } else { "" });
        let whole = self.digits(&mut text);
        if whole > 1 && text.trim_start_matches('-').starts_with('0') {
            return Err(self.error("a number may not begin with 0; write it without, or as 0x... if it is hexadecimal"));
        }
        let mut integral = true;
        let mut fraction = 0;
        if self.take('.') {
            integral = false;
            text.push('.');
            fraction = self.digits(&mut text);
        }
        if whole + fraction == 0 {
            return Err(self.unexpected("a digit"));
        }
        if let Some(mark @ ('e' | 'E')) = self.peek() {
            self.next();
            integral = false;
            text.push(mark);
            if let Some(sign @ ('+' | '-')) = self.peek() {
                self.next();
                text.push(sign);
            }
            if self.digits(&mut text) == 0 {
                return Err(self.unexpected("a digit of the exponent"));
            }
        }
        match text.parse::<i64>() {
            Ok(value) if integral => self.ended(Data::Integer(value)),
            _ => {
                let value = text.parse::<f64>().map_err(|_| self.error(format!("`{text}` is not a number")))?;
                self.ended(Data::Float(value))
            }
        }
    }

    fn digits(&mut self, text: &mut String) -> usize {
        let before = text.len();
        while let Some(digit @ '0'..='9') = self.peek() {
            self.next();
            text.push(digit);
        }
        text.len() - before
    }

    /// A number ends where no letter or digit follows.
    fn ended(&self, data: Data) -> Result<Data, SyntaxError> {
        match self.peek() {
            Some(found) if found.is_alphanumeric() || matches!(found, '_' | '$' | '.') => {
                Err(self.unexpected("the end of the number (text needs quotes)"))
            }
            _ => Ok(data),
        }
    }
}
