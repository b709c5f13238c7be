//! The job that a member is: this program again, as an operator in a process of its own, so that the renewal of a lease waits for nothing here.

use std::time::Duration;

use pilotfish_supervisor::{Check, Health, Job, Occurrence, Output, Process, Restarts, Start, Times};

use super::{MYSQL_JOB, MYSQL_VARIABLE, Mysql, is_server, print};
use crate::catalog::CatalogSettings;
use crate::print::Node;
use crate::reader::{Limit, Object, Reader};
use crate::service::{Draft, job};
use crate::show::catalog_node;
use crate::when;

/// Time between two checks of the operator's own word on its health.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to say it.
const TIMEOUT: Duration = Duration::from_secs(1);

/// For how long a start may take before a check that fails is worth a warning: until then the operator's own log says what it does, and a server
/// is initialised or recovered, or its data copied.
const GRACE: Duration = Duration::from_secs(600);

/// When the job starts, and how long it waits for hooks on its end.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    pub(crate) start: Start,
    pub(crate) after: Option<Occurrence>,
    pub(crate) stopping_timeout: Option<Duration>,
}

/// Takes the container's command line for the server's, if the document has a section for that; otherwise leaves it.
pub(crate) fn command_for(
    document: &Object<'_>,
    command: Option<Vec<String>>,
) -> (Option<Vec<String>>, Option<Vec<String>>) {
    match command {
        Some(command) if document.field("mysql").is_some() && is_server(&command) => (Some(command), None),
        other => (None, other),
    }
}

/// Reads what the section says of its job; `otherwise` holds where it says nothing.
pub(super) fn timing(reader: &mut Reader, section: &Object<'_>, otherwise: Timing) -> Timing {
    let (start, after) = match section.field("when") {
        Some(_) => when::read(reader, section),
        None => (otherwise.start, otherwise.after),
    };
    if !matches!(&start, Start::On(condition) if condition.times == Times::Once) {
        reader.problem(&section.place_of("when"), "a database runs all the time; name an event, with `once`");
    }
    let limit =
        reader.limit(section, "stopTimeout", Duration::ZERO).filter(|limit| *limit != Limit::AtMost(Duration::ZERO));
    let stopping_timeout = limit.map_or(otherwise.stopping_timeout, Limit::duration);
    Timing { start, after, stopping_timeout }
}

/// Adds the job in front of all others. It is the main one if no other is.
pub(crate) fn add(
    jobs: &mut Vec<Draft>,
    document: &Object<'_>,
    mysql: &Mysql,
    catalog: Option<&CatalogSettings>,
    program: &str,
    timing: Timing,
) {
    let main = !jobs.iter().any(|draft| draft.job.main);
    let place = document.place_of("mysql");
    jobs.insert(0, Draft::new(Job { main, ..operator(mysql, catalog, program, timing) }, place));
}

fn operator(mysql: &Mysql, catalog: Option<&CatalogSettings>, program: &str, timing: Timing) -> Job {
    let mut document = vec![("mysql", print::node(mysql, None))];
    document.extend(catalog.map(|catalog| ("consul", catalog_node(catalog, false))));
    // The catalog's token is no part of it: who starts the job gives it the variable that Consul's tools read.
    let env = vec![(MYSQL_VARIABLE.to_owned(), Node::map(document).print())];
    Job {
        process: Some(Process {
            argv: [program, "mysql", "run"].map(str::to_owned).to_vec(),
            env,
            output: Output::Wrapped,
            ..Process::default()
        }),
        start: timing.start,
        after: timing.after,
        restarts: Restarts::Unlimited,
        stopping_timeout: timing.stopping_timeout,
        health: Some(Health {
            check: Check::Http(mysql.local_url("/health")),
            interval: INTERVAL,
            timeout: TIMEOUT,
            grace: GRACE,
        }),
        ..job(MYSQL_JOB.into())
    }
}
