//! Targets as tables, and probes of real sockets on loopback that answer well, badly, slowly or not at all.

use tokio::net::TcpListener;

use super::*;

/// Generous: only a probe that hangs comes near it.
const PATIENCE: Duration = Duration::from_secs(30);

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// Serves one connection: reads a request, writes `answer`, and closes (or holds the connection open).
async fn server(answer: &'static [u8], hold: bool) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await.unwrap() == 0 {
                return request;
            }
        }
        // A probe that has heard enough may be gone.
        let _ = stream.write_all(answer).await;
        if hold {
            let _ = stream.read_buf(&mut Vec::new()).await;
        }
        request
    });
    (port, served)
}

async fn probe_of(answer: &'static [u8]) -> Result<(), Unhealthy> {
    let (port, _) = server(answer, false).await;
    probe(&Target::http(&format!("http://127.0.0.1:{port}/data?x=1#top")).unwrap(), PATIENCE).await
}

#[test]
fn urls() {
    for (url, authority, host, port, path) in [
        ("http://localhost", "localhost", "localhost", 80, "/"),
        ("HTTP://localhost:4000/data?x=1#f", "localhost:4000", "localhost", 4000, "/data?x=1"),
        ("http://[::1]:81?q", "[::1]:81", "::1", 81, "/?q"),
        ("http://[::1]/", "[::1]", "::1", 80, "/"),
        ("http://h:/x", "h:", "h", 80, "/x"),
    ] {
        let address = Address { host: host.to_owned(), port };
        let expected = HttpTarget { address, authority: authority.to_owned(), path: path.to_owned() };
        assert_eq!(Target::http(url), Ok(Target::Http(expected)), "{url}");
    }
    for url in [
        "",
        "localhost",
        "http://",
        "http:///x",
        "https://localhost/",
        "http://h:0/",
        "http://h:99999/",
        "http://h:+1/",
        "http://a@h/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://[::1",
        "http://[x]/",
        "http://::1/",
        "ftp://é/",
    ] {
        assert!(Target::http(url).is_err(), "{url:?}");
    }
}

#[test]
fn addresses() {
    for text in ["127.0.0.1:1", "[::1]:65535", "db.example:3306"] {
        assert!(Target::tcp(text).is_ok(), "{text}");
    }
    for text in ["", ":1", "h", "h:", "h:0", "h:65536", "::1:80", "[::1]", "[::1]80"] {
        assert!(Target::tcp(text).is_err(), "{text}");
    }
}

#[test]
fn status_lines() {
    for (answer, expected) in [
        (&b""[..], Head::Partial),
        (b"HTT", Head::Partial),
        (b"HTTP/1.1 200 OK", Head::Partial),
        (b"HTTP/1.1 200 OK\r\n", Head::Final(200, "200 OK".into())),
        (b"HTTP/1.0 204\n", Head::Final(204, "204".into())),
        (b"HTTP/1.1 503 Down\r\nX: y", Head::Final(503, "503 Down".into())),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n", Head::Partial),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP", Head::Interim(25)),
        (b"SSH-2.0\r\n", Head::Foreign("it began with \"SSH-2.0\\r\\n\"".into())),
        (b"HTTP/1.1 2xx\r\n", Head::Foreign("its status line was \"HTTP/1.1 2xx\"".into())),
        (b"HTTP/1.1\r\n", Head::Foreign("its status line was \"HTTP/1.1\"".into())),
        (b"HTTP/1.1 999 x\r\n", Head::Foreign("its status line was \"HTTP/1.1 999 x\"".into())),
    ] {
        assert_eq!(status_of(answer), expected, "{}", answer.escape_ascii());
    }
}

#[test]
fn http_answers() {
    run(async {
        probe_of(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        probe_of(b"HTTP/1.0 204 No Content\r\n\r\n").await.unwrap();
        probe_of(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        for (answer, words) in [
            (&b"HTTP/1.1 500 Oops\r\n\r\n"[..], "answered with status 500 Oops, expected 2xx"),
            (b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", "status 301 Moved"),
            (b"SSH-2.0-x\r\n", "did not answer with HTTP: it began with \"SSH-2.0-x"),
            (b"", "ended before a status line"),
        ] {
            let error = probe_of(answer).await.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    });
}

#[test]
fn the_request_is_complete() {
    run(async {
        let (port, served) = server(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
        probe(&Target::http(&format!("http://localhost:{port}/a?b#c")).unwrap(), PATIENCE).await.unwrap();
        let request = String::from_utf8(served.await.unwrap()).unwrap();
        assert!(request.starts_with(&format!("GET /a?b HTTP/1.1\r\nHost: localhost:{port}\r\n")), "{request}");
    });
}

#[test]
fn an_endless_answer_is_healthy_and_an_endless_head_is_not() {
    run(async {
        let (port, _) = server(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n", true).await;
        probe(&Target::http(&format!("http://127.0.0.1:{port}/")).unwrap(), PATIENCE).await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 ").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        });
        let error = probe(&Target::http(&format!("http://127.0.0.1:{port}/")).unwrap(), PATIENCE).await.unwrap_err();
        assert!(matches!(error, Unhealthy::NotHttp { .. }), "{error}");
    });
}

#[test]
fn silence_times_out_and_a_closed_port_is_refused() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // The kernel accepts on the listener's behalf, but nobody ever answers.
        let limit = Duration::from_millis(50);
        let error = probe(&Target::http(&format!("http://{address}/")).unwrap(), limit).await.unwrap_err();
        assert!(error.to_string().ends_with("did not answer within 50ms"), "{error}");
        probe(&Target::tcp(&address.to_string()).unwrap(), PATIENCE).await.unwrap();
        // No other test gets this port while nobody listens there.
        let address = format!("127.0.0.1:{}", pilotfish_testing::free_port([127, 0, 0, 1].into()));
        for target in [Target::http(&format!("http://{address}/")).unwrap(), Target::tcp(&address.to_string()).unwrap()]
        {
            let error = probe(&target, PATIENCE).await.unwrap_err();
            assert!(matches!(error, Unhealthy::Unreachable { .. }), "{error}");
        }
    });
}

#[test]
fn files() {
    run(async {
        probe(&Target::file("/proc/self/stat").unwrap(), PATIENCE).await.unwrap();
        let error = probe(&Target::file("/nonexistent/ready").unwrap(), PATIENCE).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot probe /nonexistent/ready: No such file"), "{error}");
        assert!(Target::file("").is_err());
    });
}
