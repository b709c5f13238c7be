//! The one table of keys: the reader refuses what is not in it, suggestions come from it, and the JSON Schema is made of it.

use crate::templates::SIGNAL_NAMES;

/// What a key's value may be.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Text; a number or boolean is taken as its text, because templates leave quotes out.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number within bounds, or its text.
    Integer { min: i64, max: i64 },
    /// `true` or `false`, or its text.
    Boolean,
    /// Seconds or a Go duration.
    Duration,
    /// Seconds, a Go duration or `unlimited`.
    Limit,
    /// Text that is split, or an array.
    Command,
    /// A text or an array of texts.
    Texts,
    /// An object whose values are texts.
    TextMap,
    /// A number, `unlimited` or `never`.
    Restarts,
    /// A text, an array of texts, or an object.
    Address(&'static Section),
    /// An object.
    Object(&'static Section),
    /// An array of objects.
    List(&'static Section),
}

/// One key of an object.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
}

/// An object's keys.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [Key],
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about }
}

/// TCP ports.
const PORT: Shape = Shape::Integer { min: 1, max: 65_535 };

macro_rules! section {
    ($(#[$about:meta])* $static_name:ident = $name:literal: $($key:literal $shape:expr, $text:literal;)*) => {
        $(#[$about])*
        pub(crate) static $static_name: Section = Section { name: $name, keys: &[$(key($key, $shape, $text)),*] };
    };
}

section! {
    /// The v3 document.
    V3 = "document":
    "consul" Shape::Address(&CONSUL), "Where the catalog is; without it: the embedded one of this host, at 127.0.0.1:8500.";
    "logging" Shape::Object(&LOGGING), "How the supervisor logs.";
    "stopTimeout" Shape::Duration, "Time between SIGTERM and SIGKILL of a job that is stopped (5 s); -1 kills at once. Also the time that jobs triggered by a stop have (with -1: 5 s).";
    "reloadTimeout" Shape::Duration, "How long a reload waits for changed jobs to become healthy before it rolls back (60 s).";
    "control" Shape::Object(&CONTROL), "The control socket.";
    "signals" Shape::Object(&SIGNALS), "What signals to the supervisor mean.";
    "jobs" Shape::List(&JOB), "What runs, is checked and advertised.";
    "watches" Shape::List(&WATCH), "What is watched in the catalog.";
    "templates" Shape::List(&TEMPLATE), "Files that are rendered from what the catalog says, before anything is started and on every change.";
    "mysql" Shape::Object(&MYSQL), "A member of a MySQL or MariaDB cluster on autopilot.";
    "telemetry" Shape::Object(&TELEMETRY_V3), "The metrics endpoint.";
}

section! {
    /// The v2 document.
    V2 = "document (v2)":
    "consul" Shape::Address(&CONSUL), "Where the catalog is; without it: the embedded one of this host, at 127.0.0.1:8500.";
    "logging" Shape::Object(&LOGGING), "How the supervisor logs.";
    "stopTimeout" Shape::Duration, "Time between SIGTERM and SIGKILL of the application (5 s); -1 kills at once.";
    "reloadTimeout" Shape::Duration, "How long a reload waits for changed jobs to become healthy before it rolls back (60 s).";
    "control" Shape::Object(&CONTROL), "The control socket.";
    "preStart" Shape::Command, "Runs to its end before the application; its failure stops the container.";
    "onStart" Shape::Command, "The old name of preStart.";
    "preStop" Shape::Command, "Runs to its end before the application is stopped.";
    "postStop" Shape::Command, "Runs after the application has ended.";
    "services" Shape::List(&SERVICE), "What is checked and advertised.";
    "backends" Shape::List(&BACKEND), "Services that are watched.";
    "tasks" Shape::List(&TASK), "Commands that run periodically.";
    "coprocesses" Shape::List(&COPROCESS), "Commands that run beside the application.";
    "templates" Shape::List(&TEMPLATE), "Files that are rendered from what the catalog says, before anything is started and on every change.";
    "mysql" Shape::Object(&MYSQL), "A member of a MySQL or MariaDB cluster on autopilot.";
    "telemetry" Shape::Object(&TELEMETRY_V2), "The metrics endpoint.";
}

section! {
    /// The catalog.
    CONSUL = "consul":
    "address" Shape::Texts, "host:port, http://..., https://... or unix:///path; several fail over.";
    "scheme" Shape::Word(&["http", "https"]), "The scheme of addresses that name none.";
    "token" Shape::Text, "ACL token.";
    "tokenFile" Shape::Text, "File with the ACL token, read again when it changes.";
    "datacenter" Shape::Text, "The datacenter to ask, if not the agent's own.";
    "tls" Shape::Object(&TLS), "TLS settings.";
}

section! {
    /// TLS of the catalog.
    TLS = "tls":
    "cafile" Shape::Text, "File of trusted authorities, PEM.";
    "capath" Shape::Text, "Directory of trusted authorities, PEM.";
    "clientcert" Shape::Text, "File of the client's certificate, PEM.";
    "clientkey" Shape::Text, "File of the client's key, PEM.";
    "servername" Shape::Text, "The name the server's certificate must have.";
    "verify" Shape::Boolean, "Whether the server's certificate is verified (true).";
}

section! {
    /// The supervisor's log.
    LOGGING = "logging":
    "level" Shape::Word(&["panic", "fatal", "error", "warn", "warning", "info", "debug"]), "What is logged (info).";
    "format" Shape::Word(&["default", "text", "json"]), "How lines look (default).";
    "output" Shape::Text, "stdout, stderr or a file (stdout).";
}

section! {
    /// The control socket.
    CONTROL = "control":
    "socket" Shape::Text, "Path of the unix socket (/var/run/containerpilot.socket).";
}

section! {
    /// Meanings of signals.
    SIGNALS = "signals":
    "hangup" Shape::Word(&["event", "reload"]), "What SIGHUP means (event).";
    "user1" Shape::Word(&["reopenLog", "maintenance"]), "What SIGUSR1 means (reopenLog).";
}

section! {
    /// A v3 job.
    JOB = "job":
    "name" Shape::Text, "Unique; also the service's name in the catalog.";
    "exec" Shape::Command, "What runs.";
    "user" Shape::Text, "User name or number to run as.";
    "group" Shape::Text, "Group name or number to run as.";
    "cwd" Shape::Text, "Working directory.";
    "env" Shape::TextMap, "Variables on top of the supervisor's own.";
    "main" Shape::Boolean, "The main application: the container stops with it, with its exit code.";
    "when" Shape::Object(&WHEN), "What starts it; without it the start of the supervisor.";
    "timeout" Shape::Limit, "The process is killed this long after its start; or unlimited. Without it: the interval of a periodic job; the document's stopTimeout for a job that only `stopping`, `shutdown` or the `stopped` of a lasting job (main, advertised, checked or always restarted) starts; else unlimited.";
    "stopTimeout" Shape::Limit, "How long it waits, when stopping, for jobs triggered by that (the document's stopTimeout); or unlimited.";
    "restarts" Shape::Restarts, "How often it is started again after it exited.";
    "restartBackoff" Shape::Object(&BACKOFF), "How long restarts wait.";
    "onFailure" Shape::Word(&["ignore", "restart", "exit"]), "What a failed exit that no restart follows means (ignore).";
    "health" Shape::Object(&HEALTH), "How its health is found out.";
    "port" PORT, "The port it is advertised with.";
    "interfaces" Shape::Texts, "Where its address comes from; the first that matches.";
    "tags" Shape::Texts, "Tags in the catalog.";
    "meta" Shape::TextMap, "Metadata in the catalog.";
    "initial_status" Shape::Word(&["passing", "warning", "critical"]), "Registers at start with this status.";
    "consul" Shape::Object(&EXTRAS), "More of the registration.";
    "logging" Shape::Object(&JOB_LOGGING), "Where its output goes.";
}

section! {
    /// Back-off of restarts.
    BACKOFF = "restartBackoff":
    "initial" Shape::Duration, "The wait before the second restart in a row (100 ms).";
    "max" Shape::Duration, "The longest wait (10 s).";
    "resetAfter" Shape::Duration, "A run of this length ends the row (10 s).";
}

section! {
    /// Extras of a registration.
    EXTRAS = "consul (job)":
    "enableTagOverride" Shape::Boolean, "Others may change the tags.";
    "deregisterCriticalServiceAfter" Shape::Duration, "Removed when critical for this long.";
    "exitOnConflict" Shape::Boolean, "Stops with exit code 2 when another live supervisor has registered it.";
}

section! {
    /// The output of a job.
    JOB_LOGGING = "logging (job)":
    "raw" Shape::Boolean, "The output goes to the supervisor's own, unmodified.";
    "attached" Shape::Boolean, "Standard input, output and error are the supervisor's own.";
    "metric" Shape::Text, "Standard output is one number, recorded as this metric.";
}

section! {
    /// What starts a job.
    WHEN = "when":
    "source" Shape::Text, "A job, watch.<name>, template.<name>, SIGHUP or SIGUSR2.";
    "once" Shape::Text, "The event that starts it, the first time only.";
    "each" Shape::Text, "The event that starts it, every time.";
    "all" Shape::List(&TRIGGER), "All of these must occur.";
    "any" Shape::List(&TRIGGER), "Any of these must occur.";
    "interval" Shape::Duration, "Runs at start and then every so often.";
    "cron" Shape::Text, "Runs at these times, UTC: minute hour day-of-month month day-of-week.";
    "timeout" Shape::Duration, "It gives up if it has not started by then.";
    "after" Shape::Object(&AFTER), "Nothing starts it before this has occurred once; earlier triggers are kept.";
    "holdBack" Shape::Object(&HOLD_BACK), "Starts wait until the job's target is ready for them.";
}

section! {
    /// One of several triggers.
    TRIGGER = "when.all[]":
    "source" Shape::Text, "A job, watch.<name>, template.<name>, SIGHUP or SIGUSR2.";
    "once" Shape::Text, "The event, the first time only.";
    "each" Shape::Text, "The event, every time.";
}

section! {
    /// Until when starts wait.
    HOLD_BACK = "when.holdBack":
    "until" Shape::List(&AFTER), "All of these must have occurred once.";
    "atMost" Shape::Duration, "Then the job starts all the same; counted from the first trigger.";
}

section! {
    /// What must have occurred before.
    AFTER = "when.after":
    "source" Shape::Text, "A job, watch.<name>, template.<name>, SIGHUP or SIGUSR2.";
    "once" Shape::Text, "The event.";
}

section! {
    /// Health of a v3 job.
    HEALTH = "health":
    "exec" Shape::Command, "A command; exit code 0 is healthy.";
    "http" Shape::Text, "An http:// URL; a 2xx answer is healthy.";
    "tcp" Shape::Text, "host:port; a connection is healthy.";
    "file" Shape::Text, "A path; that it exists is healthy.";
    "interval" Shape::Duration, "Time between checks.";
    "ttl" Shape::Duration, "A passed check is believed for this long; at least 2 x interval + timeout.";
    "timeout" Shape::Duration, "A check that takes longer failed; less than interval.";
    "grace" Shape::Duration, "Failures are not counted for this long after the start (0).";
    "logging" Shape::Object(&CHECK_LOGGING), "Where the command's output goes.";
}

section! {
    /// The output of a check.
    CHECK_LOGGING = "logging (health)":
    "raw" Shape::Boolean, "The output goes to the supervisor's own, unmodified.";
}

section! {
    /// A v3 watch.
    WATCH = "watch":
    "name" Shape::Text, "Unique; jobs refer to it as watch.<name>.";
    "service" Shape::Text, "The service, if not of that name.";
    "tag" Shape::Text, "Only instances with this tag.";
    "on" Shape::Word(&["instances", "definitions"]), "definitions: a change of tags or metadata alone is a change, too.";
    "key" Shape::Text, "A key of the key-value store instead of a service.";
    "keyPrefix" Shape::Text, "All keys below a prefix instead of a service.";
    "dc" Shape::Text, "Another datacenter.";
    "interval" Shape::Duration, "How stale the view may get.";
}

section! {
    /// A file that is rendered.
    TEMPLATE = "template":
    "name" Shape::Text, "Unique; jobs refer to it as template.<name>. Without it: the file's name.";
    "source" Shape::Text, "The file that the template is read from, at the start and with every reload.";
    "contents" Shape::Text, "The template itself, in place of source.";
    "destination" Shape::Text, "The file that is written.";
    "perms" Shape::Text, "Its mode in octal digits, as text. Without it: that of the file in place, else 0644.";
    "user" Shape::Text, "Its owner, name or number. Without it: that of the file in place, else the supervisor's.";
    "group" Shape::Text, "Its group, name or number. Without it: that of the file in place, else the supervisor's.";
    "backup" Shape::Boolean, "The file that is replaced stays as <destination>.bak (false).";
    "strict" Shape::Boolean, "A key that a map does not have is an error (false).";
    "required" Shape::Boolean, "Nothing is started before the file was rendered once (true).";
    "wait" Shape::Text, "MIN:MAX: a change is rendered when nothing has changed for MIN, at the latest after MAX.";
    "splay" Shape::Duration, "A change is rendered after a random time up to this (0).";
    "check" Shape::Command, "Must succeed before the new file replaces the old; {{.Path}} in it is the new file.";
    "checkTimeout" Shape::Duration, "The check is killed and failed after this long (10 s).";
    "command" Shape::Command, "Runs after each change, until it succeeds.";
    "timeout" Shape::Duration, "The command is killed and failed after this long (30 s).";
    "notify" Shape::Object(&NOTIFY), "What a change means for a job's running process.";
}

section! {
    /// A member of a database cluster.
    MYSQL = "mysql":
    "service" Shape::Text, "The service's name in the catalog (SERVICE_NAME, else mysql); the primary is <service>-primary.";
    "name" Shape::Text, "This member's name, for people (the host's).";
    "id" Shape::Integer { min: 1, max: 2_147_483_647 }, "This member's number and its server's server_id; drawn at random and kept beside the data.";
    "address" Shape::Text, "The host or address under which clients and other members reach it, in place of interfaces.";
    "interfaces" Shape::Texts, "Where its address comes from; the first that matches.";
    "bind" Shape::Text, "The address that the server and the operator listen on (all).";
    "port" PORT, "The server's port (3306).";
    "apiPort" PORT, "The port of the operator's HTTP API (3307).";
    "directory" Shape::Text, "Everything that is kept (/var/lib/mysql).";
    "runDirectory" Shape::Text, "Sockets and the rendered my.cnf (/run/mysqld).";
    "program" Shape::Command, "The server's program; mariadbd or mysqld from PATH.";
    "options" Shape::Texts, "More options for the server, after ours.";
    "user" Shape::Text, "The user that the server runs as (mysql, if the supervisor is root).";
    "template" Shape::Text, "A template for my.cnf in place of the built-in one.";
    "scripts" Shape::Text, "Scripts that are run once, when the cluster is initialised (/docker-entrypoint-initdb.d).";
    "keepAside" Shape::Integer { min: 0, max: 1000 }, "How many copies of the data that were set aside are kept (1).";
    "durability" Shape::Word(&["quorum", "async"]), "Whether a client gets its OK only when replicas have its write (quorum), or at once.";
    "acks" Shape::Integer { min: 0, max: 8 }, "How many replicas must have a write (1; MariaDB knows no other).";
    "minInSync" Shape::Integer { min: 0, max: 8 }, "With fewer in-sync replicas than this, writes wait (1 in a cluster of three or more, otherwise 0).";
    "mayLead" Shape::Boolean, "This member may become primary (true).";
    "lease" Shape::Duration, "How long a primary's lease lasts (3 s; 1 s to 60 s).";
    "hangLimit" Shape::Duration, "A primary that has not answered for this long is killed (a third of the lease).";
    "switchoverLimit" Shape::Duration, "How long a switchover may take before everything is as before (10 s).";
    "when" Shape::Object(&WHEN), "What starts it; without it the start of the supervisor.";
    "stopTimeout" Shape::Limit, "How long it waits, when stopping, for jobs triggered by that (the document's stopTimeout); or unlimited.";
}

section! {
    /// Who is told that a file has changed.
    NOTIFY = "notify":
    "job" Shape::Text, "The job.";
    "signal" Shape::Word(&SIGNAL_NAMES), "Its processes get this signal, once it is healthy.";
    "restart" Shape::Boolean, "It is stopped (by signal, if that is given) and started again (false).";
}

section! {
    /// v3 telemetry.
    TELEMETRY_V3 = "telemetry":
    "port" PORT, "Port of /metrics and /status (9090).";
    "interfaces" Shape::Texts, "Where its address comes from.";
    "tags" Shape::Texts, "Tags in the catalog.";
    "metrics" Shape::List(&METRIC), "Metrics that jobs record.";
    "interval" Shape::Duration, "Time between heartbeats (5 s).";
    "ttl" Shape::Duration, "A heartbeat is believed for this long (15 s).";
}

section! {
    /// A v3 metric.
    METRIC = "metric":
    "namespace" Shape::Text, "First part of its name.";
    "subsystem" Shape::Text, "Second part of its name.";
    "name" Shape::Text, "Last part of its name.";
    "help" Shape::Text, "What it is.";
    "type" Shape::Word(&METRIC_TYPES), "Its type.";
}

/// Types of metrics.
pub(crate) const METRIC_TYPES: [&str; 4] = ["counter", "gauge", "histogram", "summary"];

section! {
    /// v2 telemetry.
    TELEMETRY_V2 = "telemetry (v2)":
    "port" PORT, "Port of /metrics and /status (9090).";
    "interfaces" Shape::Texts, "Where its address comes from.";
    "tags" Shape::Texts, "Tags in the catalog.";
    "sensors" Shape::List(&SENSOR), "Commands that measure.";
    "poll" Shape::Duration, "Time between heartbeats (5 s).";
    "ttl" Shape::Duration, "A heartbeat is believed for this long (15 s).";
}

section! {
    /// A v2 sensor.
    SENSOR = "sensor":
    "namespace" Shape::Text, "First part of the metric's name.";
    "subsystem" Shape::Text, "Second part of the metric's name.";
    "name" Shape::Text, "Last part of the metric's name.";
    "help" Shape::Text, "What it is.";
    "type" Shape::Word(&METRIC_TYPES), "Its type.";
    "poll" Shape::Duration, "Time between measurements.";
    "check" Shape::Command, "Prints one number.";
    "timeout" Shape::Duration, "It is killed after this long (poll).";
}

section! {
    /// A v2 service.
    SERVICE = "service":
    "name" Shape::Text, "The name in the catalog.";
    "port" PORT, "The port it is advertised with.";
    "health" Shape::Command, "A command; exit code 0 is healthy.";
    "poll" Shape::Duration, "Time between checks.";
    "ttl" Shape::Duration, "A passed check is believed for this long; at least 2 x poll + timeout.";
    "timeout" Shape::Duration, "A check that takes longer failed; less than poll.";
    "interfaces" Shape::Texts, "Where its address comes from.";
    "tags" Shape::Texts, "Tags in the catalog.";
    "meta" Shape::TextMap, "Metadata in the catalog.";
    "consul" Shape::Object(&EXTRAS), "More of the registration.";
}

section! {
    /// A v2 backend.
    BACKEND = "backend":
    "name" Shape::Text, "The service that is watched.";
    "poll" Shape::Duration, "How stale the view may get.";
    "onChange" Shape::Command, "Runs when it changes.";
    "tag" Shape::Text, "Only instances with this tag.";
    "timeout" Shape::Duration, "onChange is killed after this long.";
}

section! {
    /// A v2 task.
    TASK = "task":
    "name" Shape::Text, "Its name in the log.";
    "command" Shape::Command, "What runs.";
    "frequency" Shape::Duration, "How often.";
    "timeout" Shape::Duration, "It is killed after this long (frequency).";
}

section! {
    /// A v2 coprocess.
    COPROCESS = "coprocess":
    "name" Shape::Text, "Its name in the log.";
    "command" Shape::Command, "What runs.";
    "restarts" Shape::Restarts, "How often it is started again after it exited.";
}

/// Keys that only a v2 document has.
pub(crate) const V2_ONLY: [&str; 8] =
    ["preStart", "onStart", "preStop", "postStop", "services", "backends", "tasks", "coprocesses"];

/// Keys that only a v3 document has.
pub(crate) const V3_ONLY: [&str; 3] = ["jobs", "watches", "signals"];
