//! The page at `/ui/`: its files are in the binary, and ask the same API as everybody.

use bytes::Bytes;

use super::reply::Reply;

/// What a browser may load for the page: our own files, and nothing of anybody else's. The icon is an empty `data:` URL.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("../ui/index.html");
const STYLE: &str = include_str!("../ui/style.css");
const SCRIPT: &str = include_str!("../ui/app.js");

/// The answer for a path outside `/v1`, if there is one. The files hold no secret: a token is asked for by the page, and sent with each question.
pub(crate) fn answer(path: &[u8]) -> Option<Reply> {
    let (kind, text) = match path {
        b"/" | b"/ui" => return Some(Reply::empty(301).header("location", "/ui/")),
        b"/ui/" | b"/ui/index.html" => ("text/html; charset=utf-8", PAGE),
        b"/ui/style.css" => ("text/css; charset=utf-8", STYLE),
        b"/ui/app.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return None,
    };
    let reply = Reply { kind: Some(kind), body: Bytes::from_static(text.as_bytes()), ..Reply::empty(200) };
    let reply = reply.header("content-security-policy", POLICY).header("x-content-type-options", "nosniff");
    Some(reply.header("cache-control", "no-cache").header("referrer-policy", "no-referrer"))
}
