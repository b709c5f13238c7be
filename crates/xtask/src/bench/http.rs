//! The barest HTTP client: one kept connection, blocking, no library. It is the floor beside which ours is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::kit::moment;

/// For any answer, held queries included.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A kept connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// An answer.
pub(crate) struct Answer {
    /// When all of it was there.
    pub(crate) at: i64,
    /// Consul's index; 0 when there is none.
    pub(crate) index: u64,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        stream.set_read_timeout(Some(TIMEOUT)).context("cannot set a time-out")?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, "")?;
        self.receive().with_context(|| format!("GET {path}"))
    }

    pub(crate) fn put(&mut self, path: &str, body: &str) -> Result<Answer> {
        self.send("PUT", path, body)?;
        self.receive().with_context(|| format!("PUT {path}"))
    }

    fn send(&mut self, method: &str, path: &str, body: &str) -> Result<()> {
        let length = body.len();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: consul\r\nContent-Length: {length}\r\n\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes()).context("cannot send")
    }

    fn receive(&mut self) -> Result<Answer> {
        let status = self.line()?;
        let (mut length, mut chunked, mut index) = (0, false, 0);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            let Some((name, value)) = line.split_once(": ") else { break };
            match name {
                "content-length" => length = value.parse()?,
                "transfer-encoding" => chunked = value == "chunked",
                "x-consul-index" => index = value.parse()?,
                _ => {}
            }
        }
        let body = if chunked { self.chunks()? } else { self.bytes(length)? };
        let answer = Answer { at: moment(), index, body: String::from_utf8_lossy(&body).into_owned() };
        if status.split(' ').nth(1) != Some("200") {
            bail!("{status}: {}", answer.body.trim());
        }
        Ok(answer)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            body.extend(self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).context("the answer was cut off")?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("no answer")? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end().to_owned())
    }
}
