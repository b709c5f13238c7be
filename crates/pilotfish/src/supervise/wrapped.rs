//! Output of processes that the supervisor reads: into the log, or into a metric.

use std::time::SystemTime;

use pilotfish_process::{Line, Output, Stream};
use tokio::sync::oneshot;

use super::inbox::{Message, Sender};
use crate::logging::Log;

/// How much of a sensor's output is looked at, in bytes; a number is shorter.
const MEASURED_BYTES: usize = 4096;

/// Whose output it is.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The job's name, or `check.<name>`.
    pub(crate) name: String,
    /// Process id.
    pub(crate) pid: u32,
}

/// Logs every line until the process and all that hold its pipes are gone, or until `ended` says that the run is over.
pub(crate) async fn relay(log: Log, source: Source, mut output: Output, mut ended: oneshot::Receiver<()>) {
    while let Some(line) = next(&mut output, &mut ended).await {
        write(&log, &source, &line).await;
    }
}

/// Reads a number from standard output and logs standard error; the number goes to the loop.
pub(crate) async fn measure(
    log: Log,
    source: Source,
    metric: String,
    mut output: Output,
    mut ended: oneshot::Receiver<()>,
    inbox: Sender,
) {
    let mut text = Vec::new();
    while let Some(line) = next(&mut output, &mut ended).await {
        match line.stream {
            Stream::Stdout if text.len() < MEASURED_BYTES => {
                text.extend_from_slice(&line.bytes);
                text.push(b'\n');
            }
            Stream::Stdout => {}
            Stream::Stderr => write(&log, &source, &line).await,
        }
    }
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let _ = inbox.send(Message::Measured { job: source.name, metric, text }).await;
}

/// The next line; once the run is over, only of what is already in the pipes.
async fn next(output: &mut Output, ended: &mut oneshot::Receiver<()>) -> Option<Line> {
    if !ended.is_terminated() {
        tokio::select! {
            biased;
            line = output.next() => return line,
            _ = &mut *ended => output.close(),
        }
    }
    output.next().await
}

/// A slow reader of the log slows down the process, not the supervisor.
async fn write(log: &Log, source: &Source, line: &Line) {
    while let Err(full) = log.write_job_line(&source.name, source.pid, &line.bytes, SystemTime::now()) {
        log.room(full).await;
    }
}
