//! The page at `/ui`: where its files are answered from.

use super::reply::Reply;

/// The answer for a path outside `/v1`, if there is one.
pub(crate) fn answer(path: &[u8]) -> Option<Reply> {
    match path {
        b"/robots.txt" => Some(Reply { plain: true, ..Reply::text(200, "User-agent: *\nDisallow: /\n") }),
        _ => None,
    }
}
