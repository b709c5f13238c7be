//! The least HTTP/1.1 that can send whatever a script says, right or wrong, and read what comes back without judging it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use pilotfish_testing::PATIENCE;

/// A request as it goes over the wire, but for the headers that every request has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In the order of the server, names as it writes them.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// From the first byte sent to the head of the answer.
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that is kept between requests, as clients keep theirs.
pub(crate) struct Connection {
    server: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) fn new(server: SocketAddr) -> Connection {
        Connection { server, stream: None }
    }

    /// Sends a request and reads the answer. A kept connection that the server has closed meanwhile is opened once more.
    pub(crate) fn exchange(&mut self, request: &Request) -> std::io::Result<Answer> {
        let kept = self.stream.is_some();
        match self.attempt(request) {
            Err(_) if kept => self.attempt(request),
            outcome => outcome,
        }
    }

    fn attempt(&mut self, request: &Request) -> std::io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.server)?,
        };
        let start = Instant::now();
        let sent = stream.get_mut().write_all(&encode(request));
        // A server may answer and close before it has read everything, as with a body that is too large.
        let mut answer = read_head(&mut stream).or_else(|error| sent.and(Err(error)))?;
        answer.took = start.elapsed();
        if request.method != "HEAD" {
            read_body(&mut stream, &mut answer)?;
        }
        if !answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn connect(server: SocketAddr) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    // Whoever waits for a blocking query knows how long that may take.
    stream.set_read_timeout(Some(PATIENCE * 5))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn encode(request: &Request) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: catalog\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !request.body.is_empty() || !["GET", "HEAD"].contains(&request.method.as_str()) {
        head += &format!("Content-Length: {}\r\n", request.body.len());
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend(&request.body);
    bytes
}

fn broken(text: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, text.to_owned())
}

fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The head of the answer, after any that only says to go on.
fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Answer> {
    loop {
        let answer = read_one_head(stream)?;
        if answer.status != 100 {
            return Ok(answer);
        }
    }
}

fn read_one_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Answer> {
    let line = read_line(stream)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut answer = Answer { status: status.ok_or_else(|| broken(&line))?, ..Answer::default() };
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(answer);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
        answer.headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut BufReader<TcpStream>, answer: &mut Answer) -> std::io::Result<()> {
    if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream)?;
            let length = usize::from_str_radix(&line, 16).map_err(|_| broken(&line))?;
            let start = answer.body.len();
            answer.body.resize(start + length, 0);
            stream.read_exact(&mut answer.body[start..])?;
            read_line(stream)?;
            if length == 0 {
                return Ok(());
            }
        }
    }
    if let Some(length) = answer.header("content-length") {
        let length = length.parse().map_err(|_| broken("a content-length that is no number"))?;
        answer.body.resize(length, 0);
        return stream.read_exact(&mut answer.body);
    }
    if answer.status != 204 && answer.status != 304 {
        stream.read_to_end(&mut answer.body)?;
    }
    Ok(())
}
