//! Bytes as a text in base64, where serde would write a list of numbers.

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

use super::base64;

/// Writes.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64::encode(bytes))
}

/// Reads.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    base64::decode(&text).map_err(|at| D::Error::custom(format!("no base64 at byte {at}")))
}
