//! Real sockets and clients that are well-behaved, slow, greedy or gone.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    sync::{mpsc, oneshot},
};

use super::*;

/// Generous: only a test that hangs comes near it.
const PATIENCE: Duration = Duration::from_secs(30);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, test).await.unwrap() });
}

/// Few and small, with all the time that a busy machine may need.
fn narrow() -> Limits {
    Limits { connections: 2, head_bytes: 8192, body_bytes: 10, read_time: PATIENCE, stalled_time: PATIENCE }
}

/// For what is to run into a limit of time.
fn tight() -> Limits {
    let short = Duration::from_millis(100);
    Limits { read_time: short, stalled_time: short, ..narrow() }
}

async fn echo(request: Request<Bytes>) -> Response<Body> {
    let text = format!("{} {} {}", request.method(), request.uri(), String::from_utf8_lossy(request.body()));
    text_response(StatusCode::OK, text)
}

/// Serves on a free port in the background, for ever.
async fn start<H, F>(limits: Limits, handler: H) -> std::net::SocketAddr
where
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.tcp_address().unwrap();
    tokio::spawn(async move { serve(listener, limits, handler, std::future::pending()).await });
    address
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses may reset what it has not read.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[test]
fn requests_and_answers_over_tcp() {
    run(async {
        let address = start(narrow(), echo).await;
        let request = b"POST /v3/env HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        let answer = exchange(TcpStream::connect(address).await.unwrap(), request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; charset=utf-8\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nPOST /v3/env abc"), "{answer}");
    });
}

#[test]
fn what_breaks_a_limit_is_refused() {
    run(async {
        let (address, hasty) = (start(narrow(), echo).await, start(tight(), echo).await);
        let connect = async || TcpStream::connect(address).await.unwrap();
        let connect_to_hasty = async || TcpStream::connect(hasty).await.unwrap();
        let long = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890";
        assert!(exchange(connect().await, long).await.starts_with("HTTP/1.1 413 "));
        let missing = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
        assert!(exchange(connect_to_hasty().await, missing).await.starts_with("HTTP/1.1 408 "));
        let slow_head = b"GET / HTTP/1.1\r\nHost";
        assert!(!exchange(connect_to_hasty().await, slow_head).await.starts_with("HTTP/1.1 2"));
        let large_head = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 20_000], b"\r\n\r\n"].concat();
        let answer = exchange(connect().await, &large_head).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
        let garbage = exchange(connect().await, b"\x16\x03\x01garbage\r\n\r\n").await;
        assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"), "{garbage}");
        // Nothing of that holds up the next one.
        let good = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(exchange(connect().await, good).await.starts_with("HTTP/1.1 200 "));
        // Where we are too slow ourselves, another one is sent.
        while !exchange(connect_to_hasty().await, good).await.starts_with("HTTP/1.1 200 ") {}
    });
}

#[test]
fn connections_beyond_the_limit_wait_until_one_ends() {
    run(async {
        let (arrived, mut arrivals) = mpsc::channel(10);
        let (release, released) = tokio::sync::watch::channel(false);
        let address = start(narrow(), move |request| {
            let (arrived, mut released) = (arrived.clone(), released.clone());
            async move {
                arrived.send(request.uri().to_string()).await.unwrap();
                released.wait_for(|go| *go).await.unwrap();
                text_response(StatusCode::OK, "late")
            }
        })
        .await;
        let mut clients = Vec::new();
        for number in 0..3 {
            let request = format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n");
            let stream = TcpStream::connect(address).await.unwrap();
            clients.push(tokio::spawn(async move { exchange(stream, request.as_bytes()).await }));
        }
        arrivals.recv().await.unwrap();
        arrivals.recv().await.unwrap();
        let third = timeout(Duration::from_millis(100), arrivals.recv()).await;
        assert!(third.is_err(), "{third:?}");
        release.send(true).unwrap();
        for client in clients {
            assert!(client.await.unwrap().ends_with("late"));
        }
    });
}

