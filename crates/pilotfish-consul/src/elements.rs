//! Reads a JSON list element by element while it arrives, so that a long one is never in memory as a whole, and is read by the time its
//! last byte is there.

use serde::Deserialize;

use crate::call::Call;
use crate::{Answer, Client, Error};

/// How much of an answer is copied to end an element that has begun, in bytes; an instance of a service has about 1,500.
const PIECE: usize = 2048;

/// Takes the body of an answer as it arrives.
pub(crate) trait Sink: Send {
    /// A body begins. What an attempt before has brought counts for nothing.
    fn begin(&mut self);

    /// The next bytes of it.
    ///
    /// # Errors
    /// Why this cannot be the body that was asked for.
    fn take(&mut self, bytes: &[u8]) -> Result<(), String>;

    /// The body is whole.
    ///
    /// # Errors
    /// Why it is not.
    fn end(&mut self) -> Result<(), String>;
}

/// The type of an element, for any lifetime of the text that it borrows from.
pub(crate) trait Shape {
    /// The element.
    type Element<'a>;

    /// Reads one element, if it is whole, and says how long it is. Implementations are calls of [`first`]; they stand where the element is
    /// defined, so that the reader is compiled there, for speed and not for size.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    fn first(bytes: &[u8]) -> Result<Option<(Self::Element<'_>, usize)>, serde_json::Error>;
}

/// Reads the first element of `bytes` and says how long it is; nothing if it is not whole yet.
pub(crate) fn first<'a, E: Deserialize<'a>>(bytes: &'a [u8]) -> Result<Option<(E, usize)>, serde_json::Error> {
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<E>();
    match stream.next() {
        Some(Ok(element)) => Ok(Some((element, stream.byte_offset()))),
        Some(Err(error)) if !error.is_eof() => Err(error),
        Some(Err(_)) | None => Ok(None),
    }
}

/// Where in the list the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No body has begun.
    Nowhere,
    /// Before the opening bracket.
    Before,
    /// At an element, or at the end of an empty list.
    First,
    /// After an element.
    Between,
    /// At an element, after a comma.
    Next,
    /// After the closing bracket.
    After,
}

/// Folds the elements of a list into a value.
struct Elements<S, T, N, F> {
    shape: core::marker::PhantomData<S>,
    start: N,
    fold: F,
    value: Option<T>,
    place: Place,
    /// What has arrived and is not read yet: less than one element.
    rest: Vec<u8>,
}

impl Client {
    /// Folds the elements of the list that is the answer to a call. `start` gives the value to begin with, for each attempt anew.
    pub(crate) async fn fold<S, T, N, F>(&self, call: Call, start: N, fold: F) -> Result<Answer<T>, Error>
    where
        S: Shape + Send,
        T: Send,
        N: Fn() -> T + Send,
        F: for<'a> Fn(&mut T, S::Element<'a>) + Send,
    {
        let shape = core::marker::PhantomData::<S>;
        let mut elements = Elements { shape, start, fold, value: None, place: Place::Nowhere, rest: Vec::new() };
        let reply = self.call_into(call, Some(&mut elements)).await?;
        let value = elements.value.filter(|_| elements.place == Place::After);
        value
            .map(|value| reply.answer(value))
            .ok_or_else(|| reply.garbled(format!("status {} without a list", reply.status)))
    }
}

impl<S, T, N, F> Sink for Elements<S, T, N, F>
where
    S: Shape + Send,
    T: Send,
    N: Fn() -> T + Send,
    F: for<'a> Fn(&mut T, S::Element<'a>) + Send,
{
    fn begin(&mut self) {
        self.value = Some((self.start)());
        self.place = Place::Before;
        self.rest.clear();
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !self.rest.is_empty() && !bytes.is_empty() {
            // Only so much is copied as ends the element that has begun, about; a long one is not tried for each of its packets.
            let more = bytes.len().min(PIECE.max(self.rest.len() / 2));
            let begun = self.rest.len();
            self.rest.extend_from_slice(&bytes[..more]);
            let rest = std::mem::take(&mut self.rest);
            let read = self.read(&rest)?;
            if read <= begun {
                self.rest = rest;
                self.rest.drain(..read);
                bytes = &bytes[more..];
            } else {
                bytes = &bytes[read - begun..];
            }
        }
        let read = self.read(bytes)?;
        self.rest.extend_from_slice(&bytes[read..]);
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let rest = std::mem::take(&mut self.rest);
        let read = self.read(&rest)?;
        if self.place != Place::After || read < rest.len() {
            return Err("unexpected JSON: the list has no end".to_owned());
        }
        Ok(())
    }
}

