//! What of a config is not the state machine's: the log, the control socket, the telemetry port, the catalog's address.

use std::os::unix::ffi::OsStrExt as _;

use hyper::StatusCode;
use pilotfish_config::{Config, DEFAULT_CONTROL_SOCKET, Level, is_secret_name};
use pilotfish_supervisor::{Effect, Event, Notice, Supervisor, Ticket};

use super::{
    loading::{Environment, variables},
    own_catalog::{is_needed, meant},
    panics::called,
    servers::telemetry_address,
    shell::Shell,
};
use crate::{
    errors::UsageError,
    http_server::text_response,
    logging::{Log, Masker},
};

/// Opens the log of a config, with the secrets of the environment and of the config masked.
pub(super) fn open_log(config: &Config, environment: &Environment) -> anyhow::Result<Log> {
    let log = Log::open(config.logging.clone(), masker(config, environment));
    log.map_err(|error| UsageError(error.to_string()).into())
}

/// Knows the secrets of an environment, of the catalog's settings, of the jobs' own variables, and of the files that a database's passwords are in.
fn masker(config: &Config, environment: &Environment) -> Masker {
    let variables = environment.iter().map(|(name, value)| (name.to_string_lossy(), value.as_bytes()));
    let mut masker = Masker::from_environment(variables);
    let of_jobs = config.spec.jobs.iter().flat_map(|job| &job.process).flat_map(|process| &process.env);
    for (_, value) in of_jobs.filter(|(name, _)| is_secret_name(name)) {
        masker.add(value.as_bytes());
    }
    let catalog = config.catalog.as_ref();
    if let Some(token) = catalog.and_then(|catalog| catalog.token.as_ref()) {
        masker.add(token.reveal().as_bytes());
    }
    if let Some(credentials) = config.mysql.as_ref().map(|mysql| &mysql.credentials) {
        let passwords = [&credentials.password, &credentials.replication_password];
        for password in passwords.into_iter().chain(&credentials.root_password) {
            masker.add(password.reveal().as_bytes());
        }
    }
    masker
}