#[test]
fn a_client_that_reads_nothing_is_dropped() {
    run(async {
        let (streamers, mut streams) = mpsc::channel(1);
        let address = start(tight(), move |_| {
            let streamers = streamers.clone();
            async move {
                let (streamer, response) = event_stream(4);
                streamers.send(streamer).await.unwrap();
                response
            }
        })
        .await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let streamer = streams.recv().await.unwrap();
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        while let Ok(()) | Err(body::Refused::Lagging) = streamer.send(piece.clone()) {
            tokio::task::yield_now().await;
        }
        while !streamer.is_gone() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn events_arrive_as_they_are_sent_and_end_with_the_streamer() {
    run(async {
        let (streamers, mut streams) = mpsc::channel(1);
        let address = start(narrow(), move |_| {
            let streamers = streamers.clone();
            async move {
                let (streamer, response) = event_stream(4);
                streamers.send(streamer).await.unwrap();
                response
            }
        })
        .await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let streamer = streams.recv().await.unwrap();
        let mut seen = Vec::new();
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            streamer.send(event).unwrap();
            while !String::from_utf8_lossy(&seen).contains(event) {
                assert_ne!(client.read_buf(&mut seen).await.unwrap(), 0);
            }
        }
        drop(streamer);
        client.read_to_end(&mut seen).await.unwrap();
        let seen = String::from_utf8(seen).unwrap();
        assert!(seen.contains("content-type: text/event-stream\r\n") && seen.ends_with("0\r\n\r\n"), "{seen}");
    });
}

#[test]
fn stopping_lets_an_answer_end() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.tcp_address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stop = std::sync::Arc::new(std::sync::Mutex::new(Some(stop)));
        let handler = move |_| {
            // The request itself stops the server, as a shutdown over the control socket would.
            let stop = stop.lock().unwrap().take();
            async move {
                drop(stop);
                tokio::task::yield_now().await;
                text_response(StatusCode::OK, "bye")
            }
        };
        let server = tokio::spawn(async move {
            let under_way = serve(listener, narrow(), handler, async { drop(stopped.await) }).await;
            under_way.join_all().await;
        });
        let stream = TcpStream::connect(address).await.unwrap();
        assert!(exchange(stream, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("bye"));
        server.await.unwrap();
    });
}

#[test]
fn stopping_waits_for_nobody_who_has_not_asked() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.tcp_address().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let patient = Limits { read_time: PATIENCE * 2, ..Limits::default() };
        let server = tokio::spawn(async move {
            let under_way = serve(listener, patient, echo, async { drop(stopped.await) }).await;
            under_way.join_all().await;
        });
        let mut idle = TcpStream::connect(address).await.unwrap();
        // Answered after the idle one was accepted.
        exchange(TcpStream::connect(address).await.unwrap(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        drop(stop);
        server.await.unwrap();
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        assert!(TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn the_unix_socket_is_private_and_goes_with_its_listener() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/for/it/control.socket");
        let listener = Listener::unix(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        {
            let serving = serve(listener, narrow(), echo, std::future::pending());
            let client = async {
                let stream = UnixStream::connect(&path).await.unwrap();
                exchange(stream, b"GET /v3/ping HTTP/1.1\r\nHost: x\r\n\r\n").await
            };
            tokio::select! {
                _ = serving => unreachable!("nobody stops it"),
                answer = client => assert!(answer.ends_with("GET /v3/ping "), "{answer}"),
            }
        }
        assert!(!path.exists());
    });
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = Listener::unix(&path).await.unwrap();
        let error = Listener::unix(&path).await.unwrap_err().to_string();
        assert!(
            error.ends_with("is in use by a running supervisor; stop it, or set control.socket to another path"),
            "{error}"
        );
        // A successor that took the name over keeps its file.
        std::fs::remove_file(&path).unwrap();
        let successor = Listener::unix(&path).await.unwrap();
        drop(live);
        assert!(path.exists());
        drop(successor);
    });
}

#[test]
fn paths_that_cannot_be_sockets() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        for (path, words) in [
            (Path::new("/").join("x".repeat(107)), "the path has 108 bytes, at most 107"),
            (file.clone(), "a file that is no socket is there"),
            (file.join("below"), "making its directory"),
        ] {
            let error = Listener::unix(&path).await.unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("control.socket"), "{error}");
        }
        let taken = Listener::tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Listener::tcp(taken.tcp_address().unwrap()).await.unwrap_err().to_string();
        assert!(error.contains("cannot listen on 127.0.0.1:"), "{error}");
    });
}
