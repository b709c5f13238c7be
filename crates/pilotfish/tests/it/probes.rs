//! Built-in probes: supervisor.md section 10.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Output;

use pilotfish_testing::free_port;

use crate::stage::Pilot;

fn probe(words: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_pilotfish");
    std::process::Command::new(program).arg("probe").args(words).output().expect("the program can be executed")
}

/// A server that gives every connection this answer.
fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = listener.local_addr().expect("loopback is there").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn probes_on_the_command_line() {
    let good = server("HTTP/1.1 204 No Content\r\n\r\n");
    let bad = server("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n");
    let odd = server("SSH-2.0-OpenSSH\r\n");
    let closed = free_port([127, 0, 0, 1].into());
    let url = |port: u16| format!("http://127.0.0.1:{port}/health");
    for (words, code) in [
        (["http", &url(good)], 0),
        (["http", &url(bad)], 1),
        (["http", &url(odd)], 1),
        (["http", &url(closed)], 1),
        (["tcp", &format!("127.0.0.1:{bad}")], 0),
        (["tcp", &format!("127.0.0.1:{closed}")], 1),
        (["file", "/etc/passwd"], 0),
        (["file", "/no/such/file"], 1),
    ] {
        let output = probe(&words);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?} {stderr}");
        assert_eq!(stderr.is_empty(), code == 0, "a failure says why: {words:?}");
    }
}

#[test]
fn a_probe_gives_up_at_its_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = probe(&["http", &format!("http://{}/", silent.local_addr().unwrap()), "--timeout", "100ms"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn probes_in_the_config_spawn_no_process() {
    let config = "{jobs: [{name: 'main', exec: 'node @DIR@/server.js', main: true},
        {name: 'file', exec: 'sleep 2000', health: {file: '@DIR@/ready', interval: '50ms', timeout: '49ms', ttl: 10}},
        {name: 'tcp', exec: 'sleep 2000',
            health: {tcp: 'localhost:4000', interval: '200ms', timeout: '199ms', ttl: 10}},
        {name: 'http', exec: 'sleep 2000',
            health: {http: 'http://localhost:4000/data', interval: '200ms', timeout: '199ms', ttl: 10}}]}";
    let mut stage = crate::stage::Stage::with_config(config);
    let server = "require('http').createServer((question, answer) => {
        const ready = require('fs').existsSync('@DIR@/ready') && question.url == '/data';
        answer.statusCode = ready ? 200 : 500;
        answer.end();
    }).listen(4000)";
    let pilot: Pilot = stage.file("server.js", server).start();
    pilot.wait_for_job("tcp", |job| job["health"] == "healthy");
    for job in ["file", "http"] {
        pilot.wait_for_job(job, |job| job["health"] == "unhealthy");
    }
    pilot.write("ready", "");
    for job in ["file", "http"] {
        pilot.wait_for_job(job, |job| job["health"] == "healthy");
    }
    std::fs::remove_file(pilot.file("ready")).unwrap();
    pilot.wait_for_job("http", |job| {
        job["health"] == "unhealthy" && job["lastFailure"].as_str().is_some_and(|reason| reason.contains("500"))
    });
    assert_eq!(pilot.processes().len(), 4, "{:?}", pilot.processes());
}
