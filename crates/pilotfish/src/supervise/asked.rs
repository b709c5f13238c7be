//! Answers what is asked over HTTP.

use std::path::PathBuf;

use hyper::{Response, StatusCode};
use pilotfish_config::is_secret_name;
use pilotfish_supervisor::{Event, Supervisor};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    database,
    inbox::Question,
    shell::Shell,
    status::{self, Surrounding},
};
use crate::{
    command_line::ConfigLocation,
    http_server::{Body, response, text_response},
};

/// The longest names and values of all variables that are set over the control socket, in bytes: they must fit into a process's
/// arguments, which are limited to a quarter of its stack (execve(2)), beside everything else.
const OVERRIDES_BYTES: usize = 1024 * 1024;

impl Shell {
    /// Answers now, or says which event brings the answer about.
    pub(super) fn asked(
        &mut self,
        question: Question,
        reply: oneshot::Sender<Response<Body>>,
        core: &Supervisor,
    ) -> Option<Event> {
        let mut event = None;
        let answer = match question {
            Question::Ping => text_response(StatusCode::OK, "ok\n"),
            Question::PutEnv(variables) => self.put_env(variables),
            Question::PutMetric(values) => self.put_metrics(&values),
            Question::Reload => {
                self.next_ticket += 1;
                self.tickets.insert(self.next_ticket, reply);
                return Some(Event::ReloadRequested { ticket: Some(self.next_ticket) });
            }
            Question::Maintenance(on) => {
                let status = core.status(self.now());
                let updated = status.maintenance != on && status.stopping.is_none();
                event = Some(Event::MaintenanceRequested(on));
                json_response(&json!({ "updated": updated }))
            }
            Question::Status => {
                database::add_to_status(self.status(core), self.operator_socket(), reply);
                return None;
            }
            Question::Events => self.listeners.add(),
            Question::Metrics(accept) => {
                let (content_type, text) = self.metrics(accept.as_deref(), core);
                database::add_to_metrics(content_type, text, accept, self.operator_socket(), reply);
                return None;
            }
            Question::TelemetryStatus => json_response(&status::telemetry(&core.status(self.now()), core.spec())),
        };
        // Whoever hung up does not need it.
        let _ = reply.send(answer);
        event
    }

    /// All variables or none.
    fn put_env(&mut self, variables: Vec<(String, Option<String>)>) -> Response<Body> {
        let mut overrides = self.overrides.clone();
        overrides.extend(variables.iter().cloned());
        let bytes = overrides.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len));
        if bytes.sum::<usize>() > OVERRIDES_BYTES {
            let text = format!("all variables that are set here may have {OVERRIDES_BYTES} bytes together\n");
            return text_response(StatusCode::BAD_REQUEST, text);
        }
        self.overrides = overrides;
        for (_, value) in variables.iter().filter(|(name, _)| is_secret_name(name)) {
            self.log.mask(value.as_deref().unwrap_or_default().as_bytes());
        }
        text_response(StatusCode::OK, "")
    }

    /// All values or none: an unknown metric is a mistake that must not leave half of the others recorded.
    fn put_metrics(&mut self, values: &[(String, String)]) -> Response<Body> {
        let unknown: Vec<&str> =
            values.iter().map(|(name, _)| name.as_str()).filter(|name| !self.gauges.knows(name)).collect();
        if !unknown.is_empty() {
            let text = format!("no metric {} in telemetry.metrics\n", unknown.join(", "));
            return text_response(StatusCode::BAD_REQUEST, text);
        }
        let now = self.now();
        let results: Result<Vec<()>, String> =
            values.iter().map(|(name, value)| self.gauges.record(name, value, now)).collect();
        match results {
            Ok(_) => text_response(StatusCode::OK, ""),
            Err(reason) => text_response(StatusCode::BAD_REQUEST, format!("{reason}\n")),
        }
    }

    fn status(&self, core: &Supervisor) -> serde_json::Value {
        let surrounding = Surrounding {
            uptime: self.uptime(),
            config: match &self.origin.config {
                None => "command line".to_owned(),
                Some(ConfigLocation::Inline(_)) => "inline".to_owned(),
                Some(ConfigLocation::File(path)) => path.display().to_string(),
            },
            reloads: self.reloads,
            reload_error: self.reload_error.as_deref(),
            catalog: super::own_catalog::meant(&self.config).map_or_else(Vec::new, |catalog| {
                catalog.addresses.iter().map(|address| address.authority.clone()).collect()
            }),
        };
        status::whole(&core.status(self.now()), &surrounding, &|text| self.log.masked(text))
    }

    fn metrics(&mut self, accept: Option<&str>, core: &Supervisor) -> (&'static str, String) {
        let now = self.now();
        let orphans = self.processes.reaped_orphans();
        self.gauges.text(accept, &core.status(now), orphans, now)
    }

    /// Where a database's operator answers, if there is to be one.
    fn operator_socket(&self) -> Option<PathBuf> {
        self.config.mysql.as_ref().map(|mysql| mysql.control_socket().into())
    }
}

pub(super) fn json_response(value: &serde_json::Value) -> Response<Body> {
    response(StatusCode::OK, "application/json", format!("{value}\n"))
}
