//! Digests of texts, in hexadecimal digits.

use alloc::format;
use alloc::string::String;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::config::mismatch;
use crate::functions::{Function, Functions};
use crate::value::{Type, Value};

/// Bytes that are digested in the time of one step, in bytes.
const BYTES_PER_STEP: usize = 16;

pub(super) fn add(functions: &mut Functions) {
    for (name, digest) in [("md5sum", md5 as fn(&[u8]) -> String), ("sha256Hex", sha256)] {
        functions.insert(
            name,
            Function::new([Type::String], move |call, arguments| {
                let [Value::String(text)] = arguments else { return Err(mismatch()) };
                call.spend((text.len() / BYTES_PER_STEP) as u64)?;
                Ok(Value::from(digest(text.as_bytes())))
            }),
        );
    }
    functions.insert(
        "hmacSHA256Hex",
        Function::new([Type::String, Type::String], |call, arguments| {
            let [Value::String(message), Value::String(key)] = arguments else { return Err(mismatch()) };
            call.spend(((message.len() + key.len()) / BYTES_PER_STEP) as u64)?;
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key may be of any length");
            mac.update(message.as_bytes());
            Ok(Value::from(hexadecimal(&mac.finalize().into_bytes())))
        }),
    );
}

fn md5(bytes: &[u8]) -> String {
    hexadecimal(&Md5::digest(bytes))
}

fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
