//! Small pieces of Consul's JSON that several calls share.

use serde::{Deserialize, Deserializer};

/// Go writes an empty list or map as `null`.
pub(crate) fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Base64 text as bytes; `null` is empty.
pub(crate) fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text: Option<String> = Option::deserialize(from)?;
    crate::base64::decode(&text.unwrap_or_default()).ok_or_else(|| serde::de::Error::custom("not base64"))
}
