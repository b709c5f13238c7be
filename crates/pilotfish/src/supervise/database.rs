//! What a database's operator says of itself, added to what the supervisor says: it is asked over its socket, beside the loop, which waits for
//! nobody.

use std::path::PathBuf;

use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::asked::json_response;
use crate::{
    http_server::{Body, response},
    mysql::ask_quickly,
};

/// The last line of OpenMetrics.
const END: &str = "# EOF\n";

/// Answers with a status that has a member `mysql` if there is an operator: what it says, or that it does not answer.
pub(super) fn add_to_status(mut status: Value, operator: Option<PathBuf>, reply: oneshot::Sender<Response<Body>>) {
    let Some(socket) = operator else {
        // Whoever hung up does not need it.
        let _ = reply.send(json_response(&status));
        return;
    };
    tokio::spawn(async move {
        let said = ask_quickly(&socket, "/v1/status", None).await;
        let report = said.and_then(|text| serde_json::from_str(&text).ok());
        status["mysql"] = report.unwrap_or_else(|| json!({ "error": "the operator does not answer" }));
        let _ = reply.send(json_response(&status));
    });
}

/// Answers with metrics, the operator's after the supervisor's.
pub(super) fn add_to_metrics(
    content_type: &'static str,
    text: String,
    accept: Option<String>,
    operator: Option<PathBuf>,
    reply: oneshot::Sender<Response<Body>>,
) {
    let Some(socket) = operator else {
        let _ = reply.send(response(StatusCode::OK, content_type, text));
        return;
    };
    tokio::spawn(async move {
        let said = ask_quickly(&socket, "/metrics", accept.as_deref()).await;
        let _ = reply.send(response(StatusCode::OK, content_type, joined(text, said)));
    });
}

/// Both in one; the end that a format has stays at the end.
fn joined(own: String, operator: Option<String>) -> String {
    let Some(theirs) = operator else { return own };
    match own.strip_suffix(END) {
        Some(own) if theirs.ends_with(END) => format!("{own}{theirs}"),
        None if !theirs.ends_with(END) => own + &theirs,
        // Another format than was asked for: of no use here.
        Some(_) | None => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_both_are_one_text_with_one_end() {
        let joined = |own: &str, theirs: Option<&str>| joined(own.to_owned(), theirs.map(str::to_owned));
        assert_eq!(joined("a 1\n", None), "a 1\n");
        assert_eq!(joined("a 1\n", Some("b 2\n")), "a 1\nb 2\n");
        assert_eq!(joined("a 1\n# EOF\n", Some("b 2\n# EOF\n")), "a 1\nb 2\n# EOF\n");
        assert_eq!(joined("a 1\n# EOF\n", None), "a 1\n# EOF\n");
        assert_eq!(joined("a 1\n# EOF\n", Some("b 2\n")), "a 1\n# EOF\n");
    }
}
