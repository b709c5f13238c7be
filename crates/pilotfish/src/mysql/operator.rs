//! `pilotfish mysql run`: the operator's process.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::ExitCode,
    sync::{Mutex, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use pilotfish_config::{Loaded, MYSQL_VARIABLE, Mysql};
use pilotfish_mysql::{Credentials, Error, Handle, Level, Operator, Secret, Settings};
use tokio::sync::oneshot;

use super::{
    api::{self, Caller},
    watchdog,
};
use crate::{
    command_line::ConfigLocation,
    errors::UsageError,
    http_server::{BindError, Limits, Listener, serve},
    supervise::{catalog_client, load_location, load_location_to_look},
};

/// A variable that asks for every step in the log.
const DEBUG_VARIABLE: &str = "PILOTFISH_MYSQL_DEBUG";
/// Whom the server runs as if nothing is said and we are root.
const SERVER_USER: &str = "mysql";
/// Lines that wait for the reader of our output; more are left out, because a decision must not wait for a reader.
const LOG_LINES: usize = 4096;
/// For how long a receiver of a copy may take nothing, as when its disk is slow.
const STALLED: Duration = Duration::from_secs(60);

/// Runs until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting.
pub(super) fn run(config: Option<&ConfigLocation>) -> anyhow::Result<ExitCode> {
    let loaded = load(config)?;
    let Some(mysql) = &loaded.config.mysql else {
        return Err(UsageError("the config has no section mysql; there is nothing to run".into()).into());
    };
    let client = catalog_client(&loaded.config).context("cannot use the catalog's settings")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let log = LogThread::default();
    let code = runtime.block_on(Box::pin(operate(mysql, client, &log)));
    log.finish();
    runtime.shutdown_background();
    code.map(ExitCode::from)
}

/// What the supervisor says, or a config that was named.
fn load(config: Option<&ConfigLocation>) -> anyhow::Result<Loaded> {
    if let Some(location) = config {
        return load_location(location);
    }
    match std::env::var(MYSQL_VARIABLE) {
        Ok(text) => load_location(&ConfigLocation::Inline(text)),
        Err(_) => Err(UsageError(format!(
            "{MYSQL_VARIABLE} is not set: the supervisor starts this by itself; start pilotfish with a config that has a section mysql"
        ))
        .into()),
    }
}

/// The settings of a config that is only looked at: without one the defaults, and without the passwords that only the operator needs.
pub(super) fn settings_for_looking(location: Option<&ConfigLocation>) -> anyhow::Result<Mysql> {
    let defaults = ConfigLocation::Inline("{ mysql: {} }".into());
    let loaded = load_location_to_look(location.unwrap_or(&defaults))?;
    match loaded.config.mysql {
        Some(mysql) => Ok(mysql),
        // An image's config may leave the database to the command line.
        None => load_location_to_look(&defaults)?.config.mysql.context("the default settings have no database"),
    }
}

async fn operate(mysql: &Mysql, client: pilotfish_consul::Client, log: &LogThread) -> anyhow::Result<u8> {
    let operator = Operator::new(settings(mysql), credentials(mysql), client, log.sink()).await;
    let (operator, handle) = operator.map_err(refused)?;
    let (_stop, api) = open(mysql, &handle).await?;
    watchdog::begin(mysql.lease, handle.clone());
    let code = operator.run().await;
    for task in api {
        task.abort();
    }
    code.map_err(refused)
}

/// What must not be is somebody's mistake.
fn refused(error: Error) -> anyhow::Error {
    if let Error::Unfit(text) = error { UsageError(text).into() } else { error.into() }
}

/// Serves the API at the port and at the socket, until what is returned first is dropped.
async fn open(
    mysql: &Mysql,
    handle: &Handle,
) -> anyhow::Result<(Vec<oneshot::Sender<()>>, Vec<tokio::task::JoinHandle<()>>)> {
    let bind = mysql.bind.parse().with_context(|| format!("cannot listen on {}", mysql.bind))?;
    let network = Listener::tcp(SocketAddr::new(bind, mysql.api_port)).await.map_err(told)?;
    let local = Listener::unix(mysql.control_socket().as_ref()).await.map_err(told)?;
    let mut opened = (Vec::new(), Vec::new());
    for (listener, caller) in [(network, Caller::Network), (local, Caller::Local)] {
        let (stop, stopped) = oneshot::channel::<()>();
        let handle = handle.clone();
        let limits = Limits { stalled_time: STALLED, ..Limits::default() };
        opened.0.push(stop);
        opened.1.push(tokio::spawn(async move {
            let answer = move |request| api::handle(request, handle.clone(), caller);
            let mut under_way = serve(listener, limits, answer, async { drop(stopped.await) }).await;
            while under_way.join_next().await.is_some() {}
        }));
    }
    Ok(opened)
}

/// Why nobody can be listened to, with the keys that belong to a database.
fn told(error: BindError) -> anyhow::Error {
    let text = match error {
        BindError::Port { address, error } => {
            format!("cannot listen on {address}: {error}; set mysql.apiPort or mysql.bind")
        }
        BindError::InUse { path } => {
            format!("another operator listens on {}; set mysql.runDirectory to a directory of its own", path.display())
        }
        error @ (BindError::PathTooLong { .. } | BindError::NotSocket { .. } | BindError::Socket { .. }) => {
            error.to_string().replace("control.socket", "mysql.runDirectory")
        }
    };
    anyhow::Error::msg(text)
}

fn settings(mysql: &Mysql) -> Settings {
    let user = mysql.user.clone().or_else(|| rustix::process::geteuid().is_root().then(|| SERVER_USER.into()));
    Settings {
        service: mysql.service.clone(),
        name: mysql.name.clone(),
        id: mysql.id,
        address: mysql.address.clone(),
        bind: mysql.bind.clone(),
        port: mysql.port,
        api_port: mysql.api_port,
        directory: mysql.directory.clone().into(),
        run_directory: mysql.run_directory.clone().into(),
        program: mysql.program.clone(),
        options: mysql.options.clone(),
        user,
        template: mysql.template.clone().map(Into::into),
        scripts: mysql.scripts.clone().into(),
        keep_aside: mysql.keep_aside as usize,
        policy: mysql.policy(),
    }
}

fn credentials(mysql: &Mysql) -> Credentials {
    let given = &mysql.credentials;
    let secret = |secret: &pilotfish_config::Secret| Secret::new(secret.reveal());
    Credentials {
        root_password: given.root_password.as_ref().map(secret),
        database: given.database.clone(),
        application: given.user.clone().map(|user| (user, secret(&given.password))),
        replication_user: given.replication_user.clone(),
        replication_password: secret(&given.replication_password),
    }
}

/// Writes lines to standard output in a thread of its own. It begins with the first line: by then the process has taken over its signals,
/// and a thread that began earlier would still die of them.
#[derive(Default)]
struct LogThread(std::sync::Arc<Mutex<Option<Writer>>>);

struct Writer {
    lines: mpsc::SyncSender<String>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start() -> Writer {
        let (lines, waiting) = mpsc::sync_channel::<String>(LOG_LINES);
        let thread = std::thread::spawn(move || {
            for line in waiting {
                // Whoever closed our output does not want it.
                let _ = writeln!(std::io::stdout(), "{line}");
            }
        });
        Writer { lines, thread }
    }
}

impl LogThread {
    fn sink(&self) -> pilotfish_mysql::Log {
        let debug = std::env::var_os(DEBUG_VARIABLE).is_some_and(|value| !value.is_empty());
        let writer = self.0.clone();
        Box::new(move |level, text| {
            let line = match level {
                Level::Debug if !debug => return,
                Level::Debug | Level::Info => text.to_owned(),
                Level::Warn => format!("warning: {text}"),
                Level::Error => format!("error: {text}"),
            };
            let Ok(mut writer) = writer.lock() else { return };
            // A line that finds no room is left out.
            let _ = writer.get_or_insert_with(Writer::start).lines.try_send(line);
        })
    }

    /// Waits until all is written.
    fn finish(&self) {
        let writer = self.0.lock().ok().and_then(|mut writer| writer.take());
        if let Some(Writer { lines, thread }) = writer {
            drop(lines);
            // A writer that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}