impl<S, T, N, F> Elements<S, T, N, F>
where
    S: Shape,
    F: for<'a> Fn(&mut T, S::Element<'a>),
{
    /// Reads all whole elements; the number of bytes that are done with.
    fn read(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii_whitespace() {
                at += 1;
                continue;
            }
            self.place = match (self.place, byte) {
                (Place::Before, b'[') => Place::First,
                // Go writes a list that was never made as `null`.
                (Place::Before, b'n') if bytes.len() - at < 4 && b"null".starts_with(&bytes[at..]) => return Ok(at),
                (Place::Before, b'n') if bytes[at..].starts_with(b"null") => {
                    at += 3;
                    Place::After
                }
                (Place::First | Place::Between, b']') => Place::After,
                (Place::Between, b',') => Place::Next,
                (Place::First | Place::Next, _) => match self.element(&bytes[at..])? {
                    Some(length) => {
                        at += length;
                        self.place = Place::Between;
                        continue;
                    }
                    None => return Ok(at),
                },
                (Place::Nowhere | Place::Before | Place::Between | Place::After, _) => {
                    return Err(format!("unexpected JSON: {:?} where a list of objects goes on", char::from(*byte)));
                }
            };
            at += 1;
        }
        Ok(at)
    }

    /// Reads one element; its length, or nothing if it is not whole yet.
    fn element(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        let element = S::first(bytes);
        let found = element.map_err(|error| format!("unexpected JSON ({error}) in an element of the list"))?;
        Ok(found.map(|(element, length)| {
            if let Some(value) = &mut self.value {
                (self.fold)(value, element);
            }
            length
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Text;
    use proptest::prelude::*;

    struct Words;

    impl Shape for Words {
        type Element<'a> = Word<'a>;

        fn first(bytes: &[u8]) -> Result<Option<(Word<'_>, usize)>, serde_json::Error> {
            first(bytes)
        }
    }

    #[derive(Deserialize)]
    struct Word<'a> {
        #[serde(borrow)]
        w: Text<'a>,
    }

    fn fold(pieces: &[&[u8]]) -> Result<Vec<String>, String> {
        let mut elements = Elements {
            shape: core::marker::PhantomData::<Words>,
            start: Vec::new,
            fold: |words: &mut Vec<String>, word: Word<'_>| words.push(word.w.to_string()),
            value: None,
            place: Place::Nowhere,
            rest: Vec::new(),
        };
        // What an attempt before has brought is forgotten.
        elements.begin();
        let _ = elements.take(b"[{\"w\": \"before\"}, {");
        elements.begin();
        for piece in pieces {
            elements.take(piece)?;
        }
        elements.end()?;
        Ok(elements.value.expect("it has begun"))
    }

    #[test]
    fn lists_and_what_is_none() {
        for (text, expected) in [
            ("[]", &[][..]),
            (" null\n", &[]),
            ("[ ]\n", &[]),
            (r#"[{"w":"a"}]"#, &["a"]),
            (" [ {\"w\" : \"a\", \"x\": [1, {}]} ,\n{\"w\":\"\\u00e9]}\"} ] \n", &["a", "é]}"]),
        ] {
            assert_eq!(
                fold(&[text.as_bytes()]).as_deref(),
                Ok(&expected.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
            for cut in 0..text.len() {
                assert!(fold(&[&text.as_bytes()[..cut]]).is_err() || text[cut..].trim().is_empty(), "{text} {cut}");
            }
        }
        for text in [
            "",
            "{}",
            "nul",
            "nil",
            "[,]",
            r#"[{"w":"a"},]"#,
            r#"[{"w":"a"}{"w":"b"}]"#,
            "[]]",
            "[] x",
            r#"[{"w":1}]"#,
            "[1]",
            "[{}]",
            "\"\"",
            "[{\"w\":\"\u{1}\"}]",
        ] {
            assert!(fold(&[text.as_bytes()]).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(words in prop::collection::vec(".{0,40}", 0..20), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
            let list: Vec<_> = words.iter().map(|word| serde_json::json!({ "w": word })).collect();
            let text = serde_json::to_string(&list).unwrap();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]).collect();
            prop_assert_eq!(fold(&pieces).unwrap(), words);
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) { let _ = fold(&[&bytes]); }
    }
}
