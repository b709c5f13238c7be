//! Live events for whoever listens on the control socket.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::{Response, StatusCode};
use serde_json::json;

use super::narration::Told;
use crate::{
    http_server::{Body, Streamer, event_stream, text_response},
    logging::Log,
};

/// Listeners at one time.
const LISTENERS: usize = 16;

/// Events that a listener may lag behind before it is let go.
const BACKLOG: usize = 1024;

/// Those who listen.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Streamer>);

impl Listeners {
    /// Begins to send events to one more listener.
    pub(super) fn add(&mut self) -> Response<Body> {
        self.0.retain(|listener| !listener.is_gone());
        if self.0.len() >= LISTENERS {
            return text_response(StatusCode::SERVICE_UNAVAILABLE, format!("{LISTENERS} others listen already\n"));
        }
        let (streamer, response) = event_stream(BACKLOG);
        self.0.push(streamer);
        response
    }

    /// Sends an event to everyone; whoever lags too far behind or is gone is forgotten.
    pub(super) fn send(&mut self, told: &Told, log: &Log) {
        if self.0.is_empty() {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut values = told.values.clone();
        values["time"] = json!(now.as_millis() as f64 / 1000.0);
        values["event"] = told.event.into();
        let text = log.masked(&told.text);
        values["text"] = match &told.job {
            Some(job) => format!("{job} {text}").into(),
            None => text.into(),
        };
        if let Some(reason) = values["reason"].as_str() {
            values["reason"] = log.masked(reason).into();
        }
        let piece = format!("event: {}\ndata: {values}\n\n", told.event);
        self.0.retain(|listener| listener.send(piece.clone()).is_ok());
    }
}
