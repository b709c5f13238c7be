//! The smallest HTTP client that can ask local servers: HTTP/1.0, so that the end of the connection is the end of the body.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// For connecting, and for each read and write; servers on loopback answer in milliseconds or are stuck.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 16 << 20;

/// An answer of any status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// `GET path` from the server at `address`.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    let context = || format!("GET http://{address}{path}");
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).with_context(context)?;
    stream.set_read_timeout(Some(TIMEOUT)).with_context(context)?;
    stream.set_write_timeout(Some(TIMEOUT)).with_context(context)?;
    // One write: a server that answers what it has read so far must have read it all.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).with_context(context)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_LIMIT).read_to_end(&mut bytes).with_context(context)?;
    parse(&String::from_utf8_lossy(&bytes)).with_context(context)
}

/// `GET path`, whose answer must be 200 and JSON.
pub(crate) fn get_json(address: SocketAddr, path: &str) -> Result<serde_json::Value> {
    let answer = get(address, path)?;
    if answer.status != 200 {
        bail!("GET http://{address}{path}: status {}: {}", answer.status, answer.body.trim());
    }
    serde_json::from_str(&answer.body)
        .with_context(|| format!("GET http://{address}{path}: not JSON: {}", answer.body.trim()))
}

fn parse(text: &str) -> Result<Answer> {
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no end of headers")?;
    let status =
        head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answer(response: &'static str) -> Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the client connects");
            let mut request = [0; 256];
            let length = stream.read(&mut request).expect("the client writes");
            stream.write_all(response.as_bytes()).expect("the client reads");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = get(address, "/x?y");
        let request = server.join().expect("the server does not panic");
        assert!(request.starts_with("GET /x?y HTTP/1.0\r\n"), "{request}");
        answer
    }

    #[test]
    fn status_and_body() {
        let answer = answer("HTTP/1.0 503 Unavailable\r\nA: b\r\n\r\nnot now").expect("it is HTTP");
        assert_eq!((answer.status, answer.body.as_str()), (503, "not now"));
    }

    #[test]
    fn other_answers_are_errors() {
        assert!(answer("hello").is_err());
        assert!(answer("").is_err());
    }
}
