//! Base64, in both alphabets, with Go's errors.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::mismatch;
use crate::functions::{Call, Function, FunctionError, Functions};
use crate::value::{Type, Value};

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn add(functions: &mut Functions) {
    for (encode, decode, alphabet) in
        [("base64Encode", "base64Decode", STANDARD), ("base64URLEncode", "base64URLDecode", URL)]
    {
        functions
            .insert(
                encode,
                Function::new([Type::String], move |call, arguments| {
                    let [Value::String(text)] = arguments else { return Err(mismatch()) };
                    call.build(text.len() / 3 * 4 + 4)?;
                    Ok(Value::from(encoded(text.as_bytes(), alphabet)))
                }),
            )
            .insert(
                decode,
                Function::new([Type::String], move |call: &mut Call<'_>, arguments: &[Value]| {
                    let [Value::String(text)] = arguments else { return Err(mismatch()) };
                    call.build(text.len())?;
                    let bytes = decoded(text.as_bytes(), alphabet).map_err(|at| {
                        FunctionError::from(format!("{decode}: illegal base64 data at input byte {at}"))
                    })?;
                    Ok(Value::from(String::from_utf8_lossy(&bytes).as_ref()))
                }),
            );
    }
}

fn encoded(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0_u32, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = alphabet[(group >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// The bytes, or where the text is wrong. Line ends are skipped.
fn decoded(text: &[u8], alphabet: &[u8; 64]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut letters = text.iter().copied().enumerate().filter(|(_, letter)| !matches!(letter, b'\r' | b'\n'));
    loop {
        let mut group = 0_u32;
        for place in 0..4 {
            let Some((at, letter)) = letters.next() else {
                return if place == 0 { Ok(out) } else { Err(text.len() - place) };
            };
            match alphabet.iter().position(|known| *known == letter) {
                Some(six) => group = group << 6 | six as u32,
                None if letter != b'=' || place < 2 => return Err(at),
                None => {
                    if place == 2 {
                        match letters.next() {
                            Some((_, b'=')) => {}
                            Some((at, _)) => return Err(at - 1),
                            None => return Err(text.len()),
                        }
                    }
                    if let Some((at, _)) = letters.next() {
                        return Err(at);
                    }
                    let group = group << (6 * (4 - place));
                    out.extend(&group.to_be_bytes()[1..place]);
                    return Ok(out);
                }
            }
        }
        out.extend(&group.to_be_bytes()[1..]);
    }
}
