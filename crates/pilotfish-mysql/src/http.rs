//! Requests to another member's operator.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The size of a piece, in bytes.
pub(crate) const PIECE: usize = 128 * 1024;
/// How long whoever is asked may be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// The most lines of a head.
const HEAD_LINES: usize = 100;

/// The body of an answer, which ends with the connection.
pub(crate) type Body = BufReader<TcpStream>;
/// An answer: its status and its body.
type Answer = io::Result<(u16, Body)>;

/// Asks for a path, and reads the head of the answer: its status. Each of `headers` ends its line.
///
/// In a box: it is called at several places, and each would have a copy of it.
pub(crate) fn get<'a>(
    address: &'a str,
    path: &'a str,
    headers: &'a str,
) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
    Box::pin(async move {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut stream = BufReader::with_capacity(PIECE, stream);
        let mut status = 0;
        for number in 0..HEAD_LINES {
            let mut line = String::new();
            timeout(SILENCE, stream.read_line(&mut line)).await??;
            if number == 0 {
                status = line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            }
            if line.trim().is_empty() {
                return Ok((status, stream));
            }
        }
        Err(io::Error::other("the answer's head has no end"))
    })
}

/// A body that is a text, up to so many bytes of it.
pub(crate) async fn text(body: Body, most: u64) -> io::Result<String> {
    let mut text = String::new();
    timeout(SILENCE, body.take(most).read_to_string(&mut text)).await??;
    Ok(text)
}