impl Shell {
    /// Loads the config again.
    pub(super) fn load(&mut self) -> Event {
        let environment = self.environment();
        // The config's text is the largest input there is; a mistake in reading it is no reason to end.
        let loaded = called(|| self.origin.load_again(&environment));
        match loaded.unwrap_or_else(|panicked| Err(anyhow::anyhow!("{panicked}"))) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    self.write(Level::Warn, &warning.to_string(), None);
                }
                let spec = Box::new(loaded.config.spec.clone());
                self.incoming = Some(loaded.config);
                Event::Loaded(Ok(spec))
            }
            Err(error) => Event::Loaded(Err(self.log.masked(&format!("{error:#}")))),
        }
    }

    /// Follows the state machine: a config is in force, or is not any more. What has to be done about it comes back as events.
    pub(super) fn config_noticed(&mut self, effects: &[Effect], core: &Supervisor) -> Vec<Event> {
        let mut events = Vec::new();
        for effect in effects {
            if let Effect::Notice(Notice::Reloaded { .. }) = effect {
                self.reloads += 1;
                self.reload_error = None;
                events.extend(self.put_incoming_in_force());
            } else if let Effect::Notice(Notice::RolledBack { reason }) = effect {
                self.reload_error = Some(reason.clone());
                let proven = self.proven.take().map(|proven| self.put_in_force(proven));
                events.extend(proven.into_iter().flat_map(|(_, events)| events));
            } else if let Effect::Notice(Notice::ReloadRefused { reason }) = effect {
                self.reload_error = Some(reason.clone());
            }
        }
        // What is on trial was loaded again, and only what is not the state machine's differs.
        if self.incoming.as_ref().is_some_and(|incoming| incoming.spec == *core.spec()) {
            events.extend(self.put_incoming_in_force());
        }
        if !core.is_on_trial() {
            self.proven = None;
        }
        events
    }

    /// The config before the first of those that are on trial is the one to go back to.
    fn put_incoming_in_force(&mut self) -> Vec<Event> {
        let Some(incoming) = self.incoming.take() else { return Vec::new() };
        let (previous, events) = self.put_in_force(incoming);
        self.proven.get_or_insert(previous);
        events
    }

    /// Takes over everything that differs; what cannot be had is told, and stays as it was.
    fn put_in_force(&mut self, config: Config) -> (Config, Vec<Event>) {
        let previous = std::mem::replace(&mut self.config, config);
        let configured = self.log.configure(self.config.logging.clone(), masker(&self.config, &self.environment()));
        self.complain(configured);
        let mut events = Vec::new();
        let catalog = meant(&self.config);
        if catalog != meant(&previous) {
            let changed = self.catalog.change(catalog.as_ref());
            events = self.complain(changed).unwrap_or_default();
            self.rendering.follow_again(self.catalog.client());
        }
        self.configure_templates();
        match (is_needed(&previous), is_needed(&self.config)) {
            (false, true) => self.own_catalog.begin_later(),
            (true, false) => self.own_catalog.end(),
            (true, true) | (false, false) => {}
        }
        self.gauges.configure(&self.config);
        self.servers.outdated = true;
        (previous, events)
    }

    /// Templates are rendered over the environment that the config was rendered with.
    pub(super) fn configure_templates(&mut self) {
        let variables = variables(&self.environment());
        self.rendering.configure(&self.config, &variables);
    }

    fn complain<T>(&self, result: Result<T, impl std::fmt::Display>) -> Option<T> {
        let told = |error| self.write(Level::Error, &format!("{error}; the old setting stays in force"), None);
        result.map_err(told).ok()
    }

    /// Follows a new config to its addresses.
    pub(super) async fn change_servers(&mut self) {
        if !std::mem::take(&mut self.servers.outdated) {
            return;
        }
        let socket = self.config.control.socket.clone();
        // A default socket that could not be opened at the start is not asked for again.
        if !socket.is_empty() && self.servers.control_socket().unwrap_or(DEFAULT_CONTROL_SOCKET) != socket {
            let moved = self.servers.move_control(&socket, &self.inbox).await;
            self.complain(moved);
        }
        let Some(wanted) = self.complain(telemetry_address(&self.config)) else { return };
        if self.servers.telemetry_address() != wanted {
            let moved = self.servers.move_telemetry(wanted, &self.inbox).await;
            self.complain(moved);
        }
    }

    /// Answers those who wait for a reload.
    pub(super) fn reload_settled(&mut self, tickets: Vec<Ticket>, result: &Result<(), String>) {
        for ticket in tickets {
            let Some(reply) = self.tickets.remove(&ticket) else { continue };
            let response = match result {
                Ok(()) => text_response(StatusCode::OK, ""),
                Err(reason) => text_response(StatusCode::UNPROCESSABLE_ENTITY, format!("{reason}\n")),
            };
            // Whoever hung up does not need it.
            let _ = reply.send(response);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::loading::Origin;

    #[test]
    fn passwords_of_a_database_that_are_in_files_are_masked() {
        let directory = tempfile::tempdir().unwrap();
        let mut environment = Environment::from([("MYSQL_USER".into(), "app".into())]);
        for (name, secret) in [("MYSQL", "hunter2"), ("MYSQL_REPL", "salmon-run"), ("MYSQL_ROOT", "roots\n")] {
            let path = directory.path().join(name);
            std::fs::write(&path, secret).unwrap();
            environment.insert(format!("{name}_PASSWORD_FILE").into(), path.into());
        }
        let origin = Origin { command: vec!["mariadbd".into()], ..Origin::default() };
        let config = origin.load(&environment).unwrap().config;
        let masked = masker(&config, &environment).mask(b"app: hunter2, repl: salmon-run, root: roots!").into_owned();
        assert_eq!(String::from_utf8_lossy(&masked), "app: ***, repl: ***, root: ***!");
    }
}
