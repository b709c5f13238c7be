//! The least HTTP that test support needs to see whether a server is ready: no client under test is involved.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest time for one look.
const LIMIT: Duration = Duration::from_secs(2);

/// Sends one request and returns status and body; nothing when the server does not answer at once. For looks that are repeated.
pub(crate) fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Option<(u16, String)> {
    request_within(LIMIT, server, method, path, token, body)
}

/// The same, with so much time for the answer. A request that is not repeated must have plenty: the server is one of many processes of a
/// machine that has little to give.
pub(crate) fn request_within(
    limit: Duration,
    server: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&server, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let token = token.map(|token| format!("X-Consul-Token: {token}\r\n")).unwrap_or_default();
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.0\r\nHost: x\r\n{token}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// The same with bodies that are no text, and more time.
pub(crate) fn bytes(server: SocketAddr, method: &str, path: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&server, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT * 10)).ok()?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    Some((head.split(' ').nth(1)?.parse().ok()?, answer.split_off(end + 4)))
}

/// A blocking query: status, body, and the index that it gave.
pub(crate) fn indexed(server: SocketAddr, path: &str) -> Option<(u16, String, u64)> {
    let mut stream = TcpStream::connect_timeout(&server, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT * 2)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let index = fields.find(|(name, _)| name.eq_ignore_ascii_case("x-consul-index"));
    Some((status, body.to_owned(), index.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)))
}

/// The same in HTTP/1.1, for a server that neither speaks 1.0 nor closes the connection: the body is as long as the answer says.
pub(crate) fn exchange(limit: Duration, server: SocketAddr, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&server, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            None if line.trim_end().is_empty() => break,
            Some(_) | None => {}
        }
    }
    let mut answer = vec![0; length];
    reader.read_exact(&mut answer).ok()?;
    String::from_utf8(answer).ok()
}
