//! The wire formats: what requests carry and what answers look like, with Consul's names, order and words.

pub(crate) mod agent;
pub mod base64;
pub(crate) mod base64_text;
pub(crate) mod catalog;
pub(crate) mod check;
pub(crate) mod duration;
pub(crate) mod fields;
pub(crate) mod gzip;
pub(crate) mod json;
pub(crate) mod output;
pub(crate) mod session;
pub(crate) mod txn;
pub(crate) mod write;

use crate::state::Refusal;

/// Text in front of the error of a body that could not be read.
pub(crate) fn undecodable(text: String) -> Refusal {
    Refusal::bad(format!("Request decode failed: {text}"))
}
