//! The page at `/ui`: where its files are answered from.

use super::reply::Reply;

/// The answer for a path outside `/v1`, if there is one.
pub(crate) fn answer(path: &[u8]) -> Option<Reply> {
    let _ = path;
    None
}
