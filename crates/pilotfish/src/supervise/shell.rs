//! Carries out effects. It chooses nothing, and doing the same twice does no harm.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ffi::{OsStr, OsString},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use hyper::Response;
use pilotfish_config::{Config, Level, Loaded, MYSQL_VARIABLE};
use pilotfish_process::{Command, Happening, Processes, Spawned, Stdio};
use pilotfish_supervisor::{
    Check, Effect, Event, Followed, Label, Notice, Output, Process, RenderId, RunId, RunKind, Supervisor, Ticket, Time,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use super::{
    Clock, LAST_ANSWERS, LAST_GRACE, LAST_WORDS,
    calendars::Calendars,
    catalog::Catalog,
    event_of,
    events::Listeners,
    gauges::Gauges,
    inbox::{INBOX_MESSAGES, Message, Receiver, Sender},
    loading::{Environment, Origin},
    narration::{self, process_name},
    own_catalog::{OwnCatalog, is_needed, meant},
    panics::caught,
    rendering::Rendering,
    servers::Servers,
    wrapped::{self, Source},
};
use crate::{
    consul_template::{self, Signals},
    http_server::Body,
    logging::{Log, Record, Value},
    probe,
};

/// The variable in which Consul's tools look for a token.
const TOKEN_VARIABLE: &str = "CONSUL_HTTP_TOKEN";

/// The effects' side of the supervisor.
pub(super) struct Shell {
    pub(super) processes: Processes,
    pub(super) origin: Origin,
    pub(super) config: Config,
    /// A config that was loaded and is in force once the state machine says so.
    pub(super) incoming: Option<Config>,
    /// While a config is on trial: the one to go back to.
    pub(super) proven: Option<Config>,
    pub(super) log: Log,
    pub(super) gauges: Gauges,
    pub(super) catalog: Catalog,
    pub(super) rendering: Rendering,
    /// What the config means where it names no catalog.
    pub(super) own_catalog: OwnCatalog,
    pub(super) servers: Servers,
    pub(super) listeners: Listeners,
    pub(super) calendars: Calendars,
    pub(super) inbox: Sender,
    /// Those who wait for a reload.
    pub(super) tickets: HashMap<Ticket, oneshot::Sender<Response<Body>>>,
    pub(super) next_ticket: Ticket,
    pub(super) reloads: u64,
    pub(super) reload_error: Option<String>,
    /// The environment that the supervisor was started with.
    inherited: Environment,
    /// Variables set over the control socket; `None` removes one.
    pub(super) overrides: BTreeMap<String, Option<String>>,
    clock: Clock,
    /// What signals mean, if not what they usually do.
    signals: Option<Signals>,
    runs: HashMap<RunId, Running>,
    relays: JoinSet<()>,
}

/// A process that was started and has not gone yet.
struct Running {
    label: Label,
    began: Instant,
    /// Tells the reader of its output that it is over.
    _output: Option<oneshot::Sender<()>>,
}

impl Shell {
    /// Sets everything up that can fail, before anything is started.
    pub(super) async fn new(
        origin: Origin,
        loaded: Loaded,
        inherited: Environment,
    ) -> anyhow::Result<(Shell, Receiver)> {
        let began = Instant::now();
        let Loaded { config, warnings } = loaded;
        let (inbox, receiver) = mpsc::channel(INBOX_MESSAGES);
        let processes = Processes::new().context("cannot take over the container's processes")?;
        let log = super::reloading::open_log(&config, &inherited)?;
        let driven = log.clone();
        tokio::spawn(async move { driven.drive().await });
        let signals = origin.templates.as_ref().map(consul_template::signals).transpose()?;
        let servers = Servers::open(&config, &inbox, &log).await?;
        let catalog =
            Catalog::new(meant(&config).as_ref(), inbox.clone()).context("cannot use the catalog's settings")?;
        let dry = origin.templates.as_ref().is_some_and(|line| line.dry);
        let rendering = Rendering::new(inbox.clone(), catalog.homes().clone(), dry);
        let mut shell = Shell {
            processes,
            gauges: Gauges::new(&config),
            origin,
            config,
            incoming: None,
            proven: None,
            log,
            catalog,
            rendering,
            own_catalog: OwnCatalog::default(),
            servers,
            listeners: Listeners::default(),
            calendars: Calendars::default(),
            inbox,
            tickets: HashMap::new(),
            next_ticket: 0,
            reloads: 0,
            reload_error: None,
            inherited,
            overrides: BTreeMap::new(),
            clock: Clock(began),
            signals,
            runs: HashMap::new(),
            relays: JoinSet::new(),
        };
        shell.configure_templates();
        for warning in warnings {
            shell.write(Level::Warn, &warning.to_string(), None);
        }
        if is_needed(&shell.config) {
            let (level, text) = shell.own_catalog.begin().await;
            shell.write(level, &text, None);
        }
        Ok((shell, receiver))
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn instant(&self, time: Time) -> Instant {
        self.clock.instant(time)
    }

    pub(super) fn uptime(&self) -> Duration {
        self.clock.now().since_start()
    }

    /// Writes an own line to the log.
    pub(super) fn write(&self, level: Level, text: &str, job: Option<&str>) {
        let mut record = Record::new(level, text);
        if let Some(job) = job {
            record = record.with("job", Value::from(job));
        }
        self.log.write(&record, SystemTime::now());
    }

    /// What the system told, as an event; the reader of the output of a run that is over is told, too.
    pub(super) fn happened(&mut self, happening: Happening) -> Option<Event> {
        let event = event_of(happening, self.signals);
        if let Event::Exited { run, survivors: false, .. } | Event::Vacated { run } = &event
            && let Some(running) = self.runs.remove(run)
        {
            self.gauges.process_ended(&running.label, running.began.elapsed(), self.now());
        }
        Some(event)
    }

    /// What came through the inbox, as an event if it is one.
    pub(super) fn received(&mut self, message: Message, core: &Supervisor) -> Option<Event> {
        match message {
            Message::Event(event) => Some(event),
            Message::Watched { watch, term, event } => self.catalog.follows(&watch, term).then_some(event),
            Message::Fact { fact, term, found } => self.rendering.found(fact, term, found),
            Message::Staged { render, asked, staged } => Some(self.rendering.staged(render, asked, staged)),
            Message::Filed => {
                self.rendering.filed();
                None
            }
            Message::Answered { call, outcome, may_hold, took } => {
                self.gauges.catalog_answered(&outcome, took, self.now());
                Some(Event::CatalogAnswered { call, outcome, may_hold })
            }
            Message::Measured { job, metric, text } => {
                if let Err(reason) = self.gauges.record(&metric, &text, self.now()) {
                    self.write(Level::Warn, &format!("no value for metric {metric}: {reason}"), Some(&job));
                }
                None
            }
            Message::Asked { question, reply } => self.asked(question, reply, core),
        }
    }

    /// Carries out all effects of a step; the exit code if it was the last.
    pub(super) fn perform_all(
        &mut self,
        effects: Vec<Effect>,
        events: &mut VecDeque<Event>,
        core: &Supervisor,
    ) -> Option<u8> {
        // A new config's variables must be there for the processes that the same step starts.
        events.extend(self.config_noticed(&effects, core));
        let mut code = None;
        for effect in effects {
            if let Effect::Finish { code: finished } = effect {
                code = Some(finished);
            } else {
                events.extend(self.perform(effect));
            }
        }
        code
    }

    /// Carries out one effect; what is known of its outcome at once comes back as an event.
    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Spawn { run, label, process } => return Some(self.spawn(run, label, &process)),
            Effect::Signal { run, signal } => self.processes.signal(run, signal),
            Effect::KillTree { run } => self.processes.kill_tree(run),
            Effect::Probe { run, job, check, timeout } => self.probe(run, &job, &check, timeout),
            Effect::ArmCalendar { job, calendar } => self.calendars.arm(job, calendar, self.inbox.clone()),
            Effect::DisarmCalendar { job } => self.calendars.disarm(&job),
            Effect::Call { call, request } => self.catalog.call(call, request),
            Effect::Guard { service } => self.catalog.guard(service),
            Effect::Unguard { service } => self.catalog.unguard(&service),
            Effect::Watch(watch) => self.catalog.watch(watch),
            Effect::AskAgain(Followed::Watch(watch)) => self.catalog.ask_again(&watch),
            Effect::AskAgain(Followed::Fact(fact)) => self.rendering.ask_again(&fact),
            Effect::Unwatch { watch } => self.catalog.unwatch(&watch),
            Effect::Follow { fact } => self.rendering.follow(fact, self.catalog.client().cloned()),
            Effect::Unfollow { fact } => self.rendering.unfollow(&fact),
            Effect::TakeFact { fact } => self.rendering.take(&fact),
            Effect::Render { render, template } => return self.render(render, &template),
            Effect::Commit { render } => return self.rendering.commit(render),
            Effect::Discard { render } => self.rendering.discard(render),
            Effect::Load => return Some(self.load()),
            Effect::ReloadSettled { tickets, result } => self.reload_settled(tickets, &result),
            Effect::ReopenLog => self.reopen_log(),
            Effect::Notice(notice) => self.tell(&notice),
            Effect::Finish { .. } => {}
        }
        None
    }

    fn tell(&mut self, notice: &Notice) {
        self.gauges.noticed(notice, self.now());
        let told = narration::tell(notice);
        self.listeners.send(&told, &self.log);
        if self.log.takes(told.level) {
            self.write(told.level, &told.text, told.job.as_deref());
        }
    }

    fn render(&mut self, render: RenderId, template: &str) -> Option<Event> {
        let began = Instant::now();
        let answer = self.rendering.render(render, template);
        self.gauges.rendered(template, began.elapsed(), self.now());
        answer
    }

    // Not inlined, nor are the others that start tasks: `perform` would hold room for the futures of all of them, eleven pages of stack.
    #[inline(never)]
    fn spawn(&mut self, run: RunId, label: Label, process: &Process) -> Event {
        let attached = process.output == Output::Attached;
        let command = Command {
            argv: process.argv.iter().map(OsString::from).collect(),
            env: self.environment_of(process),
            cwd: process.cwd.as_ref().map(Into::into),
            user: process.user.clone(),
            group: process.group.clone(),
            stdio: match process.output {
                Output::Attached => Stdio::Attached,
                Output::Raw => Stdio::Raw,
                // Nobody asks which stream a check has complained on.
                Output::Wrapped if label.kind == RunKind::Check => Stdio::Merged,
                Output::Wrapped | Output::Measured(_) => Stdio::Wrapped,
            },
            input: None,
            output: None,
            foreground: attached,
            confined: label.kind == RunKind::Job,
        };
        match self.processes.spawn(run, &command) {
            Ok(spawned) => {
                let pid = spawned.pid as u32;
                let output = self.read_output(&label, process, spawned);
                self.runs.insert(run, Running { label, began: Instant::now(), _output: output });
                Event::Spawned { run, pid }
            }
            Err(error) => Event::SpawnFailed { run, code: error.exit_code() as u8, reason: error.to_string() },
        }
    }

    /// The environment that configs are rendered with: the inherited one, and what was set since.
    pub(super) fn environment(&self) -> Environment {
        let all = self.with_overrides(self.inherited.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
        let mut own = Environment::new();
        own.extend(all.into_iter().map(|(name, value)| (name.into(), value.into())));
        own
    }

    fn with_overrides<'s>(
        &'s self,
        variables: impl Iterator<Item = (&'s OsStr, &'s OsStr)>,
    ) -> BTreeMap<&'s OsStr, &'s OsStr> {
        let mut all = BTreeMap::new();
        all.extend(variables);
        for (name, value) in &self.overrides {
            match value {
                Some(value) => all.insert(name.as_ref(), value.as_ref()),
                None => all.remove(OsStr::new(name)),
            };
        }
        all
    }

    /// The whole environment of a process: the inherited one, what the config adds, what was set since, and the job's own.
    fn environment_of(&self, process: &Process) -> Vec<(OsString, OsString)> {
        // Copied only once it is whole, because every check needs one.
        let inherited = self.inherited.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let added = self.config.environment.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let mut all = self.with_overrides(inherited.chain(added));
        for name in &process.unset {
            all.remove(OsStr::new(name));
        }
        all.extend(process.env.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
        if process.env.iter().any(|(name, _)| name == MYSQL_VARIABLE) {
            // The settings of a database's operator have all of the catalog's but this.
            let token = self.config.catalog.as_ref().and_then(|catalog| catalog.token.as_ref());
            all.extend(token.map(|token| (OsStr::new(TOKEN_VARIABLE), OsStr::new(token.reveal()))));
        }
        all.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// Begins to read a process's output; dropping what is returned says that it is over.
    #[inline(never)]
    fn read_output(&mut self, label: &Label, process: &Process, spawned: Spawned) -> Option<oneshot::Sender<()>> {
        let output = spawned.output?;
        // Readers that are done are forgotten here, so that their number follows that of running processes.
        while self.relays.try_join_next().is_some() {}
        let source = Source { name: process_name(label), pid: spawned.pid as u32 };
        let (over, ended) = oneshot::channel();
        let log = self.log.clone();
        match &process.output {
            Output::Measured(metric) => {
                let (metric, inbox) = (metric.clone(), self.inbox.clone());
                self.relays.spawn(wrapped::measure(log, source, metric, output, ended, inbox));
            }
            Output::Wrapped | Output::Raw | Output::Attached => {
                self.relays.spawn(wrapped::relay(log, source, output, ended));
            }
        }
        Some(over)
    }

    #[inline(never)]
    fn probe(&mut self, run: RunId, job: &str, check: &Check, timeout: Duration) {
        let inbox = self.inbox.clone();
        let target = match check {
            Check::Http(url) => probe::Target::http(url),
            Check::Tcp(address) => probe::Target::tcp(address),
            Check::File(path) => probe::Target::file(path),
            Check::Exec(_) | Check::Running => Err(format!("the check of {job} is no built-in probe")),
        };
        // It ends by itself, at the time-out at the latest.
        tokio::spawn(async move {
            let result = match target {
                Ok(target) => match caught(probe::probe(&target, timeout)).await {
                    Ok(result) => result.map_err(|unhealthy| unhealthy.to_string()),
                    Err(panicked) => Err(panicked.to_string()),
                },
                Err(reason) => Err(reason),
            };
            let _ = inbox.send(Message::Event(Event::Probed { run, result })).await;
        });
    }

    fn reopen_log(&self) {
        if let Err(error) = self.log.reopen() {
            self.write(Level::Error, &format!("{error}; the old file stays in use"), None);
        }
    }

    /// After a mistake of ours nothing is left that could stop the jobs one after the other: all are asked at once, and given some time.
    pub(super) async fn stop_all(&mut self) {
        for run in self.runs.keys() {
            self.processes.signal(*run, libc::SIGTERM);
        }
        let gone = async {
            while !self.runs.is_empty() {
                let happening = self.processes.next().await;
                self.happened(happening);
            }
        };
        // Whoever does not stop is killed by `finish`.
        let _ = timeout(LAST_GRACE, caught(gone)).await;
    }

    /// The end: nothing outlives the supervisor, and what was said is written.
    pub(super) async fn finish(&mut self) {
        self.processes.kill_all();
        self.runs.clear();
        // Whoever still waits or listens is told the end.
        self.tickets.clear();
        self.listeners = Listeners::default();
        let relays = async { while self.relays.join_next().await.is_some() {} };
        // A reader of the log that takes nothing must not keep the container alive, nor a client that reads nothing.
        let _ = tokio::join!(timeout(LAST_WORDS, relays), timeout(LAST_ANSWERS, self.servers.stop()));
        self.log.flush(LAST_WORDS).await;
    }
}
