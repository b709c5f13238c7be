//! Everything that reaches the loop from outside of it.

use hyper::{Response, StatusCode};
use pilotfish_supervisor::{CallId, CallOutcome, Event, RenderId};
use tokio::sync::{mpsc, oneshot};

use crate::{
    http_server::Body,
    templates::{follow::Found, replace::Staged},
};

/// Messages that may wait for the loop; a sender waits when it is full, so that nothing is lost.
pub(crate) const INBOX_MESSAGES: usize = 1024;

/// The sending end of the inbox.
pub(crate) type Sender = mpsc::Sender<Message>;

/// The receiving end of the inbox.
pub(crate) type Receiver = mpsc::Receiver<Message>;

/// A message for the loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// A fact for the state machine.
    Event(Event),
    /// What a watch found, for the state machine unless the watch has been changed since.
    Watched {
        /// The watch's name.
        watch: String,
        /// The number of the asking that found it.
        term: u64,
        /// What was found.
        event: Event,
    },
    /// What a question of templates found, unless it is not asked any more.
    Fact {
        /// The question's name.
        fact: String,
        /// The number of the asking that found it.
        term: u64,
        /// The answer, or why there is none.
        found: Result<Found, String>,
    },
    /// A template was rendered, and the file is written beside the one in place if it differs.
    Staged {
        /// Which rendering.
        render: RenderId,
        /// What it asked.
        asked: Vec<String>,
        /// The new file, `None` if it is the same, or why it could not be written.
        staged: Result<Option<Staged>, String>,
    },
    /// A piece of work on files is over.
    Filed,
    /// A request to the catalog was answered, and this long it took.
    Answered {
        /// The request.
        call: CallId,
        /// What became of it.
        outcome: CallOutcome,
        /// Who may have taken a registration.
        may_hold: Vec<String>,
        /// From request to answer.
        took: std::time::Duration,
    },
    /// A job printed a value for a metric.
    Measured {
        /// The job.
        job: String,
        /// The metric.
        metric: String,
        /// What it printed.
        text: String,
    },
    /// Somebody asks over the control socket or the telemetry port.
    Asked {
        /// What is asked.
        question: Question,
        /// Where the answer goes.
        reply: oneshot::Sender<Response<Body>>,
    },
}

/// What can be asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// `GET /v3/ping`.
    Ping,
    /// `POST /v3/env`: variables for later processes; `None` removes one.
    PutEnv(Vec<(String, Option<String>)>),
    /// `POST /v3/metric`: values for metrics.
    PutMetric(Vec<(String, String)>),
    /// `POST /v3/reload`.
    Reload,
    /// `POST /v3/maintenance/...`.
    Maintenance(bool),
    /// `GET /v1/status`.
    Status,
    /// `GET /v1/events`.
    Events,
    /// `GET /metrics` on the telemetry port; the value of `Accept`.
    Metrics(Option<String>),
    /// `GET /status` on the telemetry port.
    TelemetryStatus,
}

/// Asks the loop and waits for its answer.
pub(crate) async fn ask(inbox: &Sender, question: Question) -> Response<Body> {
    let (reply, answer) = oneshot::channel();
    let gone = || crate::http_server::text_response(StatusCode::SERVICE_UNAVAILABLE, "the supervisor is stopping\n");
    if inbox.send(Message::Asked { question, reply }).await.is_err() {
        return gone();
    }
    answer.await.unwrap_or_else(|_| gone())
}
